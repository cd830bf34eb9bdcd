"""The queue over a store that fails at the n-th call: mail is answered 4xx or kept, and nothing is done by half."""

import pytest

from poterne.store.errors import UnavailableError
from poterne.store.failing import Fails, FailurePlan, failing
from poterne.store.interface import QueueFilter, Settled, Store
from poterne.values.queue import QueueChange
from poterne.values.sending import IncidentState, SendingLimits
from tests.support.queueing import sender, submission
from tests.support.stores import AT, World, event

LIMITS = SendingLimits(2, 0, 0, 0)


async def flow(world: World) -> None:
    """Submits, is held, is released, is tried, waits again, is put on hold, is done."""
    store = world.store
    for _ in range(2):
        await store.submit(await submission(world, "a@b.example", "c@d.example", origin=sender(), limits=LIMITS))
    (incident,) = await store.incidents()
    assert len(await store.held(incident.id)) == incident.recipients == 2
    await store.close_incident(incident.id, IncidentState.RELEASED, event("hold.released"))
    assert (await store.incident(incident.id)).state is IncidentState.RELEASED
    assert await store.next_due(AT) == AT
    one, two, *rest = await store.lease(AT, AT + 60, 10, 10)
    assert len(rest) == 2
    await store.settle([Settled(one.id, True), Settled(two.id, False, AT + 30, "451 later")], [event("message.tried")])
    assert await store.reclaim() == 2
    assert (
        await store.postpone_domain("b.example", 0, AT + 40) + await store.postpone_domain("d.example", 0, AT + 40) == 3
    )
    assert await store.change_queue(QueueFilter(), QueueChange.RETRY, AT, event("queue.retried")) == 3
    assert len(await store.queued(where=QueueFilter(origin="shop"))) == 3
    await store.settle([Settled(one.id, True) for one in await store.lease(AT, AT + 60, 10, 10)])


async def state(store: Store) -> tuple[int, int]:
    return await store.queue_depth(), len(await store.incidents(open_only=False))


async def empty(store: Store) -> None:
    for incident in await store.incidents():
        await store.close_incident(incident.id, IncidentState.RELEASED, event())
    await store.change_queue(QueueFilter(), QueueChange.REMOVE, AT, event())


@pytest.mark.parametrize("fails", Fails)
async def test_every_call_in_turn(world: World, fails: Fails) -> None:
    sound = world.store
    counting = FailurePlan()
    world.store = failing(sound, counting)
    await flow(world)
    assert {"submit", "lease", "settle", "close_incident", "change_queue", "reclaim", "next_due"} <= set(counting.log)
    assert await sound.queue_depth() == 0
    for number in range(1, counting.calls + 1):
        plan = FailurePlan(number, fails)
        world.store = failing(sound, plan)
        before = await state(sound)
        with pytest.raises(UnavailableError, match="made to fail"):
            await flow(world)
        assert plan.calls == number
        if plan.log == ["writer.finish", "submit"]:
            taken = 2 if fails is Fails.AFTER else 0
            assert await state(sound) == (before[0] + taken, before[1])
        assert await sound.check() == []
        await empty(sound)
        assert await sound.queue_depth() == 0
        await begin_anew(sound, world)
    world.store = sound


async def begin_anew(store: Store, world: World) -> None:
    """Hold and release once more: what was counted in this walk must not decide over the next one."""
    sound, world.store = world.store, store
    many = [f"{n}@b.example" for n in range(3)]
    submitted = await store.submit(await submission(world, *many, origin=sender(), limits=LIMITS))
    assert submitted.incident is not None
    await empty(store)
    world.store = sound
