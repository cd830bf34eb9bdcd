"""Who may be sent a report that strangers ask for: an address a bounded number a day, and of ours only what all may write to."""

from typing import Final, final

from poterne.message.forwarded import folded
from poterne.store.interface import Store
from poterne.values.address import Address, routing_fault
from poterne.values.directory import Posting, RouteKind


@final
class ReportRecipients:
    """`most_a_day`: reports to one address (without its tag), whichever domains name it."""

    def __init__(self, store: Store, most_a_day: int) -> None:
        self._store: Final = store
        self._most_a_day: Final = most_a_day
        self._day = 0
        self._counts: Final[dict[str, int]] = {}

    async def may_have(self, address: Address, today: int) -> bool:
        """One more report? It is counted then. Raises StoreError."""
        if not address.is_ascii or address.literal is not None or routing_fault(address) is not None:
            return False
        route = await self._store.route(address.local_part, address.domain)
        if route.kind is RouteKind.UNKNOWN_USER or route.posting is not Posting.ANYONE:
            return False
        if today != self._day:
            self._day = today
            self._counts.clear()
        key = folded(str(address))
        self._counts[key] = count = self._counts.get(key, 0) + 1
        return count <= self._most_a_day
