"""The least data rate of a phase in which the peer sends much, such as DATA."""

from math import inf
from typing import final


@final
class SenderRate:
    """Judges a sender over periods in which we waited `grace_s` for it. Our own work is not held against it."""

    __slots__ = ("_bytes_at_start", "_grace_s", "_min_rate_bytes_per_s", "_waited_s", "_waiting_since")

    def __init__(self, min_rate_bytes_per_s: float, grace_s: float, bytes_now: int) -> None:
        self._min_rate_bytes_per_s = min_rate_bytes_per_s
        self._grace_s = grace_s
        self._bytes_at_start = bytes_now
        self._waited_s = 0.0
        self._waiting_since = inf

    @property
    def due(self) -> float:
        """When the running wait fills the period; `inf` while nobody waits."""
        return self._waiting_since + self._grace_s - self._waited_s

    def wait_begins(self, now: float) -> None:
        """It is the peer's turn."""
        self._waiting_since = now

    def wait_ends(self, now: float, bytes_now: int) -> bool:
        """Something came, or the wait is over for another reason: whether a period is full and the peer was too slow."""
        self._waited_s += max(0.0, now - self._waiting_since)
        self._waiting_since = inf
        if self._waited_s < self._grace_s:
            return False
        too_slow = bytes_now - self._bytes_at_start < self._min_rate_bytes_per_s * self._waited_s
        self._bytes_at_start = bytes_now
        self._waited_s = 0.0
        return too_slow
