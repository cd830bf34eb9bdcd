"""Sending limits: what a window counts, and what is held."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.values.origin import Origin, OriginKind
from poterne.values.sending import DAY_S, HOUR_S, MINUTE_S, Charge, HoldReason, SendingLimits, Usage, Window, judge

ORIGIN = Origin(OriginKind.ACCOUNT, "alice@example.org")
LENGTH = 60
steps = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 9)), max_size=60)


def charge(count: int, at: int, limits: SendingLimits, external: int = 0) -> Charge:
    return Charge(ORIGIN, limits, at, tuple(f"{n}@example.net" for n in range(count)), external)


@given(st.integers(0, 10**6), steps)
def test_a_window_counts_at_least_its_own_and_at_most_two(start: int, sent: list[tuple[int, int]]) -> None:
    """Never less than what came since the window began; never more than what came in the last two lengths."""
    window, now = Window(), start
    log: list[tuple[int, int]] = []
    for later, count in sent:
        now += later
        window = window.plus(now, LENGTH, count)
        log.append((now, count))
        begun = now - now % LENGTH
        own = sum(number for at, number in log if at >= begun)
        recent = sum(number for at, number in log if at > now - 2 * LENGTH)
        assert own <= window.used(now, LENGTH) <= recent


@given(st.integers(0, 10**6), steps, st.integers(0, 1_000))
def test_a_window_only_shrinks_while_nothing_comes(start: int, sent: list[tuple[int, int]], later: int) -> None:
    window, now = Window(), start
    for gap, count in sent:
        now += gap
        window = window.plus(now, LENGTH, count)
    used = [window.used(now + after, LENGTH) for after in (0, later, later + 7, later + 2 * LENGTH)]
    assert used == sorted(used, reverse=True)
    assert used[-1] == 0
    assert window.moved(now + later, LENGTH).used(now + later, LENGTH) == window.used(now + later, LENGTH)


@given(st.integers(0, 10**6), steps, st.integers(1, 20))
def test_no_window_holds_more_than_the_limit(start: int, sent: list[tuple[int, int]], limit: int) -> None:
    """In a window from its start at most the limit passes, and in any stretch of its length at most twice that."""
    limits = SendingLimits(0, 0, 0, burst=limit)
    usage, now = Usage(), start
    passed: list[tuple[int, int]] = []
    for later, count in sent:
        now += later
        before = usage
        usage, reason = judge(usage, charge(count, now, limits), 0)
        if reason is None:
            passed.append((now, count))
        else:
            assert reason is HoldReason.BURST
            assert usage is before
            assert count > 0
    for at, _ in passed:
        begun = at - at % MINUTE_S
        assert sum(number for when, number in passed if begun <= when < begun + MINUTE_S) <= limit
        assert sum(number for when, number in passed if at <= when < at + MINUTE_S) < 2 * limit + 1


@given(steps, st.integers(0, 5))
def test_without_limits_nothing_is_held(sent: list[tuple[int, int]], new: int) -> None:
    usage, now = Usage(), 0
    for later, count in sent:
        now += later
        usage, reason = judge(usage, charge(count, now, SendingLimits(0, 0, 0, 0)), new)
        assert reason is None


@pytest.mark.parametrize(
    ("limits", "reason", "length_s"),
    [
        (SendingLimits(5, 0, 0, 0), HoldReason.DAY, DAY_S),
        (SendingLimits(0, 5, 0, 0), HoldReason.EXTERNAL, HOUR_S),
        (SendingLimits(0, 0, 5, 0), HoldReason.NEW, DAY_S),
        (SendingLimits(0, 0, 0, 5), HoldReason.BURST, MINUTE_S),
    ],
)
def test_each_limit(limits: SendingLimits, reason: HoldReason, length_s: int) -> None:
    start = 10**6 * DAY_S
    usage, held = judge(Usage(), charge(5, start, limits, 5), 5)
    assert held is None
    assert judge(usage, charge(1, start + 1, limits, 1), 1) == (usage, reason)
    assert judge(usage, charge(0, start + 1, limits, 0), 0)[1] is None
    halfway = start + length_s + length_s // 2
    assert judge(usage, charge(2, halfway, limits, 2), 2)[1] is None
    assert judge(usage, charge(3, halfway, limits, 3), 3) == (usage, reason)
    assert judge(usage, charge(5, start + 2 * length_s, limits, 5), 5)[1] is None
    assert judge(Usage(), charge(6, start, limits, 6), 6) == (Usage(), reason)
    assert judge(usage, replace(charge(9, start, limits, 9), limits=SendingLimits(0, 0, 0, 0)), 9)[1] is None


@given(st.integers(0, 10**6), steps, st.integers(1, LENGTH))
def test_a_message_that_comes_late_takes_nothing_back(start: int, sent: list[tuple[int, int]], late: int) -> None:
    """Its time may lie before the window that another worker has begun; a clock that was far ahead counts for nothing."""
    window, now = Window(), start + 10 * LENGTH
    for gap, count in sent:
        now += gap
        window = window.plus(now, LENGTH, count)
    used = window.used(now, LENGTH)
    assert window.used(now - late, LENGTH) >= used
    assert window.plus(now - late, LENGTH, 1).used(now, LENGTH) == used + 1
    assert window.used(now - 9 * LENGTH, LENGTH) == 0
