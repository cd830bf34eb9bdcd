"""Who may come in and whose mail goes out: what would open a door that nobody meant to open, each with its remedy."""

from collections.abc import Iterable, Iterator

from poterne.config.settings import Listener, Settings
from poterne.values import relay
from poterne.values.networks import IpNetwork, NetworkError, Space, parse_network, space_of

Danger = tuple[tuple[str, ...], str, str]
"""(key, what is wrong, what to do)"""
_PROXY_SPACES = frozenset({Space.PUBLIC, Space.PRIVATE, Space.LOOPBACK})
_INSIDE = frozenset({Space.PRIVATE, Space.LOOPBACK})
_SMTP_PORT = 25


def of_doors(settings: Settings) -> Iterator[Danger]:
    """The lists of each listener, and all relay rules."""
    for name, listener in settings.listener.items():
        key = ("listener", name)
        for field, entries in (("allow", listener.allow), ("deny", listener.deny), ("proxies", listener.proxies)):
            yield from _not_networks((*key, field), entries)
        yield from _too_broad_proxies((*key, "proxies"), listener.proxies)
        if settings.server.role == "mailbox" and listener.service == "mx":
            yield from _of_inside(key, listener)
        if listener.service == "lmtp":
            yield from _of_lmtp(key, listener)
        if settings.server.role == "edge" and listener.service not in {"mx", "submission", "https"}:
            yield (
                (*key, "service"),
                f'role is "edge", and an edge has no mailboxes to read with {listener.service}',
                "take this listener out, or put it into the server behind",
            )
    if settings.server.role == "edge" and not any(route.inbound for route in settings.route.values()):
        yield (
            ("server", "role"),
            'role is "edge", and no [route.NAME] is inbound: there is nobody to take mail for',
            "name the domains and the server behind, with inbound = true",
        )
    yield from _of_relays(settings)


def _not_networks(key: tuple[str, ...], entries: Iterable[str]) -> Iterator[Danger]:
    for entry in entries:
        try:
            parse_network(entry)
        except NetworkError as error:
            yield key, f'"{entry}" {error.what}', error.remedy


def _networks(entries: Iterable[str]) -> Iterator[IpNetwork]:
    for entry in entries:
        try:
            yield parse_network(entry)
        except NetworkError:
            continue  # told by _not_networks


def _too_broad_proxies(key: tuple[str, ...], entries: Iterable[str]) -> Iterator[Danger]:
    """Whoever is in such a network can claim any address, also that of a relay host."""
    for network in _networks(entries):
        space = space_of(network)
        alone = network.max_prefixlen
        narrowest = alone if space is Space.PUBLIC else (24 if network.version == 4 else 64)
        if space not in _PROXY_SPACES or network.prefixlen < narrowest:
            what = f'"{network}" is more than your proxies: whoever is in it could claim to be anybody'
            yield key, what, "name the proxies one by one"


def _of_inside(key: tuple[str, ...], listener: Listener) -> Iterator[Danger]:
    """Role mailbox: SMTP is opened by the servers that are listed."""
    if not listener.allow and not listener.allow_file:
        yield (
            (*key, "allow"),
            'role is "mailbox", and everybody may open SMTP here',
            'name the servers in front of this one, for example allow = ["192.0.2.7"]',
        )
    for network in _networks(listener.allow):
        widest = relay.PUBLIC_V4_BITS if network.version == 4 else relay.PUBLIC_V6_BITS
        if network.prefixlen < widest and space_of(network) is not Space.PRIVATE:
            yield (
                (*key, "allow"),
                f'role is "mailbox", and "{network}" is a whole public or unknown network',
                "name the servers in front of this one",
            )


def _of_lmtp(key: tuple[str, ...], listener: Listener) -> Iterator[Danger]:
    """What comes by LMTP was judged by the server that sends it, so that server must be ours. RFC 2033 §5."""
    if listener.port == _SMTP_PORT:
        yield (*key, "port"), "is SMTP's, and LMTP must not be spoken there (RFC 2033 section 5)", "write port = 24"
    if not listener.allow:
        yield (
            (*key, "allow"),
            "service is lmtp, and everybody may deliver here",
            'name the servers in front of this one, for example allow = ["127.0.0.1"]',
        )
    if listener.allow_file:
        yield (*key, "allow_file"), "service lmtp has a few peers, which are looked at one by one", "name them in allow"
    for network in _networks(listener.allow):
        if space_of(network) not in _INSIDE:
            what = f'"{network}" is public or unknown: LMTP is for servers of one\'s own network (RFC 2033 section 5)'
            yield (*key, "allow"), what, "name servers inside, or let the others use SMTP"


def _of_relays(settings: Settings) -> Iterator[Danger]:
    listeners = settings.listener.values()
    around = relay.Surroundings(
        has_mx=any(listener.service == "mx" for listener in listeners),
        own_addresses=tuple(address for listener in listeners for address in listener.addresses),
        proxies=tuple(proxy for listener in listeners for proxy in listener.proxies),
    )
    earlier: list[tuple[str, list[str]]] = []
    for name, rule in settings.relay.items():
        for fault in relay.faults(rule.hosts, rule.sender_domains, rule.recipient_domains, rule.per_hour):
            yield ("relay", name, fault.key), fault.what, fault.remedy
        for fault in relay.faults_among(rule.hosts, earlier, around):
            yield ("relay", name, fault.key), fault.what, fault.remedy
        earlier.append((name, rule.hosts))
