"""A worker: accepts connections on the inherited sockets and serves them, until it is told to end."""

import asyncio
import socket
import ssl
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from poterne.app import certificates, outbound
from poterne.app.bus import (
    CertificatesChanged,
    ChangesOut,
    MailboxesChanged,
    MailQueued,
    Message,
    Missed,
    QueuedOut,
    SignInFailed,
    changes_of,
)
from poterne.app.context import Child, StartError
from poterne.app.fallback import Fallback
from poterne.app.lifetime import Lifetime
from poterne.app.mail import serve_mail
from poterne.app.metrics import Metrics
from poterne.app.parts import Parts
from poterne.app.protocols import serving
from poterne.app.stores import open_instance_store
from poterne.app.verifying import ended, verification
from poterne.config.settings import Listener as ListenerSettings
from poterne.net.admission import Admission
from poterne.net.budget import Budget
from poterne.net.limits import Gate, Limits
from poterne.net.link import TlsSetup
from poterne.net.listen import Listener
from poterne.net.notice import Kind, Notice
from poterne.net.reputation import Reputation
from poterne.net.tls import CertificateError, CertificateFiles, Certificates
from poterne.observe import TraceIds, logger
from poterne.policy.access import Access
from poterne.policy.origin import Origins
from poterne.session.authenticate import Authenticator, Failure
from poterne.session.notify import Subscriptions
from poterne.session.pending import Snapshots
from poterne.session.pop3.visits import FILE as VISITS
from poterne.session.pop3.visits import Visits
from poterne.session.smtp.relay import Relays
from poterne.session.smtp.tells import Teller
from poterne.store.errors import StoreError
from poterne.values.ids import TraceId
from poterne.values.mailbox import MailboxChanged
from poterne.values.networks import NetworkSet
from poterne.values.relay import RelayRule

POLL_S: Final = 2.0
"""How often we look whether something was committed that neither we nor the bus told of."""
LOOK_S: Final = 5.0
"""So often at most, and only after others wrote to the store, it is looked whether who has signed in still may."""
STORE_CLOSE_S: Final = 10.0

_REFUSALS: Final = {
    "mx": b"421 4.7.0 Too many connections, try again later\r\n",
    "submission": b"421 4.7.0 Too many connections, try again later\r\n",
    "lmtp": b"421 4.7.0 Too many connections, try again later\r\n",
    "imap": b"* BYE Too many connections, try again later\r\n",
    "pop3": b"-ERR [SYS/TEMP] Too many connections, try again later\r\n",
    "https": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
}
_DENIALS: Final = {
    "mx": b"554 5.7.1 This server takes mail from listed servers only, and your address is not one of them\r\n",
    "submission": b"554 5.7.1 Your address may not send here: ask the administrator\r\n",
    "lmtp": b"554 5.7.1 Only listed servers deliver here: ask the administrator\r\n",
    "imap": b"* BYE Your address may not sign in here: ask the administrator\r\n",
    "pop3": b"-ERR [SYS/PERM] Your address may not sign in here: ask the administrator\r\n",
    "https": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
}


async def work(child: Child) -> int:
    """Serve until the end; 0."""
    worker = _Worker(child)
    return await worker.run()


def _named(settings: ListenerSettings) -> NetworkSet:
    """Of the allow list, where servers bring mail, those that were named by address: an edge in front of us speaks for many."""
    if settings.service not in {"mx", "lmtp"}:
        return NetworkSet()
    return NetworkSet(entry for entry in settings.allow if "/" not in entry)


class _Worker:
    def __init__(self, child: Child) -> None:
        self._child = child
        self._settings = child.settings
        self._log = logger()
        self._metrics = Metrics(child.place)
        self._lifetime = Lifetime(child, self._reload)
        self._traces = TraceIds()
        services = {self._settings.listener[name].service for name in child.sockets}
        self._certificates = Certificates(self._certificate_files(), services or {"none"})
        self._store = open_instance_store(child.data, self._settings)
        self._subscriptions = Subscriptions()
        self._authenticator = Authenticator(
            self._store,
            self._settings.sign_in,
            on_failure=self._sign_in_failed,
            on_success=lambda _: self._metrics.sign_in("ok"),
        )
        self._origins = Origins()
        self._resolver = outbound.resolver(self._settings, self._log)
        self._reputation = Reputation(
            self._resolver, self._settings.reputation, self._log, hostname=self._settings.server.hostname
        )
        self._budget = Budget(self._settings.server.max_memory_mib << 20)
        self._internal = outbound.internal(
            self._settings, child.config.parent, self._store, self._resolver, self._log, time.time
        )
        self._heard = 0
        """Messages of the bus about commits, since the last poll."""

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        self._changes_out = ChangesOut(self._child.bus, loop)
        self._store.listen(self._committed)
        await self._authenticator.start()
        relays = Relays(self._relay_rules(), self._origins, time.time, self._log)
        verified = verification(self._settings, self._store, self._resolver, relays, self._log, time.time)
        parts = Parts(
            settings=self._settings,
            store=self._store,
            authenticator=self._authenticator,
            notifier=self._subscriptions,
            snapshots=Snapshots(self._store),
            metrics=self._metrics,
            log=self._log,
            observe=self._observe,
            new_trace=self._new_trace,
            clock=time.time,
            draining=lambda: self._lifetime.ending,
            relays=relays,
            verifying=None if verified is None else verified.verifying,
            srs=outbound.srs(self._child.data),
            visits=Visits(
                self._child.data / VISITS,
                exclusive=self._settings.pop3.lock == "exclusive",
                delay_s=self._settings.pop3.login_delay_s,
            ),
            tells=Teller(self._store, self._settings, time.time, self._log),
            internal=self._internal,
            hidden=self._origins.hidden,
            reputation=self._reputation,
            queued=QueuedOut(self._child.bus, loop).tell,
            sign_profile=certificates.profile_signer(self._child.config, self._settings),
        )
        listeners = [self._listener(name, parts) for name in self._child.sockets]
        if self._child.local is not None:
            listeners.append(self._local_listener(self._child.local, parts))
        self._child.bus.listen(loop, self._hear)
        for listener in listeners:
            listener.start()
        self._lifetime.ready()
        poll = asyncio.create_task(self._poll(listeners))
        counting = None if verified is None else asyncio.create_task(verified.run())
        await self._lifetime.end()
        self._child.bus.stop(loop)  # who replaces us reads from the same inbox, and has clients that wait
        poll.cancel()
        cut = sum(await asyncio.gather(*(listener.drain(self._settings.server.drain_s) for listener in listeners)))
        self._log.info("worker.drained", cut=cut)
        if counting is not None:
            await ended(counting)
        if self._internal is not None:
            await self._internal.close()
        self._authenticator.close()
        self._reputation.close()
        self._resolver.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(STORE_CLOSE_S):
                await self._store.close()
        return 0

    def _new_trace(self) -> TraceId:
        return TraceId(self._traces.next())

    def _listener(self, name: str, parts: Parts) -> Listener:
        settings = self._settings.listener[name]
        return Listener(
            settings.service,
            self._child.sockets[name],
            serving(settings, parts),
            admission=self._admission(settings),
            observe=self._observe,
            tls=TlsSetup(
                lambda: self._context(settings.service), settings.service, float(self._settings.tls.handshake_s)
            ),
            implicit_tls=settings.tls == "implicit",
            refusal=_REFUSALS[settings.service],
            new_trace=self._new_trace,
        )

    def _local_listener(self, sock: socket.socket, parts: Parts) -> Listener:
        """Submission without TLS and passwords: nothing leaves this machine, and the kernel says who it is."""
        chosen = self._settings.sendmail
        limits = Limits(chosen.max_connections, chosen.max_per_user, chosen.max_per_minute)
        return Listener(
            "submission",
            [sock],
            serve_mail(ListenerSettings(service="submission", tls="implicit"), parts, local=True),
            gate=Gate(limits, budget=self._budget, strangers=False),
            observe=self._observe,
            refusal=_REFUSALS["submission"],
            new_trace=self._new_trace,
        )

    def _admission(self, settings: ListenerSettings) -> Admission:
        limits = Limits(
            settings.max_connections, settings.max_per_address, settings.max_per_minute, settings.exempt_loopback
        )
        return Admission(
            Gate(limits, budget=self._budget, strangers=settings.service == "mx"),
            Access(NetworkSet(settings.allow), NetworkSet(settings.deny)),
            NetworkSet(settings.proxies),
            self._origins.hidden,
            _DENIALS[settings.service],
            _named(settings),
        )

    def _relay_rules(self) -> list[RelayRule]:
        return [
            RelayRule(
                name,
                tuple(rule.hosts),
                frozenset(rule.sender_domains),
                rule.per_hour,
                frozenset(rule.recipient_domains),
            )
            for name, rule in self._settings.relay.items()
        ]

    def _certificate_files(self) -> list[CertificateFiles]:
        return certificates.files(self._child.config, self._child.data, self._settings)

    def _context(self, service: str) -> ssl.SSLContext:
        context = self._certificates.context(service)
        if self._settings.tls.minimum_version == "1.3":  # it stays that of the handshake when SNI chooses a certificate
            context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context

    # -- what others do ------------------------------------------------------------------------------------------------

    def _committed(self, changes: Sequence[MailboxChanged]) -> None:
        self._heard += 1
        self._subscriptions.heard(changes)
        self._changes_out.tell(changes)

    def _hear(self, message: Message) -> None:
        match message:
            case MailboxesChanged():
                self._heard += 1
                self._subscriptions.heard(changes_of(message))
            case SignInFailed():
                self._authenticator.heard(Failure(message.peer, message.account))
            case CertificatesChanged():
                self._reload_certificates()
            case MailQueued():
                """The steward's."""
            case Missed():
                self._subscriptions.wake_all()

    def _sign_in_failed(self, failure: Failure) -> None:
        self._metrics.sign_in("failed")
        self._child.bus.publish(SignInFailed(failure.origin, failure.address))

    async def _poll(self, listeners: Sequence[Listener]) -> None:
        """The fallback for lost bus messages and for commands that write to the store themselves."""
        fallback = Fallback(time.monotonic())
        look_at, stale = time.monotonic(), False
        while await self._lifetime.sleep(POLL_S):
            self._child.bus.remind()
            counts: Counter[str] = Counter()
            for listener in listeners:
                counts[listener.service] += listener.connections
            self._metrics.open_connections(counts)
            heard, self._heard = self._heard, 0
            others_committed, now = self._others_committed(), time.monotonic()
            if fallback.due(others_committed=others_committed, heard=heard, now=now):
                self._subscriptions.wake_all()
            stale = stale or others_committed
            everybody = stale and now >= look_at
            if everybody:
                look_at, stale = now + LOOK_S, False
            if not await self._look_who_is_there(everybody=everybody):
                stale = True

    async def _look_who_is_there(self, *, everybody: bool) -> bool:
        """Accounts are changed by other processes: their connections end. False: that could not be found out."""
        try:
            revoked = await self._authenticator.present.look(self._store, everybody=everybody)
        except StoreError as error:
            self._log.warning("store.poll", problem=str(error))
            return False
        if revoked:
            self._log.info("auth.revoked", connections=revoked)
        return True

    def _others_committed(self) -> bool:
        try:
            return self._store.poll()
        except StoreError as error:
            self._log.warning("store.poll", problem=str(error))
            return True  # it may be so

    def _reload(self) -> None:
        """SIGHUP, and the settings are the same: the files that they name may not be."""
        self._reload_certificates()
        if self._internal is None:
            return
        try:
            self._internal.relist(outbound.recipient_lists(self._settings, self._child.config.parent))
        except StartError as error:
            self._log.error("recipients.refused", problem=str(error), kept="the lists in use")

    def _reload_certificates(self) -> None:
        try:
            self._certificates.reload(self._certificate_files())
        except CertificateError as error:
            self._log.error("certificates.refused", problem=str(error), kept="the certificates in use")
        else:
            self._log.info("certificates.reloaded")

    def _observe(self, notice: Notice) -> None:
        self._metrics.notice(notice)
        fields = {"service": notice.service, "peer": notice.peer, "trace": notice.trace, "detail": notice.detail}
        match notice.kind:
            case Kind.CLOSED:
                self._log.debug(
                    "connection.closed",
                    **fields,
                    bytes_in=notice.bytes_in,
                    bytes_out=notice.bytes_out,
                    lasted_s=round(notice.lasted_s, 3),
                )
            case Kind.BUG:
                self._log.error("bug", **fields, exc_info=notice.error)
            case Kind.INJECTION | Kind.FOREIGN_ALPN | Kind.PROXY_REFUSED:
                self._log.warning(f"security.{notice.kind.value}", **fields)
            case _:
                self._log.info(f"connection.{notice.kind.value}", **fields)
