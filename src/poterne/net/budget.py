"""How much memory a process may take, and who is sent away first when it does.

Theory of operation. What the process really takes (its resident set) is looked at once a second at most; between two looks
each connection that came since counts as CONNECTION_BYTES, so that a flood within a second is seen too. Strangers get what
is left when a part is reserved for people who sign in: while a flood from outside fills its share, mail is still read.

Freed memory does not always go back to the system. So that a peak of yesterday never shuts a listener for good, a few
connections are always let in.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, final

CONNECTION_BYTES: Final = 192 * 1024
"""What a busy connection takes: TLS state, a full read buffer (`net.link.READ_HIGH`), session and store's share."""
RESERVED: Final = 0.25
"""The part of the budget that strangers don't get."""
ALWAYS: Final = 32
"""So many connections of strangers, and so many of others, are let in whatever the memory looks like."""
LOOK_S: Final = 1.0
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_STATM: Final = Path("/proc/self/statm")


def resident_bytes() -> int:
    """The resident set of this process; 0 where the system does not tell."""
    try:
        return int(_STATM.read_bytes().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0


@final
class Budget:
    """Shared by all listeners of a process; their gates `count` who comes and goes."""

    __slots__ = ("_clock", "_limit_bytes", "_looked_at", "_others", "_resident", "_seen", "_strangers", "_then")

    def __init__(
        self,
        limit_bytes: int,
        *,
        resident: Callable[[], int] = resident_bytes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit_bytes = limit_bytes
        self._resident = resident
        self._clock = clock
        self._looked_at = float("-inf")
        self._seen = 0
        self._then = 0
        """Connections when we looked."""
        self._strangers = 0
        self._others = 0

    def count(self, by: int, *, strangers: bool) -> None:
        """So many came (or went, when negative)."""
        if strangers:
            self._strangers += by
        else:
            self._others += by

    def room(self, *, strangers: bool) -> bool:
        """May one more connection come in?"""
        if (self._strangers if strangers else self._others) < ALWAYS:
            return True
        now, connections = self._clock(), self._strangers + self._others
        if now - self._looked_at >= LOOK_S:
            self._looked_at, self._seen, self._then = now, self._resident(), connections
        used = self._seen + (connections - self._then) * CONNECTION_BYTES
        limit = self._limit_bytes * (1 - RESERVED) if strangers else self._limit_bytes
        return used + CONNECTION_BYTES <= limit
