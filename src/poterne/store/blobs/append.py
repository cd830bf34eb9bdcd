"""Group commit of message bytes: places are reserved on the event loop, written and synced by the writer thread.

Theory of operation. `reserve` gives a place in the active segment and keeps the pieces; it costs a microsecond and no
I/O. `sync`, called by the store's writer thread at the start of each group, writes everything reserved so far with one
vectored write and makes it durable with one fdatasync. Only then may SQL that names these blobs be committed; `require`
says, per blob, whether it may. What is reserved while `sync` runs belongs to the next group.

Failure. A write that fails (disk full) loses the blobs of its group: their places become a hole, which the next
successful group begins with, so that no place is ever given twice. A sync that fails loses them too, and the segment is
abandoned: after a failed fsync the kernel marks pages clean that never reached the disk, so a second, successful one
proves nothing. Lost places are remembered as ranges, and `require` refuses them. The process lives and tries again.

Zeros ahead. A sync of a file that has grown waits for the file system's journal, which costs twice as much CPU and time as a
sync of octets that took the place of others. So behind a small message that is a group by itself zeros are written, over which
the next groups go; where several share a sync, it is cheap enough. They are cut off when the segment is sealed; of a process
that died, recovery does it.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from poterne.store.blobs.files import Piece, unavailable, write_all
from poterne.store.blobs.folder import Claimed, SegmentFolder
from poterne.store.blobs.format import (
    FILE_HEADER_BYTES,
    FIRST_OF_GROUP,
    RECORD_HEADER_BYTES,
    SMALL_BYTES,
    Kind,
    frame_log2_of,
    pack_end,
    pack_entry,
    pack_record,
    parse_entry,
    raw_stored_bytes,
)
from poterne.store.errors import UnavailableError
from poterne.values.ids import BlobId

_FOREVER: Final = 1 << 63
_AHEAD: Final = bytes(262_144)
_LONE_BYTES: Final = 98_304
"""A larger message is worth a longer sync: with zeros, twice as much would be written."""


@dataclass(slots=True)
class _Active:
    """The segment being written. `reserved` and `records` change under the lock, the rest in the writer thread."""

    claimed: Claimed
    reserved: int = FILE_HEADER_BYTES
    durable: int = FILE_HEADER_BYTES
    filled: int = FILE_HEADER_BYTES
    """How long the file is at most, with the zeros ahead."""
    records: int = 0
    raw: int = 0
    closed: bool = False


class _Pending:
    """One reserved place: a blob's pieces, a ready payload (`kind` not RAW), or a hole (no pieces)."""

    __slots__ = ("checksum", "frame_log2", "kind", "pieces", "raw", "stored")

    def __init__(self, kind: Kind, raw: int, stored: int, pieces: Sequence[bytes]) -> None:
        self.kind = kind
        self.raw = raw
        self.stored = stored
        self.pieces = pieces
        self.checksum = 0
        self.frame_log2 = 0


class SegmentWriter:
    """`reserve` and `peek` from any thread; `sync`, `require` and `close` from one, the store's writer thread."""

    def __init__(
        self,
        folder: SegmentFolder,
        *,
        limit_bytes: int = 268_435_456,
        clock: Callable[[], float] = time.time,
        retry_s: float = 1.0,
    ) -> None:
        self._folder: Final = folder
        self._files: Final = folder.files
        self._limit: Final = limit_bytes
        self._clock: Final = clock
        self._retry_s: Final = retry_s
        self._lock: Final = threading.Lock()
        self._active: _Active | None = None
        self._pending: dict[int, _Pending] = {}
        self._writing: tuple[int, dict[int, _Pending]] = (0, {})
        self._lost: list[tuple[int, int, int]] = []
        self._retry_at = 0.0

    def prepare(self) -> None:
        """Make the active segment now rather than with the first message. Raises UnavailableError."""
        with self._lock:
            self._ready()

    def reserve(self, pieces: Sequence[bytes], size: int) -> BlobId:
        """The identity of a blob of these pieces (`size` bytes in all). Raises UnavailableError when nothing can be made."""
        return self._reserve(_Pending(Kind.RAW, size, raw_stored_bytes(size), pieces))

    def reserve_zstd(self, payload: bytes, raw: int, checksum: int, frame_log2: int) -> BlobId:
        """The same for a payload that is already compressed, its frame table included (compaction)."""
        place = _Pending(Kind.ZSTD, raw, len(payload), (payload,))
        place.checksum, place.frame_log2 = checksum, frame_log2
        return self._reserve(place)

    def peek(self, blob: BlobId) -> bytes | None:
        """The bytes of a blob that is reserved but not written yet; None if there is none."""
        active = self._active
        current = active is not None and active.claimed.number == blob.segment and blob.offset >= active.durable
        if not current and self._writing[0] != blob.segment:
            return None
        with self._lock:
            number, places = self._writing
            place = places.get(blob.offset) if number == blob.segment else None
            if place is None and self._active is not None and self._active.claimed.number == blob.segment:
                place = self._pending.get(blob.offset)
        if place is None or place.kind is not Kind.RAW or place.raw != blob.size:
            return None
        return b"".join(place.pieces)

    def sync(self) -> None:
        """Make every blob reserved so far durable. Raises UnavailableError if those not yet durable are lost."""
        fresh = self._next_segment()
        with self._lock:
            active, places = self._active, self._pending
            if active is None or (not places and fresh is None):
                return
            self._pending = {}
            self._writing = (active.claimed.number, places)
            if fresh is not None:
                self._active = fresh
        try:
            if places:
                self._commit(active, places)
        finally:
            with self._lock:
                self._writing = (0, {})
            if fresh is not None:
                self._seal(active)

    def require(self, blob: BlobId) -> None:
        """Returns if a commit may name this blob: it is durable. Raises UnavailableError if it was lost, or not synced."""
        active = self._active
        if active is not None and active.claimed.number == blob.segment and blob.offset >= active.durable:
            raise UnavailableError(f"segment {blob.segment}: blob at {blob.offset} is not durable")
        for number, start, end in self._lost:
            if number == blob.segment and start <= blob.offset < end:
                raise UnavailableError(f"segment {blob.segment}: blob at {blob.offset} was lost by a failed write")

    def close(self) -> None:
        """Sync and seal. Raises UnavailableError if blobs are lost by it; everything is closed then too."""
        try:
            self.sync()
        finally:
            with self._lock:
                active, self._active = self._active, None
            if active is not None:
                self._seal(active)

    def _reserve(self, place: _Pending) -> BlobId:
        with self._lock:
            active = self._active or self._ready()
            offset = active.reserved
            self._pending[offset] = place
            active.reserved = offset + RECORD_HEADER_BYTES + place.stored
            active.records += 1
            active.raw += place.raw
            return BlobId(active.claimed.number, offset, place.raw)

    def _ready(self) -> _Active:
        """The active segment, made if there is none; under the lock."""
        if self._active is None:
            self._active = self._claim()
        return self._active

    def _claim(self) -> _Active:
        if time.monotonic() < self._retry_at:
            raise UnavailableError("message storage failed a moment ago")
        try:
            return _Active(self._folder.claim(int(self._clock())))
        except UnavailableError:
            self._retry_at = time.monotonic() + self._retry_s
            raise

    def _next_segment(self) -> _Active | None:
        """A new segment if the active one is full. If none can be made, the full one grows on."""
        active = self._active
        if active is None or active.reserved < self._limit:
            return None
        try:
            return self._claim()
        except UnavailableError:
            return None

    def _commit(self, active: _Active, places: dict[int, _Pending]) -> None:
        number, fd = active.claimed.number, active.claimed.fd
        start = next(iter(places))
        last, place = next(reversed(places.items()))
        end = last + RECORD_HEADER_BYTES + place.stored
        try:
            self._write(active.claimed, places)
        except OSError as error:
            self._lose_group(active, places, start, end)
            raise unavailable(f"segment {number}: write failed", error) from error
        if end > active.filled:
            active.filled = end
            if len(places) == 1:
                self._fill_ahead(active, start, end)
        try:
            self._files.fdatasync(fd)
        except OSError as error:
            self._abandon(active, start)
            raise unavailable(f"segment {number}: sync failed", error) from error
        active.durable = end

    def _write(self, claimed: Claimed, places: dict[int, _Pending]) -> None:
        """One vectored write for each run without a hole: as a rule, one."""
        run: list[Piece] = []
        run_at = next(iter(places))
        flags = FIRST_OF_GROUP
        for offset, place in places.items():
            if place.kind is Kind.HOLE:
                run.append(pack_record(claimed.salt, offset, Kind.HOLE, 0, place.stored, 0, 0, flags))
                write_all(self._files, claimed.fd, run, run_at)
                run, run_at = [], offset + RECORD_HEADER_BYTES + place.stored
            else:
                table = b""
                if place.kind is Kind.RAW:
                    place.checksum, place.frame_log2, table = checksums(place.pieces, place.raw)
                run.append(
                    pack_record(
                        claimed.salt,
                        offset,
                        place.kind,
                        place.raw,
                        place.stored,
                        place.checksum,
                        place.frame_log2,
                        flags,
                    )
                )
                run += place.pieces
                if table:
                    run.append(table)
            flags = 0
        if run:
            write_all(self._files, claimed.fd, run, run_at)

    def _fill_ahead(self, active: _Active, start: int, end: int) -> None:
        """Behind a message that came alone. What cannot be written of the zeros is not missed."""
        if end - start <= _LONE_BYTES and end < self._limit:
            active.filled += len(_AHEAD)
            with contextlib.suppress(OSError):
                self._files.pwritev(active.claimed.fd, (_AHEAD,), end)

    def _lose_group(self, active: _Active, places: dict[int, _Pending], start: int, end: int) -> None:
        """Turn this group's places into a hole at the start of the next group."""
        number = active.claimed.number
        with self._lock:
            self._remember_lost(number, start, end)
            active.records += 1 - len(places)
            active.raw -= sum(place.raw for place in places.values())
            if self._active is active:
                hole = _Pending(Kind.HOLE, 0, end - start - RECORD_HEADER_BYTES, ())
                self._pending = {start: hole, **self._pending}

    def _abandon(self, active: _Active, start: int) -> None:
        """Never touch this segment again. Its marker stays: `recover` ends it, as that of a process that died."""
        with self._lock:
            self._remember_lost(active.claimed.number, start, _FOREVER)
            if self._active is active:
                self._active = None
                self._pending = {}
            self._retry_at = time.monotonic() + self._retry_s
        self._close(active)

    def _remember_lost(self, number: int, start: int, end: int) -> None:
        if self._lost:
            last_number, last_start, last_end = self._lost[-1]
            if last_number == number and last_end >= start:
                self._lost[-1] = (number, last_start, max(end, last_end))
                return
        self._lost.append((number, start, end))

    def _seal(self, active: _Active) -> None:
        """End mark, sync, marker away. If that fails, `recover` does it later: nothing is lost by it."""
        claimed = active.claimed
        try:
            if active.closed:
                return
            if not active.records:
                self._folder.drop(claimed.number)
            elif active.reserved == active.durable:
                end = pack_end(claimed.salt, active.durable, active.records, active.raw, FIRST_OF_GROUP)
                behind = write_all(self._files, claimed.fd, [end], active.durable)
                if active.filled > behind:
                    self._files.truncate(claimed.fd, behind)
                self._files.fdatasync(claimed.fd)
                self._folder.seal(claimed.number)
        except OSError:
            pass
        finally:
            self._close(active)

    def _close(self, active: _Active) -> None:
        if active.closed:
            return
        active.closed = True
        for fd in (active.claimed.fd, active.claimed.marker_fd):
            try:
                self._files.close(fd)
            except OSError:  # what was acknowledged is synced already
                continue


def checksums(pieces: Sequence[bytes], size: int) -> tuple[int, int, bytes]:
    """Payload checksum, frame log2 and frame table of a raw record; one pass, nothing joined."""
    if size <= SMALL_BYTES:
        checksum = 0
        for piece in pieces:
            checksum = crc32(piece, checksum)
        return checksum, 0, b""
    log2 = frame_log2_of(size)
    framer = Framer(1 << log2)
    for piece in pieces:
        framer.feed(piece)
    table = framer.table()
    return crc32(table), log2, table


class Framer:
    """Builds the frame table of raw bytes that come in pieces of any length."""

    __slots__ = ("_checksum", "_entries", "_filled", "_frame")

    def __init__(self, frame: int) -> None:
        self._frame = frame
        self._filled = 0
        self._checksum = 0
        self._entries: list[bytes] = []

    def feed(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            part = view[: self._frame - self._filled]
            self._checksum = crc32(part, self._checksum)
            self._filled += len(part)
            if self._filled == self._frame:
                self._entries.append(pack_entry(self._frame, self._checksum))
                self._filled = self._checksum = 0
            view = view[len(part) :]

    def replace_head(self, old: bytes, new: bytes) -> None:
        """What was fed began with `old`, and begins with `new` now: as long, and within the first frame."""
        length, checksum = self._filled, self._checksum
        if self._entries:
            length, checksum = parse_entry(self._entries[0])
        rest = bytes(length - len(old))  # of one length, CRC-32 keeps exclusive-or: the rest itself is not needed
        checksum ^= crc32(rest, crc32(old)) ^ crc32(rest, crc32(new))
        if self._entries:
            self._entries[0] = pack_entry(length, checksum)
        else:
            self._checksum = checksum

    def table(self) -> bytes:
        """The table; nothing may be fed after it."""
        if self._filled:
            self._entries.append(pack_entry(self._filled, self._checksum))
            self._filled = 0
        return b"".join(self._entries)
