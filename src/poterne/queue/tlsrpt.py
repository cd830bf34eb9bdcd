"""The daily reports about TLS (RFC 8460): who wants one gets it by mail, once.

A day's numbers leave the store in the transaction that queues the report, so that none is sent twice. Domains that want
reports over HTTPS only get none: nothing here posts to web servers that strangers name. Numbers that nobody wants go, and
those of days long past.

Who gets a report is written by strangers, too, and RFC 8460 has no way to ask that somebody whether it is wanted. So one address
gets a bounded number a day, whichever domains name it, and of ours only addresses that anybody may write to.
"""

from collections.abc import Callable
from typing import Final, final

from poterne.mailauth.tlsrpt.record import PREFIX, addresses, mailboxes
from poterne.mailauth.tlsrpt.report import DAY_S, Report, as_message
from poterne.observe import Log
from poterne.queue.content import letter_of_ours
from poterne.queue.domains import LocalDomains
from poterne.queue.report_recipients import ReportRecipients
from poterne.queue.security import REPORTS
from poterne.store.interface import Store
from poterne.values.address import Address
from poterne.values.dns import Found, Resolver, TempFail
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.queue import NewQueued, NewRecipient

KEPT_DAYS: Final = 3
"""Where DNS does not say for so long who wants a report, nobody gets it."""
MOST_A_DAY: Final = 100
"""Reports to one address: whoever hosts more domains that we write to on one day misses some."""
_AT_ONCE: Final = 500
FIRST_DELAY_S: Final = 3600
DELAY_S: Final = 4 * 3600
"""After midnight UTC, so that not all the world writes at once (RFC 8460 §4.1): one to four hours."""


@final
class TlsReports:
    """`chance` gives a number in [0, 1). `wanted` False: numbers are dropped, nobody is told."""

    def __init__(
        self,
        store: Store,
        resolver: Resolver,
        hostname: str,
        domains: LocalDomains,
        *,
        clock: Callable[[], float],
        chance: Callable[[], float],
        log: Log,
        wanted: bool = True,
    ) -> None:
        self._store: Final = store
        self._resolver: Final = resolver
        self._hostname: Final = hostname
        self._domains: Final = domains
        self._clock: Final = clock
        self._log: Final = log
        self._wanted: Final = wanted
        self._allowed: Final = ReportRecipients(store, MOST_A_DAY)
        self._delay_s: Final = FIRST_DELAY_S + int(chance() * (DELAY_S - FIRST_DELAY_S))

    async def send(self) -> int:
        """Queue what is due; gives how many reports. Call it as often as you like. Raises StoreError."""
        now = int(self._clock())
        today = (now - self._delay_s) // DAY_S
        put_off: set[tuple[int, str]] = set()
        sent = 0
        while True:
            found = await self._store.tls_to_report(today, _AT_ONCE + len(put_off))
            due = [one for one in found if one not in put_off]
            for day, domain in due:
                recipients = await self._recipients(domain, old=today - day > KEPT_DAYS)
                if recipients is None:
                    put_off.add((day, domain))
                else:
                    sent += await self._report(day, domain, recipients, now)
            if not due:
                return sent

    async def _recipients(self, domain: str, *, old: bool) -> tuple[Address, ...] | None:
        """Who wants a report; None: not known now."""
        if not self._wanted:
            return ()
        answer = await self._resolver.txt(PREFIX + domain)
        if isinstance(answer, TempFail):
            return () if old else None
        uris = addresses(answer.records) if isinstance(answer, Found) else None
        return mailboxes(uris or ())

    async def _report(self, day: int, domain: str, recipients: tuple[Address, ...], now: int) -> bool:
        recipients = tuple([one for one in recipients if await self._allowed.may_have(one, now // DAY_S)])
        if not recipients:
            await self._store.tls_reported(day, domain)
            return False
        counts = await self._store.tls_counts(day, domain)
        submitter = await self._domains.first() or self._hostname
        report = Report(submitter, f"postmaster@{submitter}", domain, day, tuple(counts), f"{now:x}")
        letter = as_message(report, [str(one) for one in recipients], now)
        blob, start = await letter_of_ours(self._store.blobs, letter)
        trace = TraceId(f"tlsrpt-{day}-{domain}"[:64])
        queued = NewQueued(
            origin=REPORTS,
            trace_id=trace,
            reverse_path="",
            blob=blob,
            recipients=tuple(NewRecipient(str(one), one.domain, notify="NEVER") for one in recipients),
            due_at=now,
            start=start,
        )
        detail: dict[str, str | int | bool | None] = {"domain": domain, "day": day, "recipients": len(recipients)}
        return await self._store.tls_reported(day, domain, [queued], [Event(now, "tls.reported", trace, detail=detail)])
