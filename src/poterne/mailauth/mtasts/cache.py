"""When a kept policy counts, and when it is to be fetched (RFC 8461 §3.3, §5.1). Pure arithmetic.

A policy counts until its max_age is over, whatever DNS and the web say meanwhile: whoever can hide them must not be able to
switch it off. It is fetched anew when the record names another id, and once a day in any case.
"""

from typing import Final

from poterne.values.tls import KeptPolicy

REFRESH_S: Final = 86_400
RETRY_S: Final = 300
"""After a fetch that failed, the same version is left alone for so long."""


def valid(kept: KeptPolicy | None, now: int) -> bool:
    """Does it still count?"""
    return kept is not None and now < kept.expires_at


def wanted(kept: KeptPolicy | None, live_id: str | None, now: int) -> bool:
    """Must it be fetched before mail goes out? `live_id`: what DNS says now; None: nothing that could be read."""
    if live_id is None:
        return False
    return kept is None or not valid(kept, now) or kept.id != live_id


def stale(kept: KeptPolicy, now: int) -> bool:
    """Is it time for the daily refresh?"""
    return now - max(kept.fetched_at, kept.checked_at) >= REFRESH_S
