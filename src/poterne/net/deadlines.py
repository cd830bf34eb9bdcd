"""What a link's time is measured against: pure numbers, no clock. All times are those of the loop, in seconds."""

from math import inf
from typing import Final, final

CLOCK_STEP_S: Final = 0.002
"""A loop may fire a timer this much early (uvloop counts milliseconds); what is due within it is due."""


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
        if self._waited_s < self._grace_s - CLOCK_STEP_S:
            return False
        too_slow = bytes_now - self._bytes_at_start < self._min_rate_bytes_per_s * self._waited_s
        self._bytes_at_start = bytes_now
        self._waited_s = 0.0
        return too_slow


@final
class Deadlines:
    """All moments at which one link's timer has something to do; `inf` where there is none."""

    __slots__ = (
        "close_by",
        "deadline_at",
        "deadline_why",
        "handshake_by",
        "patience_at",
        "patience_s",
        "patience_why",
        "rate",
        "write_by",
    )

    def __init__(self) -> None:
        self.patience_s = inf
        self.patience_at = inf
        self.patience_why = ""
        self.deadline_at = inf
        self.deadline_why = ""
        self.write_by = inf
        self.handshake_by = inf
        self.close_by = inf
        self.rate: SenderRate | None = None

    @property
    def due(self) -> float:
        """When there is something to look at next."""
        due = min(self.patience_at, self.deadline_at, self.write_by, self.close_by, self.handshake_by)
        return due if self.rate is None else min(due, self.rate.due)

    def fatal(self, now: float) -> str:
        """Why the connection must be dropped now; "" if it need not."""
        if now >= self.close_by:
            return "closed"
        if now >= self.handshake_by:
            return "handshake-timeout"
        if now >= self.write_by:
            return "write-timeout"
        return ""

    def expired(self, now: float, *, waiting: bool) -> str:
        """Which deadline for the peer has passed; "" if none. Each is told once.

        Patience counts only while we wait for the peer: else it is our turn, and the peer is not to blame.
        """
        why = ""
        if now >= self.patience_at:
            self.patience_at = inf
            why = self.patience_why if waiting else ""
        if now >= self.deadline_at:
            self.deadline_at = inf
            why = self.deadline_why
        return why

    def closing(self, close_by: float) -> None:
        """Only the end matters from now on."""
        self.patience_at = self.deadline_at = self.write_by = self.handshake_by = inf
        self.rate = None
        self.close_by = close_by
