"""The layout of a segment file.

    file    = file header (64 bytes), records one behind the other, end mark (sealed files)
    record  = record header (32 bytes), payload
    payload = the bytes                       up to SMALL_BYTES of mail: one checksum, read whole
            | frames, then their table        above: a partial FETCH reads only the frames it needs, each checked

A table entry is (stored length, CRC-32) of one frame; the record header's payload checksum is then the table's. Frames
of raw records have one length, so that a range is found by arithmetic; of zstd records, by summing up the table.

CRC-32 (zlib): 1.1 µs for 4 KiB, against 4.6 for BLAKE2b; it is there against disks, not against people. Each record
header's checksum starts from the file's random salt and the record's offset, so that a message that contains a segment
file, or a block that the disk wrote to the wrong place, is not taken for a record.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple
from zlib import crc32

FILE_MAGIC: Final = b"\x89PTNSEG\n"
RECORD_MAGIC: Final = b"\xb5\x00Pr"
"""Has NUL and a byte that starts no UTF-8 character: cannot be in mail that our SMTP accepts."""
VERSION: Final = 1

_FILE: Final = struct.Struct("<8sHHIQq16s12xI")
FILE_HEADER_BYTES: Final = _FILE.size
_RECORD: Final = struct.Struct("<4sBBBxQQII")
RECORD_HEADER_BYTES: Final = _RECORD.size
_SUMMED: Final = RECORD_HEADER_BYTES - 4
_ENTRY: Final = struct.Struct("<II")
ENTRY_BYTES: Final = _ENTRY.size

SMALL_BYTES: Final = 16_384
_LARGE_BYTES: Final = 1_048_576
_FRAME_LOG2: Final = 14
LARGE_FRAME_LOG2: Final = 16
_LARGEST_FRAME_LOG2: Final = 20

FIRST_OF_GROUP: Final = 1
"""Flag: all records before this one were durable when it was written. Recovery checks only what follows the last one."""


class Kind(IntEnum):
    RAW = 1
    ZSTD = 2
    HOLE = 3
    """Bytes that were reserved but could not be written: `stored` bytes to pass over, never read."""
    END = 4
    """The last record of a sealed segment: `raw` counts the records before it, `stored` sums up their raw sizes."""


class FormatError(ValueError):
    """These bytes are not what the layout says. The text tells what, for the log."""


@dataclass(frozen=True, slots=True)
class FileHeader:
    """`created_at` is for people; nothing depends on it."""

    number: int
    salt: int
    created_at: int
    instance: bytes

    def pack(self) -> bytes:
        head = _FILE.pack(FILE_MAGIC, VERSION, 0, self.salt, self.number, self.created_at, self.instance, 0)[:-4]
        return head + crc32(head).to_bytes(4, "little")


def parse_file_header(data: bytes, number: int) -> FileHeader:
    """The header of segment `number`. Raises FormatError."""
    if len(data) < FILE_HEADER_BYTES:
        raise FormatError("file header cut short")
    magic, version, _, salt, found, created_at, instance, checksum = _FILE.unpack_from(data)
    if magic != FILE_MAGIC:
        raise FormatError("not a segment file")
    if crc32(data[: FILE_HEADER_BYTES - 4]) != checksum:
        raise FormatError("file header damaged")
    if version != VERSION:
        raise FormatError(f"segment version {version} is not known to this release")
    if found != number:
        raise FormatError(f"file holds segment {found}")
    return FileHeader(number, salt, created_at, instance)


class Record(NamedTuple):
    """A record header that was found valid, and where it is."""

    offset: int
    kind: Kind
    flags: int
    frame_log2: int
    raw: int
    stored: int
    checksum: int

    @property
    def data_at(self) -> int:
        return self.offset + RECORD_HEADER_BYTES

    @property
    def end(self) -> int:
        if self.kind is Kind.END:
            return self.data_at
        return self.offset + RECORD_HEADER_BYTES + self.stored

    @property
    def frames(self) -> int:
        """0: not framed."""
        return -(-self.raw >> self.frame_log2) if self.frame_log2 else 0

    @property
    def table_at(self) -> int:
        return self.end - self.frames * ENTRY_BYTES


def pack_record(
    salt: int, offset: int, kind: Kind, raw: int, stored: int, checksum: int, frame_log2: int = 0, flags: int = 0
) -> bytes:
    head = _RECORD.pack(RECORD_MAGIC, kind, flags, frame_log2, raw, stored, checksum, 0)[:_SUMMED]
    return head + crc32(head, salt ^ (offset & 0xFFFF_FFFF)).to_bytes(4, "little")


def parse_record(data: bytes, salt: int, offset: int) -> Record:
    """The record whose header these bytes begin with. Raises FormatError."""
    if len(data) < RECORD_HEADER_BYTES:
        raise FormatError("record header cut short")
    magic, kind, flags, frame_log2, raw, stored, checksum, own = _RECORD.unpack_from(data)
    if magic != RECORD_MAGIC or crc32(data[:_SUMMED], salt ^ (offset & 0xFFFF_FFFF)) != own:
        raise FormatError("record header damaged")
    if not 1 <= kind <= 4 or frame_log2 > _LARGEST_FRAME_LOG2:
        raise FormatError("record of a kind that is not known to this release")
    return Record(offset, Kind(kind), flags, frame_log2, raw, stored, checksum)


def pack_end(salt: int, offset: int, records: int, raw: int, flags: int) -> bytes:
    return pack_record(salt, offset, Kind.END, records, raw, 0, 0, flags)


def small_payload(data: bytes, salt: int, offset: int, size: int) -> bytes | None:
    """The bytes of a sound, raw, unframed record of `size` bytes that begins `data`; None: look closer for the reason.

    The way of almost every FETCH, so it makes no `Record`.
    """
    if len(data) < RECORD_HEADER_BYTES + size:
        return None
    magic, kind, _, frame_log2, raw, stored, checksum, own = _RECORD.unpack_from(data)
    if magic != RECORD_MAGIC or kind != 1 or frame_log2 or not raw == stored == size:
        return None
    payload = data[RECORD_HEADER_BYTES : RECORD_HEADER_BYTES + size]
    if crc32(payload) != checksum or crc32(data[:_SUMMED], salt ^ (offset & 0xFFFF_FFFF)) != own:
        return None
    return payload


def frame_log2_of(raw: int) -> int:
    """How a record of this size is framed; 0 is not at all."""
    if raw <= SMALL_BYTES:
        return 0
    return _FRAME_LOG2 if raw <= _LARGE_BYTES else LARGE_FRAME_LOG2


def raw_stored_bytes(raw: int) -> int:
    """The payload length of a raw record, table included."""
    log2 = frame_log2_of(raw)
    return raw + (-(-raw >> log2) * ENTRY_BYTES if log2 else 0)


def pack_entry(stored: int, checksum: int) -> bytes:
    return _ENTRY.pack(stored, checksum)


def parse_entry(entry: bytes) -> tuple[int, int]:
    stored, checksum = _ENTRY.unpack(entry)
    return stored, checksum


def parse_table(table: bytes, record: Record) -> list[tuple[int, int]]:
    """(stored length, CRC-32) of each frame. Raises FormatError unless it fits the record."""
    if len(table) != record.frames * ENTRY_BYTES or crc32(table) != record.checksum:
        raise FormatError("frame table damaged")
    entries: list[tuple[int, int]] = list(_ENTRY.iter_unpack(table))
    if sum(stored for stored, _ in entries) != record.stored - len(table):
        raise FormatError("frame table does not fit the record")
    return entries
