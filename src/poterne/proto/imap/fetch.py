r"""FETCH responses, for many messages at a time.

`rows` is the way of FLAGS, UID, dates, sizes, envelopes and structures: column by column, so that per message only joining
is left. With octets of the message: `attributes` for what is narrow, then `line`, or `line_open`,
`section_open`, the octets in chunks, LINE_CLOSE. A client's `fetch-items` order is kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from itertools import repeat
from operator import attrgetter
from typing import Final

from poterne.proto.imap.items import FetchAtt
from poterne.proto.imap.responses import Untagged
from poterne.proto.imap.strings import is_atom
from poterne.values.mailbox import KEYWORD_SHIFT, Flag, MessageRow

RECENT: Final = 1 << 5
r"""A bit to be added to a row's flags where \Recent is to be shown (RFC 3501); the store never has it."""

_SYSTEM: Final = (
    (Flag.ANSWERED, b"\\Answered"),
    (Flag.FLAGGED, b"\\Flagged"),
    (Flag.DELETED, b"\\Deleted"),
    (Flag.SEEN, b"\\Seen"),
    (Flag.DRAFT, b"\\Draft"),
    (RECENT, b"\\Recent"),
)
_CACHED: Final = 4_096
"""Combinations of flags kept as text; more than that are made anew."""
_EPOCH: Final = date(1970, 1, 1).toordinal()

LINE_CLOSE: Final = Untagged(b")\r\n")


class FlagNames(dict[int, bytes]):
    r"""`names[bits]` is the flag list, b"(\\Seen $Junk)", for an account's keywords. Make a new one when they change."""

    __slots__ = ("_lists", "_names")

    def __init__(self, keywords: Sequence[str] = ()) -> None:
        super().__init__()
        coded = [(KEYWORD_SHIFT + index, name.encode("ascii", "replace")) for index, name in enumerate(keywords)]
        self._names = [(int(bit), name) for bit, name in _SYSTEM]
        self._names += [(1 << shift, name) for shift, name in coded if is_atom(name)]
        self._lists: dict[tuple[int, bool, bool], bytes] = {}

    def __missing__(self, bits: int) -> bytes:
        text = b"(%b)" % b" ".join([name for bit, name in self._names if bits & bit])
        if len(self) < _CACHED:
            self[bits] = text
        return text

    def all(self, *, recent: bool = False) -> bytes:
        """Every name, for `* FLAGS`."""
        return self._list(-1, recent=recent)

    def permanent(self, *, more: bool, allowed: int = -1) -> bytes:
        r"""Every name of these bits, for PERMANENTFLAGS; `more`: with \*, new keywords can be made."""
        return self._list(allowed, more=more)

    def _list(self, allowed: int, *, recent: bool = False, more: bool = False) -> bytes:
        """Made once: of what is allowed, which rights decide, there are few sets."""
        key = (allowed, recent, more)
        found = self._lists.get(key)
        if found is None:
            names = [name for bit, name in self._names if bit & allowed and (recent or bit != RECENT)]
            found = self._lists[key] = b"(%b)" % b" ".join([*names, b"\\*"] if more else names)
        return found


@lru_cache(maxsize=4096)
def _day(days: int) -> bytes:
    """Days since 1970 as `17-Jul-1996`; what a date cannot hold becomes the nearest that it can."""
    day = date.fromordinal(min(max(_EPOCH + days, 1), date.max.toordinal()))
    month = "JanFebMarAprMayJunJulAugSepOctNovDec"[day.month * 3 - 3 : day.month * 3]
    return b"%02d-%b-%04d" % (day.day, month.encode(), day.year)


@lru_cache(maxsize=256)
def _zone(offset: int) -> bytes:
    return b"%b%02d%02d" % (b"-" if offset < 0 else b"+", abs(offset) // 60, abs(offset) % 60)


_MINUTES: Final = [b"%02d:%02d" % (minute // 60, minute % 60) for minute in range(1440)]


def date_time(at: int, offset: int) -> bytes:
    """`"17-Jul-1996 02:44:25 -0700"` for Unix seconds and a zone in minutes east."""
    days, second = divmod(at + offset * 60, 86_400)
    return b'"%b %b:%02d %b"' % (_day(days), _MINUTES[second // 60], second % 60, _zone(offset))


_NUMBERS: Final = {
    FetchAtt.SIZE: (b"RFC822.SIZE ", attrgetter("size"), b""),
    FetchAtt.MODSEQ: (b"MODSEQ (", attrgetter("modseq"), b")"),
}
_UID_OF: Final = attrgetter("uid")
_FLAGS_OF: Final = attrgetter("flags")
_KNOWN: Final[list[bytes]] = []
_MOST_KNOWN: Final = 1 << 16
"""Message numbers and UIDs below are kept as text, up to the highest that was met: some 3 MiB in a process at most."""


def ascending(numbers: Sequence[int]) -> Iterable[bytes]:
    """Ascending numbers as text."""
    if not numbers:
        return ()
    last = numbers[-1]
    if last >= _MOST_KNOWN:
        return _decimal(list(numbers))
    if last >= len(_KNOWN):
        _KNOWN.extend([b"%d" % number for number in range(len(_KNOWN), last + 1)])
    if last - numbers[0] + 1 == len(numbers):
        return _KNOWN[numbers[0] : last + 1]
    return map(_KNOWN.__getitem__, numbers)


def _decimal(numbers: list[int]) -> list[bytes]:
    """Half the cost of formatting each."""
    return repr(numbers).encode("ascii")[1:-1].split(b", ") if numbers else []


def rows(
    items: Sequence[FetchAtt],
    numbers: Sequence[int],
    messages: Sequence[MessageRow],
    flags: dict[int, bytes],
    columns: Mapping[FetchAtt, Iterable[bytes]] | None = None,
    name: bytes = b"FETCH",
    section: tuple[bytes, Iterable[bytes]] | None = None,
) -> Untagged:
    """`* n FETCH (…)` for each message, as one block. `numbers` are their sequence numbers, ascending and pairwise.
    With UIDONLY `name` is b"UIDFETCH", and `numbers` are UIDs (RFC 9586 §3.3).

    `columns` has, pairwise too, what is not in the rows: rendered ENVELOPE, BODYSTRUCTURE, BODY; it may also override UID and
    FLAGS. At least one item or `section`: a label, and literals without their first brace, which come last. A length that
    differs is our bug (ValueError).
    """
    opening = b" %b (" % name
    streams, close = _streams(items, messages, flags, columns or {}, opening)
    if section is not None:
        label, literals = section
        streams += [(close + b" " if items else opening) + label + b" {", literals]
        close = b""
    # Texts are only joined: formatting each line would cost three times as much, and copy what is rendered already.
    return _joined([ascending(numbers), *streams, close + b")\r\n* "], len(numbers))


_Column = bytes | Iterable[bytes]
"""The same piece of each line, or one for each."""


def _joined(columns: Sequence[_Column], count: int) -> Untagged:
    """So many lines of two or more pieces, the last of which begins the next line."""
    pieces = [column if isinstance(column, bytes) else b"" for column in columns] * count
    for i, column in enumerate(columns):
        if not isinstance(column, bytes):
            # ValueError if it has more or fewer. Half the cost of `chain.from_iterable(zip(…))`.
            pieces[i :: len(columns)] = column
    if not pieces:
        return Untagged(b"")
    pieces[0] = b"* " + pieces[0]
    pieces[-1] = pieces[-1][:-2]
    return Untagged(b"".join(pieces))


def flag_rows(
    items: Sequence[FetchAtt],
    numbers: Sequence[int],
    uids: Sequence[int],
    bits: Sequence[int],
    flags: dict[int, bytes],
    name: bytes = b"FETCH",
) -> Untagged:
    """`rows` where UID and FLAGS are all that is told."""
    if items[-1] is not FetchAtt.FLAGS or len(items) > 2:
        columns = {FetchAtt.UID: ascending(uids), FetchAtt.FLAGS: map(flags.__getitem__, bits)}
        return rows(items, numbers, (), flags, columns, name)
    if len(numbers) != len(bits):
        raise ValueError("sizes differ")
    # Few sets of flags are on many messages, often one: what ends the lines is made once for each.
    opening = b" %b (FLAGS " % name if len(items) == 1 else b" FLAGS "
    ends = {one: opening + flags[one] + b")\r\n* " for one in set(bits)}
    last: _Column = map(ends.__getitem__, bits)
    if len(ends) == 1:
        last = end = ends[bits[0]]
        if len(items) == 1:
            return Untagged(b"* %b%b" % (end.join(ascending(numbers)), end[:-2]))
    between: list[_Column] = [b" %b (UID " % name, ascending(uids)] if len(items) > 1 else []
    return _joined([ascending(numbers), *between, last], len(numbers))


def attributes(
    items: Sequence[FetchAtt],
    messages: Sequence[MessageRow],
    flags: dict[int, bytes],
    columns: Mapping[FetchAtt, Iterable[bytes]] | None = None,
) -> list[bytes]:
    """What stands inside the parentheses for each message: for `line` and `line_open`. Empty texts for no items."""
    count = len(messages)
    if not items:
        return [b""] * count
    streams, close = _streams(items, messages, flags, columns or {}, b"")
    each = [repeat(column, count) if isinstance(column, bytes) else column for column in [*streams, close]]
    return list(map(b"".join, zip(*each, strict=True)))


def _streams(
    items: Sequence[FetchAtt],
    messages: Sequence[MessageRow],
    flags: dict[int, bytes],
    columns: Mapping[FetchAtt, Iterable[bytes]],
    opening: bytes,
) -> tuple[list[_Column], bytes]:
    """What is to be joined for each message, and what is still to be written behind it."""
    streams: list[_Column] = []
    between = opening
    for item in items:
        column = columns.get(item)
        before, values, after = (
            (item.value + b" ", column, b"") if column is not None else _column(item, messages, flags)
        )
        streams += [between + before, values]
        between = after + b" "
    return streams, between[:-1]


def steady(item: FetchAtt, messages: Sequence[MessageRow]) -> list[bytes]:
    """Values of an item that is in the rows and never changes: RFC822.SIZE, INTERNALDATE, EMAILID."""
    before, values, after = _column(item, messages, FlagNames())
    extra = before[len(item.value) + 1 :]
    return [extra + value + after for value in values] if after else list(values)


def _column(
    item: FetchAtt, messages: Sequence[MessageRow], flags: dict[int, bytes]
) -> tuple[bytes, Iterable[bytes], bytes]:
    """What stands before the item's value, its values, what stands behind. KeyError for one that is not in the rows: our bug."""
    if item is FetchAtt.UID:
        return b"UID ", ascending(list(map(_UID_OF, messages))), b""
    if item is FetchAtt.FLAGS:
        return b"FLAGS ", map(flags.__getitem__, map(_FLAGS_OF, messages)), b""
    if item is FetchAtt.INTERNALDATE:
        return b"INTERNALDATE ", [date_time(row.internal_at, row.internal_offset) for row in messages], b""
    if item is FetchAtt.EMAILID:
        return b"EMAILID (", [b"M%x" % row.content_id for row in messages], b")"
    before, get, after = _NUMBERS[item]
    return before, _decimal(list(map(get, messages))), after


def line(number: int, inner: bytes, sections: Iterable[tuple[bytes, bytes | None]]) -> list[Untagged]:
    """One response with octets: (label, octets) pairs after `inner`. None is NIL, for a part that does not exist.

    The octets are not copied: they are elements of the list. NUL is for BINARY only, which then is a literal8 (RFC 3516
    §4.2); in other sections the grammar has no place for it, and mail with it must not have been taken in.
    """
    pieces = [line_open(number, inner)]
    is_first = not inner
    for label, data in sections:
        if data is None:
            pieces.append(Untagged(label + b" NIL" if is_first else b" " + label + b" NIL"))
        else:
            binary = label.startswith(b"BINARY") and 0 in data
            pieces.append(section_open(label, len(data), first=is_first, binary=binary))
            if data:
                pieces.append(Untagged(data))
        is_first = False
    pieces.append(LINE_CLOSE)
    return pieces


def line_open(number: int, inner: bytes, name: bytes = b"FETCH") -> Untagged:
    """`* n FETCH (inner`, or with UIDONLY `* uid UIDFETCH (inner`."""
    return Untagged(b"* %d %b (%b" % (number, name, inner))


def section_open(label: bytes, size: int, *, first: bool = False, binary: bool = False) -> Untagged:
    """`BODY[] {size}`, after which exactly `size` octets follow (none: an empty string is complete).

    `first`: nothing stands before it in the parentheses. `binary`: as literal8, since NUL is among the octets (RFC 3516).
    """
    space = b"" if first else b" "
    if not size:
        return Untagged(b'%b%b ""' % (space, label))
    return Untagged(b"%b%b %b{%d}\r\n" % (space, label, b"~" if binary else b"", size))
