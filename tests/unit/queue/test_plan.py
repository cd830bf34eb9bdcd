"""Whose turn it is: shares of origins, windows of destinations, the dead and their probes."""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.queue import plan as planning
from poterne.queue.plan import DEAD_AFTER, Course, Job, Limits, Plan
from tests.unit.queue.support import mails, message, recipient

LIMITS = Limits(max_attempts=100, max_leased=2000, per_destination_start=3, per_destination=20, max_recipients=100)
LATER = 10_000


def all_of(plan: Plan) -> list[Job]:
    """Everything that can start now."""
    found = []
    while (job := plan.take()) is not None:
        found.append(job)
    return found


def proven(plan: Plan, domains: Iterable[str]) -> None:
    """These take mail."""
    for domain in domains:
        plan.add(mails("first", domain, 1), LATER, 0)
        for job in all_of(plan):
            plan.finish(job, Course.WELL, 0)


def test_unproven_destinations_leave_room_for_proven_ones() -> None:
    plan = Plan(LIMITS)
    proven(plan, ["good"])
    plan.add([pair for n in range(200) for pair in mails("burst", f"tar{n}", 1)] + mails("burst", "good", 50), LATER, 0)
    running = all_of(plan)
    there = Counter(job.destination.rstrip("0123456789") for job in running)
    assert there["tar"] == 37
    assert there["good"] >= 2
    for _ in range(48):  # all of it goes, though no tarpit ever ends
        job = next(job for job in running if job.destination == "good")
        running.remove(job)
        plan.finish(job, Course.WELL, 0)
        running += all_of(plan)
    ended = next(job for job in running if job.destination != "good")
    running.remove(ended)
    plan.finish(ended, Course.BUSY, 0)
    assert [job.unproven for job in all_of(plan)].count(True) == 1


def test_what_waits_long_for_strangers_makes_room_for_what_comes_behind_it() -> None:
    plan = Plan(LIMITS)
    proven(plan, ["good"])
    tarpits = [pair for n in range(1100) for pair in mails("burst", f"tar{n}", 1)]
    plan.add(tarpits + mails("burst", "good", 50) + mails("other", "tar1", 1), LATER, 100)
    started = all_of(plan)
    assert plan.full_origins() == {"account:burst"}
    assert plan.stale(99) == []
    back = plan.stale(100)
    assert {job.destination[:3] for job in back} == {"tar"}
    assert len(back) == 1100 - sum(job.destination != "good" and job.origin == "account:burst" for job in started)
    assert plan.full_origins() == frozenset()
    assert plan.stale(200) == []


def test_recipients_of_a_message_at_one_destination_go_together() -> None:
    plan = Plan(LIMITS)
    one = message()
    plan.add([(recipient(one, "x"), "x") for _ in range(250)] + [(recipient(one, "y"), "y")], LATER, 0)
    assert plan.leased == 251
    sizes = sorted((job.destination, len(job.recipients)) for job in all_of(plan))
    assert sizes == [("x", 100), ("x", 100), ("y", 1)]  # of three, one is kept for other origins


def test_two_leases_of_one_message_join_while_it_waits() -> None:
    plan = Plan(LIMITS)
    one = message()
    plan.add([(recipient(one), "d")], LATER, 0)
    plan.add([(recipient(one), "d")], LATER - 1, 0)
    job = plan.take()
    assert job is not None
    assert (len(job.recipients), job.lease_until) == (2, LATER - 1)
    plan.add([(recipient(one), "d")], LATER, 0)
    other = plan.take()
    assert other is not None
    assert len(other.recipients) == 1


def test_an_origin_never_has_all_conversations() -> None:
    plan = Plan(LIMITS)
    known = [f"d{n}" for n in range(500)]
    proven(plan, [*known, *(f"e{n}" for n in range(100))])
    plan.add([pair for domain in known for pair in mails("burst", domain, 1)], LATER, 0)
    assert len(all_of(plan)) == 50
    plan.add([pair for n in range(100) for pair in mails("second", f"e{n}", 1)], LATER, 0)
    assert len(all_of(plan)) == 25
    plan.add(mails("single", "d1", 1), LATER, 0)
    assert [job.origin for job in all_of(plan)] == ["account:single"]


def test_an_origin_never_has_all_of_the_memory() -> None:
    plan = Plan(LIMITS)
    taken = 0
    while "account:burst" not in plan.full_origins():
        count = min(plan.room, 500, plan.origin_room)
        taken += count
        plan.add(mails("burst", "d", count), LATER, 0)
    assert 1000 <= taken <= 1500
    assert plan.origin_room >= 250


def test_a_burst_leaves_a_conversation_with_its_destination_to_others() -> None:
    plan = Plan(LIMITS)
    plan.add(mails("burst", "d", 1000), LATER, 0)
    assert len(all_of(plan)) == 2
    plan.add(mails("single", "d", 1), LATER, 0)
    assert [job.origin for job in all_of(plan)] == ["account:single"]
    assert plan.take() is None


def test_origins_take_turns_at_a_destination() -> None:
    plan = Plan(LIMITS)
    for origin in "abc":
        plan.add(mails(origin, "d", 100), LATER, 0)
    running = all_of(plan)
    served: Counter[str] = Counter()
    for _ in range(90):
        job = running.pop(0)
        plan.finish(job, Course.BUSY, 0)
        started = all_of(plan)
        served.update(job.origin for job in started)
        running += started
    assert max(served.values()) - min(served.values()) <= 3, served


def test_a_slow_destination_does_not_stop_others_of_the_same_origin() -> None:
    plan = Plan(LIMITS)
    plan.add(mails("a", "slow", 200) + mails("a", "quick", 5), LATER, 0)
    assert Counter(job.destination for job in all_of(plan)) == {"slow": 2, "quick": 2}


def test_windows_grow_with_success_and_shrink_when_asked_to() -> None:
    plan = Plan(LIMITS)
    plan.add(mails("a", "d", 1500), LATER, 0)
    running = all_of(plan)
    for _ in range(600):
        plan.finish(running.pop(0), Course.WELL, 0)
        running += all_of(plan)
    assert len(running) == LIMITS.per_destination - 1
    for _ in range(19):
        plan.finish(running.pop(0), Course.BUSY, 0)
        running += all_of(plan)
    assert len(running) <= 2


def test_a_dead_destination_gives_back_what_waits_and_is_probed_by_one() -> None:
    plan = Plan(LIMITS)
    plan.add(mails("a", "d", 10) + mails("b", "d", 10), LATER, 0)
    given: list[Job] = []
    now = 0
    for _ in range(DEAD_AFTER):
        job = plan.take()
        assert job is not None
        now += 30
        given += plan.finish(job, Course.UNREACHABLE, now, 60)
    assert len(given) == 20 - DEAD_AFTER
    assert plan.leased == plan.running == 0
    assert plan.dead_until("d", now) == now + 60
    put_off = plan.add(mails("a", "d", 5), LATER, now + 59)
    assert len(put_off) == 5
    assert plan.leased == 0
    assert not plan.add(mails("a", "d", 5) + mails("b", "d", 5), LATER, now + 60)
    probes = all_of(plan)
    assert [probe.probe for probe in probes] == [True]
    assert plan.crowded() == {"d"}
    assert len(plan.finish(probes[0], Course.UNREACHABLE, now + 90, 120)) == 9
    assert plan.dead_until("d", now + 91) == now + 210
    plan.add(mails("a", "d", 5), LATER, now + 210)
    (probe,) = all_of(plan)
    assert plan.finish(probe, Course.WELL, now + 211) == []
    assert len(all_of(plan)) == 2
    assert plan.failures("d") == 0


def test_failures_that_are_not_in_a_row_kill_nobody() -> None:
    plan = Plan(LIMITS)
    plan.add(mails("a", "d", 100), LATER, 0)
    for course in [Course.UNREACHABLE, Course.UNREACHABLE, Course.WELL] * 10:
        job = plan.take()
        assert job is not None
        assert plan.finish(job, course, 0, 60) == []
    assert plan.dead_until("d", 0) == 0


def test_crowded_destinations_need_no_more() -> None:
    plan = Plan(LIMITS)
    plan.add(mails("a", "x", 199) + mails("a", "y", 202), LATER, 0)
    assert plan.crowded() == {"y"}


def test_leases_that_end_soon_are_given_back() -> None:
    plan = Plan(LIMITS)
    plan.add(mails("a", "d", 5), 100, 0)
    plan.add(mails("a", "d", 4), 300, 0)
    plan.add(mails("b", "e", 1), 100, 0)
    assert len(plan.give_back(200)) == 6
    assert plan.leased == 4
    running = all_of(plan)
    while running:
        plan.finish(running.pop(), Course.WELL, 0)
        running += all_of(plan)
    assert plan.leased == 0


def test_draining_leaves_what_runs() -> None:
    plan = Plan(LIMITS)
    plan.add(mails("a", "d", 10), LATER, 0)
    running = all_of(plan)
    assert len(plan.drain()) == 8
    assert plan.leased == plan.running == 2
    assert all(plan.finish(job, Course.WELL, 0) == [] for job in running)
    assert plan.leased == 0


def test_destinations_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "REMEMBERED", 50)
    plan = Plan(LIMITS)
    for n in range(500):
        plan.add(mails("a", f"d{n}", 1), LATER, 0)
        for job in all_of(plan):
            plan.finish(job, Course.WELL, 0)
    assert len(plan._destinations) <= 51


# -- a simulated day ---------------------------------------------------------------------------------------------------


@dataclass
class World:
    """A plan, and destinations that take as long as they take; time is simulated."""

    plan: Plan
    backlog: dict[str, list[str]]
    """By origin: destinations of its mails, in order."""
    seconds: dict[str, float]
    dead: frozenset[str] = frozenset()
    now: float = 0.0
    running: list[tuple[float, int, Job]] = field(default_factory=list)
    served: dict[str, list[float]] = field(default_factory=dict)
    put_off: int = 0

    def lease(self) -> None:
        for crowded, full in self.plan.orders():
            for origin, waiting in self.backlog.items():
                if f"account:{origin}" in full:
                    continue
                count = min(self.plan.origin_room, self.plan.room)
                picked: list[str] = []
                rest: list[str] = []
                for domain in waiting:
                    (picked if len(picked) < count and domain not in crowded else rest).append(domain)
                self.backlog[origin] = rest
                pairs = [pair for domain in picked for pair in mails(origin, domain, 1)]
                self.note(self.plan.add(pairs, LATER * 100, int(self.now)))

    def note(self, jobs: Iterable[Job]) -> None:
        self.put_off += sum(len(job.recipients) for job in jobs)

    def step(self) -> None:
        self.lease()
        while (job := self.plan.take()) is not None:
            took = self.seconds.get(job.destination, 1.0)
            self.running.append((self.now + took, id(job), job))
        self.running.sort(key=lambda one: one[:2])
        if self.running:
            end, _, job = self.running.pop(0)
            self.now = end
            dead = job.destination in self.dead
            self.note(self.plan.finish(job, Course.UNREACHABLE if dead else Course.WELL, int(self.now), 60))
            self.served.setdefault(job.origin, []).append(self.now)


@pytest.mark.parametrize("busy", ["same destination", "tarpits", "dead"])
def test_a_single_mail_overtakes_a_burst(busy: str) -> None:
    """A burst of 5,000, of which 1,000 go to servers that swallow minutes; the single mail is out in seconds."""
    bad = [f"bad{n}" for n in range(1000)]
    burst = ["d"] * 5000 if busy == "same destination" else bad * 3 + ["d"] * 2000
    world = World(
        Plan(LIMITS),
        {"burst": burst},
        {**dict.fromkeys(bad, 600.0 if busy == "tarpits" else 30.0), "d": 2.0},
        frozenset(bad) if busy == "dead" else frozenset(),
    )
    for _ in range(120):
        world.step()
    began = world.now
    world.backlog["single"] = ["d"]
    while "account:single" not in world.served:
        world.step()
    assert world.served["account:single"][0] - began < 30


def test_ten_senders_overtake_a_burst() -> None:
    """Ten honest senders beside a burst: nobody waits for half a minute."""
    world = World(Plan(LIMITS), {"burst": [f"d{n % 400}" for n in range(5000)]}, {})
    for _ in range(100):
        world.step()
    began = world.now
    for n in range(10):
        world.backlog[f"s{n}"] = [f"d{n}"]
    while len(world.served) < 11:
        world.step()
    assert max(times[0] for origin, times in world.served.items() if origin != "account:burst") - began < 10


# -- nothing is lost, whatever happens ---------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(4, 12), st.integers(2, 5))
def test_whatever_happens_the_counts_fit_and_all_of_it_ends(seed: int, attempts: int, start: int) -> None:
    chance = random.Random(seed)
    limits = Limits(attempts, 60, start, 6, 3)
    plan = Plan(limits)
    waiting: set[int] = set()
    running: list[Job] = []
    ended: set[int] = set()
    now = 0

    def end(jobs: Iterable[Job]) -> None:
        for job in jobs:
            for one in job.recipients:
                assert one.id not in ended
                ended.add(one.id)

    for _ in range(120):
        now += chance.randrange(30)
        match chance.randrange(6):
            case 0 | 1:
                origin = message(chance.choice("abcd"))
                pairs = [(recipient(origin, d), d) for d in chance.choices("uvwxyz", k=chance.randrange(1, 8))]
                pairs = pairs[: plan.room]
                waiting.update(one.id for one, _ in pairs)
                end(plan.add(pairs, now + chance.randrange(1, 400), now))
            case 2 | 3:
                running += all_of(plan)
            case 4 if running:
                job = running.pop(chance.randrange(len(running)))
                end([job])
                end(plan.finish(job, chance.choice(list(Course)), now, 60))
            case _:
                end(plan.give_back(now + chance.randrange(20)) if chance.random() < 0.3 else plan.stale(now - 60))
        assert plan.running == len(running) <= limits.max_attempts
        assert plan.leased == len(waiting - ended) <= limits.max_leased
        assert all(count <= limits.per_destination for count in Counter(job.destination for job in running).values())
    while running or plan.leased:
        running += all_of(plan)
        assert running, "something waits, nothing runs, and nothing can start"
        job = running.pop(0)
        end([job])
        end(plan.finish(job, Course.WELL, now))
    assert ended == waiting
    assert not plan._origins
    assert not plan._open
