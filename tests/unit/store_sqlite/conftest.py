from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from poterne.store.blobs.segments import SegmentBlobs
from poterne.store.sqlite.engine import SqliteStore, open_store
from tests.support.failing_files import FailingFiles
from tests.support.failing_vfs import FailingVFS
from tests.support.stores import Clock, World


@dataclass
class Disk:
    """A store whose disk can be made to fail: `vfs` under the database, `files` under the segments."""

    world: World
    store: SqliteStore
    vfs: FailingVFS
    files: FailingFiles


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Disk]:
    folder, clock = tmp_path / "data", Clock()
    vfs, files = FailingVFS("failing"), FailingFiles()
    folder.mkdir()
    store = open_store(
        folder, clock=clock, vfs="failing", blobs=SegmentBlobs(str(folder / "messages"), files=files), wait_limit_s=0.4
    )
    world = World(store, folder, clock)
    await world.settle()
    yield Disk(world, store, vfs, files)
    vfs.fail.clear()
    files.fail.clear()
    await store.close()
    vfs.unregister()
