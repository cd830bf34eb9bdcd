"""Recipients of servers behind us (role edge): are they known there? Asked while the sender waits, so nothing bounces later.

Theory of operation. An inbound route answers from its list, or by asking the server (call-forward) and remembering: in this
process for a while, and in the store, so that other processes and the next start know it too. What is known is asked again
after `known_s`; while the server does not answer, an old "known" still counts, and mail is taken into the queue; of somebody
never asked about we cannot say, and the sender is told to try later. "Unknown" counts for `unknown_s` only: people are hired.

Whoever sends us mail makes us ask, so what that costs is bounded: one question at a time about one recipient, `MAX_ASKING` to
one server, a short wait for a place among them; and a server that can't be talked to, or says nothing of use again and again,
is left alone for `RESTS_S`. Unknown recipients count against whoever named them, wherever the answer came from.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, Protocol, final

from poterne.observe import Log
from poterne.queue.callforward import Said
from poterne.queue.routes import NamedRoute, Routes
from poterne.store.errors import StoreError
from poterne.store.interface import Store
from poterne.values.address import Address, domain_name
from poterne.values.ids import TraceId

MAX_REMEMBERED: Final = 100_000
"""Recipients in memory, per process: some 15 MiB."""
MAX_ASKING: Final = 20
"""Questions to one server at the same time, per process."""
PLACE_S: Final = 10.0
"""How long a question waits for its place among them: somebody waits at the other end."""
RESTS_S: Final = 15.0
"""A server that did not answer is not asked for so long."""
USELESS_MOST: Final = 20
"""Answers in a row that say neither yes nor no, after which it is left alone for so long too."""


class Asker(Protocol):
    """Asks the server of an address."""

    async def ask(self, address: Address, trace: TraceId) -> tuple[Said, str]:
        """What it said, and in which words. Never raises; takes as long as a greeting and a few commands."""

    async def close(self) -> None:
        """No more questions."""


@final
class Internal:
    """The inbound routes of this server.

    `listed`: the entries of each route's recipients_file, in lower case. `postmaster`: mail for `<postmaster>` without a domain
    is for the servers behind us.
    """

    def __init__(
        self,
        routes: Routes,
        listed: Mapping[str, frozenset[str]],
        store: Store,
        asker: Asker,
        clock: Callable[[], float],
        log: Log,
        *,
        postmaster: bool = True,
    ) -> None:
        self._routes: Final = routes
        self._listed = listed
        self._store: Final = store
        self._asker: Final = asker
        self._clock: Final = clock
        self._log: Final = log
        self._remembered: Final[OrderedDict[str, tuple[bool, float]]] = OrderedDict()
        self._asking: Final[dict[str, asyncio.Future[Said]]] = {}
        self._places: Final = {name: asyncio.Semaphore(MAX_ASKING) for name in routes.named}
        self._rests_until: Final[dict[str, float]] = {}
        self._useless: Final[dict[str, int]] = {}
        self.postmaster: Final = _postmaster(routes) if postmaster else None
        """Who gets mail for `<postmaster>` without a domain (RFC 5321 §4.5.1): that of the first inbound domain."""

    def relist(self, listed: Mapping[str, frozenset[str]]) -> None:
        """The files were read again."""
        self._listed = listed

    async def close(self) -> None:
        """Nobody waits for answers any more."""
        asking = list(self._asking.values())
        for one in asking:
            one.cancel()
        if asking:
            await asyncio.wait(asking)
        await self._asker.close()

    def route_of(self, domain: str) -> NamedRoute | None:
        """The inbound route that a domain (lower-case A-labels) belongs to."""
        return self._routes.inbound(domain)

    async def check(self, route: NamedRoute, address: Address, trace: TraceId) -> Said:
        """Is there such a recipient? Never raises."""
        match route.settings.verify:
            case "list":
                return Said.KNOWN if self._is_listed(route.name, address) else Said.UNKNOWN
            case "call-forward":
                return await self._call_forward(route, address, trace)
            case _:
                return Said.KNOWN

    def _is_listed(self, name: str, address: Address) -> bool:
        plain = address.local_part.partition("+")[0]
        if plain.lower() == "postmaster":  # every domain has one (RFC 5321 §4.5.1), listed or not
            return True
        listed = self._listed.get(name, frozenset())
        return not listed.isdisjoint((address.key, Address(plain, address.domain).key, "@" + address.domain))

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
        if self._rests(name):
            return Said.DOWN
        running = self._asking.get(key)
        if running is None:
            running = asyncio.ensure_future(self._really_ask(name, address, key, trace))
            self._asking[key] = running
            running.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(running)

    async def _really_ask(self, name: str, address: Address, key: str, trace: TraceId) -> Said:
        place = self._places[name]
        try:
            async with asyncio.timeout(PLACE_S):
                await place.acquire()
        except TimeoutError:
            self._log.warning("recipient-check.crowded", route=name, trace=trace)
            return Said.LATER
        try:
            if self._rests(name):
                return Said.DOWN
            answer, words = await self._asker.ask(address, trace)
        finally:
            place.release()
        now = self._clock()
        if answer in {Said.LATER, Said.DOWN}:
            self._no_answer(name, key, answer, words, now, trace)
            return answer
        self._useless.pop(name, None)
        known = answer is Said.KNOWN
        self._remember(key, (known, now))
        if "+" in address.local_part:
            return answer  # of one name that exists strangers make as many as they like, and would push others out of the store
        try:
            await self._store.note_recipient(key, known, int(now))
        except StoreError as error:
            self._log.error("recipient-check.unavailable", problem=str(error))
        return answer

    def _rests(self, name: str) -> bool:
        return 0 < self._rests_until.get(name, 0.0) - self._clock() <= RESTS_S

    def _no_answer(self, name: str, key: str, answer: Said, words: str, now: float, trace: TraceId) -> None:
        """Loud: until this is mended mail for whoever is not remembered waits at its senders."""
        if answer is Said.DOWN:
            self._log.error("recipient-check.down", route=name, problem=words, trace=trace)
            self._rests_until[name] = now + RESTS_S
            return
        self._log.warning("recipient-check.useless", route=name, recipient=key, said=words, trace=trace)
        self._useless[name] = self._useless.get(name, 0) + 1
        if self._useless[name] >= USELESS_MOST:
            self._useless[name] = 0
            self._rests_until[name] = now + RESTS_S


def _postmaster(routes: Routes) -> Address | None:
    """Of the first domain that is inbound and has a name of its own (RFC 5321 §4.5.1)."""
    for route in routes.named.values():
        for text in route.settings.domains if route.settings.inbound else ():
            if text[:1] not in {".", "*"}:
                return Address("postmaster", domain_name(text))
    return None
