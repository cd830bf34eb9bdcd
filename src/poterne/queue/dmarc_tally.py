"""What DMARC said of messages, counted in memory and brought to the store now and then: a transaction for each would be one for
each message. What a crash takes is some seconds of statistics.
"""

import asyncio
import contextlib
from dataclasses import replace
from typing import Final, final

from poterne.observe import Log
from poterne.store.errors import StoreError
from poterne.store.interface_authors import DmarcResults
from poterne.values.dmarc import DmarcCount, DmarcRow, PublishedPolicy

FLUSH_S: Final = 10.0
ROWS_MOST: Final = 20_000
"""Different rows in memory, 1 to 2 KiB each; beyond, only those that are there are counted on, and others by network."""
NETWORKS_MOST: Final = 4_000
EARLY: Final = 2_000
"""So many are brought at once."""
AT_ONCE: Final = 500
"""Rows in one transaction: others write too."""
_TEXT_MOST: Final = 255
_OVERRIDES_MOST: Final = 4
_DKIM_MOST: Final = 8

Key = tuple[int, PublishedPolicy, DmarcRow]


@final
class DmarcTally:
    """`count` never waits; `flush` raises StoreError, and keeps what the store did not take. `run` as a task until cancelled."""

    def __init__(self, store: DmarcResults, log: Log) -> None:
        self._store: Final = store
        self._log: Final = log
        self._rows: dict[Key, int] = {}
        self._full: Final = asyncio.Event()
        self.dropped = 0
        """Messages that were too many to be counted."""

    def count(self, day: int, policy: PublishedPolicy, row: DmarcRow) -> None:
        """`row.count` messages more of that UTC day (days since 1970)."""
        key = day, policy, _bounded(row)
        had = self._rows.get(key)
        if had is None:
            if len(self._rows) >= ROWS_MOST:
                key = day, policy, replace(row.coarse(policy.domain, 24, 48), count=0)
                if key not in self._rows and len(self._rows) >= ROWS_MOST + NETWORKS_MOST:
                    self.dropped += row.count
                    return
            if len(self._rows) >= EARLY:
                self._full.set()
            had = self._rows.get(key, 0)
        self._rows[key] = had + row.count

    async def flush(self) -> None:
        """Bring it to the store."""
        taken, self._rows = self._rows, {}
        self._full.clear()
        keys = list(taken)
        at = 0
        try:
            while at < len(keys):
                some = keys[at : at + AT_ONCE]
                counts = [
                    DmarcCount(day, policy, replace(row, count=taken[day, policy, row])) for day, policy, row in some
                ]
                await self._store.count_dmarc(counts)
                at += AT_ONCE
        except BaseException:
            for key in keys[at:]:
                self._rows[key] = self._rows.get(key, 0) + taken[key]
            raise

    async def run(self) -> None:
        """Flush again and again, and a last time at the end. Store failures are logged and waited out."""
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(FLUSH_S):
                        await self._full.wait()
                try:
                    await self.flush()
                except StoreError as error:
                    self._log.error("dmarc.tally", problem=str(error))
                    await asyncio.sleep(FLUSH_S)
                except Exception as error:  # noqa: BLE001  (a bug here must not end it)
                    self._log.error("dmarc.bug", exc_info=error)
                    await asyncio.sleep(FLUSH_S)
                if self.dropped:
                    self._log.warning("dmarc.uncounted", messages=self.dropped)
                    self.dropped = 0
        finally:
            with contextlib.suppress(StoreError):
                await self.flush()


def _bounded(row: DmarcRow) -> DmarcRow:
    """The same without its count. Checked texts are short already; nothing here may grow with what a stranger writes."""
    return DmarcRow(
        row.source_ip,
        0,
        row.disposition,
        row.dkim,
        row.spf,
        row.header_from[:_TEXT_MOST],
        row.envelope_from[:_TEXT_MOST],
        row.envelope_to[:_TEXT_MOST],
        row.dkim_results[:_DKIM_MOST],
        row.spf_results,
        row.overrides[:_OVERRIDES_MOST],
    )
