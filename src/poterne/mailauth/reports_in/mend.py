"""Words of reports made ours: numbers, times, addresses, domains, results. Never raises; what can't be mended is None or ""."""

import datetime as dt
import ipaddress
import re
from functools import lru_cache
from typing import Final

from poterne.message.texts import printable
from poterne.values.address import AddressError, domain_name

TEXT_MOST: Final = 255
COUNT_MOST: Final = 10**12
DAY_S: Final = 86_400
SPAN_MOST: Final = 32 * DAY_S
"""Reports are about a day; some about a week or a month."""
FUTURE_MOST: Final = 2 * DAY_S
_FIRST: Final = 1_325_376_000
"""2012: there was no DMARC before."""
_MILLI, _MICRO = 10**11, 10**14
_NUMBER: Final = re.compile(r"\s*\+?([0-9]{1,30})(?:\.[0-9]{0,12})?\s*", re.ASCII)
_WORD: Final = re.compile(r"[a-z][a-z_-]{0,31}")
_DIGITS_MOST: Final = 18
DISPOSITIONS: Final = frozenset({"none", "pass", "quarantine", "reject"})
_RESULTS: Final = {
    "none", "pass", "fail", "policy", "neutral", "temperror", "permerror", "softfail",
}  # fmt: skip
_SAME_RESULT: Final = {
    "hardfail": "fail",
    "error": "temperror",
    "unknown": "permerror",
    "passed": "pass",
    "failed": "fail",
}


def text(value: str, most: int = TEXT_MOST) -> str:
    """One printable line."""
    return printable(value, most) if value else ""


def number(value: str) -> int | None:
    """A count or a time; fractions are cut off."""
    found = _NUMBER.fullmatch(value)
    return int(found[1]) if found and len(found[1]) <= _DIGITS_MOST else None


def moment(value: str) -> int | None:
    """Unix seconds, from seconds, milliseconds, microseconds or RFC 3339."""
    found = number(value)
    if found is not None:
        return found // 1_000_000 if found >= _MICRO else found // 1000 if found >= _MILLI else found
    try:
        when = dt.datetime.fromisoformat(value.strip()[:40])
        return int((when if when.tzinfo else when.replace(tzinfo=dt.UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def span(begin: int | None, end: int | None, now: int, warnings: list[str]) -> tuple[int, int] | None:
    """Begin and end of a report; None: it can't be about that time."""
    if begin is None and end is None:
        return None
    if begin is None or end is None:
        warnings.append("one end of the time it is about is missing")
        begin = end = begin if begin is not None else end
    if begin is None or end is None:
        return None
    if begin > end:
        warnings.append("it ends before it begins")
        begin, end = end, begin
    if begin < _FIRST or end > now + FUTURE_MOST or end - begin > SPAN_MOST:
        return None
    if end - begin > DAY_S + 3600:
        warnings.append(f"it is about {(end - begin + DAY_S - 1) // DAY_S} days; they count as the first")
    return begin, end


@lru_cache(maxsize=1024)
def ip(value: str) -> str:
    """An address as `ipaddress` writes it, IPv4-mapped ones as IPv4; what stands behind it is passed over."""
    value = value.strip().partition(" ")[0].strip("[]").removeprefix("IPv6:").partition("%")[0]
    try:
        found = ipaddress.ip_address(value)
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


@lru_cache(maxsize=1024)
def domain(value: str) -> str:
    """A-labels in lower case, without the last dot; of what can't be a domain a printable text; of a mail address its domain."""
    value = value.strip().strip("<>").rpartition("@")[2].strip().rstrip(".")
    if not value:
        return ""
    try:
        return domain_name(value)
    except AddressError:
        return text(value.lower(), 253)


def word(value: str) -> str:
    """A word in lower case; "" for what is none."""
    value = value.strip().lower()
    return value if _WORD.fullmatch(value) else ""


@lru_cache(maxsize=64)
def result(value: str) -> str:
    """Of SPF or DKIM; what is no result is "none"."""
    found = word(value)
    found = _SAME_RESULT.get(found, found)
    return found if found in _RESULTS else "none"
