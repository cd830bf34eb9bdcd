"""Long work of one client in small steps, so that all others get their turns."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, final

TURN_S: Final = 0.004
"""Others get a turn after so much work."""


TELL_S: Final = 10.0
"""A client hears how far a long command is, so often at most (RFC 9585 §4 advises 10 to 15 seconds)."""

Tell = Callable[[int, int], Awaitable[None]]
"""Say that so many of so many are done."""


@final
class Turn:
    """`if turn.over: await turn.give_way()` between the steps. With `tell`, count `done` up to `goal`."""

    __slots__ = ("_ends", "_tell", "_tells_at", "done", "goal")

    def __init__(self, tell: Tell | None = None) -> None:
        now = monotonic()
        self._ends = now + TURN_S
        self._tell = tell
        self._tells_at = now + TELL_S
        self.done = 0
        self.goal = 0

    @property
    def over(self) -> bool:
        return monotonic() > self._ends

    async def give_way(self) -> None:
        await asyncio.sleep(0)
        now = monotonic()
        if self._tell is not None and now >= self._tells_at:
            await self._tell(self.done, self.goal)
            now = monotonic()
            self._tells_at = now + TELL_S
        self._ends = now + TURN_S
