"""Mail in quarantine: looked at, released to whose it is, or deleted."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from poterne.admin.people import Acting, AdminError, parse_domain
from poterne.store.errors import NotFoundError, OverQuotaError
from poterne.store.interface import Store
from poterne.values.event import Event
from poterne.values.quarantine import Quarantined, QuarantineId

LIST_MOST: Final = 10_000
SHOW_BYTES: Final = 1_048_576
"""Of a message that is shown."""


async def listed(store: Store, who: str, limit: int) -> list[Quarantined]:
    """Oldest first. `who`: an account's address, a domain, or "" for everybody. Raises AdminError, StoreError."""
    if not who:
        return await store.quarantined(limit)
    if "@" not in who:
        domain = parse_domain(who)
        if domain not in {served.name for served in await store.domains()}:
            raise AdminError(f"{domain} is not served here: see `poterne domain list`")
        return await store.quarantined(limit, domain=domain)
    try:
        account = await store.account(who)
    except NotFoundError:
        raise AdminError(f"there is no account {who}: see `poterne account list`") from None
    return await store.quarantined(limit, account_id=account.id)


async def one(store: Store, number: int) -> Quarantined:
    """Raises AdminError, StoreError."""
    try:
        return await store.quarantined_by_id(QuarantineId(number))
    except NotFoundError:
        raise AdminError(f"nothing with the number {number} is in quarantine: see `poterne quarantine list`") from None


async def message(store: Store, number: int) -> tuple[Quarantined, bytes]:
    """It, and its octets up to SHOW_BYTES. Raises AdminError, StoreError."""
    found = await one(store, number)
    blob = found.content.blob
    return found, store.blobs.read(blob, 0, min(blob.size, SHOW_BYTES))


async def release(store: Store, numbers: Sequence[int], acting: Acting) -> list[Quarantined]:
    """Into the inbox of whose it is; what was released. Nothing when one of them is unknown. Raises AdminError, StoreError."""
    done: list[Quarantined] = []
    for found in [await one(store, number) for number in dict.fromkeys(numbers)]:
        number = found.id
        event = _event("quarantine.released", found, acting)
        try:
            await store.release_quarantined(found.id, acting.now, event)
        except NotFoundError:
            raise AdminError(f"{number} has just been released or deleted by somebody else{_so_far(done)}") from None
        except OverQuotaError:
            what = f"the mailbox of {found.account} is full: make room, or give it a larger quota"
            raise AdminError(what + _so_far(done)) from None
        done.append(found)
    return done


async def delete(store: Store, numbers: Sequence[int], acting: Acting) -> list[Quarantined]:
    """For good; nobody is told. Nothing when one of them is unknown. Raises AdminError, StoreError."""
    done: list[Quarantined] = []
    for found in [await one(store, number) for number in dict.fromkeys(numbers)]:
        number = found.id
        event = _event("quarantine.deleted", found, acting)
        try:
            await store.delete_quarantined(found.id, event)
        except NotFoundError:
            raise AdminError(f"{number} has just been released or deleted by somebody else{_so_far(done)}") from None
        done.append(found)
    return done


def _event(kind: str, found: Quarantined, acting: Acting) -> Event:
    """In the trace of the message."""
    event = acting.event(kind, address=found.account, number=found.id, reason=found.reason)
    return replace(event, trace_id=found.trace_id)


def _so_far(done: Sequence[Quarantined]) -> str:
    return f" (done before it: {', '.join(str(one.id) for one in done)})" if done else ""
