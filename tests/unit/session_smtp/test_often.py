import pytest

from poterne.session.smtp import often
from poterne.session.smtp.often import Often


def test_so_many_in_an_hour_for_each_sender_and_address() -> None:
    counted = Often()
    assert [counted.too_often("a@x", "s@y", 7200, 3) for _ in range(5)] == [False, False, False, True, True]
    assert not counted.too_often("a@x", "other@y", 7200, 3)
    assert not counted.too_often("b@x", "s@y", 7200, 3)
    assert counted.too_often("a@x", "s@y", 7200 + 3600, 3), "the last hour still counts at the beginning of the next"
    assert not counted.too_often("a@x", "s@y", 7200 + 7200, 3)


def test_what_is_refused_does_not_count() -> None:
    counted = Often()
    for _ in range(100):
        counted.too_often("a@x", "s@y", 0, 2)
    assert not counted.too_often("a@x", "s@y", 2 * 3600, 2)


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(often, "MAX_COUNTED", 10)
    counted = Often()
    for number in range(50):
        assert not counted.too_often("a@x", f"{number}@y", 0, 1)
    assert counted.too_often("a@x", "49@y", 0, 1)
    assert not counted.too_often("a@x", "0@y", 0, 1), "the oldest was forgotten"
