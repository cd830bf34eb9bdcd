"""Leases: whose turn it is, what is passed over, and how they end."""

from collections import Counter

import pytest

from poterne.store.interface import Delivery, QueueFilter, Settled
from poterne.values.ids import QueueId
from poterne.values.origin import Origin
from poterne.values.queue import QueueChange, QueuedRecipient, QueueState
from tests.support.queueing import account, message, put, sender
from tests.support.stores import AT, INBOX, World, blob, content, event

UNTIL = AT + 600


def names(found: list[QueuedRecipient]) -> list[str]:
    return [recipient.forward_path for recipient in found]


def someone(number: int) -> Origin:
    return account(f"u{number}@example.org")


async def lease(
    world: World, limit: int = 100, per_origin: int = 100, *, now: int = AT, busy: tuple[str, ...] = ()
) -> list[QueuedRecipient]:
    return await world.store.lease(now, now + 600, limit, per_origin, frozenset(busy))


async def test_oldest_first_and_each_once(world: World) -> None:
    for number in (3, 1, 2):
        await put(world, f"{number}@b.example", due_at=AT - 10 + number)
    await put(world, "later@b.example", due_at=AT + 1)
    first = await lease(world, limit=2)
    assert sorted(names(first)) == ["1@b.example", "2@b.example"]
    assert {(one.state, one.due_at) for one in first} == {(QueueState.LEASED, UNTIL)}
    assert names(await lease(world)) == ["3@b.example"]
    assert await lease(world) == []
    assert names(await lease(world, now=AT + 1)) == ["later@b.example"]


async def test_recipients_of_a_message_share_it(world: World) -> None:
    await put(world, "a@b.example", "b@b.example", "c@c.example")
    found = await lease(world)
    assert len({id(one.message) for one in found}) == 1
    assert found[0].message.origin == account()


async def test_origins_take_turns(world: World) -> None:
    for number in range(5):
        await put(world, *[f"{n}@b.example" for n in range(6)], origin=someone(number))
    counts: Counter[str] = Counter()
    for _ in range(5):
        found = await lease(world, limit=4, per_origin=2)
        assert sorted(Counter(one.message.origin.name for one in found).values()) == [2, 2]
        counts.update(one.message.origin.name for one in found)
    assert set(counts.values()) == {4}


async def test_a_burst_does_not_delay_another_origin(world: World) -> None:
    for _ in range(30):
        await put(world, *[f"{n}@b.example" for n in range(100)], origin=someone(1))
    await put(world, "one@c.example", origin=someone(2), due_at=AT)
    await put(world, "two@c.example", origin=sender(), due_at=AT)
    found = await lease(world, limit=100, per_origin=50)
    assert {"one@c.example", "two@c.example"} <= set(names(found))
    assert len(found) == 52


async def test_busy_domains_and_full_origins_are_passed_over(world: World) -> None:
    await put(world, "1@busy.example", "2@free.example", origin=someone(1))
    await put(world, "3@free.example", origin=someone(2))
    full = frozenset({someone(2).key})
    found = await world.store.lease(AT, UNTIL, 10, 10, frozenset({"busy.example"}), full)
    assert names(found) == ["2@free.example"]
    assert names(await lease(world, busy=("busy.example",))) == ["3@free.example"]
    assert names(await lease(world)) == ["1@busy.example"]


@pytest.mark.parametrize("spread", [0, 1])
async def test_mail_behind_many_of_a_busy_domain_has_its_turn(world: World, spread: int) -> None:
    """`spread` 1: each of them due in another second, as deferred mail is."""
    held = await blob(world.store, b"x")
    total = 6_000
    many = [
        message(held, *[f"{n}@busy.example" for n in range(start, start + 10)], due_at=AT - total + spread * start)
        for start in range(0, total, 10)
    ]
    await world.store.deliver([], many, [])
    await put(world, "a@free.example", "b@free.example", due_at=AT)
    found: list[str] = []
    calls = 0
    while len(found) < 2:
        found += names(await lease(world, limit=1, busy=("busy.example",)))
        calls += 1
        assert calls < 12
    assert sorted(found) == ["a@free.example", "b@free.example"]
    assert calls == 2 or spread
    assert await lease(world, limit=1, busy=("busy.example",)) == []
    assert len(await lease(world, limit=3)) == 3


async def test_more_origins_than_a_lease_looks_at(world: World) -> None:
    """Most of them have nothing due, and the oldest due mail is all for a busy domain."""
    held = await blob(world.store, b"x")
    later = [message(held, "x@b.example", origin=someone(n), due_at=AT + 9) for n in range(1_700)]
    busy = [message(held, *[f"{n}@busy.example" for n in range(600)], due_at=AT - 9, origin=sender("a")) for _ in "12"]
    one = [message(held, "one@c.example", origin=account("zz@example.org"))]
    await world.store.deliver([], [*later, *busy, *one], [])
    found: list[str] = []
    for _ in range(6):
        found += names(await lease(world, limit=5, per_origin=5, busy=("busy.example",)))
    assert found == ["one@c.example"]


async def test_next_due(world: World) -> None:
    assert await world.store.next_due(AT) is None
    await put(world, "a@b.example", due_at=AT + 50, origin=someone(1))
    await put(world, "a@b.example", due_at=AT + 20, origin=someone(2))
    assert await world.store.next_due(AT) == AT + 20
    assert await world.store.next_due(AT + 20) == AT + 20
    assert await world.store.next_due(AT + 30) == AT + 30
    await lease(world, now=AT + 20)
    assert await world.store.next_due(AT + 30) == AT + 50
    await lease(world, now=AT + 60)
    assert await world.store.next_due(AT + 60) == AT + 620  # the first lease's end
    await world.store.change_queue(QueueFilter(), QueueChange.HOLD, AT, event())
    assert await world.store.next_due(AT) is None


async def test_expired_leases_are_given_again(world: World) -> None:
    await put(world, "a@b.example")
    (first,) = await lease(world)
    assert await lease(world, now=UNTIL - 1) == []
    (again,) = await lease(world, now=UNTIL)
    assert again.id == first.id
    await world.store.settle([Settled(again.id, True)])
    assert await world.store.queued() == []
    await world.store.settle([Settled(first.id, False, UNTIL + 9)])  # the slow one comes too late
    assert await world.store.queue_depth() == 0


async def test_reclaim(world: World) -> None:
    await put(world, *[f"{n}@b.example" for n in range(4_100)])
    assert len(await lease(world, limit=4_050, per_origin=5_000)) == 4_050
    world.clock.now = AT + 5
    assert await world.store.reclaim() == 4_050
    assert await world.store.reclaim() == 0
    assert {one.state for one in await world.store.queued(5_000)} == {QueueState.WAITING}
    assert len(await lease(world, limit=5_000, per_origin=5_000, now=AT + 5)) == 4_100


async def test_settle_waits_again(world: World) -> None:
    await put(world, "a@b.example", "b@b.example")
    one, two = await lease(world)
    assert await world.store.settle(
        [Settled(one.id, False, AT + 90, "x" * 600, delay_told=True), Settled(two.id, False, AT + 5, attempted=False)],
        [event("message.deferred")],
    ) == []  # fmt: skip
    one, two = await world.store.queued()
    assert (one.state, one.attempts, one.due_at, one.last_reply, one.delay_told) == (
        QueueState.WAITING, 1, AT + 90, "x" * 500, True,
    )  # fmt: skip
    assert (two.state, two.attempts, two.due_at, two.last_reply, two.delay_told) == (
        QueueState.WAITING, 0, AT + 5, "", False,
    )  # fmt: skip
    assert len(await world.store.events(kind="message.deferred")) == 1
    await lease(world, now=AT + 90)
    await world.store.settle([Settled(one.id, False, AT + 100)])
    (again, _) = await world.store.queued()
    assert (again.attempts, again.last_reply, again.delay_told) == (2, "x" * 500, True)


async def test_a_message_goes_with_its_last_recipient(world: World) -> None:
    await put(world, "a@b.example", "b@b.example", "c@b.example")
    one, two, three = await lease(world)
    await world.store.settle([Settled(one.id, True)])
    assert await world.store.check() == []
    await world.store.settle([Settled(two.id, True), Settled(three.id, True), Settled(QueueId(999), True)])
    assert await world.store.queue_depth() == 0
    assert await world.store.check() == []


async def test_settle_with_deliveries_and_notices(world: World) -> None:
    await put(world, "alice@example.org", "b@b.example")
    local, gone = await lease(world)
    notice = message(await blob(world.store, b"notice"), "alice@example.org", reverse_path="")
    copy = Delivery(world.alice, None, await content(world.store), 0, AT, 0)
    appended = await world.store.settle([Settled(local.id, True)], [event("message.delivered")], [copy])
    assert [(one.account_id, one.mailbox_id, one.uid) for one in appended] == [(world.alice, INBOX, 1)]
    await world.store.settle([Settled(gone.id, True)], [event("message.failed")], notices=[notice])
    (waiting,) = await world.store.queued()
    assert waiting.message.reverse_path == ""
    # A second runner, whose lease had expired, delivers nothing twice.
    assert await world.store.settle([Settled(local.id, True)], [event("message.delivered")], [copy], [notice]) == []
    assert len(world.rows()) == 1
    assert await world.store.queue_depth() == 1
    assert len(await world.store.events(kind="message.delivered")) == 2
    await world.store.settle((), (), [copy], [notice])  # what led to nothing else: a report
    assert len(world.rows()) == await world.store.queue_depth() == 2


async def test_settle_is_all_or_nothing(world: World) -> None:
    poor = await world.account("poor@example.org", quota_bytes=5)
    await put(world, "poor@example.org")
    (one,) = await lease(world)
    with pytest.raises(Exception, match="bytes"):
        await world.store.settle(
            [Settled(one.id, True)],
            [event("message.delivered")],
            [Delivery(poor, None, await content(world.store), 0, AT, 0)],
        )
    (still,) = await world.store.queued()
    assert still == one
    assert await world.store.events(kind="message.delivered") == []


async def test_postpone_domain(world: World) -> None:
    for due_at in (AT - 5, AT, AT + 5, AT + 500):
        await put(world, "a@dead.example", "a@b.example", due_at=due_at)
    leased = await lease(world, now=AT - 5)
    assert len(leased) == 2
    assert await world.store.postpone_domain("Dead.example", AT, AT + 100) == 2
    assert await world.store.postpone_domain("dead.example", AT, AT + 100) == 0
    due = [one.due_at for one in await world.store.queued() if one.domain == "dead.example"]
    assert due == [AT + 595, AT + 100, AT + 100, AT + 500]
    assert await world.store.postpone_domain("dead.example", 0, AT + 900, limit=2) == 2
    assert await world.store.postpone_domain("dead.example", 0, AT + 900, limit=2) == 1
    assert await world.store.postpone_domain("other.example", 0, AT + 900) == 0


async def test_two_runners_never_lease_the_same(world: World) -> None:
    await put(world, *[f"{n}@b.example" for n in range(50)])
    seen: list[QueueId] = []
    while found := await lease(world, limit=7):
        seen += [one.id for one in found]
    assert len(seen) == len(set(seen)) == 50
