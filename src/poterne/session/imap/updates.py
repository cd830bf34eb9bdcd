"""Tells a client what changed in its mailbox, as far as it may be told now."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from poterne.proto.imap import responses
from poterne.proto.imap.fetch import RECENT
from poterne.proto.imap.responses import Completed, Condition
from poterne.session.imap.client import Client
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
    await catch_up(client, expunge=expunge, told=told)
    client.send(_with_modseq(client, completed) if client.qresync else completed)


def _with_modseq(client: Client, completed: Completed) -> Completed:
    """HIGHESTMODSEQ for who has enabled QRESYNC: after VANISHED, and a lower one while VANISHED waits (RFC 7162 §3.2, §6)."""
    view = client.view
    if view is None or not (view.gone or client.owes_modseq):
        return completed
    client.owes_modseq = False
    code = responses.code_highestmodseq(view.held_at if view.gone else view.modseq)
    if completed.code is None and completed.condition is Condition.OK:
        return replace(completed, code=code)
    client.send(responses.status_line(Condition.OK, b"Highest", code))
    return completed


async def catch_up(client: Client, *, expunge: bool, told: Mapping[int, int] = NOTHING_TOLD) -> None:
    """Tell what is known to have changed. Costs nothing when nothing is."""
    if client.view is not None and (client.heard > client.view.modseq or (expunge and client.view.gone)):
        await sync(client, expunge=expunge, told=told)


async def sync(client: Client, *, expunge: bool, told: Mapping[int, int] = NOTHING_TOLD) -> None:
    """Ask the store what changed and tell it. A mailbox that was deleted meanwhile ends the connection (RFC 2180 §3.4)."""
    view, mailbox = client.view, client.mailbox
    if view is None or mailbox is None:
        return
    heard, client.heard = client.heard, ModSeq(0)  # before we ask, so that a wake-up meanwhile is kept
    try:
        changes = await client.store.changes(mailbox.account_id, mailbox.id, view.modseq)
    except NotFoundError:
        client.part(b"The selected mailbox was deleted")
        return
    except StoreError:
        client.heard = max(client.heard, heard)
        raise
    await merge(client, changes, expunge=expunge, told=told)


async def merge(client: Client, changes: Changes, *, expunge: bool, told: Mapping[int, int] = NOTHING_TOLD) -> None:
    """Bring the view up to date with what changed, and tell it."""
    mailbox, view = client.selected
    update = view.merge(changes, expunge=expunge, told=told)
    if update:
        client.service.snapshots.share(mailbox.account_id, mailbox.id, view)
        await tell(client, view, mailbox, update)


async def tell(client: Client, view: View, mailbox: Mailbox, update: Update) -> None:
    """EXPUNGE or VANISHED, EXISTS with RECENT, FETCH FLAGS, in the order that keeps numbers right."""
    if update.expunged:
        if client.qresync:
            client.send(responses.vanished(update.vanished))
            client.owes_modseq = True
        else:
            client.send(responses.expunges(update.expunged))
    if update.exists is not None:
        client.send(responses.exists(update.exists))
        if not client.rev2:
            claim(client, view, mailbox)
            client.send(responses.recent(view.count_recent()))
    if update.flags:
        await learn_keywords(client, max(row.flags for _, row in update.flags))
        client.send_all([flags_line(client, number, row) for number, row in update.flags])


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
    client.account = await client.store.account_by_id(client.account.id)
    tell_keywords(client)


def tell_keywords(client: Client) -> None:
    """FLAGS and PERMANENTFLAGS again, because there are more."""
    texts = client.flag_texts
    client.send(responses.flags(texts.all()))
    if not client.read_only:
        code = responses.code_permanentflags(texts.permanent(more=True))
        client.send(responses.status_line(responses.Condition.OK, b"Flags that can be kept", code))


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


def flags_line(client: Client, number: int, row: MessageRow) -> bytes:
    """One FETCH FLAGS that the client did not ask for."""
    _, view = client.selected
    text = client.flag_texts[shown_flags(client, view, row)]
    # RFC 9051 §7.5.2 advises UID in such responses once the client speaks IMAP4rev2; RFC 7162 §3.2.4 wants both.
    uid = b"UID %d " % row.uid if client.rev2 or client.condstore else b""
    modseq = b" MODSEQ (%d)" % row.modseq if client.condstore else b""
    return b"* %d FETCH (%bFLAGS %b%b)\r\n" % (number, uid, text, modseq)
