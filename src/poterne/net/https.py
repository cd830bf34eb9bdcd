"""A small file from a web server that somebody else names: fetched over verified HTTPS, and no further than that.

Theory of operation. Whoever sends us a domain makes us ask its web server, so nothing it says may lead us elsewhere or cost
more than a few KiB and seconds: the host's addresses come from our resolver and must be public; redirects are an answer like
any other, and not followed; the certificate is verified against WebPKI roots for the host's name; the whole has one deadline;
what is longer than the limit, compressed, or of unknown length is refused. A body that only the end of the connection ends is
refused too: whoever cuts the connection could shorten it.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, final

from poterne.net.dial import DialError, dial
from poterne.net.link import Link, LinkClosed
from poterne.net.tls import CertificateError, ClientContexts
from poterne.net.tlswire import TlsError, TlsSetup
from poterne.values.dns import Found, Resolver

HEAD_MOST: Final = 16 * 1024
ADDRESSES_MOST: Final = 4
_CHUNK_LINE_MOST: Final = 256
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\x00]*)")
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?")


class Fault(Enum):
    """Why there is no file; the value is the stable word."""

    ADDRESS = "address"
    """The host has no address, or none that we connect to."""
    CONNECT = "connect"
    TLS = "tls"
    """The handshake failed."""
    CERTIFICATE = "certificate"
    """It is not valid for the host."""
    TIMEOUT = "timeout"
    STATUS = "status"
    """The answer was not 200."""
    TYPE = "type"
    SIZE = "size"
    PROTOCOL = "protocol"


class FetchError(Exception):
    """No file. `detail` is for the log; parts of it were written by a stranger."""

    def __init__(self, fault: Fault, detail: str = "") -> None:
        super().__init__(f"{fault.value}: {detail}" if detail else fault.value)
        self.fault = fault
        self.detail = detail


@dataclass(frozen=True, slots=True)
class FetchTerms:
    """`usable` says which addresses may be connected to. `ca_file` None: the system's roots."""

    usable: Callable[[str], bool]
    port: int = 443
    ca_file: Path | None = None
    total_s: float = 30.0
    body_most: int = 64 * 1024


async def get(
    host: str, path: str, media_type: str, resolver: Resolver, contexts: ClientContexts, terms: FetchTerms
) -> bytes:
    """The file at `https://host/path`. Raises FetchError, and nothing else. `host` is a lower-case A-label name."""
    try:
        async with asyncio.timeout(terms.total_s):
            link = await _connected(host, resolver, contexts, terms)
            try:
                return await _asked(link, host, path, media_type, terms.body_most)
            finally:
                link.abort()
    except TimeoutError:
        raise FetchError(Fault.TIMEOUT) from None


async def _connected(host: str, resolver: Resolver, contexts: ClientContexts, terms: FetchTerms) -> Link:
    answer = await resolver.addresses(host)
    if not isinstance(answer, Found):
        raise FetchError(Fault.ADDRESS, type(answer).__name__)
    usable = [address for address in answer.records if terms.usable(address)][:ADDRESSES_MOST]
    if not usable:
        raise FetchError(Fault.ADDRESS, "no public address")
    try:
        context = contexts.get(verify=True, ca_file=terms.ca_file)
    except CertificateError as error:
        raise FetchError(Fault.TLS, str(error)) from None
    setup = TlsSetup(lambda: context, "https", terms.total_s, host)
    failure = FetchError(Fault.CONNECT)
    for address in usable:
        try:
            share_s = terms.total_s / len(usable)
            return await dial(address, terms.port, service="https", timeout_s=share_s, tls=setup, implicit_tls=True)
        except DialError as error:
            failure = FetchError(Fault.CONNECT, str(error))
        except TlsError as error:
            fault = Fault.CERTIFICATE if error.code == "certificate" else Fault.TLS
            raise FetchError(fault, error.detail or error.code) from None
    raise failure


async def _asked(link: Link, host: str, path: str, media_type: str, body_most: int) -> bytes:
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Poterne\r\nAccept: {media_type}\r\n"
        "Accept-Encoding: identity\r\nConnection: close\r\n\r\n"
    )
    response = Response(media_type.encode(), body_most)
    try:
        await link.write([request.encode("ascii")])
    except LinkClosed as closed:
        raise FetchError(Fault.PROTOCOL, closed.code) from None
    while (body := response.body()) is None:
        got = await link.read()
        if not isinstance(got, bytes):
            continue
        if not got:
            raise FetchError(Fault.PROTOCOL, "cut off")
        response.receive(got)
    return body


@final
class Response:
    """An HTTP/1.1 response (RFC 9112) as it comes in. No I/O."""

    __slots__ = ("_body", "_body_most", "_buffer", "_chunked", "_length", "_media_type")

    def __init__(self, media_type: bytes, body_most: int) -> None:
        self._media_type = media_type
        self._body_most = body_most
        self._buffer = b""
        self._length: int | None = None
        """Of a body without chunks; None before the head was read."""
        self._chunked = False
        self._body: list[bytes] = []

    def receive(self, data: bytes) -> None:
        self._buffer += data

    def body(self) -> bytes | None:
        """The whole body; None: more is needed. Raises FetchError."""
        if self._length is None and not self._chunked and not self._head():
            return None
        if self._chunked:
            return self._chunks()
        length = self._length or 0
        return self._buffer[:length] if len(self._buffer) >= length else None

    def _head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end > HEAD_MOST or (end < 0 and len(self._buffer) > HEAD_MOST):
            raise FetchError(Fault.SIZE, "header")
        if end < 0:
            return False
        first, *lines = self._buffer[:end].split(b"\r\n")
        self._buffer = self._buffer[end + 4 :]
        status = _STATUS.fullmatch(first)
        if status is None:
            raise FetchError(Fault.PROTOCOL, "status line")
        if status[1] != b"200":
            raise FetchError(Fault.STATUS, status[1].decode("ascii"))
        self._understand(_fields(lines))
        return True

    def _understand(self, fields: dict[bytes, list[bytes]]) -> None:
        kinds = fields.get(b"content-type", [])
        if len(kinds) != 1 or kinds[0].partition(b";")[0].strip().lower() != self._media_type:
            raise FetchError(Fault.TYPE, b", ".join(kinds)[:100].decode("latin-1"))
        if any(coding.lower() != b"identity" for coding in fields.get(b"content-encoding", [])):
            raise FetchError(Fault.PROTOCOL, "content-encoding")
        lengths = set(fields.get(b"content-length", []))
        transfer = [coding.lower() for coding in fields.get(b"transfer-encoding", [])]
        if transfer:
            if transfer != [b"chunked"] or lengths:
                raise FetchError(Fault.PROTOCOL, "transfer-encoding")
            self._chunked = True
            return
        if len(lengths) != 1 or not (text := lengths.pop()).isdigit() or len(text) > 10:
            raise FetchError(Fault.PROTOCOL, "length")
        self._length = int(text)
        if self._length > self._body_most:
            raise FetchError(Fault.SIZE, f"{self._length} octets")

    def _chunks(self) -> bytes | None:
        """Chunks that are complete are taken; trailers are not looked at."""
        while True:
            end = self._buffer.find(b"\r\n")
            if end < 0:
                if len(self._buffer) > _CHUNK_LINE_MOST:
                    raise FetchError(Fault.PROTOCOL, "chunk")
                return None
            line = _CHUNK.fullmatch(self._buffer, 0, end)
            if line is None or end > _CHUNK_LINE_MOST:
                raise FetchError(Fault.PROTOCOL, "chunk")
            size = int(line[1], 16)
            if not size:
                return b"".join(self._body)
            if sum(map(len, self._body)) + size > self._body_most or len(self._body) >= _CHUNKS_MOST:
                raise FetchError(Fault.SIZE, "body")
            whole = end + 2 + size
            if len(self._buffer) < whole + 2:
                return None
            if self._buffer[whole : whole + 2] != b"\r\n":
                raise FetchError(Fault.PROTOCOL, "chunk")
            self._body.append(self._buffer[end + 2 : whole])
            self._buffer = self._buffer[whole + 2 :]


_CHUNKS_MOST: Final = 1000


def _fields(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise FetchError(Fault.PROTOCOL, "header")
        found.setdefault(field[1].lower(), []).append(field[2].rstrip(b" \t"))
    return found
