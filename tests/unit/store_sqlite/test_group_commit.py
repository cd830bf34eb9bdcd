"""Many operations, few syncs; each operation for itself."""

import asyncio
import threading
from pathlib import Path

import pytest

from poterne.store.errors import NotFoundError
from poterne.store.sqlite import events
from poterne.store.sqlite.engine import open_store
from poterne.store.sqlite.layout import WRITERS_LOCK
from poterne.store.sqlite.lock import FileLock
from poterne.store.sqlite.transaction import Tx
from poterne.values.ids import MailboxId
from poterne.values.mailbox import MailboxChanged
from tests.support.stores import INBOX, event
from tests.unit.store_sqlite.conftest import Disk


async def test_64_deliveries_need_few_syncs(disk: Disk) -> None:
    await disk.world.deliver()
    wal, blobs = disk.vfs.syncs("-wal"), disk.files.calls.count("fdatasync")
    appended = await asyncio.gather(*[disk.world.deliver(b"%d" % number) for number in range(64)])
    assert sorted(a.uid for a in appended) == list(range(2, 66))
    assert disk.vfs.syncs("-wal") - wal <= 8
    assert disk.files.calls.count("fdatasync") - blobs <= 8
    await disk.world.consistent()


async def test_bytes_are_synced_before_the_rows_that_name_them(disk: Disk) -> None:
    order: list[str] = []
    disk.vfs.calls = _Log(order, "row")  # type: ignore[assignment]
    disk.files.calls = _Log(order, "bytes")  # type: ignore[assignment]
    for _ in range(5):
        order.clear()
        await disk.world.deliver()
        assert order == ["bytes", "row"]


class _Log(list[object]):
    """Notes syncs only."""

    def __init__(self, order: list[str], name: str) -> None:
        super().__init__()
        self._order, self._name = order, name

    def append(self, call: object) -> None:
        if call == "fdatasync" or (isinstance(call, tuple) and call[0] == "xSync"):
            self._order.append(self._name)


async def test_one_that_fails_is_undone_alone(disk: Disk) -> None:
    results = await asyncio.gather(
        *[disk.world.deliver(to=MailboxId(99) if number % 3 == 0 else INBOX) for number in range(30)],
        return_exceptions=True,
    )
    assert [isinstance(result, NotFoundError) for result in results] == [number % 3 == 0 for number in range(30)]
    assert await disk.world.uids() == list(range(1, 21))
    await disk.world.consistent()


async def test_what_one_turn_of_the_loop_hands_over_is_one_group(disk: Disk) -> None:
    before = disk.store._writer.groups
    await asyncio.gather(*[disk.store.record([event("x")]) for _ in range(50)])
    assert disk.store._writer.groups == before + 1


async def test_who_has_work_to_do_meanwhile_lets_the_thread_begin(disk: Disk) -> None:
    begun = threading.Event()
    writer = disk.store._writer
    done = writer.submit(lambda _: begun.set())
    writer.hand_over()
    assert begun.wait(5)  # the event loop stands still
    await done
    begun.clear()
    done = writer.submit(lambda _: begun.set())
    assert not begun.wait(0.1)
    await done


async def test_what_comes_while_the_lock_is_waited_for_goes_along(disk: Disk) -> None:
    lock = FileLock(disk.world.folder / WRITERS_LOCK)
    order: list[str] = []
    lock.acquire()
    first = asyncio.create_task(disk.world.deliver(b"first"))
    await asyncio.sleep(0.1)
    groups = disk.store._writer.groups
    late = asyncio.create_task(disk.world.deliver(b"late"))
    await asyncio.sleep(0.05)
    disk.vfs.calls = _Log(order, "row")  # type: ignore[assignment]
    disk.files.calls = _Log(order, "bytes")  # type: ignore[assignment]
    lock.close()
    assert [(await first).uid, (await late).uid] == [1, 2]
    assert disk.store._writer.groups == groups + 1
    assert order == ["bytes", "row"]  # the late one's bytes were not there when the first one's were synced
    await disk.world.consistent()


async def test_each_runs_once_more_when_one_fails_and_counts_once(disk: Disk) -> None:
    runs: list[str] = []

    def good(tx: Tx) -> str:
        runs.append("good")
        events.record(tx, (event("good"),))
        return "done"

    def bad(tx: Tx) -> None:
        runs.append("bad")
        events.record(tx, (event("bad"),))
        raise NotFoundError("x")

    writer = disk.store._writer
    found = await asyncio.gather(writer.submit(good), writer.submit(bad), writer.submit(good), return_exceptions=True)
    assert [found[0], type(found[1]), found[2]] == ["done", NotFoundError, "done"]
    assert runs == ["good", "bad", "good", "bad", "good"]
    assert len(await disk.store.events(kind="good")) == 2
    assert await disk.store.events(kind="bad") == []


async def test_changes_of_a_group_that_ran_twice_are_told_once(disk: Disk) -> None:
    heard: list[MailboxChanged] = []
    disk.store.listen(heard.extend)
    await asyncio.gather(disk.world.deliver(), disk.world.deliver(to=MailboxId(99)), return_exceptions=True)
    assert [change.mailbox_id for change in heard] == [INBOX]


async def test_what_was_just_handed_over_is_done_before_the_end(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    recorded = store._writer.submit(events.record, (event("last"),))
    await store.close()
    await recorded
    store = open_store(tmp_path)
    assert len(await store.events(kind="last")) == 1
    await store.close()


async def test_a_lone_operation_waits_for_nobody(disk: Disk) -> None:
    before = disk.store._writer.groups
    for _ in range(3):
        await disk.world.deliver()
    assert disk.store._writer.groups - before == 3


async def test_reading_needs_no_write(disk: Disk) -> None:
    await disk.world.deliver()
    calls = len(disk.vfs.calls)
    await disk.world.uids()
    await disk.store.mailboxes(disk.world.alice)
    await disk.store.keyword_bits(disk.world.alice, [])
    assert len(disk.vfs.calls) == calls


async def test_no_read_transaction_stays_open(disk: Disk) -> None:
    await disk.world.uids()
    with pytest.raises(NotFoundError):
        await disk.store.uids(disk.world.alice, MailboxId(99))
    disk.world.rows()
    for _ in range(10):
        await disk.world.deliver()
    connection = disk.store._connect(busy_ms=100)
    busy, pages, done = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0]
    connection.close()
    assert (busy, pages, done) == (0, 0, 0)


async def test_a_listener_that_fails_harms_nobody(disk: Disk) -> None:
    def fail(changed: object) -> None:
        raise ZeroDivisionError

    heard: list[object] = []
    disk.store.listen(fail)
    disk.store.listen(heard.extend)
    await disk.world.deliver()
    assert len(heard) == 1


async def test_more_operations_than_one_group_takes(disk: Disk) -> None:
    await asyncio.gather(*[disk.store.record([event("many")]) for _ in range(700)])
    assert len(await disk.store.events(kind="many", limit=1000)) == 700
