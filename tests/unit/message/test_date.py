import datetime as dt
import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.message.date import format_date, parse_date


@pytest.mark.parametrize(
    ("value", "unix_s"),
    [
        ("Thu, 01 Jan 1970 00:00:00 +0000", 0),
        ("Thu, 1 Jan 1970 01:00:01 +0100", 1),
        ("1 Jan 1970 00:00 GMT", 0),
        ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", 880127706),
        ("Tue, 22 Sep 2026 09:41:05 +0200 (CEST)", 1790062865),
        ("22 Sep 26 03:41:05 EDT", 1790062865),
        ("22 Sep 126 07:41:05 Z", 1790062865),
        ("1 jan 1970 00:00:00 XYZ", 0),
        ("Thursday, 1 January 1970 00:00:00", 0),
        ("Thu,01-Jan-1970 00:00:00 UT", 0),
        ("31 Dec 1998 23:59:60 +0000", 915148799),
        ("  Thu,\t1  Jan\t1970 00:00:00 -0000", 0),
        ("31 Dec 69 23:59:59 +0000", -1),
        ("29 Feb 2024 00:00:00 +0000", 1709164800),
    ],
)
def test_dates(value: str, unix_s: int) -> None:
    assert parse_date(value.encode()) == unix_s


@pytest.mark.parametrize(
    "value",
    ["", "x", "29 Feb 2023 00:00:00 +0000", "32 Jan 2020 00:00:00 +0000", "1 Foo 2020 00:00:00 +0000", "1 Jan 1899 00:00:00 +0000",
     "1 Jan 2020 24:00:00 +0000", "1 Jan 2020 00:60:00 +0000", "1 Jan 2020", "(" * 2000, "Thu, 1 Jan 2020 00:00:00 +0000" + " " * 2000],
)  # fmt: skip
def test_no_dates(value: str) -> None:
    assert parse_date(value.encode()) is None


@given(st.integers(-2208988800, 253402214400), st.integers(-1439, 1439))
def test_round_trip_and_stdlib(unix_s: int, offset_minutes: int) -> None:
    try:
        text = format_date(unix_s, offset_minutes)
    except ValueError:
        assert not -2208988800 + 86400 < unix_s < 253402214400 - 86400
        return
    assert parse_date(text.encode()) == unix_s
    theirs = email.utils.parsedate_to_datetime(text)
    assert (theirs.replace(tzinfo=theirs.tzinfo or dt.UTC)).timestamp() == unix_s


def test_format_refuses_what_no_date_field_can_say() -> None:
    for unix_s, offset in ((0, 1440), (-(10**12), 0), (10**12, 0), (10**30, 0)):
        with pytest.raises(ValueError):
            format_date(unix_s, offset)


@given(st.binary(max_size=60) | st.text(alphabet="JanFeb0123456789 :+-,()Z", max_size=40).map(str.encode))
def test_any_octets(value: bytes) -> None:
    result = parse_date(value)
    assert result is None or isinstance(result, int)
