"""Sets of message numbers or UIDs, as clients write them and as ranges of a mailbox."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

STAR: Final = 0
"""Stands for "*", the highest number in use (RFC 9051 §9 seq-number)."""
MAX_NUMBER: Final = 2**32 - 1

IndexRanges = list[tuple[int, int]]
"""Half-open ranges [start, stop) of indexes into a mailbox's UIDs, ascending and disjoint; index 0 is message 1."""


class SequenceSet(msgspec.Struct, frozen=True):
    """A `sequence-set` of RFC 9051 §9. `parts` are as given, each (first, last) in any order, STAR for "*".

    The set "$" (RFC 5182, the saved search result) has `saved` True and no parts: the session puts its own ranges there.
    """

    parts: tuple[tuple[int, int], ...]
    saved: bool = False

    def ranges(self, highest: int) -> list[tuple[int, int]]:
        """Closed ranges, ascending and disjoint, with "*" as `highest`. `highest` 0 (empty mailbox) gives none for "*"."""
        return _merged(
            (low, high)
            for low, high in (_ordered(first or highest, last or highest) for first, last in self.parts)
            if low
        )

    def numbers(self, exists: int) -> IndexRanges | None:
        """Index ranges of a set of message sequence numbers; None if one is beyond `exists`, which deserves a BAD.

        RFC 9051 §9 seq-number makes any number above the count of messages an error. "n:*" is spared, in an empty mailbox
        too: clients ask so for what is new, and no answer but the last message, or none, could be meant.
        """
        clamped: list[tuple[int, int]] = []
        for first, last in self.parts:
            if first and last:
                low, high = _ordered(first, last)
                if high > exists:
                    return None
                clamped.append((low, high))
            elif exists:
                clamped.append((min(first or last or exists, exists), exists))
        return [(low - 1, high) for low, high in _merged(clamped)]

    def uids(self, uids: Sequence[int]) -> IndexRanges:
        """Index ranges of a set of UIDs in the ascending sequence `uids`. UIDs that do not exist are passed over."""
        if not uids:
            return []
        found: IndexRanges = []
        at = 0
        for low, high in self.ranges(uids[-1]):
            start = bisect_left(uids, low, at)
            at = bisect_right(uids, high, start)
            if start < at:
                if found and found[-1][1] == start:
                    found[-1] = (found[-1][0], at)
                else:
                    found.append((start, at))
        return found

    def holds(self, number: int, highest: int) -> bool:
        """Is `number` in the set, with "*" as `highest`?"""
        for first, last in self.parts:
            low, high = _ordered(first or highest, last or highest)
            if low <= number <= high:
                return True
        return False


SAVED: Final = SequenceSet((), saved=True)
"""The set "$"."""


def indexes(ranges: IndexRanges) -> Iterator[int]:
    """Every index of the ranges, ascending."""
    for start, stop in ranges:
        yield from range(start, stop)


def number_runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Closed runs of ascending numbers: 1 2 3 7 becomes (1, 3) (7, 7)."""
    runs: list[tuple[int, int]] = []
    first = last = -1
    for number in numbers:
        if number == last + 1 and first >= 0:
            last = number
            continue
        if first >= 0:
            runs.append((first, last))
        first = last = number
    if first >= 0:
        runs.append((first, last))
    return runs


def render_set(numbers: Iterable[int]) -> bytes:
    """Ascending numbers as the shortest set: b"1:3,7". Empty for none, which no grammar allows: ask first."""
    return b",".join([b"%d" % low if low == high else b"%d:%d" % (low, high) for low, high in number_runs(numbers)])


def _ordered(first: int, last: int) -> tuple[int, int]:
    return (first, last) if first <= last else (last, first)


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            if high > merged[-1][1]:
                merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return merged
