"""The one loop that everything turns around: the only code that moves bytes between a core and a link.

Theory of operation. `drive` asks the core for events and hands each to the session, which acts and calls `core.send`.
When the core needs data, everything queued goes out in one write, and only then is more input taken: while the peer does
not read our replies, we do not parse its next command. A peer that pipelines much yields to others every `FAIR_EVENTS`.

How a connection ends is decided here and nowhere else: the core says CLOSED, the peer breaks the protocol (PeerError), goes
away (LinkClosed), fails at TLS, or the session has a bug. Each ends this connection only, and each is told to `observe`.
"""

import asyncio
from typing import Final, Protocol, TypeVar

from poterne.net.link import Link, LinkClosed, Poke
from poterne.net.notice import Kind, Notice, Observe
from poterne.net.tlswire import InjectionError, TlsError
from poterne.proto.core import Core, PeerError, Signal

E = TypeVar("E")
R = TypeVar("R")
E_contra = TypeVar("E_contra", contravariant=True)

FLUSH_AT: Final = 64 * 1024
"""Replies that long are written before more is done."""
INJECTION_CODE: Final = "starttls-injection"
"""The PeerError.code with which a core reports plaintext behind STARTTLS that it had already taken from the link."""
FAIR_EVENTS: Final = 64
"""After so many events without waiting, other connections get a turn."""


_NEED_DATA: Final = Signal.NEED_DATA  # looking a member up in its Enum takes 0.1 µs, and this is asked at each event
_CLOSED: Final = Signal.CLOSED
_START_TLS: Final = Signal.START_TLS


class Session(Protocol[E_contra]):
    """What a connection means: it acts on events and sends replies to its core. One for each connection.

    It holds the core and the link; `flush_if_big` is for answers that may be long. Exceptions that leave it are bugs
    (except LinkClosed from a flush): they are logged and end this connection only.
    """

    async def opened(self) -> None:
        """The link is up (and encrypted, for implicit TLS): send the greeting, set the first patience."""

    async def handle(self, event: E_contra, /) -> None:
        """Act on one event of the core, and `core.send` the replies."""

    async def poked(self, why: Poke, /) -> None:
        """Something other than input wants attention. On SHUTDOWN and DEADLINE: send the last reply and close the core."""

    def secured(self) -> None:
        """STARTTLS succeeded: `link.tls` says how. Forget what the peer said in plaintext."""

    async def closed(self) -> None:
        """The connection is over, however it ended: release what is held. Always called, once; nothing can be sent."""


async def flush(core: Core[E, R], link: Link) -> None:
    """Write what is queued, wait while the peer is slow to take it, and let others have a turn."""
    await link.write(core.output())
    await asyncio.sleep(0)


async def flush_if_big(core: Core[E, R], link: Link) -> None:
    """For long answers, between their parts: `flush` once FLUSH_AT bytes are queued, so that memory stays bounded."""
    if core.pending >= FLUSH_AT:
        await flush(core, link)


async def drive(
    core: Core[E, R],
    session: Session[E],
    link: Link,
    *,
    last_words: bytes,
    observe: Observe,
) -> None:
    r"""Run one connection until it is over, and close the link. Raises nothing but CancelledError.

    `last_words` is the complete reply for our own bug (b"421 4.3.0 …\r\n", b"* BYE …\\r\\n").
    """
    linger = True
    try:
        await _turns(core, session, link)
        linger = False
    except LinkClosed as closed:
        if closed.code == "write-timeout":
            link.expired = closed.code
    except PeerError as error:
        injected = error.code == INJECTION_CODE
        _tell(observe, link, Kind.INJECTION if injected else Kind.PEER_ERROR, str(error))
        await _say(link, core.output())
    except InjectionError:
        _tell(observe, link, Kind.INJECTION)
    except TlsError as failed:
        _tell(observe, link, Kind.TLS_FAILED, str(failed))
    except Exception as error:  # noqa: BLE001  # the one place where bugs of a session end
        _tell(observe, link, Kind.BUG, error=error)
        await _say(link, [last_words])
    finally:
        link.close(linger=linger)
        await _farewell(session, link, observe)


async def _turns(core: Core[E, R], session: Session[E], link: Link) -> None:
    await session.opened()
    handled = 0  # since the last pause for others
    useful = True  # something was handled since the last wait
    ended = False
    while True:
        event = core.next_event()
        if event is _NEED_DATA:
            if core.pending:
                await link.write(core.output())
            if useful:
                useful = False
                link.restart_patience()
            got = await link.read()
            if isinstance(got, Poke):
                await session.poked(got)
                continue
            if not got:
                if ended:
                    return  # the core has heard of the end of file and still wants more: nothing will come
                ended = True
            core.receive(got)
        elif event is _CLOSED:
            await link.write_last(core.output())
            return
        elif event is _START_TLS:
            await _secure(core, session, link)
            useful = True
        else:
            await session.handle(event)
            useful = True
            handled += 1
            if core.pending >= FLUSH_AT:
                await link.write(core.output())
            if handled >= FAIR_EVENTS:
                handled = 0
                await asyncio.sleep(0)


async def _secure(core: Core[E, R], session: Session[E], link: Link) -> None:
    await link.start_tls(core.output())
    core.tls_started()
    session.secured()


async def _say(link: Link, chunks: list[bytes]) -> None:
    try:
        await link.write(chunks)
    except LinkClosed:
        return


async def _farewell(session: Session[E], link: Link, observe: Observe) -> None:
    try:
        await session.closed()
    except Exception as error:  # noqa: BLE001  # see drive
        _tell(observe, link, Kind.BUG, error=error)
    await link.wait_closed()


def _tell(observe: Observe, link: Link, kind: Kind, detail: str = "", error: BaseException | None = None) -> None:
    observe(Notice(kind, link.service, link.peer, link.trace, detail, error))
