"""The TLSA records of one mail exchanger (RFC 7672 §2.2.2, §2.2.3)."""

from typing import Final

from poterne.mailauth.dane.records import presented, usable
from poterne.policy.tls import NO_DANE, Dane, DaneStatus
from poterne.values.dns import CNAME, Found, Resolver, TempFail

_SHOWN_MOST: Final = 20


async def dane_of(resolver: Resolver, exchanger: str, addresses: Found[str], port: int) -> Dane:
    """What is proven about the server. `addresses`: how its addresses were found; the MX record itself is secure.

    Names of which DNSSEC proves nothing are not asked about: their name servers may not even answer (§2.2.2).
    """
    if addresses.secure:
        candidates = dict.fromkeys((addresses.name or exchanger, exchanger))
    elif addresses.name in {"", exchanger}:
        return NO_DANE
    else:
        alias = await resolver.query(exchanger, CNAME)
        if isinstance(alias, TempFail):
            return Dane(DaneStatus.FAILED, base=exchanger)
        if not (isinstance(alias, Found) and alias.secure):
            return NO_DANE
        candidates = dict.fromkeys((exchanger,))
    for base in candidates:
        answer = await resolver.tlsa(f"_{port}._tcp.{base}")
        if isinstance(answer, TempFail):
            return Dane(DaneStatus.FAILED, base=base)
        if isinstance(answer, Found) and answer.secure:
            records = usable(answer.records)
            status = DaneStatus.USABLE if records else DaneStatus.UNUSABLE
            return Dane(status, records, base, tuple(presented(one) for one in answer.records[:_SHOWN_MOST]))
    return NO_DANE
