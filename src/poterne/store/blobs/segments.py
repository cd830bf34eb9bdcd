"""`SegmentBlobs`: the blobs of one process, all parts put together."""

import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, final
from weakref import WeakSet

from poterne.store.blobs.append import SegmentWriter
from poterne.store.blobs.files import REAL, Files
from poterne.store.blobs.folder import SegmentFolder
from poterne.store.blobs.read import SegmentReader
from poterne.store.blobs.recover import Recovered, recover
from poterne.store.blobs.spill import LargeRecord, SegmentBlobWriter
from poterne.values.ids import BlobId


@dataclass(frozen=True, slots=True)
class BlobLimits:
    """`held_bytes` is per message that is being received."""

    segment_bytes: int = 268_435_456
    spill_bytes: int = 1_048_576
    held_bytes: int = 524_288
    open_segments: int = 128
    retry_s: float = 1.0


@final
class SegmentBlobs:
    """The `Blobs` contract, and what the engine's writer thread calls around its SQL transaction.

    Per group of operations, in the writer thread: `sync()` once, then `require(blob)` for every blob that an operation
    names, then the SQL commit. A `sync` that raises has lost only blobs that were not durable yet; each operation
    learns by `require` whether its own is among them, so the engine may go on with the others of the group.
    """

    def __init__(
        self,
        path: str,
        *,
        files: Files = REAL,
        limits: BlobLimits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Makes the folder if there is none. Raises UnavailableError."""
        self.limits: Final = limits or BlobLimits()
        self.folder: Final = SegmentFolder(path, files)
        self._clock: Final = clock
        self._writer: Final = SegmentWriter(
            self.folder, limit_bytes=self.limits.segment_bytes, clock=clock, retry_s=self.limits.retry_s
        )
        self._reader: Final = SegmentReader(self.folder, max_open=self.limits.open_segments, pending=self._writer.peek)
        self._pool: Final = ThreadPoolExecutor(4, "large-message")
        self._large: Final[WeakSet[LargeRecord]] = WeakSet()
        self.read = self._reader.read  # one call less on the way of every FETCH
        self.head = self._reader.head

    def writer(self) -> SegmentBlobWriter:
        """For one message. Event loop only."""
        return SegmentBlobWriter(self._writer, self._open_large, self.limits.spill_bytes, self.limits.held_bytes)

    def stream(
        self, blob: BlobId, start: int = 0, end: int | None = None, chunk: int = 262_144
    ) -> AsyncIterator[bytes]:
        return self._reader.stream(blob, start, end, chunk)

    def prepare(self) -> None:
        """Make the active segment now, so that the first message need not wait for it. Raises UnavailableError."""
        self._writer.prepare()

    def sync(self) -> None:
        """Make every finished blob durable. Writer thread only. Raises UnavailableError if some are lost."""
        self._writer.sync()

    def require(self, blob: BlobId) -> None:
        """Returns if a commit may name this blob. Writer thread only. Raises UnavailableError if it is not durable."""
        self._writer.require(blob)

    def recover(self) -> list[Recovered]:
        """End the segments of processes that died: when the store opens, and now and then. Raises UnavailableError."""
        return recover(self.folder)

    def forget(self, segment: int) -> None:
        """Close a segment that compaction has removed."""
        self._reader.forget(segment)

    def close(self) -> None:
        """Drop large messages that are not finished, sync, seal. Raises UnavailableError if blobs are lost by it."""
        for large in list(self._large):
            large.abort()
        self._pool.shutdown(wait=True)
        try:
            self._writer.close()
        finally:
            self._reader.close()

    def _open_large(self) -> LargeRecord:
        large = LargeRecord(self.folder, self._pool, self._clock)
        self._large.add(large)
        return large
