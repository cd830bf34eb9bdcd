"""Alarms from others' reports: decided once a day, each told once, as an event and by mail to the domain's postmaster."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, final

from poterne.config.settings import Settings
from poterne.message.compose import Mailbox, message_id
from poterne.message.report_notice import KINDS, Item, ReportNotice, render
from poterne.observe import Log
from poterne.policy import dmarc_alarms
from poterne.policy.dmarc_alarms import Raised
from poterne.policy.dmarc_sources import Known
from poterne.queue.bounce import SYSTEM
from poterne.queue.content import letter_of_ours
from poterne.queue.domains import LocalDomains
from poterne.queue.report_sources import own_addresses
from poterne.store.interface import Store
from poterne.values.dns import NxDomain, Resolver
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.queue import NewQueued, NewRecipient

TOLD_MOST: Final = 10_000
"""Alarms of the past that are remembered."""
ROWS_MOST: Final = 50_000
_DAY_S: Final = 86_400


@final
class ReportAlarms:
    """`addresses`: ours, as the settings have them."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        addresses: Sequence[str],
        resolver: Resolver,
        domains: LocalDomains,
        *,
        clock: Callable[[], float],
        log: Log,
    ) -> None:
        self._store: Final = store
        self._settings: Final = settings
        self._addresses: Final = tuple(addresses)
        self._resolver: Final = resolver
        self._domains: Final = domains
        self._clock: Final = clock
        self._log: Final = log

    async def look(self) -> int:
        """At all domains of ours; gives how many alarms are new. Raises StoreError."""
        names = await self._domains.names()
        told = {
            (one.detail.get("domain"), one.detail.get("key"))
            for one in await self._store.events(kind="report.alarm", limit=TOLD_MOST)
        }
        count = 0
        for domain in sorted(names):
            found = [one for one in await self._raised(domain, names) if (domain, one.key) not in told]
            if found:
                await self._tell(domain, found)
                count += len(found)
        return count

    async def _raised(self, domain: str, names: frozenset[str]) -> list[Raised]:
        reporters = await self._store.reporters(domain)
        if not reporters:
            return []
        now = int(self._clock())
        today = now // _DAY_S
        since = today - dmarc_alarms.BASELINE_DAYS - dmarc_alarms.NEW_DAYS
        rows = await self._store.source_days(domain, since, today, ROWS_MOST)
        own = await own_addresses(domain, self._settings.server.hostname, self._addresses, self._resolver)
        # A second of work at the most: mail is sent meanwhile.
        known = Known(ours=own.__contains__)
        found = await asyncio.to_thread(dmarc_alarms.raised, domain, rows, reporters, known, now)
        for name, messages in dmarc_alarms.suspects(domain, rows, names, now):
            if isinstance(await self._resolver.addresses(name), NxDomain):
                found.append(dmarc_alarms.invented(name, messages))
        return found

    async def _tell(self, domain: str, found: Sequence[Raised]) -> None:
        """The mail and the events in one transaction: neither comes twice, nor gets lost."""
        now = int(self._clock())
        trace = TraceId(f"reports-{now // _DAY_S}-{domain}"[:64])
        events = [
            Event(
                now,
                "report.alarm",
                trace,
                reason=one.alarm.value,
                detail={
                    "domain": domain,
                    "key": one.key,
                    "name": one.name,
                    "messages": one.messages,
                    "failed": one.failed,
                    "percent": one.percent,
                    "before": one.before,
                },
            )
            for one in found
        ]
        for one in found:
            self._log.warning(
                "report.alarm", alarm=one.alarm.value, domain=domain, name=one.name, messages=one.messages
            )
        items = [
            Item(one.alarm.value, one.name, one.messages, one.failed, one.percent, one.before)
            for one in found
            if one.alarm.value in KINDS
        ]
        letters = [await self._letter(domain, items, trace, now)] if items and self._settings.reports.alarms else []
        await self._store.deliver([], letters, events)

    async def _letter(self, domain: str, items: Sequence[Item], trace: TraceId, now: int) -> NewQueued:
        hostname = self._settings.server.hostname
        to = f"postmaster@{domain}"
        letter = render(
            ReportNotice(
                hostname=hostname,
                domain=domain,
                sender=Mailbox(to),
                to=Mailbox(to),
                language=self._settings.server.language,
                message_id=message_id(f"{trace}.{now}", hostname),
                unix_s=now,
                items=items,
            )
        )
        blob, start = await letter_of_ours(self._store.blobs, letter)
        return NewQueued(
            origin=SYSTEM,
            trace_id=trace,
            reverse_path="",
            blob=blob,
            recipients=(NewRecipient(to, domain, notify="NEVER"),),
            due_at=now,
            start=start,
        )
