"""RFC 5322 §3.3 dates with the obsolete forms of §4.3, as Unix seconds; and back. Proleptic Gregorian, no leap seconds."""

import datetime as dt
import re
from functools import lru_cache
from typing import Final

from poterne.message.params import without_comments

_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1
    )
}
_MONTH_NAMES: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY_NAMES: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ZONES: Final = {
    b"ut": 0, b"gmt": 0, b"utc": 0, b"z": 0,
    b"edt": -4, b"est": -5, b"cdt": -5, b"cst": -6, b"mdt": -6, b"mst": -7, b"pdt": -7, b"pst": -8,
}  # fmt: skip
"""Hours. RFC 5322 §4.3: military letters other than Z, and unknown names, count as -0000."""
_DATE: Final = re.compile(
    rb"\s*+(?:[A-Za-z]{2,10}+\.?\s*+,?\s*+)?([0-9]{1,2})[\s-]\s*+([A-Za-z]{3})[A-Za-z]*+\.?[\s-]\s*+([0-9]{2,4})\s++"
    rb"([0-9]{1,2})\s*+:\s*+([0-9]{2})(?:\s*+:\s*+([0-9]{2}))?(?:[.,][0-9]++)?"
    rb"\s*+(?:([+-])([0-9]{2}):?([0-9]{2})|([A-Za-z]{1,5}))?(?![0-9A-Za-z])"
)
_MAX_VALUE: Final = 1024
"""A date of more octets is not read: comments may be long, dates are not."""


def parse_date(value: bytes) -> int | None:
    """Unix seconds of a Date field's unfolded value, or None. Never raises.

    Read leniently (RFC 5322 §4.3): no weekday or a wrong one, two- and three-digit years, comments, missing seconds, zone
    names, a missing or unknown zone as UTC. A leap second counts as the 59th. Years before 1900 and impossible days: None.
    """
    if len(value) > _MAX_VALUE:
        return None
    match = _DATE.match(value)
    if match is None:
        if b"(" not in value:
            return None
        match = _DATE.match(without_comments(value))
        if match is None:
            return None
    day, month_name, year_digits, hour, minute, second, sign, zone_hours, zone_minutes, zone = match.groups()
    month = _MONTHS.get(month_name.lower())
    if month is None:
        return None
    year = int(year_digits)
    if len(year_digits) == 2:
        year += 2000 if year < 50 else 1900
    elif len(year_digits) == 3:
        year += 1900
    if sign is not None:
        offset = int(zone_hours) * 60 + int(zone_minutes)
        offset_s = (-offset if sign == b"-" else offset) * 60
    else:
        offset_s = _ZONES.get(zone.lower(), 0) * 3600 if zone else 0
    return _unix(year, month, int(day), int(hour), int(minute), int(second or 0), offset_s)


_EPOCH: Final = dt.date(1970, 1, 1).toordinal()


def _unix(year: int, month: int, day: int, hour: int, minute: int, second: int, offset_s: int) -> int | None:
    if year < 1900 or hour > 23 or minute > 59 or second > 60 or abs(offset_s) >= 100 * 3600:
        return None
    try:
        days = dt.date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None
    return days * 86400 + hour * 3600 + minute * 60 + min(second, 59) - offset_s


@lru_cache(maxsize=16)  # a busy server writes the same second many times
def format_date(unix_s: int, offset_minutes: int = 0) -> str:
    """`Thu, 01 Jan 1970 00:00:00 +0000`: a Date field's value, RFC 5322 §3.3.

    `offset_minutes` is the zone east of UTC. Raises ValueError when the year leaves 1900–9999 or the zone a day.
    """
    if abs(offset_minutes) >= 24 * 60:
        raise ValueError("zone is a day or more from UTC")
    days, in_day = divmod(unix_s + offset_minutes * 60, 86400)
    try:
        date = dt.date.fromordinal(days + _EPOCH)
    except (ValueError, OverflowError):
        raise ValueError("year outside 1900 to 9999") from None
    if date.year < 1900:
        raise ValueError("year outside 1900 to 9999")
    hour, rest = divmod(in_day, 3600)
    sign = "-" if offset_minutes < 0 else "+"
    zone_hours, zone_minutes = divmod(abs(offset_minutes), 60)
    return (
        f"{_DAY_NAMES[date.weekday()]}, {date.day:02d} {_MONTH_NAMES[date.month - 1]} {date.year} "
        f"{hour:02d}:{rest // 60:02d}:{rest % 60:02d} {sign}{zone_hours:02d}{zone_minutes:02d}"
    )
