"""What SEARCH compares of a header field, for all messages of a mailbox: made once, shared by all sessions of a process.

Theory of operation. What an envelope says never changes, and UIDs only grow. So a column has everything up to its last UID,
and is continued from there when a search needs more. Texts stand folded one behind the other in one row of octets: to look
for a string in 10,000 subjects is one search, some 50 µs, where reading the envelopes takes tens of milliseconds. Messages
that are gone stay in until they are half of it; whoever searches leaves them out.
"""

import re
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, final

from poterne.message.decode import searchable_header
from poterne.session.imap import envelope
from poterne.values.ids import AccountId, MailboxId, UidValidity

MAX_BYTES: Final = 16 * 1024 * 1024
"""In a process. The columns not used for longest go first."""
SENT: Final = "sent"
"""The column of days; those of texts have the names of their fields."""

Key = tuple[AccountId, MailboxId, UidValidity, str]

_END: Final = b"\0"
"""Behind each value. No string that is looked for has it (RFC 9051 §9: no CHAR is NUL), so nothing is found across two values."""
_SLOT_BYTES: Final = 8
_TEXT: Final = rb'(?:NIL|"[^"\\]*+")'
_LIST: Final = rb"(?:NIL|\((?:\(%b %b %b %b\))++\))" % ((_TEXT,) * 4)
_MEMBERS: Final = (_TEXT, _TEXT, *(_LIST,) * 6, _TEXT, _TEXT)
_ADDRESSES: Final = re.compile(rb'\((NIL|"[^"]*+") %b (NIL|"[^"]*+") (NIL|"[^"]*+")\)' % _TEXT).findall


def _simple(place: int) -> Callable[[bytes], re.Match[bytes] | None]:
    """Finds the member of an envelope in which nothing is escaped up to there: nearly all."""
    return re.compile(
        rb"\(" + b"".join(member + b" " for member in _MEMBERS[:place]) + b"(" + _MEMBERS[place] + b")"
    ).match


_FIND: Final = {field: _simple(place) for field, place in envelope.FIELDS.items()}
_FIRST_LIST: Final = envelope.FIELDS["from"]
_LAST_LIST: Final = envelope.FIELDS["bcc"]


def values(stored: bytes, field: str) -> list[bytes]:
    """As `envelope.texts`, several times as fast where nothing is escaped."""
    found = _FIND[field](stored)
    if found is None:
        return envelope.texts(stored, field)
    member = found[1]
    if member == b"NIL":
        return []
    if not _FIRST_LIST <= envelope.FIELDS[field] <= _LAST_LIST:
        return [member[1:-1]]
    texts: list[bytes] = []
    for name, local, host in _ADDRESSES(member):
        mailbox = b"" if local == b"NIL" else local[1:-1]
        if host == b"NIL":  # a group begins or ends
            texts.append(mailbox + b":" if mailbox else b"")
        elif len(name) > 2 and name != b"NIL":
            texts.append(b"%b <%b@%b>" % (name[1:-1], mailbox, host[1:-1]))
        else:
            texts.append(mailbox + b"@" + host[1:-1])
    return texts


def folded(stored: bytes, field: str) -> bytes:
    """The field's values as they are compared, each with its end; nothing if the message does not have the field."""
    found = values(stored, field)
    return b"".join([_folded(value) + _END for value in found]) if found else b""


def _folded(value: bytes) -> bytes:
    if value.isascii() and b"=?" not in value:
        return value.lower()
    return searchable_header(value).encode("utf-8", "surrogatepass")


@final
class Texts:
    """One field of the messages up to `last`."""

    __slots__ = ("_octets", "_starts", "last", "uids")

    def __init__(self) -> None:
        self.uids: Final = array("I")
        self.last = 0
        """All messages up to this UID are in it."""
        self._starts: Final = array("I")
        self._octets: Final = bytearray()

    @property
    def size_bytes(self) -> int:
        return len(self._octets) + _SLOT_BYTES * len(self.uids)

    def add(self, uid: int, text: bytes) -> None:
        """A message with a higher UID than those before."""
        self.uids.append(uid)
        self._starts.append(len(self._octets))
        self._octets.extend(text)

    def holding(self, wanted: bytes) -> list[int]:
        """UIDs of the messages that hold these folded octets; nothing to look for: those that have the field."""
        octets, starts, uids = self._octets, self._starts, self.uids
        if not wanted:
            ends = [*starts[1:], len(octets)] if starts else []
            return [uid for uid, start, end in zip(uids, starts, ends, strict=True) if end > start]
        found: list[int] = []
        at = octets.find(wanted)
        while at >= 0:
            place = bisect_right(starts, at)
            found.append(uids[place - 1])
            if place == len(starts):
                break
            at = octets.find(wanted, starts[place])
        return found


@final
class Days:
    """The day of each message's Date field."""

    __slots__ = ("days", "last", "uids")

    def __init__(self) -> None:
        self.uids: Final = array("I")
        self.days: Final = array("i")
        self.last = 0

    @property
    def size_bytes(self) -> int:
        return _SLOT_BYTES * len(self.uids)

    def add(self, uid: int, day: int) -> None:
        self.uids.append(uid)
        self.days.append(day)

    def fitting(self, fits: Callable[[int], bool]) -> list[int]:
        """UIDs of the messages whose day does."""
        days = {day for day in set(self.days) if fits(day)}
        return [uid for uid, day in zip(self.uids, self.days, strict=True) if day in days]


Column = Texts | Days


@final
class HeaderColumns:
    """The columns of a process, least recently used first."""

    __slots__ = ("_kept", "_max_bytes", "_total")

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._kept: Final[OrderedDict[Key, tuple[Column, int]]] = OrderedDict()
        self._max_bytes: Final = max_bytes
        self._total = 0

    def texts(self, key: Key, messages: int) -> Texts | None:
        """The column, if it is there and most of it is of messages that are."""
        found = self._get(key, messages)
        return found if isinstance(found, Texts) else None

    def days(self, key: Key, messages: int) -> Days | None:
        found = self._get(key, messages)
        return found if isinstance(found, Days) else None

    def _get(self, key: Key, messages: int) -> Column | None:
        found = self._kept.get(key)
        if found is None or len(found[0].uids) > 2 * messages + 1000:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def keep(self, key: Key, column: Column) -> None:
        """Keep it, or count what was added to it."""
        _, before = self._kept.pop(key, (None, 0))
        size = column.size_bytes
        self._total += size - before
        self._kept[key] = (column, size)
        while self._total > self._max_bytes and self._kept:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._total -= dropped
