"""The parts of `interface.Store` about mail on its way out, beside the queue itself."""

from collections.abc import Sequence
from typing import Protocol

from poterne.values.event import Event
from poterne.values.queue import NewQueued, Pause, PauseKind
from poterne.values.tls import KeptPolicy, TlsCount


class Pauses(Protocol):
    """Standing pauses of the queue."""

    async def pauses(self, now: int) -> list[Pause]:
        """Those that have not ended by then, by kind and name."""

    async def set_pause(self, pause: Pause, event: Event) -> None:
        """In place of an earlier one of the same kind and name. LimitError beyond some hundreds."""

    async def end_pause(self, kind: PauseKind, name: str, event: Event) -> bool:
        """False, and no event: there was none."""


class OutboundTls(Protocol):
    """MTA-STS policies that were fetched, and how TLS went with other servers, until it is reported."""

    async def tls_policy(self, domain: str) -> KeptPolicy | None:
        """The newest one that was kept, also when it has expired."""

    async def tls_policies_to_refresh(self, checked_before: int, now: int, limit: int = 100) -> list[KeptPolicy]:
        """Those that still count and that nobody tried to fetch since then, longest ago first."""

    async def keep_tls_policy(self, kept: KeptPolicy) -> None:
        """Instead of the domain's earlier one. A bounded number is kept; those that expire first go."""

    async def count_tls(self, counts: Sequence[TlsCount]) -> None:
        """Add to the counts of these days, domains and policies."""

    async def tls_to_report(self, before_day: int, limit: int = 1000) -> list[tuple[int, str]]:
        """(day, domain) with counts, oldest first."""

    async def tls_counts(self, day: int, domain: str) -> list[TlsCount]: ...
    async def tls_reported(
        self, day: int, domain: str, reports: Sequence[NewQueued] = (), events: Sequence[Event] = ()
    ) -> bool:
        """The counts go, and the reports are queued, in one transaction; False, and nothing queued: there were no counts."""
