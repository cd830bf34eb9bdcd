import random
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.store.blobs.compact import CompactionLimits, compact, pack_zstd
from poterne.store.blobs.format import FormatError
from poterne.store.blobs.segments import BlobLimits, SegmentBlobs
from poterne.store.blobs.zstd import compress, expand
from poterne.store.errors import UnavailableError
from poterne.values.ids import BlobId
from tests.unit.store_blobs.support import blobs_at, damage, mail, put_now

DAY = 86_400
LATER = int(time.time()) + 2 * DAY


class Rows:
    """The database's side."""

    def __init__(self, named: dict[BlobId, bytes], path: Path | None = None) -> None:
        self.named = named
        self.path = path
        self.transactions = 0

    def live(self, segment: int) -> dict[int, int]:
        return {blob.offset: blob.size for blob in self.named if blob.segment == segment}

    def relink(self, pairs: Sequence[tuple[BlobId, BlobId]]) -> None:
        self.transactions += 1
        for old, new in pairs:
            if self.path is not None:  # written before a row names it
                other = blobs_at(self.path)
                assert other.read(new) == self.named[old]
                other.close()
            if old in self.named:
                self.named[new] = self.named.pop(old)

    def check(self, blobs: SegmentBlobs) -> None:
        for blob, data in self.named.items():
            assert blobs.read(blob) == data
            assert blobs.read(blob, len(data) // 2, len(data) // 2 + 20) == data[len(data) // 2 : len(data) // 2 + 20]


def _text(size: int, seed: int) -> bytes:
    choice = random.Random(seed)
    words = [b"lorem", b"ipsum", b"dolor", b"sit", b"amet", b"\r\n", b"%d" % seed]
    return b" ".join(choice.choices(words, k=size // 4))[:size]


def _stored(path: Path, count: int = 40) -> tuple[SegmentBlobs, Rows]:
    blobs = blobs_at(path)
    named = {}
    for seed in range(count):
        data = _text(3_000 + 1_000 * seed, seed) if seed % 2 else mail(2_000 + 700 * seed, seed)
        named[put_now(blobs, data)] = data
        blobs.sync()
    blobs.close()
    return blobs_at(path), Rows(named, path)


def test_what_is_live_stays_and_what_is_dead_goes(tmp_path: Path) -> None:
    blobs, rows = _stored(tmp_path)
    before = sum(path.stat().st_size for path in tmp_path.glob("*.seg"))
    for blob in sorted(rows.named, key=lambda blob: (blob.segment, blob.offset))[5:]:
        if blob.offset % 5:
            del rows.named[blob]
    first = compact(blobs.folder, rows.live, rows.relink, now=LATER)
    assert first.moved > 0
    assert first.rewritten
    rows.check(blobs)
    second = compact(blobs.folder, rows.live, rows.relink, now=LATER + DAY + 1)
    assert set(first.rewritten) <= set(second.removed)
    for number in second.removed:
        blobs.forget(number)
    rows.check(blobs)
    after = sum(path.stat().st_size for path in tmp_path.glob("*.seg"))
    assert before - after >= before // 2
    assert first.freed_bytes + second.freed_bytes >= before // 2
    assert damage(blobs) == []
    third = compact(blobs.folder, rows.live, rows.relink, now=LATER + DAY + 2)
    assert (third.moved, third.removed) == (0, [])
    blobs.close()


def test_the_young_are_left_alone(tmp_path: Path) -> None:
    blobs, rows = _stored(tmp_path)
    rows.named.clear()
    young = compact(blobs.folder, rows.live, rows.relink, now=int(time.time()) + DAY - 100)
    assert young.removed == []
    old = compact(blobs.folder, rows.live, rows.relink, now=LATER)
    assert len(old.removed) > 5
    assert len(list(tmp_path.glob("*.seg"))) == 1
    assert sum(path.stat().st_size for path in tmp_path.glob("*.seg")) == 0
    blobs.close()


def test_what_is_being_written_is_left_alone(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path)
    blob = put_now(blobs, mail(100))
    blobs.sync()
    rows = Rows({})
    assert compact(blobs.folder, rows.live, rows.relink, now=LATER).removed == []
    assert blobs.read(blob) == mail(100)
    blobs.close()


def test_small_segments_are_merged_and_compressed(tmp_path: Path) -> None:
    rows = Rows({})
    for seed in range(9):
        blobs = blobs_at(tmp_path)
        data = _text(30_000, seed)
        rows.named[put_now(blobs, data)] = data
        blobs.close()
    blobs = blobs_at(tmp_path)
    result = compact(blobs.folder, rows.live, rows.relink, now=LATER)
    assert result.moved == 9
    assert len({blob.segment for blob in rows.named}) == 1
    (segment,) = {blob.segment for blob in rows.named}
    assert (tmp_path / f"{segment:010}.seg").stat().st_size < 9 * 30_000 * 0.8
    rows.check(blobs)
    assert compact(blobs.folder, rows.live, rows.relink, now=LATER + 1).moved == 0
    merged = compact(blobs.folder, rows.live, rows.relink, now=LATER + 3 * DAY)
    assert (merged.moved, len(merged.removed)) == (0, 9)
    rows.check(blobs)
    assert damage(blobs) == []
    blobs.close()


def test_compressed_records_are_moved_again(tmp_path: Path) -> None:
    blobs, rows = _stored(tmp_path)
    eager = CompactionLimits(waste=0.0, grace_s=0)
    for turn in range(3):
        assert compact(blobs.folder, rows.live, rows.relink, now=LATER + turn * DAY, limits=eager).moved == 40
        rows.check(blobs)
    assert damage(blobs) == []
    blobs.close()


def test_a_relink_that_fails_loses_nothing(tmp_path: Path) -> None:
    blobs, rows = _stored(tmp_path)

    def relink(_: Sequence[tuple[BlobId, BlobId]]) -> None:
        raise UnavailableError("locked")

    with pytest.raises(UnavailableError, match="locked"):
        compact(blobs.folder, rows.live, relink, now=LATER, limits=CompactionLimits(waste=0.0))
    rows.check(blobs)
    assert damage(blobs) == []
    assert blobs.folder.unsealed() == []
    blobs.close()


def test_damaged_live_blobs_stay_where_they_are(tmp_path: Path) -> None:
    blobs, rows = _stored(tmp_path, 14)
    bad, other = sorted(rows.named, key=lambda blob: (blob.segment, blob.offset))[:2]
    path = tmp_path / f"{bad.segment:010}.seg"
    raw = bytearray(path.read_bytes())
    raw[bad.offset + 40] ^= 1
    path.write_bytes(raw)
    headless = max(blob.segment for blob in rows.named)
    in_headless = [blob for blob in rows.named if blob.segment == headless]
    (tmp_path / f"{headless:010}.seg").write_bytes(b"x" * 10)
    result = compact(blobs.folder, rows.live, rows.relink, now=LATER, limits=CompactionLimits(waste=0.0))
    assert sorted(result.damaged, key=str) == sorted([bad, *in_headless], key=str)
    assert other not in rows.named
    assert path.exists()
    with pytest.raises(UnavailableError):
        blobs.read(bad)
    blobs.close()


def test_a_large_message_is_not_read_whole(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path, limits=BlobLimits())
    data = b"a" * 34_000_000
    rows = Rows({put_now(blobs, data): data})
    blobs.close()
    assert compact(blobs.folder, rows.live, rows.relink, now=LATER, limits=CompactionLimits(waste=0.0)).moved == 0


def test_two_runs_at_once(tmp_path: Path) -> None:
    blobs, rows = _stored(tmp_path)
    with blobs.folder.upkeep(shared=True):
        assert compact(blobs.folder, rows.live, rows.relink, now=LATER).rewritten == []
    blobs.close()


@given(st.binary(max_size=40_000), st.integers(0, 60))
def test_zstd_gives_back_what_it_got(data: bytes, more: int) -> None:
    packed = compress(data)
    assert expand(packed, len(data)) == data
    if more:
        with pytest.raises(FormatError):
            expand(packed, len(data) + more)
        with pytest.raises(FormatError):
            expand(packed[: len(packed) // 2], len(data))
    if data:
        with pytest.raises(FormatError):
            expand(packed, len(data) - 1)


def test_zstd_that_would_grow_is_stopped() -> None:
    bomb = compress(b"\0" * 50_000_000)
    with pytest.raises(FormatError):
        expand(bomb, 1_000)
    with pytest.raises(FormatError):
        expand(b"no zstd at all", 14)


def test_only_what_pays_is_compressed() -> None:
    assert pack_zstd(mail(10_000), 0.8) is None
    assert pack_zstd(mail(100_000), 0.8) is None
    assert pack_zstd(b"", 0.8) is None
    packed = pack_zstd(b"a" * 100_000, 0.8)
    assert packed is not None
    assert packed.frame_log2 == 14
