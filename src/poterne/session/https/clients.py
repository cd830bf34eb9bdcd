"""How mail programs are set up: for themselves (Mozilla, Outlook, Apple) and for people.

Theory of operation. What is said follows from the settings and the domain alone; an address is read, never looked up, so that
those that exist and those that do not get the same answer. Links are made of the settings, never of the Host field. Names that
are served: the one that mail programs connect to and `autoconfig.` before it; of each domain of ours the domain itself
(Thunderbird, Outlook), `autoconfig.` (Thunderbird) and `autodiscover.` (Outlook). The page for people is not on the domain
itself, whose "/" is somebody's website.
"""

import datetime as dt
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass
from typing import Final, final
from urllib.parse import parse_qsl

from poterne.proto.autoconfig import apple, mozilla, outlook, page
from poterne.proto.autoconfig.offer import Offer
from poterne.proto.autoconfig.texts import LANGUAGES
from poterne.proto.http.language import preferred
from poterne.proto.http.messages import Request, Response
from poterne.session.https.session import READING, not_allowed
from poterne.values.address import Address, AddressError

AUTOCONFIG: Final = "autoconfig."
AUTODISCOVER: Final = "autodiscover."
_PARAMETERS_MOST: Final = 16
_ADDRESS_PARAMETERS: Final = frozenset(("emailaddress", "email"))

Ours = Callable[[], Awaitable[Container[str]]]
"""The domains whose mail is read here (A-labels, lower case). Raises StoreError."""


@dataclass(frozen=True, slots=True)
class _Place:
    """What a host name stands for. `domain`: the one that it belongs to, "" for the server's own name."""

    domain: str
    page: bool


@dataclass(frozen=True, slots=True)
class ClientTerms:
    """`own`: names of the server itself; `sign`: gives a profile signed, or as it is."""

    offer: Offer
    own: frozenset[str]
    language: str
    sign: Callable[[bytes], bytes]
    clock: Callable[[], float]


@final
class ClientSite:
    """One for all connections."""

    def __init__(self, ours: Ours, terms: ClientTerms) -> None:
        self._ours: Final = ours
        self._terms: Final = terms

    async def answer(self, request: Request) -> Response | None:
        """None: not of this site. Raises StoreError."""
        ours = await self._ours()
        place = self._place(request.host, ours)
        if place is None:
            return None
        path, _, query = request.path.partition("?")
        if path.lower() == outlook.PATH:
            return self._outlook(request, query, ours)
        if path not in {mozilla.PATH, mozilla.WELL_KNOWN_PATH, apple.PATH} and not (path == "/" and place.page):
            return None
        if request.method not in READING:
            return not_allowed(*READING)
        asked = _parameter(query)
        address = _address(asked, ours) if asked else None
        language = preferred(request.languages, LANGUAGES, self._terms.language)
        if path == "/":
            return self._page(language, address, refused=asked is None or (bool(asked) and address is None))
        if path == apple.PATH:
            return None if address is None else self._profile(address, language)
        domain = address.domain if address is not None else "" if asked or asked is None else place.domain
        return (
            Response(200, mozilla.document(self._terms.offer, domain), content_type=mozilla.CONTENT_TYPE)
            if domain
            else None
        )

    def _place(self, host: str, ours: Container[str]) -> _Place | None:
        if host in self._terms.own:
            return _Place(host if host in ours else "", page=True)
        if host in ours:
            return _Place(host, page=False)
        for prefix, has_page in ((AUTOCONFIG, True), (AUTODISCOVER, False)):
            domain = host.removeprefix(prefix)
            if domain != host and (domain in ours or domain in self._terms.own):
                return _Place(domain if domain in ours else "", has_page)
        return None

    def _page(self, language: str, address: Address | None, *, refused: bool) -> Response:
        text = page.page(self._terms.offer, language, "" if address is None else str(address), refused=refused)
        fields = (("Content-Security-Policy", page.POLICY), ("Content-Language", language), ("Vary", "Accept-Language"))
        return Response(404 if refused else 200, text, content_type=page.CONTENT_TYPE, fields=fields)

    def _profile(self, address: Address, language: str) -> Response | None:
        text = apple.profile(self._terms.offer, str(address), language)
        if text is None:
            return None
        name = f'attachment; filename="{address.domain}.mobileconfig"'
        fields = (("Content-Disposition", name), ("Vary", "Accept-Language"))
        return Response(200, self._terms.sign(text), content_type=apple.CONTENT_TYPE, fields=fields)

    def _outlook(self, request: Request, query: str, ours: Container[str]) -> Response:
        if request.method == "POST":
            asked = outlook.read(request.body)
        elif request.method in READING:
            named = _parameter(query)
            asked = outlook.Asked(named, "") if named else None
        else:
            return not_allowed(*READING, "POST")
        return Response(200, self._discovered(asked, ours), content_type=outlook.CONTENT_TYPE)

    def _discovered(self, asked: outlook.Asked | None, ours: Container[str]) -> bytes:
        now = dt.datetime.fromtimestamp(self._terms.clock(), dt.UTC)
        if asked is None:
            return outlook.refusal(outlook.Error.REQUEST, now)
        if asked.schema and asked.schema.rstrip("/") != outlook.SCHEMA:  # such as ActiveSync's
            return outlook.refusal(outlook.Error.SCHEMA, now)
        address = _address(asked.address, ours)
        if address is None:
            return outlook.refusal(outlook.Error.ADDRESS, now)
        return outlook.settings(self._terms.offer, str(address))


def _parameter(query: str) -> str | None:
    """The address of a query; "": there is none; None: it can't be read."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_PARAMETERS_MOST)
    except ValueError:
        return None
    found = [value for name, value in pairs if name.lower() in _ADDRESS_PARAMETERS]
    return None if len(found) > 1 else (found or [""])[0].strip(" ")


def _address(text: str, ours: Container[str]) -> Address | None:
    """Of a domain of ours, whether it exists or not."""
    try:
        address = Address.parse(text)
    except AddressError:
        return None
    return address if address.domain in ours else None
