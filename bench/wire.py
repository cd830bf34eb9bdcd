"""One connection of the generator, made to cost little: bytes go out as they are, answers are searched, not parsed.

`Wire` waits for one thing at a time. What it waits for is a *stop*: a function that looks at the bytes that have not been
searched yet and says where the answer ends. Two ways to wait: `keep` gives the bytes of the answer, `skim` throws
them away while they arrive and gives how many there were and how often a pattern occurred, in constant memory.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from bench.sut import HOST

if TYPE_CHECKING:
    from typing_extensions import override
else:

    def override(method: object) -> object:
        return method


Stop = Callable[[bytearray, int], int]
"""`stop(buffer, start)`: index just after the answer, or -1. `start` is where new bytes begin, minus an overlap."""

_OVERLAP = 512  # longer than any terminator, and than the last line of any answer


class DisconnectedError(Exception):
    """The server closed the connection while an answer was awaited."""


class RefusedError(Exception):
    """The server answered, but not what the scenario needs; the text holds the answer."""


@dataclass(slots=True)
class Skimmed:
    """What `skim` saw."""

    size_bytes: int = 0
    matches: int = 0
    tail: bytes = b""


class Wire(asyncio.Protocol):
    """A client connection. One waiter at a time."""

    __slots__ = ("_buffer", "_closed", "_searched", "_skim", "_stop", "_transport", "_waiter", "on_data")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._stop: Stop | None = None
        self._skim: tuple[bytes, Skimmed] | None = None
        self._waiter: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None
        self._closed = False
        self.on_data: Callable[[bytes], None] | None = None

    # asyncio.Protocol
    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class behind TLS

    @override
    def data_received(self, data: bytes) -> None:
        if self.on_data is not None:
            self.on_data(data)
            return
        self._buffer += data
        if self._stop is not None:
            self._search(self._stop)

    @override
    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - a lost connection is an error whatever the cause
        self._closed = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(DisconnectedError(bytes(self._buffer[-200:]).decode("ascii", "replace")))

    # waiting
    def _search(self, stop: Stop) -> None:
        end = stop(self._buffer, max(0, self._searched - _OVERLAP))
        if self._skim is not None:
            self._count(end)
        self._searched = len(self._buffer)
        if end >= 0 and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(end)
            self._stop = None

    def _count(self, end: int) -> None:
        """Count the new bytes; forget all but the overlap unless the answer is complete."""
        assert self._skim is not None
        pattern, seen = self._skim
        limit = len(self._buffer) if end < 0 else end
        # A match must end among the new bytes: one that ended before was counted before.
        start = max(0, self._searched - len(pattern) + 1)
        seen.matches += self._buffer.count(pattern, start, limit)
        seen.size_bytes += limit - self._searched
        if end < 0 and len(self._buffer) > _OVERLAP:
            del self._buffer[: len(self._buffer) - _OVERLAP]

    async def _wait(self, stop: Stop) -> int:
        if self._closed:
            raise DisconnectedError("the connection is closed")
        assert self._waiter is None, "two waiters on one connection"
        self._waiter = asyncio.get_running_loop().create_future()
        self._stop = stop
        self._searched = 0
        try:
            if self._buffer:
                self._search(stop)
            return await self._waiter
        finally:
            self._waiter = self._stop = None

    async def keep(self, stop: Stop) -> bytes:
        """The answer up to its stop. What follows stays for the next call."""
        end = await self._wait(stop)
        answer = bytes(self._buffer[:end])
        del self._buffer[:end]
        return answer

    async def skim(self, stop: Stop, pattern: bytes) -> Skimmed:
        """How large the answer was and how often `pattern` occurred; `tail` holds its last line at least."""
        seen = Skimmed()
        self._skim = (pattern, seen)
        try:
            end = await self._wait(stop)
        finally:
            self._skim = None
        seen.tail = bytes(self._buffer[max(0, end - 512) : end])
        del self._buffer[:end]
        return seen

    # sending and closing
    def write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Continue inside TLS. Nothing may be unread."""
        assert self._transport is not None
        assert not self._buffer, "plaintext was read before the handshake"
        loop = asyncio.get_running_loop()
        upgraded = await loop.start_tls(self._transport, self, context)
        assert upgraded is not None
        self._transport = upgraded

    @contextmanager
    def closed_on_error(self) -> Iterator[None]:
        """Close if what happens inside fails."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close without waiting."""
        if self._transport is not None:
            self._transport.abort()


async def connect(port: int, context: ssl.SSLContext | None = None, source: str = "") -> Wire:
    """A connection to a loopback port, inside TLS if a context is given, from a loopback address if one is named."""
    loop, local = asyncio.get_running_loop(), (source, 0) if source else None
    _transport, wire = await loop.create_connection(Wire, HOST, port, ssl=context, local_addr=local)
    return wire


def line_stop(buffer: bytearray, start: int) -> int:
    """The end of one line."""
    at = buffer.find(b"\r\n", start)
    return -1 if at < 0 else at + 2
