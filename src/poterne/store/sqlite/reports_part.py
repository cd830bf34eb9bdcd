"""The engine's methods for reports of others."""

import asyncio
from collections.abc import Sequence

from poterne.store.sqlite import events, report_mail, reports, reports_forgotten
from poterne.store.sqlite.connection import PlainRows
from poterne.store.sqlite.reader import Reader
from poterne.store.sqlite.transaction import Tx
from poterne.store.sqlite.upkeep import UpkeepPart
from poterne.values.dmarc import DmarcReport, SourceDay
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.reports import ReporterSeen, ReportMail, ReportMailId, TlsReport


class ReportsPart(UpkeepPart):
    """Over the upkeep part, for its threads: what is asked of reports may be much."""

    _reader: Reader

    async def report_mail(self, limit: int = 100) -> list[ReportMail]:
        return report_mail.waiting(self._reader, limit)

    async def report_read(
        self,
        mail_id: ReportMailId | None,
        now: int,
        events: Sequence[Event],
        *,
        dmarc: DmarcReport | None = None,
        tls: TlsReport | None = None,
        domain: str = "",
        proven: bool = False,
    ) -> bool:
        found: list[reports.Read] = []
        if dmarc is not None:
            found.append(await asyncio.to_thread(reports.dmarc_read, dmarc))
        if tls is not None:
            found.append(reports.tls_read(tls))
        return await self._writer.submit(_read, mail_id, now, events, found, domain, proven)

    async def source_days(self, domain: str, from_day: int, to_day: int, limit: int = 50_000) -> list[SourceDay]:
        return await self._off_loop(
            lambda connection: reports.source_days(PlainRows(connection), domain, from_day, to_day, limit)
        )

    async def tls_reports(self, domain: str, since: int, limit: int = 1000) -> list[TlsReport]:
        return await self._off_loop(lambda connection: reports.tls_reports(PlainRows(connection), domain, since, limit))

    async def reporters(self, domain: str) -> list[ReporterSeen]:
        return reports.reporters(self._reader, domain)

    async def forget_reports(self, before_day: int) -> int:
        count = 0
        for domain_id in reports_forgotten.domains(self._reader, before_day):
            while (gone := await self._writer.submit(reports_forgotten.older, domain_id, before_day)) is not None:
                count += gone
        while await self._writer.submit(reports_forgotten.results, before_day):
            pass
        return count


def _read(
    tx: Tx,
    mail_id: ReportMailId | None,
    now: int,
    happened: Sequence[Event],
    found: Sequence[reports.Read],
    domain: str,
    proven: bool,  # handed on by position
) -> bool:
    """The mail's end, and what was read of it, if nobody was faster and it was not there already."""
    if mail_id is not None and not report_mail.end(tx, mail_id):
        return False
    trace = happened[0].trace_id if happened else TraceId("")
    new = [reports.keep(tx, domain, read, now, proven=proven, trace=trace) for read in found]
    if found and not any(new):
        return False
    events.record(tx, happened)
    return True
