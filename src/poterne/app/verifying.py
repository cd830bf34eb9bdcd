"""What a worker needs to find out who strangers' mail is from, and what it counts of that."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Final, final

from poterne.config.settings import Settings
from poterne.net.dns.resolver import StubResolver
from poterne.observe import Log
from poterne.policy.evidence import Rules
from poterne.queue.dmarc_tally import DmarcTally
from poterne.session.smtp.lists_seen import ListsSeen
from poterne.session.smtp.relay import Relays
from poterne.session.smtp.verifying import Verifying
from poterne.store.errors import StoreError
from poterne.store.interface import Store

FLUSH_S: Final = 10.0
SHARES: Final = 10
"""Of the questions that may be under way at a time, one origin has a tenth."""


@final
class Verification:
    """`run` as a task until it is cancelled; `verifying` is for the sessions."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        resolver: StubResolver,
        relays: Relays,
        log: Log,
        clock: Callable[[], float],
    ) -> None:
        self._log: Final = log
        self._tally: Final = DmarcTally(store, log)
        self._lists: Final = ListsSeen(store)
        self.verifying: Final = Verifying(
            resolver,
            Rules(settings.inbound),
            store,
            settings.server.hostname,
            settings.server.language,
            tally=self._tally,
            lists=self._lists,
            trusted=relays.listed,
            clock=clock,
            behind=_behind(settings),
            share=settings.dns.max_in_flight // SHARES,
        )

    async def run(self) -> None:
        """Brings counts to the store, every few seconds and at the end."""
        results = asyncio.create_task(self._tally.run())
        try:
            while True:
                await asyncio.sleep(FLUSH_S)
                await self._flush()
        finally:
            await ended(results)
            await self._flush()

    async def _flush(self) -> None:
        try:
            await self._lists.flush()
        except StoreError as error:  # counted again later
            self._log.error("lists.counts", problem=str(error))
        except Exception as error:  # noqa: BLE001  (a bug here must not end it)
            self._log.error("lists.bug", exc_info=error)


def verification(
    settings: Settings, store: Store, resolver: StubResolver, relays: Relays, log: Log, clock: Callable[[], float]
) -> Verification | None:
    """None: the settings say that nothing is verified, or that a server in front of this one does it."""
    if not settings.inbound.verify or settings.server.role == "mailbox":
        return None
    return Verification(settings, store, resolver, relays, log, clock)


def _behind(settings: Settings) -> Iterator[str]:
    """Domains of the servers behind this one."""
    for route in settings.route.values():
        if route.inbound:
            yield from (name for entry in route.domains if (name := entry.lstrip(".")) != "*")


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel it and wait until it has flushed."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
