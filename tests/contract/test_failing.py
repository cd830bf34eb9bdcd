"""The store that fails at the n-th call: every call of a flow fails in turn, before and after its effect."""

import pytest

from poterne.store.errors import UnavailableError
from poterne.store.failing import Fails, FailurePlan, failing
from poterne.store.interface import Store
from poterne.values.mailbox import FlagChange
from tests.support.stores import ALL, AT, INBOX, World, only


async def flow(world: World) -> None:
    """Receives, reads, flags, moves, removes."""
    await world.deliver(b"one")
    await world.deliver(b"two")
    first, _ = world.rows()
    (wide,) = world.store.contents(world.alice, INBOX, only(first.uid))
    world.store.blobs.read(wide.blob)
    assert [piece async for piece in world.store.blobs.stream(wide.blob)] == [b"one"]
    await world.store.store_flags(world.alice, INBOX, ALL, FlagChange.ADD, 8)
    work = await world.named("Work")
    await world.store.move(world.alice, INBOX, only(first.uid), work.id, AT)
    await world.store.expunge(world.alice, INBOX, None)


@pytest.mark.parametrize("fails", Fails)
async def test_every_call_in_turn(world: World, fails: Fails) -> None:
    sound = world.store
    counting = FailurePlan()
    world.store = failing(sound, counting)
    await flow(world)
    assert counting.calls == len(counting.log) > 10
    assert {"deliver", "writer.finish", "rows", "contents", "blobs.read", "blobs.stream", "expunge"} <= set(
        counting.log
    )
    await sound.remove(world.alice, INBOX, ALL)
    for number in range(1, counting.calls + 1):
        used = await next_uid(sound, world)
        plan = FailurePlan(number, fails)
        world.store = failing(sound, plan)
        with pytest.raises(UnavailableError, match="made to fail"):
            await flow(world)
        assert plan.calls == number
        world.store = sound
        if plan.log[-1] == "deliver":
            expected = plan.log.count("deliver") - (fails is Fails.BEFORE)
            assert await next_uid(sound, world) == used + expected
        await world.consistent()
        await sound.remove(world.alice, INBOX, ALL)
        await sound.remove(world.alice, (await sound.mailbox(world.alice, "Work")).id, ALL)
    world.store = sound


async def next_uid(store: Store, world: World) -> int:
    return (await store.mailbox(world.alice, "INBOX")).uid_next
