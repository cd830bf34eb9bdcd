"""Which messages of the view a command means."""

from collections.abc import Sequence
from typing import Final

from poterne.proto.imap import responses
from poterne.proto.imap.items import Window
from poterne.proto.imap.responses import bad, no
from poterne.proto.imap.sequence import IndexRanges, SequenceSet
from poterne.session.imap.client import Client
from poterne.values.mailbox import ContentRow, MessageRow

NO_SUCH_NUMBER: Final = bad(b"No message has that number")
"""RFC 9051 §9, seq-number: an error in the command."""
READ_ONLY: Final = no(b"The mailbox is open read-only", responses.READ_ONLY)
EXPUNGED: Final = no(b"Some of these messages do not exist any more", responses.EXPUNGEISSUED)
"""RFC 5530 §3; told where a number stands for a message that is gone, but the client could not be told so (RFC 2180 §4.1.2)."""


def positions(client: Client, messages: SequenceSet, *, uid: bool) -> IndexRanges | None:
    """Index ranges in the view; None when a sequence number is beyond the last message."""
    _, view = client.selected
    if messages.saved:
        return view.spans_of(client.saved) if client.saved is not None else []
    return messages.uids(view.uids) if uid else messages.numbers(len(view))


def names_gone(client: Client, spans: IndexRanges) -> bool:
    """Is one of these messages gone already, without the client knowing?"""
    _, view = client.selected
    for uid in view.gone:
        index = view.index(uid)
        if index is not None and any(first <= index < last for first, last in spans):
            return True
    return False


def part_of(spans: IndexRanges, window: Window) -> IndexRanges:
    """The window of all positions in these spans (RFC 9394 §3.3)."""
    start, stop = window.within(sum(last - first for first, last in spans))
    found: IndexRanges = []
    passed = 0
    for first, last in spans:
        low, high = max(first, first + start - passed), min(last, first + stop - passed)
        if low < high:
            found.append((low, high))
        passed += last - first
    return found


def paired(
    rows: Sequence[MessageRow], contents: Sequence[ContentRow]
) -> tuple[Sequence[MessageRow], Sequence[ContentRow]]:
    """Both for the same messages: one may be missing in either, expunged between the two reads, or unchanged since."""
    if len(rows) == len(contents) and all(row.uid == content.uid for row, content in zip(rows, contents, strict=True)):
        return rows, contents
    by_uid = {content.uid: content for content in contents}
    both = [row for row in rows if row.uid in by_uid]
    return both, [by_uid[row.uid] for row in both]
