"""Incidents: what is held of one origin, released or purged as one."""

import asyncio

import pytest

from poterne.store.errors import ConflictError, NotFoundError
from poterne.store.interface import QueueFilter
from poterne.values.ids import IncidentId, QueueId
from poterne.values.origin import Origin
from poterne.values.queue import QueueChange, QueuedRecipient, QueueState
from poterne.values.sending import HoldReason, Incident, IncidentState, SendingLimits
from tests.support.queueing import account, put, sender, submission
from tests.support.stores import AT, World, event

STRICT = SendingLimits(1, 0, 0, 0)


async def hold(world: World, *paths: str, origin: Origin | None = None, local: tuple[str, ...] = ()) -> IncidentId:
    new = await submission(world, *paths, origin=origin, limits=STRICT, mine=local)
    submitted = await world.store.submit(new)
    assert submitted.incident is not None
    return submitted.incident


async def hold_many(world: World, messages: int, recipients: int) -> IncidentId:
    """At least 2 recipients."""
    held = [
        await hold(world, *[f"{number}-{n}@remote.example" for n in range(recipients)]) for number in range(messages)
    ]
    assert len(set(held)) == 1
    return held[0]


async def test_incidents_newest_first(world: World) -> None:
    first = await hold(world, "a@remote.example", "b@remote.example")
    second = await hold(world, "a@remote.example", "b@remote.example", origin=sender())
    assert [one.id for one in await world.store.incidents()] == [second, first]
    assert [one.id for one in await world.store.incidents(limit=1)] == [second]
    found = await world.store.incident(first)
    assert found == Incident(
        first, account(account_id=world.alice), HoldReason.DAY, AT, IncidentState.OPEN, 0, 1, 2
    )  # fmt: skip
    await world.store.close_incident(second, IncidentState.PURGED, event())
    assert [one.id for one in await world.store.incidents()] == [first]
    assert [one.id for one in await world.store.incidents(open_only=False)] == [second, first]
    with pytest.raises(NotFoundError):
        await world.store.incident(IncidentId(99))


async def test_held_comes_in_pages(world: World) -> None:
    other = await hold(world, "x@remote.example", "y@remote.example", origin=sender())
    incident = await hold_many(world, 3, 3)
    await put(world, "free@remote.example")
    pages: list[QueuedRecipient] = []
    while page := await world.store.held(incident, 2, pages[-1].id if pages else None):
        assert len(page) <= 2
        pages += page
    assert len(pages) == 9
    assert pages == await world.store.held(incident)
    assert [one.id for one in pages] == sorted(one.id for one in pages)
    assert len(await world.store.held(other)) == 2
    await world.store.change_queue(QueueFilter(id=pages[4].id), QueueChange.REMOVE, AT, event())
    rest = await world.store.held(incident, after=pages[4].id)
    assert rest == pages[5:]
    assert await world.store.held(incident, after=QueueId(10_000)) == []
    assert await world.store.held(IncidentId(99)) == []


async def test_released_mail_waits_and_the_count_begins_anew(world: World) -> None:
    incident = await hold(world, "a@remote.example", local=("alice@example.org",))
    world.clock.now = AT + 50
    closed = await world.store.close_incident(incident, IncidentState.RELEASED, event("hold.released"))
    assert (closed.state, closed.closed_at, closed.messages, closed.recipients) == (IncidentState.RELEASED, AT, 1, 2)
    assert await world.store.incident(incident) == closed
    assert await world.store.held(incident) == []
    found = await world.store.lease(AT + 50, AT + 99, 10, 10)
    assert sorted(one.forward_path for one in found) == ["a@remote.example", "alice@example.org"]
    assert found[0].message.incident_id is None
    assert len(await world.store.events(kind="hold.released")) == 1
    new = await submission(world, "a@remote.example", limits=STRICT)
    assert (await world.store.submit(new)).incident is None
    again = await hold(world, "a@remote.example")  # another incident
    assert again != incident


async def test_purged_mail_is_gone_and_the_count_stays(world: World) -> None:
    new = await submission(world, "a@remote.example", limits=STRICT)
    assert (await world.store.submit(new)).incident is None
    incident = await hold(world, "a@remote.example")
    await hold(world, "b@remote.example", "c@remote.example")
    closed = await world.store.close_incident(incident, IncidentState.PURGED, event("hold.purged"))
    assert (closed.state, closed.messages, closed.recipients) == (IncidentState.PURGED, 2, 3)
    assert await world.store.queue_depth() == 1
    assert await hold(world, "a@remote.example") != incident


async def test_closed_is_closed(world: World) -> None:
    incident = await hold(world, "a@remote.example", "b@remote.example")
    with pytest.raises(ConflictError):
        await world.store.close_incident(incident, IncidentState.OPEN, event("hold.closed"))
    await world.store.close_incident(incident, IncidentState.RELEASED, event("hold.closed"))
    for state in (IncidentState.RELEASED, IncidentState.PURGED):
        with pytest.raises(ConflictError):
            await world.store.close_incident(incident, state, event("hold.closed"))
    with pytest.raises(NotFoundError):
        await world.store.close_incident(IncidentId(99), IncidentState.PURGED, event("hold.closed"))
    assert len(await world.store.events(kind="hold.closed")) == 1


@pytest.mark.parametrize("finish", ["again", "upkeep"])
@pytest.mark.parametrize("state", [IncidentState.RELEASED, IncidentState.PURGED])
async def test_an_interrupted_close_is_finished(world: World, state: IncidentState, finish: str) -> None:
    incident = await hold_many(world, 60, 100)
    total = 6_000
    closing = asyncio.create_task(world.store.close_incident(incident, state, event("hold.closed")))
    while len(await world.store.held(incident, 10_000)) == total:  # noqa: ASYNC110  # until a step was made
        await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert 0 < len(await world.store.held(incident, 10_000)) < total
    opposite = IncidentState.PURGED if state is IncidentState.RELEASED else IncidentState.RELEASED
    with pytest.raises(ConflictError):  # it was decided otherwise
        await world.store.close_incident(incident, opposite, event("hold.closed"))
    if finish == "again":
        await world.store.close_incident(incident, state, event("hold.closed"))
    else:
        await world.store.compact()
    assert await world.store.held(incident) == []
    assert (await world.store.incident(incident)).recipients == total
    left = await world.store.queued(10_000)
    assert len(left) == (total if state is IncidentState.RELEASED else 0)
    assert {one.state for one in left} <= {QueueState.WAITING}
    assert len(await world.store.events(kind="hold.closed")) == 1


async def test_removing_held_mail_is_counted(world: World) -> None:
    incident = await hold_many(world, 2, 3)
    mine = QueueFilter(recipient="0-1@remote.example")
    assert await world.store.change_queue(mine, QueueChange.REMOVE, AT, event()) == 1
    found = await world.store.incident(incident)
    assert (found.messages, found.recipients) == (2, 5)
    await world.store.change_queue(QueueFilter(trace_id=(await world.store.queued())[0].message.trace_id),
                                   QueueChange.REMOVE, AT, event())  # fmt: skip
    found = await world.store.incident(incident)
    assert (found.state, found.messages, found.recipients) == (IncidentState.OPEN, 0, 0)
    assert (await world.store.close_incident(incident, IncidentState.RELEASED, event())).recipients == 0


async def test_release_of_the_queue_does_not_open_incidents(world: World) -> None:
    await hold(world, "a@remote.example", "b@remote.example")
    await put(world, "c@remote.example", origin=sender())
    assert await world.store.change_queue(QueueFilter(), QueueChange.HOLD, AT, event()) == 1
    assert await world.store.change_queue(QueueFilter(), QueueChange.RELEASE, AT, event()) == 1
    assert await world.store.change_queue(QueueFilter(), QueueChange.RETRY, AT, event()) == 1
    assert [one.state for one in await world.store.queued()] == [QueueState.HELD] * 2 + [QueueState.WAITING]
