"""The daily reports about DMARC (RFC 9990): whose record asks for one gets it by mail, once.

A day's numbers leave the store in the transaction that queues the report, so that none is sent twice. The record is looked up
again before: who asked yesterday need not ask today. A mailbox elsewhere gets one only when its own domain says so (RFC 9990 §4).
One report per domain with a record, with the policy that was seen last. Numbers that nobody wants go, and those of long ago.

Who gets a report is still written by strangers. So one address gets a bounded number a day, whichever domains name it, and of
ours only addresses that anybody may write to. Bounces of reports go nowhere: the reverse-path is null, and nobody is told.
"""

import asyncio
import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import blake2b
from typing import Final, final

from poterne.config.reports import Reports
from poterne.config.settings import Settings
from poterne.mailauth.dmarc import record
from poterne.mailauth.dmarc.external import Consent, consents
from poterne.mailauth.dmarcreport.write import DAY_S, Form, Report, as_message, as_xml
from poterne.mailauth.spf.check import answered
from poterne.observe import Log
from poterne.queue.content import letter_of_ours
from poterne.queue.domains import LocalDomains
from poterne.queue.report_recipients import ReportRecipients
from poterne.store.errors import StoreError
from poterne.store.interface import Store
from poterne.values.address import Address
from poterne.values.dmarc import DmarcCount, DmarcRow
from poterne.values.dns import Found, Resolver, TempFail
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import NewQueued, NewRecipient

DMARC_REPORTS: Final = Origin(OriginKind.SYSTEM, "dmarc")
KEPT_DAYS: Final = 3
"""Where DNS does not say for so long who wants a report, nobody gets it."""
MOST_A_DAY: Final = 1_000
"""Reports to one address. Those who read reports for others have thousands of domains; each of them asks."""
RECIPIENTS_MOST: Final = 5
"""Of one report."""
ROWS_MOST: Final = 10_000
"""Of one report, those with the most messages first: some 7 MB of XML, a tenth of that when compressed."""
PACKED_MOST: Final = 5 * 1024 * 1024
"""Octets of a compressed report. What is larger can't be had by mail everywhere: then half of the rows go, until it fits."""
FIRST_DELAY_S: Final = 3600
DELAY_S: Final = 4 * 3600
"""After midnight UTC, so that not all the world writes at once: one to four hours."""
START_S: Final = 60.0
AGAIN_S: Final = 3600.0
"""How often it is looked whether a day is over."""
_AT_ONCE: Final = 100
_ASKED_AT_ONCE: Final = 10
"""Domains: those whose name servers are slow hold up few others."""
_NAME: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


@final
class DmarcReports:
    """`run` as a task until it is cancelled, in one process of the instance. `chance` gives a number in [0, 1)."""

    def __init__(
        self,
        store: Store,
        resolver: Resolver,
        hostname: str,
        settings: Reports,
        domains: LocalDomains,
        *,
        clock: Callable[[], float],
        chance: Callable[[], float],
        log: Log,
    ) -> None:
        self._store: Final = store
        self._resolver: Final = resolver
        self._hostname: Final = hostname
        self._settings: Final = settings
        self._domains: Final = domains
        self._clock: Final = clock
        self._log: Final = log
        self._allowed: Final = ReportRecipients(store, MOST_A_DAY)
        self._delay_s: Final = FIRST_DELAY_S + int(chance() * (DELAY_S - FIRST_DELAY_S))

    async def run(self) -> None:
        """Failures are logged and waited out."""
        await asyncio.sleep(START_S)
        while True:
            try:
                if sent := await self.send():
                    self._log.info("dmarc.reported", reports=sent)
            except StoreError as error:
                self._log.error("dmarc.reports", problem=str(error))
            except Exception as error:  # noqa: BLE001  (a bug here must not end it)
                self._log.error("dmarc.bug", exc_info=error)
            await asyncio.sleep(AGAIN_S)

    async def send(self) -> int:
        """Queue what is due; gives how many reports. Call it as often as you like. Raises StoreError."""
        now = int(self._clock())
        today = (now - self._delay_s) // DAY_S
        put_off: set[tuple[int, str]] = set()
        sent = 0
        while True:
            found = await self._store.dmarc_to_report(today, _AT_ONCE + len(put_off))
            due = [one for one in found if one not in put_off]
            for at in range(0, len(due), _ASKED_AT_ONCE):
                some = due[at : at + _ASKED_AT_ONCE]
                asked = [self._recipients(domain, old=today - day > KEPT_DAYS) for day, domain in some]
                for (day, domain), recipients in zip(some, await asyncio.gather(*asked), strict=True):
                    if recipients is None:
                        put_off.add((day, domain))
                    else:
                        sent += await self._report(day, domain, recipients, now)
            if not due:
                return sent

    async def _recipients(self, domain: str, *, old: bool) -> tuple[Address, ...] | None:
        """Who wants a report; None: not known now."""
        if not self._settings.send or _NAME.fullmatch(domain) is None:
            return ()
        answer = await self._resolver.txt(f"_dmarc.{domain}")
        if isinstance(answer, TempFail):
            return () if old else None
        texts = record.select(answer.records) if isinstance(answer, Found) else []
        said = record.read(texts[0]) if len(texts) == 1 else None
        if said is None or not said.rua:
            return ()
        destinations = await answered(consents(domain, said.rua), self._resolver)
        if not old and any(one.consent is Consent.UNKNOWN for one in destinations):
            return None
        uris = [uri for one in destinations if one.consent.sends for uri in one.to]
        found = {address.key: address for address in map(record.mailbox, uris) if address is not None}
        return tuple(found.values())[:RECIPIENTS_MOST]

    async def _report(self, day: int, domain: str, recipients: tuple[Address, ...], now: int) -> bool:
        recipients = tuple([one for one in recipients if await self._allowed.may_have(one, now // DAY_S)])
        counts = await self._store.dmarc_counts(day, domain) if recipients else []
        if not counts:
            await self._store.dmarc_reported(day, domain)
            return False
        submitter = await self._domains.first() or self._hostname
        report, packed = await self._packed(self._made(counts, submitter, now))
        author = f"{self._settings.dmarc_address or 'postmaster'}@{submitter}"
        letter = as_message(report, author, [str(one) for one in recipients], packed, now)
        blob, start = await letter_of_ours(self._store.blobs, letter)
        trace = TraceId(f"dmarc-{day}-{domain}"[:64])
        queued = NewQueued(
            origin=DMARC_REPORTS,
            trace_id=trace,
            reverse_path="",
            blob=blob,
            recipients=tuple(NewRecipient(str(one), one.domain, notify="NEVER") for one in recipients),
            due_at=now,
            start=start,
        )
        detail: dict[str, str | int | bool | None] = {
            "domain": domain, "day": day, "recipients": len(recipients), "rows": len(report.rows), "report": report.id,
        }  # fmt: skip
        return await self._store.dmarc_reported(
            day, domain, [queued], [Event(now, "dmarc.reported", trace, detail=detail)]
        )

    def _made(self, counts: list[DmarcCount], submitter: str, now: int) -> Report:
        """With the policy that was seen last; rows that differ by an earlier one only are one."""
        last = counts[-1]
        rows = merged(one.row for one in counts)
        error = "" if len(rows) <= ROWS_MOST else f"{len(rows) - ROWS_MOST} more rows are left out"
        unique = blake2b(f"{submitter} {last.policy.domain} {last.day} {now}".encode(), digest_size=12).hexdigest()
        return Report(
            submitter=submitter,
            organisation=self._settings.organisation or submitter,
            email=f"postmaster@{submitter}",
            contact=self._settings.contact,
            day=last.day,
            policy=last.policy,
            rows=rows[:ROWS_MOST],
            id=unique,
            form=Form(self._settings.format),
            error=error,
        )

    @staticmethod
    async def _packed(report: Report) -> tuple[Report, bytes]:
        """The XML, compressed, and the report that it holds. Others have their turn between the pieces."""
        while True:
            packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
            parts: list[bytes] = []
            for piece in as_xml(report):
                parts.append(packer.compress(piece))
                await asyncio.sleep(0)
            parts.append(packer.flush())
            packed = b"".join(parts)
            if len(packed) <= PACKED_MOST or len(report.rows) <= 1:
                return report, packed
            report = replace(report, rows=report.rows[: len(report.rows) // 2], error="rows are left out: too many")


def of_settings(
    store: Store,
    resolver: Resolver,
    settings: Settings,
    *,
    clock: Callable[[], float],
    chance: Callable[[], float],
    log: Log,
) -> DmarcReports:
    """The reports of one instance."""
    domains = LocalDomains(store, clock)
    return DmarcReports(
        store, resolver, settings.server.hostname, settings.reports, domains, clock=clock, chance=chance, log=log
    )


def merged(rows: Iterable[DmarcRow]) -> tuple[DmarcRow, ...]:
    """Rows that are alike as one, those with the most messages first."""
    counts: dict[DmarcRow, int] = {}
    for row in rows:
        key = replace(row, count=0)
        counts[key] = counts.get(key, 0) + row.count
    return tuple(
        replace(row, count=count) for row, count in sorted(counts.items(), key=lambda one: one[1], reverse=True)
    )
