"""What is done about other servers' TLS beside sending: counts to the store, policies refreshed, reports written."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, final

from poterne.config.settings import Settings
from poterne.observe import Log
from poterne.queue.domains import LocalDomains
from poterne.queue.security import Security
from poterne.queue.tlsrpt import TlsReports
from poterne.store.errors import StoreError
from poterne.store.interface import Store
from poterne.values.dns import Resolver

FLUSH_S: Final = 10.0
DAILY_S: Final = 3600.0
"""How often it is looked whether a day is over, or a policy a day old."""


@final
class TlsUpkeep:
    """`run` as a task until it is cancelled."""

    def __init__(self, security: Security, reports: TlsReports, log: Log) -> None:
        self._security: Final = security
        self._reports: Final = reports
        self._log: Final = log

    async def run(self) -> None:
        """Store failures are logged and waited out."""
        loop = asyncio.get_running_loop()
        daily_at = loop.time() + FLUSH_S
        try:
            while True:
                await asyncio.sleep(FLUSH_S)
                try:
                    await self._security.tally.flush()
                    if loop.time() >= daily_at:
                        daily_at = loop.time() + DAILY_S
                        await self.daily()
                except StoreError as error:
                    self._log.error("tls.upkeep", problem=str(error))
                except Exception as error:  # noqa: BLE001  (a bug here must not end it)
                    self._log.error("tls.bug", exc_info=error)
        finally:
            with contextlib.suppress(StoreError):
                await self._security.tally.flush()

    async def daily(self) -> None:
        """What is due of it; called more often it does no more. Raises StoreError."""
        await self._security.policies.refresh()
        if sent := await self._reports.send():
            self._log.info("tls.reported", reports=sent)


def of_queue(
    security: Security,
    store: Store,
    resolver: Resolver,
    settings: Settings,
    domains: LocalDomains,
    *,
    clock: Callable[[], float],
    chance: Callable[[], float],
    log: Log,
) -> TlsUpkeep:
    """The upkeep of one queue. `chance` gives numbers in [0, 1)."""
    reports = TlsReports(
        store,
        resolver,
        settings.server.hostname,
        domains,
        clock=clock,
        chance=chance,
        log=log,
        wanted=settings.outbound_tls.reports,
    )
    return TlsUpkeep(security, reports, log)
