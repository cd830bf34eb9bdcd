"""What remote organisations took stays within bounds, also over several runs."""

from pathlib import Path

import pytest

from poterne.lab import taken
from poterne.lab.taken import Shelf


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def put(shelf: Shelf, octets: int = 10) -> int:
    return shelf.put("a@b.test", ["c@d.test"], "", (b"x" * octets,))


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taken, "FILES_MOST", 3)
    shelf = Shelf(tmp_path / "d.test")
    assert not (tmp_path / "d.test").exists()
    assert [put(shelf) for _ in range(5)] == [1, 2, 3, 4, 5]
    assert names(tmp_path / "d.test") == ["00000003.eml", "00000004.eml", "00000005.eml"]
    (tmp_path / "d.test" / "notes.txt").write_text("mine")
    again = Shelf(tmp_path / "d.test")
    assert (put(again), len(again.taken)) == (6, 1)
    assert names(tmp_path / "d.test") == ["00000004.eml", "00000005.eml", "00000006.eml", "notes.txt"]


def test_and_when_they_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taken, "OCTETS_MOST", 100)
    shelf = Shelf(tmp_path)
    for size in (40, 60, 1, 99, 200):
        put(shelf, size)
        kept = [path.stat().st_size for path in tmp_path.iterdir()]
        assert sum(kept) <= 100 or kept == [200]
    (tmp_path / "00000005.eml").unlink()  # somebody tidies up
    put(shelf, 50)
    put(shelf, 60)
    assert names(tmp_path) == ["00000007.eml"]
