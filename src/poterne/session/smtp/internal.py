"""Recipients of servers behind us (role edge): are they known there? Asked while the sender waits, so nothing bounces later.

Theory of operation. An inbound route answers from its list, or by asking the server (call-forward) and remembering: in this
process for a while, and in the store, so that other processes and the next start know it too. What is known is asked again
after `known_s`; while the server does not answer, an old "known" still counts, and mail is taken into the queue; of somebody
never asked about we cannot say, and the sender is told to try later. "Unknown" counts for `unknown_s` only: people are hired.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, final

from poterne.observe import Log
from poterne.queue.callforward import Said
from poterne.queue.routes import NamedRoute, Routes
from poterne.store.errors import StoreError
from poterne.store.interface import Store
from poterne.values.address import Address
from poterne.values.ids import TraceId

MAX_REMEMBERED: Final = 100_000
"""Recipients in memory, per process: some 15 MiB."""
MAX_ASKING: Final = 20
"""Questions to one server at the same time, per process."""
RESTS_S: Final = 15.0
"""A server that did not answer is not asked for so long."""


Ask = Callable[[Address, TraceId], Awaitable[tuple[Said, str]]]
"""Asks the server of an address. Never raises; takes as long as a greeting and a few commands."""


@final
class Internal:
    """The inbound routes of this server. `listed`: the entries of each route's recipients_file, in lower case."""

    def __init__(
        self,
        routes: Routes,
        listed: Mapping[str, frozenset[str]],
        store: Store,
        ask: Ask,
        clock: Callable[[], float],
        log: Log,
    ) -> None:
        self._routes: Final = routes
        self._listed: Final = listed
        self._store: Final = store
        self._ask: Final = ask
        self._clock: Final = clock
        self._log: Final = log
        self._remembered: Final[OrderedDict[str, tuple[bool, float]]] = OrderedDict()
        self._asking: Final[dict[str, asyncio.Future[Said]]] = {}
        self._places: Final = {name: asyncio.Semaphore(MAX_ASKING) for name in routes.named}
        self._rests_until: Final[dict[str, float]] = {}
        self.postmaster: Final = next(
            (
                Address("postmaster", domain.lower())
                for route in routes.named.values()
                if route.settings.inbound
                for domain in route.settings.domains
                if domain[:1] not in {".", "*"}
            ),
            None,
        )
        """Who gets mail for `<postmaster>` without a domain (RFC 5321 §4.5.1): that of the first inbound domain."""

    def route_of(self, domain: str) -> NamedRoute | None:
        """The inbound route that a domain (lower-case A-labels) belongs to."""
        return self._routes.inbound(domain)

    async def check(self, route: NamedRoute, address: Address, trace: TraceId) -> Said:
        """Is there such a recipient? Never raises."""
        match route.settings.verify:
            case "list":
                listed = self._listed.get(route.name, frozenset())
                plain = Address(address.local_part.partition("+")[0], address.domain).key
                known = not listed.isdisjoint((address.key, plain, "@" + address.domain))
                return Said.KNOWN if known else Said.UNKNOWN
            case "call-forward":
                return await self._call_forward(route, address, trace)
            case _:
                return Said.KNOWN

    async def _call_forward(self, route: NamedRoute, address: Address, trace: TraceId) -> Said:
        key, now = address.key, self._clock()
        said = await self._said(key)
        if said is not None:
            known, at = said
            if 0 <= now - at < (route.settings.known_s if known else route.settings.unknown_s):
                return Said.KNOWN if known else Said.UNKNOWN
        answer = await self._asked(route.name, address, key, trace)
        if answer in {Said.LATER, Said.DOWN} and said is not None and said[0]:
            return Said.KNOWN
        return answer

    async def _said(self, key: str) -> tuple[bool, float] | None:
        found = self._remembered.get(key)
        if found is None:
            try:
                found = await self._store.recipient_check(key)
            except StoreError as error:
                self._log.error("recipient-check.unavailable", problem=str(error))
                return None
            if found is not None:
                self._remember(key, found)
        return found

    def _remember(self, key: str, said: tuple[bool, float]) -> None:
        self._remembered[key] = said
        self._remembered.move_to_end(key)
        while len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)

    async def _asked(self, name: str, address: Address, key: str, trace: TraceId) -> Said:
        """One question at a time about one recipient, whoever wants to know."""
        if self._rests_until.get(name, 0.0) > self._clock():
            return Said.DOWN
        running = self._asking.get(key)
        if running is None:
            running = asyncio.ensure_future(self._really_ask(name, address, key, trace))
            self._asking[key] = running
            running.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(running)

    async def _really_ask(self, name: str, address: Address, key: str, trace: TraceId) -> Said:
        async with self._places[name]:
            if self._rests_until.get(name, 0.0) > self._clock():
                return Said.DOWN
            answer, words = await self._ask(address, trace)
        now = self._clock()
        if answer is Said.DOWN:
            self._rests_until[name] = now + RESTS_S
            self._log.error("recipient-check.down", route=name, problem=words, trace=trace)
        if answer in {Said.LATER, Said.DOWN}:
            return answer
        known = answer is Said.KNOWN
        self._remember(key, (known, now))
        try:
            await self._store.note_recipient(key, known, int(now))
        except StoreError as error:
            self._log.error("recipient-check.unavailable", problem=str(error))
        return answer
