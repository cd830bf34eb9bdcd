"""`[publish]` and `[zone.DOMAIN]`: what DNS is to say of this server and its domains, and what is wrong in these settings."""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from poterne.config.dns import Danger, name_server
from poterne.config.fields import made, setting
from poterne.values.address import Address, AddressError, domain_name

_EXCHANGER: Final = re.compile(r"([0-9]{1,5}) +(\S+)")
_SPF_TERM: Final = re.compile(r"[+?~-]?(?:include|a|mx|ip4|ip6|exists)(?:[:/][!-~]+)?")
_SPF_WIDEST: Final = {4: 8, 6: 20}
"""Prefix lengths: nobody who sends for you has more addresses."""
_ISSUER: Final = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+(?:; ?[!-~ ]+)?")


@dataclass(frozen=True, slots=True)
class Publish:
    """`[publish]`: what `poterne dns` proposes, compares with what is live, and can write to a name server of yours."""

    addresses: list[str] = made(
        list,
        "Public IP addresses that this server is reached under and sends from. Without any: the public ones of the listeners "
        "of service mx, and those of [queue] source_v4 and source_v6.",
        why="Behind NAT, or listening on every address, the server can't know them.",
        risk="They go into SPF: whoever has one of them may send in your name.",
    )
    exchangers: list[str] = made(
        list,
        'MX records of the domains: ["10 mx1.example.org", "20 mx2.example.org"]. Without any: this server.',
        why="A server behind an edge is not the one that the Internet brings mail to.",
    )
    spf: list[str] = made(
        list,
        'Further SPF terms for all domains, for services that send in their name: ["include:_spf.example.net"].',
        risk="Each lets others send in your name, and costs one of the ten lookups that a record may need.",
    )
    caa: list[str] = made(
        list,
        'Certificate authorities for the CAA record of the host name: ["letsencrypt.org"]. Without any: the one that issued the '
        "certificate in use, when it is a known one.",
    )
    next_keys: list[str] = made(
        list,
        "PEM files of certificates or public keys that will be used next; relative to this file. Each gets a TLSA record beside "
        "the one of the certificate in use.",
        why="With DANE a new key must be in DNS for a day before it is used, or mail stops coming.",
    )
    watch: bool = setting(
        True,
        "Compare once a day what DNS says of our domains with what it should say; postmaster hears of what got worse.",
    )
    update_server: str = setting(
        "",
        'Name server that takes dynamic updates (RFC 2136) for `poterne dns DOMAIN --update`: "192.0.2.53" or "192.0.2.53:53".',
    )
    update_key: str = setting(
        "",
        "File with the TSIG key for it, as tsig-keygen writes it, readable by the server's user only; relative to this file.",
        why="An update without a key would be taken from anybody.",
    )


@dataclass(frozen=True, slots=True)
class Zone:
    """`[zone.NAME]`: what one domain is to publish; NAME is the domain, in quotes: [zone."example.org"]."""

    dmarc: str = setting(
        "none",
        "The DMARC policy to publish. `poterne report dmarc` says when the next step is safe.",
        choices=("none", "quarantine", "reject"),
        why="Reports come first; a stricter policy loses mail of senders that nobody remembered.",
    )
    dmarc_rua: list[str] = made(list, "Further addresses that get the DMARC reports of others.")
    mta_sts: str = setting(
        "testing",
        'MTA-STS mode (RFC 8461): "testing": others report what would fail. "enforce": mail comes encrypted, to a server that '
        'proves its name, or not at all. "none": there is no policy any more. It takes a listener of service https.',
        choices=("none", "testing", "enforce"),
        risk='With "enforce", a certificate that expired or does not fit the MX name stops mail.',
    )
    mta_sts_max_age_s: int = setting(
        604_800,
        "Seconds that others keep the policy.",
        minimum=86_400,
        maximum=31_557_600,
        why="A week outlasts an attack on DNS, and a mistake is over after it.",
    )
    spf: list[str] = made(list, "Further SPF terms for this domain.", risk="As with [publish] spf.")


def exchangers(settings: Publish, hostname: str) -> tuple[tuple[int, str], ...]:
    """The MX records that are wanted: (preference, name)."""
    found = [_EXCHANGER.fullmatch(entry) for entry in settings.exchangers]
    return tuple((int(one[1]), domain_name(one[2])) for one in found if one is not None) or ((10, hostname),)


def of_publish(settings: Publish, zones: Mapping[str, Zone]) -> Iterator[Danger]:
    """What is wrong in these tables."""
    for entry in settings.addresses:
        try:
            address = ipaddress.ip_address(entry)
        except ValueError:
            yield ("publish", "addresses"), f'"{entry}" is not an IP address', 'write for example "192.0.2.25"'
            continue
        if address.is_unspecified or address.is_multicast:
            what = f'"{entry}" is not the address of a server'
            yield ("publish", "addresses"), what, "write the address that others see"
    for entry in settings.exchangers:
        found = _EXCHANGER.fullmatch(entry)
        if found is None or int(found[1]) > 65_535 or not _is_domain(found[2]):
            yield ("publish", "exchangers"), f'"{entry}" is no MX record', 'write for example "10 mx.example.org"'
    yield from _spf(("publish", "spf"), settings.spf)
    for entry in settings.caa:
        if _ISSUER.fullmatch(entry) is None:
            yield (
                ("publish", "caa"),
                f'"{entry}" is not the name of an authority',
                'write for example "letsencrypt.org"',
            )
    if settings.update_server and name_server(settings.update_server) is None:
        yield (
            ("publish", "update_server"),
            f'"{settings.update_server}" is not an address of a name server',
            'write for example "192.0.2.53:53"',
        )
    if settings.update_server and not settings.update_key:
        yield ("publish", "update_key"), "is missing", "name the file that tsig-keygen wrote"
    for domain, zone in zones.items():
        yield from _of_zone(domain, zone)


def _of_zone(domain: str, zone: Zone) -> Iterator[Danger]:
    key = ("zone", domain)
    try:
        if domain_name(domain) != domain:
            yield key, "is not written in lower case, as DNS has it", f'write [zone."{domain_name(domain)}"]'
    except AddressError as error:
        yield key, f"is not a domain ({error})", 'write for example [zone."example.org"], with the quotes'
    for entry in zone.dmarc_rua:
        try:
            Address.parse(entry, smtputf8=False)
        except AddressError as error:
            yield (*key, "dmarc_rua"), f'"{entry}" is not an address ({error})', 'write for example "dmarc@example.org"'
    yield from _spf((*key, "spf"), zone.spf)


def _spf(key: tuple[str, ...], terms: list[str]) -> Iterator[Danger]:
    for term in terms:
        if _SPF_TERM.fullmatch(term) is None or not _is_complete(term):
            yield key, f'"{term}" is not an SPF mechanism', 'write for example "include:_spf.example.net"'
        elif _is_wide(term):
            what = f'"{term}" lets a good part of the Internet send in your name'
            yield key, what, 'write the addresses of the servers, for example "ip4:192.0.2.25"'


def _is_complete(term: str) -> bool:
    """Has it what its name needs (RFC 7208 §5)? A domain may be a macro, and is not looked at."""
    name, _, value = term.lstrip("+-~?").partition(":")
    if name in {"include", "exists"}:
        return "." in value
    return _network(term) is not None if name.split("/")[0] in {"ip4", "ip6"} else True


def _is_wide(term: str) -> bool:
    network = _network(term)
    return network is not None and term[0] not in "-~?" and network.prefixlen < _SPF_WIDEST[network.version]


def _network(term: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Of `ip4:` and `ip6:`; None for other terms, and for what can't be read."""
    name, _, value = term.lstrip("+-~?").partition(":")
    length = value.partition("/")[2]
    if length and not (length.isascii() and length.isdigit()):
        return None  # a netmask, which SPF does not know
    with suppress(ValueError):
        if name == "ip4":
            return ipaddress.IPv4Network(value, strict=False)
        if name == "ip6":
            return ipaddress.IPv6Network(value, strict=False)
    return None


def _is_domain(text: str) -> bool:
    try:
        domain_name(text)
    except AddressError:
        return False
    return True
