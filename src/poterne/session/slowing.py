"""How long an answer to a sign-in waits, after failures. Nobody is ever locked out: waiting is all that happens.

Theory of operation. Two tables, both bounded and forgetful:

- by origin (an IPv4 address or IPv6 /64): after some free failures each attempt waits twice as long as the one before, up to a
  bound, and attempts of one origin queue behind each other, so that parallel connections gain nothing;
- by account: guessing from many origins makes strange origins wait, but only a little and without a queue, so that the owner,
  coming from a new address, still gets in. Origins that signed in to the account before do not wait for it.

A failure counts once for the same account and the same wrong password; the caller knows that (`session.authenticate`).
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, final

MAX_ORIGINS: Final = 50_000
MAX_ACCOUNTS: Final = 50_000
MAX_FRIENDS: Final = 50_000
FRIEND_S: Final = 7 * 86_400.0
MAX_ACCOUNT_DELAY_S: Final = 5.0
"""Bound of the wait that attacks on an account cause to strangers, its owner's new address included."""
TRUST_ENDS_AT: Final = 10
"""With so many failures an origin waits also where it signed in before: it may be shared with a guesser."""


@dataclass(slots=True)
class _Failures:
    count: int
    until: float
    """When they are forgotten."""
    next_at: float = 0.0
    """When the next attempt of this origin may be looked at."""


@final
class Slowing:
    """Counts failures, says how long to wait. All times are the caller's monotonic seconds."""

    def __init__(self, *, free_failures: int, max_delay_s: float, forget_s: float) -> None:
        self._free: Final = free_failures
        self._max_delay_s: Final = max_delay_s
        self._forget_s: Final = forget_s
        self._origins: Final[OrderedDict[str, _Failures]] = OrderedDict()
        self._accounts: Final[OrderedDict[str, _Failures]] = OrderedDict()
        self._friends: Final[OrderedDict[tuple[str, str], float]] = OrderedDict()

    def reserve(self, origin: str, address: str, now: float) -> float:
        """Seconds that this attempt waits before it is looked at; inf when too many of its origin wait already."""
        friend = self._friends.get((origin, address), 0.0) > now
        wait = 0.0
        entry = _live(self._origins, origin, now)
        if entry is not None and entry.count >= (TRUST_ENDS_AT if friend else self._free):
            step = self._delay(entry.count, self._max_delay_s)
            start = max(now, entry.next_at)
            wait = start + step - now
            if wait > 2 * self._max_delay_s:
                return float("inf")
            entry.next_at = start + step
        if not friend and (account := _live(self._accounts, address, now)) is not None and account.count >= self._free:
            wait = max(wait, self._delay(account.count, min(MAX_ACCOUNT_DELAY_S, self._max_delay_s)))
        return wait

    def _delay(self, count: int, bound_s: float) -> float:
        return min(bound_s, float(2 ** min(count - self._free, 16)))

    def failed(self, origin: str, address: str, now: float) -> None:
        """A new wrong password for this address from this origin."""
        until = now + self._forget_s
        _count(self._origins, origin, now, until, MAX_ORIGINS)
        _count(self._accounts, address, now, until, MAX_ACCOUNTS)

    def succeeded(self, origin: str, address: str, now: float) -> None:
        """The origin knows the password: other origins' failures no longer make it wait for this account."""
        key = (origin, address)
        self._friends[key] = now + FRIEND_S
        self._friends.move_to_end(key)
        while len(self._friends) > MAX_FRIENDS:
            self._friends.popitem(last=False)


def _live(table: "OrderedDict[str, _Failures]", key: str, now: float) -> _Failures | None:
    entry = table.get(key)
    return entry if entry is not None and entry.until > now else None


def _count(table: "OrderedDict[str, _Failures]", key: str, now: float, until: float, limit: int) -> None:
    entry = _live(table, key, now)
    if entry is None:
        entry = table[key] = _Failures(0, until)
    entry.count += 1
    entry.until = until
    table.move_to_end(key)
    while len(table) > limit:
        table.popitem(last=False)
