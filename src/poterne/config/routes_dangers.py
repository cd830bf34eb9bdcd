"""Routes that would send mail in the clear, hand a password to strangers, or bring mail back to ourselves; with remedies."""

import re
from collections.abc import Iterator
from typing import Final

from poterne.config.doors import Danger
from poterne.config.route import Route
from poterne.config.settings import Settings
from poterne.values.address import AddressError, domain_name
from poterne.values.networks import parse_address

STAR: Final = "*"
_HOST: Final = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\Z"
)


def of_routes(settings: Settings) -> Iterator[Danger]:
    """All that is wrong with `[route.NAME]` and with the addresses of `[queue]`."""
    taken: dict[str, str] = {}
    for name, route in settings.route.items():
        key = ("route", name)
        yield from _of_domains(key, name, route, taken)
        yield from _of_host(key, route, settings)
        yield from _of_tls(key, route)
        yield from _of_recipients(key, route)
    for field, version, example in (("source_v4", 4, "192.0.2.7"), ("source_v6", 6, "2001:db8::7")):
        text = getattr(settings.queue, field)
        address = parse_address(text) if text else None
        if text and (address is None or address.version != version):
            what = f'"{text}" is not an IPv{version} address'
            yield ("queue", field), what, f'write an address of this machine, for example "{example}"'


def is_loopback(host: str) -> bool:
    """Is this certainly this machine?"""
    address = parse_address(host)
    return host.lower() == "localhost" or (address is not None and address.is_loopback)


def _of_domains(key: tuple[str, ...], name: str, route: Route, taken: dict[str, str]) -> Iterator[Danger]:
    if not route.domains:
        yield (*key, "domains"), "is empty", 'name the domains, or write domains = ["*"] for all others (a smart host)'
    for text in route.domains:
        folded = _folded(text)
        if folded is None:
            what = f'"{text}" is not a domain'
            yield (*key, "domains"), what, 'write "example.org", ".example.org" for all below it, or "*" for all others'
            continue
        if folded in taken:
            what = f'"{text}" has a route already, [route.{taken[folded]}]'
            yield (*key, "domains"), what, "name each domain in one route"
        taken[folded] = name
    if STAR in route.domains and (route.inbound or route.verify != "none"):
        field = "inbound" if route.inbound else "verify"
        yield (
            (*key, field),
            "this route is for every domain there is: an open relay",
            "write a route of its own for the domains that are yours, with their names",
        )
    if STAR in route.domains and route.lmtp:
        yield (*key, "lmtp"), "LMTP brings mail to mailboxes, not elsewhere (RFC 2033)", "take the line out"


def _folded(text: str) -> str | None:
    if text == STAR:
        return text
    try:
        return "." + domain_name(text[1:]) if text[:1] == "." else domain_name(text)
    except AddressError:
        return None


def _of_host(key: tuple[str, ...], route: Route, settings: Settings) -> Iterator[Danger]:
    host = route.host
    if not host:
        yield (*key, "host"), "is missing", 'name the server, for example host = "mail.inside.example.org"'
        return
    address = parse_address(host)
    if address is None and not _HOST.match(host):
        yield (*key, "host"), f'"{host}" is no host', "write a name or an IP address, without port and brackets"
    elif address is not None and (address.is_unspecified or address.is_multicast):
        yield (*key, "host"), f'nothing can be sent to "{host}"', "write the server's own address"
    elif _ourselves(route, settings):
        yield (
            (*key, "host"),
            f'"{host}" port {route.port} is this server: mail would come back for ever',
            "name the other server",
        )
    if route.lmtp and route.port == 25:
        yield (
            (*key, "port"),
            "LMTP is not spoken on port 25 (RFC 2033 §5)",
            "write the port of the LMTP service, often 24",
        )


def _ourselves(route: Route, settings: Settings) -> bool:
    if route.host.lower().rstrip(".") == settings.server.hostname and not is_loopback(route.host):
        return True
    address = parse_address(route.host)
    if route.host.lower() == "localhost":
        address = parse_address("127.0.0.1")
    if address is None:
        return False
    for listener in settings.listener.values():
        for text in listener.addresses:
            own = parse_address(text)
            if own is None or (own.is_unspecified and not address.is_loopback):
                continue
            if listener.port == route.port and (own == address or own.is_unspecified):
                return True
    return False


def _of_tls(key: tuple[str, ...], route: Route) -> Iterator[Danger]:
    here = is_loopback(route.host)
    if route.tls == "opportunistic" and not here:
        yield (
            (*key, "tls"),
            "mail on this route could go in the clear, and to anybody who answers",
            'take the line out; for a certificate of your own, name its authority: ca = "inside-ca.pem"',
        )
    if route.user and (route.tls == "opportunistic" or (route.tls == "required" and not here)):
        yield (
            (*key, "user"),
            "the password would be told to whoever answers",
            'sign in over tls = "verified" only',
        )
    if bool(route.user) != bool(route.password_file):
        field, other = ("user", "password_file") if route.user else ("password_file", "user")
        yield (*key, field), f"is there without {other}", "write both, or neither"
    if route.ca and route.tls != "verified":
        yield (*key, "ca"), f'is not looked at with tls = "{route.tls}"', 'write tls = "verified"'


def _of_recipients(key: tuple[str, ...], route: Route) -> Iterator[Danger]:
    if route.verify == "list" and not route.recipients_file:
        yield (*key, "recipients_file"), "is missing", 'name the file, or write verify = "call-forward"'
    if route.recipients_file and route.verify != "list":
        yield (*key, "recipients_file"), f'is not read with verify = "{route.verify}"', 'write verify = "list"'
    if route.verify != "none" and not route.inbound and STAR not in route.domains:
        yield (*key, "verify"), "is about mail that comes in, and this route takes none", "write inbound = true"
