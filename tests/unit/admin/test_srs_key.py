import os
import threading
from pathlib import Path

import pytest

from poterne.admin import srs_key
from poterne.values.secret import Secret


def test_made_once_for_its_owner_only(tmp_path: Path) -> None:
    keys = srs_key.ensure(tmp_path)
    file = tmp_path / srs_key.FILE
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(keys) == 1
    assert len(keys[0].reveal()) == srs_key.KEY_BYTES
    assert srs_key.ensure(tmp_path) == keys == srs_key.read(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [srs_key.FILE]


def test_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        srs_key.ensure(tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / srs_key.FILE).stat().st_mode & 0o777 == 0o600


def test_two_instances_have_two_keys(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert srs_key.ensure(tmp_path / "a") != srs_key.ensure(tmp_path / "b")


def test_all_who_come_at_once_get_the_same(tmp_path: Path) -> None:
    found: list[tuple[Secret, ...]] = []
    barrier = threading.Barrier(8)

    def come() -> None:
        barrier.wait()
        found.append(srs_key.ensure(tmp_path))

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(keys == found[0] for keys in found)
    assert [path.name for path in tmp_path.iterdir()] == [srs_key.FILE]


def test_a_new_key_comes_first_and_old_ones_stay(tmp_path: Path) -> None:
    first = srs_key.ensure(tmp_path)
    second = srs_key.replace(tmp_path)
    assert second[1:] == first
    assert second[0] != first[0]
    for _ in range(20):
        srs_key.replace(tmp_path)
    assert len(srs_key.read(tmp_path)) == srs_key.MAX_KEYS
    assert (tmp_path / srs_key.FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "octets",
    [b"", b"\n", b"zz" * 32, b"abc", b"ab" * 15, b"\xff\xfe", b"ab" * 32 + b"\n\n0a", (b"ab" * 16 + b"\n") * 9],
)
def test_a_damaged_file_is_never_overwritten(tmp_path: Path, octets: bytes) -> None:
    file = tmp_path / srs_key.FILE
    file.write_bytes(octets)
    file.chmod(0o600)
    for use in (srs_key.ensure, srs_key.read, srs_key.replace):
        with pytest.raises(srs_key.DamagedError, match="backup"):
            use(tmp_path)
    assert file.read_bytes() == octets


def test_a_file_that_others_read_is_refused(tmp_path: Path) -> None:
    srs_key.ensure(tmp_path)
    (tmp_path / srs_key.FILE).chmod(0o640)
    with pytest.raises(srs_key.DamagedError, match="chmod 600"):
        srs_key.ensure(tmp_path)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("ab" * 32)
    elsewhere.chmod(0o600)
    (tmp_path / srs_key.FILE).symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic"):
        srs_key.ensure(tmp_path)


def test_without_a_folder(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        srs_key.ensure(tmp_path / "missing")
