"""Where mail in a domain's name comes from, as reports about it say: added up, grouped, and what each source probably is. Pure.

Theory of operation. Rows of reports are grouped by the service they show, else by network (/24, /48). What a row is:

- *ours*: from an address that we send from.
- *service*: a signature that is correct, a return path that SPF allows, or the server's name is that of a known service.
- *forwarder*: the reporter says so, or our signature is correct and SPF fails, as it must when somebody passes mail on.
- *unknown*: it passes without being any of these; or it fails and may be an honest sender that somebody forgot: its name is
  ours, it signs with a selector that is right elsewhere, or it writes day after day to several that report.
- *abuse*: it fails, and nothing ties it to the domain.

One network, or service, may stand there as several sources, of different kinds. Nothing here proves who a source is: it is advice
to a person. Reports are written by strangers, so that numbers of one reporter alone are never "several".
"""

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from poterne.policy.mail_services import service_of
from poterne.values.dmarc import SourceDay

STEADY_DAYS: Final = 3
"""Failing mail of a network on so many days, of which more than one reporter tells, is no passing wave of spam."""
FORWARDED: Final = frozenset({"forwarded", "mailing_list", "trusted_forwarder"})
EXAMPLES_MOST: Final = 5


class Kind(Enum):
    OURS = "ours"
    SERVICE = "service"
    FORWARDER = "forwarder"
    UNKNOWN = "unknown"
    ABUSE = "abuse"


LEGITIMATE: Final = frozenset({Kind.OURS, Kind.SERVICE, Kind.UNKNOWN})
"""Whose mail must pass before a policy gets stricter. Forwarders can't be mended by the domain's owner."""


@dataclass(slots=True)
class Volume:
    """Messages, and how many of them did what."""

    messages: int = 0
    passed: int = 0
    dkim: int = 0
    """With an aligned signature."""
    spf: int = 0
    quarantined: int = 0
    rejected: int = 0

    def add(self, row: SourceDay) -> None:
        count = row.count
        self.messages += count
        dkim, spf = row.dkim == "pass", row.spf == "pass"
        self.passed += count if dkim or spf else 0
        self.dkim += count if dkim else 0
        self.spf += count if spf else 0
        self.quarantined += count if row.disposition == "quarantine" else 0
        self.rejected += count if row.disposition == "reject" else 0

    @property
    def failed(self) -> int:
        return self.messages - self.passed

    def share(self, part: int) -> float:
        """In percent; 100 of nothing."""
        return 100.0 * part / self.messages if self.messages else 100.0


@dataclass(slots=True)
class Source:
    """A service or a network."""

    name: str
    """Of the service, or the network."""
    kind: Kind
    volume: Volume
    addresses: set[str]
    host_names: set[str]
    first_day: int
    last_day: int
    days: set[int]
    reporters: set[str]
    dkim_domains: Counter[str]
    """d= of correct signatures."""
    spf_domains: Counter[str]
    """Of return paths that SPF allows."""
    authors: Counter[str]
    overrides: Counter[str]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a domain's senders. `ours`: do we send from there? `names`: PTR names, as far as they were asked."""

    ours: Callable[[str], bool] = field(default=lambda _: False)
    names: Mapping[str, str] = field(default_factory=dict)
    not_ours: Callable[[str], bool] = field(default=lambda _: False)
    """The administrator says that these have nothing to do with the domain."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What reports said in a period. `from_day` and `to_day` are in it."""

    domain: str
    from_day: int
    to_day: int
    total: Volume
    sources: tuple[Source, ...]
    """Most messages first."""
    days: Mapping[int, Volume]
    """All mail."""
    legitimate_days: Mapping[int, Volume]
    """Without forwarders and abuse."""
    authors: Mapping[str, Volume]
    overrides: Mapping[str, int]

    def of(self, *kinds: Kind) -> Volume:
        """The sum of such sources."""
        found = Volume()
        for source in self.sources:
            if source.kind in kinds:
                one = source.volume
                found.messages += one.messages
                found.passed += one.passed
                found.dkim += one.dkim
                found.spf += one.spf
                found.quarantined += one.quarantined
                found.rejected += one.rejected
        return found


def network_of(ip: str) -> str:
    """The /24 or /48 of an address."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))


def below(name: str, domain: str) -> bool:
    """The domain itself, or one below it."""
    return name == domain or name.endswith("." + domain)


def picture(domain: str, rows: Sequence[SourceDay], known: Known, from_day: int, to_day: int) -> Picture:
    """All rows of the period, grouped."""
    wanted = [row for row in rows if from_day <= row.day <= to_day]
    networks: dict[str, str] = {ip: network_of(ip) for ip in {row.source_ip for row in wanted}}
    steady = _steady(wanted, networks)
    signers = {
        (one.domain, one.selector)
        for row in wanted
        if row.dkim == "pass"
        for one in row.dkim_results
        if one.result == "pass"
    }
    sources: dict[tuple[str, Kind], Source] = {}
    judged: list[Source] = []
    for row in wanted:
        related = steady.get(networks[row.source_ip], False) or any(
            (one.domain, one.selector) in signers and below(one.domain, domain) for one in row.dkim_results
        )
        kind, service = _judged(domain, row, known, related)
        key = "our servers" if kind is Kind.OURS else service or networks[row.source_ip]
        source = sources.get((key, kind))
        if source is None:
            source = sources[key, kind] = _new(key, kind, row)
        _add(source, row, known)
        judged.append(source)
    ordered = tuple(sorted(sources.values(), key=lambda one: (-one.volume.messages, one.name, one.kind.value)))
    return _summed(domain, wanted, judged, ordered, from_day, to_day)


def _summed(
    domain: str,
    rows: Iterable[SourceDay],
    judged: Iterable[Source],
    sources: tuple[Source, ...],
    from_day: int,
    to_day: int,
) -> Picture:
    """`judged`: the source of each row."""
    total = Volume()
    days: dict[int, Volume] = {}
    legitimate: dict[int, Volume] = {}
    authors: dict[str, Volume] = {}
    overrides: Counter[str] = Counter()
    for row, source in zip(rows, judged, strict=True):
        total.add(row)
        days.setdefault(row.day, Volume()).add(row)
        authors.setdefault(row.header_from, Volume()).add(row)
        if source.kind in LEGITIMATE:
            legitimate.setdefault(row.day, Volume()).add(row)
        for one in row.overrides:
            overrides[one.type or "other"] += row.count
    return Picture(domain, from_day, to_day, total, sources, days, legitimate, authors, overrides)


def _steady(rows: Iterable[SourceDay], networks: Mapping[str, str]) -> dict[str, bool]:
    """Networks with failing mail on STEADY_DAYS days, of which more than one reporter tells."""
    days: dict[str, set[int]] = {}
    reporters: dict[str, set[str]] = {}
    for row in rows:
        if "pass" not in {row.dkim, row.spf}:
            network = networks[row.source_ip]
            days.setdefault(network, set()).add(row.day)
            reporters.setdefault(network, set()).add(row.reporter)
    return {one: len(days[one]) >= STEADY_DAYS and len(reporters[one]) > 1 for one in days}


def _judged(domain: str, row: SourceDay, known: Known, related: bool) -> tuple[Kind, str]:
    """What the row is, and of which service. `related`: something but its name ties it to the domain, even if it fails."""
    if known.ours(row.source_ip):
        return Kind.OURS, ""
    if known.not_ours(row.source_ip):
        return Kind.ABUSE, ""
    shown = _authenticated_services(row)
    service = _service(domain, row, known, shown)
    if any(one.type in FORWARDED or "arc=pass" in one.comment.lower().replace(" ", "") for one in row.overrides):
        return Kind.FORWARDER, service
    if row.dkim == "pass":
        if row.spf == "pass" or service in shown:
            return (Kind.SERVICE if service else Kind.UNKNOWN), service
        spf_passes = any(one.result == "pass" for one in row.spf_results)
        return (Kind.UNKNOWN if spf_passes and not service else Kind.FORWARDER), service
    if row.spf == "pass":
        return (Kind.SERVICE if service else Kind.UNKNOWN), service
    if shown:
        return Kind.SERVICE, service
    named = below(known.names.get(row.source_ip, ""), domain)
    return (Kind.UNKNOWN if related or named else Kind.ABUSE), ""


def _authenticated_services(row: SourceDay) -> set[str]:
    """Services that this mail surely went through: their signature is correct, or SPF allows them for a return path of theirs."""
    domains = [one.domain for one in row.dkim_results if one.result == "pass"]
    domains += [one.domain for one in row.spf_results if one.result == "pass"]
    return {service for service in map(service_of, domains) if service}


def _service(domain: str, row: SourceDay, known: Known, shown: set[str]) -> str:
    name = known.names.get(row.source_ip, "")
    found = service_of(name) if name and not below(name, domain) else ""
    return found or min(shown, default="")


def _new(name: str, kind: Kind, row: SourceDay) -> Source:
    return Source(
        name, kind, Volume(), set(), set(), row.day, row.day, set(), set(), Counter(), Counter(), Counter(), Counter()
    )  # fmt: skip


def _add(source: Source, row: SourceDay, known: Known) -> None:
    source.volume.add(row)
    source.addresses.add(row.source_ip)
    if name := known.names.get(row.source_ip):
        source.host_names.add(name)
    source.first_day, source.last_day = min(source.first_day, row.day), max(source.last_day, row.day)
    source.days.add(row.day)
    source.reporters.add(row.reporter)
    source.authors[row.header_from] += row.count
    for signature in row.dkim_results:
        if signature.result == "pass":
            source.dkim_domains[signature.domain] += row.count
    for path in row.spf_results:
        if path.result == "pass":
            source.spf_domains[path.domain] += row.count
    for one in row.overrides:
        source.overrides[one.type or "other"] += row.count
