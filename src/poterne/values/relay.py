"""A rule that lets a listed host relay. A rule that would open the relay is no `RelayRule`: making one raises.

What makes relays open in practice is not the intention to open one. It is a network that holds more than its author thinks:
a provider's customers, a container's gateway, a proxy on this machine that every stranger comes through (NAT hides who they
are). So a rule is for few, named hosts of our own, with the sender domains they write for and a rate. `faults` judges one
rule, `faults_among` what rules and listeners mean together; both say why and what to do instead.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from poterne.values.address import AddressError, domain_name
from poterne.values.networks import IpNetwork, NetworkError, NetworkSet, Space, parse_network, space_of

PUBLIC_V4_BITS: Final = 24
PUBLIC_V6_BITS: Final = 56
PRIVATE_V6_BITS: Final = 64
MAX_V4_ADDRESSES: Final = 256
"""In one rule, private and public together."""
MAX_V6_NETWORKS: Final = 512
"""/64 in one rule."""
MAX_PER_HOUR: Final = 100_000
_CONTAINERS: Final = ipaddress.IPv4Network("172.16.0.0/12")


class RuleFault(Enum):
    """Why something can't be a relay rule; the value is the stable word."""

    NO_HOSTS = "no-hosts"
    NOT_A_NETWORK = "not-a-network"
    EVERYBODY = "everybody"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link-local"
    SHARED = "shared"
    TRANSLATED = "translated"
    SPECIAL = "special"
    PUBLIC_NETWORK = "public-network"
    PRIVATE_NETWORK = "private-network"
    GATEWAY = "gateway"
    TOO_MANY_HOSTS = "too-many-hosts"
    NO_SENDER_DOMAINS = "no-sender-domains"
    WILDCARD_DOMAIN = "wildcard-domain"
    WHOLE_ADDRESS = "whole-address"
    NOT_A_DOMAIN = "not-a-domain"
    TOP_LEVEL_DOMAIN = "top-level-domain"
    NO_RATE = "no-rate"
    RATE_TOO_HIGH = "rate-too-high"
    PROXY = "proxy"
    OWN_ADDRESS = "own-address"
    NO_LISTENER = "no-listener"
    OVERLAPPING = "overlapping"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a rule. `key` is the setting it is in."""

    why: RuleFault
    key: str
    what: str
    remedy: str


class RelayRuleError(ValueError):
    """What was asked for would open the relay, or says nothing."""

    def __init__(self, found: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault.key}: {fault.what}: {fault.remedy}" for fault in found))
        self.faults = tuple(found)


@dataclass(frozen=True, slots=True)
class RelayRule:
    """`hosts` may send mail from `sender_domains` to anywhere, or to `recipient_domains` only, `per_hour` recipients an hour.

    Raises RelayRuleError for a rule that `faults` finds something wrong with.
    """

    name: str
    hosts: tuple[str, ...]
    sender_domains: frozenset[str]
    per_hour: int
    recipient_domains: frozenset[str] = frozenset()
    """Empty: anywhere."""
    networks: NetworkSet = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found = list(faults(self.hosts, sorted(self.sender_domains), sorted(self.recipient_domains), self.per_hour))
        if found:
            raise RelayRuleError(found)
        object.__setattr__(self, "networks", NetworkSet(self.hosts))
        object.__setattr__(self, "sender_domains", frozenset(map(domain_name, self.sender_domains)))
        object.__setattr__(self, "recipient_domains", frozenset(map(domain_name, self.recipient_domains)))


def faults(
    hosts: Sequence[str], sender_domains: Sequence[str], recipient_domains: Sequence[str], per_hour: int
) -> Iterator[Fault]:
    """All that is wrong with one rule; nothing for one that is safe as far as the rule alone tells."""
    if not hosts:
        yield Fault(RuleFault.NO_HOSTS, "hosts", "is empty", 'name the servers, for example hosts = ["192.0.2.7"]')
    networks: list[IpNetwork] = []
    for entry in hosts:
        try:
            networks.append(parse_network(entry))
        except NetworkError as error:
            yield Fault(RuleFault.NOT_A_NETWORK, "hosts", f'"{entry}" {error.what}', error.remedy)
    broad = [fault for network in networks if (fault := _of_network(network)) is not None]
    yield from broad or _of_all(networks)
    yield from _of_domains("sender_domains", sender_domains)
    yield from _of_domains("recipient_domains", recipient_domains)
    if not sender_domains:
        yield Fault(
            RuleFault.NO_SENDER_DOMAINS,
            "sender_domains",
            "is empty",
            'name the domains that these hosts write for, for example sender_domains = ["example.org"]',
        )
    if per_hour < 1:
        yield Fault(RuleFault.NO_RATE, "per_hour", "is missing", "write how many recipients an hour are usual, doubled")
    elif per_hour > MAX_PER_HOUR:
        yield Fault(
            RuleFault.RATE_TOO_HIGH, "per_hour", f"{per_hour} limits nothing", f"write at most {MAX_PER_HOUR}, or split the rule"
        )  # fmt: skip


_ONE_BY_ONE: Final = "name your servers one by one"
_BY_SPACE: Final = {
    Space.EVERYTHING: (RuleFault.EVERYBODY, "is every address there is", _ONE_BY_ONE),
    Space.SPECIAL: (RuleFault.SPECIAL, "holds addresses that no host has", _ONE_BY_ONE),
    Space.LOOPBACK: (
        RuleFault.LOOPBACK,
        "is this machine: whoever comes through a proxy, a tunnel or a container's port seems to come from there",
        "let programs of this machine sign in on a submission port",
    ),
    Space.LINK_LOCAL: (
        RuleFault.LINK_LOCAL,
        "is whatever is plugged into the same link",
        "name the servers by their routed addresses",
    ),
    Space.SHARED: (
        RuleFault.SHARED,
        "is shared by customers of a provider (RFC 6598), strangers to you",
        "let such hosts sign in on a submission port",
    ),
    Space.TRANSLATED: (
        RuleFault.TRANSLATED,
        "is a way from IPv6 to IPv4 or back: any stranger may stand behind it",
        "name the servers by their own addresses",
    ),
}


def _of_network(network: IpNetwork) -> Fault | None:
    space = space_of(network)
    if 0 < network.prefixlen < (8 if network.version == 4 else 16):
        space = Space.PUBLIC  # it overlaps other kinds too, and that is not what is wrong with it
    if space in _BY_SPACE:
        why, what, remedy = _BY_SPACE[space]
        return Fault(why, "hosts", f'"{network}" {what}', remedy)
    v4 = isinstance(network, ipaddress.IPv4Network)
    if space is Space.PUBLIC:
        widest = PUBLIC_V4_BITS if v4 else PUBLIC_V6_BITS
        if network.prefixlen < widest:
            what = f'"{network}" is a public network broader than /{widest}: strangers are in it'
            return Fault(RuleFault.PUBLIC_NETWORK, "hosts", what, _ONE_BY_ONE)
        return None
    if (v4 and network.num_addresses > MAX_V4_ADDRESSES) or (not v4 and network.prefixlen < PRIVATE_V6_BITS):
        what = f'"{network}" is a whole private network: any infected machine in it could send as you'
        return Fault(RuleFault.PRIVATE_NETWORK, "hosts", what, _ONE_BY_ONE)
    if isinstance(network, ipaddress.IPv4Network) and (gateway := _container_gateway(network)) is not None:
        return Fault(
            RuleFault.GATEWAY,
            "hosts",
            f'"{network}" holds {gateway}, the usual gateway of a container network: strangers seem to come from there',
            "name the servers one by one, without it; give containers the client's address (host network, or PROXY)",
        )
    return None


def _container_gateway(network: ipaddress.IPv4Network) -> ipaddress.IPv4Address | None:
    """x.y.0.1 in 172.16.0.0/12, which container engines hand out by /16."""
    first = ipaddress.IPv4Address((int(network.network_address) & 0xFFFF0000) + 1)
    return first if first in network and first in _CONTAINERS else None


def _of_all(networks: Sequence[IpNetwork]) -> Iterator[Fault]:
    """What neighbours, each narrow enough, amount to."""
    merged = list(NetworkSet(map(str, networks)).merged())
    for network in merged:
        fault = _of_network(network)
        if fault is not None:
            yield Fault(fault.why, "hosts", f"together: {fault.what}", fault.remedy)
            return
    v4 = sum(network.num_addresses for network in merged if network.version == 4)
    v6 = sum(max(1, network.num_addresses >> 64) for network in merged if network.version == 6)
    if v4 > MAX_V4_ADDRESSES or v6 > MAX_V6_NETWORKS:
        what = f"holds {v4} IPv4 addresses and {v6} IPv6 /64" if v6 else f"holds {v4} addresses"
        limit = f"{MAX_V4_ADDRESSES} addresses and {MAX_V6_NETWORKS} /64 are the most"
        yield Fault(RuleFault.TOO_MANY_HOSTS, "hosts", what, f"name servers, not networks: {limit}")


def _of_domains(key: str, domains: Iterable[str]) -> Iterator[Fault]:
    free = "leave the list out to allow any recipient" if key == "recipient_domains" else "name each domain"
    for domain in domains:
        if not domain or "*" in domain or domain[:1] == ".":
            yield Fault(RuleFault.WILDCARD_DOMAIN, key, f'"{domain}" stands for any domain', free)
        elif "@" in domain:
            yield Fault(RuleFault.WHOLE_ADDRESS, key, f'"{domain}" is not a domain', "write what stands behind the @")
        elif "." not in domain.strip("."):
            yield Fault(RuleFault.TOP_LEVEL_DOMAIN, key, f'"{domain}" is not one organisation\'s domain', free)
        else:
            try:
                domain_name(domain)
            except AddressError as error:
                what = f'"{domain}" is not a domain ({error})'
                yield Fault(RuleFault.NOT_A_DOMAIN, key, what, 'write for example "example.org"')


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else the settings say that a relay rule must fit. Entries that are no networks are passed over."""

    has_mx: bool
    own_addresses: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()


def faults_among(
    hosts: Sequence[str], earlier: Iterable[tuple[str, Sequence[str]]], around: Surroundings
) -> Iterator[Fault]:
    """What is wrong with a rule's hosts because of listeners, and of the rules before it (name and hosts)."""
    mine = _networks(hosts)
    if not around.has_mx:
        yield Fault(RuleFault.NO_LISTENER, "hosts", "no listener has service mx", "add one, or take the rule out")
    for network in _overlapping(mine, _networks(around.proxies)):
        what = f'"{network}" is or holds a proxy of a listener: every stranger comes through it'
        yield Fault(RuleFault.PROXY, "hosts", what, "name the servers behind the proxy, not the proxy")
    for network in _overlapping(mine, _networks(around.own_addresses)):
        what = f'"{network}" is or holds an address of this server: NAT shows strangers under it'
        yield Fault(RuleFault.OWN_ADDRESS, "hosts", what, "let programs of this machine sign in on a submission port")
    for name, others in earlier:
        for network in _overlapping(mine, _networks(others)):
            what = f'"{network}" has a rule already, [relay.{name}]'
            yield Fault(RuleFault.OVERLAPPING, "hosts", what, "write one rule for each host")


def _networks(entries: Iterable[str]) -> list[IpNetwork]:
    found = []
    for entry in entries:
        try:
            found.append(parse_network(entry))
        except NetworkError:
            continue  # told where it is written
    return found


def _overlapping(mine: Iterable[IpNetwork], others: Sequence[IpNetwork]) -> Iterator[IpNetwork]:
    for network in mine:
        if any(network.version == other.version and network.overlaps(other) for other in others):
            yield network
