"""Which advice fits a status code (RFC 3463 and its registry): the end of the keys `cause.…` and `todo.…` in `message.texts`."""

import re
from typing import Final

_STATUS: Final = re.compile(r"[245]\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})")

_BY_DETAIL: Final = {
    "1.0": "address", "1.1": "address", "1.2": "domain", "1.3": "syntax", "1.4": "address", "1.6": "moved", "1.7": "sender",
    "1.8": "sender", "1.10": "null-mx",
    "2.1": "disabled", "2.2": "full", "2.3": "too-big", "2.4": "list",
    "3.4": "too-big",
    "4.3": "dns", "4.4": "route", "4.5": "rate", "4.6": "loop", "4.7": "expired",
    "5.3": "too-many",
    "6.1": "eight-bit", "6.2": "eight-bit", "6.3": "eight-bit", "6.5": "eight-bit",
    "6.7": "international", "6.8": "international", "6.9": "international", "6.10": "international",
    "7.2": "list", "7.4": "encryption", "7.5": "encryption", "7.10": "encryption", "7.11": "encryption",
    "7.13": "disabled", "7.17": "disabled", "7.18": "disabled",
    "7.20": "authentication", "7.21": "authentication", "7.22": "authentication", "7.23": "authentication",
    "7.24": "authentication", "7.25": "authentication", "7.26": "authentication", "7.27": "sender", "7.29": "authentication",
    "7.28": "rate", "7.30": "requiretls",
}  # fmt: skip
_BY_SUBJECT: Final = {
    "1": "address", "2": "other", "3": "system", "4": "unreachable", "5": "protocol", "6": "content", "7": "policy",
}  # fmt: skip

CAUSES: Final = frozenset({*_BY_DETAIL.values(), *_BY_SUBJECT.values(), "other"})


def is_status(text: str) -> bool:
    """A status code of RFC 3463 §2?"""
    return _STATUS.fullmatch(text) is not None


def cause(status: str) -> str:
    """One of CAUSES. Always returns; its class (2, 4, 5) does not matter."""
    match = _STATUS.fullmatch(status)
    if match is None:
        return "other"
    return _BY_DETAIL.get(f"{match[1]}.{match[2]}") or _BY_SUBJECT.get(match[1], "other")
