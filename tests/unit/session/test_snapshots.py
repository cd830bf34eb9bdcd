"""UIDs that sessions of a process share, against a real store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.session.ingest import Ingest
from poterne.session.pending import Snapshots
from poterne.store.interface import Delivery
from poterne.store.sqlite.engine import SqliteStore, open_store
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.mailbox import FlagChange, Mailbox, UidRange
from poterne.values.secret import Secret

EVENT = Event(0, "test", TraceId("t"))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = open_store(tmp_path)
    await store.add_domain("example.org", EVENT)
    await store.add_account("ada@example.org", "", "en", Secret("x"), 0, (), EVENT)
    yield store
    await store.close()


async def inbox(store: SqliteStore) -> Mailbox:
    return await store.mailbox((await store.account("ada@example.org")).id, "INBOX")


async def deliver(store: SqliteStore, count: int) -> None:
    box = await inbox(store)
    deliveries = []
    for _ in range(count):
        ingest = Ingest(store.blobs)
        ingest.feed(b"Subject: x\r\n\r\nbody\r\n")
        deliveries.append(Delivery(box.account_id, box.id, (await ingest.finish()).content, 0, 0, 0))
    await store.deliver(deliveries, (), ())


async def test_shared_until_something_comes_or_goes(store: SqliteStore) -> None:
    snapshots = Snapshots(store)
    await deliver(store, 5)
    _, first = await snapshots.open(await inbox(store))
    box = await inbox(store)
    await store.store_flags(box.account_id, box.id, [UidRange(1, 2)], FlagChange.ADD, 8)
    row, second = await snapshots.open(await inbox(store))
    assert second.uids is first.uids  # flags do not matter
    assert second.modseq == row.highest_modseq > first.modseq
    await store.expunge(box.account_id, box.id, None)
    _, third = await snapshots.open(await inbox(store))
    assert list(third.uids) == [3, 4, 5]
    await deliver(store, 2)
    _, fourth = await snapshots.open(await inbox(store))
    assert list(fourth.uids) == [3, 4, 5, 6, 7]


async def test_two_views_that_see_the_same_share_it(store: SqliteStore) -> None:
    snapshots = Snapshots(store)
    await deliver(store, 3)
    box, one = await snapshots.open(await inbox(store))
    _, other = await snapshots.open(box)
    await deliver(store, 1)
    for view in (one, other):
        view.merge(await store.changes(box.account_id, box.id, view.modseq), expunge=True)
        snapshots.share(box.account_id, box.id, view)
    assert one.uids is other.uids
    assert list(one.uids) == [1, 2, 3, 4]


async def test_what_is_kept_is_bounded(store: SqliteStore) -> None:
    snapshots = Snapshots(store, max_uids=2)
    await deliver(store, 3)
    box, first = await snapshots.open(await inbox(store))
    _, second = await snapshots.open(box)
    assert first.uids is not second.uids
    assert list(second.uids) == [1, 2, 3]


async def test_first_unseen_is_remembered_until_a_change(store: SqliteStore) -> None:
    snapshots = Snapshots(store)
    await deliver(store, 1)
    box, _ = await snapshots.open(await inbox(store))
    assert snapshots.first_unseen(box) is None
    snapshots.remember_unseen(box, 1)
    assert snapshots.first_unseen(box) == 1
    await store.store_flags(box.account_id, box.id, [UidRange(1, 1)], FlagChange.ADD, 1)
    assert snapshots.first_unseen(await inbox(store)) is None
