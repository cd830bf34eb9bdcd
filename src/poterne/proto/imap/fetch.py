r"""FETCH responses, for many messages at a time.

`rows` is the way of FLAGS, UID, dates, sizes, envelopes and structures: column by column, so that per message only one
formatting is left. With octets of the message: `attributes` for what is narrow, then `line`, or `line_open`,
`section_open`, the octets in chunks, LINE_CLOSE. A client's `fetch-items` order is kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from itertools import chain, repeat
from operator import attrgetter
from typing import Final, cast

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

    __slots__ = ("_names",)

    def __init__(self, keywords: Sequence[str] = ()) -> None:
        super().__init__()
        coded = [(KEYWORD_SHIFT + index, name.encode("ascii", "replace")) for index, name in enumerate(keywords)]
        self._names = [(int(bit), name) for bit, name in _SYSTEM]
        self._names += [(1 << shift, name) for shift, name in coded if is_atom(name)]

    def __missing__(self, bits: int) -> bytes:
        text = b"(%b)" % b" ".join([name for bit, name in self._names if bits & bit])
        if len(self) < _CACHED:
            self[bits] = text
        return text

    def all(self, *, recent: bool = False) -> bytes:
        """Every name, for `* FLAGS`."""
        return b"(%b)" % b" ".join([name for bit, name in self._names if recent or bit != RECENT])

    def permanent(self, *, more: bool) -> bytes:
        r"""Every name, for PERMANENTFLAGS; `more`: with \*, new keywords can be made."""
        names = [name for bit, name in self._names if bit != RECENT]
        return b"(%b)" % b" ".join([*names, b"\\*"] if more else names)


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
    FetchAtt.UID: (b"UID %d", attrgetter("uid")),
    FetchAtt.SIZE: (b"RFC822.SIZE %d", attrgetter("size")),
    FetchAtt.MODSEQ: (b"MODSEQ (%d)", attrgetter("modseq")),
    FetchAtt.EMAILID: (b"EMAILID (M%x)", attrgetter("content_id")),
}
_FLAGS_OF: Final = attrgetter("flags")


def rows(
    items: Sequence[FetchAtt],
    numbers: Iterable[int],
    messages: Sequence[MessageRow],
    flags: FlagNames,
    columns: Mapping[FetchAtt, Iterable[bytes]] | None = None,
) -> Untagged:
    """`* n FETCH (…)` for each message, as one block. `numbers` are their sequence numbers, pairwise.

    `columns` has, pairwise too, what is not in the rows: rendered ENVELOPE, BODYSTRUCTURE, BODY; it may also override FLAGS.
    At least one item; a length that differs is our bug (ValueError).
    """
    given = columns or {}
    count = len(messages)
    streams: list[Iterable[bytes]] = []
    template, values = b"* %d FETCH (", [cast("Iterable[object]", numbers)]
    for index, item in enumerate(items):
        space = b" " if index else b""
        column = given.get(item)
        if column is None:
            format_, value = _column(item, messages, flags)
            template += space + format_
            values.append(value)
        else:
            # What is rendered already goes into the block as it is: formatting would copy it once more.
            streams += [_formatted(template + space + item.value + b" ", values, count), column]
            template, values = b"", []
    streams.append(_formatted(template + b")\r\n", values, count))
    pieces = streams[0] if len(streams) == 1 else chain.from_iterable(zip(*streams, strict=True))
    return Untagged(b"".join(pieces))


def _formatted(template: bytes, values: list[Iterable[object]], count: int) -> Iterable[bytes]:
    if not values:
        return repeat(template, count)
    return map(template.__mod__, zip(*values, strict=True))


def attributes(
    items: Sequence[FetchAtt],
    messages: Sequence[MessageRow],
    flags: FlagNames,
    columns: Mapping[FetchAtt, Iterable[bytes]] | None = None,
) -> list[bytes]:
    """What stands inside the parentheses for each message: for `line` and `line_open`. Empty texts for no items."""
    if not items:
        return [b""] * len(messages)
    given = columns or {}
    formats: list[bytes] = []
    values: list[Iterable[object]] = []
    for item in items:
        column = given.get(item)
        format_, value = (item.value + b" %b", column) if column is not None else _column(item, messages, flags)
        formats.append(format_)
        values.append(value)
    return list(_formatted(b" ".join(formats), values, len(messages)))


def _column(item: FetchAtt, messages: Sequence[MessageRow], flags: FlagNames) -> tuple[bytes, Iterable[object]]:
    """How the item is formatted, and its values for all messages. KeyError for an item that is not in the rows: our bug."""
    if item is FetchAtt.FLAGS:
        return b"FLAGS %b", map(flags.__getitem__, map(_FLAGS_OF, messages))
    if item is FetchAtt.INTERNALDATE:
        return b"INTERNALDATE %b", [date_time(row.internal_at, row.internal_offset) for row in messages]
    format_, get = _NUMBERS[item]
    return format_, map(get, messages)


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


def line_open(number: int, inner: bytes) -> Untagged:
    """`* n FETCH (inner`."""
    return Untagged(b"* %d FETCH (%b" % (number, inner))


def section_open(label: bytes, size: int, *, first: bool = False, binary: bool = False) -> Untagged:
    """`BODY[] {size}`, after which exactly `size` octets follow (none: an empty string is complete).

    `first`: nothing stands before it in the parentheses. `binary`: as literal8, since NUL is among the octets (RFC 3516).
    """
    space = b"" if first else b" "
    if not size:
        return Untagged(b'%b%b ""' % (space, label))
    return Untagged(b"%b%b %b{%d}\r\n" % (space, label, b"~" if binary else b"", size))
