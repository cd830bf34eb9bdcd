"""The engine's methods for what is known of other servers' TLS."""

from collections.abc import Sequence

from poterne.store.sqlite import tls_policies
from poterne.store.sqlite.reader import Reader
from poterne.store.sqlite.transaction import Tx
from poterne.store.writer import GroupWriter
from poterne.values.event import Event
from poterne.values.queue import NewQueued
from poterne.values.tls import KeptPolicy, TlsCount


class TlsPart:
    _writer: GroupWriter[Tx]
    _reader: Reader

    async def tls_policy(self, domain: str) -> KeptPolicy | None:
        return tls_policies.policy(self._reader, domain)

    async def tls_policies_to_refresh(self, checked_before: int, now: int, limit: int = 100) -> list[KeptPolicy]:
        return tls_policies.policies_to_refresh(self._reader, checked_before, now, limit)

    async def keep_tls_policy(self, kept: KeptPolicy) -> None:
        await self._writer.submit(tls_policies.keep_policy, kept)

    async def count_tls(self, counts: Sequence[TlsCount]) -> None:
        await self._writer.submit(tls_policies.count, counts)

    async def tls_to_report(self, before_day: int, limit: int = 1000) -> list[tuple[int, str]]:
        return tls_policies.days_to_report(self._reader, before_day, limit)

    async def tls_counts(self, day: int, domain: str) -> list[TlsCount]:
        with self._reader.snapshot():
            return tls_policies.counts(self._reader, day, domain)

    async def tls_reported(
        self, day: int, domain: str, reports: Sequence[NewQueued] = (), events: Sequence[Event] = ()
    ) -> bool:
        return await self._writer.submit(tls_policies.reported, day, domain, reports, events)
