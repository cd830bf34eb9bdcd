"""Reading ranges of blobs, each byte covered by a checksum that was verified.

Small records are read whole: one call to the system. Of framed ones the header, the table and the frames that the range
touches are read. Descriptors are kept open, at most `max_open`; one that is dropped while a thread reads from it is
closed when that thread lets go of it, so that its number cannot come to mean another file under the reader's hands.

The beginnings of blobs (headers) that were read lately are kept: what a record's checksum covers is some 16 KiB, and to read
and sum up all of it for a header of one KiB costs ten times the header. A blob never changes, and its place is not used again.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Final, NamedTuple
from zlib import crc32

from poterne.store.blobs.files import Files, unavailable
from poterne.store.blobs.folder import SegmentFolder
from poterne.store.blobs.format import (
    ENTRY_BYTES,
    RECORD_HEADER_BYTES,
    SMALL_BYTES,
    FormatError,
    Kind,
    Record,
    parse_record,
    parse_table,
    raw_stored_bytes,
    small_payload,
)
from poterne.store.blobs.zstd import expand
from poterne.store.errors import UnavailableError
from poterne.store.recent import Recent
from poterne.values.ids import BlobId

_INLINE_BYTES: Final = 65_536
_AHEAD_BYTES: Final = 65_536
HEADS_BYTES: Final = 16 * 1024 * 1024
"""Beginnings that are kept, in a process."""
_HEAD_BYTES: Final = 4_096
"""Of one blob at most."""


class OpenSegment:
    """A descriptor that is closed with the last reference to it."""

    __slots__ = ("fd", "files", "number", "salt", "used")

    def __init__(self, files: Files, fd: int, number: int, salt: int) -> None:
        self.files = files
        self.fd = fd
        self.number = number
        self.salt = salt
        self.used = True

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            self.files.close(self.fd)


class SegmentReader:
    """Safe to use from several threads at once."""

    def __init__(
        self, folder: SegmentFolder, *, max_open: int = 128, pending: Callable[[BlobId], bytes | None] | None = None
    ) -> None:
        self._folder: Final = folder
        self._files: Final = folder.files
        self._max_open: Final = max_open
        self._pending: Final = pending
        self._open: dict[int, OpenSegment] = {}
        self._heads: Final[Recent[tuple[int, int, int]]] = Recent(HEADS_BYTES)

    def head(self, blob: BlobId, end: int) -> bytes:
        """`read(blob, 0, end)` for what is asked for again and again, a header. On the event loop's thread only."""
        if end > _HEAD_BYTES:
            return self.read(blob, 0, end)
        key = (blob.segment, blob.offset, end)
        found = self._heads.get(key)
        if found is None:
            found = self.read(blob, 0, end)
            self._heads.put(key, found)
        return found

    def read(self, blob: BlobId, start: int = 0, end: int | None = None) -> bytes:
        """Bytes [start, end) of the blob, clipped to it. Raises UnavailableError if they are damaged or not there."""
        stop = blob.size if end is None or end > blob.size else end
        start = max(start, 0)
        if self._pending is not None:
            early = self._pending(blob)
            if early is not None:
                return early[start:stop]
        segment = self._open.get(blob.segment) or self._open_segment(blob.segment)
        segment.used = True
        try:
            if blob.size <= SMALL_BYTES:
                whole = read_small(segment, blob)
                return whole[start:stop] if start > 0 or stop < blob.size else whole
            return read_range(segment, blob, start, stop) if start < stop else b""
        except FormatError as error:
            raise UnavailableError(f"segment {blob.segment}, record {blob.offset}: {error}") from error
        except OSError as error:
            raise unavailable(f"segment {blob.segment}, record {blob.offset}", error) from error

    async def stream(
        self, blob: BlobId, start: int = 0, end: int | None = None, chunk: int = 262_144
    ) -> AsyncIterator[bytes]:
        """Bytes [start, end) in pieces of about `chunk`; never holds two. Goes to a thread only for what is not in memory."""
        stop = blob.size if end is None or end > blob.size else end
        at = max(start, 0)
        if stop - at <= _INLINE_BYTES or blob.size <= SMALL_BYTES:
            if at < stop:
                yield self.read(blob, at, stop)
            return
        loop = asyncio.get_running_loop()
        while at < stop:
            upto = min(stop, (at // chunk + 1) * chunk)
            if self._in_memory(blob, at, upto):
                piece = self.read(blob, at, upto)
            else:
                piece = await loop.run_in_executor(None, partial(self.read, blob, at, upto))
            yield piece
            at = upto

    def forget(self, number: int) -> None:
        """Close the segment, so that its space is given back if it was removed."""
        self._open.pop(number, None)

    def close(self) -> None:
        self._open.clear()

    def segment(self, number: int) -> OpenSegment:
        """Raises UnavailableError if it is not there or not ours."""
        return self._open.get(number) or self._open_segment(number)

    def _in_memory(self, blob: BlobId, start: int, end: int) -> bool:
        """A guess, cheap: is the last byte of the range cached? (Compressed records are shorter; then it may be wrong.)"""
        segment = self._open.get(blob.segment)
        if segment is None:
            return False
        at = blob.offset + RECORD_HEADER_BYTES
        return all(self._files.pread_cached(segment.fd, 1, at + where) for where in (start, end - 1))

    def _open_segment(self, number: int) -> OpenSegment:
        try:
            fd = self._files.open(self._folder.segment_path(number), os.O_RDONLY)
        except OSError as error:
            raise unavailable(f"segment {number}", error) from error
        segment = OpenSegment(self._files, fd, number, 0)
        segment.salt = self._folder.read_header(fd, number).salt
        self._make_room()
        self._open[number] = segment
        return segment

    def _make_room(self) -> None:
        """Second chance: whoever was used since the last look stays."""
        while len(self._open) >= self._max_open:
            for number, segment in list(self._open.items()):
                if not segment.used:
                    self._open.pop(number, None)
                    break
                segment.used = False


def read_small(segment: OpenSegment, blob: BlobId) -> bytes:
    """A whole record of at most SMALL_BYTES of mail; a compressed one is shorter, so one read has it all."""
    data = segment.files.pread(segment.fd, RECORD_HEADER_BYTES + blob.size, blob.offset)
    payload = small_payload(data, segment.salt, blob.offset, blob.size)
    if payload is not None:
        return payload
    record = _named(parse_record(data, segment.salt, blob.offset), blob)
    if record.frame_log2:
        return read_frames(segment, with_table(segment, record), 0, blob.size) if blob.size else b""
    payload = data[RECORD_HEADER_BYTES : RECORD_HEADER_BYTES + record.stored]
    if len(payload) != record.stored or crc32(payload) != record.checksum:
        raise FormatError("checksum does not match")
    return expand(payload, record.raw) if record.kind is Kind.ZSTD else payload


def read_range(segment: OpenSegment, blob: BlobId, start: int, end: int) -> bytes:
    """Bytes [start, end) of a larger record. The beginning of a message comes with its header in one read."""
    ahead = RECORD_HEADER_BYTES
    if start <= SMALL_BYTES and end <= _AHEAD_BYTES:
        ahead += raw_stored_bytes(blob.size) if end == blob.size else -(-end // SMALL_BYTES) * SMALL_BYTES
    data = segment.files.pread(segment.fd, ahead, blob.offset)
    record = _named(parse_record(data, segment.salt, blob.offset), blob)
    return read_frames(segment, with_table(segment, record, data), start, end, data)


class Layout(NamedTuple):
    """A record and its verified table; an unframed record counts as one frame."""

    record: Record
    entries: list[tuple[int, int]]


def with_table(segment: OpenSegment, record: Record, ahead: bytes = b"") -> Layout:
    """Raises FormatError, OSError. `ahead` are bytes from the record's start that were read already."""
    if not record.frame_log2:
        return Layout(record, [(record.stored, record.checksum)])
    table = exactly(segment, record.frames * ENTRY_BYTES, record.table_at, record.offset, ahead)
    return Layout(record, parse_table(table, record))


def read_frames(segment: OpenSegment, layout: Layout, start: int, end: int, ahead: bytes = b"") -> bytes:
    """Bytes [start, end), not none, of the record: the frames that hold them, each verified. Raises FormatError, OSError."""
    record, entries = layout
    log2 = record.frame_log2 or record.raw.bit_length()
    first, last = start >> log2, (end - 1) >> log2
    wanted = entries[first : last + 1]
    at = record.data_at + sum(stored for stored, _ in entries[:first])
    data = exactly(segment, sum(stored for stored, _ in wanted), at, record.offset, ahead)
    view = memoryview(data)
    expanded: list[bytes] = []
    here = 0
    for number, (stored, checksum) in enumerate(wanted, first):
        frame = view[here : here + stored]
        here += stored
        if crc32(frame) != checksum:
            raise FormatError(f"checksum of frame {number} does not match")
        length = min(1 << log2, record.raw - (number << log2))
        if record.kind is Kind.ZSTD:
            expanded.append(expand(frame, length))
        elif stored != length:
            raise FormatError("frame table does not fit the record")
    if record.kind is Kind.ZSTD:
        data = b"".join(expanded)
    skip = start - (first << log2)
    return data if not skip and len(data) == end - start else data[skip : skip + end - start]


def exactly(segment: OpenSegment, size: int, offset: int, ahead_at: int = 0, ahead: bytes = b"") -> bytes:
    """Raises FormatError if the file does not have so many bytes there."""
    if ahead_at <= offset and offset + size <= ahead_at + len(ahead):
        return ahead[offset - ahead_at : offset - ahead_at + size]
    data = segment.files.pread(segment.fd, size, offset)
    if len(data) != size:
        raise FormatError("record cut short")
    return data


def _named(record: Record, blob: BlobId) -> Record:
    if record.kind is not Kind.RAW and record.kind is not Kind.ZSTD:
        raise FormatError("no blob is here")
    if record.raw != blob.size:
        raise FormatError(f"holds {record.raw} bytes, not {blob.size}")
    return record
