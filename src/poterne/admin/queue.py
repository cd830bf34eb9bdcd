"""Mail that waits and mail that is held: what an administrator sees, and does with it.

Each operation checks what a person typed, works through the store with its event, and raises AdminError with a text that says
what to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from poterne.admin.people import Acting, AdminError, parse_address, parse_domain
from poterne.queue.outcome import Hop, Permanent, Transient
from poterne.queue.route import Router
from poterne.queue.routes import LOCAL
from poterne.store.errors import ConflictError, NotFoundError
from poterne.store.interface import QueueFilter, Store
from poterne.values.directory import RouteKind
from poterne.values.ids import IncidentId, QueueId, TraceId
from poterne.values.queue import PauseKind, QueueChange, QueuedRecipient, QueueState
from poterne.values.sending import Incident, IncidentState

LIST_MOST: Final = 10_000
_STATES: Final = {state.value: state for state in QueueState}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which recipients, as a person says it; what is empty does not matter."""

    id: int = 0
    to: str = ""
    """An address, or `@domain`."""
    sender: str = ""
    """An address; `<>` is the null sender."""
    domain: str = ""
    """Of the recipient."""
    origin: str = ""
    """Such as `account:ann@example.org`, or only what stands behind the colon."""
    state: str = ""
    trace: str = ""

    @property
    def everything(self) -> bool:
        """Nothing was said: all of the queue."""
        return self == Wanted()

    def said(self) -> dict[str, str | int | None]:
        """For the journal."""
        return {
            "id": self.id or None,
            "to": self.to,
            "sender": self.sender,
            "domain": self.domain,
            "origin": self.origin,
            "state": self.state,
        }


def filter_of(wanted: Wanted, state: QueueState | None = None) -> QueueFilter:
    """The store's words for it; `state` in place of the one that was said."""
    domain = wanted.domain
    to = wanted.to.strip()
    # What a script leaves of `--to "@$domain"` must not stand for all of the queue.
    if to == "@" or (wanted.to and not to):
        raise AdminError(f'"{wanted.to}" is no recipient: write name@example.org, or @example.org for all of a domain')
    if wanted.sender and not wanted.sender.strip():
        raise AdminError(f'"{wanted.sender}" is no sender: write name@example.org, or <> for notices')
    if to[:1] == "@":
        if domain and domain != to[1:]:
            raise AdminError("two different domains: nothing can be for both")
        domain, to = to[1:], ""
    if domain[:1] != "[":
        domain = parse_domain(domain) if domain else ""
    sender = wanted.sender.strip()
    if sender and sender != "<>":
        sender = str(parse_address(sender))
    if wanted.state and wanted.state not in _STATES:
        raise AdminError(f'there is no state "{wanted.state}": choose one of {", ".join(_STATES)}')
    if wanted.id < 0:
        raise AdminError("an id is a positive number (poterne queue list)")
    return QueueFilter(
        id=QueueId(wanted.id) if wanted.id else None,
        trace_id=TraceId(wanted.trace) if wanted.trace else None,
        origin=wanted.origin,
        domain=domain,
        recipient=str(parse_address(to)) if to else "",
        sender=sender,
        state=state or (_STATES[wanted.state] if wanted.state else None),
    )


async def listed(store: Store, wanted: Wanted, limit: int = 1000) -> list[QueuedRecipient]:
    """What waits, oldest first."""
    where = filter_of(wanted)
    found: list[QueuedRecipient] = []
    limit = min(limit, LIST_MOST)
    while len(found) < limit:
        page = await store.queued(min(1000, limit - len(found)), found[-1].id if found else None, where)
        found += page
        if not page:
            break
    return found


async def shown(store: Store, number: int) -> QueuedRecipient:
    """One recipient, by its id."""
    found = await store.queued(1, None, QueueFilter(id=QueueId(number)))
    if not found:
        raise AdminError(
            f"nothing waits under the id {number}: it was delivered, given up or removed (poterne queue list)"
        )
    return found[0]


async def change(store: Store, wanted: Wanted, what: QueueChange, acting: Acting) -> int:
    """Do it to all that fit; gives how many recipients that were."""
    where = filter_of(wanted)
    event = acting.event(f"queue.{what.value}", **{key: value for key, value in wanted.said().items() if value})
    return await store.change_queue(where, what, acting.now, event)


# -- incidents ---------------------------------------------------------------------------------------------------------


async def incidents(store: Store, *, open_only: bool = True) -> list[Incident]:
    """What is held because a limit was passed, newest first."""
    return await store.incidents(open_only=open_only)


async def held(store: Store, number: int, limit: int = 1000) -> tuple[Incident, list[QueuedRecipient]]:
    """An incident, and what waits in it."""
    incident = await _incident(store, number)
    return incident, await store.held(incident.id, min(limit, LIST_MOST))


async def close(store: Store, number: int, state: IncidentState, acting: Acting) -> Incident:
    """Release all of it, or purge it; gives the incident as it is now."""
    incident = await _incident(store, number)
    word = "released" if state is IncidentState.RELEASED else "purged"
    event = acting.event(f"hold.{word}", incident=number, origin=incident.origin.key, recipients=incident.recipients)
    try:
        return await store.close_incident(incident.id, state, event)
    except ConflictError:
        raise AdminError(f"incident {number} is {incident.state.value} already") from None


async def _incident(store: Store, number: int) -> Incident:
    try:
        return await store.incident(IncidentId(number))
    except NotFoundError:
        raise AdminError(f"there is no incident {number} (poterne hold list --all)") from None


# -- routing -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Routed:
    """How mail for an address would go. `refusal` None: to one of `hops`, or, without any, to a mailbox here."""

    steps: Sequence[tuple[str, str]]
    destination: str
    hops: tuple[Hop, ...]
    refusal: Transient | Permanent | None = None


async def route_test(store: Store, router: Router, text: str, now: int) -> Routed:
    """Look where mail for an address would go, step by step; nothing is sent, no server is connected to."""
    address = parse_address(text)
    steps: list[tuple[str, str]] = [("address", f"{address}, domain {address.domain}")]
    if address.domain in {domain.name for domain in await store.domains()}:
        route = await store.route(address.local_part, address.domain)
        if route.kind is not RouteKind.ACCOUNTS:
            steps.append(("local", "the domain is served here, and has no such address"))
            return Routed(steps, LOCAL, (), Permanent("There is no such mailbox here", 550, "5.1.1", local=True))
        forwards = ", ".join(forward.address for forward in route.forwards) or "none"
        steps.append(("local", f"mailboxes: {len(route.accounts)}, forwards: {forwards}"))
        return Routed(steps, LOCAL, ())
    steps.append(("local", "no: the domain is not served here"))
    found = await router.ways(address.domain, note=lambda what, said: steps.append((what, said)))
    if isinstance(found, tuple) and not any(what == "route" and said[:1] == "[" for what, said in steps):
        known = {what for what, _ in steps}
        steps += [(what, "nothing in force") for what in ("mta-sts", "dane") if what not in known]
    for pause in await store.pauses(now):
        if pause.kind is PauseKind.ALL or (pause.kind is PauseKind.DOMAIN and pause.name == address.domain):
            steps.append(("paused", f"{pause}: nothing is tried until that ends (poterne queue pauses)"))
    destination = router.destination(address.domain)
    if isinstance(found, tuple):
        return Routed(steps, destination, found)
    return Routed(steps, destination, (), found)
