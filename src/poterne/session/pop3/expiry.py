"""How long POP3 clients may count on what they leave here (RFC 2449 §6.7)."""

from collections.abc import Callable
from typing import Final, final

from poterne.admin.retention import in_force
from poterne.config.retention import Retention
from poterne.store.interface import Store
from poterne.values.directory import Account

_REMEMBERED_S: Final = 60.0
"""Strangers may ask, as often as they like."""


@final
class Expiry:
    """Of one worker."""

    def __init__(self, store: Store, settings: Retention, clock: Callable[[], float]) -> None:
        self._store: Final = store
        self._settings: Final = settings
        self._clock: Final = clock
        self._least: tuple[int | None, bool] = (None, False)
        self._asked_at = -_REMEMBERED_S

    async def of(self, account: Account) -> int | None:
        """Days; None: for ever. Raises StoreError."""
        rules = await in_force(self._store, self._settings)
        return rules.fetched_days(account.id, account.address.rpartition("@")[2])

    async def least(self) -> tuple[int | None, bool]:
        """The least of any account, and whether they differ. Raises StoreError."""
        now = self._clock()
        if not 0 <= now - self._asked_at < _REMEMBERED_S:
            self._least = (await in_force(self._store, self._settings)).least_fetched_days()
            self._asked_at = now
        return self._least
