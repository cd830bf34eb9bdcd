"""Accidents that follow each other: a process dies, then the power goes."""

import random
from pathlib import Path

from tests.support.forgetful import ForgetfulFiles, lose_power
from tests.unit.store_blobs.support import blobs_at, damage, mail, put_now


def test_an_end_mark_that_was_never_synced_is_synced_before_the_segment_counts_as_sealed(tmp_path: Path) -> None:
    root, shadow = tmp_path / "blobs", tmp_path / "shadow"
    files = ForgetfulFiles(root, shadow)
    blobs = blobs_at(root, files)
    blob = put_now(blobs, mail(5_000))
    blobs.sync()

    def die(_: int) -> None:
        raise OSError(5, "killed")

    files.fdatasync = die  # type: ignore[method-assign,assignment]
    blobs.close()  # the end mark is written, not synced, and the marker stays
    files.die()
    files = ForgetfulFiles(root, shadow)
    again = blobs_at(root, files)
    (recovered,) = again.recover()
    assert not recovered.failed
    assert again.folder.unsealed() == []
    files.sync_folder(str(root))  # as the next segment's making does: the marker is gone for good
    files.die()
    lose_power(root, shadow, random.Random(1), keep=0.0)
    last = blobs_at(root, ForgetfulFiles(root, shadow))
    last.recover()
    assert last.read(blob) == mail(5_000)
    assert damage(last) == []
    last.close()
