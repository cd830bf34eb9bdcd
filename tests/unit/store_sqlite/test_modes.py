"""What is stored is nobody else's to read, whatever the umask and the folder's mode are."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from poterne.store.sqlite.engine import open_store
from tests.support.stores import Clock, World


@pytest.fixture
def _open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def readable_by_others(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path.relative_to(folder)) for path in files if path.stat().st_mode & 0o077]


@pytest.mark.usefixtures("_open_umask")
async def test_files_are_their_owner_s_only(tmp_path: Path) -> None:
    store = open_store(tmp_path, clock=Clock())
    try:
        world = World(store, tmp_path, Clock())
        await world.settle()
        await world.deliver()
        assert readable_by_others(tmp_path) == []
    finally:
        await store.close()
