"""Giving back the space of blobs that nothing names any more.

Theory of operation. Only sealed segments whose last write is older than the grace time are looked at: so a blob that was
finished but is not named *yet* is safe, and so is a reader that still has an old identity in its hands. A segment with
nothing live is removed. One with much waste, or one of many small ones, is rewritten: its live records go to a new
segment, compressed where that saves a fifth; they are synced; then `relink` changes the rows in one transaction. The old
file stays, marked as just written: it has nothing live now, and a later run removes it after the grace time. A crash at
any point leaves copies that nothing names, which a later run removes too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from poterne.store.blobs.append import SegmentWriter
from poterne.store.blobs.files import unavailable
from poterne.store.blobs.folder import SegmentFolder
from poterne.store.blobs.format import (
    FILE_HEADER_BYTES,
    RECORD_HEADER_BYTES,
    FormatError,
    Kind,
    frame_log2_of,
    pack_entry,
    parse_record,
)
from poterne.store.blobs.read import OpenSegment, SegmentReader
from poterne.store.blobs.scan import payload_of
from poterne.store.blobs.zstd import compress
from poterne.store.errors import UnavailableError
from poterne.values.ids import BlobId

Live = Callable[[int], Mapping[int, int]]
"""Segment number -> offset -> size of each blob that a row names. An index lookup, called once per old segment."""
Relink = Callable[[Sequence[tuple[BlobId, BlobId]]], None]
"""Change old to new in the rows, in one durable transaction. Rows that are gone meanwhile are passed over."""

_GROUP_BYTES: Final = 8_388_608


@dataclass(frozen=True, slots=True)
class CompactionLimits:
    """`waste` is the dead part (0…1) from which a segment is rewritten; `budget_bytes` of live mail per run."""

    grace_s: int = 86_400
    waste: float = 0.5
    small_bytes: int = 8_388_608
    small_count: int = 8
    budget_bytes: int = 268_435_456
    segment_bytes: int = 268_435_456
    compress: bool = True
    worth: float = 0.8


@dataclass(slots=True)
class Compacted:
    """`freed_bytes` counts removed files only. `damaged` are live blobs that cannot be read and so were left in place."""

    freed_bytes: int = 0
    removed: list[int] = field(default_factory=list)
    rewritten: list[int] = field(default_factory=list)
    moved: int = 0
    damaged: list[BlobId] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Candidate:
    number: int
    size: int
    waste: float
    live: Mapping[int, int]

    @property
    def live_bytes(self) -> int:
        return sum(self.live.values())


def compact(
    folder: SegmentFolder, live: Live, relink: Relink, *, now: int, limits: CompactionLimits | None = None
) -> Compacted:
    """One run, in any thread but the store's writer thread (which `relink` will need). Raises UnavailableError.

    `now` is seconds since 1970. What `relink` raises comes through; nothing is lost by it. One run at a time per folder:
    a second one, or one during a backup, does nothing.
    """
    result = Compacted()
    limits = limits or CompactionLimits()
    try:
        with folder.upkeep(shared=False, wait=False) as ours:
            if not ours:
                return result
            old = _old_segments(folder, live, now - limits.grace_s)
            _remove_dead(folder, old, result)
            chosen = _choose([candidate for candidate in old if candidate.live], limits)
            if chosen:
                _rewrite_all(folder, chosen, relink, limits, now, result)
    except OSError as error:
        raise unavailable("compaction", error) from error
    return result


def _old_segments(folder: SegmentFolder, live: Live, before: int) -> list[_Candidate]:
    old: list[_Candidate] = []
    unsealed = set(folder.unsealed())
    numbers = folder.numbers()
    highest = max(numbers, default=0)
    for number in numbers:
        path = folder.segment_path(number)
        if number in unsealed or folder.files.modified_at(path) > before:
            continue
        fd = folder.files.open(path, 0)
        try:
            size = folder.files.size(fd)
            if size or number != highest:  # the highest stays, empty, so that its number is not used again
                named = live(number)
                old.append(_Candidate(number, size, _waste(folder, fd, number, size, sum(named.values())), named))
        finally:
            folder.files.close(fd)
    return old


def _waste(folder: SegmentFolder, fd: int, number: int, size: int, live_bytes: int) -> float:
    """The dead part of the raw bytes, by the end mark, so that compression does not hide it."""
    total = size - FILE_HEADER_BYTES
    try:
        salt = folder.read_header(fd, number).salt
        at = size - RECORD_HEADER_BYTES
        end = parse_record(folder.files.pread(fd, RECORD_HEADER_BYTES, at), salt, at)
        if end.kind is Kind.END:
            total = end.stored
    except (FormatError, UnavailableError):
        return 0.0
    return 1 - live_bytes / total if total > 0 else 1.0


def _remove_dead(folder: SegmentFolder, old: list[_Candidate], result: Compacted) -> None:
    for candidate in old:
        if not candidate.live:
            folder.drop(candidate.number)
            result.removed.append(candidate.number)
            result.freed_bytes += candidate.size


def _choose(old: list[_Candidate], limits: CompactionLimits) -> list[_Candidate]:
    wasteful = sorted((c for c in old if c.waste >= limits.waste), key=lambda c: c.waste, reverse=True)
    small = [c for c in old if c.size <= limits.small_bytes and c.waste < limits.waste]
    if len(small) + len(wasteful) < limits.small_count:
        small = []  # merging few would rewrite the same mail again and again
    chosen: list[_Candidate] = []
    budget = limits.budget_bytes
    for candidate in (*wasteful, *small):
        if max(candidate.live.values()) > 4 * _GROUP_BYTES:
            continue  # a large message alone in its segment: nothing to win, and it would be read whole
        if candidate.live_bytes > budget:
            continue
        budget -= candidate.live_bytes
        chosen.append(candidate)
    return chosen


def _rewrite_all(
    folder: SegmentFolder,
    chosen: list[_Candidate],
    relink: Relink,
    limits: CompactionLimits,
    now: int,
    result: Compacted,
) -> None:
    writer = SegmentWriter(folder, limit_bytes=limits.segment_bytes, clock=lambda: now)
    reader = SegmentReader(folder, max_open=2)
    mover = _Mover(writer, relink, limits)
    try:
        for candidate in chosen:
            # First: if we die after `relink`, the old file must not look as if its grace time were over.
            folder.files.touch(folder.segment_path(candidate.number), now)
            _move_live(reader, candidate, mover, result)
            result.rewritten.append(candidate.number)
        mover.commit()
    finally:
        writer.close()
        result.moved = mover.moved


def _move_live(reader: SegmentReader, candidate: _Candidate, mover: "_Mover", result: Compacted) -> None:
    blobs = [BlobId(candidate.number, offset, size) for offset, size in sorted(candidate.live.items())]
    try:
        segment = reader.segment(candidate.number)
    except UnavailableError:
        result.damaged += blobs
        return
    for blob in blobs:
        try:
            mover.move(segment, blob)
        except (FormatError, OSError):
            result.damaged.append(blob)


class _Mover:
    """Copies records in groups: at most _GROUP_BYTES and one message in memory."""

    def __init__(self, writer: SegmentWriter, relink: Relink, limits: CompactionLimits) -> None:
        self._writer = writer
        self._relink = relink
        self._limits = limits
        self._pairs: list[tuple[BlobId, BlobId]] = []
        self._held = 0
        self.moved = 0

    def move(self, segment: OpenSegment, blob: BlobId) -> None:
        """Raises FormatError if it is damaged, OSError."""
        header = segment.files.pread(segment.fd, RECORD_HEADER_BYTES, blob.offset)
        record = parse_record(header, segment.salt, blob.offset)
        if record.kind not in (Kind.RAW, Kind.ZSTD) or record.raw != blob.size:
            raise FormatError("no such blob is here")
        data = payload_of(segment, record)
        packed = pack_zstd(data, self._limits.worth) if self._limits.compress else None
        if packed is None:
            new = self._writer.reserve([data], blob.size)
        else:
            new = self._writer.reserve_zstd(packed.payload, blob.size, packed.checksum, packed.frame_log2)
        self._pairs.append((blob, new))
        self._held += blob.size
        if self._held >= _GROUP_BYTES:
            self.commit()

    def commit(self) -> None:
        if not self._pairs:
            return
        self._writer.sync()
        pairs, self._pairs, self._held = self._pairs, [], 0
        self._relink(pairs)
        self.moved += len(pairs)


@dataclass(frozen=True, slots=True)
class Packed:
    """A compressed payload, its frame table included."""

    payload: bytes
    checksum: int
    frame_log2: int


def pack_zstd(data: bytes, worth: float) -> Packed | None:
    """The payload of a zstd record; None unless it is at most `worth` of the raw size. Frames are as of a raw record."""
    log2 = frame_log2_of(len(data))
    if not log2:
        packed = compress(data)
        return Packed(packed, crc32(packed), 0) if len(packed) <= len(data) * worth else None
    view = memoryview(data)
    frames = [compress(view[at : at + (1 << log2)]) for at in range(0, len(data), 1 << log2)]
    table = b"".join(pack_entry(len(frame), crc32(frame)) for frame in frames)
    payload = b"".join([*frames, table])
    return Packed(payload, crc32(table), log2) if len(payload) <= len(data) * worth else None
