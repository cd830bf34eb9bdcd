from poterne.app.fallback import MISSED_S, Fallback


def test_a_commit_that_nobody_told_of_is_due_at_once() -> None:
    fallback = Fallback(0.0)
    assert not fallback.due(others_committed=False, heard=0, now=2.0)
    assert fallback.due(others_committed=True, heard=0, now=4.0)
    assert not fallback.due(others_committed=False, heard=0, now=6.0)


def test_among_others_that_were_told_of_it_is_due_by_and_by_even_when_all_is_quiet_since() -> None:
    fallback = Fallback(0.0)
    assert not fallback.due(others_committed=True, heard=5, now=2.0)
    assert not fallback.due(others_committed=False, heard=0, now=MISSED_S - 0.1)
    assert fallback.due(others_committed=False, heard=0, now=MISSED_S + 0.1)
    assert not fallback.due(others_committed=False, heard=0, now=MISSED_S * 3)


def test_a_busy_bus_makes_everybody_ask_now_and_then_only() -> None:
    fallback = Fallback(0.0)
    asked = sum(fallback.due(others_committed=True, heard=100, now=2.0 * turn) for turn in range(1, 51))
    assert asked == int(100 / MISSED_S)
