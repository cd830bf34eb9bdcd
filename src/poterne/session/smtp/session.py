"""One SMTP connection: each event of the core gets its answer here.

Every refusal says in words what to do; every unknown failure is temporary (4xx) to the peer and loud in the log. What is
counted against a peer (wrong commands, unknown recipients) is counted here, per connection.
"""

from typing import Final, assert_never, final

from poterne.message.compose import Hop, with_protocol
from poterne.net.link import Link, Poke
from poterne.proto.sasl.mechanism import Challenge as SaslChallenge
from poterne.proto.sasl.mechanism import Credentials, Exchange, Step
from poterne.proto.sasl.registry import exchange
from poterne.proto.smtp import events as ev
from poterne.proto.smtp import replies as re
from poterne.proto.smtp.replies import Challenge, Reply
from poterne.proto.smtp.server import Server
from poterne.proto.smtp.state import State
from poterne.session.authenticate import Denied, Why
from poterne.session.smtp import incoming as tx
from poterne.session.smtp import lmtp
from poterne.session.smtp.accept import accept
from poterne.session.smtp.envelope import Envelope
from poterne.session.smtp.patience import Patience
from poterne.session.smtp.principal import Principal, Script
from poterne.session.smtp.recipients import UNKNOWN_RECIPIENT, place
from poterne.session.smtp.refused import Refused
from poterne.session.smtp.renewal import renewed, signed_in
from poterne.session.smtp.scripts import by_uid, may_be_so_big, may_begin
from poterne.session.smtp.services import Service, Services
from poterne.session.smtp.standing import Standing
from poterne.session.smtp.verifying import Speaker
from poterne.store.errors import LimitError, OverQuotaError, StoreError

_EARLY = Reply(554, "5.5.1", "You spoke before the greeting: wait for it, then try again")
_TOO_EARLY = Reply(554, "5.5.1", "You sent the message before we asked for it: wait for 354", close=True)
_NO_RECIPIENT_ROOM = Reply(452, "4.5.3", "Too many recipients: send the rest in another transaction")
_TOO_MANY_MESSAGES = Reply(421, "4.5.3", "Enough messages for one connection: open another one")
_HARVEST = Reply(450, "4.7.1", "Too many unknown recipients came from your address: try again in some minutes")
_HELD_FULL = Reply(452, "4.7.1", "Too much of your mail is held already: ask the administrator to look at it")
_NOT_YOURS = Reply(553, "5.7.1", "This sender address is not yours: send as your own address or one of your aliases")
_NULL_SENDER = Reply(553, "5.7.1", "The null sender is for notices between servers: send as your own address")
_TLS_REQUIRED = Reply(530, "5.7.0", "This server takes mail over TLS only: send STARTTLS first")
_AUTHZID = Reply(535, "5.7.8", "Acting as somebody else is not possible: sign in as yourself")
_MALFORMED = Reply(501, "5.5.2", "That is not a response of this mechanism")


@final
class SmtpSession:
    """What a connection to a listener of service `mx`, `submission` or `lmtp` means."""

    __slots__ = (
        "_core", "_envelope", "_exchange", "_hello", "_incoming", "_link", "_messages", "_patience", "_principal", "_services",
        "_shares", "_speaker", "_standing",
    )  # fmt: skip

    def __init__(self, core: Server, link: Link, services: Services) -> None:
        self._core: Final = core
        self._link: Final = link
        self._services: Final = services
        self._hello: ev.Hello | None = None
        self._principal: Principal | None = None
        self._exchange: Exchange | None = None
        self._envelope: Envelope | None = None
        self._incoming: tx.Incoming | None = None
        self._shares: lmtp.Shares | None = None
        self._messages = 0
        self._standing: Final = Standing(services.reputation, link, services.log)
        self._speaker: Final = Speaker(services.verifying, link)
        self._patience: Final = Patience(services.settings, link, services.draining)

    # -- what `net.drive` calls ----------------------------------------------------------------------------------------

    async def opened(self) -> None:
        self._link.set_patience(self._services.settings.command_timeout_s, "command-timeout")
        self._standing.begin()
        if self._services.greeting is not None:
            await self._services.greeting.pause(self._core, self._link)

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
            case ev.Connect() | ev.Hello() | ev.StartTls() | ev.Quit():
                self._about_connection(event)
            case ev.Bad():
                await self._count_bad("command", event.code, event.reply)
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
        self._speaker.drop()

    # -- greeting, commands without meaning ----------------------------------------------------------------------------

    def _about_connection(self, event: ev.Connect | ev.Hello | ev.StartTls | ev.Quit) -> None:
        match event:
            case ev.Connect():
                if self._core.buffered:
                    self._patience.lost()
                    self._core.send(self._refuse("connect", "early-talker", _EARLY))
                else:
                    protocol = "LMTP" if self._core.lmtp else "ESMTP"
                    self._core.send(Reply(220, "", f"{self._services.hostname} {protocol}"))
            case ev.Hello():
                reply = Reply(250, "", self._services.hostname)
                if self._hello is not None:
                    reply = self._patience.useless(reply)
                if self._hello is None and self._services.relays is not None:
                    self._services.relays.greeted(self._link.peer, event.name, self._link.trace)
                self._hello = event
                self._abandon()
                self._core.send(reply)
            case ev.StartTls():
                self._abandon()
                self._core.send(re.START_TLS)
            case ev.Quit():
                self._abandon()
                self._core.send(re.BYE)

    def _without_meaning(self, event: ev.Rset | ev.Noop | ev.Vrfy | ev.Help) -> None:
        match event:
            case ev.Rset():
                self._abandon()
                self._core.send(self._patience.useless(re.OK))
            case ev.Noop():
                self._core.send(self._patience.useless(re.OK))
            case ev.Vrfy():
                self._core.send(self._patience.useless(re.CANNOT_VRFY))
            case ev.Help():
                self._core.send(self._patience.useless(re.HELP))

    async def _count_bad(self, stage: str, code: str, reply: Reply) -> None:
        """Answer what was wrong; the one too many ends the connection."""
        self._refused(stage, code)
        self._core.send(await self._patience.wrong(reply))

    # -- sign-in -------------------------------------------------------------------------------------------------------

    async def _authenticate(self, event: ev.AuthStart | ev.AuthResponse | ev.AuthCancel) -> None:
        if isinstance(event, ev.AuthStart):
            self._exchange = exchange(event.mechanism)
        if isinstance(event, ev.AuthCancel) or self._exchange is None:
            self._exchange = None
            reply = re.AUTH_CANCELLED if isinstance(event, ev.AuthCancel) else re.AUTH_UNAVAILABLE
            self._core.send(self._patience.useless(reply))
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
            await self._count_bad("auth", step.code, _MALFORMED)
        elif step.authzid not in {"", step.authcid}:
            await self._count_bad("auth", "authzid", _AUTHZID)
        else:
            await self._sign_in(step)

    async def _sign_in(self, claim: Credentials) -> None:
        services = self._services
        prove = services.authenticator.prove if "@" in claim.authcid else services.authenticator.prove_sender
        outcome = await prove(claim.authcid, claim.password, self._link.peer)
        if isinstance(outcome, Denied):
            reply = re.AUTH_FAILED if outcome.why is Why.INVALID else re.AUTH_UNAVAILABLE
            services.log.warning("auth.failed", trace=self._link.trace, peer=self._link.peer, why=outcome.why.value)
            self._refused("auth", outcome.why.name.lower())
            self._core.send(self._patience.failed(reply))
            return
        self._principal = principal = signed_in(outcome)
        services.log.info("auth.ok", trace=self._link.trace, peer=self._link.peer, account=principal.name)
        self._core.send(re.AUTHENTICATED)

    # -- the transaction -----------------------------------------------------------------------------------------------

    async def _mail_from(self, event: ev.MailFrom) -> None:
        try:
            reply = await self._judge_sender(event)
        except StoreError as error:
            self._services.log.error("mail.unavailable", trace=self._link.trace, error=str(error))
            reply = re.LOCAL_ERROR
        self._core.send(reply if reply.positive else self._patience.useless(reply))

    async def _judge_sender(self, event: ev.MailFrom) -> Reply:
        services = self._services
        if services.draining():
            return re.SHUTTING_DOWN
        if self._messages >= services.settings.max_messages:
            return _TOO_MANY_MESSAGES
        if services.service is Service.SUBMISSION:
            refused = await self._refused_sender(event)
            if refused is not None:
                return self._refuse("mail", *refused)
        elif (services.require_tls and not self._core.tls) or (self._core.lmtp and lmtp.needs_tls(self._link)):
            return self._refuse("mail", "no-tls", _TLS_REQUIRED)
        else:
            refused = await self._standing.judge("" if self._hello is None else self._hello.name)
            if refused is not None:
                return self._refuse("mail", *refused)
        self._envelope = Envelope(event, services.new_trace())
        self._shares = lmtp.Shares() if self._core.lmtp else None
        return re.SENDER_OK

    async def _refused_sender(self, event: ev.MailFrom) -> Refused | None:
        """Why somebody may not submit as this sender. Raises StoreError."""
        services, uid = self._services, self._link.local_uid
        address = event.path.address
        principal = (
            await by_uid(services, uid, address) if uid is not None else await renewed(services, self._principal)
        )
        if isinstance(principal, Refused):
            return principal
        self._principal = principal
        if principal is None:
            # Before TLS there is nothing to sign in with; "authentication required" would send people the wrong way.
            return Refused("not-signed-in", re.AUTH_REQUIRED if self._core.tls else re.TLS_REQUIRED)
        if isinstance(principal, Script):
            return may_begin(services, principal, self._link.peer, uid, address, event.size or 0)
        if address is None:
            return Refused("null-sender", _NULL_SENDER)
        return None if await principal.owns(services.store, address) else Refused("not-yours", _NOT_YOURS)

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
        if services.harvest is not None and services.harvest.blocked(self._link.peer):
            return self._refuse("rcpt", "harvest", _HARVEST)
        one = envelope if self._shares is None else Envelope(envelope.mail, envelope.trace)
        refused = await place(services, one, event, self._principal, self._link)
        if refused is None:
            if self._shares is not None:
                self._shares.add(envelope, one)
            envelope.recipients += 1
            return re.RECIPIENT_OK
        if refused is UNKNOWN_RECIPIENT:
            return await self._unknown_recipient()
        self._refused("rcpt", refused.reason)
        return self._patience.useless(refused.reply)

    async def _unknown_recipient(self) -> Reply:
        services, peer, stranger = self._services, self._link.peer, self._principal is None
        self._refused("rcpt", "unknown-recipient")
        if stranger and services.harvest is not None and (count := services.harvest.unknown(peer)):
            services.log.warning("security.harvest", trace=self._link.trace, peer=peer, unknown=count)
        return await self._patience.unknown(UNKNOWN_RECIPIENT.reply, waits=stranger)

    def _data_start(self, event: ev.DataStart) -> None:
        envelope = self._envelope
        if envelope is None:
            self._core.send(re.LOCAL_ERROR)
            return
        if self._core.buffered and not event.chunking:
            # RFC 2920 §3.1: DATA is the last of a group. Whoever sends on does not speak to us but to somebody behind us.
            self._core.send(self._refuse("data", "unauthorised-pipelining", _TOO_EARLY))
            return
        checks = None
        if self._principal is None and self._shares is None:
            name = "" if self._hello is None else self._hello.name
            checks = self._speaker.checks(envelope.mail, name, self._standing.reverse_name)
        self._incoming = tx.Incoming(self._services, envelope, self._principal, self._hop(envelope), checks)
        self._link.set_patience(self._services.settings.data_timeout_s, "data-timeout")
        self._link.begin_bulk(self._services.settings.min_data_rate, self._services.settings.rate_grace_s)
        self._core.send(re.START_DATA)

    def _hop(self, envelope: Envelope) -> Hop:
        hello, tls, submitted = self._hello, self._link.tls, self._principal is not None
        recipient = next(iter(envelope.accounts.values())) if envelope.recipients == 1 and envelope.accounts else ""
        return Hop(
            # Who submits does not show from where (privacy); the trace knows.
            helo=self._services.hostname if submitted or hello is None else hello.name,
            peer_ip="" if submitted else self._link.peer,
            peer_name=self._standing.reverse_name,
            by=self._services.hostname,
            protocol=lmtp.with_protocol(tls=self._core.tls, utf8=envelope.mail.smtputf8)
            if self._core.lmtp
            else with_protocol(
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
            self._answer([event.refusal or re.LOCAL_ERROR] * self._core.answers_due)
            return
        if self._shares is not None:
            self._answer(await self._shares.settle(self._services, incoming, self._link, event.size))
        else:
            self._answer([await self._accept(incoming, event)])
        if self._services.draining() and self._core.state is not State.CLOSED:  # the poke came while the message did
            self._core.send(re.SHUTTING_DOWN)

    def _answer(self, replies: list[Reply]) -> None:
        """To the end of a message: one reply, or in LMTP one for each recipient."""
        if any(reply.positive for reply in replies):
            self._patience.rewarded()
        elif (last := self._patience.useless(replies[0])) is not replies[0]:
            replies = [last]
        for reply in replies:
            self._core.send(reply)

    async def _accept(self, incoming: tx.Incoming, event: ev.DataEnd) -> Reply:
        services = self._services
        try:
            ingested = await incoming.finish()
            if isinstance(ingested, Refused):
                return self._refuse("data", ingested.reason, ingested.reply)
            if isinstance(self._principal, Script):
                refused = may_be_so_big(services, self._principal, event.size)
                if refused is not None:
                    incoming.abort()
                    return self._refuse("data", *refused)
            now = int(services.clock())
            submitted = await accept(services, incoming, ingested, self._principal, self._link.peer, now)
        except LimitError as error:
            incoming.abort()
            if self._principal is None:  # a mailbox that has no numbers left
                services.log.error("message.deferred", trace=incoming.envelope.trace, error=str(error))
                return self._refuse("data", "limit", re.LOCAL_ERROR)
            return self._refuse("data", "held-full", _HELD_FULL)
        except OverQuotaError:
            incoming.abort()
            return self._refuse("data", "quota", services.over_quota)
        except StoreError as error:
            incoming.abort()
            services.log.error(
                "message.deferred", trace=incoming.envelope.trace, peer=self._link.peer, error=str(error)
            )
            services.counters.message(services.service.value, "deferred", event.size)
            return re.LOCAL_ERROR
        self._messages += 1
        if services.harvest is not None:
            services.harvest.known(self._link.peer, len(incoming.envelope.given))
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
        if isinstance(self._principal, Script):
            await self._note_use(self._principal, now)
        if submitted.incident is None or self._principal is None:
            return Reply(250, "2.0.0", f"Accepted as {incoming.envelope.trace}")
        return await services.tells.held(self._principal, submitted, incoming.envelope.trace)

    async def _note_use(self, script: Script, now: int) -> None:
        try:
            await self._services.store.sender_used(script.sender.id, now, self._link.peer)
        except StoreError as error:  # the message is safe
            self._services.log.error("sender.unavailable", trace=self._link.trace, error=str(error))

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
