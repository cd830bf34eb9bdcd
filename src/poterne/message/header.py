"""A strict index of one header block: where each field lies, and everything about it that is not as RFC 5322 says.

What is malformed is a fact of the result, not an error: policy refuses a message for it, IMAP shows it. Two parsers that divide a
header differently are how signatures and filters are passed by, so a doubt is always a fact too: a field with white space before
its colon is found under its name *and* reported. CRLF is the line end, nothing else.
"""

import re
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

_CRLF: Final = b"\r\n"
_BLANK: Final = b"\r\n\r\n"
_NAME: Final = re.compile(rb"[!-9;-~]+")
_BARE: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n|\x00")
MAX_LINE_BYTES: Final = 998
"""RFC 5322 §2.1.1, without the CRLF."""
MAX_FACTS: Final = 100
"""Kept of one header; a hostile one has as many as lines."""

ONCE_ONLY: Final = frozenset(
    {
        b"date", b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"message-id", b"in-reply-to", b"references",
        b"subject", b"mime-version", b"content-type", b"content-transfer-encoding", b"content-id", b"content-description",
        b"content-disposition",
    }
)  # fmt: skip
"""RFC 5322 §3.6 and RFC 2045 §3: at most one of each in a header."""


class Malformation(Enum):
    LEADING_SPACE = "the first line begins with white space"
    NO_COLON = "a line is no field"
    EMPTY_NAME = "a field without a name"
    BAD_NAME = "a field name with octets that are not printable ASCII"
    SPACE_BEFORE_COLON = "white space before the colon"
    BLANK_FOLD = "a folded line of white space only"
    LONG_LINE = "a line of more than 998 octets"
    BARE_CR = "a CR without LF"
    BARE_LF = "a LF without CR"
    NUL = "a NUL octet"
    NO_END = "no empty line ends the header"


class Fact(NamedTuple):
    kind: Malformation
    at: int
    """Octet of the block."""


class Field(NamedTuple):
    name: bytes
    """Lower case, without white space."""
    name_start: int
    value_start: int
    """Behind the colon."""
    end: int
    """Behind the CRLF of the last line."""


@dataclass(frozen=True, slots=True)
class HeaderIndex:
    """The fields of a header block in order. Positions count from the block's first octet."""

    block: bytes
    fields: tuple[Field, ...]
    end: int
    """Behind the empty line, or the length of the block when there is none."""
    facts: tuple[Fact, ...]
    _by_name: dict[bytes, list[Field]] = field(repr=False, compare=False)

    def find(self, name: bytes) -> tuple[Field, ...]:
        """Every field of that lower-case name, in order."""
        return tuple(self._by_name.get(name, ()))

    def value(self, name: bytes) -> bytes | None:
        """The unfolded value of the first field of that lower-case name, without white space around it."""
        found = self._by_name.get(name)
        return self.unfolded(found[0]) if found else None

    def values(self, name: bytes) -> list[bytes]:
        """The unfolded values of all fields of that lower-case name, in order."""
        return [self.unfolded(found) for found in self._by_name.get(name, ())]

    def raw(self, found: Field) -> bytes:
        """The field as it stands, folded, with its CRLF."""
        return self.block[found.name_start : found.end]

    def unfolded(self, found: Field) -> bytes:
        return unfold(self.block[found.value_start : found.end])

    def has(self, kind: Malformation) -> bool:
        return any(fact.kind is kind for fact in self.facts)

    @property
    def duplicates(self) -> tuple[bytes, ...]:
        """Names that stand more than once and may not (`ONCE_ONLY`)."""
        return tuple(name for name, found in self._by_name.items() if len(found) > 1 and name in ONCE_ONLY)


def unfold(value: bytes) -> bytes:
    """RFC 5322 §2.2.3: each CRLF before white space goes; then the white space and CRLF around the value."""
    if b"\r\n" in value:
        value = value.replace(b"\r\n ", b" ").replace(b"\r\n\t", b"\t")
    return value.strip(b" \t").removesuffix(_CRLF).rstrip(b" \t")


def header_end(data: bytes) -> int:
    """The octet behind the empty line that ends the header, or -1 when there is none yet."""
    if data[:2] == _CRLF:
        return 2
    blank = data.find(_BLANK)
    return blank + 4 if blank >= 0 else -1


def index(data: bytes | memoryview) -> HeaderIndex:
    """The index of the header at the start of `data` (a body may follow). Always returns; one pass."""
    data = bytes(data)
    end = header_end(data)
    facts: list[Fact] = []
    if end < 0:
        end = len(data)
        facts.append(Fact(Malformation.NO_END, end))
        block, text = data, data.removesuffix(_CRLF)
    else:
        block, text = data[:end], data[: max(0, end - 4)]
    fields = _regular_fields(text + _CRLF) if text else []
    if fields is None:
        fields = _fields(text, facts)
        facts.extend(_bare_octets(block))
    if fields and fields[-1].end > end:  # the block ends without CRLF
        fields[-1] = fields[-1]._replace(end=end)
    by_name: dict[bytes, list[Field]] = {}
    for one in fields:
        by_name.setdefault(one.name, []).append(one)
    return HeaderIndex(block, tuple(fields), end, tuple(facts[:MAX_FACTS]), by_name)


# At the start of a line only: else each octet of a line without a colon would be a start to try.
_REGULAR: Final = re.compile(rb"(?<![^\n])([!-9;-~]++):([^\r\n\x00]*+(?:\r\n[ \t][^\r\n\x00]*+)*+\r\n)")


def _regular_fields(text: bytes) -> list[Field] | None:
    """The fields when nothing about them is malformed, fast; None when there may be something to report."""
    if b" \r\n" in text or b"\t\r\n" in text:  # perhaps a blank fold
        return None
    fields: list[Field] = []
    append, new = fields.append, tuple.__new__
    at = 0
    for name, rest in _REGULAR.findall(text):
        value_start = at + len(name) + 1
        end = value_start + len(rest)
        if end - at > MAX_LINE_BYTES and _has_long_line(text[at:end]):
            return None
        append(new(Field, (name.lower(), at, value_start, end)))
        at = end
    return fields if at == len(text) else None  # else something between them is no field


def _has_long_line(lines: bytes) -> bool:
    return any(len(line) > MAX_LINE_BYTES for line in lines.split(_CRLF))


def _fields(text: bytes, facts: list[Fact]) -> list[Field]:
    fields: list[Field] = []
    pending: tuple[bytes, int, int] | None = None  # name, name_start, value_start of the field being read
    at = 0
    for line in text.split(_CRLF):
        if len(line) > MAX_LINE_BYTES:
            facts.append(Fact(Malformation.LONG_LINE, at))
        if line[:1] in {b" ", b"\t"}:
            if at == 0:
                facts.append(Fact(Malformation.LEADING_SPACE, at))
            if not line.strip(b" \t"):
                facts.append(Fact(Malformation.BLANK_FOLD, at))
        else:
            if pending is not None:
                fields.append(Field(*pending, at))
            pending = _field_start(line, at, facts)
        at += len(line) + 2
    if pending is not None:
        fields.append(Field(*pending, min(at, len(text) + 2)))
    return fields


def _field_start(line: bytes, at: int, facts: list[Fact]) -> tuple[bytes, int, int] | None:
    colon = line.find(b":")
    if colon < 0:
        facts.append(Fact(Malformation.NO_COLON, at))
        return None
    name = line[:colon]
    if _NAME.fullmatch(name) is None:
        if not name.strip(b" \t"):
            facts.append(Fact(Malformation.EMPTY_NAME, at))
            return None
        stripped = name.rstrip(b" \t")
        if stripped != name:
            facts.append(Fact(Malformation.SPACE_BEFORE_COLON, at + len(stripped)))
            name = stripped
        if _NAME.fullmatch(name) is None:
            facts.append(Fact(Malformation.BAD_NAME, at))
    return name.lower(), at, at + colon + 1


def _bare_octets(block: bytes) -> list[Fact]:
    crlf = block.count(_CRLF)
    if block.count(b"\n") == crlf and block.count(b"\r") == crlf and 0 not in block:
        return []
    kinds = {0x0D: Malformation.BARE_CR, 0x0A: Malformation.BARE_LF, 0x00: Malformation.NUL}
    first: dict[Malformation, int] = {}
    for match in _BARE.finditer(block):
        first.setdefault(kinds[block[match.start()]], match.start())
        if len(first) == len(kinds):
            break
    return [Fact(kind, at) for kind, at in first.items()]


@lru_cache(maxsize=256)
def _selector(names: frozenset[bytes]) -> re.Pattern[bytes]:
    # A field up to, not including, its last CRLF: the CRLF before the name belongs to the line before.
    choice = b"|".join(re.escape(name) for name in sorted(names))
    return re.compile(rb"\r\n(?i:" + choice + rb")[ \t]*:[^\r]*+(?:\r(?!\n)[^\r]*+|\r\n(?=[ \t])[^\r]*+)*")


def select(block: bytes, names: frozenset[bytes]) -> bytes:
    """HEADER.FIELDS (RFC 9051 §6.4.5.1): the fields of these lower-case names as they stand, and the empty line.

    `block` is one header with its empty line, as `section.resolve` gives it. When it has none, the result has none.
    """
    lines = _unclosed(block)
    if not names or not lines:
        return _closing(block)
    found = _selector(names).findall(_CRLF + lines)
    return (b"".join(found) + _CRLF)[2:] + _closing(block) if found else _closing(block)


def select_not(block: bytes, names: frozenset[bytes]) -> bytes:
    """HEADER.FIELDS.NOT: the block without the fields of these lower-case names; lines that are no field stay."""
    lines = _unclosed(block)
    if not names or not lines:
        return block
    rest = _selector(names).sub(b"", _CRLF + lines)
    return (rest + _CRLF)[2:] + _closing(block) if rest else _closing(block)


def _unclosed(block: bytes) -> bytes:
    """The fields without the CRLF of the last one and without the empty line."""
    if block.endswith(_BLANK):
        return block[:-4]
    return block.removesuffix(_CRLF)


def _closing(block: bytes) -> bytes:
    return _CRLF if block.endswith(_BLANK) or block == _CRLF else b""
