"""A domain whose DNS is as it should be, served on loopback; and the same with something broken."""

import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from poterne.admin.canary import canary
from poterne.admin.dns_check import Sources, findings
from poterne.config.settings import Server, Settings
from poterne.lab.dns import Trouble, Zones
from poterne.mailauth.dkim import sign
from poterne.mailauth.dkim.keys import generate, load, record_text
from poterne.mailauth.dkim.record import KeyType
from poterne.mailauth.mtasts.policy import Mode, Policy
from poterne.mailauth.mtasts.text import rendered
from poterne.policy.published.asking import PolicyFile
from poterne.policy.published.finding import Finding
from poterne.policy.published.wanted import Facts, Selector, wanted
from poterne.values.dkim import DkimKey, KeyState
from poterne.values.zone import ZoneRecord
from tests.support.name_server import stub, zones_served

DOMAIN = "d.test"
HOST = "mail.d.test"
FOUR, SIX = "5.45.100.25", "2a01:4f8:1::25"
"""Addresses that anybody may have: nothing is ever sent there."""
NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
POLICY = Policy(Mode.ENFORCE, 604_800, (HOST,))


@lru_cache(maxsize=1)
def pairs() -> tuple[DkimKey, ...]:
    return tuple(
        DkimKey(DOMAIN, f"s-{kind.value}", kind.algorithm, generate(kind), KeyState.ACTIVE, 0, 0)
        for kind in (KeyType.RSA, KeyType.ED25519)
    )


def keys() -> tuple[Selector, ...]:
    found = (load(pair.private, DOMAIN, pair.selector) for pair in pairs())
    return tuple(Selector(loaded.name, record_text(loaded), KeyState.ACTIVE, "it signs") for loaded in found)


@lru_cache(maxsize=1)
def signed() -> bytes:
    return canary(Settings(Server(hostname=HOST)), DOMAIN, pairs(), int(NOW.timestamp()))


def signed_loosely() -> bytes:
    """By somebody who covers From and To, once, and nothing else."""
    with patch.object(sign, "signed_fields", lambda _: (b"from", b"to")):
        return canary(Settings(server=Server(hostname=HOST)), DOMAIN, pairs(), int(NOW.timestamp()))


def digest(chain: Path) -> bytes:
    leaf = x509.load_pem_x509_certificate(chain.read_bytes())
    return sha256(leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def facts(chain: Path) -> Facts:
    return Facts(
        domain=DOMAIN,
        hostname=HOST,
        addresses=(FOUR, SIX),
        exchangers=((10, HOST),),
        dkim=keys(),
        keys=(digest(chain),),
        issuers=("letsencrypt.org",),
        dmarc="reject",
        rua=(f"dmarc-reports@{DOMAIN}",),
        tls_rua=f"tls-reports@{DOMAIN}",
        policy=POLICY,
        ports={"submissions": 465, "imaps": 993},
        client_host=HOST,
        web_port=443,
        canary=signed(),
    )


@dataclass(frozen=True)
class World:
    """`lines` of the zone, which a case changes before it is served."""

    facts: Facts
    chain: Path
    lines: tuple[str, ...]
    file: PolicyFile = field(default_factory=lambda: PolicyFile(rendered(POLICY)))
    secure: bool = True
    troubles: tuple[tuple[str, Trouble, str | None], ...] = ()
    relatives: tuple[str, ...] = ()
    others: tuple[tuple[str, str], ...] = ()
    """(origin, text) of further zones."""

    def without(self, *parts: str) -> "World":
        """Lines that hold all of these go; one at least must."""
        kept = tuple(line for line in self.lines if not all(part in line for part in parts))
        assert kept != self.lines, parts
        return replace(self, lines=kept)

    def plus(self, *lines: str) -> "World":
        return replace(self, lines=(*self.lines, *lines))

    def changed(self, old: str, new: str) -> "World":
        lines = tuple(line.replace(old, new) for line in self.lines)
        assert lines != self.lines, old
        return replace(self, lines=lines)

    async def found(self) -> list[Finding]:
        async with served(self) as port:
            resolver = stub(port)
            try:
                sources = Sources(resolver, self._fetch, [self.chain])
                return await findings(self.facts, self.relatives, sources, NOW)
            finally:
                resolver.close()

    async def _fetch(self, _domain: str) -> PolicyFile:
        return self.file


Change = Callable[[World], World]


def world(chain: Path) -> World:
    known = facts(chain)
    return World(known, chain, tuple(record.line for record in wanted(known)))


def zone_text(origin: str, lines: Sequence[str]) -> str:
    head = [f"{origin}. 60 IN SOA ns.{origin}. root.{origin}. 1 60 60 60 60", f"{origin}. 60 IN NS ns.{origin}."]
    return "\n".join([*head, *lines]) + "\n"


@contextlib.asynccontextmanager
async def served(made: World) -> AsyncIterator[int]:
    """The port of a name server that has the domain's records and those of its addresses, and says that nothing else is."""
    by_origin: dict[str, list[str]] = {"test": [], "in-addr.arpa": [], "ip6.arpa": []}
    for line in made.lines:
        name = line.split(" ", 1)[0].rstrip(".")
        origin = next(one for one in by_origin if name.endswith(one))
        by_origin[origin].append(line)
    zones = Zones(
        {origin: zone_text(origin, lines) for origin, lines in by_origin.items()},
        secure=tuple(by_origin) if made.secure else (),
    )
    for origin, text in made.others:
        zones.put(origin, text, secure=True)
    for name, trouble, kind in made.troubles:
        zones.trouble(name, trouble, kind)
    async with zones_served(zones) as port:
        yield port


def fix_lines(records: Sequence[ZoneRecord]) -> list[str]:
    return [record.line for record in records]
