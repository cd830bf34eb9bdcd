"""What a domain is to publish, from the settings, the store and the certificates in use."""

import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from poterne.admin import dkim
from poterne.admin.canary import canary
from poterne.admin.people import AdminError
from poterne.config import offered
from poterne.config.publish import Zone, exchangers
from poterne.config.settings import Settings
from poterne.mailauth.dane.verify import covers, dns_names
from poterne.mailauth.mtasts.policy import Mode, Policy
from poterne.policy.published.wanted import Facts, Selector
from poterne.store.interface import Store
from poterne.values.address import domain_name
from poterne.values.networks import is_public, parse_address

_PEM_MOST: Final = 256 * 1024
_ISSUERS: Final = (
    ("let's encrypt", "letsencrypt.org"),
    ("internet security research group", "letsencrypt.org"),
    ("zerossl", "sectigo.com"),
    ("sectigo", "sectigo.com"),
    ("google trust services", "pki.goog"),
    ("digicert", "digicert.com"),
    ("globalsign", "globalsign.com"),
    ("buypass", "buypass.com"),
    ("actalis", "actalis.it"),
    ("harica", "harica.gr"),
    ("certigna", "certigna.fr"),
    ("dhimyotis", "certigna.fr"),
    ("swisssign", "swisssign.com"),
)
"""Organisations of issuers, and the names that they answer to in CAA (from the CCADB)."""


async def facts(store: Store, settings: Settings, folder: Path, chains: Sequence[Path], domain: str) -> Facts:
    """What is known of a domain and the server. `folder`: where files of the settings are relative to; `chains`: the PEM files
    of the certificates in use, which are not the local CA's. Raises AdminError and StoreError. Reads files.
    """
    if domain not in await our_domains(store, settings):
        raise AdminError(f"{domain} is not served here: poterne domain add {domain}")
    publish, zone = settings.publish, settings.zone.get(domain, Zone())
    certificates = [leaf for chain in chains if (leaf := _leaf(chain)) is not None]
    fitting = [leaf for leaf in certificates if covers(dns_names(leaf), settings.server.hostname)]
    keys = [*(_digest(leaf) for leaf in fitting), *(_next_key(folder / name) for name in publish.next_keys)]
    own = settings.reports.dmarc_address
    tls = settings.reports.tls_address
    signing = await store.dkim_keys(domain)
    return Facts(
        domain=domain,
        hostname=settings.server.hostname,
        addresses=addresses(settings),
        exchangers=exchangers(publish, settings.server.hostname),
        dkim=tuple(Selector(one.name, one.value, one.state, one.comment) for one in dkim.records(signing) if one.value),
        keys=tuple(dict.fromkeys(keys)),
        issuers=tuple(dict.fromkeys(publish.caa or (issuer for leaf in fitting for issuer in _issuer(leaf)))),
        spf=tuple(dict.fromkeys((*publish.spf, *zone.spf))),
        dmarc=zone.dmarc,
        rua=tuple(dict.fromkeys((*((f"{own}@{domain}",) if own else ()), *zone.dmarc_rua))),
        tls_rua=f"{tls}@{domain}" if tls else "",
        policy=sts_policy(settings, domain),
        ports=offered.ports(settings),
        client_host=offered.hostname(settings),
        web_port=offered.web_port(settings),
        canary=canary(settings, domain, signing, int(time.time())),
        readers=settings.server.role != "edge",
    )


async def our_domains(store: Store, settings: Settings) -> tuple[str, ...]:
    """Domains that are served here, then those that an edge takes mail for. Raises StoreError."""
    return tuple(dict.fromkeys((*(one.name for one in await store.domains()), *taken_domains(settings))))


def taken_domains(settings: Settings) -> tuple[str, ...]:
    """Those that an edge takes mail for, as far as its routes name them one by one."""
    routes = (route for route in settings.route.values() if route.inbound)
    named = (name for route in routes for name in route.domains if name[:1] not in {".", "*"})
    return tuple(dict.fromkeys(domain_name(name) for name in named))


def addresses(settings: Settings) -> tuple[str, ...]:
    """The server's public addresses, as far as the settings tell them."""
    found = list(settings.publish.addresses)
    if not found:
        listening = [a for one in settings.listener.values() if one.service == "mx" for a in one.addresses]
        found = [a for a in (*listening, settings.queue.source_v4, settings.queue.source_v6) if a and is_public(a)]
    parsed = (parse_address(address) for address in found)
    return tuple(dict.fromkeys(str(address) for address in parsed if address is not None))


def sts_policy(settings: Settings, domain: str) -> Policy | None:
    """The MTA-STS policy that we serve for a domain; None: there is no listener that could."""
    if not any(listener.service == offered.HTTPS for listener in settings.listener.values()):
        return None
    zone = settings.zone.get(domain, Zone())
    names = tuple(name for _, name in exchangers(settings.publish, settings.server.hostname))
    return Policy(Mode(zone.mta_sts), zone.mta_sts_max_age_s, tuple(dict.fromkeys(names)))


def _leaf(chain: Path) -> x509.Certificate | None:
    """The certificate of a PEM file; None when it can't be read: `poterne check` says so."""
    try:
        with chain.open("rb") as file:
            return x509.load_pem_x509_certificate(file.read(_PEM_MOST))
    except (OSError, ValueError):
        return None


def _digest(leaf: x509.Certificate) -> bytes:
    return sha256(leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def _next_key(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            pem = file.read(_PEM_MOST)
        if b"BEGIN CERTIFICATE" in pem:
            return _digest(x509.load_pem_x509_certificate(pem))
        key = load_pem_public_key(pem)
    except OSError as error:
        raise AdminError(f"[publish] next_keys: {path} can't be read: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        what = "is neither a certificate nor a public key in PEM (openssl pkey -in KEY -pubout)"
        raise AdminError(f"[publish] next_keys: {path} {what}") from None
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def _issuer(leaf: x509.Certificate) -> Iterator[str]:
    organisation = leaf.issuer.rfc4514_string().lower()
    for words, name in _ISSUERS:
        if words in organisation:
            yield name
            return
