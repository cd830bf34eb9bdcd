"""How many notices went back to senders that we rewrote: see `returning`. Bounded; the oldest goes first."""

from collections import OrderedDict
from typing import Final, final

DAY_S: Final = 86_400
MOST_A_DAY: Final = 20
"""Notices to one address: a message to a long list with that many dead addresses has told enough."""
MAX_COUNTED: Final = 20_000
"""Addresses; some 5 MiB when full."""


@final
class Returned:
    """How many notices went back to whom, since when."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def may(self, key: str, now: int) -> bool:
        """One more to this address (`Address.key`)? It is counted then."""
        began, count = self._counts.get(key, (now, 0))
        if not 0 <= now - began < DAY_S:
            began, count = now, 0
        if count >= MOST_A_DAY:
            return False
        self._counts[key] = (began, count + 1)
        self._counts.move_to_end(key)
        if len(self._counts) > MAX_COUNTED:
            self._counts.popitem(last=False)
        return True
