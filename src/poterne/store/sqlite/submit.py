"""Taking the mail of an origin with limits: judged, counted and kept in one transaction, so that no two get the last place."""

from dataclasses import replace

from poterne.store.errors import LimitError
from poterne.store.interface import HELD_MOST, Submission
from poterne.store.sqlite import delivery, events, incidents, queue, usage
from poterne.store.sqlite.transaction import Tx
from poterne.values.ids import IncidentId
from poterne.values.sending import HoldReason, Submitted

_WENT = Submitted()


def submit(tx: Tx, submission: Submission) -> Submitted:
    """It goes its way, or is held whole."""
    incident = incidents.open_of(tx, submission.charge.origin.key)
    if incident is not None:
        return _hold(tx, submission, HoldReason.OPEN_INCIDENT, *incident)
    reason = usage.judged(tx, submission.charge)
    if reason is not None:
        return _hold(tx, submission, reason, None, 0)
    delivery.deliver(tx, submission.deliveries, submission.queue, (submission.event,))
    return _WENT


def _hold(
    tx: Tx, submission: Submission, reason: HoldReason, incident: IncidentId | None, recipients: int
) -> Submitted:
    held, event = submission.held, submission.event
    if recipients + len(held.recipients) > HELD_MOST:
        raise LimitError(f"{submission.charge.origin.key} has {recipients} recipients held already")
    tx.require(held.blob)
    first = incident is None
    if incident is None:
        incident = incidents.begin(tx, submission.charge.origin, reason, submission.charge.at)
    queue.enqueue(tx, (held,), incident)
    incidents.add(tx, incident, len(held.recipients))
    detail = {**event.detail, "incident": incident}
    events.record(tx, (replace(event, kind="message.held", reason=reason.value, detail=detail),))
    return Submitted(incident, reason, first)
