"""Which mailbox a name is, and what the client may do there (RFC 4314).

Theory of operation. What is somebody else's has a name of the form `Other Users/<owner's address>/<mailbox>`. `resolve` is the
one door: a name that does not begin so is one's own, which costs one comparison; else the store says whether the mailbox
is there and what this account may do in it. Without the right `l` nobody hears more than that there is no such mailbox, so
that existing ones cannot be told from missing ones (RFC 4314 §6); with it, what may not be done is refused with NOPERM.

The rights in the selected mailbox are looked up again when they are older than `STALE_S`, before a command and before anything
is told (`recheck`). Who has lost `r` is told nothing more but BYE.
"""

from dataclasses import replace
from time import monotonic
from typing import Final

from msgspec import structs

from poterne.proto.imap import responses
from poterne.proto.imap.responses import Completed, Condition
from poterne.session.imap.client import Client
from poterne.session.imap.errors import NONEXISTENT, TRYCREATE, NotPermittedError
from poterne.session.imap.foreign import PREFIX, Foreign, Place, is_foreign, split
from poterne.session.imap.turns import Turn
from poterne.store.errors import NotFoundError
from poterne.values.directory import Account
from poterne.values.event import Event
from poterne.values.ids import AccountId
from poterne.values.mailbox import Mailbox
from poterne.values.sharing import EVERY_RIGHT, Right, Shared, changeable

STALE_S: Final = 2.0


async def resolve(client: Client, name: str, needed: Right) -> Place:
    """The mailbox of this name. NotFoundError; NotPermittedError: a right of `needed` is missing, and `l` is not."""
    if not is_foreign(name):
        return Place(await client.store.mailbox(client.account.id, name), EVERY_RIGHT, "")
    try:
        place = await _foreign(client, name)
    except NotFoundError:  # or one of one's own that has had such a name from before there was anything of others
        return Place(await client.store.mailbox(client.account.id, name), EVERY_RIGHT, "")
    require(place, needed)
    return place


async def destination(client: Client, name: str) -> Place | Completed:
    """Where messages may be put; or what is told where there is no such mailbox: CREATE may help, or not (TRYCREATE)."""
    try:
        place = await resolve(client, name, Right.INSERT)
    except NotFoundError:
        return NONEXISTENT if is_foreign(name) and not await may_create(client, name) else TRYCREATE
    return place if place.mailbox.selectable else TRYCREATE


async def parent(client: Client, name: str) -> Place:
    """The mailbox of others below which this one may be made. Raises as `resolve` does."""
    found = await may_create(client, name)
    if found is None:
        raise NotPermittedError(name) if await _sees_above(client, name) else NotFoundError(name)
    return found


async def _sees_above(client: Client, name: str) -> bool:
    """May it see any mailbox above this name? Then it may hear that it must not make one there."""
    owner, path = split(name)
    owner = owner.lower()
    return any(
        place.owner == owner and path.startswith(place.path + "/") and Right.LOOKUP in place.rights
        for place in await others(client)
    )


async def may_create(client: Client, name: str) -> Place | None:
    """The nearest mailbox above a name of others' that is there, if this one may be made in it (RFC 4314 §4)."""
    owner, path = split(name)
    owner = owner.lower()
    mine = {place.path: place for place in await others(client) if place.owner == owner}
    if not mine:
        return None
    account_id = next(iter(mine.values())).mailbox.account_id
    there = {box.name for box in await client.store.mailboxes(account_id) if box.selectable}
    while "/" in path:
        path = path.rpartition("/")[0]
        if path in there:
            place = mine.get(path)
            return place if place is not None and Right.CREATE in place.rights else None
    return None


def require(place: Place, needed: Right) -> None:
    """Raises as `resolve` does."""
    if needed & ~place.rights:
        raise (
            NotPermittedError(place.mailbox.name) if Right.LOOKUP in place.rights else NotFoundError(place.mailbox.name)
        )


async def may_still(client: Client, place: Place, needed: Right) -> bool:
    """Is this allowed in somebody else's mailbox now? It was, when the command began, which may be long ago."""
    rights = await client.store.rights(client.account.id, place.mailbox.account_id, place.mailbox.id)
    return not needed & ~rights


async def _foreign(client: Client, name: str) -> Place:
    owner, path = split(name)
    place = _place(client, await client.store.shared_mailbox(client.account.id, owner, path))
    if place is None:
        raise NotFoundError(name)
    return place


async def others(client: Client) -> list[Place]:
    """All mailboxes of others where the client has any right, by owner and name. One indexed read where they are few."""
    found: list[Place] = []
    turn = Turn()
    for shared in await client.store.shared_with(client.account.id):
        place = _place(client, shared)
        if place is not None:
            found.append(place)
        if turn.over:
            await turn.give_way()
    return found


def _place(client: Client, shared: Shared) -> Place | None:
    """None where an organisation's mail stays in its domain."""
    if not may_meet(client, shared.owner, client.account.address):
        return None
    name = f"{PREFIX}{shared.owner}/{shared.mailbox.name}"
    return Place(structs.replace(shared.mailbox, name=name, special_use=None), shared.rights, shared.owner)


def may_meet(client: Client, owner: str, other: str) -> bool:
    """May these two accounts share a mailbox?"""
    return client.service.settings.share_across_domains or _domain(owner) == _domain(other)


def _domain(address: str) -> str:
    return address.rpartition("@")[2]


async def account_of(client: Client, account_id: AccountId) -> Account:
    """An account of which the client has a mailbox at hand. Read only if nothing is known of it yet."""
    if account_id == client.account.id:
        return client.account
    if client.foreign is not None and client.foreign.owner.id == account_id:
        return client.foreign.owner
    return await client.store.account_by_id(account_id)


def event(client: Client, place: Place, kind: str, **detail: str | int | bool | None) -> Event:
    """An event about this mailbox: its owner's, with who did it if that was somebody else."""
    made = client.event(kind, **detail)
    if not place.owner:
        return made
    return replace(made, account_id=place.mailbox.account_id, detail={**made.detail, "by": client.account.address})


def is_selected(client: Client, mailbox: Mailbox) -> bool:
    selected = client.mailbox
    return selected is not None and selected.id == mailbox.id and selected.account_id == mailbox.account_id


# The selected mailbox


async def enter(client: Client, place: Place, *, examined: bool) -> None:
    """It is the selected one now. Costs nothing for one's own."""
    if not place.owner or client.mailbox is None:
        return
    client.mailbox = structs.replace(client.mailbox, name=place.mailbox.name, special_use=None)
    owner = await client.store.account_by_id(place.mailbox.account_id)
    client.enter(Foreign(owner, place.rights, monotonic() + STALE_S, examined=examined))


async def recheck(client: Client) -> None:
    """Look the rights up again if it is time. Who may read no more is told BYE; other changes are told (RFC 4314 §5.1.1)."""
    foreign, mailbox = client.foreign, client.mailbox
    now = monotonic()
    if foreign is None or mailbox is None or now < foreign.check_at:
        return
    rights = await client.store.rights(client.account.id, mailbox.account_id, mailbox.id)
    foreign.check_at = now + STALE_S
    if Right.READ not in rights:
        client.part(b"The selected mailbox cannot be read any more")
    elif rights != foreign.rights:
        foreign.rights = rights
        was, client.read_only = client.read_only, foreign.read_only
        tell_flags(client)
        if client.read_only and not was:
            client.send(responses.status_line(Condition.OK, b"Nothing can be changed any more", responses.READ_ONLY))


async def may_go_on(client: Client) -> bool:
    """In an answer: may the client still read this mailbox? If not, it is told BYE, however slowly it takes what it asked for."""
    if client.presence.revoked:
        client.revoke()
    else:
        await recheck(client)
    return not client.over


def tell_flags(client: Client) -> None:
    """FLAGS and PERMANENTFLAGS."""
    client.send(responses.flags(client.flag_texts.all()))
    code = responses.code_permanentflags(permanent_flags(client))
    client.send(responses.status_line(Condition.OK, b"Flags that can be kept", code))


def permanent_flags(client: Client) -> bytes:
    """The flags of the selected mailbox that this client may change."""
    if client.read_only:
        return b"()"
    if client.foreign is None:
        return client.flag_texts.permanent(more=True)
    return client.flag_texts.permanent(more=Right.WRITE in client.rights, allowed=changeable(client.rights))
