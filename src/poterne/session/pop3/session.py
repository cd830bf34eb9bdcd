"""One POP3 connection: each event of the core gets its answer here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, assert_never, final

from poterne.config.settings import Pop3
from poterne.message.surrogate import surrogate
from poterne.net.drive import flush_if_big
from poterne.net.link import Link, LinkClosed, Poke
from poterne.observe import Log
from poterne.proto.pop3 import commands as ev
from poterne.proto.pop3 import texts
from poterne.proto.pop3.replies import BodyChunk, BodyEnd, BodyStart, Capabilities, Challenge, Code, Err, Listing, Ok
from poterne.proto.pop3.server import Server
from poterne.proto.sasl.mechanism import Challenge as SaslChallenge
from poterne.proto.sasl.mechanism import Credentials, Exchange, Step
from poterne.proto.sasl.registry import exchange
from poterne.session.authenticate import Authenticator, Denied, Why
from poterne.session.pop3.expiry import Expiry
from poterne.session.pop3.maildrop import Maildrop, ranges
from poterne.session.pop3.visits import Refusal, Visits
from poterne.session.present import NOBODY, Presence
from poterne.store.errors import NotFoundError, StoreError
from poterne.store.interface import Store
from poterne.values.directory import Account
from poterne.values.event import Event
from poterne.values.mailbox import Flag, FlagChange
from poterne.values.secret import Secret

CONVERTED_OCTETS: Final = 524_288
"""Of a header that is made ASCII; a longer one is for clients that say UTF8."""
INLINE_OCTETS: Final = 262_144
"""Messages up to this size are read in one piece."""

_WRONG = Err("User name or password is wrong", Code.AUTH)
_LATER = Err("Something failed here, try again later", Code.SYS_TEMP)
_NO_MESSAGE = Err("No such message")
_SHUTTING_DOWN = Err("Shutting down, try again later", Code.SYS_TEMP, close=True)
_TIMED_OUT = Err("Timed out", Code.SYS_TEMP, close=True)
_REVOKED = Err("Sign in again", Code.AUTH, close=True)
_TOO_MANY = Err("Too many errors", close=True)
_MALFORMED = Err("That is not a response of this mechanism", Code.AUTH)
_AUTHZID = Err("Acting as somebody else is not possible: sign in as yourself", Code.AUTH)
_CANCELLED = Err("Authentication cancelled")
_IN_USE = Err("Another program has this mailbox open, try again later", Code.IN_USE)
_NO_LANGUAGE = Err("This language is not spoken here")
_UTF8_NEEDED = Err("Say UTF8 first: this message's header is international", Code.UTF8)
_LANGUAGES = tuple(f"{tag} {name}".encode() for tag, name in texts.LANGUAGES.items())
_IMPLEMENTATION = "Poterne"
_NOT_REMOVED = Err("The messages could not be removed, they are all still there", Code.SYS_TEMP)


@dataclass(frozen=True, slots=True)
class Services:
    """Shared by all POP3 sessions of a process."""

    hostname: str
    store: Store
    authenticator: Authenticator
    settings: Pop3
    log: Log
    clock: Callable[[], float]
    """Unix seconds."""
    visits: Visits
    expiry: Expiry
    language: str
    """The server's own, for LANG *."""


@final
class Pop3Session:
    """What a connection to a listener of service `pop3` means."""

    __slots__ = ("_account", "_bad", "_core", "_exchange", "_link", "_maildrop", "_presence", "_services")

    def __init__(self, core: Server, link: Link, services: Services) -> None:
        self._core: Final = core
        self._link: Final = link
        self._services: Final = services
        self._exchange: Exchange | None = None
        self._account: Account | None = None
        self._maildrop: Maildrop | None = None
        self._presence: Presence = NOBODY
        self._bad = 0

    # -- what `net.drive` calls ----------------------------------------------------------------------------------------

    async def opened(self) -> None:
        self._link.set_deadline(self._services.settings.login_timeout_s, "login-timeout")

    async def poked(self, why: Poke, /) -> None:
        if Poke.SHUTDOWN in why:
            self._core.send(_SHUTTING_DOWN)
        elif Poke.DEADLINE in why:
            self._core.send(_TIMED_OUT)
        elif Poke.REVOKED in why:
            self._core.send(_REVOKED)

    def secured(self) -> None:
        self._exchange = None

    async def closed(self) -> None:
        """Without QUIT nothing is removed (RFC 1939 §6)."""
        self._presence.leave()
        if self._account is not None:
            self._services.visits.end(self._account.id)

    async def handle(self, event: ev.Event, /) -> None:
        if self._presence.revoked:
            self._core.send(_REVOKED)
            return
        try:
            await self._handle(event)
        except NotFoundError:
            self._core.send(_NO_MESSAGE)
        except StoreError as error:
            self._services.log.error("pop3.unavailable", trace=self._link.trace, error=str(error))
            self._core.send(_LATER)

    async def _handle(self, event: ev.Event) -> None:
        match event:
            case ev.Retr() | ev.Top():
                await self._retrieve(event)
            case ev.Dele():
                self._drop.mark_deleted(event.number)
                self._core.send(Ok("Marked to be removed at QUIT"))
            case ev.Stat() | ev.List() | ev.Uidl():
                self._tell(event)
            case ev.Noop():
                self._core.send(Ok())
            case ev.Rset():
                self._drop.unmark()
                self._core.send(Ok())
            case ev.Quit():
                self._core.send(await self._update() if event.update else Ok("Goodbye"))
            case ev.Capa():
                self._core.send(await self._capabilities())
            case ev.Lang():
                self._speak(event.language)
            case ev.Connect() | ev.User() | ev.Utf8() | ev.Stls() | ev.Bad():
                self._before_sign_in(event)
            case ev.Pass():
                await self._sign_in(event.name, event.password)
            case ev.AuthStart() | ev.AuthResponse() | ev.AuthCancel():
                await self._authenticate(event)
            case _:
                assert_never(event)

    def _before_sign_in(self, event: ev.Connect | ev.User | ev.Utf8 | ev.Stls | ev.Bad) -> None:
        match event:
            case ev.Connect():
                self._core.send(Ok(f"{self._services.hostname} POP3"))
            case ev.User():
                self._core.send(Ok())
            case ev.Utf8():
                self._core.send(Ok("International text is on"))
            case ev.Stls():
                self._core.send(Ok("Ready to start TLS"))
            case ev.Bad():
                self._refuse(event.reply)

    async def _capabilities(self) -> Capabilities:
        services, account = self._services, self._account
        if account is None:
            days, differs = await services.expiry.least()
        else:
            days, differs = await services.expiry.of(account), False
        return Capabilities("Capabilities", days, differs, services.visits.delay_s, _IMPLEMENTATION)

    def _speak(self, wanted: str | None) -> None:
        core, account = self._core, self._account
        if wanted is None:
            core.send(Listing("Languages", _LANGUAGES))
            return
        preferred = self._services.language if account is None else account.language
        tag = texts.chosen(preferred if wanted == "*" else wanted)
        if tag is None:
            core.send(_NO_LANGUAGE)
            return
        core.speak(tag)
        core.send(Ok(f"{tag} {texts.said('Language is now English', tag)}"))

    def _refuse(self, reply: Err) -> None:
        self._bad += 1
        self._core.send(reply if self._bad < self._services.settings.max_bad_commands else _TOO_MANY)

    # -- sign-in -------------------------------------------------------------------------------------------------------

    async def _authenticate(self, event: ev.AuthStart | ev.AuthResponse | ev.AuthCancel) -> None:
        if isinstance(event, ev.AuthStart):
            self._exchange = exchange(event.mechanism)
        if isinstance(event, ev.AuthCancel) or self._exchange is None:
            self._exchange = None
            self._refuse(_CANCELLED)
        elif isinstance(event, ev.AuthStart):
            await self._step(self._exchange.start(event.initial))
        else:
            await self._step(self._exchange.step(event.data))

    async def _step(self, step: Step) -> None:
        if isinstance(step, SaslChallenge):
            self._core.send(Challenge(step.data))
            return
        self._exchange = None
        if not isinstance(step, Credentials):
            self._refuse(_MALFORMED)
        elif step.authzid not in {"", step.authcid}:
            self._refuse(_AUTHZID)
        else:
            await self._sign_in(step.authcid, step.password)

    async def _sign_in(self, name: str, password: Secret) -> None:
        services = self._services
        proven = await services.authenticator.prove(name, password, self._link.peer)
        if isinstance(proven, Denied):
            services.log.warning("auth.failed", trace=self._link.trace, peer=self._link.peer, why=proven.why.value)
            self._refuse(_WRONG if proven.why is Why.INVALID else _LATER)
            return
        outcome = proven.subject
        refusal = services.visits.begin(outcome.id, int(services.clock()))
        if refusal is not None:
            services.log.info("pop3.refused", trace=self._link.trace, account=outcome.address, why=refusal.value)
            wait = f"Signed in again too soon, wait {services.visits.delay_s} seconds"
            self._core.send(_IN_USE if refusal is Refusal.IN_USE else Err(wait, Code.LOGIN_DELAY))
            return
        self._account = outcome  # from here on `closed` ends the visit
        try:
            self._maildrop = await Maildrop.open(services.store, outcome.id)
        except StoreError:
            services.visits.end(outcome.id)
            self._account = None
            raise
        present = services.authenticator.present
        self._presence = present.enter(outcome.id, proven.verifier, self._link, proven.looks)
        self._link.set_deadline(None, "")
        self._link.set_patience(services.settings.idle_timeout_s, "idle-timeout")
        services.log.info("auth.ok", trace=self._link.trace, peer=self._link.peer, account=outcome.address)
        self._core.send(Ok(f"{self._maildrop.count} messages"))

    # -- the maildrop --------------------------------------------------------------------------------------------------

    @property
    def _drop(self) -> Maildrop:
        if self._maildrop is None:  # the core lets these commands through after sign-in only
            raise RuntimeError("no maildrop before sign-in")
        return self._maildrop

    def _tell(self, event: ev.Stat | ev.List | ev.Uidl) -> None:
        drop = self._drop
        match event:
            case ev.Stat():
                self._core.send(Ok(f"{drop.count} {drop.octets}"))
            case ev.List(None):
                self._core.send(Listing(f"{drop.count} messages", drop.sizes()))
            case ev.List(int(number)):
                self._core.send(Ok(f"{number} {drop.size(number)}"))
            case ev.Uidl(None):
                self._core.send(Listing("Unique ids", drop.unique_ids()))
            case ev.Uidl(int(number)):
                self._core.send(Ok(f"{number} {drop.unique_id(number)}"))

    async def _retrieve(self, event: ev.Retr | ev.Top) -> None:
        core, blobs = self._core, self._services.store.blobs
        row = self._drop.content(event.number)
        blob, header = row.blob, row.header_size
        if blob.size <= INLINE_OCTETS:
            data = blobs.read(blob)
            if not core.utf8 and not data.isascii():
                data = surrogate(data[:header]) + data[header:]
            core.send(BodyStart(f"{len(data)} octets"))
            core.send(BodyChunk(data))
        else:
            if not core.utf8 and header > CONVERTED_OCTETS:
                core.send(_UTF8_NEEDED)
                return
            # Without UTF8 no header may have other octets than ASCII (RFC 6856 §2.1); bodies say of themselves what they are.
            first = b"" if core.utf8 else surrogate(blobs.read(blob, 0, header))
            start = 0 if core.utf8 else header
            started = False
            try:
                async for chunk in blobs.stream(blob, start):
                    if not started:
                        core.send(BodyStart(f"{len(first) + blob.size - start} octets"))
                        core.send(BodyChunk(first))
                        started = True
                    core.send(BodyChunk(chunk))
                    await flush_if_big(core, self._link)
                    if core.body_complete:
                        break
                if not started:  # a header and nothing else
                    core.send(BodyStart(f"{len(first)} octets"))
                    core.send(BodyChunk(first))
            except StoreError as error:
                if started:  # in the middle of a message nothing can be said any more but the end
                    raise self._cut(error) from error
                raise
        core.send(BodyEnd())
        if isinstance(event, ev.Retr):
            self._drop.mark_retrieved(event.number)

    def _cut(self, error: StoreError) -> LinkClosed:
        self._services.log.error("pop3.unreadable", trace=self._link.trace, error=str(error))
        self._link.abort("answer-broken")
        return LinkClosed("answer-broken")

    async def _update(self) -> Ok | Err:
        """The UPDATE state: messages go now, and what was fetched counts as seen."""
        drop, account = self._maildrop, self._account
        if drop is None or account is None:
            return Ok("Goodbye")
        store, log = self._services.store, self._services.log
        gone = drop.to_remove
        try:
            if gone:
                event = Event(
                    int(self._services.clock()), "message.removed", self._link.trace, account.id, self._link.peer, "pop3",
                    {"count": len(gone)},
                )  # fmt: skip
                await store.remove(account.id, drop.mailbox.id, ranges([int(uid) for uid in gone]), [event])
        except StoreError as error:
            log.error("pop3.update", trace=self._link.trace, error=str(error))
            return _NOT_REMOVED
        try:
            if seen := drop.to_flag_seen:
                await store.store_flags(account.id, drop.mailbox.id, ranges(seen), FlagChange.ADD, Flag.SEEN)
        except StoreError as error:
            log.warning("pop3.seen", trace=self._link.trace, error=str(error))
        try:
            if left := drop.fetched_and_left:
                await store.note_fetched(account.id, drop.mailbox.id, left, int(self._services.clock()))
        except StoreError as error:
            log.warning("pop3.fetched", trace=self._link.trace, error=str(error))
        return Ok(f"Goodbye, {len(gone)} messages removed" if gone else "Goodbye")
