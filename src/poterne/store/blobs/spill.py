"""The writers of single messages: small ones wait in memory for the group commit, large ones stream to their own segment.

A message becomes large when it passes `spill_bytes`. From then on its chunks go through a thread of the pool to a new
segment that holds this record only, and `drain` holds the caller back while more than `held_bytes` wait in memory. The
record's header is written last, before the sync in `finish`: until then the file holds no record, and a crash leaves a
file that recovery empties. Such a blob is durable as soon as `finish` returns; the group commit is not held up by it.

The head (`write_head`) is the first piece of a message that is in memory: the known octets take its place. Of a large
message it was written as spaces, and is written again before the sync. Nothing of the first frame is kept for that: of
messages of one length, CRC-32 keeps exclusive-or (crc(a ^ b ^ c) = crc(a) ^ crc(b) ^ crc(c)), so the frame's checksum
follows from that of the head.

`abort` after `finish` does nothing: an operation that was handed to the store may still name the blob although its
caller was cancelled. A blob that nothing names is removed by compaction, after a day.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Final, final
from zlib import crc32

from poterne.store.blobs.append import Framer, SegmentWriter
from poterne.store.blobs.files import unavailable, write_all
from poterne.store.blobs.folder import Claimed, SegmentFolder
from poterne.store.blobs.format import (
    FILE_HEADER_BYTES,
    LARGE_FRAME_LOG2,
    RECORD_HEADER_BYTES,
    Kind,
    pack_end,
    pack_record,
)
from poterne.store.errors import UnavailableError
from poterne.values.ids import BlobId

HEAD_MOST_BYTES: Final = 16_384
"""Of the room of `write_head`: always within the first frame of a large message."""
_WORTH_A_WRITE_BYTES: Final = 262_144
_DATA_AT: Final = FILE_HEADER_BYTES + RECORD_HEADER_BYTES
_SYNC_EVERY_BYTES: Final = 8_388_608
"""So that the sync in `finish`, and syncs of others that share the journal, find little left to write."""


@final
class SegmentBlobWriter:
    """One message on its way in: the `BlobWriter` of the segments. Used on the event loop only."""

    __slots__ = ("_done", "_held", "_large", "_open_large", "_pieces", "_room", "_segments", "_size", "_spill_bytes")

    def __init__(
        self, segments: SegmentWriter, open_large: "Callable[[], LargeRecord]", spill_bytes: int, held_bytes: int
    ) -> None:
        self._segments = segments
        self._open_large = open_large
        self._spill_bytes = spill_bytes
        self._held = held_bytes
        self._pieces: list[bytes] = []
        self._size = 0
        self._room = 0
        self._large: LargeRecord | None = None
        self._done = False

    @property
    def size(self) -> int:
        return self._size

    def write(self, chunk: bytes) -> None:
        """Append. Chunks are kept as they are, not copied. Writing after `finish` or `abort` is a bug."""
        if self._done:
            raise ValueError("the blob is finished")
        self._size += len(chunk)
        if self._large is not None:
            self._large.feed([chunk])
            return
        self._pieces.append(chunk)
        if self._size > self._spill_bytes:
            self._large = self._open_large()
            self._large.feed(self._pieces)
            self._pieces = []

    def write_head(self, room: int) -> None:
        """Begin with so many spaces, for `set_head`. Anywhere else than at the beginning is a bug."""
        if self._size or not 0 <= room <= HEAD_MOST_BYTES:
            raise ValueError("no place for a head")
        self._room = room
        if room:
            self.write(b" " * room)

    def set_head(self, head: bytes) -> None:
        """Put it into the room: once, exactly as long, before `finish` or `abort`; else it is a bug."""
        if self._done or not head or len(head) != self._room:
            raise ValueError("a head that does not fit its room")
        self._room = 0
        if self._large is None:
            self._pieces[0] = head
        else:
            self._large.set_head(head)

    async def drain(self) -> None:
        """Wait while more than the limit waits in memory. Never raises: `finish` tells of failure."""
        if self._large is not None:
            await self._large.below(self._held)

    async def finish(self) -> BlobId:
        """The blob's identity. Raises UnavailableError. Large: durable now; small: after the writer's next `sync`."""
        if self._done:
            raise ValueError("the blob is finished")
        self._done = True
        pieces, self._pieces = self._pieces, []
        if self._large is None:
            return self._segments.reserve(pieces, self._size)
        return await self._large.finish()

    def abort(self) -> None:
        """Forget it. Safe at any time; after `finish` it does nothing (see above)."""
        if self._done:
            return
        self._done = True
        self._pieces = []
        if self._large is not None:
            self._large.abort()


@dataclass(frozen=True, slots=True)
class _Ending:
    """What comes after the last piece: `done` learns of the blob; None is an abort."""

    done: asyncio.Future[BlobId] | None


class LargeRecord:
    """A record that is streamed to a segment of its own by threads of a pool, one at a time.

    The lock guards the queue between the event loop and that thread; the file is the thread's alone.
    """

    def __init__(self, folder: SegmentFolder, pool: Executor, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._files = folder.files
        self._pool = pool
        self._clock = clock
        self._lock = threading.Lock()
        self._queue: list[bytes] = []
        self._held = 0
        self._running = False
        self._ending: _Ending | None = None
        self._error: UnavailableError | None = None
        self._loop = asyncio.get_running_loop()
        self._waiter: tuple[int, asyncio.Future[None]] | None = None
        self._claimed: Claimed | None = None
        self._framer = Framer(1 << LARGE_FRAME_LOG2)
        self._head = b""
        self._at = _DATA_AT
        self._synced = _DATA_AT

    def __del__(self) -> None:
        """Forgotten without `abort`: the lock is given back, so that recovery can take the file away."""
        self._close()

    def feed(self, pieces: list[bytes]) -> None:
        with self._lock:
            if self._error is not None or self._ending is not None:
                return  # nobody will read it: do not fill the memory
            self._queue += pieces
            self._held += sum(map(len, pieces))
            if self._held >= _WORTH_A_WRITE_BYTES:
                self._start()

    def set_head(self, head: bytes) -> None:
        """Octets that take the place of the spaces that the record begins with; before `finish`."""
        self._head = head

    async def below(self, held: int) -> None:
        """Returns when at most `held` bytes wait in memory, or when writing has failed."""
        with self._lock:
            if self._held <= held or self._error is not None:
                return
            self._start()
            if not self._running:
                return
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiter = (held, waiter)
        await waiter

    async def finish(self) -> BlobId:
        done: asyncio.Future[BlobId] = self._loop.create_future()
        with self._lock:
            self._ending = _Ending(done)
            self._start()
            if not self._running:
                raise UnavailableError("shutting down")
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            done.add_done_callback(_ignore)
            raise

    def abort(self) -> None:
        """Nothing is left of it, unless `finish` was called."""
        with self._lock:
            if self._ending is None:
                self._queue = []
                self._held = 0
                self._ending = _Ending(None)
                self._start()

    def _start(self) -> None:
        if not self._running:
            try:
                self._pool.submit(self._run)
            except RuntimeError:  # the pool was shut down: recovery empties the file
                self._error = UnavailableError("shutting down")
                self._queue = []
            else:
                self._running = True

    def _run(self) -> None:
        """In a thread of the pool: write what has come, until nothing is left."""
        while True:
            with self._lock:
                pieces, self._queue = self._queue, []
                ending = self._ending
                if not pieces and ending is None:
                    self._running = False
                    return
            try:
                if self._error is None and pieces:
                    self._append(pieces)
            except (OSError, UnavailableError) as error:
                self._fail(error)
            held = sum(map(len, pieces))
            del pieces
            self._wrote(held)
            if ending is not None:
                self._end(ending)
                return

    def _append(self, pieces: list[bytes]) -> None:
        if self._claimed is None:
            self._claimed = self._folder.claim(int(self._clock()))
        for piece in pieces:
            self._framer.feed(piece)
        self._at = write_all(self._files, self._claimed.fd, pieces, self._at)
        if self._at - self._synced >= _SYNC_EVERY_BYTES:
            self._files.fdatasync(self._claimed.fd)
            self._synced = self._at

    def _fail(self, error: OSError | UnavailableError) -> None:
        told = unavailable("large message: write failed", error) if isinstance(error, OSError) else error
        with self._lock:
            self._error = told
            self._queue = []
            self._held = 0
        self._drop()

    def _wrote(self, size: int) -> None:
        with self._lock:
            self._held = max(0, self._held - size)
            waiter = self._waiter
            if waiter is None or (self._held > waiter[0] and self._error is None):
                return
            self._waiter = None
        self._tell(partial(_resolve, waiter[1]))

    def _end(self, ending: _Ending) -> None:
        if ending.done is None:
            self._drop()
            return
        blob: BlobId | None = None
        if self._error is None:
            try:
                blob = self._commit()
            except (OSError, UnavailableError) as error:
                self._fail(error)
        if blob is not None:
            self._tell(partial(_give, ending.done, blob))
        else:
            reason = self._error or UnavailableError("large message: not written")
            self._tell(partial(_refuse, ending.done, reason))

    def _commit(self) -> BlobId:
        """The head, table, end mark, and last the record's header; one sync for all."""
        claimed = self._claimed
        if claimed is None:
            raise UnavailableError("large message: nothing written")
        size = self._at - _DATA_AT
        if self._head:
            self._framer.replace_head(b" " * len(self._head), self._head)
            write_all(self._files, claimed.fd, [self._head], _DATA_AT)
        table = self._framer.table()
        end_at = self._at + len(table)
        header = pack_record(
            claimed.salt, FILE_HEADER_BYTES, Kind.RAW, size, end_at - _DATA_AT, crc32(table), LARGE_FRAME_LOG2
        )
        write_all(self._files, claimed.fd, [table, pack_end(claimed.salt, end_at, 1, size, 0)], self._at)
        write_all(self._files, claimed.fd, [header], FILE_HEADER_BYTES)
        self._files.fdatasync(claimed.fd)
        with contextlib.suppress(OSError):  # recovery takes the marker away then
            self._folder.seal(claimed.number)
        self._close()
        return BlobId(claimed.number, FILE_HEADER_BYTES, size)

    def _close(self) -> None:
        claimed, self._claimed = self._claimed, None
        if claimed is not None:
            for fd in (claimed.fd, claimed.marker_fd):
                with contextlib.suppress(OSError):
                    self._files.close(fd)

    def _drop(self) -> None:
        if self._claimed is not None:
            with contextlib.suppress(OSError, UnavailableError):  # else recovery does it
                self._folder.drop(self._claimed.number)
            self._close()

    def _tell(self, what: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has gone: nobody waits
            self._loop.call_soon_threadsafe(what)


def _resolve(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)


def _give(done: "asyncio.Future[BlobId]", blob: BlobId) -> None:
    if not done.done():
        done.set_result(blob)


def _refuse(done: "asyncio.Future[BlobId]", error: UnavailableError) -> None:
    if not done.done():
        done.set_exception(error)


def _ignore(done: "asyncio.Future[BlobId]") -> None:
    if not done.cancelled():
        done.exception()
