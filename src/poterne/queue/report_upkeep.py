"""What is done about reports of others, again and again: those that came are read, alarms are raised, old ones go."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, final

from poterne.observe import Log
from poterne.queue.report_alarms import ReportAlarms
from poterne.queue.report_reader import ReportReader
from poterne.store.errors import StoreError
from poterne.store.interface import Store

READ_S: Final = 30.0
DAILY_S: Final = 4 * 3600.0
"""Alarms are told once, however often one looks."""
_DAY_S: Final = 86_400


@final
class ReportUpkeep:
    """`run` as a task until it is cancelled."""

    def __init__(
        self,
        store: Store,
        reader: ReportReader,
        alarms: ReportAlarms,
        keep_days: int,
        *,
        clock: Callable[[], float],
        log: Log,
    ) -> None:
        self._store: Final = store
        self._reader: Final = reader
        self._alarms: Final = alarms
        self._keep_days: Final = keep_days
        self._clock: Final = clock
        self._log: Final = log

    async def run(self) -> None:
        """Failures are logged and waited out."""
        loop = asyncio.get_running_loop()
        daily_at = loop.time() + READ_S
        while True:
            await asyncio.sleep(READ_S)
            await self._attempt(self._reader.read)
            if loop.time() >= daily_at:
                daily_at = loop.time() + DAILY_S
                await self._attempt(self.daily)

    async def daily(self) -> None:
        """Raises StoreError."""
        await self._alarms.look()
        if gone := await self._store.forget_reports(int(self._clock()) // _DAY_S - self._keep_days):
            self._log.info("report.forgotten", reports=gone)

    async def _attempt(self, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except (StoreError, OSError) as error:
            self._log.error("report.upkeep", problem=str(error))
        except Exception as error:  # noqa: BLE001  (a bug here must not end it)
            self._log.error("report.bug", exc_info=error)
