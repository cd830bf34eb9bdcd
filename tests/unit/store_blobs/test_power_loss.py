"""A model of the whole thing: append, sync, read, seal, compact, killed processes, lost power."""

import asyncio
import contextlib
import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from poterne.store.blobs.compact import CompactionLimits, compact
from poterne.store.blobs.files import Piece
from poterne.store.blobs.segments import BlobLimits, SegmentBlobs
from poterne.store.blobs.verify import verify
from poterne.store.errors import UnavailableError
from poterne.values.ids import BlobId
from tests.support.forgetful import ForgetfulFiles, lose_power
from tests.unit.store_blobs.support import blobs_at, damage, mail, put_now

LIMITS = BlobLimits(segment_bytes=40_000, spill_bytes=50_000, held_bytes=65_536, open_segments=3, retry_s=0)
SIZES = st.sampled_from([0, 1, 300, 4_000, 4_064, 9_000, 20_000, 70_000])


class Segments(RuleBasedStateMachine):
    """Two processes on one folder. `named` is what the database would hold: blobs that were synced, then committed."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp())
        self.root, self.shadow = self.home / "blobs", self.home / "shadow"
        self.root.mkdir()
        self.named: dict[BlobId, bytes] = {}
        self.finished: list[dict[BlobId, bytes]] = [{}, {}]
        self.seen: set[BlobId] = set()
        self.seed = 0
        self.files: list[ForgetfulFiles] = []
        self.processes: list[SegmentBlobs] = []
        for _ in range(2):
            self._start()

    def _start(self) -> None:
        self.files.append(ForgetfulFiles(self.root, self.shadow))
        self.processes.append(blobs_at(self.root, self.files[-1], LIMITS))

    def _restart(self, number: int) -> None:
        self.files[number].die()
        self.files[number] = ForgetfulFiles(self.root, self.shadow)
        self.processes[number]._pool.shutdown()
        self.processes[number] = blobs_at(self.root, self.files[number], LIMITS)
        self.finished[number] = {}

    @rule(number=st.integers(0, 1), size=SIZES, head=st.sampled_from([0, 0, 1, 250]))
    def finish(self, number: int, size: int, head: int) -> None:
        self.seed += 1
        blob = put_now(self.processes[number], mail(size, self.seed), min(head, size))
        assert blob not in self.named
        self.finished[number][blob] = mail(size, self.seed)

    @rule(number=st.integers(0, 1))
    def commit(self, number: int) -> None:
        self.processes[number].sync()
        for blob, data in self.finished[number].items():
            self.processes[number].require(blob)
            assert blob not in self.seen, "an identity was given twice"
            self.seen.add(blob)
            self.named[blob] = data
        self.finished[number] = {}

    @rule(number=st.integers(0, 1))
    def abort_a_large_one(self, number: int) -> None:
        async def go() -> None:
            writer = self.processes[number].writer()
            writer.write(mail(60_000))
            writer.write(mail(260_000))
            await writer.drain()
            writer.abort()
            assert writer._large is not None
            for _ in range(5_000):
                if writer._large._claimed is None:
                    return
                await asyncio.sleep(0.001)
            raise AssertionError("an aborted message was not dropped")

        asyncio.run(go())

    @rule(number=st.integers(0, 1))
    def close(self, number: int) -> None:
        self.processes[number].close()
        self._restart(number)

    @rule(number=st.integers(0, 1))
    def kill(self, number: int) -> None:
        self._restart(number)

    @rule(number=st.integers(0, 1))
    def recover(self, number: int) -> None:
        assert not any(recovered.failed for recovered in self.processes[number].recover())

    @rule(seed=st.integers(0, 2**32), keep=st.sampled_from([0.0, 0.2, 0.8, 1.0]))
    def lose_power(self, seed: int, keep: float) -> None:
        for files in self.files:
            files.die()
        lose_power(self.root, self.shadow, random.Random(seed), keep)
        for number in range(2):
            self._restart(number)
            assert not any(recovered.failed for recovered in self.processes[number].recover())

    @precondition(lambda self: self.named)
    @rule(data=st.data())
    def expunge(self, data: st.DataObject) -> None:
        blobs = sorted(self.named, key=lambda blob: (blob.segment, blob.offset))
        for blob in data.draw(st.lists(st.sampled_from(blobs), unique=True)):
            del self.named[blob]

    @rule(number=st.integers(0, 1), waste=st.sampled_from([0.0, 0.5]))
    def compact(self, number: int, waste: float) -> None:
        if any(self.finished):
            return  # a real run waits a day, so that these are safe
        limits = CompactionLimits(grace_s=0, waste=waste, small_count=3, segment_bytes=50_000)
        result = compact(self.processes[number].folder, self._live, self._relink, now=2**33, limits=limits)
        assert result.damaged == []

    def _live(self, segment: int) -> dict[int, int]:
        return {blob.offset: blob.size for blob in self.named if blob.segment == segment}

    def _relink(self, pairs: Sequence[tuple[BlobId, BlobId]]) -> None:
        for old, new in pairs:
            assert new not in self.seen
            self.seen.add(new)
            self.named[new] = self.named.pop(old)

    @invariant()
    def all_is_there(self) -> None:
        for blob, data in self.named.items():
            for process in self.processes:
                assert process.read(blob) == data
        for number, finished in enumerate(self.finished):
            for blob, data in finished.items():
                assert self.processes[number].read(blob) == data
        assert damage(self.processes[0]) == []
        assert {found.blob for found in verify(self.processes[1].folder)} >= self.named.keys()

    def teardown(self) -> None:
        for process in self.processes:
            process.close()
        shutil.rmtree(self.home)


Segments.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSegments = Segments.TestCase


def test_the_forgetful_files_forget(tmp_path: Path) -> None:
    """The tool itself: without a sync, it is gone; a blob that nobody synced is not readable after the loss."""
    root, shadow = tmp_path / "blobs", tmp_path / "shadow"
    files = ForgetfulFiles(root, shadow)
    blobs = blobs_at(root, files, LIMITS)
    kept = put_now(blobs, mail(5_000, 1))
    blobs.sync()
    lost = put_now(blobs, mail(5_000, 2))
    files.fdatasync = lambda fd: None  # type: ignore[method-assign]  # a disk that lies
    blobs.sync()
    assert blobs.read(lost) == mail(5_000, 2)
    files.die()
    lose_power(root, shadow, random.Random(1), keep=0.0)
    again = blobs_at(root, ForgetfulFiles(root, shadow), LIMITS)
    again.recover()
    assert again.read(kept) == mail(5_000, 1)
    with pytest.raises(UnavailableError):
        again.read(lost)
    again.close()


@pytest.mark.parametrize(("size", "head"), [(9_000, 0), (9_000, 300), (200_000, 0), (200_000, 9_000)])
def test_power_fails_during_a_sync(tmp_path: Path, size: int, head: int) -> None:
    """What was being synced is whole or not there; recovery leaves nothing that looks like damage."""
    survived = 0
    for seed in range(25):
        root, shadow = tmp_path / f"{seed}", tmp_path / f"{seed}-shadow"
        files = ForgetfulFiles(root, shadow)
        blobs = blobs_at(root, files, LIMITS)
        kept = put_now(blobs, mail(5_000, 1))
        blobs.sync()

        def fail(_: int, files: ForgetfulFiles = files) -> None:
            files.die()
            raise OSError(5, "power failed")

        files.fdatasync = fail  # type: ignore[method-assign,assignment]
        with pytest.raises(UnavailableError):
            _put_and_sync(blobs, mail(size, 2), head)
        lose_power(root, shadow, random.Random(seed), keep=0.8)
        again = blobs_at(root, ForgetfulFiles(root, shadow), LIMITS)
        again.recover()
        assert again.read(kept) == mail(5_000, 1)
        assert damage(again) == []
        assert again.folder.unsealed() == []
        there = [found.blob for found in verify(again.folder) if found.blob.size == size]
        assert all(again.read(blob) == mail(size, 2) for blob in there), "never without its head"
        survived += len(there)
        again.close()
    assert survived < 25


@pytest.mark.parametrize("at", range(1, 16))
def test_power_fails_at_every_call_of_making_and_dropping(tmp_path: Path, at: int) -> None:
    for seed in range(6):
        root, shadow = tmp_path / f"{seed}", tmp_path / f"{seed}-shadow"
        files = _DyingFiles(root, shadow)
        blobs = blobs_at(root, files, LIMITS)
        files.left = at
        with contextlib.suppress(UnavailableError, OSError):
            claimed = blobs.folder.claim(0)
            blobs.folder.drop(claimed.number)
            blobs.prepare()
        files.die()
        lose_power(root, shadow, random.Random(seed), keep=0.5)
        again = blobs_at(root, ForgetfulFiles(root, shadow), LIMITS)
        again.recover()
        assert damage(again) == []
        assert again.folder.unsealed() == []
        blob = put_now(again, mail(100))
        again.close()
        assert blobs_at(root).read(blob) == mail(100)


def _put_and_sync(blobs: SegmentBlobs, data: bytes, head: int) -> None:
    put_now(blobs, data, head)
    blobs.sync()


class _DyingFiles(ForgetfulFiles):
    """Power fails before the n-th call that changes something."""

    left = 1_000_000

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.die()
            raise OSError(5, "power failed")
        if self.left < 0:
            raise OSError(5, "no power")

    def open(self, path: str, flags: int) -> int:
        self._count()
        return super().open(path, flags)

    def pwritev(self, fd: int, pieces: Sequence[Piece], offset: int) -> int:  # type: ignore[override]  # static there
        self._count()
        return super().pwritev(fd, pieces, offset)

    def sync_folder(self, path: str) -> None:
        self._count()
        super().sync_folder(path)

    def unlink(self, path: str) -> None:  # type: ignore[override]  # static there
        self._count()
        super().unlink(path)

    def rename(self, source: str, target: str) -> None:  # type: ignore[override]  # static there
        self._count()
        super().rename(source, target)


def test_power_fails_after_a_large_message_was_dropped(tmp_path: Path) -> None:
    """Its name may come back without its marker's, were they not removed in order: bytes that nobody would end."""
    for seed in range(24):
        root, shadow = tmp_path / f"{seed}", tmp_path / f"{seed}-shadow"
        files = ForgetfulFiles(root, shadow)
        blobs = blobs_at(root, files, LIMITS)
        dropped = blobs.folder.claim(0)
        files.pwritev(dropped.fd, [mail(3_000)], 64)
        files.fdatasync(dropped.fd)
        kept = put_now(blobs, mail(100))  # a higher number, so that the dropped one's name goes
        blobs.sync()
        blobs.folder.drop(dropped.number)
        files.die()
        lose_power(root, shadow, random.Random(seed), keep=0.5)
        again = blobs_at(root, ForgetfulFiles(root, shadow), LIMITS)
        again.recover()
        assert damage(again) == []
        assert again.read(kept) == mail(100)
        again.close()
