"""Which core and which session serve a listener: the one place where protocols, sessions and the edge meet."""

from collections.abc import Callable, Coroutine

from poterne.admin.clients import offer
from poterne.admin.zone import sts_policy, taken_domains
from poterne.app.mail import serve_mail
from poterne.app.parts import MECHANISMS, Parts
from poterne.config import offered
from poterne.config.settings import Listener
from poterne.mailauth.mtasts.text import rendered
from poterne.net.drive import drive
from poterne.net.link import Link
from poterne.proto.core import Core
from poterne.proto.http import messages as http
from poterne.proto.http.server import Server as HttpServer
from poterne.proto.imap import commands as imap
from poterne.proto.imap.limits import Limits as ImapLimits
from poterne.proto.imap.responses import Reply as ImapReply
from poterne.proto.imap.server import ServerCore as ImapServer
from poterne.proto.pop3 import commands as pop3
from poterne.proto.pop3.replies import Sent as Pop3Sent
from poterne.proto.pop3.server import Server as Pop3Server
from poterne.proto.pop3.settings import Offer as Pop3Offer
from poterne.queue.domains import LocalDomains
from poterne.session.https.clients import ClientSite, ClientTerms
from poterne.session.https.policies import PolicySite
from poterne.session.https.session import LAST_WORDS as HTTP_LAST_WORDS
from poterne.session.https.session import HttpsSession, Site
from poterne.session.https.session import Services as HttpsServices
from poterne.session.imap.client import Service as ImapService
from poterne.session.imap.session import LAST_WORDS, ImapSession
from poterne.session.pop3.expiry import Expiry
from poterne.session.pop3.session import Pop3Session
from poterne.session.pop3.session import Services as Pop3Services

Serve = Callable[[Link], Coroutine[object, object, None]]


def serving(listener: Listener, parts: Parts) -> Serve:
    """What to run for each connection of a listener."""
    match listener.service:
        case "mx" | "submission" | "lmtp":
            return serve_mail(listener, parts)
        case "imap":
            return _imap(listener, parts)
        case "pop3":
            return _pop3(listener, parts)
        case "https":
            return _https(parts)
        case _:
            raise ValueError(f"no such service: {listener.service}")  # the settings were checked


def _https(parts: Parts) -> Serve:
    domains, taken = LocalDomains(parts.store, parts.clock), frozenset(taken_domains(parts.settings))

    async def policy(domain: str) -> bytes | None:
        ours = domain in taken or domain in await domains.names()
        found = sts_policy(parts.settings, domain) if ours else None
        return None if found is None else rendered(found)

    sites: list[Site] = [PolicySite(policy)]
    settings = parts.settings
    if offered.web_port(settings):
        own = frozenset((settings.server.hostname, offered.hostname(settings)))
        terms = ClientTerms(offer(settings), own, settings.server.language, parts.sign_profile, parts.clock)
        sites.append(ClientSite(domains.names, terms))
    services = HttpsServices(sites, parts.log, parts.clock)

    def serve(link: Link) -> Coroutine[object, object, None]:
        server = HttpServer()
        core: Core[http.Event, http.Response] = server
        session = HttpsSession(server, link, services)
        return drive(core, session, link, last_words=HTTP_LAST_WORDS, observe=parts.observe)

    return serve


def _imap(listener: Listener, parts: Parts) -> Serve:
    settings = parts.settings.imap
    implicit = listener.tls == "implicit"
    limits = ImapLimits(append_bytes=settings.max_append_bytes, metadata_value_bytes=settings.metadata_value_bytes)
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
        visits=parts.visits,
        expiry=Expiry(parts.store, parts.settings.retention, parts.clock),
        language=parts.settings.server.language,
    )
    last_words = b"-ERR [SYS/TEMP] Something failed here, try again later\r\n"

    def serve(link: Link) -> Coroutine[object, object, None]:
        server = Pop3Server(offer, tls=implicit)
        core: Core[pop3.Event, Pop3Sent] = server
        return drive(core, Pop3Session(server, link, services), link, last_words=last_words, observe=parts.observe)

    return serve
