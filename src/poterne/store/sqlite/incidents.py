"""What is held of one origin, released or purged as one.

Closing decides at once: the incident is closed, its origin's mail goes again, and the event is written. What it holds follows
in steps that are short enough for the writers' lock. When that is interrupted, the same call again, or upkeep, goes on.
"""

from typing import Final

from poterne.store.errors import ConflictError, NotFoundError
from poterne.store.sqlite import events, queue, usage
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.address import Address, AddressError
from poterne.values.event import Event
from poterne.values.ids import AccountId, IncidentId
from poterne.values.origin import Origin, OriginKind
from poterne.values.sending import HoldReason, Incident, IncidentState

_STEP: Final = 500
"""Recipients."""

_COLUMNS: Final = (
    "SELECT incident_id, origin_kind, origin_name, account_id, reason, opened_at, state, closed_at, messages, recipients"
    " FROM incident"
)
_OPEN: Final = (
    "SELECT incident_id, recipients FROM incident INDEXED BY incident_open WHERE origin = ? AND state = 'open'"
)
_BEGIN: Final = (
    "INSERT INTO incident (origin, origin_kind, origin_name, account_id, reason, opened_at, state)"
    " VALUES (?, ?, ?, ?, ?, ?, 'open')"
)
_ADD: Final = "UPDATE incident SET messages = messages + 1, recipients = recipients + ? WHERE incident_id = ?"
_CLOSE: Final = "UPDATE incident SET state = ?, closed_at = ? WHERE incident_id = ?"
_SOME: Final = (
    "SELECT message_id, recipients FROM queue_message INDEXED BY queue_message_incident WHERE incident_id = ?"
    " ORDER BY message_id LIMIT ?"
)
_UNFINISHED: Final = (
    "SELECT incident_id, state FROM incident WHERE state != 'open' AND incident_id IN"
    " (SELECT DISTINCT incident_id FROM queue_message INDEXED BY queue_message_incident WHERE incident_id IS NOT NULL)"
)


def open_of(tx: Tx, key: str) -> tuple[IncidentId, int] | None:
    """The open incident of this origin, and how many recipients it holds."""
    row = tx.one(_OPEN, (key,))
    return None if row is None else (IncidentId(row[0]), row[1])


def begin(tx: Tx, origin: Origin, reason: HoldReason, at: int) -> IncidentId:
    tx.run(_BEGIN, (origin.key, origin.kind.value, origin.name, origin.account_id, reason.value, at))
    return IncidentId(tx.connection.last_insert_rowid())


def add(tx: Tx, incident: IncidentId, recipients: int) -> None:
    """One message more is held."""
    tx.run(_ADD, (recipients, incident))


def incidents(rows: Rows, limit: int, *, open_only: bool) -> list[Incident]:
    """Newest first."""
    where = "INDEXED BY incident_open WHERE state = 'open'" if open_only else ""
    return [_incident(row) for row in rows.all(f"{_COLUMNS} {where} ORDER BY incident_id DESC LIMIT ?", (limit,))]


def incident(rows: Rows, incident_id: IncidentId) -> Incident:
    row = rows.one(f"{_COLUMNS} WHERE incident_id = ?", (incident_id,))
    if row is None:
        raise NotFoundError("no such incident")
    return _incident(row)


def close(tx: Tx, incident_id: IncidentId, state: IncidentState, event: Event) -> Incident:
    """Decide. Then `step` until it says that nothing is left."""
    found = incident(tx, incident_id)
    if state is IncidentState.OPEN:
        raise ConflictError("an incident is released or purged")
    if found.state is IncidentState.OPEN:
        tx.run(_CLOSE, (state.value, event.at, incident_id))
        if state is IncidentState.RELEASED:
            usage.begin_anew(tx, found.origin.key)
        events.record(tx, (event,))
        return incident(tx, incident_id)
    if found.state is not state or not tx.all(_SOME, (incident_id, 1)):
        raise ConflictError(f"the incident is {found.state.value} already")
    return found


def step(tx: Tx, incident_id: IncidentId, state: IncidentState) -> bool:
    """Do a part of what was decided; False: all is done."""
    found = incident(tx, incident_id)
    messages, recipients = [], 0
    for message_id, count in tx.all(_SOME, (incident_id, _STEP)):
        messages.append(message_id)
        recipients += count
        if recipients >= _STEP:
            break
    if not messages:
        return state is IncidentState.RELEASED and usage.forget_repeats(tx, found.origin.key, _STEP) > 0
    if state is IncidentState.RELEASED:
        _release(tx, found.origin, messages)
    else:
        tx.run("DELETE FROM queue_recipient WHERE message_id IN carray(?)", (queue.ids(messages),))
        tx.run("DELETE FROM queue_message WHERE message_id IN carray(?)", (queue.ids(messages),))
    return True


def unfinished(rows: Rows) -> list[tuple[IncidentId, IncidentState]]:
    """Closed incidents that still hold something: their closing was interrupted. Reads all that is held: not under the lock."""
    return [(IncidentId(incident_id), IncidentState(state)) for incident_id, state in rows.all(_UNFINISHED)]


def _release(tx: Tx, origin: Origin, messages: list[int]) -> None:
    """Its recipients wait, due at once, and are no first-time recipients any more: somebody has approved of them."""
    if origin.kind is OriginKind.ACCOUNT and origin.account_id is not None:
        paths = tx.all("SELECT forward_path FROM queue_recipient WHERE message_id IN carray(?)", (queue.ids(messages),))
        usage.know(tx, origin.account_id, {_key(path) for (path,) in paths}, tx.now)
    tx.run(
        "UPDATE queue_recipient SET state = 'waiting', due_at = ? WHERE state = 'held' AND message_id IN carray(?)",
        (tx.now, queue.ids(messages)),
    )
    tx.run("UPDATE queue_message SET incident_id = NULL WHERE message_id IN carray(?)", (queue.ids(messages),))


def _key(forward_path: str) -> str:
    try:
        return Address.parse(forward_path).key
    except AddressError:
        return forward_path.lower()


def _incident(row: Row) -> Incident:
    incident_id, kind, name, account_id, reason, opened_at, state, closed_at, messages, recipients = row
    return Incident(
        id=IncidentId(incident_id),
        origin=Origin(OriginKind(kind), name, None if account_id is None else AccountId(account_id)),
        reason=HoldReason(reason),
        opened_at=opened_at,
        state=IncidentState(state),
        closed_at=closed_at,
        messages=messages,
        recipients=recipients,
    )
