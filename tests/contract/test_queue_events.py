"""The queue's rows and the event log."""

from poterne.values.event import Event
from poterne.values.ids import TraceId
from tests.support.queueing import message
from tests.support.stores import AT, World, blob, event


async def test_events_newest_first(world: World) -> None:
    await world.store.record([event("a.one", number=1), event("b.two", world.alice), event("a.one", number=3)])
    newest, *_ = await world.store.events(limit=3)
    assert newest == Event(AT, "a.one", TraceId("trace-1"), None, "192.0.2.1", "because", {"number": 3})
    assert [e.detail.get("number") for e in await world.store.events(kind="a.one")] == [3, 1]
    assert [e.kind for e in await world.store.events(account_id=world.alice)] == ["b.two"]
    assert await world.store.events(kind="a.one", account_id=world.alice) == []
    assert len(await world.store.events(kind="a.one", limit=1)) == 1
    await world.store.record([])


async def test_event_details_come_back_as_they_were(world: World) -> None:
    detail: dict[str, str | int | bool | None] = {"text": 'é "\\ \x00', "big": 2**40, "yes": True, "none": None}
    await world.store.record([Event(AT, "k", TraceId("t"), detail=detail)])
    (found,) = await world.store.events(kind="k")
    assert found.detail == detail
    assert found.detail["yes"] is True


async def test_queue_pages_in_order(world: World) -> None:
    for body in (b"1", b"2"):
        held = await blob(world.store, body)
        await world.store.deliver([], [message(held, *[f"{n}@remote.example" for n in range(3)])], [])
    found = await world.store.queued()
    assert [q.forward_path[0] for q in found] == list("012012")
    assert [q.id for q in found] == sorted({q.id for q in found})
    first = await world.store.queued(limit=4)
    rest = await world.store.queued(limit=4, after=first[-1].id)
    assert [*first, *rest] == found
    assert world.store.blobs.read(found[-1].message.blob) == b"2"
    assert await world.store.queue_depth() == 6
