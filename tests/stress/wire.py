"""A connection over TLS that reads whole responses as they come, and keeps what was said for whoever has to find out why."""

import asyncio
import re
import ssl
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

KEPT = 1000
_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
_MAX_LINE = 1 << 22


class Wire:
    """`hear` gets each response (literals in it, without the last CRLF) on the loop; `lost` is called when it ends."""

    def __init__(self, name: str, hear: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self.name = name
        self._hear, self._lost = hear, lost
        self.said: deque[str] = deque(maxlen=KEPT)
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self, host: str, port: int, ca: Path) -> None:
        context = _context(ca)
        reader, self._writer = await asyncio.open_connection(
            host, port, ssl=context, server_hostname=host, limit=_MAX_LINE
        )
        self._note("--", b"connected")
        self._reading = asyncio.create_task(self._read(reader))

    def send(self, data: bytes) -> None:
        assert self._writer is not None
        self._note("C:", data)
        self._writer.write(data)

    async def close(self) -> None:
        """At once, without a word."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._writer is not None:
            self._writer.transport.abort()
        self._note("--", b"closed")

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                whole = await reader.readuntil(b"\r\n")
                while (literal := _LITERAL.search(whole)) is not None:
                    whole += await reader.readexactly(int(literal[1])) + await reader.readuntil(b"\r\n")
                self._note("S:", whole)
                self._hear(whole.removesuffix(b"\r\n"))
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
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
