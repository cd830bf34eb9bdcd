"""Mailing lists that were seen, counted here for some seconds before the store hears of them."""

from typing import Final, final

from poterne.store.interface import Store
from poterne.values.history import ListSeen

MOST: Final = 10_000
"""Lists between two calls of `flush`; more are not counted."""


@final
class ListsSeen:
    """`flush` it every few seconds, and at the end."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store
        self._counts: dict[tuple[str, str], tuple[int, int, int]] = {}

    def saw(self, list_id: str, domain: str, at: int) -> None:
        """A message of that list, which the domain answers for."""
        key = list_id, domain
        first, _, messages = self._counts.get(key, (at, at, 0))
        if messages or len(self._counts) < MOST:
            self._counts[key] = first, at, messages + 1

    async def flush(self) -> None:
        """To the store. Raises StoreError; then they are counted again later."""
        counts, self._counts = self._counts, {}
        if not counts:
            return
        seen = [ListSeen(list_id, domain, *counted) for (list_id, domain), counted in counts.items()]
        try:
            await self._store.note_lists(seen)
        except BaseException:
            for key, counted in counts.items():
                self._counts.setdefault(key, counted)
            raise
