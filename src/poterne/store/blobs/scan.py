"""Walking a segment record by record, past damage, and checking payloads.

Where no valid header is found, the next one is searched by its magic; the header's checksum, which starts from the file's
salt and the offset, tells a real one from bytes that look like it. What lies between is a `Gap`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from poterne.store.blobs.format import (
    FILE_HEADER_BYTES,
    RECORD_HEADER_BYTES,
    RECORD_MAGIC,
    FormatError,
    Kind,
    Record,
    parse_record,
)
from poterne.store.blobs.read import OpenSegment, exactly, read_frames, with_table
from poterne.store.blobs.zstd import expand

_WINDOW_BYTES: Final = 1_048_576
_LARGEST_UNFRAMED: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes [start, end) in which no record could be found."""

    start: int
    end: int


def walk(segment: OpenSegment) -> Iterator[Record | Gap]:
    """Everything in the segment as of now, in order. Reads headers only. Raises OSError.

    While it is being written, it ends with a Gap: the zeros that its writer has put ahead.
    """
    size = segment.files.size(segment.fd)
    at = FILE_HEADER_BYTES
    while at < size:
        record = _record_at(segment, at, size)
        if record is None:
            record = _next_record(segment, at + 1, size)
            if record is None:
                yield Gap(at, size)
                return
            # Its writer may live. It writes in order, so what was not there yet is there now if something behind it is.
            late = _record_at(segment, at, size)
            if late is None:
                yield Gap(at, record.offset)
            else:
                record = late
        yield record
        at = record.end


def damage_of(segment: OpenSegment, record: Record) -> str | None:
    """What is wrong with the record's payload, in words for the log; None if nothing. Raises OSError."""
    if record.kind in (Kind.HOLE, Kind.END):
        return None
    try:
        if not record.frame_log2:
            _check_whole(segment, record)
            return None
        layout = with_table(segment, record)
        step = max(1, _WINDOW_BYTES >> record.frame_log2) << record.frame_log2
        for start in range(0, record.raw, step):
            read_frames(segment, layout, start, min(start + step, record.raw))
    except FormatError as error:
        return str(error)
    return None


def payload_of(segment: OpenSegment, record: Record) -> bytes:
    """The record's bytes, verified and expanded. Raises FormatError, OSError."""
    if not record.raw:
        return b""
    if not record.frame_log2:
        return _check_whole(segment, record)
    return read_frames(segment, with_table(segment, record), 0, record.raw)


def _check_whole(segment: OpenSegment, record: Record) -> bytes:
    if max(record.stored, record.raw) > _LARGEST_UNFRAMED:
        raise FormatError("record of impossible size")
    payload = exactly(segment, record.stored, record.data_at)
    if crc32(payload) != record.checksum:
        raise FormatError("checksum does not match")
    return expand(payload, record.raw) if record.kind is Kind.ZSTD else payload


def _record_at(segment: OpenSegment, at: int, size: int) -> Record | None:
    try:
        record = parse_record(segment.files.pread(segment.fd, RECORD_HEADER_BYTES, at), segment.salt, at)
    except FormatError:
        return None
    # A hole that was the last thing written reaches beyond the end of the file.
    return record if record.end <= size or record.kind is Kind.HOLE else None


def _next_record(segment: OpenSegment, at: int, size: int) -> Record | None:
    while at < size:
        window = segment.files.pread(segment.fd, _WINDOW_BYTES + len(RECORD_MAGIC) - 1, at)
        found = window.find(RECORD_MAGIC)
        while found >= 0:
            record = _record_at(segment, at + found, size)
            if record is not None:
                return record
            found = window.find(RECORD_MAGIC, found + 1)
        at += _WINDOW_BYTES
    return None
