"""The queue runner with a real store and servers over sockets: what is due goes out, and what becomes of it is kept."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.queue.outcome import AttemptResult, Hop
from poterne.store.failing import FailurePlan, failing
from poterne.values.dns import Found, Mx
from poterne.values.ids import TraceId
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import NewQueued, NewRecipient, QueuedMessage, QueuedRecipient
from tests.support.queue_world import LETTER, Names, Post, here, post, settings
from tests.support.sink import Sink
from tests.support.stores import blob

DAY = 86_400


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Post]:
    async with post(tmp_path) as made:
        yield made


async def test_what_is_due_goes_out_and_is_recorded(office: Post) -> None:
    with Sink() as one, Sink() as two:
        office.start(settings({"one": here("one.test", port=one.port), "two": here("two.test", port=two.port)}))
        await office.queue("a@one.test", "b@one.test", "c@two.test")
        assert await office.rest() == []
        assert [taken.rcpts for taken in one.taken] == [["RCPT TO:<a@one.test>", "RCPT TO:<b@one.test>"]]
        assert [taken.text for taken in two.taken] == [LETTER]
        events = await office.events("message.sent")
        assert {event.detail["to"] for event in events} == {"a@one.test", "b@one.test", "c@two.test"}
        assert all(event.detail["host"] == "127.0.0.1" and event.detail["reply"] for event in events)
        assert events[0].account_id == office.world.alice


async def test_the_return_path_stays_here(office: Post) -> None:
    with Sink() as sink:
        office.start(settings({"all": here("*", port=sink.port)}))
        first = b"Return-Path: <alice@example.org>\r\n"
        await office.queue("a@one.test", letter=first + LETTER, start=len(first))
        await office.rest()
        assert [taken.text for taken in sink.taken] == [LETTER]


async def test_a_message_for_later_waits_and_wakes_nobody(office: Post) -> None:
    with Sink() as sink:
        office.start(settings({"all": here("*", port=sink.port)}))
        await office.queue("a@one.test", due_at=int(office.clock.now) + 100)
        await asyncio.sleep(0.3)
        assert sink.connections == 0
        assert await office.later(100) == []
        assert len(sink.taken) == 1


async def test_greylisting_is_waited_out(office: Post) -> None:
    with Sink({"RCPT": [b"451 4.7.1 come back later\r\n", b"250 2.1.5 welcome\r\n"]}) as sink:
        office.start(settings({"all": here("*", port=sink.port)}))
        await office.queue("a@grey.test")
        (waiting,) = await office.rest()
        assert (waiting.attempts, waiting.last_reply) == (1, "451 4.7.1 come back later")
        assert waiting.due_at == office.clock.now + 300
        assert await office.later(299) != []
        assert await office.later(1) == []
        assert len([taken for taken in sink.taken if taken.rcpts]) == 1
        assert len(await office.events("message.deferred")) == 1


async def test_each_recipient_has_its_own_fate(office: Post) -> None:
    def rcpt(line: str) -> bytes:
        if "grey" in line:
            return b"450 4.2.0 later\r\n"
        return b"550 5.1.1 who?\r\n" if "gone" in line else b"250 2.1.5 ok\r\n"

    with Sink({"RCPT": rcpt}) as sink:
        office.start(settings({"all": here("*", port=sink.port)}))
        await office.queue("good@one.test", "grey@one.test", "gone@one.test")
        waiting = await office.rest()
        assert [one.forward_path for one in waiting] == ["grey@one.test"]
        (failed,) = await office.events("message.failed")
        assert (failed.detail["to"], failed.detail["told"], failed.reason) == ("gone@one.test", True, "5.1.1")
        (notice,) = await office.letters()
        assert notice.startswith(b"Return-Path: <>\r\n")
        assert b"gone@one.test" in notice
        assert b"550 5.1.1 who?" in notice
        assert b"good@one.test" not in notice


async def test_a_storm_of_4xx_tries_less_and_less_tells_once_and_gives_up_after_five_days(office: Post) -> None:
    with Sink({"MAIL": b"421 4.3.2 not now\r\n"}) as sink:
        office.start(settings({"all": here("*", port=sink.port)}))
        await office.queue("a@storm.test")
        began = office.clock.now
        waiting = await office.rest()
        tries = [0.0]
        while waiting:
            waiting = await office.later(int(waiting[0].due_at - office.clock.now))
            tries.append(office.clock.now - began)
            assert len(tries) < 60
        assert tries[-1] == 5 * DAY
        assert tries[1:4] == [300, 900, 2100]
        assert sum(line.startswith("MAIL") for line in sink.lines) == len(tries)
        late, over = await office.letters()
        assert b"delayed" in late.lower()
        assert b"421 4.3.2 not now" in over
        assert len(await office.events("message.deferred")) == 1  # the same answer again is no news


async def test_dead_servers_are_left_alone_and_what_waits_is_put_off(office: Post) -> None:
    with Sink() as sink:
        dead = sink.port
    office.start(settings({"dead": here("dead.test", port=dead)}))
    for number in range(30):
        await office.queue(f"u{number}@dead.test")
    waiting = await office.rest()
    assert len(waiting) == 30
    assert all(one.attempts == 1 and one.due_at >= office.clock.now + 60 for one in waiting)
    assert sum("cannot be reached" in one.last_reply or "refused" in one.last_reply for one in waiting) <= 6
    await office.stop()
    with Sink() as back:  # it returns on another port
        office.start(settings({"dead": here("dead.test", port=back.port)}))
        assert await office.later(700) == []
        assert len(back.taken) == 30


async def test_another_server_of_the_domain_takes_over(office: Post) -> None:
    with Sink() as sink:
        names = Names({"two.test": [(10, "dead.two.test"), (20, "live.two.test")]}, {"dead.two.test": ["127.0.0.2"], "live.two.test": ["127.0.0.1"]})  # fmt: skip
        office.start(settings(mx_port=sink.port), names)
        await office.queue("a@two.test")
        assert await office.rest() == []
        (event,) = await office.events("message.sent")
        assert (event.detail["host"], event.peer) == ("live.two.test", "127.0.0.1")


async def test_where_dns_says_never_the_sender_hears_at_once(office: Post) -> None:
    null = Found((Mx(0, ""),), "null.test", secure=False, ttl_s=60)
    office.start(settings(), Names({"null.test": null}))
    await office.queue("a@null.test", "b@nowhere.test")
    assert await office.rest() == []
    said = b"".join(await office.letters())
    assert b"5.1.10" in said
    assert b"5.1.2" in said


async def test_without_a_name_server_mail_waits(office: Post) -> None:
    office.start(settings())
    await office.queue("a@one.test")
    (waiting,) = await office.rest()
    assert "no name server" in waiting.last_reply


async def test_a_restart_between_the_answer_and_the_settlement_duplicates_and_loses_nothing(office: Post) -> None:
    """Killed when the server has taken the mail and before that is written down."""
    with Sink() as sink:
        values = settings({"all": here("*", port=sink.port)})
        reached = asyncio.Event()

        async def killed(hop: Hop, message: QueuedMessage, recipients: object) -> AttemptResult:
            assert office.runner is not None
            await office.runner._attempt(hop, message, recipients)  # type: ignore[arg-type]
            reached.set()
            await asyncio.Event().wait()
            raise AssertionError

        office.start(values, attempts=killed)
        await office.queue("a@one.test")
        await asyncio.wait_for(reached.wait(), 5)
        assert office.task is not None
        assert office.runner is not None
        office.task.cancel()
        for task in tuple(office.runner._tasks):
            task.cancel()
        await asyncio.sleep(0.05)
        assert [one.state.value for one in await office.store.queued()] == ["leased"]
        await office.runner._connections.close()
        office.runner = office.task = None
        office.start(values)
        await office.until(lambda: len(sink.taken) == 2)
        assert await office.rest() == []
        assert "queue.reclaimed" in office.log.names()


async def test_nothing_is_in_memory_beyond_the_limit(office: Post) -> None:
    most = 0

    async def slow(hop: Hop, message: QueuedMessage, recipients: object) -> AttemptResult:
        nonlocal most
        assert office.runner is not None
        most = max(most, office.runner.leased)
        return await office.runner._attempt(hop, message, recipients)  # type: ignore[arg-type]

    with Sink() as sink:
        await office.burst([f"d{n % 50}.test" for n in range(1000)], Origin(OriginKind.SENDER, "shop"))
        office.start(settings({"all": here("*", port=sink.port)}, max_leased=100, max_attempts=8), attempts=slow)
        assert await office.rest(30) == []
        assert len(sink.taken) == 1000
        assert 50 <= most <= 100


async def test_a_burst_with_dead_destinations_and_tarpits_delays_nobody(office: Post) -> None:
    """2,000 mails of one origin: to the same place as the other's, to dead servers, to servers that say nothing."""
    with Sink() as sink, Sink({"greeting": [b""]}) as tarpit:
        with Sink() as gone:
            dead = gone.port
        routes = {
            "d": here("same.test", port=sink.port),
            **{f"dead{n}": here(f"dead{n}.test", port=dead) for n in range(50)},
            **{f"tar{n}": here(f"tar{n}.test", port=tarpit.port) for n in range(50)},
        }
        domains = [
            domain for n in range(400) for domain in (f"tar{n % 50}.test", f"dead{n % 50}.test", *["same.test"] * 3)
        ]
        await office.burst(domains, Origin(OriginKind.SENDER, "shop"))
        office.start(settings(routes, max_leased=400, max_attempts=16))
        await office.until(lambda: len(sink.taken) > 50)
        began = asyncio.get_running_loop().time()
        await office.queue("single@same.test")
        await office.until(lambda: any("single@" in rcpt for taken in sink.taken for rcpt in taken.rcpts))
        assert asyncio.get_running_loop().time() - began < 1.5
        assert await office.store.queue_depth() > 200, "the burst was over already"


async def test_the_store_failing_at_settlement_is_waited_out(office: Post) -> None:
    with Sink() as sink:
        plan = FailurePlan()
        office.start(settings({"all": here("*", port=sink.port)}), store=failing(office.store, plan))
        await asyncio.sleep(0.05)
        plan.at = plan.calls + 10**6
        original = plan.call

        def call(name: str, work: object) -> object:
            if name == "settle" and plan.at != 0:
                plan.at = plan.calls + 1
                result = original(name, work)  # type: ignore[arg-type]
                plan.at = 0
                return result
            return original(name, work)  # type: ignore[arg-type]

        plan.call = call  # type: ignore[method-assign]
        await office.queue("a@one.test")
        assert await office.rest() == []
        assert len(sink.taken) == 1
        assert "queue.unsettled" in office.log.names()


async def test_the_store_failing_between_a_lease_and_the_plan_keeps_nothing_waiting(office: Post) -> None:
    """Leased and forgotten it would wait for the end of its lease: hours."""
    with Sink() as sink:
        plan = FailurePlan()
        original, last = plan.call, ""

        def call(name: str, work: object) -> object:
            nonlocal last
            before, last = last, name
            if name == "domains" and before == "lease":
                plan.at = plan.calls + 1
            return original(name, work)  # type: ignore[arg-type]

        plan.call = call  # type: ignore[method-assign]
        await office.queue("a@one.test")
        office.start(settings({"all": here("*", port=sink.port)}), store=failing(office.store, plan))
        assert await office.rest() == []
        assert len(sink.taken) == 1


async def test_a_bug_in_an_attempt_stops_nothing(office: Post) -> None:
    async def broken(hop: Hop, message: QueuedMessage, recipients: list[QueuedRecipient]) -> AttemptResult:
        if recipients[0].forward_path.startswith("bad"):
            raise RuntimeError("a bug")
        assert office.runner is not None
        return await office.runner._attempt(hop, message, recipients)

    with Sink() as sink:
        office.start(settings({"all": here("*", port=sink.port)}), attempts=broken)  # type: ignore[arg-type]
        await office.queue("bad@one.test")
        await office.queue("good@one.test")
        (waiting,) = await office.rest()
        assert (waiting.forward_path, waiting.attempts) == ("bad@one.test", 1)
        assert "bug" not in waiting.last_reply
        assert "queue.bug" in office.log.names()
        assert len(sink.taken) == 1


async def test_mail_that_can_t_be_read_any_more_is_given_up_with_a_notice(office: Post) -> None:
    with Sink() as sink:
        await office.queue("a@one.test")
        damaged = 0
        for file in (office.folder / "store").rglob("*"):
            octets = file.read_bytes() if file.is_file() else b""
            if LETTER in octets and "db" not in file.name:
                file.write_bytes(octets.replace(LETTER, LETTER.replace(b"hello", b"HELLO")))
                damaged += 1
        assert damaged == 1
        office.start(settings({"all": here("*", port=sink.port)}))
        (waiting,) = await office.rest()
        assert waiting.last_reply == "Something failed on this server"
        assert "queue.failed" in office.log.names()
        assert await office.later(5 * DAY) == []
        assert sink.taken == []
        assert b"a@one.test" in (await office.letters())[0]


async def test_an_idle_queue_costs_nothing(office: Post) -> None:
    """100,000 deferred recipients of 200 origins: asking for what is due takes well below a millisecond."""
    kept = await blob(office.store, LETTER)
    later = int(office.clock.now) + 5000
    for at in range(200):
        recipients = tuple(NewRecipient(f"u{n}@d{n % 97}.test", f"d{n % 97}.test") for n in range(500))
        await office.store.deliver([], [NewQueued(Origin(OriginKind.ACCOUNT, f"o{at}@example.org"), TraceId("t"), "", kept, recipients, later + at)], [])  # fmt: skip
    runner = office.start(settings(), poll_s=0.02)
    await asyncio.sleep(0.2)
    used, began = time.process_time(), time.perf_counter()
    await asyncio.sleep(1.0)
    used, passed = time.process_time() - used, time.perf_counter() - began
    rounds = passed / 0.02
    assert runner.leased == 0
    assert used / rounds < 0.005, f"{used / rounds * 1e3:.2f} ms a round"  # one each 2 s in service: 0.25 % at most
