"""The index as the steward keeps it, and as it is made anew."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.app.searching import Indexing, reindex
from poterne.config.search import Search
from poterne.session.ingest import Ingest
from poterne.store.interface import Delivery
from poterne.store.sqlite.search_file import SEARCH_NAME
from tests.support.lines import Lines
from tests.support.stores import AT, INBOX, Clock, World, sqlite


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = Clock()
    made = World(sqlite(tmp_path / "data", clock), tmp_path / "data", clock)
    await made.settle()
    yield made
    await made.store.close()


async def fill(world: World, count: int, word: str = "word") -> None:
    new = []
    for number in range(count):
        ingest = Ingest(world.store.blobs)
        ingest.feed(f"Subject: s{number}\r\n\r\n{word}{number}. {'filling ' * 200}\r\n".encode())
        new.append((await ingest.finish()).content)
    await world.store.deliver([Delivery(world.alice, None, one, 0, AT, 0) for one in new], [], [])


async def held(world: World, text: str) -> list[int] | None:
    row = await world.store.mailbox_by_id(world.alice, INBOX)
    found = world.store.may_hold(row, text.encode(), header=False, body=True)
    return None if found is None else [int(uid) for uid in found]


async def test_new_mail_comes_into_the_index_when_there_is_enough_of_it(world: World) -> None:
    log = Lines()
    indexing = Indexing(world.store, Search(cpu_percent=100), log)
    await fill(world, 31)
    assert await indexing.once() == 0
    await fill(world, 1, "last")
    assert await indexing.once() == 32
    assert await held(world, "word7.") == [8]
    assert await indexing.once() == 0


async def test_it_takes_its_share_of_a_core_and_others_get_their_turns(world: World) -> None:
    await fill(world, 300)
    started = time.monotonic()
    assert reindex(world.store, lambda done, total: None) == 300
    alone_s = time.monotonic() - started
    writer = world.store.search_writer()
    writer.forget_all()
    writer.close()
    beside = asyncio.create_task(Indexing(world.store, Search(cpu_percent=10), Lines()).once())
    started, longest_s, turns = time.monotonic(), 0.0, 0
    while not beside.done():
        before = time.monotonic()
        await asyncio.sleep(0)
        longest_s = max(longest_s, time.monotonic() - before)
        turns += 1
    assert await beside == 300
    assert time.monotonic() - started > 2 * alone_s
    assert turns > 100
    assert longest_s < 0.25


async def test_a_task_that_ends_lets_others_write(world: World) -> None:
    await fill(world, 300)
    task = asyncio.create_task(Indexing(world.store, Search(cpu_percent=1), Lines()).once())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert await Indexing(world.store, Search(cpu_percent=100), Lines()).once() == 300


async def test_only_one_is_at_it(world: World) -> None:
    await fill(world, 40)
    other = world.store.search_writer()
    assert other.begin()
    indexing = Indexing(world.store, Search(), Lines())
    assert await indexing.once() == 0
    other.end()
    other.close()
    assert await indexing.once() == 40


async def test_without_an_index_by_the_settings_there_is_none(world: World) -> None:
    await fill(world, 40)
    await Indexing(world.store, Search(cpu_percent=100), Lines()).once()
    assert (world.folder / SEARCH_NAME).exists()
    assert await Indexing(world.store, Search(index=False), Lines()).once() == 0
    assert not (world.folder / SEARCH_NAME).exists()
    assert await held(world, "word7.") is None


async def test_made_anew_with_progress(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poterne.app.searching.SAVE_EVERY", 1)  # also where a change is under way
    await fill(world, 100)
    shown: list[tuple[int, int]] = []
    assert reindex(world.store, lambda done, total: shown.append((done, total))) == 100
    assert shown[-1] == (100, 100)
    assert await held(world, "word7.") == [8]
    assert reindex(world.store, lambda done, total: None) == 100
    writer = world.store.search_writer()
    writer.forget_all()
    writer.close()
    assert await Indexing(world.store, Search(cpu_percent=100), Lines()).once() == 100


async def test_trouble_is_told_and_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(world, 40)
    (world.folder / SEARCH_NAME).write_bytes(b"x" * 5000)
    log = Lines()
    monkeypatch.setattr("poterne.app.searching.FIRST_S", 0.0)
    indexing = Indexing(world.store, Search(cpu_percent=100, every_s=1), log)
    task = asyncio.create_task(indexing.run())
    try:
        async with asyncio.timeout(10):
            while await held(world, "word7.") != [8]:  # noqa: ASYNC110  # it is a file that changes
                await asyncio.sleep(0.05)
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert "search.index" in str(log.lines)
