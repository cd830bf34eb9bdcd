"""One HTTPS connection: the MTA-STS policy of a domain that is served here (RFC 8461 §3.3), and nothing else."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final, assert_never, final

from poterne.net.link import Link, Poke
from poterne.observe import Log
from poterne.proto.http.messages import Event, Malformed, Request, Response
from poterne.proto.http.server import Server
from poterne.store.errors import StoreError

PATH: Final = "/.well-known/mta-sts.txt"
HOST_PREFIX: Final = "mta-sts."
REQUEST_S: Final = 10.0
"""For all of a request: honest clients need a fraction of a second."""
MAX_AGE_S: Final = 300
"""For caches of HTTP; what senders keep is in the policy itself."""
_METHODS: Final = ("GET", "HEAD")
_NOTHING: Final = b"There is nothing here.\r\n"
LAST_WORDS: Final = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

Policies = Callable[[str], Awaitable[bytes | None]]
"""The policy file of a domain (A-label, lower case); None: it is not served here. Raises StoreError."""


@dataclass(frozen=True, slots=True)
class Services:
    """Shared by all connections of a process."""

    policies: Policies
    log: Log
    clock: Callable[[], float]
    """Unix seconds."""


@final
class PolicySession:
    """What a connection to a listener of service `https` means."""

    __slots__ = ("_core", "_link", "_services")

    def __init__(self, core: Server, link: Link, services: Services) -> None:
        self._core: Final = core
        self._link: Final = link
        self._services: Final = services

    async def opened(self) -> None:
        self._link.set_deadline(REQUEST_S, "request-timeout")

    async def handle(self, event: Event, /) -> None:
        match event:
            case Request():
                self._core.send(await self._answer(event))
            case Malformed():
                self._core.send(self._response(event.status))
            case _:
                assert_never(event)

    async def _answer(self, request: Request) -> Response:
        domain = request.host.removeprefix(HOST_PREFIX)
        if request.path != PATH or domain == request.host:
            return self._response(404)
        try:
            policy = await self._services.policies(domain)
        except StoreError as error:
            self._services.log.error("https.unavailable", trace=self._link.trace, error=str(error))
            return self._response(503)
        if policy is None:
            return self._response(404)
        if request.method not in _METHODS:
            return self._response(405)
        self._services.log.debug("https.policy", trace=self._link.trace, peer=self._link.peer, domain=domain)
        return Response(200, policy, date=self._date(), max_age_s=MAX_AGE_S)

    def _response(self, status: int) -> Response:
        body = _NOTHING if status == 404 else b""
        return Response(status, body, ", ".join(_METHODS) if status == 405 else "", self._date())

    def _date(self) -> str:
        return formatdate(self._services.clock(), usegmt=True)

    async def poked(self, why: Poke, /) -> None:
        if self._core.answered:
            return
        if Poke.SHUTDOWN in why:
            self._core.send(self._response(503))
        elif Poke.DEADLINE in why:
            self._core.send(self._response(408))

    def secured(self) -> None:
        """HTTPS begins with TLS: never called."""

    async def closed(self) -> None:
        """Nothing is held."""
