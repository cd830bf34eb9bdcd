"""Where a domain's mail goes: the servers to try, in order, or why there is none.

Theory of operation. A domain has a `[route.NAME]`, or what public DNS says (RFC 5321 §5.1): the MX records by preference,
each group in an order of chance; without MX records the domain itself; with a null MX nobody (RFC 7505). Of each server the IPv6
and IPv4 addresses in turn, so that a family that does not work here costs one try at most.

Public DNS is written by strangers. It must not lead us to ourselves (mail would go round for ever: we, and whatever is
no better than us, drop out, RFC 5321 §5.1), nor to loopback or private addresses (servers inside our network trust us).
What DNS can't say now is tried again later; only what it says for certain is permanent.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Final, TypeAlias, final

from poterne.policy.tls import Destination, Skip, SkipReason, Terms, TlsVerdict, Use, literal
from poterne.queue.outcome import Hop, HopTimeouts, Permanent, TlsDemand, Transient
from poterne.queue.routes import NamedRoute, Routes
from poterne.queue.security import Security
from poterne.values.address import AddressError, AddressLiteral
from poterne.values.dns import Answer, Found, Mx, NoData, NxDomain, Resolver, TempFail
from poterne.values.networks import is_public, parse_address

MAX_EXCHANGERS: Final = 10
"""MX records that are looked at, best first."""
MAX_HOPS: Final = 6
"""Addresses that are tried in one attempt (RFC 5321 §5.1: two at least)."""

Note: TypeAlias = Callable[[str, str], None]
"""Told each step: what was looked at, and what was found."""


def _silent(_what: str, _found: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Ourselves:
    """What we are known by, and how we go out."""

    hostname: str
    addresses: frozenset[str] = frozenset()
    """That we listen on, where they are single ones."""
    source_v4: str = ""
    source_v6: str = ""
    mx_port: int = 25
    private_mx: bool = False
    timeouts: HopTimeouts = field(default_factory=HopTimeouts)

    def source(self, address: str) -> str | None:
        """The address to connect from, of the same family."""
        return (self.source_v6 if ":" in address else self.source_v4) or None


Way: TypeAlias = tuple[Hop, ...] | Transient | Permanent
"""Servers to try in order, one at least; or why there is none."""


@final
class Router:
    """`ways` asks DNS; `destination` does not."""

    def __init__(
        self,
        routes: Routes,
        resolver: Resolver | None,
        ourselves: Ourselves,
        shuffled: Callable[[list[Mx]], None],
        security: Security | None = None,
    ) -> None:
        """`shuffled` puts a list in an order of chance. Without `security` TLS to servers of public DNS is opportunistic."""
        self.routes: Final = routes
        self._resolver: Final = resolver
        self._ourselves: Final = ourselves
        self._shuffled: Final = shuffled
        self._security: Final = security
        self._fixed: Final[dict[str, tuple[Hop, ...]]] = {}
        """Of routes in which nothing can change: an address, and no password file."""

    def destination(self, domain: str) -> str:
        """What conversations with the servers of this domain are counted by: the route's word, or the domain."""
        route = self.routes.find(domain)
        return domain if route is None else route.destination

    async def ways(self, domain: str, *, requiretls: bool = False, optional: bool = False, note: Note = _silent) -> Way:
        """The servers for a domain, best first, and how mail must go to each. Raises StoreError.

        `requiretls`: RFC 8689; `optional`: what the domain demands of TLS is a wish (§4.2.2).
        """
        route = self.routes.find(domain)
        if route is not None:
            note("route", f"[route.{route.name}]: {route.settings.host} port {route.settings.port}")
            found = await self._of_route(route, note)
        elif domain[:1] == "[":
            found = self._of_literal(domain, self._terms(domain, requiretls, optional), note)
        else:
            note("route", "none: as DNS says")
            found = await self._of_dns(domain, self._terms(domain, requiretls, optional), note)
        if requiretls and isinstance(found, tuple):
            return tuple(hop if hop.tls is TlsDemand.DANE else replace(hop, tls=TlsDemand.VERIFIED) for hop in found)
        return found

    def _terms(self, domain: str, requiretls: bool, optional: bool) -> Terms:
        security = self._security
        return Terms() if security is None else security.terms(domain, requiretls=requiretls, optional=optional)

    # -- written in the settings ---------------------------------------------------------------------------------------

    async def _of_route(self, route: NamedRoute, note: Note) -> Way:
        if (fixed := self._fixed.get(route.name)) is not None:
            return fixed
        settings = route.settings
        try:
            login = route.login()
        except OSError as error:
            return _later("4.3.5", f"the password file of [route.{route.name}] can't be read ({type(error).__name__})")
        addresses: Sequence[str]
        fixed_now = login is None
        if parse_address(settings.host) is not None:
            addresses = (settings.host,)
        elif settings.host.lower() == "localhost":
            addresses = ("127.0.0.1", "::1")
        else:
            if self._resolver is None:
                return _no_resolver()
            answer = await self._resolver.addresses(settings.host.lower().rstrip("."))
            note("addresses", f"{settings.host}: {_shown(answer)}")
            if not isinstance(answer, Found):  # a name in our own settings: mend it, and the mail goes on
                return _later("4.4.3", f"{settings.host} of [route.{route.name}] has no address now")
            addresses = tuple(_in_turn(answer.records))
            fixed_now = False
        hops = [
            Hop(
                address=address,
                port=settings.port,
                name=settings.host,
                helo=self._ourselves.hostname,
                implicit_tls=settings.implicit_tls,
                lmtp=settings.lmtp,
                tls=route.demand,
                ca_file=route.ca_file,
                login=login,
                source=self._source(address),
                timeouts=self._ourselves.timeouts,
            )
            for address in addresses[:MAX_HOPS]
        ]
        found = tuple(hops)
        if fixed_now:
            self._fixed[route.name] = found
        return found

    def _source(self, address: str) -> str | None:
        """The address to connect from; this machine itself is reached from loopback."""
        source = self._ourselves.source(address)
        return None if source is None or _loopback(address) else source

    # -- written by strangers ------------------------------------------------------------------------------------------

    def _of_literal(self, domain: str, terms: Terms, note: Note) -> Way:
        try:
            address = str(AddressLiteral.parse(domain).ip)
        except AddressError:
            return _never("5.1.3", f"{domain} is not an address")
        note("literal", address)
        if address in self._ourselves.addresses:
            return _never("5.4.6", f"{domain} is this server, which has no mailbox there")
        if not self._usable(address):
            return _never("5.4.4", f"{domain} is no public address")
        return (self._hop(address, address, literal(terms)),)

    async def _of_dns(self, domain: str, terms: Terms, note: Note) -> Way:
        resolver = self._resolver
        if resolver is None:
            return _no_resolver()
        answer = await resolver.mx(domain)
        note("mx", f"{domain}: {_shown(answer)}")
        if isinstance(answer, TempFail):
            return _later("4.4.3", f"DNS does not tell now where mail for {domain} goes ({answer.reason.value})")
        if isinstance(answer, NxDomain):
            return _never("5.1.2", f"there is no domain {domain}")
        to = Destination(domain, answer.name if isinstance(answer, Found) else domain, answer.secure)
        if isinstance(answer, NoData):
            return await self._of_exchangers(to, [Mx(0, domain)], terms, resolver, note)
        exchangers = [mx for mx in answer.records if not mx.null]
        if not exchangers:
            return _never("5.1.10", f"{domain} says that it takes no mail (null MX)", 556)
        return await self._of_exchangers(to, self._ordered(exchangers), terms, resolver, note)

    def _ordered(self, exchangers: Iterable[Mx]) -> list[Mx]:
        found = list(exchangers)
        self._shuffled(found)
        found.sort(key=lambda mx: mx.preference)
        return found[:MAX_EXCHANGERS]

    async def _of_exchangers(
        self, to: Destination, exchangers: list[Mx], terms: Terms, resolver: Resolver, note: Note
    ) -> Way:
        domain = to.domain
        own: Awaitable[Answer[str]] = resolver.addresses(self._ourselves.hostname)
        ours, *answers = await asyncio.gather(own, *(resolver.addresses(mx.exchange) for mx in exchangers))
        mine = self._ourselves.addresses | frozenset(ours.records if isinstance(ours, Found) else ())
        found = list(zip(exchangers, answers, strict=True))
        for mx, answer in found:
            note("addresses", f"{mx.exchange}: {_shown(answer)}")
        limit = min((mx.preference for mx, answer in found if self._is_us(mx, answer, mine)), default=None)
        if limit is not None:
            found = [(mx, answer) for mx, answer in found if mx.preference < limit]
            note("ourselves", f"this server is an MX of {domain} with preference {limit}: only better ones are tried")
            if not found:
                return _never("5.4.6", f"mail for {domain} comes to this server, which does not serve it (loop)")
        hosts = self._hosts(found, note)
        verdicts: Mapping[str, TlsVerdict] = {}
        if hosts and self._security is not None:
            reached = {
                mx.exchange: answer for mx, answer in found if isinstance(answer, Found) and mx.exchange in hosts
            }
            verdicts = await self._security.judge(to, reached, terms, note)
        hops = list(self._hops(hosts, verdicts))
        if hops:
            return tuple(hops[:MAX_HOPS])
        if verdicts:
            return self._all_skipped(domain, verdicts)
        if any(isinstance(answer, TempFail) or (isinstance(answer, Found) and answer.partial) for _, answer in found):
            return _later("4.4.3", f"DNS does not tell now which addresses the servers of {domain} have")
        if any(isinstance(answer, Found) for _, answer in found):
            return _never("5.4.4", f"the servers of {domain} have no public address")
        return _never("5.4.4", f"{domain} has no mail server that exists")

    def _is_us(self, mx: Mx, answer: Answer[str], mine: frozenset[str]) -> bool:
        if mx.exchange == self._ourselves.hostname:
            return True
        return isinstance(answer, Found) and not mine.isdisjoint(answer.records)

    def _hosts(self, found: Iterable[tuple[Mx, Answer[str]]], note: Note) -> dict[str, list[str]]:
        """The servers that have addresses we connect to, in their order."""
        hosts: dict[str, list[str]] = {}
        for mx, answer in found:
            if not isinstance(answer, Found):
                continue
            usable = [address for address in answer.records if self._usable(address)]
            for address in answer.records:
                if address not in usable:
                    note("passed over", f"{mx.exchange} [{address}]: no public address")
            if usable:
                hosts.setdefault(mx.exchange, list(_in_turn(usable)))
        return hosts

    def _hops(self, hosts: Mapping[str, list[str]], verdicts: Mapping[str, TlsVerdict]) -> Iterator[Hop]:
        for name, addresses in hosts.items():
            verdict = verdicts.get(name, _NO_TERMS)
            if isinstance(verdict, Use):
                for address in addresses:
                    yield self._hop(address, name, verdict)

    def _hop(self, address: str, name: str, terms: Use) -> Hop:
        ourselves, security = self._ourselves, self._security
        return Hop(
            address,
            ourselves.mx_port,
            name,
            ourselves.hostname,
            tls=terms.demand,
            names=terms.names,
            ca_file=security.ca_file(terms.demand) if security is not None else None,
            tlsa=terms.records,
            fallback=terms.fallback,
            applied=terms.applied,
            known_failures=terms.failures,
            source=ourselves.source(address),
            timeouts=ourselves.timeouts,
        )

    def _all_skipped(self, domain: str, verdicts: Mapping[str, TlsVerdict]) -> Transient | Permanent:
        """No server can be used as it must be; what may change is tried again."""
        name, skip = min(
            ((name, one) for name, one in verdicts.items() if isinstance(one, Skip)), key=lambda each: each[1].permanent
        )
        match skip.reason:
            case SkipReason.DANE_LOOKUP:
                return _later("4.7.5", f"DNS does not tell now which certificate {name} must have (DANE)")
            case SkipReason.NOT_IN_POLICY:
                return _later("4.7.5", f"{name} is not a server of {domain} by its MTA-STS policy")
            case SkipReason.UNPROVEN:
                return _never("5.7.10", f"REQUIRETLS was asked for, and nothing proves that {name} serves {domain}")

    def _usable(self, address: str) -> bool:
        return is_public(address) or (self._ourselves.private_mx and parse_address(address) is not None)


_NO_TERMS: Final = Use(TlsDemand.OPPORTUNISTIC)


def _in_turn(addresses: Iterable[str]) -> Iterator[str]:
    """IPv6, IPv4, IPv6, IPv4 …"""
    listed = list(addresses)
    v6 = [address for address in listed if ":" in address]
    v4 = [address for address in listed if ":" not in address]
    for pair in zip_longest(v6, v4):
        yield from (address for address in pair if address is not None)


def _loopback(address: str) -> bool:
    found = parse_address(address)
    return found is not None and found.is_loopback


def _shown(answer: Answer[Mx] | Answer[str]) -> str:
    match answer:
        case Found():
            records = ", ".join(
                f"{one.preference} {one.exchange or '.'}" if isinstance(one, Mx) else one for one in answer.records[:20]
            )
            return f"{records} (DNSSEC)" if answer.secure else records
        case NoData():
            return "none"
        case NxDomain():
            return "no such name"
        case TempFail():
            return f"not known now ({answer.reason.value}{': ' + answer.detail if answer.detail else ''})"


def _no_resolver() -> Transient:
    return _later("4.3.5", "this server has no name server to ask")


def _later(enhanced: str, text: str) -> Transient:
    return Transient(text, 451, enhanced, local=True)


def _never(enhanced: str, text: str, code: int = 550) -> Permanent:
    return Permanent(text, code, enhanced, local=True)
