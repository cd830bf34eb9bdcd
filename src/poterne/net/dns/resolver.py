"""The resolver that everybody asks: remembers, shares, retries.

Theory of operation. A lookup is answered from the cache, or joins the one that is under way for the same name and type, or starts
it, as a task of its own: whoever stops waiting does not end it for the others. The task asks the servers in turn until one has
an answer or the deadline is over, and goes after aliases that a server did not follow itself. Denials are kept as long as their
SOA says, failures for some seconds, so that a broken domain is not asked about for each of a thousand mails.
"""

import asyncio
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, cast, final

from poterne.config.dns import Dns
from poterne.net.dns.cache import FAILURE_S, MAX_NEGATIVE_S, MAX_TTL_S, MIN_TTL_S, Cache, Key
from poterne.net.dns.exchange import ExchangeError, ask, make_query
from poterne.net.dns.servers import NameServer, Servers
from poterne.net.dns.wire import MAX_ALIASES, NO_ERROR, NXDOMAIN, MalformedError, Reading, canonical, read
from poterne.observe import Log
from poterne.values.dns import (
    AAAA,
    MX,
    PTR,
    TLSA,
    TXT,
    A,
    Answer,
    Failure,
    Found,
    Kind,
    Mx,
    NoData,
    NxDomain,
    TempFail,
    Tlsa,
    reverse_name,
)

R = TypeVar("R")

MAX_ROUNDS: Final = 3
WAITING_PER_QUERY: Final = 4
_SERVFAIL: Final = 2
_RCODES: Final = {1: "FORMERR", _SERVFAIL: "SERVFAIL", 4: "NOTIMP", 5: "REFUSED"}
_BOGUS: Final = frozenset(range(5, 13))
"""Extended errors that mean: validation failed (RFC 8914 §4.6–4.13)."""
_IMPOSSIBLE: Final = NxDomain(secure=False, ttl_s=MAX_NEGATIVE_S)
_OVERLOADED: Final = TempFail(Failure.OVERLOADED, "too many queries are waiting")


@dataclass(slots=True)
class Counts:
    """Since the start: lookups answered from the cache, lookups begun, those that ended in TempFail."""

    cached: int = 0
    begun: int = 0
    failed: int = 0


@final
class StubResolver:
    """A `values.dns.Resolver`; one per process, made and used in its event loop."""

    def __init__(self, settings: Dns, log: Log, *, servers: Servers | None = None) -> None:
        self._servers: Final = servers or Servers(settings.servers, settings.trust_ad, log)
        self._timeout_s: Final = float(settings.timeout_s)
        self._deadline_s: Final = float(settings.deadline_s)
        self._cache: Final = Cache(settings.cache_mib << 20)
        self._tasks: Final[dict[Key, asyncio.Task[Answer[object]]]] = {}
        self._slots: Final = asyncio.Semaphore(settings.max_in_flight)
        self._max_begun: Final = settings.max_in_flight * (1 + WAITING_PER_QUERY)
        self.counts: Final = Counts()

    # -- lookups -------------------------------------------------------------------------------------------------------

    async def query(self, name: str, kind: Kind[R], /) -> Answer[R]:
        """See `values.dns.Resolver`. From the cache in about 1 µs."""
        answer = self._cache.get((name, kind.code))
        if answer is None:
            asked = canonical(name)
            if asked is None:
                return _IMPOSSIBLE
            answer = (self._cache.get((asked, kind.code)) if asked != name else None) or await self._join(asked, kind)
        else:
            self.counts.cached += 1
        return cast("Answer[R]", answer)  # the key holds the type's code

    def known(self, name: str, kind: Kind[R], /) -> Answer[R] | None:
        """What the cache has; None: it must be asked for. Costs no turn of the event loop."""
        answer = self._cache.get((name, kind.code))
        if answer is None:
            asked = canonical(name)
            if asked is None:
                return _IMPOSSIBLE
            answer = self._cache.get((asked, kind.code)) if asked != name else None
        if answer is not None:
            self.counts.cached += 1
        return cast("Answer[R] | None", answer)

    async def mx(self, domain: str, /) -> Answer[Mx]:
        return await self.query(domain, MX)

    async def txt(self, name: str, /) -> Answer[bytes]:
        return await self.query(name, TXT)

    async def tlsa(self, name: str, /) -> Answer[Tlsa]:
        return await self.query(name, TLSA)

    async def ptr(self, ip: str, /) -> Answer[str]:
        name = reverse_name(ip)
        return _IMPOSSIBLE if name is None else await self.query(name, PTR)

    async def addresses(self, name: str, /) -> Answer[str]:
        """Both families at once; what one gives is worth having when the other fails."""
        six, four = self._cache.get((name, AAAA.code)), self._cache.get((name, A.code))
        if six is None or four is None:
            six, four = await asyncio.gather(self.query(name, AAAA), self.query(name, A))
        else:
            self.counts.cached += 2
        return _joined(cast("Answer[str]", six), cast("Answer[str]", four))

    def close(self) -> None:
        """Whoever still waits is cancelled."""
        for task in self._tasks.values():
            task.cancel()

    # -- one lookup, shared --------------------------------------------------------------------------------------------

    async def _join(self, name: str, kind: Kind[R]) -> Answer[object]:
        key = (name, kind.code)
        task = self._tasks.get(key)
        if task is None:
            if len(self._tasks) >= self._max_begun:
                return _OVERLOADED
            self.counts.begun += 1
            task = asyncio.create_task(self._look_up(name, kind))
            self._tasks[key] = task
            task.add_done_callback(lambda _: self._tasks.pop(key, None))
        return await asyncio.shield(task)

    async def _look_up(self, name: str, kind: Kind[R]) -> Answer[object]:
        ends_at = asyncio.get_running_loop().time() + self._deadline_s
        try:
            async with asyncio.timeout_at(ends_at):
                await self._slots.acquire()
        except TimeoutError:
            self.counts.failed += 1
            return _OVERLOADED
        try:
            answer = await self._through_aliases(name, kind, ends_at)
        finally:
            self._slots.release()
        if isinstance(answer, TempFail):
            self.counts.failed += 1
            ttl_s = FAILURE_S
        else:
            ttl_s = answer.ttl_s
        self._cache.put((name, kind.code), answer, ttl_s)
        return answer

    async def _through_aliases(self, name: str, kind: Kind[R], ends_at: float) -> Answer[R]:
        """Recursive servers follow aliases themselves; this is for those that leave us the rest of the way."""
        secure, ttl_s = True, MAX_TTL_S
        for _ in range(MAX_ALIASES):
            reading = await self._ask_servers(name, kind, ends_at)
            if isinstance(reading, TempFail):
                return reading
            secure, ttl_s = secure and reading.secure, min(ttl_s, reading.ttl_s)
            if reading.final:
                return _outcome(reading, secure=secure, ttl_s=ttl_s)
            asked = canonical(reading.name)
            if asked is None:
                return NxDomain(secure=False, ttl_s=MIN_TTL_S)
            name = asked
        return TempFail(Failure.ALIASES, "too many aliases")

    async def _ask_servers(self, name: str, kind: Kind[R], ends_at: float) -> "_Believed[R] | TempFail":
        loop = asyncio.get_running_loop()
        failure = TempFail(Failure.UNREACHABLE, "no name server is known")
        servers = self._servers.order(loop.time())
        for attempt in range(MAX_ROUNDS):
            again: list[NameServer] = []
            for server in servers:
                left_s = ends_at - loop.time()
                if left_s <= 0:
                    return failure
                last = attempt == MAX_ROUNDS - 1 and server is servers[-1]
                timeout_s = left_s if last else min(left_s, self._timeout_s * (1 << attempt))
                result = await self._ask_one(server, name, kind, timeout_s)
                if isinstance(result, _Believed):
                    return result
                failure = result
                if failure.reason is Failure.TIMEOUT:
                    again.append(server)
            servers = again
        return failure

    async def _ask_one(
        self, server: NameServer, name: str, kind: Kind[R], timeout_s: float
    ) -> "_Believed[R] | TempFail":
        query = make_query(server, name, kind.code)
        try:
            data = await ask(server, query, timeout_s)
            reading = read(data, query, name, kind)
        except ExchangeError as error:
            self._servers.silent(server, asyncio.get_running_loop().time())
            return TempFail(error.reason, error.detail)
        except MalformedError as error:
            return TempFail(Failure.MALFORMED, f"{server}: {error}")
        self._servers.answered(server)
        if reading.rcode in {NO_ERROR, NXDOMAIN}:
            return _Believed(
                reading.rcode,
                reading.records,
                reading.name,
                reading.ttl_s,
                reading.authentic and server.trusted,
                reading.final,
            )
        return _refusal(reading, server)


@dataclass(frozen=True, slots=True)
class _Believed(Generic[R]):
    """A `Reading`, and whether the server's word that it is proven is taken."""

    rcode: int
    records: tuple[R, ...]
    name: str
    ttl_s: int
    secure: bool
    final: bool


def _outcome(reading: _Believed[R], *, secure: bool, ttl_s: int) -> Answer[R]:
    if reading.records:
        return Found(reading.records, reading.name, secure, max(ttl_s, MIN_TTL_S))
    ttl_s = max(MIN_TTL_S, min(ttl_s, MAX_NEGATIVE_S))
    return NxDomain(secure, ttl_s) if reading.rcode == NXDOMAIN else NoData(secure, ttl_s)


def _refusal(reading: Reading[R], server: NameServer) -> TempFail:
    word = _RCODES.get(reading.rcode, f"RCODE {reading.rcode}")
    detail = f"{server} says {word}"
    if reading.extended_error is not None:
        detail += f", extended error {reading.extended_error} of RFC 8914"
    if reading.rcode != _SERVFAIL:
        return TempFail(Failure.REFUSED, detail)
    return TempFail(Failure.BOGUS if reading.extended_error in _BOGUS else Failure.SERVFAIL, detail)


def _joined(six: Answer[str], four: Answer[str]) -> Answer[str]:
    """The addresses of both families as one answer."""
    if isinstance(six, Found) and isinstance(four, Found):
        records = six.records + four.records
        return Found(records, four.name, six.secure and four.secure, min(six.ttl_s, four.ttl_s))
    for one, other in ((six, four), (four, six)):
        if isinstance(one, Found):
            if isinstance(other, TempFail):
                return Found(one.records, one.name, one.secure, min(one.ttl_s, FAILURE_S), partial=True)
            return Found(one.records, one.name, one.secure and other.secure, min(one.ttl_s, other.ttl_s))
    if isinstance(six, (Found, TempFail)):
        return six
    if isinstance(four, (Found, TempFail)):
        return four
    none = NxDomain if isinstance(six, NxDomain) and isinstance(four, NxDomain) else NoData
    return none(six.secure and four.secure, min(six.ttl_s, four.ttl_s))
