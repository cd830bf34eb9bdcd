"""A second backup into the same folder may end at any call: the first one stays whole."""

import shutil
from pathlib import Path

import pytest

from poterne.store.blobs.backup import copy_segments
from poterne.store.blobs.compact import compact
from poterne.store.errors import UnavailableError
from tests.support.failing_files import FailingFiles
from tests.unit.store_blobs.support import blobs_at, damage, mail, put


@pytest.mark.parametrize("sealed_meanwhile", [False, True])
async def test_an_interrupted_backup_leaves_the_earlier_one_as_it_was(tmp_path: Path, sealed_meanwhile: bool) -> None:
    files = FailingFiles()
    blobs = blobs_at(tmp_path / "live", files)
    early = [await put(blobs, mail(5_000, number)) for number in range(3)]
    blobs.sync()
    first = tmp_path / "first"
    copy_segments(blobs.folder, str(first))
    late = await put(blobs, mail(9_000, 9))
    if sealed_meanwhile:
        blobs.close()
    else:
        blobs.sync()
    finished = False
    for at in range(1, 60):
        folder = tmp_path / f"second-{at}"
        shutil.copytree(first, folder)
        files.fail_at = at
        try:
            copy_segments(blobs.folder, str(folder))
            finished = True
        except UnavailableError:
            pass
        files.fail_at = None
        again = blobs_at(folder)
        assert not any(recovered.failed for recovered in again.recover())
        for number, blob in enumerate(early):
            assert again.read(blob) == mail(5_000, number), f"interrupted at call {at}"
        assert damage(again) == [], f"interrupted at call {at}"
        if finished:
            assert again.read(late) == mail(9_000, 9)
        again.close()
        if finished:
            break
    assert finished
    blobs.close()


async def test_a_copy_outlives_the_original_that_compaction_emptied(tmp_path: Path) -> None:
    """Until the newer database is in place, the earlier one names what compaction has removed meanwhile."""
    blobs = blobs_at(tmp_path / "live")
    blob = await put(blobs, mail(100))
    blobs.close()
    copy_segments(blobs.folder, str(tmp_path / "copy"))
    assert compact(blobs.folder, lambda _: {}, lambda _: None, now=2**33).removed == [blob.segment]
    assert copy_segments(blobs.folder, str(tmp_path / "copy")) == 0
    copy = blobs_at(tmp_path / "copy")
    assert copy.read(blob) == mail(100)
    copy.close()
