"""Flags are committed at once and synced within a second; nothing else is acknowledged before the disk has it (ADR 8)."""

import asyncio
from pathlib import Path

import pytest

from poterne.store import writer
from poterne.store.sqlite.boot import GAP
from poterne.store.sqlite.engine import open_store
from poterne.store.sqlite.layout import WRITERS_LOCK
from poterne.store.sqlite.lock import FileLock
from poterne.values.mailbox import Flag, FlagChange, UidRange
from tests.support.stores import ALL, INBOX, Clock, World
from tests.unit.store_sqlite.conftest import Disk


async def flag(world: World, change: FlagChange = FlagChange.ADD) -> int:
    modseq, _, *_ = await world.store.store_flags(world.alice, INBOX, ALL, change, Flag.SEEN)
    return modseq


async def test_flags_do_not_wait_for_the_disk(disk: Disk) -> None:
    await disk.world.deliver()
    before = disk.vfs.syncs("-wal")
    for change in (FlagChange.ADD, FlagChange.REMOVE, FlagChange.ADD):
        await flag(disk.world, change)
    assert disk.vfs.syncs("-wal") == before
    await disk.world.consistent()


async def test_the_next_message_takes_them_along(disk: Disk) -> None:
    await disk.world.deliver()
    await flag(disk.world)
    before = disk.vfs.syncs("-wal")
    await disk.world.deliver()
    assert disk.vfs.syncs("-wal") == before + 1
    assert disk.store._writer._unsynced_since is None


async def test_a_sync_follows_by_itself(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RELAXED_S", 0.05)
    await disk.world.deliver()
    before = disk.vfs.syncs("-wal")
    await flag(disk.world)
    async with asyncio.timeout(5):
        while disk.vfs.syncs("-wal") == before:  # noqa: ASYNC110  (the sync is in another thread)
            await asyncio.sleep(0.01)
    assert disk.store._writer._unsynced_since is None
    await disk.world.deliver()  # and the connection is durable again
    assert disk.vfs.syncs("-wal") > before + 1


async def test_under_load_of_flags_alone_a_sync_comes_too(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RELAXED_S", 0.05)
    await disk.world.deliver()
    before, began = disk.vfs.syncs("-wal"), asyncio.get_running_loop().time()
    changes = [FlagChange.ADD, FlagChange.REMOVE]
    count = 0
    while asyncio.get_running_loop().time() < began + 0.5:
        await flag(disk.world, changes[count % 2])
        count += 1
    assert 2 <= disk.vfs.syncs("-wal") - before < count


async def test_after_another_boot_modseqs_leave_a_gap(tmp_path: Path) -> None:
    clock = Clock()
    store = open_store(tmp_path, clock=clock, boot=1)
    world = World(store, tmp_path, clock)
    await world.settle()
    await world.deliver()
    seen = await flag(world)
    account = world.alice
    await store.close()

    store = open_store(tmp_path, clock=clock, boot=1)
    again, _, *_ = await store.store_flags(account, INBOX, ALL, FlagChange.REMOVE, Flag.SEEN)
    await store.close()
    assert again == seen + 1

    store = open_store(tmp_path, clock=clock, boot=2)
    try:
        inbox = await store.mailbox_by_id(account, INBOX)
        assert inbox.highest_modseq == again + GAP
        later, _, *_ = await store.store_flags(account, INBOX, ALL, FlagChange.ADD, Flag.SEEN)
        assert later > again + GAP
        changes = await store.changes(account, INBOX, inbox.highest_modseq)
        assert [row.uid for row in changes.changed] == [1]
        assert await store.check() == []
    finally:
        await store.close()


async def test_few_flags_are_stored_without_the_writer_thread(disk: Disk) -> None:
    await disk.world.deliver()
    groups = disk.store._writer.groups
    stored = disk.store.store_flags(disk.world.alice, INBOX, [UidRange(1, 1)], FlagChange.ADD, Flag.SEEN)
    task = asyncio.ensure_future(stored)
    await asyncio.sleep(0)  # one turn of the loop is enough: nobody else had to run
    assert task.done()
    assert disk.store._writer.groups == groups + 1
    assert [row.flags for row in task.result().rows or ()] == [Flag.SEEN]


async def test_few_flags_wait_when_another_process_writes(disk: Disk) -> None:
    await disk.world.deliver()
    other = FileLock(disk.world.folder / WRITERS_LOCK)
    assert other.acquire(wait=False)
    task = asyncio.ensure_future(
        disk.store.store_flags(disk.world.alice, INBOX, [UidRange(1, 1)], FlagChange.ADD, Flag.SEEN)
    )
    await asyncio.sleep(0.05)
    assert not task.done()
    other.release()
    assert (await task).changed == 1
    other.close()
    await disk.world.consistent()


async def test_few_flags_keep_their_order_with_what_waits(disk: Disk) -> None:
    await disk.world.deliver()
    delivered = asyncio.ensure_future(disk.world.deliver())  # will be UID 2
    await asyncio.sleep(0)
    stored = await disk.store.store_flags(disk.world.alice, INBOX, [UidRange(2, 2)], FlagChange.ADD, Flag.SEEN)
    assert stored.changed == 1
    await delivered
