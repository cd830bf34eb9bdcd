import asyncio
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poterne.store.blobs.segments import BlobLimits, SegmentBlobs
from poterne.store.errors import UnavailableError
from poterne.store.interface import Blobs, BlobWriter
from poterne.values.ids import BlobId
from tests.unit.store_blobs.support import blobs_at, damage, mail, put, put_now, segment_sizes

SIZES = [0, 1, 31, 4_096, 16_383, 16_384, 16_385, 32_768, 65_537, 119_999, 120_000, 120_001, 131_072, 300_000]


def test_it_is_what_the_interface_says(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path)
    as_blobs: Blobs = blobs
    as_writer: BlobWriter = blobs.writer()
    assert as_blobs.writer() is not as_writer
    blobs.close()


@pytest.mark.parametrize("piece", [1_000, 16_384, 1_000_000])
async def test_what_was_written_is_read(tmp_path: Path, piece: int) -> None:
    blobs = blobs_at(tmp_path)
    written = {await put(blobs, mail(size), piece): mail(size) for size in SIZES}
    assert len(written) == len(SIZES)
    blobs.sync()
    for blob, data in written.items():
        blobs.require(blob)
        assert blobs.read(blob) == data
        assert b"".join([part async for part in blobs.stream(blob, chunk=40_000)]) == data
    blobs.close()
    again = blobs_at(tmp_path)
    assert again.recover() == []
    assert all(again.read(blob) == data for blob, data in written.items())
    assert damage(again) == []
    again.close()


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[SegmentBlobs, dict[BlobId, bytes]]:
    blobs = blobs_at(tmp_path_factory.mktemp("blobs"))
    written = {put_now(blobs, mail(size)): mail(size) for size in SIZES}
    blobs.sync()
    return blobs, written


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_range_is_read(stored: tuple[SegmentBlobs, dict[BlobId, bytes]], data: st.DataObject) -> None:
    blobs, written = stored
    blob, expected = data.draw(st.sampled_from(sorted(written.items(), key=lambda item: item[0].size)))
    near = st.sampled_from(
        [0, 1, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, blob.size - 1, blob.size, blob.size + 1]
    )
    edge = st.one_of(st.integers(0, 310_000), near.map(lambda at: max(0, at)))
    start, end = data.draw(edge), data.draw(st.one_of(st.none(), edge))
    assert blobs.read(blob, start, end) == expected[start:end]


async def test_any_range_is_streamed(stored: tuple[SegmentBlobs, dict[BlobId, bytes]]) -> None:
    blobs, written = stored
    for blob, expected in written.items():
        for start, end in [(0, 0), (1, None), (100, 70_000), (65_536, 131_072), (90_000, 80_000), (299_999, 400_000)]:
            parts = [part async for part in blobs.stream(blob, start, end, chunk=65_536)]
            assert b"".join(parts) == expected[start:end]
            assert all(0 < len(part) <= 65_536 for part in parts)


async def test_a_finished_blob_is_read_before_it_is_written(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path)
    blob = await put(blobs, mail(20_000))
    assert blobs.read(blob, 10, 15_000) == mail(20_000)[10:15_000]
    with pytest.raises(UnavailableError, match="not durable"):
        blobs.require(blob)
    blobs.sync()
    blobs.require(blob)
    assert blobs.read(blob) == mail(20_000)
    blobs.close()


async def test_a_large_blob_is_durable_when_finish_returns(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path)
    blob = await put(blobs, mail(200_000))
    blobs.require(blob)
    assert blobs_at(tmp_path).read(blob) == mail(200_000)
    assert blobs.folder.unsealed() == []
    blobs.close()


async def test_segments_roll_over_and_are_sealed(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path)
    written = {}
    for seed in range(40):
        written[await put(blobs, mail(9_000, seed))] = mail(9_000, seed)
        blobs.sync()
    segments = {blob.segment for blob in written}
    assert len(segments) >= 5
    assert len(blobs.folder.unsealed()) == 1
    assert all(blobs.read(blob) == data for blob, data in written.items())  # more segments than descriptors
    assert damage(blobs) == []
    blobs.close()
    assert blobs.folder.unsealed() == []


async def test_aborted_messages_leave_nothing(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path)
    for size in (10, 500_000):
        writer = blobs.writer()
        writer.write(mail(size))
        await writer.drain()
        writer.abort()
        writer.abort()
    unfinished = blobs.writer()
    unfinished.write(mail(500_000))
    blobs.close()
    assert sum(segment_sizes(tmp_path)) < 600_000
    again = blobs_at(tmp_path)
    again.recover()
    assert sum(segment_sizes(tmp_path)) == 0
    again.close()


async def test_abort_after_finish_keeps_the_blob(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path)
    for size in (10, 500_000):
        writer = blobs.writer()
        writer.write(mail(size))
        blob = await writer.finish()
        writer.abort()
        blobs.sync()
        assert blobs.read(blob) == mail(size)
        with pytest.raises(ValueError, match="finished"):
            writer.write(b"x")
        with pytest.raises(ValueError, match="finished"):
            await writer.finish()
    blobs.close()


async def test_large_messages_wait_in_drain_and_take_little_memory(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path, limits=BlobLimits(spill_bytes=100_000, held_bytes=100_000))
    gate = threading.Event()
    blobs._pool.submit(gate.wait)
    for _ in range(3):
        blobs._pool.submit(gate.wait)  # all threads of the pool are busy
    writer = blobs.writer()
    writer.write(mail(150_000))
    drain = asyncio.ensure_future(writer.drain())
    await asyncio.sleep(0.05)
    assert not drain.done()
    gate.set()
    await asyncio.wait_for(drain, 5)
    blob = await writer.finish()
    assert blobs.read(blob) == mail(150_000)
    blobs.close()


async def test_many_large_messages_at_once(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path)
    found = await asyncio.gather(*(put(blobs, mail(200_000, seed)) for seed in range(12)))
    assert len({blob.segment for blob in found}) == 12
    assert all(blobs.read(blob) == mail(200_000, seed) for seed, blob in enumerate(found))
    blobs.close()


@pytest.mark.parametrize(
    "blob",
    [
        BlobId(77, 64, 10),
        BlobId(1, 64, 11),
        BlobId(1, 65, 10),
        BlobId(1, 10**9, 10),
        BlobId(1, 0, 10),
        BlobId(1, 64, 20_000),
    ],
)
async def test_identities_of_nothing(tmp_path: Path, blob: BlobId) -> None:
    blobs = blobs_at(tmp_path)
    await put(blobs, mail(10))
    blobs.sync()
    with pytest.raises(UnavailableError) as caught:
        blobs.read(blob)
    assert str(tmp_path) not in str(caught.value)
    blobs.close()


async def test_numbers_are_never_used_twice(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path)
    used = []
    for _ in range(5):
        used.append(blobs.folder.claim(0).number)
        blobs.folder.drop(used[-1])
        (tmp_path / "numbers").unlink()  # as if power was lost before it was written
        blobs = blobs_at(tmp_path)
    assert used == sorted(set(used))
    assert not any(segment_sizes(tmp_path))


async def test_finish_while_sync_runs_loses_nothing(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path, limits=BlobLimits(segment_bytes=200_000))
    stop = threading.Event()
    failures: list[Exception] = []

    def sync() -> None:
        try:
            while not stop.is_set():
                blobs.sync()
        except Exception as error:  # noqa: BLE001  # shown by the test
            failures.append(error)

    thread = threading.Thread(target=sync)
    thread.start()
    found = []
    for seed in range(1_500):
        found.append(await put(blobs, mail(1_000, seed)))
        if seed % 50 == 0:
            await asyncio.sleep(0.002)
            assert blobs.read(found[seed // 2]) == mail(1_000, seed // 2)
    stop.set()
    thread.join()
    blobs.sync()
    assert failures == []
    assert len(set(found)) == 1_500
    assert all(blobs.read(blob) == mail(1_000, seed) for seed, blob in enumerate(found))
    assert len({blob.segment for blob in found}) > 4
    blobs.close()
    assert damage(blobs) == []
