"""Reports that came by mail, read and kept. What can't be read, or is about others' domains, leaves an event and goes.

Theory of operation. A report mail waits in the store until one call ends it, with what was read of it and its event in the same
transaction. So a crash between leaves it waiting, and it is read again; whatever came twice, by mail or by a crash, the store
keeps once. Its octets are seen by a confined process only. Nothing that strangers write into a report decides more than what
`poterne report` shows. Who is proven comes first, and authors take turns; what one of them, or all that nobody answers for, may
take of the processor and of the store is bounded (`report_shares`): hostile mail waits, and honest reports are not late.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, final

from poterne.config.reports import Reports as Settings
from poterne.mailauth.reports_in.outcome import FailureReport, Fault, Limits, Reading
from poterne.observe import Log
from poterne.policy.domains import related
from poterne.queue.domains import LocalDomains
from poterne.queue.report_process import ReportProcess
from poterne.queue.report_shares import Shares
from poterne.store.errors import LimitError, NotFoundError, StoreError
from poterne.store.interface import Store
from poterne.values.dmarc import DmarcReport
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.reports import NewReportMail, ReportMail, ReportMailId, TlsReport

AT_ONCE: Final = 100
IDLE_MOST: Final = 10
"""Times that so many wait of whom none may be read now."""
TEXT_MOST: Final = 64
_MIB: Final = 1024 * 1024


def limits_of(settings: Settings) -> Limits:
    return Limits(settings.max_report_mib * _MIB, settings.max_expanded_mib * _MIB, settings.max_rows)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a reading comes from."""

    trace_id: TraceId
    proven: bool
    author: str = ""
    mail_id: ReportMailId | None = None
    domain: str = ""
    """Of the report address."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of the documents of one mail, or file."""

    new: int = 0
    duplicates: int = 0
    failures: int = 0
    refused: tuple[str, ...] = ()
    """Words: of `Fault`, or `not-ours`, `unproven`, `share` (the author's is used up for today)."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A call of `Store.report_read`."""

    event: Event
    dmarc: DmarcReport | None = None
    tls: TlsReport | None = None
    domain: str = ""


@final
class ReportReader:
    """`read` whenever there may be some; `keep` for a reading that did not come by mail."""

    def __init__(
        self, store: Store, settings: Settings, domains: LocalDomains, *, clock: Callable[[], float], log: Log
    ) -> None:
        self._store: Final = store
        self._limits: Final = limits_of(settings)
        self._unproven_too: Final = settings.unproven == "keep"
        self._domains: Final = domains
        self._clock: Final = clock
        self._log: Final = log
        self._shares: Final = Shares(clock)

    async def read(self) -> int:
        """All that waits and may be read now; gives how many mails. Raises StoreError, OSError (no process can be started).

        One that can't be read from the disk keeps none of the others waiting.
        """
        count = idle = 0
        stuck: set[ReportMailId] = set()
        failed: StoreError | None = None
        while waiting := [one for one in await self._store.report_mail(AT_ONCE + len(stuck)) if one.id not in stuck]:
            before = count
            for one in waiting:
                stuck.add(one.id)
                if not self._may_be_read(one.mail):
                    continue
                count += 1
                try:
                    await self._read(one)
                except StoreError as error:
                    failed = error
                except OSError:
                    raise
                except Exception as error:  # noqa: BLE001  (a bug with one mail must not keep the others waiting for ever)
                    self._log.error("report.bug", trace=one.mail.trace_id, exc_info=error)
                else:
                    stuck.discard(one.id)
                if not one.mail.proven and self._unproven_too:
                    break  # who is proven may have come meanwhile
            idle += count == before
            if idle == IDLE_MOST:
                break
        if stuck:
            self._log.info("report.waiting", mails=len(stuck))
        if failed is not None:
            raise failed
        return count

    def _may_be_read(self, mail: NewReportMail) -> bool:
        return not (mail.proven or self._unproven_too) or self._shares.may_read(_author(mail))

    async def _read(self, one: ReportMail) -> None:
        mail = one.mail
        source = Source(mail.trace_id, mail.proven, mail.author, one.id, mail.domain)
        if not (mail.proven or self._unproven_too):
            event = self._event("report.ignored", source, "unproven", kind=mail.kind.value)
            await self._store.report_read(one.id, int(self._clock()), [event])
            return
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            reading = await self._reading(mail)
        finally:
            self._shares.read(_author(mail), loop.time() - began)
        kept = await self.keep(reading, source)
        self._log.info(
            "report.mail", trace=mail.trace_id, new=kept.new, duplicates=kept.duplicates, failures=kept.failures,
            refused=" ".join(kept.refused),
        )  # fmt: skip

    async def _reading(self, mail: NewReportMail) -> Reading:
        if mail.blob.size > self._limits.report_bytes:
            return Reading(faults=(Fault.TOO_LARGE,))
        try:
            octets = b"".join([chunk async for chunk in self._store.blobs.stream(mail.blob)])
        except NotFoundError:
            return Reading(faults=(Fault.NOTHING,))
        process = ReportProcess(self._limits, int(self._clock()))
        try:
            return await process.read(octets)
        finally:
            await process.close()

    async def keep(self, reading: Reading, source: Source) -> Kept:
        """What is about domains of ours. The mail, if it was one, waits no more. Raises StoreError."""
        names = await self._domains.names()
        refused = [fault.value for fault in reading.faults]
        entries: list[_Entry] = []
        for report in reading.dmarc:
            about = report.policy.domain
            if ours(about, names):
                entries.append(_Entry(self._of_dmarc(report, source), dmarc=report, domain=about))
            else:
                refused.append("not-ours")
        for tls in reading.tls:
            found = self._of_tls(tls, source, names)
            entries += found
            if not found:
                refused.append("not-ours")
        failures = [one for one in reading.failures if ours(one.reported_domain, names)]
        refused += ["not-ours"] * (len(reading.failures) - len(failures))
        return await self._applied(entries, failures, refused, source)

    async def _applied(
        self, entries: list[_Entry], failures: list[FailureReport], refused: list[str], source: Source
    ) -> Kept:
        """The call that ends the mail comes last: until then it waits."""
        now = int(self._clock())
        new = duplicates = 0
        events = [self._of_failure(one, source) for one in failures]
        events += [self._event("report.unreadable", source, word) for word in dict.fromkeys(refused)]
        for entry in entries:
            answered = _answered_for(source, entry)
            author = source.author if answered else ""
            if source.mail_id is not None and not self._shares.may_keep(author):
                refused.append("share")
                events.append(self._event("report.unreadable", source, "share", domain=entry.domain))
                self._log.warning("report.share", trace=source.trace_id, author=author, domain=entry.domain)
                continue
            try:
                fresh = await self._store.report_read(
                    None, now, [entry.event], dmarc=entry.dmarc, tls=entry.tls, domain=entry.domain,
                    proven=answered,
                )  # fmt: skip
            except LimitError:
                refused.append(Fault.RESOURCES.value)
                events.append(self._event("report.unreadable", source, Fault.RESOURCES.value))
                continue
            if source.mail_id is not None and fresh:
                self._shares.kept(author, 0 if entry.dmarc is None else len(entry.dmarc.rows))
            new += fresh
            duplicates += not fresh
        if source.mail_id is not None or events:
            await self._store.report_read(source.mail_id, now, events)
        return Kept(new, duplicates, len(failures), tuple(refused))

    def _event(self, kind: str, source: Source, reason: str = "", /, **detail: str | int | bool | None) -> Event:
        detail.update({"proven": source.proven, "author": source.author[:TEXT_MOST]})
        if source.domain:
            detail.setdefault("domain", source.domain)
        return Event(int(self._clock()), kind, source.trace_id, reason=reason, detail=detail)

    def _of_dmarc(self, report: DmarcReport, source: Source) -> Event:
        return self._event(
            "report.read",
            source,
            kind="dmarc",
            domain=report.policy.domain,
            reporter=report.organisation[:TEXT_MOST],
            rows=len(report.rows),
            messages=sum(row.count for row in report.rows),
            failed=sum(row.count for row in report.rows if not row.passes),
            warnings=len(report.warnings),
        )

    def _of_tls(self, report: TlsReport, source: Source, names: frozenset[str]) -> list[_Entry]:
        """One entry for each domain of ours that it is about."""
        about = {row.policy_domain or source.domain for row in report.rows} & names
        entries = []
        for domain in sorted(about):
            rows = tuple(row for row in report.rows if (row.policy_domain or source.domain) == domain)
            event = self._event(
                "report.read",
                source,
                kind="tls",
                domain=domain,
                reporter=report.organisation[:TEXT_MOST],
                rows=len(rows),
                succeeded=sum(row.succeeded for row in rows),
                failed=sum(row.failed for row in rows),
                warnings=len(report.warnings),
            )
            entries.append(_Entry(event, tls=replace(report, rows=rows), domain=domain))
        return entries

    def _of_failure(self, one: FailureReport, source: Source) -> Event:
        event = self._event(
            "report.failure",
            source,
            one.feedback_type[:TEXT_MOST],
            domain=one.reported_domain,
            auth_failure=one.auth_failure[:TEXT_MOST],
            arrived_at=one.arrived_at,
            incidents=one.incidents,
        )
        return replace(event, peer=one.source_ip)


def _author(mail: NewReportMail) -> str:
    """Who answers for it."""
    return mail.author if mail.proven else ""


def _answered_for(source: Source, entry: _Entry) -> bool:
    """Whoever sent it is proven, and is who it says reports: anybody can prove a domain of their own."""
    said = entry.dmarc.email if entry.dmarc is not None else entry.tls.contact if entry.tls is not None else ""
    return source.proven and (not source.author or related(source.author, said.rpartition("@")[2].strip("<> ").lower()))


def ours(name: str, names: Iterable[str]) -> bool:
    """It is one of these domains, or below one."""
    known = names if isinstance(names, frozenset) else frozenset(names)
    while name:
        if name in known:
            return True
        name = name.partition(".")[2]
    return False
