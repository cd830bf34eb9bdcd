"""Settings of name lookups and of what DNS tells about connecting servers, and what is wrong in them."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from poterne.config.fields import made, setting
from poterne.values.networks import NetworkError, parse_network


@dataclass(frozen=True, slots=True)
class Dns:
    """`[dns]`: whom we ask for names."""

    servers: list[str] = made(
        list,
        'Name servers that resolve for us, for example ["127.0.0.1:53", "[::1]:53"]; without any, those of /etc/resolv.conf.',
        why="A validating resolver on this machine (unbound, knot-resolver) is the best choice: only its DNSSEC answers can be "
        "believed, and blocklists often refuse to answer large public resolvers.",
        risk="Who answers here decides where mail goes.",
    )
    trust_ad: str = setting(
        "loopback",
        'Whose word that an answer is proven by DNSSEC is taken: that of name servers on this machine ("loopback") or nobody\'s '
        '("never"). When there is one on this machine, others are not asked.',
        choices=("loopback", "never"),
        why="Between this machine and another one anybody on the way can claim it.",
        risk="Without it DANE protects no outgoing mail. A name server that forwards without validating must not be believed.",
    )
    timeout_s: int = setting(
        3, "Seconds that one name server has to answer before the next is asked.", minimum=1, maximum=30
    )
    deadline_s: int = setting(
        12, "Seconds after which a lookup ends without an answer, whoever was asked.", minimum=1, maximum=60
    )
    max_in_flight: int = setting(
        400,
        "Queries under way at the same time, per process; four times as many may wait.",
        minimum=10,
        maximum=10_000,
        why="Each takes a socket.",
    )
    cache_mib: int = setting(
        16, "Memory for answers, per process: some 20,000 of them in 16 MiB.", minimum=1, maximum=1024
    )


_ACTIONS: Final = ("note", "slow", "refuse")


@dataclass(frozen=True, slots=True)
class Reputation:
    """`[reputation]`: what DNS tells about servers that connect to service mx. Private addresses are never looked up."""

    dnsbl: list[str] = made(
        list,
        'Blocklists of addresses (RFC 5782), by their zones: ["zen.spamhaus.org"]. A list is believed while its test entries are '
        "right, checked every hour; one that is broken or refuses to answer us is skipped, and the log says so.",
        why="Which list to trust is your choice: each has its own terms of use and its own errors.",
        risk="Whoever runs the list learns which servers write to you.",
    )
    dnsbl_action: str = setting(
        "slow",
        "What happens to listed servers.",
        choices=_ACTIONS,
        why="A list that errs then delays mail instead of losing it.",
        risk='"refuse": an honest server that is listed by mistake can\'t write to you (550).',
    )
    dnsbl_agree: int = setting(
        2,
        'With dnsbl_action = "refuse": lists that must name a server before it is refused. Below that it is slowed.',
        minimum=1,
        maximum=20,
        why="No list decides alone about your mail, unless you say so.",
    )
    reverse_action: str = setting(
        "slow",
        "What happens to servers whose address has no name in DNS that leads back to it.",
        choices=_ACTIONS,
        why="Nearly all honest servers have one; many stolen home computers do not.",
        risk='"refuse": badly kept honest servers can\'t write to you (550).',
    )
    helo_action: str = setting(
        "slow",
        'What happens to servers that introduce themselves with a name that is none ("localhost", a bare address, one word, a '
        'name that is not in DNS). Who claims to be this very server is refused, except with "note".',
        choices=_ACTIONS,
    )
    slow_s: int = setting(
        5,
        "Seconds that each such finding delays the answer to MAIL; all together 20 at most.",
        minimum=1,
        maximum=20,
        why="Mail robots in a hurry give up; honest servers wait minutes.",
    )
    gather_s: int = setting(
        2,
        "Seconds that a server waits at most for these lookups. What is not known by then is not held against it.",
        minimum=0,
        maximum=20,
    )
    exempt: list[str] = made(
        list, "Networks of which nothing is looked up, for example those of partners with a bad neighbourhood."
    )


Danger = tuple[tuple[str, ...], str, str]
"""(key, what is wrong, what to do)."""

_ZONE: Final = re.compile(r"(?=.{4,190}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_ENDED: Final = {
    zone: why
    for why, zones in {
        "has ended": "sorbs.net manitu.net inps.de ahbl.org njabl.org ordb.org dsbl.org rfc-ignorant.org spamcannibal.org",
        "has become part of zen.spamhaus.org": "cbl.abuseat.org",
    }.items()
    for zone in zones.split()
}
"""Lists that no longer answer, or answer that everybody is listed."""


def name_server(entry: str) -> tuple[str, int] | None:
    """Address and port of `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1`, `[2001:db8::1]:53`; None for what is none of these."""
    found = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::([0-9]{1,5}))?|([0-9.]+)(?::([0-9]{1,5}))?|([0-9A-Fa-f:.]+)", entry)
    if found is None:
        return None
    address, port = found[1] or found[3] or found[5], int(found[2] or found[4] or 53)
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return None
    return (address, port) if 0 < port < 65_536 and (version == 6) == (found[3] is None) else None


def of_dns(dns: Dns, reputation: Reputation) -> Iterator[Danger]:
    """What is wrong in these two tables."""
    for entry in dns.servers:
        if name_server(entry) is None:
            yield (
                ("dns", "servers"),
                f'"{entry}" is not an address of a name server',
                'write for example "127.0.0.1:53"',
            )
    if dns.deadline_s < dns.timeout_s:
        yield ("dns", "deadline_s"), "is less than timeout_s", "give a lookup at least the time that one server has"
    for zone in reputation.dnsbl:
        if not _ZONE.match(zone):
            yield (
                ("reputation", "dnsbl"),
                f'"{zone}" is not the zone of a list',
                'write its name in lower case, for example "zen.spamhaus.org"',
            )
        for ended, why in _ENDED.items():
            if zone == ended or zone.endswith("." + ended):
                yield ("reputation", "dnsbl"), f'"{zone}" {why}', "take it out"
    if len(set(reputation.dnsbl)) != len(reputation.dnsbl):
        yield ("reputation", "dnsbl"), "names a list twice", "name each once"
    if reputation.dnsbl and reputation.dnsbl_action == "refuse" and reputation.dnsbl_agree > len(reputation.dnsbl):
        yield (
            ("reputation", "dnsbl_agree"),
            f"{reputation.dnsbl_agree} lists must agree and {len(reputation.dnsbl)} can: nobody would be refused",
            "name more lists in dnsbl, or write dnsbl_agree = 1 if one alone may decide",
        )
    for entry in reputation.exempt:
        try:
            parse_network(entry)
        except NetworkError as error:
            yield ("reputation", "exempt"), f'"{error.entry}" {error.what}', error.remedy
