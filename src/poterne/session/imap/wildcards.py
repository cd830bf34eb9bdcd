"""LIST patterns: "*" matches anything, "%" anything within one level (RFC 9051 §6.3.9).

All positions of the pattern are followed at once, as bits of an integer, so that no pattern can take more than one step per
character of the name.
"""

import re
from collections.abc import Callable
from typing import Final

_RUNS: Final = re.compile(r"[*%]{2,}")


def matcher(pattern: str) -> Callable[[str], bool]:
    """A function that says whether a mailbox name matches. INBOX is matched without regard to case."""
    if pattern == "*":
        return lambda _: True
    if pattern == "%":
        return lambda name: "/" not in name
    match = _compile(pattern)
    folded = _compile(_inbox_in_capitals(pattern))
    return lambda name: match(name) or (name == "INBOX" and folded(name))


def _inbox_in_capitals(pattern: str) -> str:
    return pattern.upper() if len(pattern) <= 64 else pattern


def _compile(pattern: str) -> Callable[[str], bool]:
    pattern = _RUNS.sub(lambda run: "*" if "*" in run[0] else "%", pattern)
    if "*" not in pattern and "%" not in pattern:
        return pattern.__eq__
    literals: dict[str, int] = {}
    anything = level = 0
    for i, char in enumerate(pattern):
        bit = 1 << i
        if char == "*":
            anything |= bit
        elif char == "%":
            level |= bit
        else:
            literals[char] = literals.get(char, 0) | bit
    accept = 1 << len(pattern)
    wild = anything | level

    def matches(name: str) -> bool:
        state = 1
        state |= (state & wild) << 1
        for char in name:
            stay = state & (anything if char == "/" else wild)
            state = stay | ((state & literals.get(char, 0)) << 1)
            state |= (state & wild) << 1
            if not state:
                return False
        return bool(state & accept)

    return matches
