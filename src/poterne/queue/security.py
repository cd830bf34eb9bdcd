"""What is known of how mail must travel to a domain's servers, gathered for `policy.tls`; and how it went, for the reports."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, final

from poterne.config.outbound_tls import VerifiedDomains, trust_roots
from poterne.config.settings import Settings
from poterne.mailauth.tlsrpt.results import result_of
from poterne.net.https import FetchTerms
from poterne.net.tls import ClientContexts
from poterne.observe import Log
from poterne.policy.tls import NO_DANE, Dane, Destination, Skip, SkipReason, Terms, TlsVerdict, decide
from poterne.queue.outcome import AttemptResult, Hop
from poterne.queue.sts import Fetch, StsPolicies, fetching
from poterne.queue.tally import Tally
from poterne.queue.tlsa import dane_of
from poterne.store.interface import Store
from poterne.values.dns import Found, Resolver
from poterne.values.networks import is_public, parse_address
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import QueuedMessage
from poterne.values.tls import TlsDemand, TlsFailure

REPORTS: Final = Origin(OriginKind.SYSTEM, "tlsrpt")
"""Reports about TLS: they go whatever TLS does, and are not counted themselves (RFC 8460 §3)."""
_OURS: Final = frozenset({"authorities"})
"""TLS problems that are no other server's fault."""

Note = Callable[[str, str], None]


@final
class Security:
    """One per queue. `policies` and `tally` are for the upkeep."""

    def __init__(
        self,
        store: Store,
        resolver: Resolver,
        settings: Settings,
        folder: Path,
        *,
        clock: Callable[[], float],
        log: Log,
        fetch: Fetch | None = None,
    ) -> None:
        """`folder`: where files that the settings name are relative to."""
        tls, queue = settings.outbound_tls, settings.queue
        self._resolver: Final = resolver
        self._dane: Final = tls.dane
        self._sts: Final = tls.mta_sts
        self._port: Final = queue.mx_port
        self._ca_file: Final = trust_roots(tls, folder)
        self._verified: Final = VerifiedDomains(tls.verified)
        self._cleartext_refused: Final = tls.cleartext == "refused"
        self.tally: Final = Tally(store, clock)
        private = queue.private_mx
        terms = FetchTerms(
            lambda address: is_public(address) or (private and parse_address(address) is not None),
            tls.policy_port,
            self._ca_file,
        )
        if fetch is None:
            fetch = fetching(resolver, ClientContexts(), terms)
        self.policies: Final = StsPolicies(store, resolver, fetch, self.tally, clock, log)

    def terms(self, domain: str, *, requiretls: bool = False, optional: bool = False) -> Terms:
        """What a message for this domain, and our settings, ask for."""
        return Terms(requiretls, optional, domain in self._verified, self._cleartext_refused)

    async def judge(
        self, to: Destination, exchangers: Mapping[str, Found[str]], terms: Terms, note: Note
    ) -> dict[str, TlsVerdict]:
        """The terms for each server, given how its addresses were found. Raises StoreError."""
        sts = await self.policies.of(to.domain) if self._sts else None
        if sts is not None:
            note("mta-sts", f"{to.domain}: mode {sts.mode.value}, servers {', '.join(sts.mx[:10]) or 'none'}")
        danes: Sequence[Dane] = [NO_DANE] * len(exchangers)
        if self._dane and to.secure:
            asked = (dane_of(self._resolver, name, found, self._port) for name, found in exchangers.items())
            danes = await asyncio.gather(*asked)
        verdicts: dict[str, TlsVerdict] = {}
        for name, dane in zip(exchangers, danes, strict=True):
            verdict = verdicts[name] = decide(to, name, dane, sts, terms)
            if isinstance(verdict, Skip):
                self._passed_over(to.domain, verdict)
            if dane is not NO_DANE:
                note("dane", f"{name}: {dane.status.value} {'; '.join(dane.shown)}".rstrip())
            note("tls", f"{name}: {_shown(verdict)}")
        return verdicts

    def ca_file(self, demand: TlsDemand) -> Path | None:
        """Whose authorities count."""
        return self._ca_file if demand is TlsDemand.VERIFIED else None

    # -- how it went -----------------------------------------------------------------------------------------------------

    def _passed_over(self, domain: str, skip: Skip) -> None:
        """A server was not even connected to."""
        if skip.applied is not None and skip.reason is not SkipReason.UNPROVEN:
            self.tally.add(domain, skip.applied, skip.failures)

    def seen(self, message: QueuedMessage, domain: str, result: AttemptResult) -> None:
        """A conversation is over. Where nobody came as far as TLS, there is nothing to report (RFC 8460 §4.3.4)."""
        hop, tls = result.hop, result.tls
        if hop.applied is None or result.reused or is_report(message) or tls.problem in _OURS:
            return
        if not tls.version and not tls.problem:
            return
        failures = hop.known_failures
        if tls.problem:
            failures = (*failures, _failure(hop, result))
        self.tally.add(domain, hop.applied, failures)


def is_report(message: QueuedMessage) -> bool:
    """Is it a report about TLS?"""
    return message.origin.kind is REPORTS.kind and message.origin.name == REPORTS.name


def _failure(hop: Hop, result: AttemptResult) -> TlsFailure:
    kind, reason = result_of(result.tls.problem, result.tls.detail)
    return TlsFailure(kind, reason, hop.name, hop.address, result.tls.source)


def _shown(verdict: TlsVerdict) -> str:
    if isinstance(verdict, Skip):
        return f"not used ({verdict.reason.value})"
    names = f" for {' or '.join(verdict.names)}" if verdict.names else ""
    fallback = f", else {verdict.fallback.value}" if verdict.fallback is not None else ""
    return f"{verdict.demand.value}{names}{fallback}"
