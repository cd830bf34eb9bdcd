"""Ending the segments of writers that died, so that each is as immutable as a sealed one.

Theory of operation. Nothing after a writer's last sync was acknowledged, but what comes after it may be on disk in any
part and order. The flag FIRST_OF_GROUP says that everything before that record was durable when it was written: so all
damage before the last such record is damage (left as it is, for `verify` to report), and only what follows can be torn.
There, records whose payload does not match and gaps become holes, and what follows the last good record is cut off. The
last group may well have been acknowledged: its good records are always kept. Checking is bounded by one group's bytes.
"""

import os
from dataclasses import dataclass

from poterne.store.blobs.files import unavailable, write_all
from poterne.store.blobs.folder import SegmentFolder
from poterne.store.blobs.format import (
    FILE_HEADER_BYTES,
    FIRST_OF_GROUP,
    RECORD_HEADER_BYTES,
    FormatError,
    Kind,
    Record,
    pack_end,
    pack_record,
    parse_file_header,
)
from poterne.store.blobs.read import OpenSegment
from poterne.store.blobs.scan import Gap, damage_of, walk


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found: for the log. `failed` is set when the segment could not be ended; it is tried again next time."""

    segment: int
    records: int = 0
    cut_bytes: int = 0
    torn: int = 0
    failed: str = ""


@dataclass(frozen=True, slots=True)
class _Durable:
    """What comes before the last group: records (holes and gaps counted too), their raw bytes, where it ends."""

    records: int
    raw: int
    end: int


def recover(folder: SegmentFolder) -> list[Recovered]:
    """End every unsealed segment whose writer is dead. Any process may do it at any time. Raises UnavailableError."""
    ended: list[Recovered] = []
    for number in folder.unsealed():
        try:
            marker_fd = folder.adopt(number)
            if marker_fd is None:
                continue
            try:
                ended.append(_end(folder, number))
            finally:
                folder.files.close(marker_fd)
        except OSError as error:
            ended.append(Recovered(number, failed=str(unavailable("recovery", error))))
    return ended


def _end(folder: SegmentFolder, number: int) -> Recovered:
    files = folder.files
    try:
        fd = files.open(folder.segment_path(number), os.O_RDWR)
    except FileNotFoundError:  # power was lost before the folder was synced
        folder.seal(number)
        return Recovered(number)
    segment = OpenSegment(files, fd, number, 0)
    head = files.pread(fd, FILE_HEADER_BYTES, 0)
    try:
        segment.salt = parse_file_header(head, number).salt
    except FormatError as error:
        if head.strip(b"\0"):  # never so after a mere crash: leave it for `verify`
            folder.seal(number)
            return Recovered(number, failed=str(error))
        folder.drop(number)  # its first sync never happened
        return Recovered(number)
    kept, raw, durable, ended = 0, 0, FILE_HEADER_BYTES, False
    group: list[Record | Gap] = []
    for item in walk(segment):
        if isinstance(item, Record) and item.flags & FIRST_OF_GROUP:
            kept, raw, group, durable = kept + len(group), raw + _raw_of(group), [], item.offset
        group.append(item)
        ended = isinstance(item, Record) and item.kind is Kind.END
    if ended and len(group) == 1:
        files.fdatasync(fd)  # its writer may have died before its own
        folder.seal(number)
        return Recovered(number, kept)
    return _mend(folder, segment, _Durable(kept, raw, durable), group)


def _mend(folder: SegmentFolder, segment: OpenSegment, durable: _Durable, group: list[Record | Gap]) -> Recovered:
    """Check the last group, then end the segment."""
    files, fd, number = folder.files, segment.fd, segment.number
    group = [item for item in group if isinstance(item, Gap) or item.kind is not Kind.END]
    bad = [isinstance(item, Gap) or damage_of(segment, item) is not None for item in group]
    while bad and bad[-1]:
        bad.pop()
        group.pop()
    if not durable.records and not group:
        size = files.size(fd)
        folder.drop(number)
        return Recovered(number, cut_bytes=size)
    for item, is_bad in zip(group, bad, strict=True):
        start = item.start if isinstance(item, Gap) else item.offset
        stored = item.end - start - RECORD_HEADER_BYTES
        if is_bad and stored >= 0:
            # Not the first of a group, whatever stood here: nothing is proved about what comes before.
            write_all(files, fd, [pack_record(segment.salt, start, Kind.HOLE, 0, stored, 0)], start)
    end = group[-1].end if group else durable.end
    cut = max(0, files.size(fd) - end)
    if cut:
        files.truncate(fd, end)
    kept = durable.records + len(group)
    raw = durable.raw + _raw_of([item for item, is_bad in zip(group, bad, strict=True) if not is_bad])
    write_all(files, fd, [pack_end(segment.salt, end, kept, raw, FIRST_OF_GROUP)], end)
    files.fdatasync(fd)
    folder.seal(number)
    return Recovered(number, kept - sum(bad), cut, sum(bad))


def _raw_of(items: list[Record | Gap]) -> int:
    return sum(item.raw for item in items if isinstance(item, Record) and item.kind is not Kind.END)
