"""Torn, flipped and missing bytes: never returned as mail, never more lost than was hit."""

import random
from pathlib import Path

import pytest

from poterne.store.blobs.files import RealFiles
from poterne.store.blobs.format import FILE_HEADER_BYTES
from poterne.store.blobs.segments import BlobLimits, SegmentBlobs
from poterne.store.blobs.verify import verify
from poterne.store.errors import UnavailableError
from poterne.values.ids import BlobId
from tests.support.forgetful import ForgetfulFiles
from tests.unit.store_blobs.support import blobs_at, damage, mail, put_now


def _one_segment(path: Path, sizes: list[int], group: int = 2) -> dict[BlobId, bytes]:
    """Written by a process that was killed: not sealed, not locked."""
    files = ForgetfulFiles(path, path.with_name(f"{path.name}-shadow"))
    blobs = blobs_at(path, files, BlobLimits(spill_bytes=10**9))
    written = {}
    for number, size in enumerate(sizes):
        written[put_now(blobs, mail(size, number))] = mail(size, number)
        if number % group == group - 1:
            blobs.sync()
    blobs.sync()
    files.die()
    return written


def test_every_flipped_byte_of_a_small_record_is_noticed(tmp_path: Path) -> None:
    (blob,) = _one_segment(tmp_path / "b", [40])
    path = tmp_path / "b" / "0000000001.seg"
    sound = path.read_bytes()[: blob.offset + 32 + blob.size]
    for at in range(len(sound)):
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 0x20]) + sound[at + 1 :])
        blobs = blobs_at(tmp_path / "b")
        with pytest.raises(UnavailableError):
            blobs.read(blob)
        blobs.close()


def test_a_flipped_byte_spoils_its_frame_only(tmp_path: Path) -> None:
    ((blob, data),) = _one_segment(tmp_path / "b", [100_000]).items()
    path = tmp_path / "b" / "0000000001.seg"
    raw = bytearray(path.read_bytes())
    raw[blob.offset + 32 + 40_000] ^= 1  # in the third frame of 16 KiB
    path.write_bytes(raw)
    blobs = blobs_at(tmp_path / "b")
    assert blobs.read(blob, 0, 32_768) == data[:32_768]
    assert blobs.read(blob, 49_152, 100_000) == data[49_152:]
    for start, end in [(0, 32_769), (39_000, 39_001), (0, 100_000), (49_151, 60_000)]:
        with pytest.raises(UnavailableError, match="frame 2"):
            blobs.read(blob, start, end)
    assert [found.blob for found in verify(blobs.folder) if found.damage] == []  # unfinished group: nothing is known
    blobs.close()


def test_a_torn_tail_at_every_byte(tmp_path: Path) -> None:
    """Whatever byte the file ends at, and whatever junk follows: whole records stay, the file is sound afterwards."""
    written = _one_segment(tmp_path / "b", [30, 5, 0, 60, 17, 2, 44])
    path = tmp_path / "b" / "0000000001.seg"
    sound = path.read_bytes()[: max(blob.offset + 32 + blob.size for blob in written)]
    for at in range(len(sound) + 1):
        for junk in (b"", b"\0" * 50, b"\xb5\x00Pr" * 9):
            work = tmp_path / f"{at}-{len(junk)}"
            work.mkdir()
            (work / path.name).write_bytes(sound[:at] + junk)
            (work / "0000000001.active").touch()
            blobs = blobs_at(work, _UnsyncedFiles())
            blobs.recover()
            for blob, data in written.items():
                place = slice(blob.offset, blob.offset + 32 + blob.size)
                if (sound[:at] + junk)[place] == sound[place]:
                    assert blobs.read(blob) == data
                else:
                    with pytest.raises(UnavailableError):
                        blobs.read(blob)
            assert at < FILE_HEADER_BYTES or damage(blobs) == []
            assert blobs.folder.unsealed() == []
            blobs.close()


def test_a_group_written_out_of_order(tmp_path: Path) -> None:
    """The last group may be on disk in any part: its good records stay, the others become holes."""
    written = _one_segment(tmp_path / "b", [300] * 12, group=6)
    path = tmp_path / "b" / "0000000001.seg"
    sound = path.read_bytes()
    blobs_in_order = sorted(written, key=lambda blob: blob.offset)
    choice = random.Random(5)
    for turn in range(60):
        lost = set(choice.sample(blobs_in_order[6:], choice.randint(1, 5)))
        raw = bytearray(sound)
        for blob in lost:
            start, end = sorted((choice.randrange(332), choice.randrange(332)))
            start, end = (0, 332) if turn % 3 == 0 else (start, max(end, start + 4))
            raw[blob.offset + start : blob.offset + end] = bytes(
                b ^ 0x55 for b in raw[blob.offset + start : blob.offset + end]
            )
        work = tmp_path / str(turn)
        work.mkdir()
        (work / path.name).write_bytes(raw[: len(sound)])
        (work / "0000000001.active").touch()
        blobs = blobs_at(work)
        (recovered,) = blobs.recover()
        assert recovered.failed == ""
        for blob, data in written.items():
            if blob in lost:
                with pytest.raises(UnavailableError):
                    blobs.read(blob)
            else:
                assert blobs.read(blob) == data
        assert damage(blobs) == []
        blobs.close()


def test_old_damage_is_not_taken_for_a_torn_tail(tmp_path: Path) -> None:
    """A header that rotted in the middle: what follows stays, and verify names the place, after recovery too."""
    written = _one_segment(tmp_path / "b", [200] * 8, group=2)
    path = tmp_path / "b" / "0000000001.seg"
    second = sorted(written, key=lambda blob: blob.offset)[1]
    raw = bytearray(path.read_bytes())
    raw[second.offset + 10] ^= 1
    path.write_bytes(raw)
    blobs = blobs_at(tmp_path / "b")
    blobs.recover()
    assert [blob for blob in written if not _reads(blobs_at(tmp_path / "b"), blob)] == [second]
    (found,) = [found for found in verify(blobs.folder) if found.damage]
    assert (found.blob.segment, found.blob.offset) == (1, second.offset)
    assert sum(not found.damage for found in verify(blobs.folder)) == 7
    blobs.close()


def test_a_message_that_looks_like_a_segment(tmp_path: Path) -> None:
    """Mail holds a copy of a segment; after damage in front of it, its records are not taken for ours."""
    _one_segment(tmp_path / "bait", [50] * 3)
    bait = (tmp_path / "bait" / "0000000001.seg").read_bytes()
    blobs = blobs_at(tmp_path / "b")
    first, second = put_now(blobs, bait), put_now(blobs, mail(9))
    blobs.close()
    path = tmp_path / "b" / "0000000001.seg"
    raw = bytearray(path.read_bytes())
    raw[first.offset] ^= 1
    path.write_bytes(raw)
    assert [(found.blob.offset, bool(found.damage)) for found in verify(blobs.folder)] == [
        (first.offset, True),
        (second.offset, False),
    ]


def test_a_sealed_file_cut_short_is_noticed(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path)
    put_now(blobs, mail(100))
    put_now(blobs, mail(100, 1))
    blobs.close()
    path = tmp_path / "0000000001.seg"
    path.write_bytes(path.read_bytes()[: 64 + 132])
    assert [found.damage for found in verify(blobs.folder)] == ["", "end mark missing: the file was cut short"]
    path.write_bytes(b"x" * 500)
    assert [found.damage for found in verify(blobs.folder)] == ["segment 1: not a segment file"]


def test_the_segment_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path)
    blob = put_now(blobs, mail(100))
    blobs.sync()
    other = blobs_at(tmp_path)
    assert other.recover() == []
    assert other.read(blob) == mail(100)
    assert damage(other) == []
    later = put_now(blobs, mail(50))
    blobs.sync()
    assert later.segment == blob.segment
    assert put_now(other, b"own").segment != blob.segment
    blobs.close()
    other.close()


class _UnsyncedFiles(RealFiles):
    """For a thousand recoveries in a second; that they sync is seen in `test_power_loss`."""

    def fdatasync(self, fd: int) -> None:  # type: ignore[override]  # static there
        pass

    def sync_folder(self, path: str) -> None:
        pass


def _reads(blobs: SegmentBlobs, blob: BlobId) -> bool:
    try:
        blobs.read(blob)
    except UnavailableError:
        return False
    finally:
        blobs.close()
    return True
