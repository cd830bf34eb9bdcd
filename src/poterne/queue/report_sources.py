"""Addresses that mail of a domain leaves from when it is ours: those the settings name, and what DNS says of our host and MX."""

from collections.abc import Iterable
from typing import Final

from poterne.values.dns import Found, Resolver

EXCHANGERS_MOST: Final = 10


async def own_addresses(domain: str, hostname: str, addresses: Iterable[str], resolver: Resolver) -> frozenset[str]:
    """What can't be asked now is left out: a source of ours then shows as unknown."""
    found = set(addresses)
    names = [hostname, domain]
    exchangers = await resolver.mx(domain)
    if isinstance(exchangers, Found):
        names += [one.exchange for one in exchangers.records[:EXCHANGERS_MOST] if one.exchange]
    for name in dict.fromkeys(names):
        answer = await resolver.addresses(name)
        if isinstance(answer, Found):
            found.update(answer.records)
    return frozenset(found)
