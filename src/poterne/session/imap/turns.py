"""Long work of one client in small steps, so that all others get their turns."""

import asyncio
from time import monotonic
from typing import Final, final

TURN_S: Final = 0.004
"""Others get a turn after so much work."""


@final
class Turn:
    """`if turn.over: await turn.give_way()` between the steps."""

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        self._ends = monotonic() + TURN_S

    @property
    def over(self) -> bool:
        return monotonic() > self._ends

    async def give_way(self) -> None:
        await asyncio.sleep(0)
        self._ends = monotonic() + TURN_S
