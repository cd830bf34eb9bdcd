"""How many connections a process holds, in all and from one network, and how fast they may come.

Theory of operation. A flood comes from one address, from many of one customer, or from many of one provider. So everything is
counted three times for IPv4 (address, /26, /24) and twice for IPv6 (/64, which is one customer, and /48), and the wider a
network, the more it may have: honest neighbours are several, though not as many as the network has addresses.

- Open connections are counted for networks that are inside; the table empties by itself.
- Rates are counted by the minute. What counts is the current minute, and of the one before as much as still overlaps the last
  60 seconds. When a minute ends, the table of the one before is dropped whole: expiry costs nothing, and no timer is needed.
  A table that is full takes no new networks until its minute ends; those it has, and the limit in all, still hold.

Each question costs a few dictionary look-ups, whatever the tables hold.
"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from poterne.net.budget import Budget

MAX_CONNECTIONS: Final = 4096
MAX_PER_ADDRESS: Final = 64
"""Households and offices share an address, so it is not small; a mailbox client opens up to ten."""
WIDER: Final = (1, 2, 3)
"""How many times the share of an address its networks have: IPv4 address, /26, /24; IPv6 /64, /48."""
MAX_RATED: Final = 65_536
"""Networks of which a table of rates remembers how many connections came; some 8 MiB when full."""
MINUTE_S: Final = 60.0

Key = bytes | str
_NAMES: Final = (("address", "network-26", "network-24"), ("address", "network-48"))
_RATE_NAMES: Final = (("rate", "rate-26", "rate-24"), ("rate", "rate-48"))


@dataclass(frozen=True, slots=True)
class Limits:
    """For one Gate: open connections, and new ones in a minute (0: any number)."""

    total: int = MAX_CONNECTIONS
    per_address: int = MAX_PER_ADDRESS
    per_minute: int = 0
    exempt_loopback: bool = False
    """Connections from this machine count in the total only."""


@final
class Gate:
    """Counts what is inside and what comes. Several listeners may share one. O(1), bounded.

    `strangers`: whoever comes here is nobody we know, so that the reserve of `budget` is not for them.
    """

    __slots__ = ("_budget", "_clock", "_inside", "_limits", "_rates", "_strangers", "_total")

    def __init__(
        self,
        limits: Limits,
        *,
        budget: Budget | None = None,
        strangers: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._budget = budget
        self._strangers = strangers
        self._clock = clock
        self._inside: dict[Key, int] = {}
        self._rates = Rates(limits.per_minute) if limits.per_minute else None
        self._total = 0

    @property
    def inside(self) -> int:
        """How many are inside now."""
        return self._total

    def enter(self, address: str, *, hidden: bool = False, named: bool = False) -> str:
        """Count one more from this address: "" if it may come in, else which limit is reached.

        "total", "memory", "address", "network-26", …; "rate", "rate-24", … Each "" needs one `leave` with the same address.
        `hidden`: strangers arrive under this address, so that it is not exempt from anything. `named`: it is a server of ours,
        which brings the mail of many; it counts in the total only.
        """
        if self._total >= self._limits.total:
            return "total"
        budget = self._budget
        if budget is not None and not budget.room(strangers=self._strangers):
            return "memory"
        if hidden or not (named or (self._limits.exempt_loopback and is_loopback(address))):
            keys = networks_of(address)
            limit = self._limits.per_address
            inside = self._inside
            for level, key in enumerate(keys):
                if inside.get(key, 0) >= limit * WIDER[level]:
                    return _NAMES[3 - len(keys)][level]
            if self._rates is not None and (level := self._rates.over(keys, self._clock())) >= 0:
                return _RATE_NAMES[3 - len(keys)][level]
        self._count(address, 1)
        return ""

    def leave(self, address: str) -> None:
        """One of them is gone."""
        self._count(address, -1)

    def _count(self, address: str, by: int) -> None:
        inside = self._inside
        for key in networks_of(address):
            count = inside.get(key, 0) + by
            if count:
                inside[key] = count
            else:
                del inside[key]
        self._total += by
        if self._budget is not None:
            self._budget.count(by, strangers=self._strangers)


@final
class Rates:
    """How many came in the last minute, by network; `per_minute` for an address, more for wider networks (WIDER)."""

    __slots__ = ("_before", "_minute_began", "_now", "_per_minute")

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._now: dict[Key, int] = {}
        self._before: dict[Key, int] = {}
        self._minute_began = float("-inf")

    def over(self, keys: tuple[Key, ...], now_s: float) -> int:
        """Count one more for these networks, from narrow to wide: -1, or the index of the one that had enough.

        Who is over the limit is not counted further: who keeps knocking gets in again as soon as others would.
        """
        age_s = now_s - self._minute_began
        if age_s >= MINUTE_S:
            self._before = self._now if age_s < 2 * MINUTE_S else {}
            self._now = {}
            self._minute_began, age_s = now_s, 0.0
        rest = 1.0 - age_s / MINUTE_S
        now, before = self._now, self._before
        for level, key in enumerate(keys):
            if now.get(key, 0) + rest * before.get(key, 0) >= self._per_minute * WIDER[level]:
                return level
        for key in keys:
            count = now.get(key)
            if count is not None:
                now[key] = count + 1
            elif len(now) < MAX_RATED:
                now[key] = 1
        return -1


def is_loopback(address: str) -> bool:
    """Is it this machine, under any of its loopback addresses?"""
    return address.startswith(("127.", "::ffff:127.")) or address == "::1"


def networks_of(address: str) -> tuple[Key, ...]:
    """What an address is counted as: IPv4 address, /26, /24; IPv6 /64, /48. Mapped IPv4 is IPv4; anything else: itself."""
    if ":" not in address:
        network, _, last = address.rpartition(".")
        return (address, f"{network}.{int(last) >> 6}/26", network) if last.isdecimal() else (address, address + "/")
    try:
        packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    except OSError:
        return address, address + "/"
    if packed.startswith(b"\0" * 10 + b"\xff\xff"):
        return networks_of(socket.inet_ntop(socket.AF_INET, packed[12:]))
    return packed[:8], packed[:6]


def network_of(address: str) -> Key:
    """What counts as one origin: an IPv4 address (also when mapped into IPv6), an IPv6 /64. Anything else: itself."""
    return networks_of(address)[0]
