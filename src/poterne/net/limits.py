"""How many connections a process holds, in all and from one address."""

import socket
from dataclasses import dataclass
from typing import Final, final

MAX_CONNECTIONS: Final = 4096
MAX_PER_ADDRESS: Final = 64
"""Households and offices share an address, so it is not small; a mailbox client opens up to ten."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Concurrent connections, for one Gate."""

    total: int = MAX_CONNECTIONS
    per_address: int = MAX_PER_ADDRESS


@final
class Gate:
    """Counts what is inside. Several listeners may share one. O(1); remembers only addresses that are inside."""

    __slots__ = ("_inside", "_limits", "_total")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._inside: dict[bytes | str, int] = {}
        self._total = 0

    @property
    def inside(self) -> int:
        """How many are inside now."""
        return self._total

    def enter(self, address: str) -> str:
        """Count one more from this address: "" if it may come in, else which limit is reached ("total", "address").

        Each "" needs one `leave` with the same address.
        """
        if self._total >= self._limits.total:
            return "total"
        key = network_of(address)
        count = self._inside.get(key, 0)
        if count >= self._limits.per_address:
            return "address"
        self._inside[key] = count + 1
        self._total += 1
        return ""

    def leave(self, address: str) -> None:
        """One of them is gone."""
        key = network_of(address)
        count = self._inside[key] - 1
        if count:
            self._inside[key] = count
        else:
            del self._inside[key]
        self._total -= 1


def network_of(address: str) -> bytes | str:
    """What counts as one origin: an IPv4 address (also when mapped into IPv6), an IPv6 /64. Anything else: itself."""
    if ":" not in address:
        return address
    try:
        packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    except OSError:
        return address
    if packed.startswith(b"\0" * 10 + b"\xff\xff"):
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return packed[:8]
