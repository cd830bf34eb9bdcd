"""Out of an account: what both forms of export share."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from poterne.store.interface import Store
from poterne.values.directory import Account
from poterne.values.ids import BlobId
from poterne.values.mailbox import KEYWORD_SHIFT, Flag, Mailbox, MessageRow, UidRange

PAGE: Final = 500
WHOLE_BYTES: Final = 4 * 1024 * 1024
"""A message up to this size is read in one go."""
_SYSTEM: Final = {
    Flag.SEEN: "\\Seen",
    Flag.ANSWERED: "\\Answered",
    Flag.FLAGGED: "\\Flagged",
    Flag.DELETED: "\\Deleted",
    Flag.DRAFT: "\\Draft",
}


@dataclass(frozen=True, slots=True)
class Out:
    """One message."""

    row: MessageRow
    blob: BlobId
    flags: frozenset[str]
    keywords: tuple[str, ...]


def named(flags: int, keywords: Sequence[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """System flags and keywords of these bits."""
    system = frozenset(name for flag, name in _SYSTEM.items() if flags & flag)
    return system, tuple(name for bit, name in enumerate(keywords) if flags >> (KEYWORD_SHIFT + bit) & 1)


async def messages(store: Store, account: Account, mailbox: Mailbox) -> AsyncIterator[Out]:
    """Those that are there now, by UID. Raises StoreError."""
    after = 0
    while True:
        page = [UidRange(after + 1, after + 20 * PAGE)]
        if after + 1 >= mailbox.uid_next:
            return
        rows = store.rows(account.id, mailbox.id, page)
        for start in range(0, len(rows), PAGE):
            some = rows[start : start + PAGE]
            span = [UidRange(some[0].uid, some[-1].uid)]
            blobs = {
                one.uid: one.blob
                for one in store.contents(account.id, mailbox.id, span, envelope=False, structure=False, parsed=False)
            }
            for row in some:
                if row.uid in blobs:  # else it went meanwhile
                    yield Out(row, blobs[row.uid], *named(row.flags, account.keywords))
        after += 20 * PAGE


async def pieces(store: Store, blob: BlobId) -> AsyncIterator[bytes]:
    """Its octets. Raises StoreError."""
    if blob.size <= WHOLE_BYTES:
        yield store.blobs.read(blob)
        return
    async for piece in store.blobs.stream(blob):
        yield piece
