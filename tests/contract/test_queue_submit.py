"""Mail of origins with limits: what goes its way is counted, what is too much is held."""

import asyncio
import sys
from dataclasses import replace

import pytest

from poterne.store import interface
from poterne.store.errors import LimitError, OverQuotaError, StoreError
from poterne.store.sqlite import submit as sqlite_submit
from poterne.values.ids import BlobId
from poterne.values.origin import Origin
from poterne.values.queue import QueueState
from poterne.values.sending import HOUR_S, HoldReason, IncidentState, SendingLimits, Submitted
from tests.support.queueing import NO_LIMITS, account, sender, submission
from tests.support.stores import AT, World, event

DAY = 86_400


async def send(
    world: World,
    *paths: str,
    limits: SendingLimits = NO_LIMITS,
    origin: Origin | None = None,
    at: int = AT,
    content_hash: int = 0,
    answers: bool = False,
) -> HoldReason | None:
    submitted = await world.store.submit(
        await submission(world, *paths, origin=origin, limits=limits, at=at, content_hash=content_hash, answers=answers)
    )
    return submitted.reason


async def release(world: World) -> None:
    (incident,) = await world.store.incidents()
    await world.store.close_incident(incident.id, IncidentState.RELEASED, event())


async def states(world: World) -> list[QueueState]:
    return [one.state for one in await world.store.queued()]


async def test_what_is_within_limits_goes_its_way(world: World) -> None:
    new = await submission(
        world, "a@remote.example", "b@remote.example", local=[world.alice], mine=["alice@example.org"]
    )
    assert await world.store.submit(new) == Submitted()
    assert len(world.rows()) == 1
    assert [one.forward_path for one in await world.store.queued()] == ["a@remote.example", "b@remote.example"]
    assert await states(world) == [QueueState.WAITING] * 2
    assert await world.store.incidents() == []
    (told,) = await world.store.events(kind="message.accepted")
    assert told == new.event


async def test_what_is_too_much_is_held_whole(world: World) -> None:
    limits = SendingLimits(2, 0, 0, 0)
    assert await send(world, "a@remote.example", limits=limits) is None
    new = await submission(world, "b@remote.example", limits=limits, local=[world.alice], mine=["alice@example.org"])
    submitted = await world.store.submit(new)
    assert submitted == Submitted(submitted.incident, HoldReason.DAY, first=True)
    assert submitted.incident is not None
    assert world.rows() == []
    held = await world.store.held(submitted.incident)
    assert [one.forward_path for one in held] == ["b@remote.example", "alice@example.org"]
    assert {(one.state, one.message.incident_id) for one in held} == {(QueueState.HELD, submitted.incident)}
    assert world.store.blobs.read(held[0].message.blob) == b"Subject: x\r\n\r\nsubmitted\r\n"
    (told,) = await world.store.events(kind="message.held")
    assert (told.reason, told.account_id) == ("recipients-per-day", world.alice)
    assert told.detail == {"size": 25, "incident": submitted.incident}
    assert len(await world.store.events(kind="message.accepted")) == 1
    # What comes then is held too, though it would be within the limit; other origins are not concerned.
    again = await world.store.submit(await submission(world, "a@remote.example", limits=NO_LIMITS))
    assert again == Submitted(submitted.incident, HoldReason.OPEN_INCIDENT, first=False)
    assert await send(world, "a@remote.example", origin=sender(), limits=limits) is None
    (incident,) = await world.store.incidents()
    assert (incident.messages, incident.recipients) == (2, 3)


@pytest.mark.parametrize(
    ("limits", "reason", "after_s"),
    [
        (SendingLimits(4, 0, 0, 0), HoldReason.DAY, 2 * DAY),
        (SendingLimits(0, 4, 0, 0), HoldReason.EXTERNAL, 2 * HOUR_S),
        (SendingLimits(0, 0, 4, 0), HoldReason.NEW, 2 * DAY),
        (SendingLimits(0, 0, 0, 4), HoldReason.BURST, 120),
    ],
)
async def test_each_limit_is_exact_and_passes(
    world: World, limits: SendingLimits, reason: HoldReason, after_s: int
) -> None:
    for turn in range(2):
        at = AT + turn * after_s
        names = [f"{turn}-{n}@remote.example" for n in range(5)]
        assert await send(world, *names[:3], limits=limits, at=at) is None
        assert await send(world, names[3], limits=limits, at=at) is None
        if turn:
            assert await send(world, names[4], limits=limits, at=at) is reason


async def test_local_recipients_are_not_external(world: World) -> None:
    limits = SendingLimits(0, 1, 0, 0)
    for _ in range(3):
        new = await submission(world, limits=limits, local=[world.alice], mine=["alice@example.org"])
        assert (await world.store.submit(new)).reason is None
    assert await send(world, "a@remote.example", limits=limits) is None
    assert await send(world, "a@remote.example", limits=limits) is HoldReason.EXTERNAL


async def test_recipients_are_new_once(world: World) -> None:
    limits = SendingLimits(0, 0, 3, 0)
    for _ in range(5):
        assert await send(world, "a@remote.example", limits=limits) is None
        assert await send(world, "b@remote.example", "a@remote.example", limits=limits) is None
    assert await send(world, "c@remote.example", "d@remote.example", limits=limits) is HoldReason.NEW
    await release(world)
    # Somebody has approved of them.
    assert await send(world, "c@remote.example", "d@remote.example", limits=limits, at=AT + 1) is None
    assert await send(world, *[f"{n}@remote.example" for n in "efg"], limits=limits, at=AT + 1) is None
    bob = account("bob@example.org", await world.account("bob@example.org"))
    assert await send(world, *[f"{n}@remote.example" for n in "abcd"], limits=limits, origin=bob) is HoldReason.NEW


async def test_scripts_may_write_to_strangers(world: World) -> None:
    limits = SendingLimits(0, 0, 1, 0)
    assert await send(world, "a@remote.example", "b@remote.example", origin=sender(), limits=limits) is None


async def test_without_a_limit_nobody_is_noted_as_known(world: World) -> None:
    assert await send(world, "a@remote.example") is None
    assert await send(world, "a@remote.example", "b@remote.example", limits=SendingLimits(0, 0, 1, 0)) is HoldReason.NEW


async def test_the_same_content_again_and_again_is_a_loop(world: World) -> None:
    limits = SendingLimits(0, 0, 0, 0, same_per_hour=2)
    for _ in range(2):
        assert await send(world, "a@remote.example", origin=sender(), limits=limits, content_hash=7) is None
    assert await send(world, "b@remote.example", origin=sender(), limits=limits, content_hash=7) is None
    assert await send(world, "a@remote.example", origin=sender(), limits=limits, content_hash=8) is None
    assert await send(world, "a@remote.example", origin=sender("other"), limits=limits, content_hash=7) is None
    reason = await send(world, "c@remote.example", "a@remote.example", origin=sender(), limits=limits, content_hash=7)
    assert reason is HoldReason.REPEATED
    await release(world)  # the count begins anew
    for _ in range(2):
        assert await send(world, "a@remote.example", origin=sender(), limits=limits, content_hash=7) is None
    assert await send(world, "a@remote.example", origin=sender(), limits=limits, content_hash=7) is not None


async def test_repeats_count_for_an_hour(world: World) -> None:
    limits = SendingLimits(0, 0, 0, 0, same_per_hour=1)
    for turn in range(4):
        at = AT + turn * 2 * HOUR_S
        assert await send(world, "a@remote.example", origin=sender(), limits=limits, content_hash=7, at=at) is None


async def test_answers_to_answers_are_ping_pong(world: World) -> None:
    limits = SendingLimits(0, 0, 0, 0, answers_per_hour=2)
    for number in range(4):
        assert await send(world, "a@remote.example", origin=sender(), limits=limits, content_hash=number) is None
    for number in range(2):
        assert await send(world, "a@remote.example", origin=sender(), limits=limits, answers=True) is None, number
    assert await send(world, "b@remote.example", origin=sender(), limits=limits, answers=True) is None
    reason = await send(world, "a@remote.example", origin=sender(), limits=limits, answers=True)
    assert reason is HoldReason.PING_PONG


async def test_what_fails_is_not_counted(world: World) -> None:
    limits = SendingLimits(1, 1, 1, 1)
    poor = await world.account("poor@example.org", quota_bytes=5)
    for _ in range(3):
        with pytest.raises(OverQuotaError):
            await world.store.submit(await submission(world, limits=limits, local=[poor], mine=["poor@example.org"]))
    lost = await submission(world, "a@remote.example", limits=limits)
    nowhere = BlobId(lost.held.blob.segment, lost.held.blob.offset + 10_000_000, 5)
    with pytest.raises(StoreError):
        await world.store.submit(replace(lost, queue=[replace(lost.queue[0], blob=nowhere)]))
    assert await send(world, "a@remote.example", limits=limits) is None
    held = await submission(world, "a@remote.example", limits=limits)
    with pytest.raises(StoreError):
        await world.store.submit(replace(held, held=replace(held.held, blob=nowhere)))
    assert await world.store.incidents() == []


async def test_an_incident_holds_so_much_and_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_submit, "HELD_MOST", 5)
    assert interface.HELD_MOST >= 100_000
    limits = SendingLimits(1, 0, 0, 0)
    with pytest.raises(LimitError):
        await send(world, *[f"{n}@remote.example" for n in range(6)], limits=limits)
    assert await world.store.incidents(open_only=False) == []
    assert await send(world, *[f"{n}@remote.example" for n in range(4)], limits=limits) is HoldReason.DAY
    with pytest.raises(LimitError):
        await send(world, "a@remote.example", "b@remote.example")
    assert await send(world, "a@remote.example") is HoldReason.OPEN_INCIDENT
    assert await world.store.queue_depth() == 5


async def test_no_more_than_the_limit_passes_at_once(world: World) -> None:
    limits = SendingLimits(40, 0, 0, 0)

    async def one(number: int) -> bool:
        return await send(world, f"{number}@remote.example", limits=limits) is None

    went = await asyncio.gather(*[one(number) for number in range(90)])
    assert sum(went) == 40
    (incident,) = await world.store.incidents()
    assert incident.recipients == 50


@pytest.mark.timeout(60)
async def test_no_more_than_the_limit_passes_from_several_processes(world: World) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.submit_process", str(world.folder), str(world.alice), "60", "100",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(3)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    outputs = await asyncio.gather(*[process.communicate(b"go\n") for process in processes])
    assert sum(int(out) for out, _ in outputs) == 100
    (incident,) = await world.store.incidents()
    assert (incident.messages, incident.recipients) == (80, 80)
    assert await world.store.queue_depth() == 180
