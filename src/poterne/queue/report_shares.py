"""How much of this server each author of reports may have: seconds of a processor an hour, rows of the store a day.

What nobody answers for has one share together, however many names it comes under. A restart gives everybody a new one.
"""

from collections.abc import Callable
from typing import Final, final

READ_S: Final = 120.0
"""Of an author an hour; an honest report takes a tenth of a second."""
UNPROVEN_READ_S: Final = 180.0
ALL_READ_S: Final = 1_200.0
"""A third of a processor."""
ROWS: Final = 100_000
"""Of an author a day."""
UNPROVEN_ROWS: Final = 50_000
REPORT_ROWS: Final = 50
"""What a report counts for beside its rows: reports are bounded too."""
HOUR_S: Final = 3_600
DAY_S: Final = 86_400


@final
class Shares:
    """`author`: the domain that answers for it; "": nobody does. Whoever is within the share may go beyond it once."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._reading: Final = _Spent(clock, HOUR_S)
        self._rows: Final = _Spent(clock, DAY_S)

    def may_read(self, author: str) -> bool:
        reading = self._reading
        return reading.of(author) < (READ_S if author else UNPROVEN_READ_S) and reading.whole < ALL_READ_S

    def read(self, author: str, seconds: float) -> None:
        self._reading.add(author, seconds)

    def may_keep(self, author: str) -> bool:
        return self._rows.of(author) < (ROWS if author else UNPROVEN_ROWS)

    def kept(self, author: str, rows: int) -> None:
        self._rows.add(author, rows + REPORT_ROWS)


@final
class _Spent:
    """Since the period began."""

    def __init__(self, clock: Callable[[], float], period_s: int) -> None:
        self._clock: Final = clock
        self._period_s: Final = period_s
        self._period = 0
        self._of: dict[str, float] = {}
        self.whole = 0.0

    def of(self, author: str) -> float:
        self._turn()
        return self._of.get(author, 0.0)

    def add(self, author: str, much: float) -> None:
        self._turn()
        self._of[author] = self._of.get(author, 0.0) + much
        self.whole += much

    def _turn(self) -> None:
        period = int(self._clock()) // self._period_s
        if period != self._period:
            self._period, self.whole = period, 0.0
            self._of.clear()
