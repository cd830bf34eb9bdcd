"""Many operations, few syncs; each operation for itself."""

import asyncio

import pytest

from poterne.store.errors import NotFoundError
from poterne.values.ids import MailboxId
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
