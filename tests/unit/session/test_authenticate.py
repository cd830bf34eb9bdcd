"""Passwords against a real store: right, wrong, unknown, changed; what is remembered, and for how long."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.admin import passwords
from poterne.config.settings import SignIn
from poterne.session.authenticate import INVALID, UNAVAILABLE, Authenticator, Failure, origin_of
from poterne.store.errors import UnavailableError
from poterne.store.sqlite.engine import SqliteStore, open_store
from poterne.values.directory import Account
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.secret import Secret

EVENT = Event(0, "test", TraceId("t"))
ADA = "ada@example.org"
VERIFIER = passwords.hash_password(Secret("right"))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = open_store(tmp_path)
    await store.add_domain("example.org", EVENT)
    await store.add_account(ADA, "", "en", VERIFIER, 0, (), EVENT)
    yield store
    await store.close()


@pytest.fixture
def failures() -> list[Failure]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def authenticator(store: SqliteStore, failures: list[Failure], clock: Clock) -> AsyncIterator[Authenticator]:
    made = Authenticator(store, SignIn(free_failures=100), clock=clock, on_failure=failures.append)
    await made.start()
    yield made
    made.close()


async def timed(authenticator: Authenticator, name: str, password: str) -> tuple[object, float]:
    began = time.process_time()
    found = await authenticator.check(name, Secret(password), "192.0.2.1")
    return found, time.process_time() - began


async def test_right_and_wrong(authenticator: Authenticator, failures: list[Failure]) -> None:
    found = await authenticator.check(" ADA@Example.org ", Secret("right"), "192.0.2.1")
    assert isinstance(found, Account)
    assert found.address == ADA
    assert await authenticator.check(ADA, Secret("wrong"), "192.0.2.1") == INVALID
    assert await authenticator.check("nobody@example.org", Secret("right"), "2001:db8:1:2:3::4") == INVALID
    assert await authenticator.check("x" * 10_000, Secret("right"), "192.0.2.1") == INVALID
    assert await authenticator.check(ADA, Secret("r" * 5000), "192.0.2.1") == INVALID
    assert await authenticator.check("a\0b", Secret(""), "192.0.2.1") == INVALID
    assert [failure.origin for failure in failures[:2]] == ["192.0.2.1", "20010db800010002"]
    assert len(failures) == 5


async def test_the_second_time_is_quick(authenticator: Authenticator) -> None:
    _, first = await timed(authenticator, ADA, "right")
    found, second = await timed(authenticator, ADA, "right")
    assert isinstance(found, Account)
    assert second < first / 5


async def test_remembered_for_some_minutes_only(authenticator: Authenticator, clock: Clock) -> None:
    _, first = await timed(authenticator, ADA, "right")
    clock.now += 301
    _, later = await timed(authenticator, ADA, "right")
    assert later > first / 5


async def test_a_changed_password_ends_the_old_one_at_once(authenticator: Authenticator, store: SqliteStore) -> None:
    account = await authenticator.check(ADA, Secret("right"), "192.0.2.1")
    assert isinstance(account, Account)
    await authenticator.check(ADA, Secret("new"), "192.0.2.1")  # remembered as wrong
    await store.set_password(account.id, passwords.hash_password(Secret("new")), EVENT)
    assert await authenticator.check(ADA, Secret("right"), "192.0.2.1") == INVALID
    assert isinstance(await authenticator.check(ADA, Secret("new"), "192.0.2.1"), Account)


async def test_a_disabled_account_is_nobody(authenticator: Authenticator, store: SqliteStore) -> None:
    account = await authenticator.check(ADA, Secret("right"), "192.0.2.1")
    assert isinstance(account, Account)
    await store.set_account(account.id, EVENT, disabled=True)
    assert await authenticator.check(ADA, Secret("right"), "192.0.2.1") == INVALID


async def test_unknown_users_cost_the_same(authenticator: Authenticator) -> None:
    known = min([(await timed(authenticator, ADA, f"wrong {n}"))[1] for n in range(4)])
    unknown = min([(await timed(authenticator, f"nobody{n}@example.org", "wrong"))[1] for n in range(4)])
    assert 0.4 < unknown / known < 2.5


async def test_the_same_wrong_password_is_one_failure_and_costs_nothing(
    authenticator: Authenticator, failures: list[Failure]
) -> None:
    for name in (ADA, "nobody@example.org"):
        failures.clear()
        _, first = await timed(authenticator, name, "old")
        for _ in range(5):
            found, again = await timed(authenticator, name, "old")
            assert found == INVALID
            assert again < first / 5
        assert len(failures) == 1


async def test_failures_heard_from_others_slow_as_well(store: SqliteStore) -> None:
    authenticator = Authenticator(store, SignIn(free_failures=1, max_delay_s=1))
    began = time.monotonic()
    await authenticator.check(ADA, Secret("right"), "192.0.2.1")
    assert time.monotonic() - began < 0.9
    authenticator.heard(Failure("192.0.2.9", "somebody@else"))
    began = time.monotonic()
    assert isinstance(await authenticator.check(ADA, Secret("right"), "192.0.2.9"), Account)
    assert time.monotonic() - began > 0.9
    authenticator.close()


async def test_too_many_at_once_are_told_to_come_later(store: SqliteStore) -> None:
    authenticator = Authenticator(store, SignIn(hashing_threads=1, max_waiting=1, free_failures=100))
    await authenticator.start()
    found = await asyncio.gather(*(authenticator.check(ADA, Secret(f"guess {n}"), f"192.0.2.{n}") for n in range(6)))
    assert found.count(INVALID) == 2
    assert found.count(UNAVAILABLE) == 4
    authenticator.close()


async def test_a_store_that_is_down_says_nothing_about_the_password(store: SqliteStore) -> None:
    class Down:
        """The directory, with one thing broken."""

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        async def credential(self, address: str) -> object:
            raise UnavailableError("locked")

    authenticator = Authenticator(Down(), SignIn())  # type: ignore[arg-type]  # only what check uses
    assert await authenticator.check(ADA, Secret("right"), "192.0.2.1") == UNAVAILABLE
    authenticator.close()


def test_origins() -> None:
    assert origin_of("192.0.2.1") == origin_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert origin_of("2001:db8:1:2:3::4") == origin_of("2001:db8:1:2:ffff::1") != origin_of("2001:db8:1:3::1")


def test_verifiers() -> None:
    assert passwords.verify(Secret("right"), VERIFIER)
    assert not passwords.verify(Secret("wrong"), VERIFIER)
    assert not passwords.needs_rehash(VERIFIER)
    assert passwords.needs_rehash(Secret("$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaA"))
    assert passwords.hash_password(Secret("right")).reveal() != VERIFIER.reveal()
    with pytest.raises(ValueError, match="too long"):
        passwords.hash_password(Secret("x" * 1025))


@pytest.mark.parametrize(
    "verifier", ["", "x", "$argon2id$", "$argon2id$v=19$m=99999999,t=2,p=1$c2FsdA$aGFzaA", "$2b$12$abc"]
)
def test_unreadable_verifiers_match_nothing(verifier: str) -> None:
    assert not passwords.verify(Secret("x"), Secret(verifier))
    assert not passwords.verify(Secret("x"), Secret(b"\xff\xfe"))
