"""A connection to a mail server, made ready for mail: greeted, encrypted as demanded, signed in.

Theory of operation. `Connection` turns the client core's events into awaited answers. Whatever ends a conversation, the
server, the network, the clock or TLS, is one exception: `ConversationError` with the stage and a word. Each wait has a
deadline of its own, and all of them end at `total_by`, so that a server that answers very slowly cannot hold a message for hours.

Opportunistic TLS that fails in the handshake is followed by a second connection in cleartext: whoever can break the handshake
could as well have hidden STARTTLS. Plaintext in front of the handshake is an attack, not a broken server: nothing follows it.
"""

import asyncio
import datetime as dt
import ssl
from dataclasses import replace
from hashlib import sha256
from typing import Final, final

from poterne.mailauth.dane.verify import Verdict, verify
from poterne.net.dial import DialError, dial
from poterne.net.link import Link, LinkClosed, Poke, TlsSetup
from poterne.net.tls import CertificateError, ClientContexts, certificate_covers
from poterne.net.tlswire import InjectionError, TlsError
from poterne.proto.core import PeerError, Signal
from poterne.proto.smtp.client import Client
from poterne.proto.smtp.client_commands import Answer, Auth, Command, Greet, Greeting, Lost, Quit, StartTls
from poterne.queue.outcome import Hop, Stage, TlsDemand, TlsOutcome
from poterne.queue.verdicts import ConversationError
from poterne.values.ids import TraceId

_INJECTION: Final = "starttls-injection"
_PROVEN: Final = frozenset({TlsDemand.VERIFIED, TlsDemand.DANE})


@final
class Connection:
    """One connection, for one transaction after the other. Made by `connect`; only one task uses it at a time."""

    __slots__ = (
        "_lost",
        "carried",
        "context",
        "core",
        "dirty",
        "finished",
        "hop",
        "key",
        "link",
        "opened_at",
        "tls",
        "total_by",
        "used_at",
    )

    def __init__(self, hop: Hop, link: Link, context: ssl.SSLContext | None, total_by: float) -> None:
        self.hop = hop
        self.key = hop.key
        self.link = link
        self.context = context
        self.core = Client(tls=hop.implicit_tls, lmtp=hop.lmtp)
        self.tls = TlsOutcome()
        self.total_by = total_by
        """When all waits end, in the loop's time."""
        self.carried = 0
        """Messages so far."""
        self.dirty = False
        """A transaction was begun and not ended: RSET comes first."""
        self.finished = False
        """The server said that it hangs up."""
        self.opened_at = self.used_at = link.opened_at
        self._lost = ""

    def limit(self, name: str) -> int | None:
        """What the server says of itself in LIMITS (RFC 9422), such as "RCPTMAX"; None when it does not."""
        for word in self.core.extensions.get("LIMITS", ()):
            key, _, value = word.partition("=")
            if key.upper() == name and value.isascii() and value.isdigit():
                return int(value[:6]) or None
        return None

    async def ask(self, command: Command, stage: Stage, timeout_s: float) -> Answer:
        """One command, and its answer."""
        self.core.send(command)
        return await self.answer(stage, timeout_s)

    async def answer(self, stage: Stage, timeout_s: float) -> Answer:
        """The next answer, within the time; what waits to be written goes first. Raises ConversationError, for a 421 too.

        After the message, though, a 421 is an answer: it was not taken.
        """
        event = await self._event(stage, timeout_s)
        if not isinstance(event, Answer):
            raise ConversationError(stage, "unexpected-reply")
        if event.reply.code == 421:
            if stage is not Stage.FINAL:
                raise ConversationError(stage, "closed", reply=event.reply)
            self.finished = True
        return event

    async def _event(self, stage: Stage, timeout_s: float) -> Answer | Greeting:
        core, link = self.core, self.link
        waiting = False
        while True:
            try:
                event = core.next_event()
            except PeerError as error:
                raise ConversationError(stage, error.code) from None
            if isinstance(event, Answer | Greeting):
                return event
            if isinstance(event, Lost):
                raise ConversationError(stage, self._lost or "closed", reply=event.reply)
            if event is not Signal.NEED_DATA:
                raise ConversationError(stage, "closed")
            if core.pending and not await self._push():
                continue
            if not waiting:
                waiting = True
                self._set_deadline(timeout_s)
            got = await link.read()
            if isinstance(got, bytes):
                core.receive(got)
            elif Poke.DEADLINE in got:
                raise ConversationError(stage, "timeout")

    def _set_deadline(self, timeout_s: float) -> None:
        left_s = self.total_by - asyncio.get_running_loop().time()
        self.link.set_deadline(max(0.0, min(timeout_s, left_s)), "answer")

    async def _push(self) -> bool:
        """Write what waits. False: the connection is gone; what the server said before it went is in the core."""
        try:
            await self.link.write(self.core.output())
        except LinkClosed as closed:
            self._lost = closed.code
            while isinstance(got := await self.link.read(), Poke):
                pass
            self.core.receive(got)
            self.core.receive(b"")
            return False
        return True

    async def flush(self) -> None:
        """While content is sent: write what waits, and wait while the server is slow to take it.

        Raises ConversationError, also when the server says something: it can only be a refusal.
        """
        if asyncio.get_running_loop().time() >= self.total_by:
            raise ConversationError(Stage.DATA, "timeout")
        if not await self._push() or not self.link.silent:
            await self._event(Stage.DATA, self.hop.timeouts.data_s)
            raise ConversationError(Stage.DATA, "unexpected-reply")

    # -- making it ready -----------------------------------------------------------------------------------------------

    async def begin(self, *, starttls: bool) -> None:
        """Greeting, EHLO, STARTTLS when it is offered or demanded, AUTH. Raises ConversationError."""
        times = self.hop.timeouts
        greeting = (await self._event(Stage.GREETING, times.greeting_s)).reply
        if greeting.code != 220:
            raise ConversationError(Stage.GREETING, "refused", reply=greeting)
        await self._greet()
        if self.hop.implicit_tls:
            self._judge()
        elif starttls:
            await self._encrypt()
        if self.hop.login is not None:
            login = self.hop.login
            answer = await self.ask(Auth(login.user, login.password), Stage.AUTH, times.command_s)
            if not answer.reply.positive:
                raise ConversationError(Stage.AUTH, "refused", reply=answer.reply)

    async def _greet(self) -> None:
        answer = await self.ask(Greet(self.hop.helo), Stage.EHLO, self.hop.timeouts.command_s)
        if not answer.reply.positive:
            raise ConversationError(Stage.EHLO, "refused", reply=answer.reply)

    async def _encrypt(self) -> None:
        optional = self.hop.tls is TlsDemand.OPPORTUNISTIC
        if "STARTTLS" not in self.core.extensions:
            self.tls = TlsOutcome(problem="not-offered")
            if not optional:
                raise ConversationError(Stage.STARTTLS, "not-offered")
            return
        answer = await self.ask(StartTls(), Stage.STARTTLS, self.hop.timeouts.command_s)
        if not answer.reply.positive:
            self.tls = TlsOutcome(problem="refused", detail=answer.reply.text)
            if not optional:
                raise ConversationError(Stage.STARTTLS, "refused", reply=answer.reply)
            return
        await self._shake()
        self._judge()
        await self._greet()

    async def _shake(self) -> None:
        core = self.core
        try:
            if core.next_event() is not Signal.START_TLS:
                raise ConversationError(Stage.STARTTLS, "closed")
            await self.link.start_tls(core.output())
            core.tls_started()
        except (InjectionError, PeerError) as error:
            word = error.code if isinstance(error, PeerError) else _INJECTION
            raise ConversationError(Stage.STARTTLS, word) from None
        except TlsError as error:
            raise ConversationError(Stage.TLS, error.code, detail=error.detail) from None
        except LinkClosed:
            raise ConversationError(Stage.TLS, "closed") from None

    def _judge(self) -> None:
        """The handshake is done: is it what was demanded?"""
        facts, hop = self.link.tls, self.hop
        if facts is None:
            raise ConversationError(Stage.TLS, "closed")
        if hop.tls is TlsDemand.DANE:
            verdict = verify(hop.tlsa, self.link.presented_chain(), hop.names, dt.datetime.now(dt.UTC))
            if verdict is not Verdict.MATCH:
                raise ConversationError(Stage.TLS, verdict.value)
        if (
            hop.tls is TlsDemand.VERIFIED
            and len(hop.names) > 1
            and not certificate_covers(facts.certificate, hop.names)
        ):
            raise ConversationError(Stage.TLS, "name")
        self.tls = TlsOutcome(
            facts.version, facts.cipher, hop.tls in _PROVEN, sha256(facts.certificate).hexdigest(), self.tls.problem
        )

    # -- the end -------------------------------------------------------------------------------------------------------

    async def quit(self) -> None:
        """Say QUIT and close; the answer is not waited for, only the end of the connection. Never raises."""
        try:
            if self.link.silent:
                self.core.send(Quit())
                await self.link.write(self.core.output())
        except (LinkClosed, RuntimeError):
            self.link.abort()
        self.link.close(linger=True)
        await self.link.wait_closed()


async def connect(
    hop: Hop,
    contexts: ClientContexts,
    *,
    session: tuple[ssl.SSLContext, ssl.SSLSession] | None = None,
    trace: TraceId,
    total_by: float,
) -> Connection:
    """A connection that is ready for MAIL. `session`: what an earlier one left to resume. Raises ConversationError."""
    try:
        return await _open(hop, contexts, session, trace, total_by, starttls=True)
    except ConversationError as error:
        error.tls = replace(error.tls, problem=_tls_problem(error), detail=error.detail)
        if hop.fallback is not None and error.tls.problem and error.word != _INJECTION:
            return await _fall_back(hop, hop.fallback, contexts, error.tls, trace, total_by)
        if error.stage is not Stage.TLS or hop.implicit_tls or hop.tls is not TlsDemand.OPPORTUNISTIC:
            raise
        failed = error.tls
    connection = await _open(hop, contexts, None, trace, total_by, starttls=False)
    connection.tls = failed
    return connection


async def _fall_back(
    hop: Hop, demand: TlsDemand, contexts: ClientContexts, failed: TlsOutcome, trace: TraceId, total_by: float
) -> Connection:
    """The demand was not met and need not be: connect again with less. What was wrong stays told."""
    lenient = replace(hop, tls=demand, names=(), tlsa=(), ca_file=None, fallback=None)
    try:
        connection = await connect(lenient, contexts, trace=trace, total_by=total_by)
    except ConversationError as error:
        error.tls = failed
        raise
    connection.hop, connection.key = hop, hop.key
    connection.tls = replace(connection.tls, problem=failed.problem, detail=failed.detail)
    return connection


def _tls_problem(error: ConversationError) -> str:
    if error.stage not in {Stage.STARTTLS, Stage.TLS}:
        return ""
    return "injection" if error.word == _INJECTION else error.word


async def _open(
    hop: Hop,
    contexts: ClientContexts,
    session: tuple[ssl.SSLContext, ssl.SSLSession] | None,
    trace: TraceId,
    total_by: float,
    *,
    starttls: bool,
) -> Connection:
    setup = _tls_setup(hop, contexts, session) if starttls or hop.implicit_tls else None
    left_s = total_by - asyncio.get_running_loop().time()
    try:
        link = await dial(
            hop.address,
            hop.port,
            service="smtp",
            trace=trace,
            timeout_s=max(0.0, min(hop.timeouts.connect_s, left_s)),
            tls=setup,
            implicit_tls=hop.implicit_tls,
            source=hop.source,
            write_timeout_s=hop.timeouts.block_s,
        )
    except DialError as error:
        raise ConversationError(Stage.CONNECT, error.code, detail=error.detail) from None
    except TlsError as error:
        raise ConversationError(Stage.TLS, error.code, detail=error.detail) from None
    except InjectionError:
        raise ConversationError(Stage.TLS, "handshake", detail="plaintext") from None
    connection = Connection(hop, link, setup.context() if setup is not None else None, total_by)
    source = link.local[0]
    try:
        await connection.begin(starttls=starttls)
        connection.tls = replace(connection.tls, source=source)
    except ConversationError as error:
        error.tls = replace(connection.tls, source=source)
        if error.word == "refused":  # a server that answered is told goodbye
            await connection.quit()
        else:
            link.abort()
        raise
    except BaseException:
        link.abort()
        raise
    return connection


def _tls_setup(hop: Hop, contexts: ClientContexts, session: tuple[ssl.SSLContext, ssl.SSLSession] | None) -> TlsSetup:
    pki, dane = hop.tls is TlsDemand.VERIFIED, hop.tls is TlsDemand.DANE
    try:
        context = contexts.get(verify=pki, ca_file=hop.ca_file if pki else None, check_name=len(hop.names) <= 1)
    except CertificateError as error:
        raise ConversationError(Stage.TLS, "authorities", detail=str(error)) from None
    # A session belongs to its context: after a change of the CA file there is nothing to resume. DANE never resumes: the
    # context is that of unverified TLS, and a resumed session presents no certificates.
    resumed = session[1] if session is not None and session[0] is context and not dane else None
    name = hop.names[0] if (pki or dane) and hop.names else hop.name  # RFC 7672 §8.1: SNI is the TLSA base domain
    return TlsSetup(lambda: context, "smtp", hop.timeouts.tls_s, name or None, resumed)
