"""When to ask the store although nobody told of a change: for lost bus messages, and for commands that write themselves."""

from typing import Final, final

MISSED_S: Final = 10.0
"""While the bus is busy it can't be seen whether it told of every commit; then we ask this often."""


@final
class Fallback:
    """Decides after each poll. All times are the caller's monotonic seconds."""

    def __init__(self, now: float) -> None:
        self._asked_at = now
        self._doubt = False

    def due(self, *, others_committed: bool, heard: int, now: float) -> bool:
        """Should everybody who waits ask the store now? `heard` counts what we were told of since the last poll."""
        self._doubt = self._doubt or others_committed
        surely = others_committed and not heard
        if not surely and not (self._doubt and now - self._asked_at >= MISSED_S):
            return False
        self._asked_at = now
        self._doubt = False
        return True
