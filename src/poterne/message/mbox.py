r"""mbox files: where each message is, and what its status fields say.

Theory of operation. A message begins behind a line "From ADDRESS DATE" and ends before the next one, of which it is separated by
an empty line. The dialects differ in how a line of a message that looks like one is kept apart. mboxrd puts ">" before each
"From ", ">From ", …; mboxo before "From " only; in mboxcl and mboxcl2 a Content-Length says how long the body is. Here a
Content-Length counts where the next From line (or the end) is exactly there, and nothing is unquoted then, as Dovecot writes
it; else lines are unquoted as mboxrd, which is right for mboxo too but for what was quoted by hand.

Programs keep flags in fields of the header: Status and X-Status (Unix), X-Keywords, X-UID and X-IMAPbase (Dovecot, UW),
X-Mozilla-Status (Thunderbird). They are the file's, not the message's: they become flags and are taken out.
"""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import Final

Buffer = bytes | mmap

MAX_HEADER_BYTES: Final = 256 * 1024
PIECE_BYTES: Final = 256 * 1024
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTH: Final = rb"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_FROM: Final = re.compile(
    rb"From [^\r\n]{0,1000}?(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +"
    rb"(?:" + _MONTH + rb" +(\d{1,2})|(\d{1,2}) " + _MONTH + rb"(?: (\d{4}))?)"
    rb" +(\d{1,2}):(\d{2})(?::(\d{2}))?(?: +(?:([+-])(\d{2})(\d{2})|[A-Z]{1,5}))?(?: +(\d{4}))?"
    rb"(?: +([+-])(\d{2})(\d{2}))?[^\r\n]{0,200}\r?(?:\n|\Z)"
)
_BARE_FROM: Final = re.compile(rb"From(?: -?)? *\r?\n")
"""Thunderbird's, at times."""
_QUOTED: Final = re.compile(rb"^>(>*From )", re.MULTILINE)
_LENGTH: Final = re.compile(rb"^Content-Length:[ \t]*(\d{1,15})[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)
_LENGTH_LINE: Final = re.compile(rb"^Content-Length:[^\r\n]*\r?\n", re.MULTILINE | re.IGNORECASE)
_END: Final = re.compile(rb"\r?\n\r?\n")
_STATUS: Final = re.compile(
    rb"^(Status|X-Status|X-Keywords|X-UID|X-IMAP|X-IMAPbase|X-Mozilla-Status2?|X-Mozilla-Keys)"
    rb":[ \t]*([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)(?:\r?\n|\Z)",
    re.MULTILINE | re.IGNORECASE,
)
_LETTERS: Final = {
    b"status": {"R": "\\Seen"},
    b"x-status": {"A": "\\Answered", "F": "\\Flagged", "D": "\\Deleted", "T": "\\Draft"},
}
_MOZILLA: Final = ((0x1, "\\Seen"), (0x2, "\\Answered"), (0x4, "\\Flagged"), (0x1000, "$Forwarded"))
_MOZILLA_GONE: Final = 0x8


class NoMboxError(ValueError):
    """The file does not begin as an mbox does."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message of the file."""

    at: int
    """Where its From line begins."""
    start: int
    end: int
    date: dt.datetime | None
    """Of the From line; without a zone it is some server's local time."""
    quoted: bool
    """Lines that begin as From lines are quoted."""


@dataclass(frozen=True, slots=True)
class Head:
    """A header without what is the file's own."""

    text: bytes
    flags: tuple[str, ...]
    gone: bool
    """It is not there any more, or never was a message: the program only did not rewrite the file."""


def entries(data: Buffer) -> Iterator[Entry]:
    """All messages. Raises NoMboxError; an empty file has none."""
    size = len(data)
    at = 0
    while at < size and data[at : at + 1] in {b"\r", b"\n"}:
        at += 1
    if at == size:
        return
    line = _from_line(data, at, blank_before=True)
    if line is None:
        raise NoMboxError("it does not begin with a From line")
    while line is not None:
        start = line.end()
        long = _by_length(data, start, size)
        end, following = _next(data, start, size) if long is None else long
        yield Entry(at, start, end, _date(line), long is None)
        if following >= size:
            return
        at = following
        line = _from_line(data, at, blank_before=True)


def _from_line(data: Buffer, at: int, *, blank_before: bool) -> "re.Match[bytes] | None":
    found = _FROM.match(data, at, min(at + 2048, len(data)))
    if found is None and blank_before:
        found = _BARE_FROM.match(data, at)
    return found


def _next(data: Buffer, start: int, size: int) -> tuple[int, int]:
    """Where the message ends, and where the next From line is."""
    at = start - 1
    while True:
        at = data.find(b"\nFrom", at, size)
        if at < 0:
            return _without_blank(data, start, size), size
        blank = data[max(at - 1, start - 1) : at] == b"\n" or data[max(at - 2, start - 1) : at] == b"\n\r"
        if _from_line(data, at + 1, blank_before=blank) is not None:
            return _without_blank(data, start, at + 1), at + 1
        at += 1


def _without_blank(data: Buffer, start: int, end: int) -> int:
    """The end without the empty line that separates messages."""
    if end - start < 2:
        return end
    if data[end - 2 : end] == b"\n\n":
        return end - 1
    return end - 2 if data[max(start, end - 3) : end] == b"\n\r\n" else end


def _by_length(data: Buffer, start: int, size: int) -> tuple[int, int] | None:
    """By Content-Length, if a From line or the end is where it says."""
    head = data[start : min(start + MAX_HEADER_BYTES, size)]
    ends = _END.search(head)
    if ends is None:
        return None
    found = _LENGTH.search(head, 0, ends.end())
    if found is None:
        return None
    end = start + ends.end() + int(found[1])
    if end > size:
        return None
    following = end + 2 if data[end : end + 2] == b"\r\n" else end + 1 if data[end : end + 1] == b"\n" else end
    if following < size and (following == end or _from_line(data, following, blank_before=True) is None):
        return None
    return end, following


def _date(line: "re.Match[bytes]") -> dt.datetime | None:
    if line.re is not _FROM:
        return None
    month, day, other_day, other_month, early_year, hour, minute, second, *rest = line.groups()
    sign, zone_hours, zone_minutes, year, late_sign, late_hours, late_minutes = rest
    name = (month or other_month).decode("ascii")
    wanted_year = year or early_year
    if wanted_year is None:
        return None
    sign, zone_hours, zone_minutes = (
        (late_sign, late_hours, late_minutes) if late_sign else (sign, zone_hours, zone_minutes)
    )
    zone = None
    try:
        if sign:
            offset = dt.timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
            zone = dt.timezone(-offset if sign == b"-" else offset)
        return dt.datetime(
            int(wanted_year), _MONTHS.index(name) + 1, int(day or other_day), int(hour), int(minute),
            min(int(second or 0), 59), tzinfo=zone,
        )  # fmt: skip
    except ValueError:
        return None


def head(data: Buffer, entry: Entry) -> tuple[Head, int]:
    """Its header as it is to be kept, and where the rest begins. A header that is too long is kept as it is."""
    window = data[entry.start : min(entry.end, entry.start + MAX_HEADER_BYTES)]
    found = _END.search(window)
    length = found.end() if found is not None else len(window)
    if found is None and entry.end - entry.start > MAX_HEADER_BYTES:
        return Head(b"", (), gone=False), entry.start
    text = window[:length]
    flags: dict[str, None] = {}
    gone = b"FOLDER INTERNAL DATA" in text and b"X-IMAP" in text
    for name, value in _STATUS.findall(text):
        its, is_gone = _meaning(name.lower(), value.decode("latin-1"))
        flags.update(dict.fromkeys(its))
        gone = gone or is_gone
    kept = _STATUS.sub(b"", text)
    if not entry.quoted:
        kept = _LENGTH_LINE.sub(b"", kept, count=1)
    return Head(kept, tuple(flags), gone), entry.start + length


def _meaning(name: bytes, value: str) -> tuple[list[str], bool]:
    if name in _LETTERS:
        return [_LETTERS[name][letter] for letter in value if letter in _LETTERS[name]], False
    if name in {b"x-keywords", b"x-mozilla-keys"}:
        return value.split(), False
    if name == b"x-mozilla-status":
        try:
            bits = int(value.strip(), 16)
        except ValueError:
            return [], False
        return [flag for bit, flag in _MOZILLA if bits & bit], bool(bits & _MOZILLA_GONE)
    return [], False


def rest(data: Buffer, entry: Entry, start: int) -> Iterator[bytes]:
    """From there on, unquoted, in pieces of whole lines, as far as lines are shorter than PIECE_BYTES."""
    at = start
    within = False  # a line that the piece before began
    while at < entry.end:
        end = min(at + PIECE_BYTES, entry.end)
        cut = False
        if end < entry.end:
            most = min(end + PIECE_BYTES, entry.end)
            newline = data.find(b"\n", end, most)
            cut = newline < 0 and most < entry.end
            end = most if newline < 0 else newline + 1
        piece = data[at:end]
        if entry.quoted and b">From " in piece:
            first = piece.find(b"\n") + 1 if within else 0
            if first or not within:
                piece = piece[:first] + _QUOTED.sub(rb"\1", piece[first:])
        yield piece
        at, within = end, cut


_YEAR_2_S: Final = -62_104_060_800
_YEAR_9998_S: Final = 253_339_228_800
"""A date that can be told in any zone is between these."""
_TO_QUOTE: Final = re.compile(rb"^(>*From )", re.MULTILINE)


def from_line(sender: str, at: int, offset: int) -> bytes:
    """The line that a message begins with, with its date in the zone `offset` (minutes east of UTC)."""
    zone = dt.timezone(dt.timedelta(minutes=offset))
    when = dt.datetime.fromtimestamp(min(max(at, _YEAR_2_S), _YEAR_9998_S), zone)
    who = sender.encode("ascii", "replace") or b"MAILER-DAEMON"
    who = re.sub(rb"[\x00-\x20\x7f]", b"_", who)
    day = f"{_DAYS[when.weekday()]} {_MONTHS[when.month - 1]} {when.day:2d} {when:%H:%M:%S} {when.year:04d} {when:%z}"
    return b"From %b %b\n" % (who, day.encode("ascii"))


def has_status(text: bytes) -> bool:
    """Has its header fields that would be taken for the file's?"""
    found = _END.search(text)
    length = min(MAX_HEADER_BYTES, len(text) if found is None else found.end())
    return _STATUS.search(text, 0, length) is not None or _LENGTH.search(text, 0, length) is not None


def status_fields(flags: frozenset[str], keywords: tuple[str, ...], *, crlf: bool) -> bytes:
    """The fields that keep flags, each on its line."""
    lines = [b"Status: " + (b"RO" if "\\Seen" in flags else b"O")]
    letters = "".join(letter for letter, flag in _LETTERS[b"x-status"].items() if flag in flags)
    if letters:
        lines.append(b"X-Status: " + letters.encode("ascii"))
    if keywords:
        lines.append(b"X-Keywords: " + " ".join(keywords).encode("ascii", "replace"))
    return b"".join(line + (b"\r\n" if crlf else b"\n") for line in lines)


def quote(text: bytes) -> bytes:
    """mboxrd: whole lines with LF or CRLF."""
    return _TO_QUOTE.sub(rb">\1", text) if b"From " in text else text
