"""One HTTPS connection: one request, one answer, from the first site whose it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final, Protocol, assert_never, final

from msgspec import structs

from poterne.net.link import Link, Poke
from poterne.observe import Log
from poterne.proto.http.messages import Event, Malformed, Request, Response
from poterne.proto.http.server import Server
from poterne.store.errors import StoreError

REQUEST_S: Final = 10.0
"""For all of a request: honest clients need a fraction of a second."""
READING: Final = ("GET", "HEAD")
LAST_WORDS: Final = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_NOTHING: Final = b"There is nothing here.\r\n"
_COMMON: Final = (
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
)


class Site(Protocol):
    """Documents of one kind."""

    async def answer(self, request: Request) -> Response | None:
        """None: not of this site. Raises StoreError."""


def not_allowed(*methods: str) -> Response:
    """There is something, for these methods."""
    return Response(405, allow=", ".join(methods))


@dataclass(frozen=True, slots=True)
class Services:
    """Shared by all connections of a process."""

    sites: Sequence[Site]
    log: Log
    clock: Callable[[], float]
    """Unix seconds."""


@final
class HttpsSession:
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
                self._send(await self._answer(event))
            case Malformed():
                self._send(Response(event.status))
            case _:
                assert_never(event)

    async def _answer(self, request: Request) -> Response:
        try:
            for site in self._services.sites:
                found = await site.answer(request)
                if found is not None:
                    self._tell(request, found)
                    return found
        except StoreError as error:
            self._services.log.error("https.unavailable", trace=self._link.trace, error=str(error))
            return Response(503)
        return Response(404, _NOTHING)

    def _tell(self, request: Request, response: Response) -> None:
        path = request.path.partition("?")[0]  # what is behind it names people
        fields = {"peer": self._link.peer, "host": request.host, "path": path, "status": response.status}
        self._services.log.debug("https.answered", trace=self._link.trace, **fields)

    def _send(self, response: Response) -> None:
        own = {name for name, _ in response.fields}
        fields = (*response.fields, *(field for field in _COMMON if field[0] not in own))
        date = formatdate(self._services.clock(), usegmt=True)
        self._core.send(structs.replace(response, date=date, fields=fields))

    async def poked(self, why: Poke, /) -> None:
        if self._core.answered:
            return
        if Poke.SHUTDOWN in why:
            self._send(Response(503))
        elif Poke.DEADLINE in why:
            self._send(Response(408))

    def secured(self) -> None:
        """HTTPS begins with TLS: never called."""

    async def closed(self) -> None:
        """Nothing is held."""
