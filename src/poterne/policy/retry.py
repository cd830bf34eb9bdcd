"""When mail that could not be delivered is tried again, and when it is given up. Pure: time and chance are given.

The delay doubles from `first_s` to `longest_s`, and each one is stretched by chance (a quarter at most), so that what failed
together does not come back together. It is never shorter than `first_s`: greylisting wants that pause.
"""

from dataclasses import dataclass
from typing import Final

JITTER: Final = 0.25
"""By how much of itself a delay is stretched at the most."""
_MOST_DOUBLINGS: Final = 30


@dataclass(frozen=True, slots=True)
class RetryTimes:
    """All in seconds. `delay_notice_s` 0: no notice of delay."""

    first_s: int = 300
    longest_s: int = 14_400
    give_up_s: int = 432_000
    give_up_notices_s: int = 172_800
    delay_notice_s: int = 14_400


@dataclass(frozen=True, slots=True)
class Waiting:
    """A recipient that could not be reached, once more."""

    queued_at: int
    attempts: int
    """Before this one."""
    null_sender: bool
    delay_told: bool
    released_at: int = 0
    """When held mail went its way: its time begins then."""


@dataclass(frozen=True, slots=True)
class Again:
    """Try it again at `due_at`; `tell_delay`: now is the time to say that it is late."""

    due_at: int
    tell_delay: bool


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Its time is over, after `after_s`."""

    after_s: int


def delay_s(attempts: int, times: RetryTimes, chance: float) -> int:
    """The pause after a failure with `attempts` failures before it; `chance` is in [0, 1)."""
    base = min(times.first_s << min(max(attempts, 0), _MOST_DOUBLINGS), max(times.longest_s, times.first_s))
    return int(base * (1 + JITTER * chance))


def expires_at(waiting: Waiting, times: RetryTimes) -> int:
    """When its time is over."""
    begun = max(waiting.queued_at, waiting.released_at)
    return begun + (times.give_up_notices_s if waiting.null_sender else times.give_up_s)


def after_failure(waiting: Waiting, times: RetryTimes, now: int, chance: float, not_before: int = 0) -> Again | GiveUp:
    """What becomes of it. The last try is when its time is over, not before; `not_before`: its destination is being left alone.

    Null senders are never told of delays: nobody is there.
    """
    end = expires_at(waiting, times)
    if now >= end:
        return GiveUp(max(0, now - waiting.queued_at))
    due_at = max(now + delay_s(waiting.attempts, times, chance), not_before)
    late = bool(times.delay_notice_s) and now - waiting.queued_at >= times.delay_notice_s
    return Again(min(due_at, max(end, now + 1)), late and not (waiting.delay_told or waiting.null_sender))


def dead_s(failures: int, times: RetryTimes, chance: float) -> int:
    """How long a destination is left alone after so many connection failures in a row (1 or more)."""
    first = max(1, times.first_s // 5)
    base = min(first << min(max(failures - 1, 0), _MOST_DOUBLINGS), max(1, times.longest_s // 4))
    return int(base * (1 + JITTER * chance))
