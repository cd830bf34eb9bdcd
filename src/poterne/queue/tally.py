"""How TLS went with other servers, counted in memory and brought to the store now and then.

A count for each connection would be a transaction for each; what a crash takes is some seconds of statistics.
"""

from collections.abc import Callable, Sequence
from typing import Final, final

from poterne.store.interface import Store
from poterne.values.tls import AppliedPolicy, TlsCount, TlsFailure

DAY_S: Final = 86_400
KEYS_MOST: Final = 20_000
FAILURES_MOST: Final = 100


class _Counts:
    __slots__ = ("failed", "failures", "succeeded")

    def __init__(self) -> None:
        self.succeeded = self.failed = 0
        self.failures: dict[TlsFailure, int] = {}


@final
class Tally:
    """`add` never waits; `flush` raises StoreError, and keeps what the store did not take."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store: Final = store
        self._clock: Final = clock
        self._counts: dict[tuple[int, str, AppliedPolicy], _Counts] = {}

    def add(self, domain: str, policy: AppliedPolicy, failures: Sequence[TlsFailure] = ()) -> None:
        """One session with a server of this domain: with failures it failed its policy. Beyond the limits nothing is counted."""
        key = (int(self._clock()) // DAY_S, domain, policy)
        counts = self._counts.get(key)
        if counts is None:
            if len(self._counts) >= KEYS_MOST:
                return
            counts = self._counts[key] = _Counts()
        if not failures:
            counts.succeeded += 1
            return
        counts.failed += 1
        for failure in failures:
            if failure in counts.failures or len(counts.failures) < FAILURES_MOST:
                counts.failures[failure] = counts.failures.get(failure, 0) + 1

    async def flush(self) -> None:
        """Bring it to the store."""
        taken, self._counts = self._counts, {}
        if not taken:
            return
        rows = [
            TlsCount(day, domain, policy, one.succeeded, one.failed, tuple(one.failures.items()))
            for (day, domain, policy), one in taken.items()
        ]
        try:
            await self._store.count_tls(rows)
        except BaseException:
            self._keep(taken)
            raise

    def _keep(self, taken: dict[tuple[int, str, AppliedPolicy], _Counts]) -> None:
        for key, old in taken.items():
            new = self._counts.setdefault(key, old)
            if new is not old:
                new.succeeded += old.succeeded
                new.failed += old.failed
                for failure, sessions in old.failures.items():
                    new.failures[failure] = new.failures.get(failure, 0) + sessions
