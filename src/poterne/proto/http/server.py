"""One HTTP/1.1 request, strictly (RFC 9112), and its answer.

Theory of operation. The head of the request is collected until its empty line, within HEAD_MOST, and read once. Only CRLF ends a
line; a folded field, white space before a colon, a second Host or a target that is neither a path nor an absolute URI is refused.
Only POST has a body, of a length that it says before, within BODY_MOST. The answer ends the connection, so that nothing behind
a request is taken for another one, and there is nothing to smuggle. HEAD gets the head that GET would get.
"""

import re
from typing import Final, final

from msgspec import structs

from poterne.proto.core import Signal
from poterne.proto.http.messages import REASONS, Event, Malformed, Request, Response

HEAD_MOST: Final = 8 * 1024
TARGET_MOST: Final = 2 * 1024
FIELDS_MOST: Final = 100
BODY_MOST: Final = 8 * 1024
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_LENGTH: Final = re.compile(rb"[0-9]{1,9}")
_REQUEST_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([!-~]+) HTTP/([0-9])\.([0-9])")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*)")
_ABSOLUTE: Final = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_AUTHORITY: Final = re.compile(r"([A-Za-z0-9._-]{0,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{0,5})?")
_BODY_FIELDS: Final = frozenset((b"content-length", b"transfer-encoding"))

_Fields = dict[bytes, list[bytes]]
"""Values by name in lower case."""


@final
class Server:
    """One connection, server side. Memory: HEAD_MOST and what one read brings, and the answer until it is taken."""

    __slots__ = ("_buffer", "_closed", "_head_only", "_out", "_owed", "_searched", "_wants", "_whole")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        """Up to here no line of the head ends badly, and the head does not: octets that come singly are read once."""
        self._out: list[bytes] = []
        self._owed = False
        self._closed = False
        self._head_only = False
        self._wants: Request | None = None
        """A POST whose body is not there yet."""
        self._whole = 0
        """The length of that body."""

    @property
    def answered(self) -> bool:
        """Nothing can be sent any more."""
        return self._closed

    def receive(self, data: bytes) -> None:
        if not data:
            self._closed = self._closed or not self._owed
        elif not self._closed and not self._owed:
            self._buffer += data

    def next_event(self) -> Event | Signal:
        if self._owed:
            raise RuntimeError("the request is not answered")
        if self._closed:
            return Signal.CLOSED
        event = self._head() if self._wants is None else self._wants
        if self._wants is not None:
            if len(self._buffer) < self._whole:
                return Signal.NEED_DATA
            event = structs.replace(self._wants, body=bytes(self._buffer[: self._whole]))
        if isinstance(event, Signal):
            return event
        self._buffer.clear()
        self._owed = True
        self._head_only = isinstance(event, Request) and event.method == "HEAD"
        return event

    def _head(self) -> Event | Signal:
        """What the head says, once it is there. Of a POST it stays in `_wants` until the body is there too."""
        while self._buffer[:2] == b"\r\n" and len(self._buffer) > 2:
            del self._buffer[:2]  # RFC 9112 §2.2
            self._searched = 0
        end = self._buffer.find(b"\r\n\r\n", max(0, self._searched - 3), HEAD_MOST)
        if end < 0 and len(self._buffer) < HEAD_MOST:
            bare = _BARE_LF.search(self._buffer, self._searched)
            self._searched = len(self._buffer)
            return Signal.NEED_DATA if bare is None else Malformed(400, "bare-lf")
        if end < 0:
            return Malformed(431 if b"\r\n" in self._buffer else 414, "too-long")
        event, fields = _request(bytes(self._buffer[:end]))
        if not isinstance(event, Request) or event.method != "POST":
            return event
        whole = _length(fields)
        if isinstance(whole, Malformed):
            return whole
        del self._buffer[: end + 4]
        self._wants, self._whole = event, whole
        if fields.get(b"expect") and len(self._buffer) < whole:  # RFC 9110 §10.1.1
            self._out.append(_CONTINUE)
        return event

    def send(self, reply: Response, /) -> None:
        """The answer, to a request or to none: then it is for a peer that was too slow, or for all."""
        if self._closed:
            raise RuntimeError("it was answered already")
        head = [
            f"HTTP/1.1 {reply.status} {REASONS[reply.status]}",
            *([f"Date: {reply.date}"] if reply.date else []),
            f"Content-Type: {reply.content_type}",
            f"Content-Length: {len(reply.body)}",
            f"Cache-Control: {f'max-age={reply.max_age_s}' if reply.max_age_s else 'no-store'}",
            "X-Content-Type-Options: nosniff",
            *([f"Allow: {reply.allow}"] if reply.allow else []),
            *(f"{name}: {value}" for name, value in reply.fields),
            "Connection: close",
        ]
        self._out.append("".join(f"{line}\r\n" for line in (*head, "")).encode("ascii"))
        if reply.body and not self._head_only:
            self._out.append(reply.body)
        self._owed = False
        self._closed = True

    def output(self) -> list[bytes]:
        out, self._out = self._out, []
        return out

    @property
    def pending(self) -> int:
        return sum(map(len, self._out))

    def tls_started(self) -> None:
        """HTTPS begins with TLS: never called."""


def _request(head: bytes) -> tuple[Event, _Fields]:
    """What a head says, and its fields. Never raises."""
    first, *lines = head.split(b"\r\n")
    found = _REQUEST_LINE.fullmatch(first)
    if found is None:
        return Malformed(400, "request-line"), {}
    if found[3] != b"1":
        return Malformed(505, "version"), {}
    if len(found[2]) > TARGET_MOST:
        return Malformed(414, "target"), {}
    fields = _fields(lines)
    if fields is None:
        return Malformed(400, "field"), {}
    hosts = fields.get(b"host", [])
    if len(hosts) > 1 or (not hosts and found[4] != b"0"):  # RFC 9112 §3.2
        return Malformed(400, "host"), {}
    if fields.keys() >= _BODY_FIELDS:
        return Malformed(400, "length"), {}  # RFC 9112 §6.1
    event = _addressed(found[1].decode("ascii"), found[2].decode("ascii"), hosts[0] if hosts else b"")
    if isinstance(event, Request) and (languages := fields.get(b"accept-language")):
        event = structs.replace(event, languages=b",".join(languages).decode("latin-1"))
    return event, fields


def _length(fields: _Fields) -> int | Malformed:
    """Of a POST's body."""
    if b"transfer-encoding" in fields:
        return Malformed(411, "chunked")
    lengths = fields.get(b"content-length", [b"0"])
    if len(lengths) > 1 or _LENGTH.fullmatch(lengths[0]) is None:
        return Malformed(400, "length")
    if any(one.lower() != b"100-continue" for one in fields.get(b"expect", [])):
        return Malformed(417, "expect")
    whole = int(lengths[0])
    return whole if whole <= BODY_MOST else Malformed(413, "body")


def _addressed(method: str, target: str, host: bytes) -> Event:
    """The host of an absolute target counts, whatever Host says (RFC 9112 §3.2.2)."""
    authority = host.decode("latin-1")
    if _AUTHORITY.fullmatch(authority) is None:
        return Malformed(400, "host")
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is not None:
        authority, target = absolute[1], absolute[2] or "/"
    elif target[0] != "/":
        return Malformed(400, "target")
    named = _AUTHORITY.fullmatch(authority)
    if named is None:
        return Malformed(400, "target")
    return Request(method, named[1].lower().removesuffix("."), target)


def _fields(lines: list[bytes]) -> _Fields | None:
    if len(lines) > FIELDS_MOST:
        return None
    found: _Fields = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            return None
        found.setdefault(field[1].lower(), []).append(field[2].rstrip(b" \t"))
    return found
