"""A connection over TLS that reads whole responses as they come, and keeps what was said for whoever has to find out why."""

import asyncio
import re
import ssl
import time
import zlib
from collections import deque
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

KEPT = 1000
_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
_MAX_LINE = 1 << 22
_PIECE = 1 << 16
_FLUSHES = (zlib.Z_SYNC_FLUSH, zlib.Z_PARTIAL_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_SYNC_FLUSH)


class Wire:
    """`hear` gets each response (literals in it, without the last CRLF) on the loop; `lost` is called when it ends."""

    def __init__(self, name: str, hear: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self.name = name
        self._hear, self._lost = hear, lost
        self.said: deque[str] = deque(maxlen=KEPT)
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._flushes = cycle(_FLUSHES)
        self._deflate: zlib._Compress | None = None
        self._inflate: zlib._Decompress | None = None

    async def open(self, host: str, port: int, ca: Path) -> None:
        context = _context(ca)
        reader, self._writer = await asyncio.open_connection(
            host, port, ssl=context, server_hostname=host, limit=_MAX_LINE
        )
        self._note("--", b"connected")
        self._deflate = self._inflate = None
        plain = asyncio.StreamReader(limit=_MAX_LINE)
        self._tasks = [asyncio.create_task(self._receive(reader, plain)), asyncio.create_task(self._read(plain))]

    def send(self, data: bytes) -> None:
        assert self._writer is not None
        self._note("C:", data)
        if self._deflate is not None:
            data = self._deflate.compress(data) + self._deflate.flush(next(self._flushes))
        self._writer.write(data)

    def compress(self) -> None:
        """From here on, both ways (RFC 4978). Nothing may be under way."""
        self._deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        self._inflate = zlib.decompressobj(wbits=-zlib.MAX_WBITS)

    async def close(self) -> None:
        """At once, without a word."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._writer is not None:
            self._writer.transport.abort()
        self._note("--", b"closed")

    async def _receive(self, wire: asyncio.StreamReader, plain: asyncio.StreamReader) -> None:
        try:
            while data := await wire.read(_PIECE):
                plain.feed_data(data if self._inflate is None else self._inflate.decompress(data))
        except (ConnectionError, ssl.SSLError, zlib.error) as error:
            self._note("--", repr(error).encode())
        plain.feed_eof()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                whole = await reader.readuntil(b"\r\n")
                while (literal := _LITERAL.search(whole)) is not None:
                    whole += await reader.readexactly(int(literal[1])) + await reader.readuntil(b"\r\n")
                self._note("S:", whole)
                self._hear(whole.removesuffix(b"\r\n"))
        except asyncio.IncompleteReadError:
            self._note("--", b"the server closed")
            self._lost()

    def _note(self, who: str, data: bytes) -> None:
        shown = data if len(data) < 300 else data[:200] + b" ... " + data[-60:]
        self.said.append(f"{time.monotonic():.4f} {self.name} {who} {shown.decode('latin-1').rstrip()!r}")


_CONTEXTS: dict[Path, ssl.SSLContext] = {}


def _context(ca: Path) -> ssl.SSLContext:
    if ca not in _CONTEXTS:
        _CONTEXTS[ca] = ssl.create_default_context(cafile=ca)
    return _CONTEXTS[ca]
