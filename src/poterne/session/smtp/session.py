"""One SMTP connection: each event of the core gets its answer here.

Every refusal says in words what to do; every unknown failure is temporary (4xx) to the peer and loud in the log. What is
counted against a peer (wrong commands, unknown recipients) is counted here, per connection.
"""

import asyncio
from typing import Final, assert_never, final

from poterne.message.compose import Hop, with_protocol
from poterne.net.link import Link, Poke
from poterne.policy.relay import RelayReason
from poterne.proto.sasl.mechanism import Challenge as SaslChallenge
from poterne.proto.sasl.mechanism import Credentials, Exchange, Step
from poterne.proto.sasl.registry import exchange
from poterne.proto.smtp import events as ev
from poterne.proto.smtp import replies as re
from poterne.proto.smtp.replies import Challenge, Reply
from poterne.proto.smtp.server import Server
from poterne.session.authenticate import Denied, Why
from poterne.session.smtp import envelope as tx
from poterne.session.smtp.header import Refused
from poterne.session.smtp.relay import REPLIES
from poterne.session.smtp.sender import owns
from poterne.session.smtp.services import Service, Services
from poterne.store.errors import OverQuotaError, StoreError
from poterne.values.address import Address
from poterne.values.directory import Account, RouteKind

RATE_GRACE_S: Final = 60.0
UNKNOWN_DELAY_S: Final = 0.5
"""Each unknown recipient beyond the first costs its sender this much more; an honest server rarely has two."""

_EARLY = Reply(554, "5.5.1", "You spoke before the greeting: wait for it, then try again")
_TOO_EARLY = Reply(554, "5.5.1", "You sent the message before we asked for it: wait for 354", close=True)
_UNKNOWN = Reply(550, "5.1.1", "No such recipient here: check the address")
_NO_RECIPIENT_ROOM = Reply(452, "4.5.3", "Too many recipients: send the rest in another transaction")
_TOO_MANY_MESSAGES = Reply(421, "4.5.3", "Enough messages for one connection: open another one")
_TOO_MANY_UNKNOWN = Reply(421, "4.7.1", "Too many unknown recipients: check your address list")
_QUOTA = Reply(452, "4.2.2", "The recipient's mailbox is full: try again later")
_NOT_YOURS = Reply(553, "5.7.1", "This sender address is not yours: send as your own address or one of your aliases")
_NULL_SENDER = Reply(553, "5.7.1", "The null sender is for notices between servers: send as your own address")
_TLS_REQUIRED = Reply(530, "5.7.0", "This server takes mail over TLS only: send STARTTLS first")
_AUTHZID = Reply(535, "5.7.8", "Acting as somebody else is not possible: sign in as yourself")
_MALFORMED = Reply(501, "5.5.2", "That is not a response of this mechanism")


@final
class SmtpSession:
    """What a connection to a listener of service `mx` or `submission` means."""

    __slots__ = (
        "_account", "_bad", "_core", "_envelope", "_exchange", "_hello", "_incoming", "_link", "_messages", "_services",
        "_unknown",
    )  # fmt: skip

    def __init__(self, core: Server, link: Link, services: Services) -> None:
        self._core: Final = core
        self._link: Final = link
        self._services: Final = services
        self._hello: ev.Hello | None = None
        self._account: Account | None = None
        self._exchange: Exchange | None = None
        self._envelope: tx.Envelope | None = None
        self._incoming: tx.Incoming | None = None
        self._bad = 0
        self._unknown = 0
        self._messages = 0

    # -- what `net.drive` calls ----------------------------------------------------------------------------------------

    async def opened(self) -> None:
        self._link.set_patience(self._services.settings.command_timeout_s, "command-timeout")

    async def handle(self, event: ev.Event, /) -> None:
        match event:  # the frequent ones first
            case ev.DataChunk():
                await self._data_chunk(event)
            case ev.MailFrom():
                await self._mail_from(event)
            case ev.RcptTo():
                await self._rcpt_to(event)
            case ev.DataStart():
                self._data_start(event)
            case ev.DataEnd():
                await self._data_end(event)
            case ev.ChunkEnd():
                self._chunk_end(event)
            case ev.Connect() | ev.Hello() | ev.StartTls() | ev.Quit() | ev.Bad():
                self._about_connection(event)
            case ev.Rset() | ev.Noop() | ev.Vrfy() | ev.Help():
                self._without_meaning(event)
            case ev.AuthStart() | ev.AuthResponse() | ev.AuthCancel():
                await self._authenticate(event)
            case _:
                assert_never(event)

    async def poked(self, why: Poke, /) -> None:
        if Poke.SHUTDOWN in why:
            # A message that is being received may finish: `_data_end` answers it, the next command gets the 421.
            if self._incoming is None:
                self._core.send(re.SHUTTING_DOWN)
        elif Poke.DEADLINE in why:
            self._abandon()
            self._core.send(re.TOO_SLOW)

    def secured(self) -> None:
        self._hello = None
        self._abandon()

    async def closed(self) -> None:
        self._abandon()

    # -- greeting, commands without meaning ----------------------------------------------------------------------------

    def _about_connection(self, event: ev.Connect | ev.Hello | ev.StartTls | ev.Quit | ev.Bad) -> None:
        match event:
            case ev.Connect():
                if self._core.buffered:
                    self._core.send(self._refuse("connect", "early-talker", _EARLY))
                else:
                    self._core.send(Reply(220, "", f"{self._services.hostname} ESMTP"))
            case ev.Hello():
                if self._hello is None and self._services.relays is not None:
                    self._services.relays.greeted(self._link.peer, event.name, self._link.trace)
                self._hello = event
                self._abandon()
                self._core.send(Reply(250, "", self._services.hostname))
            case ev.StartTls():
                self._abandon()
                self._core.send(re.START_TLS)
            case ev.Quit():
                self._abandon()
                self._core.send(re.BYE)
            case ev.Bad():
                self._count_bad("command", event.code, event.reply)

    def _without_meaning(self, event: ev.Rset | ev.Noop | ev.Vrfy | ev.Help) -> None:
        match event:
            case ev.Rset():
                self._abandon()
                self._core.send(re.OK)
            case ev.Noop():
                self._core.send(re.OK)
            case ev.Vrfy():
                self._core.send(re.CANNOT_VRFY)
            case ev.Help():
                self._core.send(re.HELP)

    def _count_bad(self, stage: str, code: str, reply: Reply) -> None:
        """Answer what was wrong; the one too many ends the connection."""
        self._bad += 1
        self._refused(stage, code)
        self._core.send(reply if self._bad < self._services.settings.max_bad_commands else re.TOO_MANY_ERRORS)

    # -- sign-in -------------------------------------------------------------------------------------------------------

    async def _authenticate(self, event: ev.AuthStart | ev.AuthResponse | ev.AuthCancel) -> None:
        if isinstance(event, ev.AuthStart):
            self._exchange = exchange(event.mechanism)
        if isinstance(event, ev.AuthCancel) or self._exchange is None:
            self._exchange = None
            self._core.send(re.AUTH_CANCELLED if isinstance(event, ev.AuthCancel) else re.AUTH_UNAVAILABLE)
        elif isinstance(event, ev.AuthStart):
            await self._auth_step(self._exchange.start(event.initial))
        else:
            await self._auth_step(self._exchange.step(event.data))

    async def _auth_step(self, step: Step) -> None:
        if isinstance(step, SaslChallenge):
            self._core.send(Challenge(step.data))
            return
        self._exchange = None
        if not isinstance(step, Credentials):
            self._count_bad("auth", step.code, _MALFORMED)
        elif step.authzid not in {"", step.authcid}:
            self._count_bad("auth", "authzid", _AUTHZID)
        else:
            await self._sign_in(step)

    async def _sign_in(self, claim: Credentials) -> None:
        services = self._services
        outcome = await services.authenticator.check(claim.authcid, claim.password, self._link.peer)
        if isinstance(outcome, Denied):
            reply = re.AUTH_FAILED if outcome.why is Why.INVALID else re.AUTH_UNAVAILABLE
            services.log.warning("auth.failed", trace=self._link.trace, peer=self._link.peer, why=outcome.why.value)
            self._count_bad("auth", outcome.why.name.lower(), reply)
            return
        self._account = outcome
        services.log.info("auth.ok", trace=self._link.trace, peer=self._link.peer, account=outcome.address)
        self._core.send(re.AUTHENTICATED)

    # -- the transaction -----------------------------------------------------------------------------------------------

    async def _mail_from(self, event: ev.MailFrom) -> None:
        try:
            reply = await self._judge_sender(event)
        except StoreError as error:
            self._services.log.error("mail.unavailable", trace=self._link.trace, error=str(error))
            reply = re.LOCAL_ERROR
        self._core.send(reply)

    async def _judge_sender(self, event: ev.MailFrom) -> Reply:
        services = self._services
        if services.draining():
            return re.SHUTTING_DOWN
        if self._messages >= services.settings.max_messages:
            return _TOO_MANY_MESSAGES
        if services.service is Service.SUBMISSION:
            if self._account is None:
                # Before TLS there is nothing to sign in with; "authentication required" would send people the wrong way.
                return self._refuse("mail", "not-signed-in", re.AUTH_REQUIRED if self._core.tls else re.TLS_REQUIRED)
            if event.path.is_null:
                return self._refuse("mail", "null-sender", _NULL_SENDER)
            if not await owns(services.store, self._account, event.path.address):
                return self._refuse("mail", "not-yours", _NOT_YOURS)
        elif services.require_tls and not self._core.tls:
            return self._refuse("mail", "no-tls", _TLS_REQUIRED)
        self._envelope = tx.Envelope(event, services.new_trace())
        return re.SENDER_OK

    async def _rcpt_to(self, event: ev.RcptTo) -> None:
        try:
            reply = await self._judge_recipient(event)
        except StoreError as error:
            self._services.log.error("rcpt.unavailable", trace=self._link.trace, error=str(error))
            reply = re.LOCAL_ERROR
        self._core.send(reply)

    async def _judge_recipient(self, event: ev.RcptTo) -> Reply:
        services, envelope = self._services, self._envelope
        if envelope is None:
            return re.LOCAL_ERROR
        if envelope.recipients >= services.settings.max_recipients:
            return _NO_RECIPIENT_ROOM
        address = event.path.address
        local, domain = (address.local_part, address.domain) if address is not None else ("postmaster", "")
        route = await services.store.route(local, domain)
        if route.kind is RouteKind.ACCOUNTS:
            for account in route.accounts:
                envelope.accounts.setdefault(account, event.path.raw)
        elif route.kind is RouteKind.NOT_LOCAL and self._account is not None:
            # The address, not the text: its domain is in A-labels, which every server on the way understands.
            envelope.remote.append(str(event.path.address))
        elif route.kind is RouteKind.NOT_LOCAL:
            return self._refuse_relay(envelope.mail.path.address, address)
        else:
            return await self._unknown_recipient()
        envelope.recipients += 1
        return re.RECIPIENT_OK

    def _refuse_relay(self, sender: Address | None, recipient: Address | None) -> Reply:
        """A recipient elsewhere, from a peer that has not signed in."""
        relays = self._services.relays
        if relays is None or recipient is None:
            return self._refuse("rcpt", RelayReason.NOT_LISTED.value, REPLIES[RelayReason.NOT_LISTED])
        return self._refuse("rcpt", *relays.judge(self._link.peer, sender, recipient))

    async def _unknown_recipient(self) -> Reply:
        self._unknown += 1
        self._refused("rcpt", "unknown-recipient")
        if self._unknown >= self._services.settings.max_unknown_recipients:
            return _TOO_MANY_UNKNOWN
        if self._unknown > 1:
            await asyncio.sleep(UNKNOWN_DELAY_S * (self._unknown - 1))
        return _UNKNOWN

    def _data_start(self, event: ev.DataStart) -> None:
        envelope = self._envelope
        if envelope is None:
            self._core.send(re.LOCAL_ERROR)
            return
        if self._core.buffered and not event.chunking:
            # RFC 2920 §3.1: DATA is the last of a group. Whoever sends on does not speak to us but to somebody behind us.
            self._core.send(self._refuse("data", "unauthorised-pipelining", _TOO_EARLY))
            return
        self._incoming = tx.begin(self._services, envelope, self._account, self._hop(envelope))
        self._link.set_patience(self._services.settings.data_timeout_s, "data-timeout")
        self._link.begin_bulk(self._services.settings.min_data_rate, RATE_GRACE_S)
        self._core.send(re.START_DATA)

    def _hop(self, envelope: tx.Envelope) -> Hop:
        hello, tls, submitted = self._hello, self._link.tls, self._account is not None
        recipient = next(iter(envelope.accounts.values())) if envelope.recipients == 1 and envelope.accounts else ""
        return Hop(
            # Who submits does not show from where (privacy); the trace knows.
            helo=self._services.hostname if submitted or hello is None else hello.name,
            peer_ip="" if submitted else self._link.peer,
            by=self._services.hostname,
            protocol=with_protocol(
                extended=hello is not None and hello.kind is not ev.HelloKind.HELO,
                tls=self._core.tls,
                authenticated=submitted,
                utf8=envelope.mail.smtputf8,
            ),
            id=envelope.trace,
            unix_s=int(self._services.clock()),
            tls="" if tls is None else f"{tls.version} {tls.cipher}",
            recipient=recipient,
        )

    async def _data_chunk(self, event: ev.DataChunk) -> None:
        if self._incoming is not None:
            await self._incoming.feed(event.data)

    def _chunk_end(self, event: ev.ChunkEnd) -> None:
        if event.refusal is not None:
            self._abandon()
        self._core.send(event.refusal or re.CHUNK_OK)

    async def _data_end(self, event: ev.DataEnd) -> None:
        self._link.end_bulk()
        self._link.set_patience(self._services.settings.command_timeout_s, "command-timeout")
        incoming, self._incoming, self._envelope = self._incoming, None, None
        if event.fault is not None or incoming is None:
            if incoming is not None:
                incoming.abort()
            self._refused("data", event.fault.value if event.fault else "state")
            self._core.send(event.refusal or re.LOCAL_ERROR)
            return
        self._core.send(await self._accept(incoming, event))
        if self._services.draining():  # the poke came while the message did
            self._core.send(re.SHUTTING_DOWN)

    async def _accept(self, incoming: tx.Incoming, event: ev.DataEnd) -> Reply:
        services = self._services
        try:
            ingested = await incoming.finish()
            if isinstance(ingested, Refused):
                return self._refuse("data", ingested.reason, ingested.reply)
            sender = self._account.id if self._account is not None else None
            await tx.accept(services, incoming, ingested, sender, self._link.peer, int(services.clock()))
        except OverQuotaError:
            incoming.abort()
            return self._refuse("data", "quota", _QUOTA)
        except StoreError as error:
            incoming.abort()
            services.log.error(
                "message.deferred", trace=incoming.envelope.trace, peer=self._link.peer, error=str(error)
            )
            services.counters.message(services.service.value, "deferred", event.size)
            return re.LOCAL_ERROR
        self._messages += 1
        services.counters.message(services.service.value, "accepted", event.size)
        services.log.info(
            "message.accepted",
            trace=incoming.envelope.trace,
            connection=self._link.trace,
            peer=self._link.peer,
            sender=incoming.envelope.reverse_path,
            recipients=incoming.envelope.recipients,
            size=event.size,
        )
        return Reply(250, "2.0.0", f"Accepted as {incoming.envelope.trace}")

    # -- common --------------------------------------------------------------------------------------------------------

    def _abandon(self) -> None:
        """Any transaction is gone."""
        incoming, self._incoming, self._envelope = self._incoming, None, None
        if incoming is not None:
            incoming.abort()
            self._link.end_bulk()

    def _refuse(self, stage: str, reason: str, reply: Reply) -> Reply:
        self._refused(stage, reason)
        return reply

    def _refused(self, stage: str, reason: str) -> None:
        services = self._services
        services.counters.refused(services.service.value, stage, reason)
        services.log.info("smtp.refused", trace=self._link.trace, peer=self._link.peer, stage=stage, reason=reason)
