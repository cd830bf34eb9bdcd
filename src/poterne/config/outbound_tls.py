"""`[outbound_tls]`: how mail to other servers is protected on its way, and what is wrong in these settings."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from poterne.config.fields import made, setting
from poterne.values.address import AddressError, domain_name


@dataclass(frozen=True, slots=True)
class OutboundTls:
    """`[outbound_tls]`: encryption on the way to other servers. Routes have settings of their own."""

    cleartext: str = setting(
        "allowed",
        '"allowed": to servers that offer no encryption, mail goes without. "refused": it goes encrypted or not at all.',
        choices=("allowed", "refused"),
        why="Some servers still speak cleartext only; what DANE and MTA-STS protect is never sent so.",
        risk='With "refused", mail to servers without encryption comes back to its sender.',
    )
    verified: list[str] = made(
        list,
        'Domains to which mail goes only when the server proves who it is: "example.org", or ".example.org" for every domain '
        "below it. DANE, or a certificate for the MX name where DNSSEC or MTA-STS proves that name; else the certificate must "
        "be for the domain itself.",
        risk="Where a domain has none of these, mail for it waits, and comes back in the end.",
    )
    dane: bool = setting(
        True,
        "Follow TLSA records (RFC 7672). It needs a validating name server on this machine, see [dns].",
        risk="Without it whoever forges DNS or breaks the connection can read mail for domains that took care of that.",
    )
    mta_sts: bool = setting(
        True,
        "Fetch and follow MTA-STS policies (RFC 8461).",
        risk="Without it the same holds for domains with a policy.",
    )
    reports: bool = setting(
        True,
        "Once a day, tell domains that ask for it (RFC 8460) how encryption with their servers went: numbers only.",
        why="It is how they learn that somebody attacks them, or that a certificate has expired.",
    )
    ca: str = setting(
        "",
        "PEM file of the authorities that vouch for mail exchangers and policy hosts, instead of those of the system; relative "
        "to this file.",
        risk="For laboratories only: the world's certificates are no longer accepted.",
    )
    policy_port: int = setting(
        443,
        "TCP port of MTA-STS policy hosts.",
        minimum=1,
        maximum=65535,
        risk="All the world's listen on 443. For laboratories only.",
    )


def of_outbound_tls(settings: OutboundTls) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """What is wrong in this table: (key, what, what to do)."""
    for entry in settings.verified:
        try:
            domain_name(entry.removeprefix("."))
        except AddressError as error:
            yield (
                ("outbound_tls", "verified"),
                f'"{entry}" is not a domain ({error})',
                'write for example "example.org"',
            )


class VerifiedDomains:
    """The domains of `verified`."""

    __slots__ = ("_below", "_exact")

    def __init__(self, entries: list[str]) -> None:
        self._exact = frozenset(domain_name(entry) for entry in entries if entry[:1] != ".")
        self._below = tuple("." + domain_name(entry[1:]) for entry in entries if entry[:1] == ".")

    def __contains__(self, domain: str) -> bool:
        return domain in self._exact or domain.endswith(self._below)


def trust_roots(settings: OutboundTls, folder: Path) -> Path | None:
    """The file of `ca`; None: the system's authorities."""
    return folder / settings.ca if settings.ca else None
