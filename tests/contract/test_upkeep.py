"""Check, backup, compaction, checkpoint, poll, close."""

import asyncio
from pathlib import Path

import pytest

from poterne.store.errors import StoreError, UnavailableError
from poterne.values.mailbox import Flag, FlagChange
from tests.support.stores import ALL, AT, INBOX, Clock, Factory, World, event, modseq, only


async def test_compaction_gives_space_back_after_the_grace(world: World) -> None:
    await asyncio.gather(*[world.deliver(b"%06d" % number * 10_000) for number in range(60)])
    await world.deliver(b"kept")
    await world.store.remove(world.alice, INBOX, only(*range(1, 61)))
    assert await world.store.compact() == 0  # just removed
    freed = 0
    for _ in range(3):
        world.clock.now += 1_000_000_000  # also beyond the real time of the files
        freed += await world.store.compact()
    assert freed > 2_000_000
    (wide,) = world.store.contents(world.alice, INBOX, ALL)
    assert world.store.blobs.read(wide.blob) == b"kept"


async def test_compaction_of_a_removed_account(world: World) -> None:
    bob = await world.account("bob@example.org")
    alice, world.alice = world.alice, bob
    for number in range(30):
        await world.deliver(references=(number,))
    await world.store.copy(bob, INBOX, ALL, (await world.named("Work")).id, AT)
    world.alice = alice
    await world.store.remove_account(bob, event())
    world.clock.now += 1_000_000
    await world.store.compact()
    assert await world.store.check() == []


async def test_changes_stay_complete_when_the_log_was_cut(world: World) -> None:
    for _ in range(3):
        await world.deliver()
    start = (await world.named("INBOX")).highest_modseq
    await world.store.store_flags(world.alice, INBOX, only(1), FlagChange.ADD, Flag.ANSWERED)
    for number in range(1_100):  # in groups, so that it is quick
        pair = [
            world.store.store_flags(world.alice, INBOX, only(2), change, Flag.FLAGGED)
            for change in (FlagChange.ADD, FlagChange.REMOVE)
        ]
        if number % 50 == 0:
            await asyncio.gather(
                *pair, *[world.store.store_flags(world.alice, INBOX, only(2), FlagChange.ADD, Flag.SEEN)]
            )
        else:
            await asyncio.gather(*pair)
    await world.store.compact()
    found = await world.store.changes(world.alice, INBOX, start)
    assert [row.uid for row in found.changed] == [1, 2]
    near = await world.store.changes(world.alice, INBOX, modseq(found.highest_modseq - 2))
    assert [row.uid for row in near.changed] == [2]


async def test_check_shows_progress(world: World) -> None:
    await world.deliver()
    seen: list[tuple[int, int]] = []
    assert await world.store.check(lambda done, total: seen.append((done, total))) == []
    assert seen[-1][0] == seen[-1][1]


async def test_backup_while_writing_is_consistent(world: World, engine: Factory, tmp_path: Path) -> None:
    stop = asyncio.Event()

    async def write() -> int:
        count = 0
        while not stop.is_set():
            await world.deliver(b"%d" % count)
            count += 1
        return count

    writing = asyncio.create_task(write())
    for _ in range(2):  # the second adds to the first
        await asyncio.sleep(0.05)
        await world.store.backup(str(tmp_path / "copy"), lambda done, total: None)
    stop.set()
    count = await writing
    copy = World(engine(tmp_path / "copy", Clock()), tmp_path / "copy", Clock(), world.alice)
    assert await copy.store.check() == []
    await copy.consistent()
    found = copy.store.contents(copy.alice, INBOX, ALL)
    assert 0 < len(found) <= count
    assert [copy.store.blobs.read(wide.blob) for wide in found] == [b"%d" % number for number in range(len(found))]
    await copy.store.close()


async def test_backup_into_a_folder_with_something_else(world: World, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday").touch()
    with pytest.raises(StoreError):
        await world.store.backup(str(tmp_path / "photos"))
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["holiday"]


async def test_checkpoint_and_poll(world: World) -> None:
    for _ in range(5):
        await world.deliver()
    await world.store.checkpoint()
    world.store.poll()
    await world.deliver()
    assert not world.store.poll()  # its own


async def test_poll_tells_of_another_store(world: World, engine: Factory) -> None:
    other = engine(world.folder, world.clock)
    world.store.poll(), other.poll()
    await other.record([event()])
    assert world.store.poll()
    assert not world.store.poll()
    assert not other.poll()
    await world.deliver()
    await other.record([event()])
    await world.deliver()
    assert world.store.poll()
    assert other.poll()
    assert not world.store.poll()
    await other.close()


async def test_reopening_finds_everything(world: World, engine: Factory) -> None:
    await world.deliver(b"kept")
    before = await world.store.mailboxes(world.alice)
    await world.store.close()
    await world.store.close()
    world.store = engine(world.folder, world.clock)
    assert await world.store.mailboxes(world.alice) == before
    (wide,) = world.store.contents(world.alice, INBOX, ALL)
    assert world.store.blobs.read(wide.blob) == b"kept"


async def test_a_closed_store_is_unavailable(engine: Factory, tmp_path: Path) -> None:
    store = engine(tmp_path / "other", Clock())
    await store.close()
    for call in (store.record([event()]), store.domains(), store.check()):
        with pytest.raises(UnavailableError):
            await call


async def test_closing_finishes_what_was_handed_over(engine: Factory, tmp_path: Path) -> None:
    clock = Clock()
    store = engine(tmp_path / "other", clock)
    pending = [asyncio.ensure_future(store.record([event("pending", number=number)])) for number in range(20)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*pending)
    again = engine(tmp_path / "other", clock)
    assert len(await again.events(kind="pending")) == 20
    await again.close()
