"""What others report about our domains: summed up for an administrator, with advice; files of reports taken in."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from poterne.admin import zone
from poterne.admin.people import Acting, AdminError, parse_domain
from poterne.config.settings import Settings
from poterne.mailauth.dmarc import record
from poterne.mailauth.dmarc.discover import discover
from poterne.mailauth.dmarc.outcome import Reason
from poterne.mailauth.spf.check import answered
from poterne.observe import Log
from poterne.policy.dmarc_advice import Step, next_step
from poterne.policy.dmarc_sources import Known, Picture, picture
from poterne.queue.domains import LocalDomains
from poterne.queue.report_alarms import ROWS_MOST, ReportAlarms
from poterne.queue.report_process import ReportProcess
from poterne.queue.report_reader import Kept, ReportReader, Source, limits_of
from poterne.queue.report_sources import own_addresses
from poterne.queue.report_upkeep import ReportUpkeep
from poterne.store.interface import Store
from poterne.values.dmarc import PublishedPolicy, SourceDay
from poterne.values.dns import Found, Resolver, TempFail
from poterne.values.networks import NetworkError, NetworkSet
from poterne.values.reports import ReporterSeen, ReportKind, TlsReport

DAYS_MOST: Final = 3650
NAMES_MOST: Final = 300
"""Addresses whose names are asked for, those with most messages."""
AT_ONCE: Final = 20
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class DmarcView:
    """All about one domain and a period."""

    seen: Picture
    before: Picture
    """The period of the same length before it."""
    reporters: tuple[ReporterSeen, ...]
    published: "Published | None"
    step: Step | None
    """None: what is published is not known."""
    cut: bool
    """There are more rows than are read at once; those with most messages are in it."""


async def of_domain(
    store: Store,
    settings: Settings,
    resolver: Resolver,
    domain: str,
    now: int,
    *,
    days: int = 30,
    names: bool = False,
    not_ours: Sequence[str] = (),
) -> DmarcView:
    """Raises AdminError, StoreError."""
    domain = await _ours(store, domain)
    try:
        foreign = NetworkSet(not_ours)
    except NetworkError as error:
        raise AdminError(f'"{error.entry}" {error.what}: {error.remedy}') from None
    today = now // _DAY_S
    since = today - days + 1
    rows = await store.source_days(domain, since - days, today, ROWS_MOST)
    own = await own_addresses(domain, settings.server.hostname, zone.addresses(settings), resolver)
    ptr = await _names(rows, since, resolver) if names else {}
    known = Known(own.__contains__, ptr, foreign.__contains__)
    seen = picture(domain, rows, known, since, today)
    before = picture(domain, rows, known, since - days, since - 1)
    reporters = tuple(one for one in await store.reporters(domain) if one.kind is ReportKind.DMARC)
    published = await _published(domain, resolver)
    step = None
    if published is not None:
        address = f"{settings.reports.dmarc_address or 'postmaster'}@{domain}"
        step = next_step(seen, published.policy, published.text, address, today=today)
    return DmarcView(seen, before, reporters, published, step, len(rows) >= ROWS_MOST)


@dataclass(frozen=True, slots=True)
class TlsView:
    domain: str
    reports: tuple[TlsReport, ...]
    reporters: tuple[ReporterSeen, ...]

    @property
    def succeeded(self) -> int:
        return sum(row.succeeded for one in self.reports for row in one.rows)

    @property
    def failed(self) -> int:
        return sum(row.failed for one in self.reports for row in one.rows)

    def failures(self) -> list[tuple[str, str, int, str]]:
        """(result-type, MX, sessions, who reports), most sessions first."""
        counts: dict[tuple[str, str], tuple[int, set[str]]] = {}
        for one in self.reports:
            for row in one.rows:
                for word, mx, sessions in row.failures:
                    had, whom = counts.get((word, mx), (0, set()))
                    counts[word, mx] = had + sessions, whom | {one.organisation}
        found = [(word, mx, sessions, ", ".join(sorted(whom)[:5])) for (word, mx), (sessions, whom) in counts.items()]
        return sorted(found, key=lambda row: -row[2])


async def of_tls(store: Store, domain: str, now: int, *, days: int = 30) -> TlsView:
    """Raises AdminError, StoreError."""
    domain = await _ours(store, domain)
    reports = await store.tls_reports(domain, now - days * _DAY_S)
    reporters = tuple(one for one in await store.reporters(domain) if one.kind is ReportKind.TLS)
    return TlsView(domain, tuple(reports), reporters)


async def all_reporters(store: Store) -> list[tuple[str, ReporterSeen]]:
    """Of all our domains, with the domain; newest first. Raises StoreError."""
    found = [(one.name, seen) for one in await store.domains() for seen in await store.reporters(one.name)]
    return sorted(found, key=lambda pair: (-pair[1].last_at, pair[0], pair[1].organisation))


class Import:
    """Takes files in, one after the other, each read in a confined process."""

    def __init__(self, store: Store, settings: Settings, acting: Acting, log: Log) -> None:
        clock: Callable[[], float] = lambda: acting.now  # noqa: E731
        self._reader: Final = ReportReader(store, settings.reports, LocalDomains(store, clock), clock=clock, log=log)
        self.most_bytes: Final = limits_of(settings.reports).report_bytes
        self._source: Final = Source(acting.trace_id, proven=True, author=acting.actor)
        self._process: Final = ReportProcess(limits_of(settings.reports), acting.now, whole_mail=False)

    async def take(self, octets: bytes) -> Kept:
        """What became of it. Raises StoreError, OSError."""
        return await self._reader.keep(await self._process.read(octets), self._source)

    async def close(self) -> None:
        await self._process.close()


def upkeep(
    store: Store, settings: Settings, resolver: Resolver, log: Log, clock: Callable[[], float] = time.time
) -> ReportUpkeep:
    """The steward's part: `run` it as a task."""
    domains = LocalDomains(store, clock)
    reader = ReportReader(store, settings.reports, domains, clock=clock, log=log)
    alarms = ReportAlarms(store, settings, zone.addresses(settings), resolver, domains, clock=clock, log=log)
    return ReportUpkeep(store, reader, alarms, settings.reports.keep_days, clock=clock, log=log)


async def _ours(store: Store, text: str) -> str:
    domain = parse_domain(text)
    if domain not in {one.name for one in await store.domains()}:
        raise AdminError(f"{domain} is no domain of this server (poterne domain list)")
    return domain


async def _names(rows: Iterable[SourceDay], since: int, resolver: Resolver) -> dict[str, str]:
    """Names that lead back to the address, of the addresses with most messages: other names anybody can claim."""
    counts: dict[str, int] = {}
    for row in rows:
        if row.day >= since:
            counts[row.source_ip] = counts.get(row.source_ip, 0) + row.count
    asked = sorted(counts, key=lambda ip: -counts[ip])[:NAMES_MOST]
    found: dict[str, str] = {}
    for at in range(0, len(asked), AT_ONCE):
        some = asked[at : at + AT_ONCE]
        names = await asyncio.gather(*(_name(ip, resolver) for ip in some))
        found.update((ip, name) for ip, name in zip(some, names, strict=True) if name)
    return found


async def _name(ip: str, resolver: Resolver) -> str:
    answer = await resolver.ptr(ip)
    for name in answer.records[:3] if isinstance(answer, Found) else ():
        back = await resolver.addresses(name)
        if isinstance(back, Found) and ip in back.records:
            return name
    return ""


@dataclass(frozen=True, slots=True)
class Published:
    """What DNS says of a domain's policy."""

    text: str
    """The domain's own record; "" there is none that counts."""
    problems: tuple[str, ...]
    inherited: str
    """The domain above it whose policy applies instead; ""."""
    policy: PublishedPolicy | None
    """What applies."""


async def _published(domain: str, resolver: Resolver) -> Published | None:
    """None: not known now."""
    found = await answered(discover(domain), resolver)
    answer = await resolver.txt(f"_dmarc.{domain}")
    if found.reason is Reason.DNS or isinstance(answer, TempFail):
        return None
    texts = answer.records if isinstance(answer, Found) else ()
    problems = tuple(one.value for one in record.examine(texts)) if texts else ()
    if found.reason is not None or found.record is None:
        return Published("", problems, "", None)
    policy = found.record.published(found.policy_domain)
    if found.policy_domain != domain:  # p= of the record above is not what it asks of this domain
        return Published("", problems, found.policy_domain, replace(policy, p=found.policy.value))
    return Published(record.select(texts)[0].decode("latin-1"), problems, "", policy)
