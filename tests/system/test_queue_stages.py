"""What other servers can do to a conversation at each stage, seen from the queue: what waits, what is told, what people are shown."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.cli.queue import row
from tests.support.queue_world import QUICK, Post, here, post, settings
from tests.support.sink import Act, Drop, Hang, Repeat, Rule, Sink

DAY = 86_400
STAGES = ("greeting", "EHLO", "MAIL", "RCPT", "DATA", ".")


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Post]:
    async with post(tmp_path) as made:
        yield made


def rules(stage: str, act: Act) -> dict[str, Rule]:
    found: dict[str, Rule] = {stage: act}
    if stage == "EHLO":
        found["HELO"] = act  # else we greet it as a server of forty years ago
    return found


@pytest.mark.parametrize("stage", STAGES)
async def test_not_now_at_each_stage(office: Post, stage: str) -> None:
    """It waits; the administrator sees why; the sender hears of it after four hours, and of the end after five days."""
    with Sink(rules(stage, b"451 4.3.0 disk full\r\n")) as sink:
        office.start(settings({"all": here("*", port=sink.port)}))
        await office.queue("a@one.test")
        (waiting,) = await office.rest()
        assert waiting.due_at == office.clock.now + 300
        shown = row(waiting, as_json=False)
        assert (shown["state"], shown["tries"], shown["last reply"]) == ("waiting", 1, "451 4.3.0 disk full")
        (deferred,) = await office.events("message.deferred")
        assert (deferred.reason, deferred.detail["due_at"]) == ("4.3.0", waiting.due_at)
        assert await office.letters() == []
        await office.later(4 * 3600)
        assert len(await office.letters()) == 1
        assert await office.later(5 * DAY) == []
        late, over = await office.letters()
        assert (b"Action: delayed" in late, b"Action: failed" in over) == (True, True)
        assert b"smtp; 451 4.3.0 disk full" in over
        (failed,) = await office.events("message.failed")
        assert failed.detail["told"] is True


@pytest.mark.parametrize("stage", STAGES)
async def test_not_ever_at_each_stage(office: Post, stage: str) -> None:
    """Of the mail it is final. What a server says before it has heard of the mail (554) it may say to us today only."""
    with Sink(rules(stage, b"554 5.7.1 not from you\r\n")) as sink:
        office.start(settings({"all": here("*", port=sink.port)}))
        await office.queue("a@one.test")
        waiting = await office.rest()
        if stage in {"greeting", "EHLO"}:
            assert row(waiting[0], as_json=False)["last reply"] == "554 5.7.1 not from you"
            assert await office.letters() == []
            return
        assert waiting == []
        (notice,) = await office.letters()
        assert b"Status: 5.7.1" in notice
        assert b"smtp; 554 5.7.1 not from you" in notice
        (failed,) = await office.events("message.failed")
        assert (failed.reason, failed.detail["reply"], failed.detail["attempt"]) == (
            "5.7.1",
            "554 5.7.1 not from you",
            1,
        )


@pytest.mark.parametrize("act", [Drop(), Drop(reset=True), Hang()])
async def test_lost_after_the_final_dot(office: Post, act: Act) -> None:
    """It may have been taken: it is tried again, never given up and never told as failed; a duplicate is the lesser evil."""
    with Sink({".": [act, b"250 2.0.0 taken\r\n"]}) as sink:
        values = settings({"all": here("*", port=sink.port)})
        office.start(values)
        await office.queue("a@one.test")
        (waiting,) = await office.rest()
        assert waiting.attempts == 1
        assert "connection" in waiting.last_reply or "answer" in waiting.last_reply
        assert await office.letters() == []
        assert await office.later(400) == []
        assert len(sink.taken) == 2
        assert sink.taken[0].text == sink.taken[1].text
        assert len(await office.events("message.sent")) == 1


@pytest.mark.parametrize("stage", ["greeting", "EHLO", "MAIL", "RCPT", "DATA"])
async def test_silence_at_each_stage(office: Post, stage: str) -> None:
    """A server that says nothing more: given up for now when its time is over, and nobody is told."""
    with Sink(rules(stage, Hang())) as sink:
        office.start(settings({"all": here("*", port=sink.port)}))
        assert office.runner is not None
        await office.queue("a@one.test")
        (waiting,) = await office.rest()
        assert (waiting.attempts, waiting.delay_told) == (1, False)
        assert waiting.last_reply.startswith("4")
        assert sink.taken == []
        assert await office.letters() == []


async def test_a_tarpit_holds_nobody_else(office: Post) -> None:
    """It dribbles lines for ever; mail for a good server leaves meanwhile, and the tarpit's conversation has an end."""
    with Sink({"EHLO": Repeat(b"250-wait\r\n", 0.05)}) as tarpit, Sink() as good:
        office.start(settings({"tar": here("tar.test", port=tarpit.port), "good": here("good.test", port=good.port)}))
        began = asyncio.get_running_loop().time()
        await office.queue("a@tar.test", "b@good.test")
        await office.until(lambda: len(good.taken) == 1)
        assert asyncio.get_running_loop().time() - began < 1
        (waiting,) = await office.rest(15)
        assert waiting.domain == "tar.test"
        assert asyncio.get_running_loop().time() - began < QUICK.total_s + 2


async def test_slow_but_working_is_waited_for(office: Post) -> None:
    """Each answer takes its time, though never more than it may."""

    def slow(_line: str) -> bytes:
        time.sleep(QUICK.command_s / 8)
        return b"250 ok\r\n"

    with Sink({"MAIL": slow, "RCPT": slow, ".": slow}) as sink:
        office.start(settings({"all": here("*", port=sink.port)}))
        await office.queue("a@one.test", "b@one.test")
        assert await office.rest() == []
        assert len(sink.taken) == 1
