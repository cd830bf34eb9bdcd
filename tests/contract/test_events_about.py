"""Events found again: by trace, by address and domain, by kind and time."""

from pathlib import Path

import pytest

from poterne.store.errors import UnavailableError
from poterne.store.failing import Fails, FailurePlan, failing
from poterne.store.interface import EventFilter
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.retention import TracesBefore
from tests.support.stores import AT, Clock, Factory, World

ANN, BOB = "ann@here.example", "bob@far.example"


def accepted(trace: str, at: int = AT, sender: str = ANN, to: str = BOB) -> Event:
    return Event(at, "message.accepted", TraceId(trace), detail={"from": sender, "to": to, "author": "author.example"})


async def traces(world: World, where: EventFilter, limit: int = 100) -> list[str]:
    return [str(one.trace_id) for one in await world.store.events_about(where, limit)]


async def test_by_trace(world: World) -> None:
    sent = Event(AT, "message.sent", TraceId("t1"), detail={"to": BOB})
    await world.store.record([accepted("t1"), accepted("t2"), sent])
    found = await world.store.events_about(EventFilter(trace_id=TraceId("t1")))
    assert found == [sent, accepted("t1")]
    assert await world.store.events_about(EventFilter(trace_id=TraceId("t1")), 1) == [sent]
    assert await traces(world, EventFilter(trace_id=TraceId("t1"), kind="message.acc")) == ["t1"]
    assert await traces(world, EventFilter(trace_id=TraceId("unknown"))) == []
    assert await traces(world, EventFilter(trace_id=TraceId(""))) == []


async def test_by_address_and_domain(world: World) -> None:
    await world.store.record([
        accepted("t1"),
        accepted("t2", sender="x@other.example", to=f"Ann@HERE.example {BOB}"),
        accepted("t3", sender="", to="x@far.example"),
        Event(AT, "message.refused", TraceId("t4"), detail={"from": "x@other.example", "author": "Bank.Example"}),
        Event(AT, "queue.hold", TraceId("t5"), detail={"domain": "far.example"}),
        Event(AT, "account.password", TraceId("t6"), detail={"address": ANN}),
        Event(AT, "message.accepted", TraceId("t7"), detail={"from": "x" * 400 + "@long.example", "to": "@ @@ a@ @b"}),
    ])  # fmt: skip
    assert await traces(world, EventFilter(name=ANN)) == ["t6", "t2", "t1"]
    assert await traces(world, EventFilter(name="ANN@here.EXAMPLE"), 2) == ["t6", "t2"]
    assert await traces(world, EventFilter(name="far.example")) == ["t5", "t3", "t2", "t1"]
    assert await traces(world, EventFilter(name="bank.example")) == ["t4"]
    assert await traces(world, EventFilter(name="other.example", kind="message.refused")) == ["t4"]
    assert await traces(world, EventFilter(name="author.example", kind="message.")) == ["t3", "t2", "t1"]
    for nothing in ("example", "ann", "%", "ann@", "here.exampl", "far.example ", "'"):
        assert await traces(world, EventFilter(name=nothing)) == []


async def test_by_account_or_its_address(world: World) -> None:
    bob = await world.account("bob@example.org")
    mine = Event(AT, "message.removed", TraceId("pop"), world.alice)
    both = Event(AT, "message.accepted", TraceId("both"), world.alice, detail={"from": ANN})
    await world.store.record([mine, accepted("t1"), both, Event(AT, "message.removed", TraceId("no"), bob)])
    wanted = EventFilter(name=ANN, account_id=world.alice)
    assert (await traces(world, wanted))[:3] == ["both", "t1", "pop"]
    assert (await traces(world, wanted)).count("both") == 1
    assert "t1" not in await traces(world, EventFilter(account_id=world.alice))


async def test_by_kind_and_time(world: World) -> None:
    day = 86_400
    events = [
        Event(AT + number * day, f"k{number % 2}.x", TraceId(f"t{number}"), detail={"from": ANN})
        for number in range(10)
    ]
    await world.store.record(events)
    for name in ("", ANN):
        assert await traces(world, EventFilter(name=name, since=AT + 7 * day, kind="k")) == ["t9", "t8", "t7"]
        assert await traces(world, EventFilter(name=name, until=AT + 2 * day, kind="k")) == ["t2", "t1", "t0"]
        inside = EventFilter(name=name, since=AT + 1, until=AT + 4 * day - 1, kind="k1")
        assert await traces(world, inside) == ["t3", "t1"]
        assert await traces(world, EventFilter(name=name, since=AT + 10 * day, kind="k")) == []
    assert (await traces(world, EventFilter(), 2)) == ["t9", "t8"]


async def test_seconds_out_of_order_do_not_hide_any(world: World) -> None:
    await world.store.record([accepted(f"t{number}", AT + (number * 7) % 60) for number in range(60)])
    found = await world.store.events_about(EventFilter(name=ANN, since=AT + 30), 100)
    assert len(found) == 30
    assert all(one.at >= AT + 30 for one in found)


async def test_what_goes_is_found_no_more(world: World) -> None:
    await world.store.record([accepted("old", AT - 100), accepted("new", AT + 100)])
    before = TracesBefore(auth=AT, change=AT, trace=AT, incidents=AT)
    gone = await world.store.prune_traces(before, 1000)
    assert gone.events >= 1
    assert await traces(world, EventFilter(name=ANN)) == ["new"]
    await world.store.record([accepted("t3", sender="z@z.example", to="")])  # no id comes twice with others' names
    assert await traces(world, EventFilter(name=ANN)) == ["new"]


@pytest.mark.parametrize("fails", Fails)
async def test_a_store_that_fails(engine: Factory, tmp_path: Path, fails: Fails) -> None:
    store = engine(tmp_path / "failing", Clock())
    try:
        await store.record([accepted("t1")])
        broken = failing(store, FailurePlan(1, fails))
        with pytest.raises(UnavailableError):
            await broken.events_about(EventFilter(name=ANN))
        with pytest.raises(UnavailableError):
            await failing(store, FailurePlan(1, fails)).record([accepted("t2")])
        found = [str(one.trace_id) for one in await store.events_about(EventFilter(name=ANN))]
        assert found == (["t1"] if fails is Fails.BEFORE else ["t2", "t1"])
    finally:
        await store.close()
