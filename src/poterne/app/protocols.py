"""Which core and which session serve a listener: the one place where protocols, sessions and the edge meet."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from poterne.app.metrics import Metrics
from poterne.config.settings import Listener, Settings
from poterne.net.drive import drive
from poterne.net.link import Link
from poterne.net.notice import Observe
from poterne.observe import Log
from poterne.proto.smtp.server import Server as SmtpServer
from poterne.proto.smtp.settings import Offer
from poterne.session.authenticate import Authenticator
from poterne.session.notify import Notifier
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
    metrics: Metrics
    log: Log
    observe: Observe
    new_trace: Callable[[], TraceId]
    clock: Callable[[], float]
    draining: Callable[[], bool]


def serving(listener: Listener, parts: Parts) -> Serve:
    """What to run for each connection of a listener."""
    match listener.service:
        case "mx" | "submission":
            return _smtp(listener, parts)
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
    )
    last_words = b"421 4.3.0 Something failed here, try again later\r\n"

    def serve(link: Link) -> Coroutine[object, object, None]:
        core = SmtpServer(offer, tls=implicit)
        return drive(core, SmtpSession(core, link, services), link, last_words=last_words, observe=parts.observe)

    return serve
