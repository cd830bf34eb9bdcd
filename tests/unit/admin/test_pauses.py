import datetime as dt

import pytest

from poterne.admin.pauses import named, parse_until
from poterne.admin.people import AdminError
from poterne.values.queue import PauseKind

ZONE = dt.timezone(dt.timedelta(hours=2))
NOW = dt.datetime(2026, 11, 23, 17, 30, tzinfo=ZONE)


def at(*when: int) -> int:
    return int(dt.datetime(*when, tzinfo=ZONE).timestamp())  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("", 0),
        ("90m", at(2026, 11, 23, 19)),
        ("2h", at(2026, 11, 23, 19, 30)),
        ("3d", at(2026, 11, 26, 17, 30)),
        ("18:00", at(2026, 11, 23, 18)),
        ("17:30", at(2026, 11, 24, 17, 30)),
        ("08:15", at(2026, 11, 24, 8, 15)),
        ("2027-01-31", at(2027, 1, 31)),
        ("2027-01-31 18:00", at(2027, 1, 31, 18)),
        ("2027-01-31T18:00+00:00", at(2027, 1, 31, 20)),
    ],
)
def test_when_a_pause_ends(text: str, end: int) -> None:
    assert parse_until(text, NOW) == end


@pytest.mark.parametrize("text", ["soon", "2x", "25:00", "2027-02-30", "2026-11-23 17:30", "0h", "-1h", "٢h:"])
def test_what_is_no_end(text: str) -> None:
    with pytest.raises(AdminError):
        parse_until(text, NOW)


def test_a_name_and_only_one() -> None:
    assert named("Exämple.org", "", everything=False) == (PauseKind.DOMAIN, "xn--exmple-cua.org")
    assert named("[192.0.2.1]", "", everything=False) == (PauseKind.DOMAIN, "[192.0.2.1]")
    assert named("", "system:", everything=False) == (PauseKind.ORIGIN, "system:")
    for wrong in (("a.test", "account:x@y", False), ("", "account:", False), ("", "system:x", False), ("", "", False)):
        with pytest.raises(AdminError):
            named(wrong[0], wrong[1], everything=wrong[2])
