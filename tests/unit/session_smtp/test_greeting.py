"""Who waits for the greeting, and for how long it is remembered."""

import pytest

from poterne.net.limits import is_loopback
from poterne.session.smtp import greeting
from poterne.session.smtp.greeting import Greeting

STRANGER = "192.0.2.1"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def made(clock: Clock, delay_s: float = 1.0) -> Greeting:
    return Greeting(delay_s, 3600.0, is_loopback, clock)


def test_a_stranger_waits_once_in_a_while() -> None:
    clock = Clock()
    pause = made(clock)
    assert pause.delay_s(STRANGER) == 1.0
    assert pause.delay_s(STRANGER) == 1.0, "asking is not waiting"
    pause.passed(STRANGER)
    assert pause.delay_s(STRANGER) == 0.0
    assert pause.delay_s("192.0.2.2") == 1.0
    clock.now += 3601
    assert pause.delay_s(STRANGER) == 1.0


def test_who_spoke_early_later_is_forgotten() -> None:
    pause = made(Clock())
    pause.passed(STRANGER)
    pause.failed(STRANGER)
    assert pause.delay_s(STRANGER) == 1.0


def test_loopback_and_a_delay_of_nothing() -> None:
    assert made(Clock()).delay_s("127.0.0.1") == 0.0
    assert made(Clock()).delay_s("::1") == 0.0
    assert made(Clock(), delay_s=0.0).delay_s(STRANGER) == 0.0


def test_a_customer_of_ipv6_is_one_peer() -> None:
    pause = made(Clock())
    pause.passed("2001:db8:1:2::1")
    assert pause.delay_s("2001:db8:1:2:ffff::9") == 0.0
    assert pause.delay_s("2001:db8:1:3::1") == 1.0


def test_memory_is_bounded_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greeting, "MAX_REMEMBERED", 10)
    pause = made(Clock())
    for number in range(11):
        pause.passed(f"192.0.2.{number}")
        pause.passed("192.0.2.0")  # in use: it stays
    assert pause.delay_s("192.0.2.0") == 0.0
    assert pause.delay_s("192.0.2.1") == 1.0
    assert pause.delay_s("192.0.2.10") == 0.0
