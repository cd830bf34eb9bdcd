"""What a server's data mean: LIST, NAMESPACE and FETCH, read tolerantly. What makes no sense is as if it were not there."""

import binascii
import calendar
import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from poterne.proto.imap import mailbox_name
from poterne.proto.imap.client_reader import Streamed, Value

_DATE: Final = re.compile(
    rb" *(\d{1,2})[ -]([A-Za-z]{3})[ -](\d{4}) +(\d{1,2}):(\d{2}):(\d{2})(?: *([+-])(\d{2}):?(\d{2}))?"
)
_MONTHS: Final = (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec")
_SHIFTED: Final = re.compile("&([^-]*)-")


@dataclass(frozen=True, slots=True)
class Listed:
    """A mailbox as LIST or LSUB has it."""

    wire: bytes
    """Its name as the server wrote it: to be given back like this."""
    name: str
    separator: str
    """"": it has no levels."""
    attributes: frozenset[str]
    r"""In lower case: "\noselect"."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one FETCH response says of a message. `body`: None when it was not there, or NIL."""

    uid: int
    flags: tuple[str, ...] | None = None
    at: int | None = None
    """INTERNALDATE as Unix seconds."""
    offset: int = 0
    """… its zone, minutes east of UTC."""
    size: int | None = None
    body: bytes | Streamed | None = None
    google_id: str = ""
    """X-GM-MSGID: the same message in several folders has the same."""


def text_of(value: Value) -> bytes | None:
    """An atom or string."""
    if isinstance(value, str):
        return value.encode("latin-1")
    return value if isinstance(value, bytes) else None


def listed(values: Sequence[Value]) -> Listed | None:
    """RFC 9051 §7.3.1. None: it is no LIST response."""
    if len(values) < 3 or not isinstance(values[0], list):
        return None
    wire = text_of(values[2])
    separator = text_of(values[1]) or b""
    if not wire:
        return None
    attributes = frozenset(value.lower() for value in values[0] if isinstance(value, str))
    return Listed(wire, name_of(wire), separator.decode("latin-1")[:1], attributes)


def namespaces(values: Sequence[Value]) -> tuple[list[str], list[str]]:
    """RFC 2342: prefixes of the user's own mailboxes, and those of others' and shared ones."""

    def prefixes(value: Value) -> list[str]:
        found = value if isinstance(value, list) else []
        wires = [text_of(one[0]) for one in found if isinstance(one, list) and one]
        return [name_of(wire) for wire in wires if wire is not None]

    own = prefixes(values[0]) if values else []
    return own, [prefix for value in values[1:3] for prefix in prefixes(value)]


def name_of(wire: bytes) -> str:
    """A mailbox's name as text: modified UTF-7, else UTF-8, else as near to it as can be. Never fails."""
    try:
        return mailbox_name.decode_utf7(wire)
    except mailbox_name.NameSyntaxError:
        pass
    try:
        text = wire.decode("utf-8")
    except UnicodeDecodeError:
        text = wire.decode("latin-1")
    return _SHIFTED.sub(_unshifted, text) if wire.isascii() else text


def _unshifted(found: re.Match[str]) -> str:
    """One shifted piece of what is not canonical; as it is, when it can't be read."""
    coded = found[1].replace(",", "/")
    if not coded:
        return "&"
    try:
        padded = coded + "=" * (-len(coded) % 4)
        return binascii.a2b_base64(padded, strict_mode=True).decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        return found[0]


def fetched(values: Sequence[Value]) -> Fetched | None:
    """RFC 9051 §7.5.2. None: without a UID, as when flags change while we look."""
    items = values[0] if values else None
    if not isinstance(items, list):
        return None
    found = dict(_pairs(items))
    uid = _number(found.get("UID"))
    if not uid:
        return None
    flags = found.get("FLAGS")
    at, offset = internal_date(text_of(found.get("INTERNALDATE")) or b"") or (None, 0)
    body = next((found[name] for name in ("BODY[]", "BODY[]<0>", "RFC822") if name in found), None)
    return Fetched(
        uid,
        tuple(flag for flag in flags if isinstance(flag, str)) if isinstance(flags, list) else None,
        at,
        offset,
        _number(found.get("RFC822.SIZE")),
        body.encode("latin-1") if isinstance(body, str) else None if isinstance(body, list) else body,
        (text_of(found.get("X-GM-MSGID")) or b"").decode("latin-1"),
    )


def _pairs(items: Sequence[Value]) -> Iterator[tuple[str, Value]]:
    for at in range(0, len(items) - 1, 2):
        name = items[at]
        if isinstance(name, str):
            yield name.upper(), items[at + 1]


def _number(value: Value) -> int | None:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19 else None


def internal_date(value: bytes) -> tuple[int, int] | None:
    """`01-Jan-2026 10:00:00 +0100` as Unix seconds and minutes east of UTC."""
    found = _DATE.match(value)
    month = found[2].lower() if found else b""
    if found is None or month not in _MONTHS:
        return None
    offset = 0
    if found[7]:
        offset = int(found[8]) * 60 + int(found[9])
        offset = -offset if found[7] == b"-" else offset
    try:
        when = dt.datetime(
            int(found[3]), _MONTHS.index(month) + 1, int(found[1]), int(found[4]), int(found[5]), min(int(found[6]), 59),
            tzinfo=dt.UTC,
        )  # fmt: skip
    except ValueError:
        return None
    if abs(offset) >= 24 * 60:
        offset = 0
    return calendar.timegm(when.timetuple()) - offset * 60, offset
