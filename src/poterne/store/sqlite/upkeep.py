"""What the steward and the command line do to the store: in threads of their own, with connections of their own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol, TypeVar

import apsw

from poterne.store.blobs.segments import SegmentBlobs
from poterne.store.errors import StoreError, UnavailableError
from poterne.store.interface import Finding
from poterne.store.sqlite.connection import unavailable
from poterne.store.sqlite.transaction import Tx
from poterne.store.writer import GroupWriter

T = TypeVar("T")

Progress = Callable[[int, int], None]

_WAL_LARGE_PAGES: Final = 16_384


class Connect(Protocol):
    def __call__(self, *, busy_ms: int, read_only: bool = False) -> apsw.Connection: ...


class UpkeepPart:
    blobs: SegmentBlobs
    _writer: GroupWriter[Tx]

    def _start_upkeep(self, folder: Path, connect: Connect, clock: Callable[[], float], grace_s: int) -> None:
        self._folder = folder
        self._connect = connect
        self._clock = clock
        self._grace_s = grace_s
        self._upkeep_pool: ThreadPoolExecutor | None = None

    def _end_upkeep(self) -> None:
        if self._upkeep_pool is not None:
            self._upkeep_pool.shutdown(wait=True)
            self._upkeep_pool = None

    async def check(self, progress: Progress | None = None) -> list[Finding]:
        raise UnavailableError("not yet")

    async def backup(self, folder: str, progress: Progress | None = None) -> None:
        raise UnavailableError("not yet")

    async def compact(self) -> int:
        return 0

    async def checkpoint(self) -> None:
        """Bring the write-ahead log into the database; cut the log's file when it has grown large."""
        await self._off_loop(self._checkpoint)

    def _checkpoint(self) -> None:
        connection = self._connect(busy_ms=100)
        try:
            _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()[0]
            if isinstance(pages, int) and pages > _WAL_LARGE_PAGES:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.close(force=True)

    async def _off_loop(self, work: Callable[[], T]) -> T:
        """Run in the upkeep threads; errors by meaning."""
        if self._upkeep_pool is None:
            self._upkeep_pool = ThreadPoolExecutor(2, "store-upkeep")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._upkeep_pool, work)
        except StoreError:
            raise
        except (apsw.Error, OSError) as error:
            raise unavailable(error) from error
