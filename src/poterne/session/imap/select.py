"""SELECT, EXAMINE, UNSELECT, CLOSE, CHECK, NOOP, EXPUNGE and IDLE: the life of a selected mailbox."""

from bisect import bisect_left
from functools import lru_cache, partial
from typing import Final

from poterne.net.link import Poke
from poterne.proto.imap import commands, responses
from poterne.proto.imap.responses import Condition, Continue, Untagged, bad, ok
from poterne.session.imap import access, annotated, object_ids
from poterne.session.imap.client import Client
from poterne.session.imap.errors import NOPERM
from poterne.session.imap.mailboxes import attributes
from poterne.session.imap.positions import READ_ONLY, positions
from poterne.session.imap.resync import resync
from poterne.session.imap.updates import finish, leave, sync
from poterne.session.pending import View
from poterne.store.errors import NotFoundError, StoreError
from poterne.values.ids import ModSeq
from poterne.values.mailbox import Flag, Mailbox
from poterne.values.sharing import Right

_LEFT: Final = responses.status_line(Condition.OK, b"The mailbox before is closed", responses.CLOSED)
_SELECTED: Final = ok(b"Selected", responses.READ_WRITE)
_EXAMINED: Final = ok(b"Examined, read-only", responses.READ_ONLY)
_UNCHANGEABLE: Final = ok(b"Selected; nothing can be changed", responses.READ_ONLY)


async def select(client: Client, command: commands.Select) -> None:
    """RFC 9051 §6.3.2, RFC 3501 §6.3.1. A failed SELECT leaves no mailbox selected."""
    if command.qresync is not None and not client.qresync:
        client.send(bad(b"QRESYNC is not enabled"))
        return
    if client.view is not None:
        await leave(client)
        client.core.selected(False)
        client.send(_LEFT)
    if command.condstore:
        client.enable_condstore()
    place = await access.resolve(client, command.mailbox, Right.READ)
    mailbox = place.mailbox
    if not mailbox.selectable:
        raise NotFoundError(command.mailbox)
    # Before the snapshot is taken, so that nothing falls between the two.
    client.unsubscribe = client.service.notifier.subscribe(mailbox.account_id, mailbox.id, partial(wake, client))
    try:
        client.mailbox, client.view = await client.service.snapshots.open(mailbox)
        client.read_only = command.read_only
        if place.owner:
            await access.enter(client, place, examined=command.read_only)
        mailbox, view = client.selected
        await _recent(client, mailbox, view)
        await _describe(client, mailbox, view, resyncs=command.qresync is not None)
        if command.qresync is not None:
            await resync(client, command.qresync)
    except StoreError:
        client.deselect()
        raise
    client.core.selected(True)
    if command.read_only:
        client.send(_EXAMINED)
    elif client.read_only:
        client.send(_UNCHANGEABLE)
    else:
        client.send(_SELECTED)


def wake(client: Client, modseq: ModSeq) -> None:
    """The mailbox is at `modseq` now. Pokes the connection only where the client waits for it."""
    client.heard = max(client.heard, modseq)
    if client.view is None or modseq <= client.view.modseq:
        return
    if client.watch is not None:
        client.watch.look()
    elif client.idling:
        client.link.poke(Poke.CHANGED)


async def _recent(client: Client, mailbox: Mailbox, view: View) -> None:
    if client.rev2 or mailbox.recent_uid >= mailbox.uid_next:
        return
    first: int = mailbox.recent_uid
    if not client.read_only:
        first = await client.store.claim_recent(mailbox.account_id, mailbox.id)
        first = client.service.snapshots.claim(mailbox.account_id, mailbox.id, first, view.uid_next)
    view.claimed(first, view.uid_next - 1)


async def _describe(client: Client, mailbox: Mailbox, view: View, *, resyncs: bool) -> None:
    # A client that resyncs knows it. RFC 3501 §6.3.1: without it, nothing can be assumed.
    unseen = 0 if client.rev2 or resyncs or client.uid_only else await first_unseen(client, mailbox, view)
    recent = None if client.rev2 else view.count_recent()
    flags, permanent = client.flag_texts.all(), access.permanent_flags(client)
    text = _description(mailbox, len(view), recent, unseen, flags, permanent)
    if client.rev2:
        text += responses.list_mailbox(mailbox.name, attributes(mailbox), utf8=client.core.utf8)
        if client.watch is not None and client.foreign is None:
            client.watch.listed(mailbox)
    client.send(Untagged(text))


@lru_cache(maxsize=256)
def _description(
    mailbox: Mailbox, messages: int, recent: int | None, unseen: int, flags: bytes, permanent: bytes
) -> bytes:
    """What SELECT tells of a mailbox. Kept, as clients select the same few again and again. `unseen` 0: none is told."""
    told = [responses.flags(flags), responses.exists(messages)]
    if recent is not None:
        told.append(responses.recent(recent))
    codes = [(b"First unseen", responses.code_unseen(unseen))] if unseen else []
    codes += [
        (b"Flags that can be kept", responses.code_permanentflags(permanent)),
        (b"UIDs valid", responses.code_uidvalidity(mailbox.uid_validity)),
        (b"Next UID", responses.code_uidnext(mailbox.uid_next)),
        (b"Highest", responses.code_highestmodseq(mailbox.highest_modseq)),
        (b"Its identity", responses.code_mailboxid(object_ids.mailbox(mailbox))),
    ]
    told += [responses.status_line(Condition.OK, text, code) for text, code in codes]
    return b"".join(told)


async def first_unseen(client: Client, mailbox: Mailbox, view: View) -> int:
    r"""The number of the first message without \Seen, 0 if there is none. Remembered as long as nothing changes."""
    if not mailbox.unseen:
        return 0
    snapshots = client.service.snapshots
    uid = snapshots.first_unseen(mailbox)
    if uid is None:
        before = snapshots.unseen_before(mailbox)
        among_old = 2 * bisect_left(view.uids, before) < len(view) if before else 2 * mailbox.unseen > mailbox.messages
        uids = await client.store.flagged(mailbox.account_id, mailbox.id, 0, Flag.SEEN, lowest=among_old)
        uid = uids[0] if uids else 0
        snapshots.remember_unseen(mailbox, uid)
    index = view.index(uid)
    return 0 if index is None else index + 1


async def unselect(client: Client, _command: commands.Unselect) -> None:
    """RFC 3691."""
    await leave(client)
    client.core.selected(False)
    client.send(ok(b"Unselected"))


async def close(client: Client, _command: commands.Close) -> None:
    r"""RFC 9051 §6.4.1: removes what is \Deleted, silently; EXAMINE's CLOSE removes nothing.

    Nor does that of a client without the right to (RFC 4314 §4).
    """
    mailbox, _ = client.selected
    keeps = client.read_only or Right.EXPUNGE not in client.rights
    await leave(client)
    client.core.selected(False)
    if not keeps:
        client.did(mailbox, await client.store.expunge(mailbox.account_id, mailbox.id, None))
    client.send(ok(b"Closed"))


async def expunge(client: Client, command: commands.Expunge) -> None:
    """EXPUNGE and UID EXPUNGE (RFC 4315 §2.1)."""
    mailbox, view = client.selected
    if client.read_only:
        client.send(READ_ONLY)
        return
    if Right.EXPUNGE not in client.rights:
        client.send(NOPERM)
        return
    # What came after the last thing we told is not the client's to remove: the ranges end with the view.
    everything = [(0, len(view))] if len(view) else []
    spans = everything if command.uids is None else positions(client, command.uids, uid=True)
    if spans:
        view.remove(await client.store.expunge(mailbox.account_id, mailbox.id, view.ranges(spans)))
        await sync(client, expunge=True)
    await finish(client, ok(b"Expunged"))


async def noop(client: Client, _command: commands.Noop | commands.Check) -> None:
    """Also CHECK. Always asks the store: this is how polling clients hear of mail."""
    await sync(client, expunge=True)
    await finish(client, ok(b"Done"))


async def idle(client: Client, _command: commands.Idle) -> None:
    """RFC 2177. What happened until now is told first; from then on `wake` pokes the link."""
    client.send(Continue())
    client.idling = True
    if client.annotated:
        await annotated.tell(client)
    await sync(client, expunge=True)


async def done(client: Client, _event: commands.Done) -> None:
    client.idling = False
    await finish(client, ok(b"Idle ended"))
