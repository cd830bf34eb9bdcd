r"""What a server sends, cut into responses: any server's, so tolerant in form and strict in size.

Theory of operation. A response is a line, or several joined by literals ("{123}" at a line's end: 123 octets follow, and then
the line goes on). Text and literals are collected as `_parts` until the line ends without one; then they become nested values:
an atom is a `str`, a string (quoted or literal) `bytes`, NIL is None, a parenthesised list a `list`.

One literal is not collected: the one that follows BODY[] in a FETCH response is a message, and comes as `BodyStart`, `BodyData`
…; in the values its place is taken by STREAMED. UID may stand before or behind it, so that what the message is may only be
known when the response is complete.

Tolerated: lines that end in LF, "{5+}", missing or surplus parentheses, 8-bit octets in atoms and quoted strings, a message as
a quoted string or NIL. Lines, collected literals and nesting have limits; a message has none here.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final, final

from poterne.proto.core import PeerError

MAX_LINE_BYTES: Final = 1024 * 1024
"""Of one line. Nothing that we ask for is longer."""
MAX_COLLECTED_BYTES: Final = 4 * 1024 * 1024
"""Of one response, literals included, but for a message."""
MAX_LITERALS: Final = 1_000
"""Of one response."""
MAX_DEPTH: Final = 64

_LITERAL: Final = re.compile(rb"~?\{([0-9]{1,18})\+?\}\Z")
_MESSAGE: Final = re.compile(rb"\* [0-9]{1,10} FETCH .*[ (](?:BODY\[\](?:<0>)?|RFC822) *\Z", re.IGNORECASE | re.DOTALL)
_PLAIN_TEXT: Final = re.compile(rb"\* (?:OK|NO|BAD|BYE|PREAUTH)(?: |\Z)|[^*]", re.IGNORECASE)
"""Begins what ends in human text: braces at its end mean nothing."""
_TOKEN: Final = re.compile(
    rb' *+(?:(\()|(\))|"((?:[^"\\]|\\.)*+)"?|([^ ()"\[\]]*+\[[^\]]*+\]?[^ ()"]*+|[^ ()"]++))', re.DOTALL
)
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)


class Streamed(Enum):
    """Stands in the values where the message was."""

    STREAMED = "streamed"


STREAMED: Final = Streamed.STREAMED
Value = str | bytes | None | Streamed | list["Value"]


@dataclass(frozen=True, slots=True)
class BodyStart:
    """A message of so many octets follows as `BodyData`, then the `Line` that it stands in."""

    size: int


@dataclass(frozen=True, slots=True)
class BodyData:
    data: bytes


@dataclass(frozen=True, slots=True)
class Line:
    """A whole response: text and literals in turn, beginning with text."""

    parts: tuple[bytes | Streamed, ...]

    @property
    def text(self) -> bytes:
        """The line, or what stood before the first literal."""
        first = self.parts[0]
        return first if isinstance(first, bytes) else b""

    def values(self, start: int = 0) -> list[Value]:
        """From this octet of the text on. Raises PeerError."""
        return values((self.text[start:], *self.parts[1:]))


@final
class ResponseReader:
    """`feed` octets in any pieces, then take what `next` gives until it gives None."""

    __slots__ = ("_body_left", "_buffer", "_collected", "_literal_left", "_parts", "_searched", "_streamed")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._parts: list[bytes | Streamed] = []
        self._collected = 0
        self._literal_left: int | None = None
        """Octets of a collected literal to wait for."""
        self._body_left = 0
        self._streamed = False
        """The message of this response."""

    @property
    def buffered(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> BodyStart | BodyData | Line | None:
        """None: more octets are needed. Raises PeerError."""
        while True:
            if self._body_left:
                return self._body()
            if self._literal_left is not None:
                if not self._collect():
                    return None
                continue
            line = self._line()
            if line is None:
                return None
            found = self._take(line)
            if found is not None:
                return found

    def _body(self) -> BodyData | None:
        buffer = self._buffer
        if not buffer:
            return None
        if len(buffer) <= self._body_left:
            data = bytes(buffer)
            buffer.clear()
        else:
            data = bytes(memoryview(buffer)[: self._body_left])
            del buffer[: self._body_left]
        self._body_left -= len(data)
        return BodyData(data)

    def _collect(self) -> bool:
        wanted = self._literal_left or 0
        if len(self._buffer) < wanted:
            return False
        self._parts.append(bytes(memoryview(self._buffer)[:wanted]))
        del self._buffer[:wanted]
        self._literal_left = None
        return True

    def _line(self) -> bytes | None:
        buffer = self._buffer
        end = buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(buffer)
        if (len(buffer) if end < 0 else end) > MAX_LINE_BYTES:
            raise PeerError("line-too-long")
        if end < 0:
            return None
        self._searched = 0
        line = bytes(memoryview(buffer)[:end])
        del buffer[: end + 1]
        return line.removesuffix(b"\r")

    def _take(self, line: bytes) -> BodyStart | Line | None:
        parts = self._parts
        self._collected += len(line)
        if self._collected > MAX_COLLECTED_BYTES:
            raise PeerError("response-too-long")
        literal = _LITERAL.search(line) if line[-1:] == b"}" else None
        if literal is None or (not parts and _PLAIN_TEXT.match(line)):
            done = Line((*parts, line))
            self._parts = []
            self._collected = 0
            self._streamed = False
            return done
        size = int(literal[1])
        parts.append(line[: literal.start()])
        if len(parts) > 2 * MAX_LITERALS:
            raise PeerError("too-many-literals")
        if not self._streamed and _MESSAGE.match(_texts(parts)):
            self._streamed = True
            parts.append(STREAMED)
            self._body_left = size
            return BodyStart(size)
        if self._collected + size > MAX_COLLECTED_BYTES:
            raise PeerError("literal-too-long")
        self._collected += size
        self._literal_left = size
        return None


def _texts(parts: list[bytes | Streamed]) -> bytes:
    """What was said so far; literals between are left out."""
    if len(parts) == 1 and isinstance(parts[0], bytes):
        return parts[0]
    return b" ".join(part for part in (parts[0], parts[-1]) if isinstance(part, bytes))


def values(parts: tuple[bytes | Streamed, ...]) -> list[Value]:
    """Text and literals in turn as nested values. Raises PeerError when they are nested too deep."""
    top: list[Value] = []
    stack = [top]
    for index, part in enumerate(parts):
        if index % 2 or not isinstance(part, bytes):
            stack[-1].append(part)
            continue
        for found in _TOKEN.finditer(part):
            match found.lastindex:
                case 1:
                    inner: list[Value] = []
                    stack[-1].append(inner)
                    stack.append(inner)
                    if len(stack) > MAX_DEPTH:
                        raise PeerError("nested-too-deep")
                case 2:
                    if len(stack) > 1:
                        stack.pop()
                case 3:
                    quoted = found[3]
                    stack[-1].append(_ESCAPED.sub(rb"\1", quoted) if b"\\" in quoted else quoted)
                case _:
                    atom = found[4]
                    stack[-1].append(None if atom in _NIL else atom.decode("latin-1"))
    return top


_NIL: Final = frozenset({b"NIL", b"nil", b"Nil"})
