"""Which core and which session serve a listener: the one place where protocols, sessions and the edge meet."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from poterne.app.metrics import Metrics
from poterne.config.settings import Listener, Settings
from poterne.net.drive import drive
from poterne.net.link import Link
from poterne.net.notice import Observe
from poterne.observe import Log
from poterne.proto.core import Core
from poterne.proto.imap import commands as imap
from poterne.proto.imap.limits import Limits as ImapLimits
from poterne.proto.imap.responses import Reply as ImapReply
from poterne.proto.imap.server import ServerCore as ImapServer
from poterne.proto.pop3 import commands as pop3
from poterne.proto.pop3.replies import Sent as Pop3Sent
from poterne.proto.pop3.server import Server as Pop3Server
from poterne.proto.pop3.settings import Offer as Pop3Offer
from poterne.proto.smtp import events as smtp
from poterne.proto.smtp.replies import Sent as SmtpSent
from poterne.proto.smtp.server import Server as SmtpServer
from poterne.proto.smtp.settings import Offer
from poterne.session.authenticate import Authenticator
from poterne.session.imap.client import Service as ImapService
from poterne.session.imap.session import LAST_WORDS, ImapSession
from poterne.session.notify import Notifier
from poterne.session.pending import Snapshots
from poterne.session.pop3.session import Pop3Session
from poterne.session.pop3.session import Services as Pop3Services
from poterne.session.smtp.relay import Relays
from poterne.session.smtp.services import Service, Services
from poterne.session.smtp.session import SmtpSession
from poterne.store.interface import Store
from poterne.values.ids import TraceId

Serve = Callable[[Link], Coroutine[object, object, None]]

MECHANISMS = ("PLAIN", "LOGIN")


@dataclass(frozen=True, slots=True)
class Parts:
    """What all sessions of a process share."""

    settings: Settings
    store: Store
    authenticator: Authenticator
    notifier: Notifier
    snapshots: Snapshots
    metrics: Metrics
    log: Log
    observe: Observe
    new_trace: Callable[[], TraceId]
    clock: Callable[[], float]
    draining: Callable[[], bool]
    relays: Relays


def serving(listener: Listener, parts: Parts) -> Serve:
    """What to run for each connection of a listener."""
    match listener.service:
        case "mx" | "submission":
            return _smtp(listener, parts)
        case "imap":
            return _imap(listener, parts)
        case "pop3":
            return _pop3(listener, parts)
        case _:
            raise ValueError(f"no such service: {listener.service}")  # the settings were checked


def _smtp(listener: Listener, parts: Parts) -> Serve:
    settings = parts.settings
    implicit = listener.tls == "implicit"
    submission = listener.service == "submission"
    offer = Offer(
        size_bytes=settings.smtp.max_message_bytes,
        starttls=not implicit,
        auth=MECHANISMS if submission else (),
        recipients=settings.smtp.max_recipients,
        transactions=settings.smtp.max_messages,
        dsn=False,  # RFC 3461 §5.2.1: who offers it sends the notices, and they come with outbound
    )
    services = Services(
        service=Service(listener.service),
        hostname=settings.server.hostname,
        store=parts.store,
        authenticator=parts.authenticator,
        settings=settings.smtp,
        require_tls=listener.require_tls,
        log=parts.log,
        counters=parts.metrics,
        new_trace=parts.new_trace,
        clock=parts.clock,
        draining=parts.draining,
        relays=None if submission else parts.relays,
    )
    last_words = b"421 4.3.0 Something failed here, try again later\r\n"

    def serve(link: Link) -> Coroutine[object, object, None]:
        server = SmtpServer(offer, tls=implicit)
        core: Core[smtp.Event, SmtpSent] = server
        return drive(core, SmtpSession(server, link, services), link, last_words=last_words, observe=parts.observe)

    return serve


def _imap(listener: Listener, parts: Parts) -> Serve:
    settings = parts.settings.imap
    implicit = listener.tls == "implicit"
    limits = ImapLimits(append_bytes=settings.max_append_bytes)
    service = ImapService(
        store=parts.store,
        authenticator=parts.authenticator,
        notifier=parts.notifier,
        snapshots=parts.snapshots,
        settings=settings,
        clock=parts.clock,
        log=parts.log,
    )

    def serve(link: Link) -> Coroutine[object, object, None]:
        server = ImapServer(limits, tls=implicit)
        core: Core[imap.Event, ImapReply] = server
        return drive(core, ImapSession(server, link, service), link, last_words=LAST_WORDS, observe=parts.observe)

    return serve


def _pop3(listener: Listener, parts: Parts) -> Serve:
    implicit = listener.tls == "implicit"
    offer = Pop3Offer(stls=not implicit, auth=MECHANISMS)
    services = Pop3Services(
        hostname=parts.settings.server.hostname,
        store=parts.store,
        authenticator=parts.authenticator,
        settings=parts.settings.pop3,
        log=parts.log,
        clock=parts.clock,
    )
    last_words = b"-ERR [SYS/TEMP] Something failed here, try again later\r\n"

    def serve(link: Link) -> Coroutine[object, object, None]:
        server = Pop3Server(offer, tls=implicit)
        core: Core[pop3.Event, Pop3Sent] = server
        return drive(core, Pop3Session(server, link, services), link, last_words=last_words, observe=parts.observe)

    return serve
