"""One connection: bytes in with backpressure, bytes out with backpressure, deadlines, and TLS that cannot be injected.

Theory of operation. A `Link` is an `asyncio.Protocol`, never a StreamReader: the streams keep plaintext that was read
before a TLS handshake and hand it out afterwards as if it had come inside TLS (RFC 3207 §6).

- Reading: chunks collect in a list. Above `READ_HIGH` the transport stops reading, and starts again when `read` took them.
- Writing: one call for each burst; `write` waits while the transport holds more than `WRITE_HIGH` bytes that the peer has
  not taken, and gives the peer up after `write_timeout_s` without enough progress.
- Time: one timer for each connection. Moving a deadline later only changes a number; the timer looks when it fires and
  goes to sleep again. Idle connections cost no CPU.
- Pokes: whoever wants the session's attention (mailbox changed, shutdown, a deadline) calls `poke`; `read` returns it.
- Loss: after a reset or `abort`, `read` gives b"" as at end of file, and `write` raises `LinkClosed`. Nothing else leaks.

Only one task reads and writes a link (`net.drive`). `poke`, `abort` and `close` may be called from anywhere in the loop.
"""

import asyncio
import ssl
from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, cast, final

from poterne.net.bounds import CHUNK_COST_BYTES, CLOSE_TIMEOUT_S, LINGER_BYTES, READ_HIGH, WRITE_HIGH, WRITE_TIMEOUT_S
from poterne.net.deadlines import CLOCK_STEP_S, Deadlines, SenderRate
from poterne.net.deflate import Deflate, inflated
from poterne.net.notice import NO_TRACE
from poterne.net.poke import LinkClosed, Poke
from poterne.net.tls import foreign_alpn
from poterne.net.tlswire import (
    PIECE_BYTES,
    InjectionError,
    NotTlsError,
    TlsError,
    TlsFacts,
    TlsSetup,
    TlsWire,
    tls_error,
)
from poterne.values.ids import TraceId

if TYPE_CHECKING:
    from typing_extensions import override
else:  # typing.override exists from Python 3.12

    def override(method: object) -> object:
        return method


__all__ = ["WRITE_HIGH", "WRITE_TIMEOUT_S", "Link", "LinkClosed", "Poke", "TlsSetup"]


@final
class Link(asyncio.Protocol):
    """A connection. Made by `net.listen` and `net.dial`; `service` and `trace` name it in logs."""

    __slots__ = (
        "_buffered", "_chunks", "_closing", "_deflate", "_drained", "_eof", "_gone", "_handshake", "_implicit_tls", "_loop",
        "_lost", "_poke", "_read_paused", "_server_side", "_timer", "_timer_at", "_times", "_tls", "_transport", "_waiter",
        "_wire", "_write_paused", "bytes_in", "bytes_out", "expired", "local", "local_uid", "opened_at", "peer", "peer_port",
        "service", "tls_setup", "trace", "write_timeout_s",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        service: str = "",
        trace: TraceId = NO_TRACE,
        server_side: bool = True,
        tls_setup: TlsSetup | None = None,
        implicit_tls: bool = False,
        write_timeout_s: float = WRITE_TIMEOUT_S,
    ) -> None:
        self._loop = loop
        self._server_side = server_side
        self.service = service
        self.trace = trace
        self.tls_setup = tls_setup
        self.write_timeout_s = write_timeout_s
        self.peer = ""
        self.peer_port = 0
        self.local: tuple[str, int] = ("", 0)
        self.local_uid: int | None = None
        self.bytes_in = self.bytes_out = 0
        self.opened_at = loop.time()
        self.expired = ""
        """Which deadline passed: the reason given to `set_patience`, `set_deadline` or `begin_bulk`."""
        self._transport: asyncio.Transport | None = None
        self._tls: TlsFacts | None = None
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._deflate: Deflate | None = None
        self._read_paused = False
        self._write_paused = False
        self._eof = False
        self._lost = ""
        self._closing = False
        self._wire: TlsWire | None = None
        self._implicit_tls = implicit_tls
        self._handshake: asyncio.Future[Exception | None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._gone: asyncio.Future[None] | None = None
        self._poke: Poke | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf  # uvloop's handles do not always know it
        self._times = Deadlines()

    # Facts

    @property
    def connected(self) -> bool:
        """The transport is there, no handshake is going on, and the connection is not lost or closing."""
        return self._transport is not None and self._handshake is None and not self._lost and not self._closing

    @property
    def tls(self) -> TlsFacts | None:
        """What was negotiated; None in plaintext."""
        return self._tls

    @property
    def tls_session(self) -> ssl.SSLSession | None:
        """What the next connection to this server can resume; only a client has one."""
        return None if self._wire is None or self._server_side else self._wire.session

    @property
    def tls_resumed(self) -> bool:
        """The handshake went on with an earlier session."""
        return self._wire is not None and self._wire.resumed

    def presented_chain(self) -> tuple[bytes, ...]:
        """The certificates that the server presented (DER, its own first), not verified; () in plaintext."""
        return () if self._wire is None else self._wire.presented()

    @property
    def silent(self) -> bool:
        """It is connected, and the peer has sent nothing that was not read, not even its end."""
        return self.connected and not self._chunks and not self._eof

    # Reading

    async def read(self) -> bytes | Poke:
        """What the peer sent, at least one byte; b"" at end of file or when the connection is gone; or why we were poked.

        A poke comes before bytes, so that a peer that never stops sending cannot hide a shutdown.
        PeerError when it is compressed and cannot be inflated.
        """
        while True:
            if self._poke is not None:
                poke, self._poke = self._poke, None
                return poke
            deflate = self._deflate
            if deflate is not None and (data := await inflated(deflate)) is not None:
                return data
            if self._chunks:
                data = self._take()
                if deflate is None:
                    return data
                deflate.take(data)
                continue
            if self._eof or self._lost or self._closing:
                return b""
            waiter = self._waiter = self._loop.create_future()
            rate = self._times.rate
            if rate is not None:
                rate.wait_begins(self._loop.time())
                self._arm(rate.due)
            try:
                await waiter
            finally:
                self._waiter = None
                if rate is not None and rate.wait_ends(self._loop.time(), self.bytes_in):
                    self._expire("too-slow")

    def compress(self) -> None:
        """From now on what is written is compressed, and what was not read yet is inflated (RFC 4978 §3)."""
        self._deflate = Deflate()

    def end_compression(self) -> None:
        """The opposite. What the peer sent behind the last flush that was read is as it is (RFC 8437 §3)."""
        deflate, self._deflate = self._deflate, None
        if deflate is not None and (rest := deflate.rest()):
            self._chunks.insert(0, rest)
            self._buffered += len(rest)

    @property
    def compressed(self) -> bool:
        return self._deflate is not None

    def _take(self) -> bytes:
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._buffered = 0
        if self._read_paused:
            self._resume_reading()
        return data

    def _resume_reading(self) -> None:
        transport = self._transport
        self._read_paused = False
        if transport is not None and not transport.is_closing():  # uvloop raises on a closing transport
            transport.resume_reading()

    def poke(self, why: Poke) -> None:
        """Make the current or the next `read` return `why` (together with what else is waiting)."""
        self._poke = why if self._poke is None else self._poke | why
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # Writing

    async def write(self, chunks: Sequence[bytes]) -> None:
        """Send the chunks in order, in one call; returns when no more than WRITE_HIGH bytes are unsent.

        Raises LinkClosed when the connection is gone or the peer takes too little for `write_timeout_s`.
        """
        transport = self._transport
        if transport is None or self._lost or transport.is_closing():
            raise LinkClosed(self._lost or "closed")
        if chunks:
            # One TLS record and one system call for a burst of small replies; joining is cheaper than either.
            if self._deflate is not None:
                chunks = (self._deflate.pack(chunks),)
            data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            self.bytes_out += len(data)
            if self._wire is None:
                transport.write(data)
            elif data:
                self._send_tls(self._wire, transport, data)
        if self._write_paused:
            await self._drain()

    async def write_last(self, chunks: Sequence[bytes]) -> None:
        """As `write`; `close` comes right after it. A short last word inside TLS goes out with the goodbye, in one packet."""
        wire, size = self._wire, sum(map(len, chunks))
        if wire is None or self._deflate is not None or not self.connected or not 0 < size <= PIECE_BYTES:
            await self.write(chunks)
            return
        self.bytes_out += size
        try:
            wire.keep(b"".join(chunks))
        except ssl.SSLError:
            self.abort("tls-broken")
            raise LinkClosed(self._lost) from None

    def _send_tls(self, wire: TlsWire, transport: asyncio.Transport, data: bytes) -> None:
        try:
            transport.write(wire.send(data))
        except ssl.SSLError:
            self.abort("tls-broken")
            raise LinkClosed(self._lost) from None

    async def _drain(self) -> None:
        times = self._times
        times.write_by = self._loop.time() + self.write_timeout_s
        self._arm(times.write_by)
        try:
            while self._write_paused and not self._lost:
                drained = self._drained = self._loop.create_future()
                await drained
        finally:
            self._drained = None
            times.write_by = inf
        if self._lost:
            raise LinkClosed(self._lost)

    def _wake_writer(self) -> None:
        drained = self._drained
        if drained is not None and not drained.done():
            drained.set_result(None)

    # Time

    def set_patience(self, timeout_s: float | None, reason: str) -> None:
        """From now on the peer may be silent for `timeout_s` after each command was handled; then it is poked DEADLINE.

        Bytes that complete no event buy no time. Our own work does not count. None: no limit.
        """
        self._times.patience_s = inf if timeout_s is None else timeout_s
        self._times.patience_why = reason
        self._forgive()
        self.restart_patience()

    def restart_patience(self) -> None:
        """The peer did something useful and it is its turn again. `net.drive` calls this."""
        times = self._times
        times.patience_at = self._loop.time() + times.patience_s
        self._arm(times.patience_at)

    def set_deadline(self, timeout_s: float | None, reason: str) -> None:
        """Poke DEADLINE after `timeout_s`, whatever happens until then (for example: authenticated by then). None: never."""
        self._times.deadline_at = inf if timeout_s is None else self._loop.time() + timeout_s
        self._times.deadline_why = reason
        self._forgive()
        self._arm(self._times.deadline_at)

    def _forgive(self) -> None:
        """A deadline that passed, and that the session has not heard of, is moot when it sets a new one."""
        if self._poke is not None and Poke.DEADLINE in self._poke:
            self.expired = ""
            self._poke = (self._poke & ~Poke.DEADLINE) or None

    def begin_bulk(self, min_rate_bytes_per_s: float, grace_s: float) -> None:
        """Until `end_bulk`, poke DEADLINE (`expired` = "too-slow") when the peer sends less than the rate.

        Looked at over periods in which we waited `grace_s` for the peer; our own work is not held against it.
        """
        self._times.rate = SenderRate(min_rate_bytes_per_s, grace_s, self.bytes_in)

    def end_bulk(self) -> None:
        self._times.rate = None

    def _expire(self, reason: str) -> None:
        self.expired = reason
        self.poke(Poke.DEADLINE)

    def _arm(self, due: float) -> None:
        """Make sure that the timer looks no later than `due`."""
        if self._timer_at <= due or due == inf or self._lost:
            return  # it looks earlier than needed, and then sleeps again
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        """The timer fired: something may be due, or only was when the timer was set."""
        self._timer = None
        self._timer_at = inf
        times = self._times
        now = self._loop.time() + CLOCK_STEP_S
        fatal = times.fatal(now)
        if fatal:
            self._shaken(TlsError("timeout"))
            self.abort(fatal)
            return
        inflating = self._deflate is not None and self._deflate.inflating  # maybe of what becomes nothing
        expired = times.expired(now, waiting=inflating or self._waiter is not None)
        if expired:
            self._expire(expired)
        if times.rate is not None and now >= times.rate.due:
            self._wake()  # `read` counts the time and judges
        self._arm(times.due)

    # TLS

    async def start_tls(self, pending: Sequence[bytes] = ()) -> None:
        """Stop reading, write `pending` (the go-ahead), upgrade by `tls_setup`. Returns when the handshake is done.

        Raises InjectionError when plaintext came where the handshake must begin, TlsError when it does not complete,
        LinkClosed; the link is closed then. RFC 3207 §4 and §6, RFC 9051 §6.2.1, RFC 2595 §4.
        """
        transport = self._transport
        if transport is None or self._lost or transport.is_closing():
            raise LinkClosed(self._lost or "closed")
        if self._wire is not None:
            raise RuntimeError("TLS was started twice")
        transport.pause_reading()
        self._refuse_plaintext()
        await self.write(pending)
        # No await between this look and the new wire: from here on every byte goes through TLS.
        self._refuse_plaintext()
        self._begin_tls()
        self._resume_reading()
        await self.secured()

    def _begin_tls(self) -> None:
        setup = self.tls_setup
        if setup is None:
            raise RuntimeError("TLS was started on a link that has no set-up for it")
        self._handshake = self._loop.create_future()
        self._times.handshake_by = self._loop.time() + setup.handshake_timeout_s
        self._arm(self._times.handshake_by)
        wire = self._wire = TlsWire(setup.context, server_name=setup.server_name, session=setup.session)
        if self._server_side:
            return
        try:
            wire.start_client()
        except (ValueError, OSError) as error:  # a server name that cannot be one
            self._wire_broke(error)
        else:
            self._send_wire(wire.output())

    async def secured(self) -> None:
        """Returns when the handshake in progress is done. Raises InjectionError or TlsError; the link is closed then."""
        handshake = self._handshake
        if handshake is None:
            return
        try:
            failure = await handshake
        except BaseException:
            self.abort("lost")
            raise
        finally:
            self._handshake = None
            self._times.handshake_by = inf
        if failure is not None:
            raise failure

    def _shaken(self, failure: Exception | None) -> None:
        """The handshake is over, one way or the other."""
        handshake = self._handshake
        if handshake is not None and not handshake.done():
            handshake.set_result(failure)

    def _established(self, wire: TlsWire) -> None:
        tls, setup = wire.facts(), self.tls_setup
        self._tls = tls
        if self._server_side and setup is not None and foreign_alpn(setup.service, tls.alpn):
            self._shaken(TlsError("foreign-alpn", tls.alpn or ""))
            self.abort("foreign-alpn")
        self._shaken(None)  # a failure told first stays

    def _wire_broke(self, error: Exception) -> None:
        """The peer's bytes are not the TLS that they should be. An alert may still be on its way out."""
        if self._tls is not None:
            self.abort("tls-broken")
            return
        injected = isinstance(error, NotTlsError) and not self._implicit_tls
        self._shaken(InjectionError() if injected else tls_error(error))
        if self._wire is not None:
            self._send_wire(self._wire.output())
        self.close(linger=True)

    def _send_wire(self, ciphertext: bytes) -> None:
        transport = self._transport
        if ciphertext and transport is not None and not transport.is_closing():
            transport.write(ciphertext)

    def _refuse_plaintext(self) -> None:
        if self._chunks:
            self.abort("injection")
            raise InjectionError
        if self._eof:
            self.abort("lost")
            raise LinkClosed("lost")

    # Ending

    def close(self, *, linger: bool = False) -> None:
        """Send what is written, say goodbye (FIN, close_notify), and be gone after CLOSE_TIMEOUT_S at the latest.

        `linger`: the peer may still be sending; read and drop that for a moment, so that the kernel's reset does not
        destroy our last reply on its way.
        """
        if self._closing or self._lost:
            return
        transport = self._transport
        self._closing = True
        self._deflate = None
        self._chunks.clear()
        self._buffered = 0
        close_by = self._loop.time() + CLOSE_TIMEOUT_S
        self._times.closing(close_by)
        self._wake()
        if transport is None:
            self._lost = "closed"
            return
        self._arm(close_by)
        self._shaken(TlsError("closed"))
        if self._wire is not None:
            self._send_wire(self._wire.goodbye())
            linger = True  # the peer will say goodbye too
        if not linger or self._eof or transport.is_closing():
            transport.close()
            return
        try:
            transport.write_eof()
            if self._read_paused:
                self._resume_reading()
        except (OSError, RuntimeError):
            self.abort("lost")

    def abort(self, code: str = "lost") -> None:
        """Drop the connection now. A waiting `read` gets b"", a waiting `write` LinkClosed(code)."""
        self._deflate = None
        self._mark_lost(code)
        if self._transport is not None:
            self._transport.abort()

    async def wait_closed(self) -> None:
        """Returns when the transport is gone; after `close` or `abort` that takes CLOSE_TIMEOUT_S at most."""
        if self._transport is None:
            return
        if self._gone is None:
            self._gone = self._loop.create_future()
        await asyncio.shield(self._gone)

    def _mark_lost(self, code: str) -> None:
        """No more bytes in or out. The transport may still exist."""
        if not self._lost:
            self._lost = code
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._timer_at = inf
        self._shaken(TlsError("closed"))
        self._chunks.clear()
        self._buffered = 0
        self._wake()
        self._wake_writer()

    # asyncio.Protocol

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self.peer, self.peer_port = str(peer[0]), int(peer[1])
        local = transport.get_extra_info("sockname")
        if isinstance(local, tuple):
            self.local = (str(local[0]), int(local[1]))
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH)
        if self._implicit_tls:
            self._begin_tls()

    @override
    def data_received(self, data: bytes) -> None:
        size = len(data)
        self.bytes_in += size
        if self._closing or self._lost:
            self._buffered += size
            if self._buffered > LINGER_BYTES and self._transport is not None:
                self._transport.abort()
            return
        if self._wire is not None:
            size = self._decrypt(self._wire, data)
        else:
            self._chunks.append(data)
            size += CHUNK_COST_BYTES
        self._buffered += size
        if self._buffered >= READ_HIGH:
            self._pause_reading()
        self._wake()

    def _pause_reading(self) -> None:
        if not self._read_paused and self._transport is not None:
            self._read_paused = True
            self._transport.pause_reading()

    def _decrypt(self, wire: TlsWire, data: bytes) -> int:
        """Take ciphertext; returns how much more is buffered."""
        before = len(self._chunks)
        try:
            size = wire.receive(data, self._chunks)
        except (OSError, ssl.CertificateError, NotTlsError) as error:
            self._wire_broke(error)
            return 0
        fresh = self._tls is None and wire.established
        answer = b"" if fresh and wire.only_tickets else wire.output()
        if answer:
            self._send_wire(answer)
            if self._write_paused:  # a peer that asks for key updates and does not read the answers
                self._pause_reading()
        if fresh:
            self._established(wire)
        if wire.ended:
            self._eof = True
        return 0 if self._lost else size + CHUNK_COST_BYTES * (len(self._chunks) - before)

    @override
    def eof_received(self) -> bool:
        """End of file. In plaintext our side stays open, so that a client that half-closes gets its replies."""
        self._eof = True
        self._wake()
        if self._tls is None:
            self._shaken(TlsError("closed"))
        return not self._closing and (self._wire is None or self._tls is not None)

    @override
    def pause_writing(self) -> None:
        self._write_paused = True

    @override
    def resume_writing(self) -> None:
        self._write_paused = False
        if self._read_paused and self._buffered < READ_HIGH:
            self._resume_reading()
        self._wake_writer()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._eof = True
        # What the peer sent before it closed is still read (a QUIT, the end of a message), unless we gave it up.
        kept = [] if self._closing or self._lost else self._chunks.copy()
        self._mark_lost("lost" if exc is None else "reset")
        self._chunks.extend(kept)
        self._read_paused = False
        self._transport = None
        self._wire = None
        gone, self._gone = self._gone, None
        if gone is not None and not gone.done():
            gone.set_result(None)
