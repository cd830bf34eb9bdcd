"""Pictures of an account: shared, read once for a burst, right after each kind of change."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.session.imap.pictures import GAP_S
from poterne.session.imap.wide_pictures import Pictures
from poterne.session.notify import Subscriptions
from poterne.store.sqlite.engine import SqliteStore, open_store
from poterne.values.event import Event
from poterne.values.ids import AccountId, MailboxId, ModSeq, TraceId
from poterne.values.mailbox import NAMES, MailboxChanged
from poterne.values.secret import Secret

EVENT = Event(0, "test", TraceId("t"))


class Watcher:
    def __init__(self) -> None:
        self.stirred = 0

    def stir(self) -> None:
        self.stirred += 1


class World:
    def __init__(self, store: SqliteStore, account_id: AccountId) -> None:
        self.store = store
        self.id = account_id
        self.notifier = Subscriptions()
        store.listen(self.notifier.heard)
        self.pictures = Pictures()
        self.watcher = Watcher()
        self.watched = self.pictures.watch(self.notifier, account_id, self.watcher)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = open_store(tmp_path)
    await store.add_domain("example.org", EVENT)
    account = await store.add_account("a@example.org", "", "en", Secret("x"), 0, [("Sent", None)], EVENT)
    yield World(store, account.id)
    await store.close()


async def test_what_did_not_change_is_the_same_object(world: World) -> None:
    first = await world.watched.current(world.store)
    assert await world.watched.current(world.store) is first
    world.notifier.wake_all()  # something may have changed, and nothing has
    assert await world.watched.current(world.store) is first
    made = await world.store.create_mailbox(world.id, "x", None, EVENT)
    second = await world.watched.current(world.store)
    assert second.names_at > first.names_at
    assert second.mailboxes[MailboxId(1)] is first.mailboxes[MailboxId(1)]
    assert second.changed_since(first) == [made.id]


async def test_each_kind_of_change(world: World) -> None:
    store, watched = world.store, world.watched
    made = await store.create_mailbox(world.id, "a/b", None, EVENT)
    await watched.current(store)
    for change, names in (
        (store.claim_recent(world.id, made.id), False),
        (store.subscribe(world.id, "a", True), True),
        (store.subscribe(world.id, "a", True), False),
        (store.subscribe(world.id, "nowhere", False), False),
        (store.subscribe(world.id, "a", False), True),
        (store.rename_mailbox(world.id, made.id, "c/b", EVENT), True),
        (store.delete_mailbox(world.id, made.id, EVENT), True),
    ):
        before = await watched.current(store)
        await change
        after = await watched.current(store)
        assert (after.names_at != before.names_at) is names, change
        rows = {row.id: row for row in await store.mailboxes(world.id)}
        assert {key: (row.name, row.subscribed) for key, row in after.mailboxes.items()} == {
            key: (row.name, row.subscribed) for key, row in rows.items()
        }
        assert after.subscribed == set(await store.subscriptions(world.id))


async def test_a_burst_stirs_twice(world: World) -> None:
    await world.watched.current(world.store)
    await asyncio.sleep(GAP_S * 1.5)
    world.watcher.stirred = 0
    for number in range(50):
        world.notifier.heard([MailboxChanged(world.id, MailboxId(1), ModSeq(number))])
    assert world.watcher.stirred == 1
    await asyncio.sleep(GAP_S * 2)
    assert world.watcher.stirred == 2


async def test_others_accounts_are_nobodys_business(world: World) -> None:
    await asyncio.sleep(GAP_S)
    world.watcher.stirred = 0
    world.notifier.heard(
        [MailboxChanged(AccountId(99), MailboxId(1), ModSeq(5)), MailboxChanged(AccountId(98), NAMES, ModSeq(0))]
    )
    assert world.watcher.stirred == 0


async def test_nothing_is_kept_of_what_nobody_watches(world: World) -> None:
    other = Watcher()
    assert world.pictures.watch(world.notifier, world.id, other) is world.watched
    world.pictures.leave(world.id, world.watcher)
    assert len(world.pictures) == 1
    world.pictures.leave(world.id, other)
    world.pictures.leave(world.id, other)
    assert len(world.pictures) == 0
    assert len(world.notifier) == 0


async def test_a_store_that_fails_leaves_it_stale(world: World) -> None:
    """What could not be read is read the next time."""
    before = await world.watched.current(world.store)
    await world.store.create_mailbox(world.id, "x", None, EVENT)
    reading = asyncio.ensure_future(world.watched.current(world.store))
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    after = await world.watched.current(world.store)
    assert after.names_at > before.names_at
