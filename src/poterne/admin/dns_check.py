"""Compares what DNS and the web say of a domain with what they should say: asks; the checks of `policy.published` judge."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final, TypeVar, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from poterne.config.outbound_tls import trust_roots
from poterne.config.settings import Settings
from poterne.mailauth.dane.verify import covers, dns_names
from poterne.mailauth.mtasts.record import PREFIX
from poterne.mailauth.spf.check import Steps
from poterne.net.https import Fault, FetchError, FetchTerms
from poterne.net.tls import ClientContexts
from poterne.policy.published.asking import Check, PolicyFile, Subject
from poterne.policy.published.checks import CHECKS, run
from poterne.policy.published.finding import Finding, Outcome
from poterne.policy.published.wanted import Facts, wanted
from poterne.queue.sts import fetching
from poterne.values.dns import Found, Resolver, TempFail
from poterne.values.networks import is_public

T = TypeVar("T")

STRANGERS: Final = 3
FETCH_S: Final = 15.0
CHECK_S: Final = 60.0
"""For all questions of one check: records of strangers may lead on to slow name servers."""
_PEM_MOST: Final = 256 * 1024

Fetch = Callable[[str], Awaitable[PolicyFile]]
"""The MTA-STS policy of a domain, as others get it."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the truth is looked up. `chains`: PEM files of all certificates in use, the local CA's too."""

    resolver: Resolver
    fetch: Fetch
    chains: Sequence[Path]


async def findings(facts: Facts, relatives: Sequence[str], sources: Sources, now: dt.datetime) -> list[Finding]:
    """What all checks found, in their order; of each one at least. `relatives`: the other domains that are served here.

    Takes FETCH_S and CHECK_S at most. Never raises for what others do.
    """
    file = await sources.fetch(facts.domain) if facts.policy is not None else await _others_file(facts, sources)
    subject = Subject(
        facts,
        wanted(facts),
        now,
        strangers=strangers(facts),
        chains=tuple(chain for path in sources.chains if (chain := _chain(path, facts.hostname))),
        certified=tuple(name for path in sources.chains for name in _names(path)),
        policy_file=file,
        relatives=tuple(relatives),
    )
    found = await asyncio.gather(*(_timed(check, subject, sources.resolver) for check in CHECKS))
    return [finding for one in found for finding in one]


async def _timed(check: Check, subject: Subject, resolver: Resolver) -> list[Finding]:
    try:
        async with asyncio.timeout(CHECK_S):
            return await asked(run(check, subject), resolver)
    except TimeoutError:
        return [check.found(Outcome.UNKNOWN, "time", f"DNS took more than {CHECK_S:.0f} s for this")]


async def _others_file(facts: Facts, sources: Sources) -> PolicyFile | None:
    """Nobody serves a policy here; who publishes a record all the same has one elsewhere, or believes so."""
    answer = await sources.resolver.txt(PREFIX + facts.domain)
    return await sources.fetch(facts.domain) if isinstance(answer, Found) else None


async def asked(steps: Steps[T], resolver: Resolver) -> T:
    """What the steps come to; the questions of each step are asked at the same time."""
    try:
        questions = next(steps)
        while True:
            answers = await asyncio.gather(*(resolver.query(one.name, one.kind) for one in questions))
            questions = steps.send(answers)
    except StopIteration as end:
        return cast("T", end.value)


def strangers(facts: Facts) -> tuple[str, ...]:
    """Public addresses of nobody in particular: the same ones for a domain each day, so that a finding does not come and go."""
    found: list[str] = []
    number = 0
    while len(found) < STRANGERS:
        digest = sha256(f"{facts.domain} {number}".encode()).digest()
        address = str(IPv4Address(digest[:4]))
        number += 1
        if is_public(address) and address not in facts.addresses:
            found.append(address)
    return tuple(found)


def _chain(path: Path, hostname: str) -> tuple[bytes, ...]:
    """The certificates of a PEM file; () when they can't be read or are not for the host."""
    try:
        with path.open("rb") as file:
            chain = x509.load_pem_x509_certificates(file.read(_PEM_MOST))
        if not covers(dns_names(chain[0]), hostname):
            return ()
        return tuple(one.public_bytes(Encoding.DER) for one in chain)
    except (OSError, ValueError):
        return ()


def _names(path: Path) -> tuple[str, ...]:
    try:
        with path.open("rb") as file:
            return dns_names(x509.load_pem_x509_certificate(file.read(_PEM_MOST)))
    except (OSError, ValueError):
        return ()


def fetcher(settings: Settings, folder: Path, resolver: Resolver) -> Fetch:
    """Fetches as other servers do: public addresses only, verified."""

    def usable(address: str) -> bool:
        return settings.queue.private_mx or is_public(address)

    roots = trust_roots(settings.outbound_tls, folder)
    terms = FetchTerms(usable, settings.outbound_tls.policy_port, roots, total_s=FETCH_S)
    get = fetching(resolver, ClientContexts(), terms)

    async def fetch(domain: str) -> PolicyFile:
        try:
            return PolicyFile(await get(domain))
        except FetchError as error:
            passing = error.fault is Fault.ADDRESS and error.detail == TempFail.__name__
            return PolicyFile(problem=str(error), passing=passing)

    return fetch
