"""Zeros behind a message that came alone: they make the syncs of the next ones cheap, and are in nobody's way."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from poterne.store.blobs.backup import copy_segments, pinned
from poterne.store.blobs.files import Piece, RealFiles
from poterne.store.blobs.format import Kind, Record, raw_stored_bytes
from poterne.store.blobs.read import SegmentReader
from poterne.store.blobs.scan import Gap, walk
from poterne.store.blobs.segments import BlobLimits, SegmentBlobs
from tests.support.failing_files import FailingFiles
from tests.unit.store_blobs.support import blobs_at, damage, mail, put_now

LIMITS = BlobLimits(spill_bytes=10**9, retry_s=0)


def _size(folder: Path) -> int:
    return (folder / "0000000001.seg").stat().st_size


def test_messages_that_come_alone_do_not_make_the_file_longer(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path, limits=LIMITS)
    sizes, end = set(), 0
    for number in range(20):
        blob = put_now(blobs, mail(4_000, number))
        blobs.sync()
        sizes.add(_size(tmp_path))
        end = blob.offset + 32 + blob.size
    assert len(sizes) == 1
    assert _size(tmp_path) > end
    assert damage(blobs) == []
    blobs.close()
    assert _size(tmp_path) == end + 32  # the end mark
    assert damage(blobs_at(tmp_path)) == []


@pytest.mark.parametrize(("count", "size"), [(2, 100), (30, 10_000), (1, 100_000)])
def test_of_groups_and_large_messages_nothing_is_written_twice(tmp_path: Path, count: int, size: int) -> None:
    blobs = blobs_at(tmp_path, limits=LIMITS)
    for number in range(3):
        group = [put_now(blobs, mail(size, 100 * number + part)) for part in range(count)]
        blobs.sync()
        assert _size(tmp_path) == group[-1].offset + 32 + raw_stored_bytes(size)
    blobs.close()


@pytest.mark.parametrize("part", [0, 1, 5_000])
def test_without_room_for_zeros_messages_are_kept(tmp_path: Path, part: int) -> None:
    class Full(FailingFiles):
        def pwritev(self, fd: int, pieces: Sequence[Piece], offset: int) -> int:  # type: ignore[override]  # static there
            if len(pieces) == 1 and not any(pieces[0]):
                os.pwrite(fd, pieces[0][:part], offset)
                raise OSError(errno.ENOSPC, "simulated")
            return super().pwritev(fd, pieces, offset)

    blobs = blobs_at(tmp_path, Full(), LIMITS)
    written = {}
    for number in range(100):
        blob = put_now(blobs, mail(4_000, number))
        blobs.sync()
        blobs.require(blob)
        written[blob] = mail(4_000, number)
    blobs.close()
    again = blobs_at(tmp_path)
    assert again.recover() == []
    assert damage(again) == []
    assert all(again.read(blob) == data for blob, data in written.items())


def test_a_backup_has_no_zeros(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path / "from", limits=LIMITS)
    written = {}
    for number in range(3):
        written[put_now(blobs, mail(3_000, number))] = mail(3_000, number)
        blobs.sync()
    with pinned(blobs.folder):
        copy_segments(blobs.folder, str(tmp_path / "to"))
    assert _size(tmp_path / "to") == max(blob.offset + 32 + blob.size for blob in written)
    copy = blobs_at(tmp_path / "to")
    (recovered,) = copy.recover()
    assert (recovered.records, recovered.cut_bytes, recovered.torn) == (3, 0, 0)
    assert damage(copy) == []
    assert all(copy.read(blob) == data for blob, data in written.items())
    blobs.close()


class _Interrupted(RealFiles):
    """While the octets at `at` are being read, for the first time, others are written."""

    at = -1
    blobs: SegmentBlobs

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        before = os.pread(fd, size, offset)
        if offset == self.at:
            self.at = -1
            for number in range(2):
                put_now(self.blobs, mail(2_000, number))
                self.blobs.sync()
        return before


def test_whoever_reads_while_it_is_written_sees_no_gap(tmp_path: Path) -> None:
    files = _Interrupted()
    writer = files.blobs = blobs_at(tmp_path, limits=LIMITS)
    first = put_now(writer, mail(2_000, 7))
    writer.sync()
    files.at = first.offset + 32 + first.size
    reading = blobs_at(tmp_path, files)
    found = list(walk(SegmentReader(reading.folder, max_open=2).segment(1)))
    assert [item.kind for item in found if isinstance(item, Record)] == [Kind.RAW] * 3
    assert [isinstance(item, Gap) for item in found] == [False, False, False, True]
    files.at = _size(tmp_path)  # nothing is read there
    assert damage(reading) == []
    writer.close()
