"""The UIDs of the mailboxes that are in use, so that SELECT and NOOP need not read them all again."""

from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Final

from poterne.store.sqlite import mailbox_rows, messages
from poterne.store.sqlite.reader import Reader
from poterne.values.ids import AccountId, MailboxId
from poterne.values.mailbox import Mailbox

_FEW_RANGES: Final = 100
"""With more expunged ranges than these, all UIDs are read again."""
_DERIVED_LEAST: Final = 2_000
_DERIVED_RANGES: Final = 500
"""From so many messages on, and up to so many expunged ranges, UIDs need not be read."""


class UidCache:
    """Least recently used go first when there are more than `limit_bytes`; 4 bytes a UID."""

    def __init__(self, reader: Reader, limit_bytes: int) -> None:
        self._reader = reader
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._known: OrderedDict[tuple[AccountId, MailboxId], tuple[Mailbox, bytes]] = OrderedDict()

    def uids(self, account_id: AccountId, mailbox_id: MailboxId) -> tuple[Mailbox, bytes]:
        """The row and the UIDs as native uint32, of one snapshot."""
        key = (account_id, mailbox_id)
        with self._reader.snapshot():
            row = mailbox_rows.by_id(self._reader, account_id, mailbox_id)
            held = self._known.pop(key, None)
            uids = self._current(row, held)
        if held is not None:
            self._held_bytes -= len(held[1])
        self._known[key] = (row, uids)
        self._held_bytes += len(uids)
        while self._held_bytes > self._limit_bytes and len(self._known) > 1:
            _, (_, dropped) = self._known.popitem(last=False)
            self._held_bytes -= len(dropped)
        return row, uids

    def _current(self, row: Mailbox, held: tuple[Mailbox, bytes] | None) -> bytes:
        if held is not None and held[0].uid_validity == row.uid_validity:
            before, uids = held
            if before.highest_modseq == row.highest_modseq:
                return uids
            gone = self._reader.all(
                "SELECT first_uid, last_uid FROM expunged WHERE account_id = ? AND mailbox_id = ? AND modseq > ? LIMIT ?",
                (row.account_id, row.id, before.highest_modseq, _FEW_RANGES + 1),
            )
            if len(gone) <= _FEW_RANGES:
                kept = _without(uids, gone) if gone else uids
                return kept + self._read(row, before.uid_next) if row.uid_next > before.uid_next else kept
        derived = self._derived(row)
        return self._read(row, 1) if derived is None else derived

    def _derived(self, row: Mailbox) -> bytes | None:
        """All UIDs that were ever given but for those that went: a fraction of the cost of reading each.

        None where that is not what is there: what is there is a part of it, so it is the same exactly if it is as many.
        """
        if row.uid_next > _DERIVED_LEAST and row.uid_next <= 2 * row.messages:
            gone = self._reader.all(
                "SELECT first_uid, last_uid FROM expunged WHERE account_id = ? AND mailbox_id = ? LIMIT ?",
                (row.account_id, row.id, _DERIVED_RANGES + 1),
            )
            count = row.uid_next - 1 - sum([last - first + 1 for first, last in gone])
            if len(gone) <= _DERIVED_RANGES and count == row.messages:
                uids = array("I", range(1, row.uid_next)).tobytes()
                return _without(uids, sorted(gone, reverse=True)) if gone else uids
        return None

    def _read(self, row: Mailbox, first: int) -> bytes:
        return array("I", messages.all_uids(self._reader, row.account_id, row.id, first)).tobytes()


def _without(uids: bytes, gone: Iterable[tuple[Any, ...]]) -> bytes:
    """The UIDs but for these ranges, both ends included."""
    kept = array("I")
    kept.frombytes(uids)
    for first, last in gone:
        del kept[bisect_left(kept, first) : bisect_right(kept, last)]
    return kept.tobytes()
