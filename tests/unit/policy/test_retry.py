"""When mail is tried again, and when it is given up."""

from hypothesis import given
from hypothesis import strategies as st

from poterne.policy.retry import JITTER, Again, GiveUp, RetryTimes, Waiting, after_failure, dead_s, delay_s, expires_at

TIMES = RetryTimes()
DAY = 86_400
chances = st.floats(0, 1, exclude_max=True)


def test_the_pause_doubles_up_to_the_longest() -> None:
    assert [delay_s(n, TIMES, 0.0) for n in range(8)] == [300, 600, 1200, 2400, 4800, 9600, 14_400, 14_400]


@given(st.integers(0, 10**6), chances)
def test_chance_stretches_a_pause_by_a_quarter_at_most(attempts: int, chance: float) -> None:
    plain, stretched = delay_s(attempts, TIMES, 0.0), delay_s(attempts, TIMES, chance)
    assert TIMES.first_s <= plain <= stretched <= plain * (1 + JITTER)
    assert plain <= TIMES.longest_s


@given(
    st.integers(0, 10**9), st.integers(0, 10**6), st.integers(0, 200), st.booleans(), st.booleans(), chances, st.integers(0, 2 * 10**9)
)  # fmt: skip
def test_it_is_tried_until_its_time_is_over_and_then_given_up(
    queued_at: int, waited: int, attempts: int, null_sender: bool, told: bool, chance: float, not_before: int
) -> None:
    waiting = Waiting(queued_at, attempts, null_sender, told)
    now = queued_at + waited
    end = expires_at(waiting, TIMES)
    then = after_failure(waiting, TIMES, now, chance, not_before)
    if now >= end:
        assert then == GiveUp(waited)
        return
    assert isinstance(then, Again)
    assert now < then.due_at <= end
    if then.due_at < end:
        assert then.due_at >= max(not_before, now + TIMES.first_s)
    assert then.tell_delay == (waited >= TIMES.delay_notice_s and not told and not null_sender)


def tries(null_sender: bool) -> list[int]:
    """When an unreachable recipient is tried, from 0 on."""
    now, found, told = 0, [0], False
    while True:
        then = after_failure(Waiting(0, len(found) - 1, null_sender, told), TIMES, now, 0.5)
        if isinstance(then, GiveUp):
            return found
        told = told or then.tell_delay
        now = then.due_at
        found.append(now)


def test_a_whole_life() -> None:
    mail, notice = tries(null_sender=False), tries(null_sender=True)
    assert mail[-1] == 5 * DAY
    assert notice[-1] == 2 * DAY
    assert 30 <= len(mail) <= 45
    assert len([at for at in mail if at < 3600]) == 4


def test_it_is_told_once_that_mail_is_late() -> None:
    late = after_failure(Waiting(0, 6, False, False), TIMES, 14_400, 0.0)
    assert isinstance(late, Again)
    assert late.tell_delay
    again = after_failure(Waiting(0, 7, False, True), TIMES, 30_000, 0.0)
    assert isinstance(again, Again)
    assert not again.tell_delay
    never = after_failure(Waiting(0, 7, False, False), RetryTimes(delay_notice_s=0), 30_000, 0.0)
    assert isinstance(never, Again)
    assert not never.tell_delay


@given(st.integers(1, 10**6), chances)
def test_a_dead_destination_is_left_alone_longer_and_longer(failures: int, chance: float) -> None:
    assert dead_s(1, TIMES, 0.0) == 60
    assert 60 <= dead_s(failures, TIMES, chance) <= 3600 * (1 + JITTER)
    assert dead_s(failures, TIMES, 0.0) <= dead_s(failures + 1, TIMES, 0.0)
