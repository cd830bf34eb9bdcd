"""What SORT and THREAD compare, by message of a mailbox; it never changes, so it is made once and shared by all sessions.

A column is of the messages as one view counts them. For a view that has others, what is known is taken over and only the rest
is read: a new message costs one look at one message.
"""

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, Generic, TypeVar, final

import msgspec

from poterne.proto.imap.responses import Untagged
from poterne.values.ids import AccountId, MailboxId, UidValidity

MAX_VALUES: Final = 250_000
"""In a process; some 100 octets each, less for subjects, which are shared. The columns not used for longest go first."""

V = TypeVar("V")
Key = tuple[AccountId, MailboxId, UidValidity, str]


class Fact(msgspec.Struct, frozen=True, gc=False):
    """What threading knows of a message."""

    sent_at: int
    subject: str
    """The base subject, to be compared."""
    is_reply: bool
    message_id: int | None
    references: tuple[int, ...]


Value = int | str | Fact


@final
class Column(Generic[V]):
    """`values` of the messages with these UIDs; None for one that was gone when it was looked at."""

    __slots__ = ("_order", "_ranks", "answers", "complete", "uids", "values")

    def __init__(self, uids: "array[int]", values: list[V | None]) -> None:
        self.uids: Final = uids
        self.values: Final = values
        self.complete: Final = None not in values
        self._order: list[int] | None = None
        self._ranks: list[int] | None = None
        self.answers: Final[dict[str, Untagged]] = {}
        """What was said of all these messages, by what was asked."""

    @property
    def order(self) -> list[int]:
        """Positions by ascending value, then by position. Of a complete column only."""
        if self._order is None:
            self._order = sorted(range(len(self.values)), key=self.values.__getitem__)  # type: ignore[arg-type]
        return self._order

    @property
    def ranks(self) -> list[int]:
        """By position a number that compares as the value does, and faster. Of a complete column only."""
        if self._ranks is None:
            self._ranks = _ranked(self.order, self.values)
        return self._ranks


def _ranked(order: Sequence[int], values: Sequence[object]) -> list[int]:
    ranks = [0] * len(order)
    rank, before = 0, object()
    for position in order:
        value = values[position]
        if value != before:
            rank += 1
            before = value
        ranks[position] = rank
    return ranks


@final
class Columns:
    """The columns of a process, least recently used first."""

    __slots__ = ("_kept", "_total")

    def __init__(self) -> None:
        self._kept: Final[OrderedDict[Key, Column[Value]]] = OrderedDict()
        self._total = 0

    def get(self, key: Key) -> Column[Value] | None:
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def keep(self, key: Key, column: Column[Value]) -> None:
        old = self._kept.pop(key, None)
        self._total += len(column.values) - (0 if old is None else len(old.values))
        self._kept[key] = column
        while self._total > MAX_VALUES and self._kept:
            _, dropped = self._kept.popitem(last=False)
            self._total -= len(dropped.values)
