"""COPY and MOVE (RFC 9051 §6.4.7, §6.4.8; COPYUID of RFC 4315)."""

from typing import Final

from poterne.proto.imap import commands, responses
from poterne.proto.imap.responses import Condition, ok
from poterne.proto.imap.sequence import IndexRanges
from poterne.session.imap import access
from poterne.session.imap.client import Client
from poterne.session.imap.errors import NOPERM
from poterne.session.imap.foreign import Place
from poterne.session.imap.positions import EXPUNGED, NO_SUCH_NUMBER, READ_ONLY, names_gone, positions
from poterne.session.imap.updates import finish, sync
from poterne.values.mailbox import Copied
from poterne.values.sharing import Right, changeable

_TAKE: Final = Right.DELETE_MESSAGES | Right.EXPUNGE


async def copy(client: Client, command: commands.Copy) -> None:
    """All or nothing; messages that are gone already are passed over."""
    spans = positions(client, command.messages, uid=command.uid)
    if spans is None:
        client.send(NO_SUCH_NUMBER)
        return
    destination = await _destination(client, command.mailbox)
    if destination is None:
        return
    gone = not command.uid and names_gone(client, spans)
    copied = await _carry(client, spans, destination, move=False) if spans else None
    if copied is not None and copied.source:
        client.did(destination.mailbox, copied.destination)
        await finish(client, ok(b"Copied", _copyuid(copied)))
    else:
        await finish(client, EXPUNGED if gone else ok(b"Nothing to copy"))


async def move(client: Client, command: commands.Move) -> None:
    """COPYUID comes in an untagged OK before the EXPUNGEs, as RFC 6851 §4.3 advises."""
    if client.read_only:
        client.send(READ_ONLY)
        return
    if _TAKE & ~client.rights:  # RFC 6851 §4.2
        client.send(NOPERM)
        return
    _, view = client.selected
    spans = positions(client, command.messages, uid=command.uid)
    if spans is None:
        client.send(NO_SUCH_NUMBER)
        return
    destination = await _destination(client, command.mailbox)
    if destination is None:
        return
    gone = not command.uid and names_gone(client, spans)
    if spans:
        moved = await _carry(client, spans, destination, move=True)
        if moved.source:
            client.did(destination.mailbox, moved.destination)
            client.send(responses.status_line(Condition.OK, b"Moved", _copyuid(moved)))
            view.remove(moved.source)
            await sync(client, expunge=True)
            await finish(client, ok(b"Moved"))
            return
    await finish(client, EXPUNGED if gone else ok(b"Nothing to move"))


async def _carry(client: Client, spans: IndexRanges, destination: Place, *, move: bool) -> Copied:
    """Into another account, or where not all flags may be set, it is more work."""
    mailbox, view = client.selected
    box, now = destination.mailbox, int(client.service.clock())
    kept = changeable(destination.rights)
    if box.account_id == mailbox.account_id and kept == -1:
        carry = client.store.move if move else client.store.copy
        return await carry(mailbox.account_id, mailbox.id, view.ranges(spans), box.id, now)
    return await client.store.copy_to(
        mailbox.account_id,
        mailbox.id,
        view.ranges(spans),
        box.account_id,
        box.id,
        now,
        flags_kept=kept,
        move=move,
    )


async def _destination(client: Client, name: str) -> Place | None:
    """Where messages may be put; None: there is no such mailbox, and the client was told so."""
    found = await access.destination(client, name)
    if isinstance(found, Place):
        return found
    client.send(found)
    return None


def _copyuid(copied: Copied) -> responses.Code:
    return responses.code_copyuid(copied.uid_validity, copied.source, copied.destination)
