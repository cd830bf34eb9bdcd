"""Finding recipients in the queue, and what may be done to them."""

from dataclasses import replace

import pytest

from poterne.store.interface import EventFilter, QueueFilter, Settled
from poterne.store.sqlite import queue_filter
from poterne.values.ids import QueueId, TraceId
from poterne.values.origin import OriginKind
from poterne.values.queue import QueueChange, QueuedRecipient, QueueState
from tests.support.queueing import account, message, put, sender
from tests.support.stores import AT, World, blob, event


async def fill(world: World) -> list[QueuedRecipient]:
    held = await blob(world.store, b"x")
    some = [
        message(held, "Ann@a.example", "bob@b.example", trace="t1", due_at=AT + 50),
        message(held, "cat@b.example", origin=sender("shop"), reverse_path="Shop@example.org", trace="t2"),
        message(held, "dan@a.example", origin=account("eve@example.org"), reverse_path="", trace="t3", due_at=AT + 9),
        message(held, "Eve@[192.0.2.1]", origin=sender("eve@example.org"), trace="t4"),
    ]
    await world.store.deliver([], some, [])
    return await world.store.queued()


FILTERS = [
    (QueueFilter(), "Abcde"),
    (QueueFilter(id=QueueId(2)), "b"),
    (QueueFilter(id=QueueId(99)), ""),
    (QueueFilter(trace_id=TraceId("t1")), "Ab"),
    (QueueFilter(trace_id=TraceId("none")), ""),
    (QueueFilter(origin="sender:shop"), "c"),
    (QueueFilter(origin="shop"), "c"),
    (QueueFilter(origin="eve@example.org"), "dE"),
    (QueueFilter(origin="account:eve@example.org"), "d"),
    (QueueFilter(domain="B.example"), "bc"),
    (QueueFilter(recipient="ann@A.example"), "A"),
    (QueueFilter(recipient="nobody@a.example"), ""),
    (QueueFilter(sender="shop@Example.org"), "c"),
    (QueueFilter(sender="<>"), "d"),
    (QueueFilter(state=QueueState.WAITING), "Abcde"),
    (QueueFilter(state=QueueState.HELD), ""),
    (QueueFilter(domain="a.example", sender="alice@example.org"), "A"),
    (QueueFilter(domain="a.example", origin="shop"), ""),
    (QueueFilter(trace_id=TraceId("t1"), recipient="bob@b.example", state=QueueState.WAITING), "b"),
]


@pytest.mark.parametrize("few", [2_000, 0])
@pytest.mark.parametrize(("where", "expected"), FILTERS)
async def test_filters(
    world: World, where: QueueFilter, expected: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`few` 0: as if all of them were too many for an index."""
    monkeypatch.setattr(queue_filter, "_FEW", few)
    monkeypatch.setattr(queue_filter, "_PIECE", 2 if not few else 10_000)
    await fill(world)
    found = [one.forward_path[0] for one in await world.store.queued(where=where)]
    assert [name.lower() for name in found] == [name.lower() for name in expected]
    paged: list[QueuedRecipient] = []
    while page := await world.store.queued(1, paged[-1].id if paged else None, where):
        paged += page
    assert [one.forward_path[0] for one in paged] == found
    assert await world.store.change_queue(where, QueueChange.REMOVE, AT, event()) == len(expected)
    assert await world.store.queue_depth() == 5 - len(expected)


async def test_every_kind_of_origin_is_found_by_name(world: World) -> None:
    for kind in OriginKind:
        await put(world, f"{kind.value}@b.example", origin=replace(account("n"), kind=kind))
    assert len(await world.store.queued(where=QueueFilter(origin="n"))) == len(OriginKind)


async def test_retry(world: World) -> None:
    await fill(world)
    (leased,) = await world.store.lease(AT, AT + 99, 1, 1)
    assert await world.store.change_queue(QueueFilter(), QueueChange.RETRY, AT + 5, event("queue.retried")) == 4
    found = {one.id: one for one in await world.store.queued()}
    assert found.pop(leased.id) == leased
    assert max(one.due_at for one in found.values()) == AT + 5
    (told,) = await world.store.events(kind="queue.retried")
    assert told.detail["recipients"] == 4


async def test_hold_and_release(world: World) -> None:
    await fill(world)
    leased = await world.store.lease(AT, AT + 99, 2, 2)
    assert await world.store.change_queue(QueueFilter(), QueueChange.HOLD, AT, event()) == 5
    assert await world.store.change_queue(QueueFilter(), QueueChange.HOLD, AT, event("queue.held")) == 0
    assert await world.store.events(kind="queue.held") == []
    assert await world.store.lease(AT + 999, AT + 1_000, 9, 9) == []
    assert await world.store.next_due(AT) is None
    # What was being tried meanwhile ends as it ends.
    await world.store.settle([Settled(leased[0].id, True), Settled(leased[1].id, False, AT + 7, "451 later")])
    first = await world.store.queued(where=QueueFilter(id=leased[1].id))
    assert [(one.state, one.attempts, one.last_reply) for one in first] == [(QueueState.HELD, 1, "451 later")]
    assert await world.store.change_queue(QueueFilter(), QueueChange.RELEASE, AT + 20, event()) == 4
    assert {(one.state, one.due_at) for one in await world.store.queued()} == {(QueueState.WAITING, AT + 20)}


async def test_changes_come_in_bounded_steps(world: World) -> None:
    await put(world, *[f"{n}@b.example" for n in range(2_300)])
    await put(world, *[f"{n}@c.example" for n in range(2_300)])
    here = QueueFilter(domain="c.example")
    assert await world.store.change_queue(here, QueueChange.HOLD, AT, event("queue.held")) == 2_300
    told = [one.detail["recipients"] for one in await world.store.events(kind="queue.held")]
    assert sum(int(number or 0) for number in told) == 2_300
    assert max(int(number or 0) for number in told) <= 1_000
    assert await world.store.change_queue(QueueFilter(), QueueChange.REMOVE, AT, event()) == 4_600
    assert await world.store.queue_depth() == 0


async def test_what_is_removed_is_told_in_the_trace_of_each_message(world: World) -> None:
    await put(world, "one@b.example", "two@b.example")
    (first, second) = await world.store.queued()
    assert await world.store.change_queue(QueueFilter(id=first.id), QueueChange.REMOVE, AT, event("queue.remove")) == 1
    (told,) = await world.store.events_about(EventFilter(trace_id=first.message.trace_id, kind="queue.removed"))
    assert (told.detail["to"], told.reason) == (first.forward_path, event().reason)
    assert [one.id for one in await world.store.queued()] == [second.id]
    assert await world.store.change_queue(QueueFilter(id=first.id), QueueChange.REMOVE, AT, event()) == 0
    assert len(await world.store.events(kind="queue.removed")) == 1
