"""Every statement of the queue finds its rows by an index, whatever the queue's length."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from poterne.store.interface import QueueFilter, Settled
from poterne.store.sqlite import leasing, queue_filter
from poterne.store.sqlite.connection import DATABASE_NAME
from poterne.store.sqlite.engine import open_store
from poterne.values.ids import QueueId, TraceId
from poterne.values.queue import QueueChange, QueueState
from poterne.values.sending import IncidentState, SendingLimits
from tests.support.queueing import account, put, sender, submission
from tests.support.stores import AT, Clock, World, event

OURS = re.compile(r"\b(queue_message|queue_recipient|incident|sending_usage|sending_repeat|correspondent)\b")
ALLOWED = (
    "SELECT count(*) FROM queue_recipient",  # the depth: the narrowest index, some ms for a million
    "SELECT origin FROM sending_usage WHERE day_start",  # upkeep, in its own thread
    "SELECT incident_id, state FROM incident WHERE state != 'open'",  # likewise
)


@pytest.fixture
def statements() -> Iterator[set[str]]:
    """What all connections that are opened from now on execute."""
    seen: set[str] = set()

    def trace(_: apsw.Cursor, sql: str, __: object) -> bool:
        seen.add(sql)
        return True

    def hook(connection: apsw.Connection) -> None:
        connection.set_exec_trace(trace)

    apsw.connection_hooks.append(hook)
    yield seen
    apsw.connection_hooks.remove(hook)


async def use_everything(world: World) -> None:
    store, strict = world.store, SendingLimits(1, 0, 9, 0, 5, 5)
    await put(world, *[f"{n}@b.example" for n in range(5)])
    await put(world, "busy@c.example", "x@b.example", origin=account("bob@example.org"))
    for state in (IncidentState.RELEASED, IncidentState.PURGED):
        new = await submission(world, "a@b.example", "c@b.example", limits=strict, content_hash=1, answers=True)
        held = await store.submit(new)
        assert held.incident is not None
        await store.submit(new)
        await store.incidents(open_only=True)
        (one, *_) = await store.held(held.incident, after=QueueId(1))
        await store.held(held.incident, after=one.id)
        await store.close_incident(held.incident, state, event())
    new = await submission(
        world, "a@b.example", origin=sender(), limits=SendingLimits(9, 9, 9, 9, 5, 5), content_hash=1
    )
    await store.submit(new)
    await store.submit(await submission(world, "a@b.example", limits=SendingLimits(9, 9, 9, 9, 5, 5)))
    await store.submit(await submission(world, "q@b.example", "r@b.example", limits=SendingLimits(9, 9, 9, 9, 5, 5)))
    leased = await store.lease(AT, AT + 9, 5, 3, frozenset({"c.example"}))
    assert leased
    await store.settle([Settled(leased[0].id, True), Settled(leased[1].id, False, AT, "x")])
    await store.reclaim()
    leased = await store.lease(AT, AT + 9, 3, 3)
    await store.settle([Settled(one.id, True) for one in leased])
    await store.next_due(AT)
    await store.queue_depth()
    await store.postpone_domain("b.example", 0, AT + 5)
    wheres = [
        QueueFilter(), QueueFilter(id=QueueId(2)), QueueFilter(trace_id=TraceId("t")), QueueFilter(origin="shop"),
        QueueFilter(domain="b.example"), QueueFilter(recipient="a@b.example"), QueueFilter(sender="alice@example.org"),
        QueueFilter(state=QueueState.WAITING), QueueFilter(domain="b.example", sender="alice@example.org"),
    ]  # fmt: skip
    for where in wheres:
        await store.queued(where=where)
        for change in (QueueChange.RETRY, QueueChange.HOLD, QueueChange.RELEASE):
            await store.change_queue(where, change, AT, event())
    await store.compact()


def plan(connection: apsw.Connection, sql: str) -> list[str]:
    """The steps, for whatever arguments."""
    for count in range(30):
        try:
            rows = connection.execute(f"EXPLAIN QUERY PLAN {sql}", (None,) * count).fetchall()
        except apsw.BindingsError:
            continue
        return [str(detail) for (*_, detail) in rows]
    raise AssertionError(sql)


def is_slow(step: str) -> bool:
    """It reads all of a table or index; open incidents have one of their own, and few rows."""
    read = re.match(r"SCAN (\w+)", step)
    if read is None or read[1] in {"walk", "carray"} or read[1].startswith("("):
        return False
    return "USING INDEX incident_open" not in step


@pytest.mark.parametrize("few", [2_000, 0])
async def test_no_statement_reads_a_whole_table(
    tmp_path: Path, statements: set[str], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_filter, "_FEW", few)
    monkeypatch.setattr(leasing, "_OLDEST", few)  # the walk round the origins, too
    clock = Clock()
    world = World(open_store(tmp_path, clock=clock), tmp_path, clock)
    await world.settle()
    statements.clear()
    await use_everything(world)
    await world.store.close()
    ours = sorted(sql for sql in statements if OURS.search(sql) and not sql.startswith(ALLOWED))
    assert len(ours) > 40
    connection = apsw.Connection(str(tmp_path / DATABASE_NAME))
    bad = [f"{step} in {sql}" for sql in ours for step in plan(connection, sql) if is_slow(step)]
    connection.close()
    assert bad == []


def test_leasing_reads_indexes_in_their_order(tmp_path: Path) -> None:
    """Nothing is sorted, and no row is read, before it is known which ones are leased."""
    asyncio.run(open_store(tmp_path).close())
    connection = apsw.Connection(str(tmp_path / DATABASE_NAME))
    (of_origin,) = plan(connection, leasing._OF_ORIGIN)
    assert of_origin.startswith("SEARCH queue_recipient USING COVERING INDEX queue_due (state=? AND origin=? AND ")
    assert "(due_at,domain)>(?,?)" in of_origin
    walk = plan(connection, leasing._WALK)
    assert sum("q USING COVERING INDEX queue_due" in step for step in walk) == 2
    assert not [step for step in walk if "TEMP B-TREE" in step]
    assert plan(connection, leasing._NEXT) == ["SEARCH queue_recipient USING COVERING INDEX queue_next (state=?)"]
    assert any("queue_next (state=? AND due_at<?)" in step for step in plan(connection, leasing._DUE_ORIGINS))
    postpone = plan(connection, leasing._POSTPONE)
    assert any("queue_domain (domain=? AND state=? AND due_at>? AND due_at<?)" in step for step in postpone)
    connection.close()
