"""What is known of a message, of an address or of a domain: its events, and what of it waits at this moment."""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from poterne.admin.people import AdminError, parse_address, parse_domain
from poterne.store.errors import NotFoundError
from poterne.store.interface import EventFilter, QueueFilter, Store
from poterne.values.event import Event
from poterne.values.ids import AccountId, TraceId
from poterne.values.queue import QueuedRecipient

LIST_MOST: Final = 10_000
WAITS_MOST: Final = 100
_TRACE: Final = re.compile(r"[0-9A-Za-z:-][0-9A-Za-z._:-]{0,63}")
_AGO: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True)
class Story:
    """`trace`: the events are of one message, oldest first; else newest first. `waits`: what of it is in the queue now."""

    events: Sequence[Event]
    waits: Sequence[QueuedRecipient] = ()
    trace: str = ""
    more: bool = False
    """There are more than were asked for."""


def since_when(text: str, now: int) -> int:
    """Unix seconds of `2h`, `3d`, `2026-11-23` or `2026-11-23 14:30` (in the zone of this machine). Raises AdminError."""
    if match := _AGO.fullmatch(text.strip()):
        return max(0, now - int(match[1]) * _UNITS_S[match[2]])
    try:
        return max(0, int(dt.datetime.fromisoformat(text.strip()).astimezone().timestamp()))
    except (ValueError, OverflowError, OSError):
        raise AdminError(f'"{text}" is no time: write 30m, 2h, 3d, 2026-11-23 or "2026-11-23 14:30"') from None


async def told(store: Store, about: str, kind: str, since: int, limit: int) -> Story:
    """`about`: a trace id, an address, a domain, or "" for everything. Raises AdminError, StoreError."""
    about = about.strip()
    if about.startswith("<") and about.endswith(">"):
        about = about[1:-1]
    if about and "@" not in about and _TRACE.fullmatch(about):
        found = await _message(store, about, kind, since, limit)
        if found.events or found.waits or "." not in about:
            return found
    where = EventFilter(kind=kind, since=since)
    if "@" in about:
        address = parse_address(about).key
        where = EventFilter(name=address, account_id=await _account(store, address), kind=kind, since=since)
    elif about:
        where = EventFilter(name=parse_domain(about), kind=kind, since=since)
    events = await store.events_about(where, limit + 1)
    return Story(events[:limit], more=len(events) > limit)


async def _message(store: Store, trace: str, kind: str, since: int, limit: int) -> Story:
    """All of one trace, and what somebody decided of the incident that holds it."""
    trace_id = TraceId(trace)
    events = await store.events_about(EventFilter(trace_id=trace_id, kind=kind, since=since), limit + 1)
    more = len(events) > limit
    events = events[:limit]
    incidents = {one.detail.get("incident") for one in events if one.kind == "message.held"}
    if incidents:
        oldest = min(one.at for one in events)
        decided = await store.events_about(EventFilter(kind="hold.", since=max(oldest, since)), LIST_MOST)
        events += [one for one in decided if one.detail.get("incident") in incidents and one.kind.startswith(kind)]
    waits = await store.queued(WAITS_MOST, None, QueueFilter(trace_id=trace_id))
    events.reverse()
    return Story(sorted(events, key=lambda one: one.at), waits, trace, more)


async def _account(store: Store, address: str) -> AccountId | None:
    try:
        return (await store.account(address)).id
    except NotFoundError:
        return None
