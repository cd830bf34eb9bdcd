"""MTA-STS policies of domains: found in the store, fetched when DNS names a new one, kept while they count (RFC 8461 §3.3, §5.1).

Theory of operation. Before mail goes to a domain its record is looked up. A policy that was never fetched, or that has another
id now, is fetched first, once however many mails wait for it, so that the very first mail is protected as well. When that
fails, the policy that was kept goes on to count until it expires; without one the mail goes as if there were none, as the
RFC says. The same version is then left alone for five minutes.
"""

import asyncio
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Protocol, final

from poterne.mailauth.mtasts import cache
from poterne.mailauth.mtasts.policy import Mode, Policy, PolicyError, parse
from poterne.mailauth.mtasts.record import PREFIX, policy_id
from poterne.net.https import Fault, FetchError, FetchTerms, get
from poterne.net.tls import ClientContexts
from poterne.observe import Log
from poterne.queue.tally import Tally
from poterne.store.interface import Store
from poterne.values.dns import Found, Resolver
from poterne.values.tls import AppliedPolicy, KeptPolicy, PolicyKind, TlsFailure, TlsResult

_FAILED_MOST: Final = 10_000
_REFRESHED_AT_ONCE: Final = 100
_WEBPKI: Final = frozenset({Fault.CERTIFICATE, Fault.TLS})


class Fetch(Protocol):
    """The policy file of a domain. Raises FetchError."""

    async def __call__(self, domain: str, /) -> bytes: ...


def fetching(resolver: Resolver, contexts: ClientContexts, terms: FetchTerms) -> Fetch:
    """The real one."""

    async def fetch(domain: str, /) -> bytes:
        return await get(f"mta-sts.{domain}", "/.well-known/mta-sts.txt", "text/plain", resolver, contexts, terms)

    return fetch


@lru_cache(maxsize=256)
def _parsed(text: bytes) -> Policy | None:
    try:
        return parse(text)
    except PolicyError:
        return None


@final
class StsPolicies:
    """One per process. Methods raise StoreError."""

    def __init__(
        self, store: Store, resolver: Resolver, fetch: Fetch, tally: Tally, clock: Callable[[], float], log: Log
    ) -> None:
        self._store: Final = store
        self._resolver: Final = resolver
        self._fetch: Final = fetch
        self._tally: Final = tally
        self._clock: Final = clock
        self._log: Final = log
        self._fetching: Final[dict[str, asyncio.Task[KeptPolicy | None]]] = {}
        self._failed: Final[dict[tuple[str, str], float]] = {}
        """When a version of a domain's policy may be fetched again."""

    async def of(self, domain: str) -> Policy | None:
        """The policy that counts for mail to this domain now."""
        kept = await self._store.tls_policy(domain)
        live = await self._live_id(domain)
        now = int(self._clock())
        if live is not None and cache.wanted(kept, live, now) and self._failed.get((domain, live), 0.0) <= now:
            kept = await self._fetched(domain, live, kept) or kept
        return _parsed(kept.text) if kept is not None and cache.valid(kept, int(self._clock())) else None

    async def refresh(self) -> None:
        """Fetch policies anew that nobody looked at for a day, so that none expires unseen (RFC 8461 §3.3)."""
        while True:
            now = int(self._clock())
            due = await self._store.tls_policies_to_refresh(now - cache.REFRESH_S, now, _REFRESHED_AT_ONCE)
            for kept in due:
                live = await self._live_id(kept.domain)
                if live is None or await self._fetched(kept.domain, live, kept) is None:
                    await self._store.keep_tls_policy(_checked(kept, now))
            if len(due) < _REFRESHED_AT_ONCE:
                return

    async def _live_id(self, domain: str) -> str | None:
        answer = await self._resolver.txt(PREFIX + domain)
        return policy_id(answer.records) if isinstance(answer, Found) else None

    async def _fetched(self, domain: str, live: str, kept: KeptPolicy | None) -> KeptPolicy | None:
        """Shared by all who wait for it; it goes on when one of them is cancelled."""
        task = self._fetching.get(domain)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._fetch_now(domain, live, kept))
            self._fetching[domain] = task
            task.add_done_callback(lambda _: self._fetching.pop(domain, None))
        return await asyncio.shield(task)

    async def _fetch_now(self, domain: str, live: str, kept: KeptPolicy | None) -> KeptPolicy | None:
        try:
            text = await self._fetch(domain)
            policy = parse(text)
        except FetchError as error:
            result = TlsResult.STS_WEBPKI_INVALID if error.fault in _WEBPKI else TlsResult.STS_FETCH_ERROR
            self._failure(domain, live, kept, result, str(error))
            return None
        except PolicyError as error:
            self._failure(domain, live, kept, TlsResult.STS_INVALID, str(error))
            return None
        now = int(self._clock())
        self._failed.pop((domain, live), None)
        fetched = KeptPolicy(domain, live, text, now, now + policy.max_age_s, now)
        await self._store.keep_tls_policy(fetched)
        return fetched

    def _failure(self, domain: str, live: str, kept: KeptPolicy | None, result: TlsResult, detail: str) -> None:
        now = self._clock()
        if len(self._failed) >= _FAILED_MOST:
            self._failed.pop(next(iter(self._failed)))
        self._failed[domain, live] = now + cache.RETRY_S
        policy = _parsed(kept.text) if kept is not None and cache.valid(kept, int(now)) else None
        log = self._log.info if policy is not None and policy.mode is Mode.NONE else self._log.warning
        log("tls.policy", domain=domain, problem=result.value, detail=detail, kept=policy is not None)
        applied = AppliedPolicy(PolicyKind.STS, domain) if policy is None else policy.applied(domain)
        self._tally.add(domain, applied, (TlsFailure(result, detail[:100]),))


def _checked(kept: KeptPolicy, now: int) -> KeptPolicy:
    return KeptPolicy(kept.domain, kept.id, kept.text, kept.fetched_at, kept.expires_at, now)
