"""Tells a client what changed in its mailbox, as far as it may be told now."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from contextlib import suppress

from msgspec import structs

from poterne.proto.imap import responses
from poterne.proto.imap.fetch import RECENT
from poterne.proto.imap.responses import Completed, Condition
from poterne.session.imap import annotated
from poterne.session.imap.access import tell_flags
from poterne.session.imap.client import Client
from poterne.session.imap.watch import Watch
from poterne.session.pending import NOTHING_TOLD, Update, View
from poterne.store.errors import NotFoundError, StoreError
from poterne.values.ids import ModSeq
from poterne.values.mailbox import Changes, Mailbox, MessageRow


async def finish(
    client: Client, completed: Completed, *, expunge: bool = True, told: Mapping[int, int] = NOTHING_TOLD
) -> None:
    """End a command: tell what is known to have changed, then the tagged response.

    `expunge` False for FETCH, STORE and SEARCH by sequence number (RFC 9051 §7.5.1).
    """
    if behind(client, expunge=expunge):
        await catch_up(client, expunge=expunge, told=told)
    client.send(_with_modseq(client, completed) if client.qresync else completed)


def _with_modseq(client: Client, completed: Completed) -> Completed:
    """HIGHESTMODSEQ for who has enabled QRESYNC: after VANISHED, and a lower one while VANISHED waits (RFC 7162 §3.2, §6)."""
    view = client.view
    if view is None or not (view.gone or client.owes_modseq):
        return completed
    client.owes_modseq = False
    modseq = view.held_at if view.gone else view.modseq
    if client.watch is not None and client.watch.flags_since:
        modseq = min(modseq, client.watch.flags_since)
    code = responses.code_highestmodseq(modseq)
    if completed.code is None and completed.condition is Condition.OK:
        return structs.replace(completed, code=code)
    client.send(responses.status_line(Condition.OK, b"Highest", code))
    return completed


def behind(client: Client, *, expunge: bool) -> bool:
    """Is anything known that `catch_up` would tell? Mostly nothing is."""
    return client.annotated or _changed(client, expunge=expunge)


def _changed(client: Client, *, expunge: bool) -> bool:
    view = client.view
    return view is not None and (client.heard > view.modseq or (expunge and bool(view.gone)))


async def catch_up(client: Client, *, expunge: bool, told: Mapping[int, int] = NOTHING_TOLD) -> None:
    """Tell what is known to have changed."""
    if client.annotated:
        await annotated.tell(client)
    if _changed(client, expunge=expunge):
        await sync(client, expunge=expunge, told=told)


async def sync(
    client: Client, *, expunge: bool, told: Mapping[int, int] = NOTHING_TOLD, everything: bool = False
) -> None:
    """Ask the store what changed and tell it. A mailbox that was deleted meanwhile ends the connection (RFC 2180 §3.4).

    `everything`: also what the client's NOTIFY keeps from being told.
    """
    view, mailbox, watch = client.view, client.mailbox, client.watch
    if view is None or mailbox is None:
        return
    since = view.modseq
    if watch is not None:
        if watch.frozen and not everything:
            await _tell_own(client, view, mailbox, expunge=expunge)
            return
        if everything and watch.flags_since:
            since = min(since, watch.flags_since)
    heard, client.heard = client.heard, ModSeq(0)  # before we ask, so that a wake-up meanwhile is kept
    try:
        changes = await client.store.changes(mailbox.account_id, mailbox.id, since)
    except NotFoundError:
        client.part(b"The selected mailbox was deleted")
        return
    except StoreError:
        client.heard = max(client.heard, heard)
        raise
    if everything and watch is not None:
        watch.flags_since = ModSeq(0)
        watch = None
    await _merge(client, watch, changes, expunge=expunge, told=told)


async def merge(client: Client, changes: Changes) -> None:
    """Bring the view up to date with what changed, and tell it. Only for commands that may tell of expunges."""
    watch = client.watch
    if watch is None or not watch.frozen:
        await _merge(client, watch, changes, expunge=True, told=NOTHING_TOLD)


def told_of_new(client: Client) -> None:
    """EXISTS, of messages that `View.grow` has added."""
    mailbox, view = client.selected
    client.service.snapshots.share(mailbox.account_id, mailbox.id, view)
    _tell_exists(client, view, mailbox, len(view.uids))


async def _tell_own(client: Client, view: View, mailbox: Mailbox, *, expunge: bool) -> None:
    """Of a mailbox that the client wants to hear nothing of: what it has removed itself."""
    if expunge and view.gone:
        vanished = sorted(view.gone)
        await tell(client, view, mailbox, Update(view.release(), None, (), vanished))


async def _merge(
    client: Client, watch: Watch | None, changes: Changes, *, expunge: bool, told: Mapping[int, int]
) -> None:
    mailbox, view = client.selected
    if watch is not None:
        await _merge_watched(client, watch, changes, expunge=expunge, told=told)
        return
    update = view.merge(changes, expunge=expunge, told=told)
    if update:
        client.service.snapshots.share(mailbox.account_id, mailbox.id, view)
        await tell(client, view, mailbox, update)


async def _merge_watched(
    client: Client, watch: Watch, changes: Changes, *, expunge: bool, told: Mapping[int, int]
) -> None:
    """The same under the rules of NOTIFY: perhaps without flags; new messages may have to be shown, which `notify` does."""
    mailbox, view = client.selected
    before, uid_next = view.modseq, view.uid_next
    update = view.merge(changes, expunge=expunge, told=told)
    if update.flags and watch.hides_flags:
        watch.flags_since = watch.flags_since or before
        update = Update(update.expunged, update.exists, (), update.vanished)
    if update.exists is not None and watch.rules.items:
        watch.unshown = watch.unshown or uid_next
    if update:
        client.service.snapshots.share(mailbox.account_id, mailbox.id, view)
        await tell(client, view, mailbox, update)


async def tell(client: Client, view: View, mailbox: Mailbox, update: Update) -> None:
    """EXPUNGE or VANISHED, EXISTS with RECENT, FETCH FLAGS, in the order that keeps numbers right."""
    if update.expunged:
        if client.qresync or client.uid_only:
            client.send(responses.vanished(update.vanished))
            client.owes_modseq = True
        else:
            client.send(responses.expunges(update.expunged))
    if update.exists is not None:
        _tell_exists(client, view, mailbox, update.exists)
    if update.flags:
        await learn_keywords(client, max(row.flags for _, row in update.flags))
        client.send_all([flags_line(client, number, row) for number, row in update.flags])


def _tell_exists(client: Client, view: View, mailbox: Mailbox, exists: int) -> None:
    """And RECENT."""
    if client.rev2:
        client.send(responses.exists(exists))
        return
    claim(client, view, mailbox)
    client.send(responses.Untagged(responses.exists(exists) + responses.recent(view.count_recent())))


def claim(client: Client, view: View, mailbox: Mailbox) -> None:
    r"""New messages become \Recent here unless another session of this process was faster."""
    first, view.recent_from = view.recent_from, view.uid_next
    if client.read_only:
        view.claimed(first, view.uid_next - 1)
        return
    view.claimed(
        client.service.snapshots.claim(mailbox.account_id, mailbox.id, first, view.uid_next), view.uid_next - 1
    )
    view.owes_claim = True


async def leave(client: Client) -> None:
    r"""Let go of the selected mailbox, if any. What was \Recent here will not be so to others."""
    view, mailbox = client.view, client.mailbox
    client.deselect()
    if view is not None and mailbox is not None and view.owes_claim:
        with suppress(StoreError):  # at worst somebody sees \Recent once more
            await client.store.claim_recent(mailbox.account_id, mailbox.id)


async def learn_keywords(client: Client, highest_flags: int) -> None:
    """Other sessions make keywords too. When one turns up that we have no name for, learn it and tell the client."""
    if highest_flags < client.flag_texts.limit:
        return
    client.learn(await client.store.account_by_id(client.owner.id))
    tell_keywords(client)


def tell_keywords(client: Client) -> None:
    """FLAGS and PERMANENTFLAGS again, because there are more."""
    if client.read_only:
        client.send(responses.flags(client.flag_texts.all()))
    else:
        tell_flags(client)


def shown_flags(client: Client, view: View, row: MessageRow) -> int:
    r"""The row's flags, with \Recent for who still knows it (RFC 9051 has none)."""
    if view.recent and not client.rev2 and view.is_recent(row.uid):
        return row.flags | RECENT
    return row.flags


def recent_flags(client: Client, view: View, rows: Sequence[MessageRow]) -> list[bytes] | None:
    r"""The flag lists of ascending rows where some may be \Recent; None when none is, which is the rule."""
    if not view.recent or client.rev2 or rows[-1].uid < view.recent[0][0]:
        return None
    texts = client.flag_texts
    if view.recent[-1][0] <= rows[0].uid and rows[-1].uid <= view.recent[-1][1]:
        return [texts[row.flags | RECENT] for row in rows]
    return [texts[shown_flags(client, view, row)] for row in rows]


def with_recent(client: Client, view: View, uids: Sequence[int], flags: list[int]) -> list[int]:
    r"""The flags of ascending UIDs, with \Recent where that is to be shown."""
    if client.rev2:
        return flags
    for first, last in view.recent:
        low, high = bisect_left(uids, first), bisect_right(uids, last)
        if low < high:
            flags[low:high] = [one | RECENT for one in flags[low:high]]
    return flags


def flags_line(client: Client, number: int, row: MessageRow) -> bytes:
    """One FETCH FLAGS that the client did not ask for."""
    _, view = client.selected
    text = client.flag_texts[shown_flags(client, view, row)]
    modseq = b" MODSEQ (%d)" % row.modseq if client.condstore else b""
    if client.uid_only:
        return b"* %d UIDFETCH (FLAGS %b%b)\r\n" % (row.uid, text, modseq)
    # RFC 9051 §7.5.2 advises UID in such responses once the client speaks IMAP4rev2; RFC 7162 §3.2.4 wants both. RFC 5465 §5.1
    # wants UID.
    uid = b"UID %d " % row.uid if client.rev2 or client.condstore or client.watch is not None else b""
    return b"* %d FETCH (%bFLAGS %b%b)\r\n" % (number, uid, text, modseq)
