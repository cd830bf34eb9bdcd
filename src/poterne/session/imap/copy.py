"""COPY and MOVE (RFC 9051 §6.4.7, §6.4.8; COPYUID of RFC 4315)."""

from poterne.proto.imap import commands, responses
from poterne.proto.imap.responses import Condition, ok
from poterne.session.imap.client import Client
from poterne.session.imap.errors import TRYCREATE
from poterne.session.imap.positions import EXPUNGED, NO_SUCH_NUMBER, READ_ONLY, names_gone, positions
from poterne.session.imap.updates import finish, sync
from poterne.store.errors import NotFoundError
from poterne.values.mailbox import Copied, Mailbox


async def copy(client: Client, command: commands.Copy) -> None:
    """All or nothing; messages that are gone already are passed over."""
    mailbox, view = client.selected
    spans = positions(client, command.messages, uid=command.uid)
    if spans is None:
        client.send(NO_SUCH_NUMBER)
        return
    destination = await _destination(client, command.mailbox)
    if destination is None:
        client.send(TRYCREATE)
        return
    gone = not command.uid and names_gone(client, spans)
    copied = None
    if spans:
        copied = await client.store.copy(
            mailbox.account_id, mailbox.id, view.ranges(spans), destination.id, int(client.service.clock())
        )
    if copied is not None and copied.source:
        if client.watch is not None:
            client.watch.did(destination.id, copied.destination)
        await finish(client, ok(b"Copied", _copyuid(copied)))
    else:
        await finish(client, EXPUNGED if gone else ok(b"Nothing to copy"))


async def move(client: Client, command: commands.Move) -> None:
    """COPYUID comes in an untagged OK before the EXPUNGEs, as RFC 6851 §4.3 advises."""
    if client.read_only:
        client.send(READ_ONLY)
        return
    mailbox, view = client.selected
    spans = positions(client, command.messages, uid=command.uid)
    if spans is None:
        client.send(NO_SUCH_NUMBER)
        return
    destination = await _destination(client, command.mailbox)
    if destination is None:
        client.send(TRYCREATE)
        return
    gone = not command.uid and names_gone(client, spans)
    if spans:
        moved = await client.store.move(
            mailbox.account_id, mailbox.id, view.ranges(spans), destination.id, int(client.service.clock())
        )
        if moved.source:
            if client.watch is not None:
                client.watch.did(destination.id, moved.destination)
            client.send(responses.status_line(Condition.OK, b"Moved", _copyuid(moved)))
            view.remove(moved.source)
            await sync(client, expunge=True)
            await finish(client, ok(b"Moved"))
            return
    await finish(client, EXPUNGED if gone else ok(b"Nothing to move"))


async def _destination(client: Client, name: str) -> Mailbox | None:
    try:
        mailbox = await client.store.mailbox(client.account.id, name)
    except NotFoundError:
        return None
    return mailbox if mailbox.selectable else None


def _copyuid(copied: Copied) -> responses.Code:
    return responses.code_copyuid(copied.uid_validity, copied.source, copied.destination)
