"""Standing pauses through the runner: obeyed within seconds, over a restart, and without losing or duplicating anything."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import Pause, PauseKind
from tests.support.queue_world import ALICE, Post, here, post, settings
from tests.support.sink import Sink
from tests.support.stores import AT, event

SHOP = Origin(OriginKind.SENDER, "shop")
POLL_S = 0.05


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Post]:
    async with post(tmp_path) as made:
        yield made


def recipients(sink: Sink) -> list[str]:
    return sorted(rcpt for taken in sink.taken for rcpt in taken.rcpts)


@pytest.mark.parametrize(
    ("pause", "sent"),
    [
        (Pause(PauseKind.ALL, "", AT), []),
        (Pause(PauseKind.DOMAIN, "one.test", AT), ["b@two.test", "d@two.test"]),
        (Pause(PauseKind.ORIGIN, "sender:shop", AT), ["a@one.test", "b@two.test"]),
    ],
)
async def test_what_is_paused_waits_and_the_rest_does_not(office: Post, pause: Pause, sent: list[str]) -> None:
    with Sink() as sink:
        await office.store.set_pause(pause, event())
        values = settings({"all": here("*", port=sink.port)})
        office.start(values, poll_s=POLL_S)
        await office.queue("a@one.test", "b@two.test")
        await office.queue("c@one.test", "d@two.test", origin=SHOP)
        await office.until(lambda: len(recipients(sink)) == len(sent))
        await office.stop()
        office.start(values, poll_s=POLL_S)  # it outlives a restart
        await asyncio.sleep(0.3)
        assert recipients(sink) == [f"RCPT TO:<{path}>" for path in sent]
        waiting = await office.store.queued()
        assert len(waiting) == 4 - len(sent)
        assert {one.attempts for one in waiting} <= {0}
        assert await office.store.end_pause(pause.kind, pause.name, event())
        assert await office.rest() == []
        assert len(recipients(sink)) == 4


async def test_what_waits_here_already_is_given_back(office: Post) -> None:
    """A pause while a burst is in memory: what has begun ends, nothing more begins."""

    def slow(_line: str) -> bytes:
        time.sleep(0.02)
        return b"250 ok\r\n"

    with Sink({"MAIL": slow}) as sink:
        await office.burst(["same.test"] * 300, SHOP)
        runner = office.start(settings({"all": here("*", port=sink.port)}), poll_s=POLL_S)
        await office.until(lambda: len(sink.taken) > 20)
        await office.store.set_pause(Pause(PauseKind.DOMAIN, "same.test", AT), event())
        await office.until(lambda: not runner.leased, "leases were not given back")
        sent = len(sink.taken)
        await asyncio.sleep(0.3)
        assert len(sink.taken) == sent < 300
        assert await office.store.queue_depth() == 300 - sent
        await office.store.end_pause(PauseKind.DOMAIN, "same.test", event())
        assert await office.rest(20) == []
        assert len(sink.taken) == 300


async def test_it_ends_by_itself(office: Post) -> None:
    with Sink() as sink:
        await office.store.set_pause(Pause(PauseKind.ALL, "", AT, AT + 3600), event())
        office.start(settings({"all": here("*", port=sink.port)}), poll_s=POLL_S)
        await office.queue("a@one.test")
        await asyncio.sleep(0.2)
        assert sink.connections == 0
        assert await office.later(3600) == []
        assert len(sink.taken) == 1


async def test_a_long_pause_ends_with_one_more_try(office: Post) -> None:
    """Six days: longer than mail lives. It is tried once more, and only then given up."""
    answers = {"a": [b"450 4.2.0 later\r\n", b"250 2.1.5 ok\r\n"], "b": [b"450 4.2.0 later\r\n"] * 2}
    with Sink({"RCPT": lambda line: answers[line[9]].pop(0)}) as sink:
        office.start(settings({"all": here("*", port=sink.port)}), poll_s=POLL_S)
        await office.queue("a@one.test")
        await office.queue("b@one.test")
        assert len(await office.rest()) == 2
        await office.store.set_pause(Pause(PauseKind.ALL, "", AT), event())
        await asyncio.sleep(0.2)
        office.clock.now += 6 * 86_400
        await asyncio.sleep(0.2)
        assert await office.letters() == []
        await office.store.end_pause(PauseKind.ALL, "", event())
        await office.until(lambda: not any(answers.values()))
        assert await office.rest() == []
        assert [one.detail["to"] for one in await office.events("message.sent")] == ["a@one.test"]
        assert [one.detail["to"] for one in await office.events("message.failed")] == ["b@one.test"]
        assert len(await office.letters()) == 1


async def test_a_paused_queue_costs_nothing(office: Post) -> None:
    await office.store.set_pause(Pause(PauseKind.ALL, "", AT), event())
    await office.burst([f"d{n}.test" for n in range(1000)], Origin(OriginKind.ACCOUNT, ALICE))
    office.start(settings(), poll_s=0.02)
    await asyncio.sleep(0.2)
    used, began = time.process_time(), time.perf_counter()
    await asyncio.sleep(0.5)
    rounds = (time.perf_counter() - began) / 0.02
    assert (time.process_time() - used) / rounds < 0.005
