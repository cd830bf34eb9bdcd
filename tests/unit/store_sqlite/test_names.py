import asyncio
import os
from pathlib import Path

import pytest

from poterne.store.sqlite.engine import open_store


def test_the_folders_of_a_new_store_are_durable_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A synced file in a folder whose own name was never synced is lost with it."""
    synced: list[tuple[int, set[str]]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        folders = [folder for folder in (tmp_path, tmp_path / "data") if folder.stat().st_ino == found.st_ino]
        names = {each.name for folder in folders for each in folder.iterdir()}
        synced.append((found.st_ino, names))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    store = open_store(tmp_path / "data")
    asyncio.run(store.close())
    assert (tmp_path.stat().st_ino, {"data"}) in synced
    assert any({"messages", "poterne.db"} <= names for _, names in synced)
