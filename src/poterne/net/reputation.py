"""Gathers what DNS tells about a server that connects: blocklists, the names of its address, the name it gives itself.

Theory of operation. For each address one task looks everything up at once, and writes down each answer as it comes; who asks
later gets what is there. A session waits for it only until `gather_s` seconds after the task began, and what comes later serves
the next message. What was found is kept per address for some minutes; the number of addresses kept and of tasks is bounded, and
beyond it nothing is known of a peer, which is held against nobody. Nothing is looked up for addresses that are not public.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Final, final

from poterne.config.dns import Reputation as Settings
from poterne.net.dnsbl import Blocklist, Silence
from poterne.observe import Log
from poterne.policy.reputation import Evidence, Helo, Listing, Reverse, Rules, Verdict, helo_shape
from poterne.values.dns import AAAA, A, Answer, Found, Resolver, TempFail
from poterne.values.networks import NetworkSet, address_number, is_public

MAX_KEPT: Final = 10_000
MAX_TASKS: Final = 400
KEEP_S: Final = 300.0
KEEP_INCOMPLETE_S: Final = 20.0
MAX_REVERSE_NAMES: Final = 5
"""Names of one address that are looked up (RFC 7208 §4.6.4 says 10)."""
LOOKUP_S: Final = 30.0
"""After so long a task ends with what it has."""


@dataclass(slots=True)
class _Peer:
    """What is known of an address so far."""

    began_at: float
    reverse: Reverse = Reverse.UNKNOWN
    reverse_name: str = ""
    listings: list[Listing] = field(default_factory=list)
    unknown: bool = False
    """Something could not be learnt."""
    ends_at: float = float("inf")
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Name:
    """The addresses of a HELO name."""

    began_at: float
    answer: Answer[str] | None = None
    ends_at: float = float("inf")
    task: asyncio.Task[None] | None = None


@final
class Reputation:
    """One per process, used in its event loop. For service mx, and for peers that have not signed in."""

    def __init__(
        self,
        resolver: Resolver,
        settings: Settings,
        log: Log,
        *,
        hostname: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolver: Final = resolver
        self._hostname: Final = hostname
        self._clock: Final = clock
        self._wait_s: Final = float(settings.gather_s)
        self._exempt: Final = NetworkSet(settings.exempt)
        self._lists: Final = [Blocklist(zone, resolver, log, clock=clock) for zone in settings.dnsbl]
        self._rules: Final = Rules(settings)
        self._peers: Final[OrderedDict[str, _Peer]] = OrderedDict()
        self._names: Final[OrderedDict[str, _Name]] = OrderedDict()
        self._tasks: Final[set[asyncio.Task[None]]] = set()

    # -- what a session asks -------------------------------------------------------------------------------------------

    def applies(self, peer: str) -> bool:
        """Is this an address that something can be known of?"""
        return is_public(peer) and peer not in self._exempt

    def begin(self, peer: str) -> None:
        """Start to look up an address; returns at once. Best called when it connects."""
        if self.applies(peer):
            self._peer(peer)

    async def gather(self, peer: str, helo: str = "", *, here: str = "") -> Evidence:
        """What is known of a peer, after waiting `gather_s` at most since its lookups began. Never raises for what DNS says.

        `here`: the address of ours that it connected to.
        """
        if not self.applies(peer):
            return Evidence(peer, complete=True)
        known, shape = self._peer(peer), helo_shape(helo, peer, self._hostname, here) if helo else Helo.UNKNOWN
        name = self._name(helo) if shape is None else None
        for waited in (known, name):
            if waited is not None and waited.task is not None:
                left_s = waited.began_at + self._wait_s - self._clock()
                if left_s > 0:
                    await asyncio.wait((waited.task,), timeout=left_s)
        if name is not None:
            shape = _compared(name.answer, peer)
        pending = (known is None or known.task is not None) or (name is not None and name.task is not None)
        if known is None:
            return Evidence(peer, helo=shape or Helo.UNKNOWN)
        return Evidence(
            peer,
            known.reverse,
            known.reverse_name,
            tuple(known.listings),
            shape or Helo.UNKNOWN,
            complete=not pending and not known.unknown,
        )

    def verdict(self, evidence: Evidence) -> Verdict:
        """What the settings say about it."""
        return self._rules.decide(evidence)

    def close(self) -> None:
        """Ends all lookups of ours; the resolver is the caller's."""
        for task in self._tasks:
            task.cancel()
        for blocklist in self._lists:
            blocklist.close()

    # -- looking up ----------------------------------------------------------------------------------------------------

    def _peer(self, address: str) -> _Peer | None:
        now = self._clock()
        known = self._peers.get(address)
        if known is not None and known.ends_at > now:
            self._peers.move_to_end(address)
            return known
        if len(self._tasks) >= MAX_TASKS:
            return None
        known = self._peers[address] = _Peer(now)
        self._peers.move_to_end(address)
        if len(self._peers) > MAX_KEPT:
            self._peers.popitem(last=False)
        known.task = self._start(self._look_up(address, known))
        return known

    def _name(self, helo: str) -> _Name | None:
        key, now = helo.lower(), self._clock()
        known = self._names.get(key)
        if known is not None and known.ends_at > now:
            self._names.move_to_end(key)
            return known
        if len(self._tasks) >= MAX_TASKS:
            return None
        known = self._names[key] = _Name(now)
        self._names.move_to_end(key)
        if len(self._names) > MAX_KEPT:
            self._names.popitem(last=False)
        known.task = self._start(self._look_up_name(key, known))
        return known

    def _start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _look_up(self, address: str, known: _Peer) -> None:
        try:
            async with asyncio.timeout(LOOKUP_S):
                await asyncio.gather(
                    self._reverse(address, known), *(self._list(b, address, known) for b in self._lists)
                )
        except TimeoutError:
            known.unknown = True
        finally:
            known.task = None
            known.ends_at = self._clock() + (KEEP_INCOMPLETE_S if known.unknown else KEEP_S)

    async def _list(self, blocklist: Blocklist, address: str, known: _Peer) -> None:
        found = await blocklist.look_up(address)
        if isinstance(found, Listing):
            known.listings.append(found)
        elif found is Silence.UNKNOWN:
            known.unknown = True

    async def _reverse(self, address: str, known: _Peer) -> None:
        answer = await self._resolver.ptr(address)
        if not isinstance(answer, Found):
            known.unknown |= isinstance(answer, TempFail)
            known.reverse = Reverse.UNKNOWN if isinstance(answer, TempFail) else Reverse.NONE
            return
        wanted = address_number(address)
        family = A if wanted is not None and wanted[0] == 4 else AAAA
        names = tuple(dict.fromkeys(answer.records))[:MAX_REVERSE_NAMES]
        failed = False
        for name, there in zip(
            names, await asyncio.gather(*(self._resolver.query(name, family) for name in names)), strict=True
        ):
            if isinstance(there, Found) and any(address_number(one) == wanted for one in there.records):
                known.reverse, known.reverse_name = Reverse.CONFIRMED, name
                return
            failed |= isinstance(there, TempFail)
        known.unknown |= failed
        known.reverse = Reverse.UNKNOWN if failed else Reverse.ELSEWHERE

    async def _look_up_name(self, name: str, known: _Name) -> None:
        try:
            async with asyncio.timeout(LOOKUP_S):
                known.answer = await self._resolver.addresses(name)
        except TimeoutError:
            pass
        finally:
            known.task = None
            failed = known.answer is None or isinstance(known.answer, TempFail)
            known.ends_at = self._clock() + (KEEP_INCOMPLETE_S if failed else KEEP_S)


def _compared(answer: Answer[str] | None, peer: str) -> Helo:
    """What the addresses of the HELO name say of this peer."""
    if answer is None or isinstance(answer, TempFail):
        return Helo.UNKNOWN
    if not isinstance(answer, Found):
        return Helo.UNRESOLVED
    wanted = address_number(peer)
    return Helo.MATCHES if any(address_number(one) == wanted for one in answer.records) else Helo.RESOLVES
