"""What the steward and the command line do to the store: in threads of their own, with connections of their own."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol, TypeVar

import apsw

from poterne.store.blobs.compact import CompactionLimits, compact
from poterne.store.blobs.segments import SegmentBlobs
from poterne.store.errors import StoreError, UnavailableError
from poterne.store.interface import Finding
from poterne.store.sqlite import incidents, purge, reports_forgotten, usage
from poterne.store.sqlite.backup import backup
from poterne.store.sqlite.check import check
from poterne.store.sqlite.connection import PlainRows, unavailable
from poterne.store.sqlite.lock import FileLock
from poterne.store.sqlite.transaction import Tx
from poterne.store.writer import GroupWriter
from poterne.values.ids import AccountId, BlobId

T = TypeVar("T")

Progress = Callable[[int, int], None]

_WAL_LARGE_PAGES: Final = 16_384
_PURGE_S: Final = 5.0


class Connect(Protocol):
    def __call__(self, *, busy_ms: int, read_only: bool = False) -> apsw.Connection: ...


class UpkeepPart:
    blobs: SegmentBlobs
    _writer: GroupWriter[Tx]

    def _start_upkeep(
        self, connect: Connect, lock: FileLock, clock: Callable[[], float], grace_s: int, segment_bytes: int
    ) -> None:
        self._connect = connect
        self._upkeep_lock = lock
        self._clock = clock
        self._compaction = CompactionLimits(grace_s=grace_s, segment_bytes=segment_bytes)
        self._upkeep_pool: ThreadPoolExecutor | None = None
        self._upkeep_ended = False

    def _end_upkeep(self) -> None:
        self._upkeep_ended = True
        if self._upkeep_pool is not None:
            self._upkeep_pool.shutdown(wait=True)
            self._upkeep_pool = None
        self._upkeep_lock.close()

    async def check(self, progress: Progress | None = None) -> list[Finding]:
        """See `interface.Upkeep`; `progress` is called in another thread."""
        return await self._off_loop(lambda connection: check(connection, self.blobs.folder, progress))

    async def backup(self, folder: str, progress: Progress | None = None) -> None:
        """See `interface.Upkeep`. ConflictError if the folder has something else in it."""
        now = int(self._clock())
        await self._off_loop(lambda connection: backup(connection, self.blobs.folder, Path(folder), now, progress))

    async def compact(self) -> int:
        """Take away what was freed before the grace time, rows first, then segments; gives the bytes freed."""
        now = int(self._clock())
        until = time.monotonic() + _PURGE_S
        touched: set[AccountId] = set()
        while time.monotonic() < until and await self._writer.submit(purge.removed_account):
            pass
        while time.monotonic() < until and await self._writer.submit(reports_forgotten.removed):
            pass
        while time.monotonic() < until:
            accounts = await self._writer.submit(purge.freed_contents, now - self._compaction.grace_s)
            if accounts is None:
                break
            touched |= accounts
        for account_id in touched:
            await self._forget_threads(account_id)
        for account_id, mailbox_id in await self._off_loop(lambda connection: purge.long_logs(PlainRows(connection))):
            await self._writer.submit(purge.flag_changes, account_id, mailbox_id)
        await self._tidy_queue(now)
        loop = asyncio.get_running_loop()
        return await self._off_loop(lambda connection: self._compact_blobs(connection, loop, now))

    async def checkpoint(self) -> None:
        """Bring the write-ahead log into the database; cut the log's file when it has grown large."""
        await self._off_loop(self._checkpoint)

    async def _forget_threads(self, account_id: AccountId) -> None:
        threads = await self._off_loop(lambda connection: purge.dead_threads(PlainRows(connection), account_id))
        if threads:
            await self._writer.submit(purge.thread_references, account_id, threads)

    async def _tidy_queue(self, now: int) -> None:
        """Finish closing incidents where that was interrupted; forget usage and repeats that no longer count."""
        for incident_id, state in await self._off_loop(lambda connection: incidents.unfinished(PlainRows(connection))):
            while await self._writer.submit(incidents.step, incident_id, state):
                pass
        while await self._writer.submit(usage.prune_repeats, now, purge.STEP_ROWS):
            pass
        origins = await self._off_loop(lambda connection: usage.old_usage(PlainRows(connection), now))
        for at in range(0, len(origins), purge.STEP_ROWS):
            await self._writer.submit(usage.prune_usage, origins[at : at + purge.STEP_ROWS], now)

    def _compact_blobs(self, connection: apsw.Connection, loop: asyncio.AbstractEventLoop, now: int) -> int:
        rows = PlainRows(connection)
        self.blobs.recover()  # of workers that died while others lived on

        async def submit(pairs: list[tuple[BlobId, BlobId]]) -> None:
            await self._writer.submit(purge.relink, pairs)

        def relink(pairs: Sequence[tuple[BlobId, BlobId]]) -> None:
            asyncio.run_coroutine_threadsafe(submit(list(pairs)), loop).result()

        done = compact(
            self.blobs.folder,
            lambda segment: purge.live_blobs(rows, segment),
            relink,
            now=now,
            limits=self._compaction,
        )
        for segment in done.removed:
            self.blobs.forget(segment)
        return done.freed_bytes

    def _checkpoint(self, connection: apsw.Connection) -> None:
        _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()[0]
        # Cutting the file needs a moment without writers: only when nobody writes just now.
        if isinstance(pages, int) and pages > _WAL_LARGE_PAGES and self._upkeep_lock.acquire(wait=False):
            try:
                connection.set_busy_timeout(100)
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                self._upkeep_lock.release()

    async def _off_loop(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run in the upkeep threads with a connection for it alone; errors by meaning."""
        if self._upkeep_ended:
            raise UnavailableError("the store is closed")
        if self._upkeep_pool is None:
            self._upkeep_pool = ThreadPoolExecutor(2, "store-upkeep")

        def run() -> T:
            connection = self._connect(busy_ms=5_000)
            try:
                return work(connection)
            finally:
                connection.close(force=True)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._upkeep_pool, run)
        except StoreError:
            raise
        except (apsw.Error, OSError) as error:
            raise unavailable(error) from error
