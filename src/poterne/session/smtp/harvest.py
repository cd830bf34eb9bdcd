"""Who tries out which addresses exist, over many connections: counted by address and hour, and sent away for a while.

Theory of operation. A harvester's recipients are mostly unknown, and many; a provider that also carries spam to dead addresses
has known ones among them. So an address (IPv6: /64) is blocked when it had too many unknown recipients within an hour *and*
they are a large share of what it asked for. While it is blocked every recipient is answered 450, known or not, so that nothing
more is learned and honest mail from there is only late. After the block each further unknown one begins another, until the hour
is over.

The table is bounded and belongs to one worker; the oldest entries go first.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from poterne.net.limits import Key, network_of

HOUR_S: Final = 3600.0
MAX_WATCHED: Final = 20_000
"""Addresses with unknown recipients that are watched; some 5 MiB when full."""
SHARE: Final = 0.3
"""Of all recipients of a harvester, so many are unknown at least."""


@dataclass(slots=True)
class _Record:
    began: float
    unknown: int = 0
    known: int = 0
    blocked_until: float = 0.0


@final
class Harvest:
    """Shared by the connections of a listener. `exempt`: these are not counted."""

    __slots__ = ("_block_s", "_clock", "_exempt", "_most", "_records")

    def __init__(
        self,
        unknown_per_hour: int,
        block_s: float,
        exempt: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most: Final = unknown_per_hour
        self._block_s: Final = block_s
        self._exempt: Final = exempt
        self._clock: Final = clock
        self._records: OrderedDict[Key, _Record] = OrderedDict()

    def blocked(self, peer: str) -> bool:
        """Is this peer to come back later?"""
        if not self._records:
            return False
        record = self._records.get(network_of(peer))
        return record is not None and record.blocked_until > self._clock()

    def known(self, peer: str, recipients: int = 1) -> None:
        """It sent mail to so many who exist. To name them is not enough: one known name would be cover for any guesses."""
        if self._records and (record := self._records.get(network_of(peer))) is not None:
            record.known += recipients

    def unknown(self, peer: str) -> int:
        """It named nobody. When this begins a block: how many that makes; else 0."""
        if not self._most or self._exempt(peer):
            return 0
        key, now = network_of(peer), self._clock()
        record = self._records.get(key)
        if record is None or now - record.began >= HOUR_S:
            record = self._records[key] = _Record(now)
        record.unknown += 1
        self._records.move_to_end(key)
        if len(self._records) > MAX_WATCHED:
            self._records.popitem(last=False)
        if record.unknown < self._most or record.unknown < SHARE * (record.unknown + record.known):
            return 0
        record.blocked_until = now + self._block_s
        return record.unknown
