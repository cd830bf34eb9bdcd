"""One query to one name server, by UDP or TCP.

Theory of operation. Each UDP query has a socket of its own, connected: the kernel chooses its port at random, gives us only
what comes from that server's address and port, and says at once when nobody listens there. An answer counts when its id and
its question are ours; anything else is dropped, and after some of that we ask by TCP, where nobody guesses. To a server on
another machine the question is written in mixed case too, which a forger would have to guess. Truncated answers are fetched by
TCP.
"""

import asyncio
import os
import socket
from typing import Final, final

from poterne.net.dns.servers import NameServer
from poterne.net.dns.wire import Query, encoded, mixed_case, truncated
from poterne.values.dns import Failure

MAX_STRAYS: Final = 8
"""Answers to nobody's question, after which we ask by TCP."""
DATAGRAM_OCTETS: Final = 4096


class ExchangeError(Exception):
    """No answer from this server. TIMEOUT, UNREACHABLE or MALFORMED."""

    def __init__(self, reason: Failure, detail: str) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.detail = detail


def make_query(server: NameServer, name: str, code: int) -> Query:
    """A question about a canonical name, as this server is asked."""
    octets = encoded(name)
    if server.local:
        return Query.make(int.from_bytes(os.urandom(2)), octets, code, dnssec=server.trusted)
    entropy = int.from_bytes(os.urandom(34))  # 16 bits for the id, one for each letter that a name can have
    return Query.make(entropy & 0xFFFF, mixed_case(octets, entropy >> 16), code, dnssec=server.trusted)


async def ask(server: NameServer, query: Query, timeout_s: float) -> bytes:
    """An answer to this very query, complete. Raises ExchangeError."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + timeout_s
    try:
        data = await _Datagram(loop, server, query).answer(timeout_s)
        if data is not None and not truncated(data):
            return data
        return await _by_tcp(server, query, ends_at - loop.time())
    except TimeoutError:
        raise ExchangeError(Failure.TIMEOUT, f"{server} did not answer in time") from None
    except (OSError, asyncio.IncompleteReadError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it hung up"
        raise ExchangeError(Failure.UNREACHABLE, f"{server}: {why}") from None


@final
class _Datagram:
    __slots__ = ("_done", "_loop", "_query", "_server", "_socket", "_strays")

    def __init__(self, loop: asyncio.AbstractEventLoop, server: NameServer, query: Query) -> None:
        self._loop = loop
        self._server = server
        self._query = query
        self._strays = 0

    async def answer(self, timeout_s: float) -> bytes | None:
        """None: ask by TCP. Raises TimeoutError and OSError."""
        server = self._server
        family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as sock:
            sock.connect((server.address, server.port))
            sock.send(self._query.wire)
            self._socket = sock
            self._done: asyncio.Future[bytes | None] = self._loop.create_future()
            self._loop.add_reader(sock, self._readable)
            timer = self._loop.call_later(timeout_s, self._late)
            try:
                return await self._done
            finally:
                timer.cancel()
                self._loop.remove_reader(sock)

    def _late(self) -> None:
        if not self._done.done():
            self._done.set_exception(TimeoutError())

    def _readable(self) -> None:
        if self._done.done():
            return
        try:
            data = self._socket.recv(DATAGRAM_OCTETS)
        except BlockingIOError:
            return
        except OSError as error:
            self._done.set_exception(error)
            return
        ours = self._query.answered_by(data)
        if ours:
            self._done.set_result(data)
        elif ours is None:  # forged, or by a server that changes letters: by TCP it matters no more
            self._done.set_result(None)
        else:
            self._strays += 1
            if self._strays >= MAX_STRAYS:
                self._done.set_result(None)


async def _by_tcp(server: NameServer, query: Query, timeout_s: float) -> bytes:
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_connection(server.address, server.port)
        try:
            writer.write(len(query.wire).to_bytes(2) + query.wire)
            data = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
        finally:
            writer.close()
    if query.answered_by(data) is False:
        raise ExchangeError(Failure.MALFORMED, f"{server} answered another question by TCP")
    return data
