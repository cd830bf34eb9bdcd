"""What the integrity check sees of the queue, and what goes by itself."""

from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from poterne.store.sqlite.connection import DATABASE_NAME
from poterne.store.sqlite.engine import open_store
from poterne.values.sending import SendingLimits
from tests.support.queueing import put, sender, submission
from tests.support.stores import AT, Clock, World, event

DAY = 86_400
LIMITS = SendingLimits(10, 10, 10, 10, 10, 10)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = Clock()
    made = World(open_store(tmp_path, clock=clock, grace_s=100), tmp_path, clock)
    await made.settle()
    yield made
    await made.store.close()


def sql(world: World, text: str) -> list[tuple[object, ...]]:
    connection = apsw.Connection(str(world.folder / DATABASE_NAME))
    connection.set_busy_timeout(1_000)
    try:
        return [tuple(row) for row in connection.execute(text).fetchall()]
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("damage", "fatal", "what"),
    [
        ("DELETE FROM queue_message WHERE message_id = 1", True, "queued recipient 1 has no message"),
        ("UPDATE queue_message SET recipients = 3 WHERE message_id = 1", False, "has 2 recipients, counted otherwise"),
        ("DELETE FROM queue_recipient WHERE message_id = 1", False, "has 0 recipients, counted otherwise"),
        ("UPDATE queue_recipient SET origin = 'x' WHERE queue_id = 1", False, "another origin than its message"),
        ("UPDATE queue_message SET incident_id = 9 WHERE message_id = 1", True, "incident that is not there"),
        ("UPDATE queue_recipient SET state = 'waiting'", False, "waits although its incident is open"),
        ("UPDATE incident SET messages = 2", False, "counters that differ"),
        ("UPDATE incident SET recipients = 1", False, "counters that differ"),
    ],
)
async def test_damage_is_found(world: World, damage: str, fatal: bool, what: str) -> None:
    await put(world, "a@b.example", "c@b.example")
    new = await submission(world, "a@b.example", "b@b.example", limits=SendingLimits(1, 0, 0, 0))
    assert (await world.store.submit(new)).incident is not None
    assert await world.store.check() == []
    sql(world, damage)
    findings = await world.store.check()
    assert [(found.fatal, what in found.what) for found in findings if what in found.what][:1] == [(fatal, True)], (
        findings
    )


async def test_missing_bytes_of_queued_mail_are_found(world: World) -> None:
    await put(world, "a@b.example")
    sql(world, "UPDATE queue_message SET blob_offset = blob_offset + 4096")
    findings = await world.store.check()
    assert [found.fatal for found in findings] == [True]
    assert "a message is missing" in findings[0].what


async def test_counts_that_no_longer_count_go(world: World) -> None:
    for number in range(700):
        new = await submission(
            world, "a@b.example", origin=sender(f"s{number}"), limits=LIMITS, content_hash=number + 1, answers=True
        )
        assert (await world.store.submit(new)).reason is None
    assert sql(world, "SELECT count(*) FROM sending_repeat") == [(1_400,)]
    late = await submission(world, "a@b.example", origin=sender("s0"), limits=LIMITS, at=AT + 9 * DAY, content_hash=1)
    assert (await world.store.submit(late)).reason is None
    assert sql(world, "SELECT count(*) FROM sending_repeat") == [(1_384,)]  # 16 went with it
    world.clock.now = AT + 9 * DAY
    await world.store.compact()
    assert sql(world, "SELECT origin FROM sending_repeat") == [("sender:s0",)]
    assert sql(world, "SELECT origin FROM sending_usage") == [("sender:s0",)]


async def test_repeats_do_not_grow_without_upkeep(world: World) -> None:
    """A script that sends something else each time."""
    limits = SendingLimits(0, 0, 0, 0, 10)
    for number in range(300):
        at = AT + number * 600
        new = await submission(world, "a@b.example", origin=sender(), limits=limits, at=at, content_hash=number + 1)
        assert (await world.store.submit(new)).reason is None
    assert sql(world, "SELECT count(*) < 30 FROM sending_repeat") == [(1,)]


async def test_whom_a_removed_account_wrote_to_is_forgotten(world: World) -> None:
    new = await submission(world, *[f"{n}@b.example" for n in range(5)], limits=LIMITS)
    assert (await world.store.submit(new)).reason is None
    assert sql(world, "SELECT count(*) FROM correspondent") == [(5,)]
    await world.store.remove_account(world.alice, event())
    await world.store.compact()
    assert sql(world, "SELECT count(*) FROM correspondent") == [(0,)]
    assert await world.store.queue_depth() == 5
    assert await world.store.check() == []
