"""UID sets as SQL conditions: few statements whatever the set looks like."""

from array import array
from collections.abc import Iterator, Sequence
from typing import Any, Final

import apsw

from poterne.values.ids import Uid
from poterne.values.mailbox import UidRange

MAX_UID: Final = 2**32 - 1
FEW: Final = 32
_EXPAND_UP_TO: Final = 64
"""A range of up to so many UIDs that has neighbours is looked up UID by UID, together with them."""

Condition = tuple[str, tuple[Any, ...]]

_BETWEEN: Final = "uid BETWEEN ? AND ?"
_LISTED: Final = "uid IN carray(?)"


def few(uids: Sequence[UidRange], limit: int = FEW) -> bool:
    """At most `limit` messages, whatever exists."""
    most = 0
    for part in uids:
        most += limit + 1 if part.last is None else part.last - part.first + 1
    return most <= limit


def conditions(uids: Sequence[UidRange]) -> Iterator[Condition]:
    """Conditions on `uid` that together are the set; disjoint, in ascending order.

    A range is one search and a walk; a scattered set is one statement with an array, 1 µs a UID instead of 6.
    """
    if len(uids) <= 2:
        for part in uids:
            yield _BETWEEN, (part.first, MAX_UID if part.last is None else part.last)
        return
    listed: array[int] = array("q")
    for part in uids:
        first, last = part.first, MAX_UID if part.last is None else part.last
        if last - first >= _EXPAND_UP_TO:
            if listed:
                yield _LISTED, (apsw.carray(listed),)
                listed = array("q")
            yield _BETWEEN, (first, last)
        else:
            listed.extend(range(first, last + 1))
    if listed:
        yield _LISTED, (apsw.carray(listed),)


def listed(uids: Sequence[Uid]) -> Condition:
    """Exactly these, which are not none."""
    if uids[-1] - uids[0] + 1 == len(uids):
        return _BETWEEN, (uids[0], uids[-1])
    return _LISTED, (apsw.carray(array("q", uids)),)


def runs(uids: Sequence[Uid]) -> list[tuple[int, int]]:
    """Ascending UIDs as (first, last) of their unbroken runs."""
    if not uids:
        return []
    if uids[-1] - uids[0] + 1 == len(uids):
        return [(uids[0], uids[-1])]
    found: list[tuple[int, int]] = []
    first: int = uids[0]
    last: int = first
    for uid in uids[1:]:
        if uid != last + 1:
            found.append((first, last))
            first = uid
        last = uid
    found.append((first, last))
    return found
