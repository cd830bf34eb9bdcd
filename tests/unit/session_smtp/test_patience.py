"""Faults cost time that grows and is bounded; what is useless is counted; a message forgives."""

import asyncio
from dataclasses import replace

import pytest

from poterne.config.settings import Smtp
from poterne.net.link import Link
from poterne.proto.smtp.replies import OK, TOO_MANY_ERRORS
from poterne.session.smtp import patience
from poterne.session.smtp.patience import TOO_MANY_UNKNOWN, Patience

SETTINGS = Smtp()


class Slept(list[float]):
    """Time that passes when somebody sleeps."""

    now = 0.0

    def time(self) -> float:
        return self.now

    async def sleep(self, delay_s: float) -> None:
        self.append(delay_s)
        self.now += delay_s


class Here:
    connected = True


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> Slept:
    slept = Slept()
    monkeypatch.setattr(patience.asyncio, "sleep", slept.sleep)  # type: ignore[attr-defined]
    monkeypatch.setattr(patience.asyncio, "get_running_loop", lambda: slept)  # type: ignore[attr-defined]
    return slept


def made(settings: Smtp = SETTINGS, link: Here | None = None, *, stopping: bool = False) -> Patience:
    return Patience(settings, link or Here(), lambda: stopping)  # type: ignore[arg-type]


def step(work: object) -> object:
    """The result of a coroutine that never waits for the loop."""
    try:
        work.send(None)  # type: ignore[attr-defined]
    except StopIteration as over:
        return over.value
    raise AssertionError("it waits")


def test_waits_double_up_to_a_bound_and_the_one_too_many_ends_it(slept: Slept) -> None:
    it, waits = made(), []
    for _ in range(SETTINGS.max_bad_commands - 1):
        before = slept.now
        assert step(it.wrong(OK)) is OK
        waits.append(slept.now - before)
    assert waits == [0, 0, 0.5, 1, 2, 4, 8, 8, 8]
    before = slept.now
    assert step(it.wrong(OK)) is TOO_MANY_ERRORS
    assert slept.now == before, "who is sent away need not wait for it"


def test_faults_of_all_kinds_make_waits_grow(slept: Slept) -> None:
    it = made()
    assert it.failed(OK) is OK
    assert it.failed(OK) is OK
    assert slept.now == 0, "sign-ins are slowed elsewhere"
    assert step(it.unknown(OK)) is OK
    assert slept.now == 0.5
    assert step(it.wrong(OK)) is OK
    assert slept.now == 1.5


def test_the_budget_ends_the_connection(slept: Slept) -> None:
    it = made(replace(SETTINGS, max_waits_s=7, max_bad_commands=100, max_unknown_recipients=100))
    answers = [step(it.unknown(OK)) for _ in range(6)]
    assert answers == [OK] * 5 + [TOO_MANY_UNKNOWN]
    assert slept.now == 3.5
    assert step(it.wrong(OK)) is TOO_MANY_ERRORS


def test_who_signed_in_does_not_wait_for_old_addresses(slept: Slept) -> None:
    it = made()
    assert [step(it.unknown(OK, waits=False)) for _ in range(10)] == [OK] * 9 + [TOO_MANY_UNKNOWN]
    assert slept.now == 0


def test_who_is_gone_is_not_waited_for(slept: Slept) -> None:
    link = Here()
    it = made(link=link)
    for _ in range(5):
        step(it.wrong(OK))
    link.connected = False
    before = slept.now
    step(it.wrong(OK))
    assert slept.now == before


def test_a_server_that_stops_waits_for_nobody(slept: Slept) -> None:
    it = made(stopping=True)
    for _ in range(9):
        step(it.wrong(OK))
    assert slept.now == 0


def test_who_was_refused_for_good_does_not_wait(slept: Slept) -> None:
    it = made()
    it.lost()
    assert [step(it.wrong(OK)) for _ in range(10)] == [OK] * 9 + [TOO_MANY_ERRORS]
    assert slept.now == 0


def test_useless_commands_end_it_unless_a_message_comes() -> None:
    it = made(replace(SETTINGS, max_useless_commands=20))
    for _ in range(20):
        assert it.useless(OK) is OK
    it.rewarded()
    for _ in range(20):
        assert it.useless(OK) is OK
    assert it.useless(OK).code == 421


async def test_a_wait_ends_with_the_connection() -> None:
    """The link of a real loop, lost while its peer waits."""
    link = Link(asyncio.get_running_loop())
    it = Patience(replace(SETTINGS, free_faults=0, first_wait_ms=60_000), link, lambda: False)
    async with asyncio.timeout(5):
        await it.wrong(OK)  # never connected: nothing to wait for
