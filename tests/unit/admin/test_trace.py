"""Times that a person types."""

import datetime as dt

import pytest

from poterne.admin.people import AdminError
from poterne.admin.trace import since_when

NOW = 1_790_000_000


@pytest.mark.parametrize(
    ("text", "ago_s"), [("30s", 30), ("5m", 300), ("2h", 7_200), (" 3d ", 259_200), ("1w", 604_800), ("0d", 0)]
)
def test_so_long_ago(text: str, ago_s: int) -> None:
    assert since_when(text, NOW) == NOW - ago_s


def test_a_date_is_of_this_machine() -> None:
    midnight = dt.datetime(2026, 11, 23).astimezone()  # in the zone of the machine, as typed
    assert since_when("2026-11-23", NOW) == int(midnight.timestamp())
    assert since_when("2026-11-23 14:30", NOW) == int(midnight.timestamp()) + 52_200
    assert since_when("2026-11-23T14:30:00+00:00", NOW) == 1_795_444_200
    assert since_when("999999w", NOW) == 0


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2 h", "yesterday", "2026-13-01", "9999999h", "٢h", "1e3s"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(AdminError, match="is no time"):
        since_when(text, NOW)
