"""Octets at the beginning of a message that are known only when all of it was seen."""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from poterne.store.blobs.files import Piece
from poterne.store.blobs.segments import SegmentBlobs
from poterne.store.blobs.spill import HEAD_MOST_BYTES
from poterne.store.blobs.verify import verify
from poterne.store.errors import UnavailableError
from poterne.values.ids import BlobId
from tests.support.forgetful import ForgetfulFiles, lose_power
from tests.unit.store_blobs.support import SMALL, blobs_at, damage, mail, put

SPILL = SMALL.spill_bytes
SIZES = [1, 300, 4_096, 16_384, 16_385, 65_536, 65_537, SPILL - 1, SPILL, SPILL + 1, 131_072, 500_000]
ROOMS = [1, 250, 4_096, HEAD_MOST_BYTES]


@pytest.mark.parametrize("room", ROOMS)
async def test_the_head_is_where_its_room_was(tmp_path: Path, room: int) -> None:
    blobs = blobs_at(tmp_path)
    written = {await put(blobs, mail(size), head=room): mail(size) for size in SIZES if size >= room}
    assert all(blobs.read(blob) == data for blob, data in written.items())
    blobs.sync()
    blobs.close()
    again = blobs_at(tmp_path)
    for blob, data in written.items():
        assert blob.size == len(data)
        assert again.read(blob) == data
        assert again.read(blob, room - 1, room + 50) == data[room - 1 : room + 50]
    assert damage(again) == []
    again.close()


@pytest.mark.parametrize("size", [300, SPILL + 1])
async def test_a_room_without_a_head_is_spaces(tmp_path: Path, size: int) -> None:
    blobs = blobs_at(tmp_path)
    writer = blobs.writer()
    writer.write_head(200)
    assert writer.size == 200
    writer.write(mail(size))
    blob = await writer.finish()
    blobs.sync()
    assert blob.size == 200 + size
    assert blobs.read(blob) == b" " * 200 + mail(size)
    assert damage(blobs) == []
    blobs.close()


@pytest.mark.parametrize("before", [0, 1_000, SPILL + 1])
async def test_a_head_that_is_known_before_the_end(tmp_path: Path, before: int) -> None:
    blobs = blobs_at(tmp_path)
    writer = blobs.writer()
    writer.write_head(200)
    writer.write(mail(before))
    writer.set_head(b"h" * 200)
    writer.write(mail(SPILL))
    blob = await writer.finish()
    assert blobs.read(blob) == b"h" * 200 + mail(before) + mail(SPILL)
    assert damage(blobs) == []
    blobs.close()


async def test_a_large_message_whose_first_frame_is_not_full(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path, limits=type(SMALL)(spill_bytes=20_000))
    for size in (20_001, 30_000, 65_535, 65_536):
        blob = await put(blobs, mail(size), head=333)
        assert blobs.read(blob) == mail(size)
    assert damage(blobs) == []
    blobs.close()


async def test_a_head_that_has_no_place_is_a_bug(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path)
    for room in (-1, HEAD_MOST_BYTES + 1):
        with pytest.raises(ValueError, match="no place"):
            blobs.writer().write_head(room)
    late = blobs.writer()
    late.write(b"x")
    with pytest.raises(ValueError, match="no place"):
        late.write_head(10)
    for head in (b"", b"x"):
        with pytest.raises(ValueError, match="fit"):
            late.set_head(head)
    writer = blobs.writer()
    writer.write_head(0)
    assert writer.size == 0
    writer.write_head(3)
    with pytest.raises(ValueError, match="fit"):
        writer.set_head(b"four")
    writer.set_head(b"one")
    with pytest.raises(ValueError, match="fit"):
        writer.set_head(b"two")
    assert blobs.read(await writer.finish()) == b"one"
    done = blobs.writer()
    done.write_head(3)
    await done.finish()
    with pytest.raises(ValueError, match="fit"):
        done.set_head(b"one")
    blobs.close()


class _Dying(ForgetfulFiles):
    """Power fails before the n-th write or sync."""

    left = 1_000_000

    def pwritev(self, fd: int, pieces: Sequence[Piece], offset: int) -> int:  # type: ignore[override]  # static there
        self._count()
        return super().pwritev(fd, pieces, offset)

    def fdatasync(self, fd: int) -> None:  # type: ignore[override]  # static there
        self._count()
        super().fdatasync(fd)

    def _count(self) -> None:
        self.left -= 1
        if self.left <= 0:
            self.die()
            raise OSError(5, "no power")


@pytest.mark.parametrize("at", range(1, 9))
def test_power_fails_at_every_write_of_a_large_message_with_a_head(tmp_path: Path, at: int) -> None:
    """The message is there with its head, or not at all."""
    for seed in range(6):
        root, shadow = tmp_path / f"{seed}", tmp_path / f"{seed}-shadow"
        files = _Dying(root, shadow)
        blobs = blobs_at(root, files)
        files.left = at
        blob: BlobId | None = None
        with contextlib.suppress(UnavailableError, OSError):
            blob = asyncio.run(put(blobs, mail(200_000), 190_000, head=5_000))
        files.die()
        lose_power(root, shadow, random.Random(seed), keep=0.7)
        again = blobs_at(root, ForgetfulFiles(root, shadow))
        again.recover()
        _only_whole(again, blob)
        again.close()


def _only_whole(blobs: SegmentBlobs, finished: BlobId | None) -> None:
    assert damage(blobs) == []
    there = [found.blob for found in verify(blobs.folder)]
    assert finished is None or there == [finished]
    assert all(blobs.read(blob) == mail(200_000) for blob in there)
