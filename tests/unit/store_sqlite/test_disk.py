"""Disk full, I/O errors, locks held by others, damage: UnavailableError, the process lives, the next operation is right."""

import asyncio
import errno
import fcntl
import os
import sys

import apsw
import pytest

from poterne.store.errors import StoreError, UnavailableError
from poterne.store.sqlite.connection import DATABASE_NAME
from poterne.store.sqlite.engine import open_store
from poterne.store.sqlite.layout import WRITERS_LOCK
from poterne.values.mailbox import FlagChange
from tests.support.stores import ALL, INBOX, World, content, event
from tests.unit.store_sqlite.conftest import Disk


@pytest.mark.parametrize("call", ["xWrite", "xSync", "xRead"])
@pytest.mark.parametrize("error", [apsw.FullError, apsw.IOError])
async def test_database_disk_fails_and_recovers(disk: Disk, call: str, error: type[apsw.Error]) -> None:
    first = await disk.world.deliver()
    if call == "xRead":  # what is in memory needs no disk
        await disk.store.checkpoint()
        disk.store._reader._drop()
        disk.store._writer._transactions._drop()  # type: ignore[attr-defined]
    disk.vfs.fail[call] = error
    for _ in range(3):
        with pytest.raises(UnavailableError):
            await disk.world.deliver()
    disk.vfs.fail.clear()
    second = await disk.world.deliver()
    assert second.uid == first.uid + 1
    await disk.world.consistent()
    assert await disk.store.check() == []


@pytest.mark.parametrize("call", ["pwritev", "fdatasync"])
async def test_segment_disk_fails_and_recovers(disk: Disk, call: str) -> None:
    await disk.world.deliver(b"before")
    disk.files.fail[call] = errno.ENOSPC
    for _ in range(3):
        with pytest.raises(UnavailableError):
            await disk.world.deliver(b"lost")
    await disk.store.store_flags(disk.world.alice, INBOX, ALL, FlagChange.ADD, 1)  # needs no message bytes
    disk.files.fail.clear()
    for _ in range(300):  # the segments wait a little before they try again
        try:
            await disk.world.deliver(b"after")
            break
        except UnavailableError:
            await asyncio.sleep(0.01)
    wide = disk.store.contents(disk.world.alice, INBOX, ALL)
    assert [disk.store.blobs.read(row.blob) for row in wide] == [b"before", b"after"]
    await disk.world.consistent()


async def test_some_of_a_group_fail_with_the_disk_and_all_hear_it(disk: Disk) -> None:
    new = await content(disk.store)
    disk.vfs.fail["xWrite"] = apsw.FullError
    results = await asyncio.gather(*[disk.store.record([event("x")]) for _ in range(20)], return_exceptions=True)
    assert {type(result) for result in results} == {UnavailableError}
    disk.vfs.fail.clear()
    assert await disk.store.events(kind="x") == []
    assert new.blob.size


async def test_database_page_limit_is_disk_full(disk: Disk) -> None:
    connection = apsw.Connection(str(disk.world.folder / DATABASE_NAME))
    pages = connection.execute("PRAGMA page_count").get
    connection.close()
    transactions = disk.store._writer._transactions
    transactions._connection.execute(f"PRAGMA max_page_count={pages}")  # type: ignore[attr-defined]

    async def fill() -> None:
        for _ in range(200):
            await disk.store.record([event("x" * 2000)])

    with pytest.raises(UnavailableError, match="FullError"):
        await fill()
    kept = len(await disk.store.events(limit=1000))
    transactions._connection.execute("PRAGMA max_page_count=1000000")  # type: ignore[attr-defined]
    await disk.store.record([event()])
    assert len(await disk.store.events(limit=1000)) == kept + 1


async def test_locked_by_another_process(disk: Disk) -> None:
    lock = os.open(disk.world.folder / WRITERS_LOCK, os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(UnavailableError, match="within"):
        await disk.store.record([event("late")])
    assert await disk.store.mailboxes(disk.world.alice)  # reading goes on
    os.close(lock)
    await disk.store.record([event("in time")])
    assert await disk.store.events(kind="late") == []  # it was answered: so it must not happen afterwards
    assert len(await disk.store.events(kind="in time")) == 1


async def test_cancelled_before_it_began_has_no_effect(disk: Disk) -> None:
    lock = os.open(disk.world.folder / WRITERS_LOCK, os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    task = asyncio.create_task(disk.store.record([event("cancelled")]))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    os.close(lock)
    await disk.store.record([event()])
    assert await disk.store.events(kind="cancelled") == []


async def test_sqlite_lock_of_a_stranger(disk: Disk) -> None:
    """Somebody opened the database with the sqlite3 tool and holds a transaction."""
    code = (
        "import apsw, sys; c = apsw.Connection(sys.argv[1]); c.execute('BEGIN IMMEDIATE'); print(flush=True);"
        " sys.stdin.read()"
    )
    stranger = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(disk.world.folder / DATABASE_NAME),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert stranger.stdout is not None
    await stranger.stdout.readline()
    with pytest.raises(UnavailableError):
        await disk.store.record([event("late")])
    assert await disk.store.mailboxes(disk.world.alice)
    await stranger.communicate(b"x")
    for _ in range(100):  # the writer is still in its patience with the stranger
        try:
            await disk.store.record([event("then")])
            break
        except UnavailableError:
            pass
    assert await disk.store.events(kind="then")
    assert await disk.store.events(kind="late") == []


async def test_a_defect_in_an_operation_harms_nobody_else(disk: Disk) -> None:
    async def broken() -> None:
        def fail(tx: object) -> None:
            raise ZeroDivisionError

        await disk.store._writer.submit(fail)

    results = await asyncio.gather(
        disk.store.record([event("a")]), broken(), disk.store.record([event("b")]), return_exceptions=True
    )
    assert results[0] is None
    assert results[2] is None
    assert isinstance(results[1], UnavailableError)
    assert len(await disk.store.events(kind="a")) == len(await disk.store.events(kind="b")) == 1


async def test_damaged_database_is_refused_or_reported(disk: Disk) -> None:
    for number in range(50):
        await disk.world.deliver(b"%d" % number)
    await disk.store.close()
    path = disk.world.folder / DATABASE_NAME
    assert not path.with_name(DATABASE_NAME + "-wal").exists()  # the last one to close brings it in
    connection = apsw.Connection(str(path))
    pages = connection.execute("SELECT pageno FROM dbstat WHERE name IN ('mailbox', 'message', 'content')").fetchall()
    connection.close()
    data = bytearray(path.read_bytes())
    for page in (int(str(number)) for (number,) in pages):
        data[(page - 1) * 4096 : (page - 1) * 4096 + 1000] = b"damage!!" * 125
    path.write_bytes(data)
    store = open_store(disk.world.folder)
    world = World(store, disk.world.folder, disk.world.clock, disk.world.alice)
    for _ in range(3):
        with pytest.raises(StoreError):
            await world.deliver()
    try:
        findings = await store.check()
    except UnavailableError:
        findings = None
    assert findings is None or any(finding.fatal and finding.remedy for finding in findings)
    await store.close()
    path.write_bytes(b"no database at all " * 500)
    with pytest.raises(UnavailableError, match=DATABASE_NAME):
        open_store(disk.world.folder)


async def test_damaged_and_missing_message_bytes_are_found(disk: Disk) -> None:
    for number in range(4):
        await disk.world.deliver(b"message %d" % number * 50)
    await disk.store.close()
    (segment,) = (disk.world.folder / "messages").glob("*.seg")
    data = bytearray(segment.read_bytes())
    at = data.index(b"message 2")
    data[at] ^= 1
    segment.write_bytes(data)
    store = open_store(disk.world.folder)
    (finding,) = await store.check()
    assert finding.fatal
    assert "segment" in finding.what
    wide = store.contents(disk.world.alice, INBOX, ALL)
    assert store.blobs.read(wide[1].blob) == b"message 1" * 50
    with pytest.raises(UnavailableError):
        store.blobs.read(wide[2].blob)
    await store.close()
    segment.unlink()
    store = open_store(disk.world.folder)
    findings = await store.check()
    assert len([finding for finding in findings if finding.fatal]) == 4
    await store.close()


async def test_counters_that_are_wrong_are_found(disk: Disk) -> None:
    await disk.world.deliver()
    connection = apsw.Connection(str(disk.world.folder / DATABASE_NAME))
    for sql in (
        "UPDATE mailbox SET unseen = unseen + 1 WHERE mailbox_id = 1",
        "UPDATE account_counter SET used_bytes = 5",
        "DELETE FROM content",
    ):
        connection.execute("SAVEPOINT s")
        connection.execute(sql)
        connection.execute("RELEASE s")
        findings = await disk.store.check()
        assert findings
        assert any(finding.fatal for finding in findings) == (sql == "DELETE FROM content")
    connection.close()
