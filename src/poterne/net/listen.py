"""Accepting connections: limits, refusals, implicit TLS, drain.

Theory of operation. We accept ourselves (readiness of the listening socket, then `accept` until it is empty) instead of
`loop.create_server`, because a connection has to be counted before its TLS handshake, a refusal must cost almost nothing,
and running out of file descriptors must lead to a pause and not to a busy loop. Each connection is one task, which makes
the transport, runs what `serve` returns (normally `net.drive.drive`), and takes the connection off the books. A connection
from a listed proxy first has to say who is behind it; everything after that goes by the address it names.
"""

import asyncio
import errno
import secrets
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from itertools import count
from typing import Final, final

from poterne.net.admission import Admission, read_origin
from poterne.net.limits import Gate, Limits
from poterne.net.link import WRITE_TIMEOUT_S, Link, Poke, TlsSetup
from poterne.net.notice import Kind, Notice, Observe
from poterne.net.tlswire import TlsError
from poterne.net.unix import local_peer, peer_uid
from poterne.policy.access import Reason
from poterne.proto.proxy import ProxyError
from poterne.values.ids import TraceId

BACKLOG: Final = 1024
ACCEPTS_AT_ONCE: Final = 64
"""After so many accepts, running connections get their turn."""
ACCEPT_PAUSE_S: Final = 0.5
"""How long accepting rests when the system has no descriptors or memory left."""
DRAIN_TAIL_S: Final = 2.0
"""After the drain's deadline connections are aborted; tasks that do not end then are cancelled after this."""
SETTLE_S: Final = 0.01
"""How long a plaintext connection takes from accept to its session, at most."""
MAX_INTRODUCTIONS: Final = 512
"""Connections from proxies whose header has not come yet; beyond it new ones are closed."""
_DENIALS: Final = frozenset(reason.value for reason in Reason)
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Serve = Callable[[Link], Coroutine[object, object, None]]
"""Makes core and session for a link and returns `drive(core, session, link, …)`. A plain function saves a frame."""


def bind_socket(address: str, port: int, *, reuse_port: bool = False, backlog: int = BACKLOG) -> socket.socket:
    """A listening, non-blocking TCP socket on one numeric IPv4 or IPv6 address; IPv6 takes no IPv4. OSError if it cannot.

    `reuse_port`: several processes bind the same port and the kernel spreads connections.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted sockets inherit both. Without NODELAY, Nagle and delayed ACK cost 40 ms a reply.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def trace_ids() -> Callable[[], TraceId]:
    """A source of trace ids: short, unique across processes and restarts, ascending within one source."""
    prefix = secrets.token_hex(4)
    numbers = count(1)
    return lambda: TraceId(f"{prefix}{next(numbers):06x}")


@final
class Listener:
    r"""One service on one or more listening sockets. `start` and the rest are called in the loop that it runs in.

    `implicit_tls`: the handshake comes first (465, 993, 995); else `tls` is there for STARTTLS, or None.
    `refusal`: the complete reply to a connection over a limit, sent in plaintext only (b"421 4.7.0 …\r\n").
    `admission`: lists and proxies as well; a `gate` alone lets everybody in up to its limits.
    """

    def __init__(
        self,
        service: str,
        sockets: Sequence[socket.socket],
        serve: Serve,
        *,
        gate: Gate | None = None,
        admission: Admission | None = None,
        observe: Observe,
        tls: TlsSetup | None = None,
        implicit_tls: bool = False,
        refusal: bytes = b"",
        new_trace: Callable[[], TraceId] | None = None,
        write_timeout_s: float = WRITE_TIMEOUT_S,
    ) -> None:
        if implicit_tls and tls is None:
            raise ValueError("implicit TLS needs a TlsSetup")
        self.service = service
        self._sockets = list(sockets)
        self._serve = serve
        self._admission = admission or Admission(gate or Gate(Limits()))
        self._observe = observe
        self._tls = tls
        self._implicit_tls = implicit_tls
        self._refusal = refusal
        self._new_trace = new_trace or trace_ids()
        self._write_timeout_s = write_timeout_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serving: dict[asyncio.Task[None], Link] = {}
        self._introductions: set[asyncio.Task[None]] = set()
        self._pauses: set[asyncio.TimerHandle] = set()
        self._empty = asyncio.Event()
        self._draining = False

    @property
    def connections(self) -> int:
        """How many run now, handshakes included."""
        return len(self._serving)

    def links(self) -> list[Link]:
        """The links that run now."""
        return list(self._serving.values())

    def start(self) -> None:
        """Begin to accept."""
        self._loop = asyncio.get_running_loop()
        for sock in self._sockets:
            sock.setblocking(False)
            self._loop.add_reader(sock.fileno(), self._accept, sock)

    def _accept(self, sock: socket.socket) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                client, address = sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue  # it went away while it waited
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._rest(sock, error)
                    return
                continue  # RFC 1122-style errors of that one connection, see accept(2)
            client.setblocking(False)
            if client.family == socket.AF_UNIX:
                self._admit(client, local_peer(client), 0)
                continue
            proxies, peer = self._admission.proxies, str(address[0])
            if proxies and peer in proxies:
                self._expect_introduction(client, peer)
            else:
                self._admit(client, peer, int(address[1]))

    def _rest(self, sock: socket.socket, error: OSError) -> None:
        """Leave the queue to the kernel for a moment instead of asking again and again."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(sock.fileno())
        self._observe(Notice(Kind.ACCEPT_PAUSED, self.service, detail=errno.errorcode.get(error.errno or 0, "")))

        def resume() -> None:
            self._pauses.discard(timer)
            loop.add_reader(sock.fileno(), self._accept, sock)

        timer = loop.call_later(ACCEPT_PAUSE_S, resume)
        self._pauses.add(timer)

    def _expect_introduction(self, client: socket.socket, proxy: str) -> None:
        """A proxy connected: who it is for is not known yet, so it counts for nobody."""
        if len(self._introductions) >= MAX_INTRODUCTIONS or self._draining:
            self._turn_away(client, proxy, "draining" if self._draining else "proxy")
            return
        task = asyncio.get_running_loop().create_task(self._introduce(client, proxy))
        self._introductions.add(task)

        def introduced(task: asyncio.Task[None]) -> None:
            self._introductions.discard(task)
            if task.cancelled():  # perhaps before its first step
                client.close()

        task.add_done_callback(introduced)

    async def _introduce(self, client: socket.socket, proxy: str) -> None:
        try:
            found = await read_origin(client)
        except ProxyError as error:
            self._observe(Notice(Kind.PROXY_REFUSED, self.service, proxy, detail=error.code))
            client.close()
        except OSError:
            client.close()
        else:
            self._admit(client, found.address if found else proxy, found.port if found else 0)

    def _turn_away(self, client: socket.socket, peer: str, why: str) -> None:
        self._observe(Notice(Kind.REFUSED, self.service, peer, detail=why))
        reply = self._admission.denial if why in _DENIALS else self._refusal
        with client, suppress(OSError):
            if reply and not self._implicit_tls:
                client.send(reply)

    def _admit(self, client: socket.socket, peer: str, port: int) -> None:
        why = "draining" if self._draining else self._admission.enter(peer)
        if why:
            self._turn_away(client, peer, why)
            return
        loop = asyncio.get_running_loop()
        link = Link(
            loop,
            service=self.service,
            trace=self._new_trace(),
            tls_setup=self._tls,
            implicit_tls=self._implicit_tls,
            write_timeout_s=self._write_timeout_s,
        )
        link.peer = peer
        link.local_uid = peer_uid(client)
        task = loop.create_task(self._run(client, link, peer, port))
        self._serving[task] = link
        self._empty.clear()

    async def _run(self, client: socket.socket, link: Link, peer: str, port: int) -> None:
        """One connection from accept to the end."""
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: link, client)
            del client
            link.peer, link.peer_port = peer, port  # the transport knows a proxy only
            await link.secured()
            await self._serve(link)
        except TlsError as failed:
            kind = Kind.FOREIGN_ALPN if failed.code == "foreign-alpn" else Kind.TLS_FAILED
            self._observe(Notice(kind, self.service, peer, link.trace, str(failed)))
            await link.wait_closed()  # an alert may be on its way
        except OSError:
            pass  # the peer went away before it was served
        except Exception as error:  # noqa: BLE001  # a bug in `serve` outside drive: this connection only
            self._observe(Notice(Kind.BUG, self.service, peer, link.trace, error=error))
        finally:
            link.abort("closed")
            self._off_the_books(link, peer)

    def _off_the_books(self, link: Link, peer: str) -> None:
        self._admission.leave(peer)
        task = asyncio.current_task()
        if task is not None:
            self._serving.pop(task, None)
        if not self._serving:
            self._empty.set()
        self._observe(
            Notice(
                Kind.CLOSED,
                self.service,
                peer,
                link.trace,
                link.expired,
                bytes_in=link.bytes_in,
                bytes_out=link.bytes_out,
                lasted_s=asyncio.get_running_loop().time() - link.opened_at,
            )
        )

    def stop_accepting(self) -> None:
        """Close the listening sockets of this process. Who is already in the queue is still accepted."""
        if self._loop is None:
            return
        for timer in self._pauses:
            timer.cancel()
        self._pauses.clear()
        for sock in self._sockets:
            self._loop.remove_reader(sock.fileno())
            self._accept(sock)
            sock.close()
        for timer in self._pauses:  # the last accept may have run out of descriptors
            timer.cancel()
        self._pauses.clear()
        self._sockets.clear()

    async def drain(self, timeout_s: float) -> int:
        """Stop accepting, ask every session to say goodbye, wait; returns how many had to be cut after `timeout_s`."""
        self.stop_accepting()
        self._draining = True
        for introduction in self._introductions:
            introduction.cancel()
        # Who was just accepted becomes a session that can say goodbye; and a task that is cancelled before its first step
        # would never reach its own clean-up.
        await asyncio.sleep(SETTLE_S)
        if not self._serving:
            return 0
        for task, link in list(self._serving.items()):
            if link.connected:
                link.poke(Poke.SHUTDOWN)
            else:
                task.cancel()  # in its handshake: nothing to say goodbye to
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()
                return 0
        cut = len(self._serving)
        for link in self.links():
            link.abort("shutdown")
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_TAIL_S):
                await self._empty.wait()
                return cut
        for task in list(self._serving):
            task.cancel()
        await self._empty.wait()
        return cut
