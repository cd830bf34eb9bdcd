"""Which core and session serve the listeners that take mail: `mx`, `submission`, `lmtp`."""

from collections.abc import Callable, Coroutine
from typing import Final

from poterne.app.parts import MECHANISMS, Parts
from poterne.config.reports import Reports
from poterne.config.settings import Listener
from poterne.net.drive import drive
from poterne.net.limits import is_loopback
from poterne.net.link import Link
from poterne.proto.core import Core
from poterne.proto.smtp import events as smtp
from poterne.proto.smtp.replies import Sent as SmtpSent
from poterne.proto.smtp.server import Server as SmtpServer
from poterne.proto.smtp.settings import Offer
from poterne.session.smtp.greeting import Greeting
from poterne.session.smtp.harvest import Harvest
from poterne.session.smtp.services import OVER_QUOTA, OVER_QUOTA_REFUSED, Service, Services
from poterne.session.smtp.session import SmtpSession
from poterne.values.networks import NetworkSet
from poterne.values.reports import ReportKind

_LAST_WORDS: Final = b"421 4.3.0 Something failed here, try again later\r\n"


def serve_mail(
    listener: Listener, parts: Parts, *, local: bool = False
) -> Callable[[Link], Coroutine[object, object, None]]:
    """What to run for each connection. `local`: the socket of this machine, where the kernel says who it is."""
    service = Service(listener.service)
    implicit = listener.tls == "implicit"
    offer = _offer(parts, service, starttls=not implicit, local=local)
    services = _services(listener, parts, service)

    def serve(link: Link) -> Coroutine[object, object, None]:
        server = SmtpServer(offer, tls=implicit)
        core: Core[smtp.Event, SmtpSent] = server
        session = SmtpSession(server, link, services)
        return drive(core, session, link, last_words=_LAST_WORDS, observe=parts.observe)

    return serve


def _offer(parts: Parts, service: Service, *, starttls: bool, local: bool) -> Offer:
    settings = parts.settings.smtp
    submission = service is Service.SUBMISSION
    return Offer(
        size_bytes=settings.max_message_bytes,
        starttls=starttls,
        auth=MECHANISMS if submission and not local else (),
        recipients=settings.max_recipients,
        transactions=settings.max_messages,
        # Strangers are told nothing after the dialogue, so they are not offered notices either (RFC 3461 §5.2.1).
        dsn=submission,
        requiretls=not local,
        lmtp=service is Service.LMTP,
    )


def _services(listener: Listener, parts: Parts, service: Service) -> Services:
    settings = parts.settings
    mx = service is Service.MX
    allowed = NetworkSet(listener.allow)

    def known(peer: str) -> bool:
        return peer in allowed or (is_loopback(peer) and not parts.hidden(peer))

    smtp_settings = settings.smtp
    return Services(
        service=service,
        hostname=settings.server.hostname,
        store=parts.store,
        authenticator=parts.authenticator,
        settings=smtp_settings,
        require_tls=listener.require_tls,
        log=parts.log,
        counters=parts.metrics,
        new_trace=parts.new_trace,
        clock=parts.clock,
        draining=parts.draining,
        limits=settings.limits,
        srs=parts.srs,
        tells=parts.tells,
        queued=parts.queued,
        hidden=parts.hidden,
        internal=parts.internal if mx else None,
        relays=parts.relays if mx else None,
        # Behind an edge only listed servers come: what DNS tells of them says nothing of whose mail they bring.
        reputation=parts.reputation if mx and settings.server.role != "mailbox" else None,
        verifying=parts.verifying if mx else None,
        behind_edge=mx and settings.server.role == "mailbox",
        over_quota=OVER_QUOTA if settings.quota.over == "defer" else OVER_QUOTA_REFUSED,
        quarantine_s=settings.inbound.quarantine_days * 86_400,
        reports=_reports(settings.reports) if mx else {},
        greeting=Greeting(smtp_settings.greeting_delay_s, smtp_settings.greeting_memory_s, known) if mx else None,
        harvest=Harvest(smtp_settings.unknown_per_hour, smtp_settings.harvest_block_s, known) if mx else None,
    )


def _reports(settings: Reports) -> dict[str, ReportKind]:
    """Local parts that reports come to."""
    of = ((settings.dmarc_address, ReportKind.DMARC), (settings.tls_address, ReportKind.TLS))
    return {address.lower(): kind for address, kind in of if address}
