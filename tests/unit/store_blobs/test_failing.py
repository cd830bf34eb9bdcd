"""Disk full and I/O errors: told to everyone concerned, to nobody else, and over when they are over."""

import errno
from pathlib import Path

import pytest

from poterne.store.blobs.segments import BlobLimits
from poterne.store.errors import UnavailableError
from tests.support.failing_files import FailingFiles
from tests.unit.store_blobs.support import blobs_at, damage, mail, put, put_now, segment_sizes


@pytest.mark.parametrize("part", [0, 10, 40, 3_000])
async def test_disk_full(tmp_path: Path, part: int) -> None:
    files = FailingFiles()
    blobs = blobs_at(tmp_path, files)
    before = await put(blobs, mail(500))
    blobs.sync()
    lost = [await put(blobs, mail(2_000, 1)), await put(blobs, mail(2_000, 2))]
    files.fail["pwritev"], files.part = errno.ENOSPC, part
    for _ in range(3):
        with pytest.raises(UnavailableError, match="ENOSPC"):
            blobs.sync()
        lost.append(await put(blobs, mail(100, 3)))
    with pytest.raises(UnavailableError, match="ENOSPC"):
        blobs.sync()
    files.fail.clear()
    after = await put(blobs, mail(700))
    blobs.sync()
    for blob in lost:
        with pytest.raises(UnavailableError, match="lost"):
            blobs.require(blob)
        with pytest.raises(UnavailableError):
            blobs.read(blob)
    for blob, data in ((before, mail(500)), (after, mail(700))):
        blobs.require(blob)
        assert blobs.read(blob) == data
    assert before.segment == after.segment
    assert not {after} & set(lost)
    assert len(segment_sizes(tmp_path)) == 1
    blobs.close()
    assert damage(blobs) == []


async def test_a_failed_sync_is_never_tried_again_on_that_file(tmp_path: Path) -> None:
    files = FailingFiles()
    blobs = blobs_at(tmp_path, files)
    before = await put(blobs, mail(500))
    blobs.sync()
    lost = await put(blobs, mail(2_000))
    files.fail["fdatasync"] = errno.EIO
    with pytest.raises(UnavailableError, match="EIO"):
        blobs.sync()
    files.fail.clear()
    files.calls.clear()
    with pytest.raises(UnavailableError, match="lost"):
        blobs.require(lost)
    blobs.require(before)
    assert blobs.read(before) == mail(500)
    after = await put(blobs, mail(700))
    blobs.sync()
    assert files.calls.count("fdatasync") == 1
    assert after.segment != before.segment
    blobs.require(after)
    blobs.close()
    assert [recovered.segment for recovered in blobs_at(tmp_path).recover()] == [before.segment]
    assert damage(blobs) == []


async def test_blobs_finished_while_a_sync_fails_are_lost_with_it(tmp_path: Path) -> None:
    files = FailingFiles()
    blobs = blobs_at(tmp_path, files)
    await put(blobs, mail(500))
    late = []

    def fdatasync(_: int) -> None:
        late.append(blobs._writer.reserve([b"late"], 4))
        raise OSError(errno.EIO, "simulated")

    files.fdatasync = fdatasync  # type: ignore[method-assign,assignment]
    with pytest.raises(UnavailableError):
        blobs.sync()
    del files.fdatasync
    blobs.sync()
    with pytest.raises(UnavailableError, match="lost"):
        blobs.require(late[0])
    blobs.close()


async def test_no_new_segment_can_be_made(tmp_path: Path) -> None:
    """The full one grows on; without one, `finish` says so; both end with the trouble."""
    files = FailingFiles()
    blobs = blobs_at(tmp_path, files)
    first = await put(blobs, mail(61_000))
    files.fail["create"] = errno.ENOSPC
    blobs.sync()
    second = await put(blobs, mail(100))
    blobs.sync()
    assert first.segment == second.segment
    fresh = blobs_at(tmp_path, files)
    for size in (10, 500_000):
        with pytest.raises(UnavailableError):
            await put(fresh, mail(size))
    files.fail.clear()
    assert [await put(fresh, mail(size)) for size in (10, 500_000)]
    third = await put(blobs, mail(100))
    blobs.sync()
    fourth = await put(blobs, mail(100))
    assert third.segment == first.segment != fourth.segment
    blobs.close()
    fresh.close()
    assert damage(blobs) == []


@pytest.mark.parametrize("call", ["create", "pwritev", "fdatasync", "sync_folder"])
async def test_a_large_message_that_cannot_be_written(tmp_path: Path, call: str) -> None:
    files = FailingFiles()
    blobs = blobs_at(tmp_path, files)
    await put(blobs, mail(10))
    blobs.sync()
    files.fail[call] = errno.ENOSPC
    writer = blobs.writer()
    for seed in range(20):
        writer.write(mail(50_000, seed))
        await writer.drain()
    with pytest.raises(UnavailableError):
        await writer.finish()
    files.fail.clear()
    blob = await put(blobs, mail(400_000))
    assert blobs.read(blob) == mail(400_000)
    blobs.close()
    assert damage(blobs) == []
    assert sum(segment_sizes(tmp_path)) < 410_000


async def test_retries_are_held_back(tmp_path: Path) -> None:
    files = FailingFiles()
    blobs = blobs_at(tmp_path, files, BlobLimits(retry_s=60))
    files.fail["sync_folder"] = errno.EIO
    with pytest.raises(UnavailableError, match="EIO"):
        await put(blobs, b"x")
    files.fail.clear()
    files.calls.clear()
    with pytest.raises(UnavailableError, match="a moment ago"):
        await put(blobs, b"x")
    assert files.calls == []
    blobs.close()


def test_an_error_at_every_call(tmp_path: Path) -> None:
    """Whatever call fails: what `require` lets pass is there afterwards, byte for byte, and the store is sound."""
    at, failures = 0, 1
    while failures:
        at += 1
        files = FailingFiles()
        path = tmp_path / str(at)
        blobs = blobs_at(path, files)
        files.fail_at = at
        kept, failures = {}, 0
        for seed, size in enumerate([100, 61_000, 100, 200_000, 100, 61_000, 100]):
            try:
                blob = put_now(blobs, mail(size, seed))
                blobs.sync()
            except UnavailableError:
                failures += 1
                continue
            try:
                blobs.require(blob)
            except UnavailableError:
                failures += 1
            else:
                kept[blob] = mail(size, seed)
        failures += files.fail_at <= 0
        assert len(kept) >= 5
        blobs.close()
        again = blobs_at(path)
        again.recover()
        assert all(again.read(blob) == data for blob, data in kept.items())
        assert damage(again) == []
        assert again.folder.unsealed() == []
        again.close()
    assert at > 30


async def test_reading_errors(tmp_path: Path) -> None:
    files = FailingFiles()
    blobs = blobs_at(tmp_path, files)
    blob = await put(blobs, mail(100_000))
    blobs.sync()
    for call in ("open", "pread"):
        files.fail[call] = errno.EIO
        blobs.forget(blob.segment)
        with pytest.raises(UnavailableError, match="EIO"):
            blobs.read(blob)
        files.fail.clear()
    assert blobs.read(blob) == mail(100_000)
    blobs.close()
