"""What FETCH showed of whole stretches of a mailbox, ready to be sent again: shared by all sessions of a process.

Theory of operation. Of a message only flags and modseq change. So the texts of the other items are kept by mailbox, item and
stretch of UIDs, in a list as they are joined to lines. They are taken for exactly the UIDs that were put in: what is asked must
be all of a kept stretch, or a part of it without a gap, compared as numbers. With a message more or less it is read anew, and
takes the place of what was there. What is asked for the first time is only noted, since most clients ask once and keep it
themselves: it is kept when it was asked for twice. That the messages are still there is for the caller to ask the store: texts
of one that is gone may stay until they are forgotten, as nobody can ask for them.

The key begins with the account whose mailbox it is. Its number, the mailbox's and UIDs with their UIDVALIDITY are never used
again, so nothing has to be taken out when one of them is removed.
"""

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Final, final

from poterne.proto.imap.items import Binary, BinarySize, BodySection, FetchAtt, FetchItem, SectionText
from poterne.values.ids import AccountId, MailboxId, UidValidity

MAX_BYTES: Final = 16 * 1024 * 1024
"""In a process. What was not used for longest goes first."""
_MOST: Final = 4
"""A part in so many is the most that one stretch may take."""
_SPARSE: Final = 4
"""Where less than one UID in so many has a message, stretches would be short: nothing is kept there."""
_MAX_NAMES: Final = 40
_MAX_NAME_BYTES: Final = 1024
"""Of a list of header fields that is kept, since it is a part of the key."""
_ENTRY_BYTES: Final = 400
_NAME_BYTES: Final = 100
"""Beside its octets, in a set."""
_MAX_ASKED: Final = 8192
_VALUE_BYTES: Final = 33 + 8 + 4
"""Beside its octets: object, place in the list, UID."""

Mark = FetchAtt | frozenset[bytes]
"""An item, or the names of the header fields that were asked for."""
Key = tuple[AccountId, MailboxId, UidValidity]
_Place = tuple[Key, int, int, Mark]

_BESIDE: Final = frozenset({FetchAtt.UID, FetchAtt.FLAGS})
_STEADY: Final = frozenset(FetchAtt) - _BESIDE - {FetchAtt.MODSEQ}
_CHEAP: Final = frozenset({FetchAtt.SIZE, FetchAtt.INTERNALDATE, FetchAtt.EMAILID})
"""In the narrow rows: not worth keeping alone."""


def marks_of(items: Sequence[FetchItem]) -> tuple[Mark, ...]:
    """What of these is kept; nothing if some of it can't be, or if it is not worth it. Fields are last."""
    marks: list[Mark] = []
    fields: list[Mark] = []
    for item in items:
        if isinstance(item, FetchAtt):
            if item in _STEADY:
                marks.append(item)
            elif item not in _BESIDE:
                return ()
        elif (names := _names(item)) is None or fields:
            return ()
        else:
            fields.append(names)
    return () if not fields and _CHEAP.issuperset(marks) else (*marks, *fields)


def _names(item: BodySection | Binary | BinarySize) -> frozenset[bytes] | None:
    if (
        not isinstance(item, BodySection)
        or item.text is not SectionText.FIELDS
        or item.path
        or item.partial is not None
    ):
        return None
    if len(item.fields) > _MAX_NAMES or sum(map(len, item.fields)) > _MAX_NAME_BYTES:
        return None
    return frozenset(item.fields)


def stretches(uids: "array[int]", first: int, last: int, shift: int, page: int) -> Iterator[tuple[int, int]]:
    """Positions [first, last) in parts of at most `page`, none of which has UIDs of two stretches of 2 ** `shift`."""
    if uids[last - 1] - uids[first] >= _SPARSE * (last - first) + page:
        yield from ((start, min(start + page, last)) for start in range(first, last, page))
        return
    while first < last:
        end = bisect_left(uids, ((uids[first] >> shift) + 1) << shift, first, min(last, first + (1 << shift)))
        yield first, end
        first = end


def is_whole(uids: "array[int]", first: int, last: int, shift: int) -> bool:
    """Are positions [first, last) all that there is of their stretch?"""
    number = uids[first] >> shift
    return (
        uids[last - 1] >> shift == number
        and (first == 0 or uids[first - 1] >> shift != number)
        and (last == len(uids) or uids[last] >> shift != number)
        and last - first > (1 << shift) // (2 * _SPARSE)
    )


@final
class Kept:
    """The texts of a process, least recently used first."""

    __slots__ = ("_asked", "_held", "_max_bytes", "_total")

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._held: Final[OrderedDict[_Place, tuple[array[int], Sequence[bytes], int]]] = OrderedDict()
        self._asked: Final[set[int]] = set()
        self._max_bytes: Final = max_bytes
        self._total = 0

    def find(self, key: Key, marks: Sequence[Mark], shift: int, uids: "array[int]") -> list[Sequence[bytes]] | None:
        """For each mark one text for each of these UIDs, which are ascending and not none; None if not all is there."""
        columns: list[Sequence[bytes]] = []
        for mark in marks:
            place = (key, shift, uids[0] >> shift, mark)
            found = self._held.get(place)
            if found is None:
                return None
            known, values, _ = found
            if known != uids:
                start = bisect_left(known, uids[0])
                end = start + len(uids)
                if known[start:end] != uids:
                    return None
                values = values[start:end]
            self._held.move_to_end(place)
            columns.append(values)
        return columns

    def keep(
        self, key: Key, marks: Sequence[Mark], shift: int, uids: "array[int]", columns: Sequence[Sequence[bytes]]
    ) -> None:
        """`columns` have one text for each UID, and are kept if asked for before. Neither is copied, so don't change them."""
        for mark, values in zip(marks, columns, strict=True):
            place = (key, shift, uids[0] >> shift, mark)
            old = self._held.pop(place, None)
            if old is None and not self._asked_before(hash(place)):
                continue
            size = sum(map(len, values)) + _VALUE_BYTES * len(values) + _ENTRY_BYTES
            if not isinstance(mark, FetchAtt):
                size += sum(map(len, mark)) + _NAME_BYTES * len(mark)
            self._total -= 0 if old is None else old[2]
            if size > self._max_bytes // _MOST:  # one mailbox of monsters would push out everybody else's
                continue
            self._held[place] = (uids, values, size)
            self._total += size
        while self._total > self._max_bytes:
            _, (_, _, dropped) = self._held.popitem(last=False)
            self._total -= dropped

    def _asked_before(self, place: int) -> bool:
        """Two places with one hash do no harm."""
        if place in self._asked:
            self._asked.remove(place)
            return True
        if len(self._asked) >= _MAX_ASKED:
            self._asked.clear()
        self._asked.add(place)
        return False
