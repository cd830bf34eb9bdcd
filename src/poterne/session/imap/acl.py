"""SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314 §3).

An identifier is an account's address, or `anyone`: all accounts of the owner's domain. The owner stands in every list, with all
rights, which nobody can change. Negative rights ("-name") are not supported, as §2 allows.
"""

from typing import Final

from poterne.proto.imap import acl, commands, responses
from poterne.proto.imap.responses import no, ok
from poterne.session.imap import access
from poterne.session.imap.client import Client
from poterne.session.imap.foreign import Place
from poterne.session.imap.updates import finish
from poterne.store.errors import LimitError, NoGranteeError, NotFoundError
from poterne.values.sharing import ANYONE, EVERY_RIGHT, LETTERS, NO_RIGHT, VIRTUAL, Right, letters

_SOME: Final = Right.LOOKUP | Right.READ | Right.INSERT | Right.CREATE | Right.DELETE_MAILBOX | Right.ADMINISTER
"""Any of these allows MYRIGHTS (RFC 4314 §4)."""
_EVERYTHING: Final = letters(EVERY_RIGHT, virtual=True)
_NEGATIVE: Final = no(b"Negative rights are not supported", responses.CANNOT)
_OWNER: Final = no(b"The owner may do everything, always", responses.CANNOT)
_NOBODY: Final = no(
    b"There is no such account here with whom it can be shared; give the whole address", responses.CANNOT
)
_FULL: Final = no(b"The access list is full", responses.LIMIT)


async def set_acl(client: Client, command: commands.SetAcl) -> None:
    """What is granted is told to the trace: who, to whom, what."""
    place = await _administered(client, command.mailbox)
    match command.how:
        case commands.AclChange.REPLACE:
            await _grant(client, place, command.identifier, command.rights)
        case commands.AclChange.ADD:
            await _grant(client, place, command.identifier, command.rights, kept=EVERY_RIGHT)
        case commands.AclChange.REMOVE:
            await _grant(client, place, command.identifier, NO_RIGHT, kept=EVERY_RIGHT & ~command.rights)


async def delete_acl(client: Client, command: commands.DeleteAcl) -> None:
    place = await _administered(client, command.mailbox)
    await _grant(client, place, command.identifier, NO_RIGHT)


async def _administered(client: Client, name: str) -> Place:
    place = await access.resolve(client, name, Right.ADMINISTER)
    if not place.mailbox.selectable:
        raise NotFoundError(name)
    return place


async def _grant(client: Client, place: Place, identifier: str, rights: Right, *, kept: Right = NO_RIGHT) -> None:
    """`rights` are added to what is `kept` of those that it has."""
    identifier, owner = identifier.lower(), place.owner or client.account.address
    if identifier.startswith("-"):
        client.send(_NEGATIVE)
        return
    if identifier == owner:
        client.send(_OWNER)
        return
    if not rights and not await _rights_of(client, place, identifier):
        await finish(client, ok(b"It has no rights here"))  # whoever that is
        return
    if identifier != ANYONE and rights and not access.may_meet(client, owner, identifier):
        client.send(_NOBODY)
        return
    event = access.event(
        client, place, "mailbox.shared", name=place.path, owner=owner, address=identifier, rights=letters(rights)
    )
    try:
        await client.store.grant(place.mailbox.account_id, place.mailbox.id, identifier, rights, event, kept=kept)
    except NoGranteeError:
        client.send(_NOBODY)
        return
    except LimitError:
        client.send(_FULL)
        return
    await finish(client, ok(b"Access is changed"))


async def _rights_of(client: Client, place: Place, identifier: str) -> Right:
    """What the line of the list has now."""
    lines = await client.store.access(place.mailbox.account_id, place.mailbox.id)
    return next((line.rights for line in lines if line.identifier == identifier.lower()), Right(0))


async def get_acl(client: Client, command: commands.GetAcl) -> None:
    place = await _administered(client, command.mailbox)
    lines = [(place.owner or client.account.address, _EVERYTHING)]
    granted = await client.store.access(place.mailbox.account_id, place.mailbox.id)
    lines.extend((line.identifier, letters(line.rights, virtual=True)) for line in granted)
    client.send(acl.acl(place.mailbox.name, lines, utf8=client.core.utf8))
    await finish(client, ok(b"Access told"))


async def list_rights(client: Client, command: commands.ListRights) -> None:
    """Says the same of every identifier but the owner, so that no account can be found out by it."""
    place = await _administered(client, command.mailbox)
    if command.identifier.startswith("-"):
        client.send(_NEGATIVE)
        return
    is_owner = command.identifier.lower() == (place.owner or client.account.address)
    required, optional = (_EVERYTHING, ()) if is_owner else ("", (*LETTERS, *VIRTUAL))
    client.send(acl.rights_listed(place.mailbox.name, command.identifier, required, optional, utf8=client.core.utf8))
    await finish(client, ok(b"Rights told"))


async def my_rights(client: Client, command: commands.MyRights) -> None:
    """Of a mailbox that the client can do nothing in that shows it, no more than that there is none."""
    place = await access.resolve(client, command.mailbox, Right(0))
    if not place.rights & _SOME:
        raise NotFoundError(command.mailbox)
    client.send(acl.my_rights(place.mailbox.name, letters(place.rights, virtual=True), utf8=client.core.utf8))
    await finish(client, ok(b"Your rights told"))
