import threading
from pathlib import Path

import pytest

from poterne.store.blobs.backup import copy_segments, pinned
from poterne.store.blobs.compact import compact
from poterne.values.ids import BlobId
from tests.unit.store_blobs.support import blobs_at, damage, mail, put, put_now


@pytest.mark.parametrize("link", [False, True])
async def test_a_copy_made_while_writing(tmp_path: Path, link: bool) -> None:
    blobs = blobs_at(tmp_path / "live")
    target = tmp_path / "copy"
    written: dict[BlobId, bytes] = {}

    async def more(count: int) -> None:
        for seed in range(len(written), len(written) + count):
            data = mail(150_000 if seed % 10 == 3 else 4_000, seed)
            written[await put(blobs, data)] = data
            blobs.sync()

    await more(30)
    snapshot = dict(written)
    torn = await put(blobs, mail(5_000, 99))
    with pinned(blobs.folder):
        first = copy_segments(blobs.folder, str(target), link=link)
    copy = blobs_at(target)
    copy.recover()
    assert all(copy.read(blob) == data for blob, data in snapshot.items())
    assert damage(copy) == []
    copy.close()

    await more(30)
    seen: list[tuple[int, int]] = []
    second = copy_segments(blobs.folder, str(target), link=link, progress=lambda done, of: seen.append((done, of)))
    assert seen[0][0] == 0
    assert seen[-1][0] == seen[-1][1] > 5
    copy = blobs_at(target)
    copy.recover()
    assert all(copy.read(blob) == data for blob, data in written.items())
    assert copy.read(torn) == mail(5_000, 99)
    assert damage(copy) == []
    assert copy.folder.unsealed() == []
    if link:
        assert first + second < 200_000
    else:
        assert second < first + 250_000  # the sealed ones of the first time were not copied again
    copy.close()
    blobs.close()
    assert damage(blobs) == []


async def test_the_last_segment_is_copied_again_when_it_was_sealed(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path / "live")
    await put(blobs, mail(100))
    blobs.sync()
    copy_segments(blobs.folder, str(tmp_path / "copy"))
    later = await put(blobs, mail(200))
    blobs.close()
    copy_segments(blobs.folder, str(tmp_path / "copy"))
    copy = blobs_at(tmp_path / "copy")
    assert copy.folder.unsealed() == []
    assert copy.read(later) == mail(200)
    assert damage(copy) == []
    assert copy_segments(blobs.folder, str(tmp_path / "copy")) == 0
    copy.close()


async def test_removing_the_last_segment_does_not_empty_its_link(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path / "live")
    blob = await put(blobs, mail(100))
    blobs.close()
    copy_segments(blobs.folder, str(tmp_path / "copy"), link=True)
    assert compact(blobs.folder, lambda _: {}, lambda _: None, now=2**33).removed == [blob.segment]
    copy = blobs_at(tmp_path / "copy")
    assert copy.read(blob) == mail(100)
    copy.close()


def test_no_compaction_during_a_backup(tmp_path: Path) -> None:
    blobs = blobs_at(tmp_path)
    put_now(blobs, mail(100))
    blobs.close()
    results = []

    def run() -> None:
        results.append(compact(blobs.folder, lambda _: {}, lambda _: None, now=2**33).removed)

    with pinned(blobs.folder):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    run()
    assert results == [[], [1]]
