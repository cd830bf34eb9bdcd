"""The policy file (RFC 8461 §3.2) and what it says of an MX name (§4.1)."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from poterne.values.tls import AppliedPolicy, PolicyKind

POLICY_MOST: Final = 64 * 1024
MAX_AGE_MOST_S: Final = 31_557_600
PATTERNS_MOST: Final = 1000
_SHOWN: Final = 50
"""Patterns of a policy that a report repeats."""
_FIELD: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):[ \t]*([^\x00-\x1f\x7f]*)")
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PATTERN: Final = re.compile(rf"(?=.{{1,253}}\Z)(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_AGE: Final = re.compile(r"[0-9]{1,10}")


class Mode(Enum):
    """RFC 8461 §5."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Policy:
    """`mx`: lower-case patterns, `mail.example.org` or `*.example.org`."""

    mode: Mode
    max_age_s: int
    mx: tuple[str, ...]

    def allows(self, exchange: str) -> bool:
        """Is a server of this name meant? `*` stands for one label, the left-most."""
        name = exchange.lower().rstrip(".")
        _, _, parent = name.partition(".")
        return name in self.mx or (bool(parent) and f"*.{parent}" in self.mx)

    def applied(self, domain: str) -> AppliedPolicy:
        """The same for a report (RFC 8460 §4.5)."""
        mx = self.mx[:_SHOWN]
        lines = ("version: STSv1", f"mode: {self.mode.value}", *(f"mx: {one}" for one in mx))
        return AppliedPolicy(PolicyKind.STS, domain, (*lines, f"max_age: {self.max_age_s}"), mx)


class PolicyError(Exception):
    """The file is no policy; the text says why, for the log and the report."""


def parse(text: bytes) -> Policy:
    """The policy in a file. Raises PolicyError, and nothing else, whatever the octets are.

    Lines end in LF or CRLF; unknown fields are passed over; of a field that stands twice the first counts.
    """
    if len(text) > POLICY_MOST:
        raise PolicyError("too-large")
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise PolicyError("not-utf-8") from None
    if not lines[-1]:
        lines.pop()
    fields: dict[str, str] = {}
    patterns: list[str] = []
    for line in lines:
        field = _FIELD.fullmatch(line.removesuffix("\r").rstrip(" \t"))
        if field is None:
            raise PolicyError("syntax")
        if field[1] == "mx":
            if _PATTERN.fullmatch(field[2]) is None or len(patterns) >= PATTERNS_MOST:
                raise PolicyError("mx")
            patterns.append(field[2].lower())
        else:
            fields.setdefault(field[1], field[2])
    return _checked(fields, patterns)


def _checked(fields: dict[str, str], patterns: list[str]) -> Policy:
    if fields.get("version") != "STSv1":
        raise PolicyError("version")
    try:
        mode = Mode(fields.get("mode", ""))
    except ValueError:
        raise PolicyError("mode") from None
    age = fields.get("max_age", "")
    if _AGE.fullmatch(age) is None or int(age) > MAX_AGE_MOST_S:
        raise PolicyError("max-age")
    if not patterns and mode is not Mode.NONE:
        raise PolicyError("no-mx")
    return Policy(mode, int(age), tuple(dict.fromkeys(patterns)))
