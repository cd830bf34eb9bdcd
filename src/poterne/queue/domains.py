"""The domains of ours, as the queue needs them: read again every few seconds."""

from collections.abc import Callable
from typing import Final, final

from poterne.store.interface import Store
from poterne.values.directory import Domain

FRESH_S: Final = 5.0


@final
class LocalDomains:
    """Raises StoreError."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store: Final = store
        self._clock: Final = clock
        self._names: frozenset[str] = frozenset()
        self._first: str | None = None
        self._read_at: float | None = None

    async def names(self) -> frozenset[str]:
        """Lower-case A-labels."""
        await self._refresh()
        return self._names

    async def first(self) -> str | None:
        """The oldest one: its postmaster hears of what concerns nobody else."""
        await self._refresh()
        return self._first

    async def _refresh(self) -> None:
        now = self._clock()
        if self._read_at is not None and abs(now - self._read_at) < FRESH_S:
            return
        domains: list[Domain] = await self._store.domains()
        self._names = frozenset(domain.name for domain in domains)
        self._first = min(domains, key=lambda domain: (domain.created_at, domain.name)).name if domains else None
        self._read_at = now
