"""Looks at the DNS of the domains that are served here: now for a command, once a day for the steward."""

import datetime as dt
from pathlib import Path

from poterne.admin import dns_check, zone
from poterne.admin.silent import Silent
from poterne.app import certificates, outbound
from poterne.config.settings import Settings
from poterne.net.tls import CertificateError
from poterne.policy.published.finding import Finding
from poterne.store.interface import Store
from poterne.values.dns import Resolver


async def look(
    store: Store,
    settings: Settings,
    config: Path,
    data: Path,
    domain: str,
    now: dt.datetime,
    resolver: Resolver | None = None,
) -> list[Finding]:
    """What the checks find of a domain. `config`: the settings file. Raises AdminError and StoreError."""
    own = None if resolver is not None else outbound.resolver(settings, Silent())
    names = resolver or own
    assert names is not None  # noqa: S101  (for the type checker: one of both is there)
    try:
        facts = await zone.facts(store, settings, config.parent, certificates.public_chains(config, settings), domain)
        relatives = [one.name for one in await store.domains() if one.name != domain]
        fetch = dns_check.fetcher(settings, config.parent, names)
        try:
            chains = [pair.chain for pair in certificates.files(config, data, settings)]
        except CertificateError:
            chains = []  # `poterne check` tells
        return await dns_check.findings(facts, relatives, dns_check.Sources(names, fetch, chains), now)
    finally:
        if own is not None:
            own.close()
