"""Standing pauses: kept, replaced, ended, and over by themselves."""

import pytest

from poterne.store.errors import LimitError
from poterne.values.queue import Pause, PauseKind
from tests.support.stores import AT, World, event

DOMAIN = Pause(PauseKind.DOMAIN, "slow.test", AT, AT + 100)
ORIGIN = Pause(PauseKind.ORIGIN, "account:ann@example.org", AT)
ALL = Pause(PauseKind.ALL, "", AT)


async def test_they_are_kept_until_they_end(world: World) -> None:
    for pause in (ORIGIN, DOMAIN, ALL):
        await world.store.set_pause(pause, event("queue.pause"))
    assert await world.store.pauses(AT) == [ALL, DOMAIN, ORIGIN]
    assert await world.store.pauses(AT + 100) == [ALL, ORIGIN]
    assert len(await world.store.events(kind="queue.pause")) == 3


async def test_a_second_one_replaces_the_first(world: World) -> None:
    longer = Pause(PauseKind.DOMAIN, "slow.test", AT + 5, 0)
    await world.store.set_pause(DOMAIN, event())
    await world.store.set_pause(longer, event())
    assert await world.store.pauses(AT + 1000) == [longer]


async def test_ending_is_told_once(world: World) -> None:
    await world.store.set_pause(ALL, event())
    assert not await world.store.end_pause(PauseKind.DOMAIN, "", event("queue.resume"))
    assert await world.store.end_pause(PauseKind.ALL, "", event("queue.resume"))
    assert not await world.store.end_pause(PauseKind.ALL, "", event("queue.resume"))
    assert await world.store.pauses(AT) == []
    assert len(await world.store.events(kind="queue.resume")) == 1


async def test_there_are_not_endlessly_many_and_those_that_are_over_go(world: World) -> None:
    world.clock.now = AT
    for number in range(500):
        await world.store.set_pause(Pause(PauseKind.DOMAIN, f"d{number}.test", AT, AT + 100), event())
    with pytest.raises(LimitError):
        await world.store.set_pause(ORIGIN, event())
    assert ORIGIN not in await world.store.pauses(AT)
    world.clock.now = AT + 100
    await world.store.set_pause(ORIGIN, event())
    assert await world.store.pauses(AT) == [ORIGIN]
