"""Bringing a client up to date that knows a mailbox from before (RFC 7162 §3.1.4.1, §3.2.5, §3.2.6).

The store keeps each expunge for ever, so that what vanished is told exactly and the client's sequence match data, which is
for servers that forget, is not needed (RFC 7162 §5.3).
"""

from collections.abc import Sequence
from typing import Final

from poterne.proto.imap import commands, responses
from poterne.proto.imap import fetch as fetch_lines
from poterne.proto.imap.items import FetchAtt, QResync
from poterne.proto.imap.sequence import IndexRanges, SequenceSet
from poterne.session.imap.client import Client
from poterne.session.imap.updates import learn_keywords, recent_flags
from poterne.session.pending import View
from poterne.values.ids import ModSeq
from poterne.values.mailbox import Changes, MessageRow

ROWS_AT_ONCE: Final = 2000
FEW_SPANS: Final = 1000
"""With more unbroken runs of changed messages than this, reading all messages asked for is cheaper than each run."""
_ITEMS: Final = (FetchAtt.UID, FetchAtt.FLAGS, FetchAtt.MODSEQ)


async def resync(client: Client, asked: QResync) -> None:
    """What happened to the messages that the client knows: VANISHED (EARLIER), then FETCH. Another UIDVALIDITY: nothing."""
    mailbox, view = client.selected
    if asked.uid_validity != mailbox.uid_validity:
        return
    changes = await client.store.changes(mailbox.account_id, mailbox.id, ModSeq(asked.modseq))
    known = asked.known_uids or SequenceSet(((1, 0),))
    _tell_vanished(client, view, changes, known)
    rows = [row for row in changes.changed if view.index(row.uid) is not None]
    picked = _closed(known, view).uids([row.uid for row in rows])
    for first, last in picked:
        for start in range(first, last, ROWS_AT_ONCE):
            await _tell_flags(client, view, rows[start : min(start + ROWS_AT_ONCE, last)])


async def _tell_flags(client: Client, view: View, rows: Sequence[MessageRow]) -> None:
    await learn_keywords(client, max(row.flags for row in rows))
    flags = recent_flags(client, view, rows)
    columns = {} if flags is None else {FetchAtt.FLAGS: flags}
    numbers: Sequence[int] = [row.uid for row in rows] if client.uid_only else view.numbers_of(rows, 0, 0)
    items = _ITEMS[1:] if client.uid_only else _ITEMS
    client.send(fetch_lines.rows(items, numbers, rows, client.flag_texts, columns, client.fetch_name))
    await client.flush_if_big()


async def changed_spans(client: Client, command: commands.Fetch, spans: IndexRanges, since: int) -> IndexRanges:
    """Of these positions those whose messages changed after `since`, a superset where they are many.

    With VANISHED it tells first what is gone: later, its numbers would be taken for others (RFC 7162 §3.2.6).
    """
    mailbox, view = client.selected
    changes = await client.store.changes(mailbox.account_id, mailbox.id, ModSeq(since))
    if command.vanished and command.messages.saved:
        pass  # RFC 5182 §2.1: what is gone is no longer in "$"
    elif command.vanished:
        _tell_vanished(client, view, changes, command.messages)
    changed = view.spans_of([row.uid for row in changes.changed])
    if len(changed) > FEW_SPANS and command.window is None:
        return spans
    return _common(spans, changed)


def _tell_vanished(client: Client, view: View, changes: Changes, known: SequenceSet) -> None:
    """Of the UIDs in `known` those that are gone, unless the client still counts them: that is told by VANISHED alone."""
    gone = changes.vanished
    if not gone:
        return
    found = [gone[i] for first, last in _closed(known, view).uids(gone) for i in range(first, last)]
    if changes.highest_modseq > view.modseq or view.gone:
        found = [uid for uid in found if view.index(uid) is None]
    if found:
        client.send(responses.vanished(found, earlier=True))


def _closed(known: SequenceSet, view: View) -> SequenceSet:
    """The set with numbers in the place of "*", which is the last UID given, so that it holds for messages that are gone."""
    return SequenceSet(tuple(known.ranges(view.uid_next - 1)))


def _common(some: IndexRanges, others: IndexRanges) -> IndexRanges:
    """What is in both."""
    found: IndexRanges = []
    i = k = 0
    while i < len(some) and k < len(others):
        first, last = max(some[i][0], others[k][0]), min(some[i][1], others[k][1])
        if first < last:
            found.append((first, last))
        if some[i][1] <= others[k][1]:
            i += 1
        else:
            k += 1
    return found
