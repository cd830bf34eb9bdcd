"""The embedded engine put together: `open_store` is where everybody starts."""

import functools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw

from poterne.store.blobs.files import REAL
from poterne.store.blobs.segments import BlobLimits, SegmentBlobs
from poterne.store.errors import UnavailableError
from poterne.store.sqlite.annotations import AnnotationsPart
from poterne.store.sqlite.boot import boot_number, note
from poterne.store.sqlite.connection import BUSY_MS, DATABASE_NAME, connect, require_sound_sqlite, unavailable
from poterne.store.sqlite.dkim_keys import DkimPart
from poterne.store.sqlite.dmarc_results import DmarcPart
from poterne.store.sqlite.imports_part import ImportsPart
from poterne.store.sqlite.layout import BLOB_FOLDER, INSTANCE_LOCK, WRITERS_LOCK
from poterne.store.sqlite.lock import FileLock
from poterne.store.sqlite.migrate import migrate
from poterne.store.sqlite.parts import DirectoryPart, EventsPart, MailboxesPart, MessagesPart
from poterne.store.sqlite.pauses import PausesPart
from poterne.store.sqlite.quarantine import QuarantinePart
from poterne.store.sqlite.queue_part import QueuePart
from poterne.store.sqlite.quota import QuotaPart
from poterne.store.sqlite.reader import Reader
from poterne.store.sqlite.reports_part import ReportsPart
from poterne.store.sqlite.retention import RetentionPart
from poterne.store.sqlite.routing import Routes
from poterne.store.sqlite.search_part import SearchPart
from poterne.store.sqlite.sharing_part import SharingPart
from poterne.store.sqlite.tls_part import TlsPart
from poterne.store.sqlite.transaction import Limits, SqliteTransactions
from poterne.store.sqlite.uid_cache import UidCache
from poterne.store.sqlite.watched import WatchedPart
from poterne.store.writer import GroupWriter

_DAY_S: Final = 86_400
_READER_CACHE_KIB: Final = 2_048
"""Small on purpose: each commit empties it, which costs time for every page in it, and the system has the pages anyway."""


class SqliteStore(
    DirectoryPart,
    MailboxesPart,
    AnnotationsPart,
    MessagesPart,
    QueuePart,
    PausesPart,
    TlsPart,
    DkimPart,
    QuarantinePart,
    DmarcPart,
    ReportsPart,
    WatchedPart,
    SearchPart,
    EventsPart,
    QuotaPart,
    SharingPart,
    RetentionPart,
    ImportsPart,
):
    """`interface.Store` on one folder. Several processes may have it open; one event loop at a time uses an object."""

    def __init__(
        self,
        folder: Path,
        instance: FileLock,
        blobs: SegmentBlobs,
        *,
        clock: Callable[[], float],
        limits: Limits,
        wait_limit_s: float,
        grace_s: int,
        cache_kib: int,
        vfs: str | None,
    ) -> None:
        self.blobs = blobs
        self._instance = instance
        open_one = functools.partial(connect, folder, cache_kib=cache_kib, vfs=vfs)
        lock = FileLock(folder / WRITERS_LOCK)
        transactions = SqliteTransactions(functools.partial(open_one, busy_ms=BUSY_MS), lock, blobs, clock, limits)
        self._writer = GroupWriter(transactions, wait_limit_s=wait_limit_s)
        self._writer.others_committed()  # `poll` counts from now
        self._reader = Reader(functools.partial(open_one, busy_ms=250, read_only=True, cache_kib=_READER_CACHE_KIB))
        self._reader.version()  # opened now: SQLite recovers, or empties the log, only when the last connection closes
        self._routes = Routes(self._reader)
        self._start_queue()
        self._uids = UidCache(self._reader, limit_bytes=16 * 1024 * 1024)
        self._start_search(folder, clock)
        self._start_upkeep(open_one, FileLock(folder / WRITERS_LOCK), clock, grace_s, blobs.limits.segment_bytes)

    async def close(self) -> None:
        """Finish what was handed over and let go of all files. Safe to call twice."""
        await self._writer.close()
        self._reader.close()
        self._end_search()
        self._end_upkeep()
        try:
            self.blobs.close()
        finally:
            self._instance.close()


def open_store(
    folder: Path | str,
    *,
    clock: Callable[[], float] = time.time,
    limits: Limits | None = None,
    segment_bytes: int = 268_435_456,
    grace_s: int = _DAY_S,
    wait_limit_s: float = 30.0,
    cache_kib: int = 8_192,
    vfs: str | None = None,
    blobs: SegmentBlobs | None = None,
    boot: int | None = None,
) -> SqliteStore:
    """The store in this folder, made or brought to this version's schema first. Needs no event loop yet.

    `grace_s`: how long `compact` leaves removed messages alone. `wait_limit_s`: how long an operation may wait for the
    writers' lock. `cache_kib` is the writer's page cache. `vfs`, `blobs` and `boot` stand in for the disk in tests.
    Raises UnavailableError, with what to do, when it cannot be used.
    """
    require_sound_sqlite()
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise unavailable(error) from error
    instance = FileLock(path / INSTANCE_LOCK)
    if not instance.acquire(shared=True, wait=False):
        instance.close()
        raise UnavailableError(f"{path}: a restore is running there; wait until it has finished")
    try:
        _bring_up_to_date(path, int(clock()), vfs, wait_limit_s, boot)
        blobs = blobs or SegmentBlobs(
            str(path / BLOB_FOLDER), limits=BlobLimits(segment_bytes=segment_bytes), clock=clock
        )
        for made in (path, path.parent):  # their names: what is synced below is of no use without them
            REAL.sync_folder(str(made))
        blobs.recover()
        return SqliteStore(
            path,
            instance,
            blobs,
            clock=clock,
            limits=limits or Limits(),
            wait_limit_s=wait_limit_s,
            grace_s=grace_s,
            cache_kib=cache_kib,
            vfs=vfs,
        )
    except OSError as error:
        instance.close()
        raise unavailable(error) from error
    except BaseException:
        instance.close()
        raise


def _bring_up_to_date(path: Path, now: int, vfs: str | None, wait_limit_s: float, boot: int | None) -> None:
    lock = FileLock(path / WRITERS_LOCK)
    try:
        _acquire(lock, wait_limit_s)
        # SQLite gives its log files the mode of the database; by itself it would make that readable to all.
        os.close(os.open(path / DATABASE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = connect(path, busy_ms=BUSY_MS, cache_kib=2_048, vfs=vfs)
        try:
            migrate(connection, now)
            note(connection, boot_number() if boot is None else boot)
        finally:
            connection.close(force=True)
    except UnavailableError as error:
        raise UnavailableError(f"{path / DATABASE_NAME}: {error}") from error
    except (apsw.Error, OSError) as error:
        raise UnavailableError(f"{path / DATABASE_NAME}: {unavailable(error)}") from error
    finally:
        lock.release()
        lock.close()


def _acquire(lock: FileLock, wait_limit_s: float) -> None:
    until = time.monotonic() + wait_limit_s
    while not lock.acquire(wait=False):
        if time.monotonic() > until:
            raise UnavailableError(f"another process held {WRITERS_LOCK} for {wait_limit_s:g} s; is it stopped?")
        time.sleep(0.01)
