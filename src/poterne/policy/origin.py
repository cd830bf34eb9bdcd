"""Are the addresses that we see those of our peers, or does something in front of us hide them?

Theory of operation. Behind source NAT, a container engine's proxy or a tunnel, connections arrive from one address of our
own networks, whoever made them. Rules that trust that address then trust the world: this is how servers became open relays
without any change of their own. It cannot be seen in the settings, but it shows in the traffic, in two ways:

- Everything is hidden. A server that the Internet reaches sees public addresses within minutes. One that sees many
  connections, (nearly) all from a single address that is not public, and there more names than one host has, sees strangers.
  The first public address ends this suspicion.
- A part is hidden, while the rest arrives as it should (IPv6 behind a proxy to IPv4 is the classic). Then one address that is
  not public calls itself by a great many names. Nothing but a restart ends this: the mend is outside anyway.

One relaying host inside calls itself by one name, so an internal server with one correspondent is not mistaken for either.
Nobody outside can raise this unless it is true.

State is small and bounded; time comes from the caller.
"""

from dataclasses import dataclass
from typing import Final, final

from poterne.values.networks import is_public

MIN_CONNECTIONS: Final = 20
"""Fewer say nothing."""
MIN_NAMES: Final = 3
"""So many different names under one address: it is not one host."""
MANY_NAMES: Final = 8
"""So many, and it does not matter what arrives from elsewhere."""
SHARE: Final = 0.95
"""How much of all connections one address must have."""
PERIOD_S: Final = 3600
"""How long observations count, and how often the event is told again while it is so."""
MAX_ADDRESSES: Final = 64
"""So many that are not public are watched; others only count in the total."""
_MAX_NAME: Final = 255


@dataclass(frozen=True, slots=True)
class HiddenOrigin:
    """To be told, loudly: under `address` arrive strangers. `connections` and `names` are what shows it."""

    address: str
    connections: int
    names: int


@final
class Origins:
    """Watches where connections of strangers come from. `hidden(address)` is what every rule asks."""

    __slots__ = ("_alone", "_began", "_counts", "_names", "_public_at", "_shared", "_told_at", "_total")

    def __init__(self) -> None:
        self._began = float("-inf")
        self._counts: dict[str, int] = {}
        self._names: dict[str, set[str]] = {}
        self._total = 0
        self._alone = ""
        self._shared: set[str] = set()
        self._public_at = float("-inf")
        self._told_at: dict[str, float] = {}

    def hidden(self, address: str) -> bool:
        """Do strangers arrive under this address?"""
        return address in self._shared or (address == self._alone and bool(address))

    def saw(self, address: str, name: str, now_s: float) -> HiddenOrigin | None:
        """A connection from `address`, which called itself `name`. Returns what must be told, once per PERIOD_S."""
        if now_s - self._began >= PERIOD_S:
            self._begin_period(now_s)  # what was found stays
        if is_public(address):
            self._public_at = now_s
            self._alone = ""
            return None
        self._count(address, name[:_MAX_NAME].lower())
        self._judge(address, now_s)
        if not self.hidden(address) or now_s - self._told_at.get(address, float("-inf")) < PERIOD_S:
            return None
        self._told_at[address] = now_s
        return HiddenOrigin(address, self._counts.get(address, 0), len(self._names.get(address, ())))

    def _count(self, address: str, name: str) -> None:
        self._total += 1
        if address not in self._counts and len(self._counts) >= MAX_ADDRESSES:
            return
        self._counts[address] = self._counts.get(address, 0) + 1
        names = self._names.setdefault(address, set())
        if len(names) < MANY_NAMES:
            names.add(name)

    def _judge(self, address: str, now_s: float) -> None:
        count, names = self._counts.get(address, 0), len(self._names.get(address, ()))
        if count < MIN_CONNECTIONS:
            return
        if names >= MANY_NAMES and len(self._shared) < MAX_ADDRESSES:
            self._shared.add(address)
        if names >= MIN_NAMES and count >= SHARE * self._total and now_s - self._public_at >= PERIOD_S:
            self._alone = address

    def _begin_period(self, now_s: float) -> None:
        self._began = now_s
        self._counts.clear()
        self._names.clear()
        self._total = 0
        self._told_at = {address: at for address, at in self._told_at.items() if now_s - at < PERIOD_S}
