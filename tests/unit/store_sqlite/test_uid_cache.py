"""The UIDs of a mailbox, however they are found, are those of its rows."""

import random
from array import array
from pathlib import Path

import pytest

from poterne.store.sqlite import uid_cache
from poterne.store.sqlite.engine import SqliteStore, open_store
from poterne.values.mailbox import Flag, FlagChange, UidRange
from tests.support.stores import ALL, AT, INBOX, Clock, World, event, only


@pytest.mark.parametrize("seed", range(6))
async def test_any_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(uid_cache, "_DERIVED_LEAST", 2)
    monkeypatch.setattr(uid_cache, "_DERIVED_RANGES", 6)
    monkeypatch.setattr(uid_cache, "_FEW_RANGES", 2)
    dice = random.Random(seed)
    store: SqliteStore = open_store(tmp_path / "data", clock=Clock())
    world = World(store, tmp_path / "data", Clock())
    await world.settle()
    await store.create_mailbox(world.alice, "Work/Child", None, event())
    derived = 0
    for _ in range(80):
        work = (await world.named("Work")).id
        here, there = dice.sample([INBOX, work], 2)
        known = [row.uid for row in world.rows(here)]
        some = only(*sorted(dice.sample(known, dice.randint(0, min(3, len(known))))))
        match dice.randrange(8):
            case 0 | 1 | 2:
                await world.deliver(to=here)
            case 3 if some:
                await store.store_flags(world.alice, here, some, FlagChange.ADD, int(Flag.DELETED))
                await store.expunge(world.alice, here, None)
            case 4 if some:
                await store.remove(world.alice, here, some)
            case 5 if some:
                await store.move(world.alice, here, some, there, AT)
            case 6:
                await store.copy(world.alice, here, ALL, there, AT)
            case 7 if dice.random() < 0.2:
                await store.delete_mailbox(world.alice, work, event())  # the name stays, for its child
                await store.create_mailbox(world.alice, "Work", None, event())
        if len(world.rows(here)) > 300:
            await store.remove(world.alice, here, [UidRange(1, known[-1])])
        for mailbox in (INBOX, (await world.named("Work")).id):
            fresh = uid_cache.UidCache(store._reader, 10**6)
            row, packed = fresh.uids(world.alice, mailbox)
            expected = array("I", [found.uid for found in world.rows(mailbox)]).tobytes()
            assert packed == expected
            derived += fresh._derived(row) is not None
            assert (await store.uids(world.alice, mailbox))[1] == expected  # the one that has followed all of it
    assert derived
    await store.close()
