"""Who tries out names is sent away for a while; who merely has old addresses, or carries others' mail, is not."""

import pytest

from poterne.net.limits import is_loopback
from poterne.session.smtp import harvest
from poterne.session.smtp.harvest import Harvest

GUESSER = "192.0.2.1"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def made(clock: Clock | None = None, most: int = 10) -> Harvest:
    return Harvest(most, 600.0, is_loopback, clock or Clock())


def test_a_guesser_is_blocked_for_a_while() -> None:
    clock = Clock()
    table = made(clock)
    assert [table.unknown(GUESSER) for _ in range(10)] == [0] * 9 + [10], "the tenth begins the block, and says so"
    assert table.blocked(GUESSER)
    assert not table.blocked("192.0.2.2")
    clock.now += 601
    assert not table.blocked(GUESSER)
    assert table.unknown(GUESSER) == 11, "the hour is not over"
    assert table.blocked(GUESSER)
    clock.now += 3600
    assert not table.blocked(GUESSER)
    assert table.unknown(GUESSER) == 0, "a new hour"


def test_who_mostly_knows_people_is_not_blocked() -> None:
    table = made()
    assert table.unknown(GUESSER) == 0
    for _ in range(40):
        table.known(GUESSER)
    for _ in range(16):
        assert table.unknown(GUESSER) == 0, "17 unknown beside 40 known"
    assert table.unknown(GUESSER) == 18, "18 of 58: three of ten"


def test_who_only_names_people_that_exist_is_not_even_watched() -> None:
    table = made()
    for _ in range(1000):
        table.known(GUESSER)
    assert not table._records


def test_loopback_is_exempt_and_nobody_is_counted_when_it_is_off() -> None:
    table, off = made(), made(most=0)
    for _ in range(100):
        assert table.unknown("127.0.0.1") == 0
        assert off.unknown(GUESSER) == 0
    assert not table.blocked("127.0.0.1")
    assert not off.blocked(GUESSER)


def test_an_ipv6_customer_is_one_guesser() -> None:
    table = made()
    for number in range(10):
        table.unknown(f"2001:db8:1:2::{number:x}")
    assert table.blocked("2001:db8:1:2:3::4")
    assert not table.blocked("2001:db8:1:3::1")


def test_the_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harvest, "MAX_WATCHED", 5)
    table = made()
    for _ in range(10):
        table.unknown(GUESSER)
    for number in range(4):
        table.unknown(f"192.0.2.{number + 10}")
    assert table.blocked(GUESSER)
    table.unknown("192.0.2.99")
    assert len(table._records) == 5
    assert not table.blocked(GUESSER), "the one not seen for longest went"
