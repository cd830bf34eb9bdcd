"""The outgoing queue's rows: messages, and the recipients that each must still reach.

A message goes with its last recipient, in the same transaction: what is in `queue_message` is named, so that its bytes are
never compacted away, and what is not is nobody's.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import apsw

from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.ids import AccountId, BlobId, IncidentId, QueueId, QueueMessageId, TraceId
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import NewQueued, QueuedMessage, QueuedRecipient, QueueState

WAITING: Final = QueueState.WAITING.value
HELD: Final = QueueState.HELD.value

_MESSAGE: Final = (
    "INSERT INTO queue_message (origin_kind, origin_name, account_id, trace_id, reverse_path, segment, blob_offset, blob_size,"
    " start, queued_at, eight_bit, smtputf8, requiretls, ret, envid, tls_optional, incident_id, recipients)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_RECIPIENT: Final = (
    "INSERT INTO queue_recipient (message_id, origin, domain, forward_path, notify, orcpt, state, due_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_COLUMNS: Final = (
    "SELECT r.queue_id, r.forward_path, r.domain, r.notify, r.orcpt, r.state, r.attempts, r.due_at, r.last_reply, r.delay_told,"
    " m.message_id, m.origin_kind, m.origin_name, m.account_id, m.trace_id, m.reverse_path, m.segment, m.blob_offset,"
    " m.blob_size, m.start, m.queued_at, m.eight_bit, m.smtputf8, m.requiretls, m.ret, m.envid, m.incident_id,"
    " m.tls_optional"
)
_JOINED: Final = f"{_COLUMNS} FROM queue_recipient r CROSS JOIN queue_message m ON m.message_id = r.message_id"
_BY_ID: Final = f"{_JOINED} WHERE r.queue_id IN carray(?) ORDER BY r.queue_id"
_PAGE: Final = f"{_JOINED} WHERE r.queue_id > ? ORDER BY r.queue_id LIMIT ?"
_HELD: Final = (
    f"{_COLUMNS} FROM queue_message m INDEXED BY queue_message_incident CROSS JOIN queue_recipient r"
    " ON r.message_id = m.message_id WHERE m.incident_id = ? AND (m.message_id, r.queue_id) > (?, ?)"
    " ORDER BY m.message_id, r.queue_id LIMIT ?"
)
_FORGET_ONE: Final = "DELETE FROM queue_recipient WHERE queue_id = ? RETURNING message_id"
_FORGET_MANY: Final = "DELETE FROM queue_recipient WHERE queue_id IN carray(?) RETURNING message_id"
_FEWER: Final = (
    "UPDATE queue_message SET recipients = recipients - ? WHERE message_id = ? RETURNING recipients, incident_id"
)
_LESS_HELD: Final = (
    "UPDATE incident SET messages = messages - ?, recipients = recipients - ? WHERE incident_id = ? AND state = 'open'"
)


def ids(numbers: Iterable[int]) -> "apsw.CArrayBinding":
    """For `IN carray(?)`; at least one."""
    return apsw.carray(array("q", numbers))


def enqueue(tx: Tx, messages: Sequence[NewQueued], incident: IncidentId | None = None) -> None:
    """Add them with their recipients: waiting until `due_at`, or held in an incident."""
    state = WAITING if incident is None else HELD
    for new in messages:
        recipients = new.recipients
        if not recipients:
            continue  # with nobody to go with, its row would stay for ever
        origin, blob = new.origin, new.blob
        tx.run(
            _MESSAGE,
            (
                origin.kind.value,
                origin.name,
                origin.account_id,
                new.trace_id,
                new.reverse_path,
                blob.segment,
                blob.offset,
                blob.size,
                new.start,
                tx.now,
                int(new.eight_bit),
                int(new.smtputf8),
                int(new.requiretls),
                new.ret,
                new.envid,
                int(new.tls_optional),
                incident,
                len(recipients),
            ),
        )
        message_id, key, due_at = tx.connection.last_insert_rowid(), origin.key, new.due_at
        rows = [(message_id, key, to.domain, to.forward_path, to.notify, to.orcpt, state, due_at) for to in recipients]
        if len(rows) == 1:
            tx.run(_RECIPIENT, rows[0])
        else:
            tx.run_many(_RECIPIENT, rows)


def forget(tx: Tx, gone: Sequence[int]) -> int:
    """These recipients are done with, and messages that have no other; gives how many there were."""
    if not gone:
        return 0
    sql, args = (_FORGET_ONE, (gone[0],)) if len(gone) == 1 else (_FORGET_MANY, (ids(gone),))
    found = Counter(message_id for (message_id,) in tx.all(sql, args))
    for message_id, count in found.items():
        row = tx.one(_FEWER, (count, message_id))
        if row is None:
            continue
        left, incident = row
        if left <= 0:
            tx.run("DELETE FROM queue_message WHERE message_id = ?", (message_id,))
        if incident is not None:
            tx.run(_LESS_HELD, (int(left <= 0), count, incident))
    return found.total()


def by_ids(rows: Rows, wanted: Sequence[int]) -> list[QueuedRecipient]:
    """By id; those that are gone are passed over."""
    return _recipients(rows.all(_BY_ID, (ids(wanted),))) if wanted else []


def queued(rows: Rows, limit: int, after: int) -> list[QueuedRecipient]:
    """All that comes after this id, by id."""
    return _recipients(rows.all(_PAGE, (after, limit)))


def held(rows: Rows, incident: IncidentId, limit: int, after: QueueId | None) -> list[QueuedRecipient]:
    """What waits in an incident. By message and recipient, which is by id: a message's recipients are added at once."""
    place = (0, 0)
    if after is not None:
        row = rows.one("SELECT message_id FROM queue_recipient WHERE queue_id = ?", (after,))
        if row is None:  # gone meanwhile: go on with the next that is there
            row = rows.one(
                "SELECT max(m.message_id) FROM queue_message m INDEXED BY queue_message_incident CROSS JOIN queue_recipient r"
                " ON r.message_id = m.message_id WHERE m.incident_id = ? AND r.queue_id <= ?",
                (incident, after),
            )
        place = ((row and row[0]) or 0, after)
    return _recipients(rows.all(_HELD, (incident, *place, limit)))


def last_id(rows: Rows) -> int:
    """The highest id, 0 when there is none."""
    number: int = rows.all("SELECT coalesce(max(queue_id), 0) FROM queue_recipient")[0][0]
    return number


def depth(rows: Rows) -> int:
    """How many recipients wait, in whatever state."""
    count: int = rows.all("SELECT count(*) FROM queue_recipient")[0][0]
    return count


def _recipients(found: list[Row]) -> list[QueuedRecipient]:
    """Recipients of one message share its value."""
    messages: dict[int, QueuedMessage] = {}
    made: list[QueuedRecipient] = []
    for queue_id, forward_path, domain, notify, orcpt, state, attempts, due_at, reply, delay_told, *rest in found:
        message = messages.get(rest[0])
        if message is None:
            message = messages[rest[0]] = _message(rest)
        made.append(
            QueuedRecipient(
                id=QueueId(queue_id),
                message=message,
                forward_path=forward_path,
                domain=domain,
                notify=notify,
                orcpt=orcpt,
                state=QueueState(state),
                attempts=attempts,
                due_at=due_at,
                last_reply=reply,
                delay_told=bool(delay_told),
            )
        )
    return made


def _message(row: Sequence[Any]) -> QueuedMessage:
    message_id, kind, name, account_id, trace_id, reverse_path, segment, offset, size, start, queued_at, *rest = row
    eight_bit, smtputf8, requiretls, ret, envid, incident_id, tls_optional = rest
    return QueuedMessage(
        id=QueueMessageId(message_id),
        origin=Origin(OriginKind(kind), name, None if account_id is None else AccountId(account_id)),
        trace_id=TraceId(trace_id),
        reverse_path=reverse_path,
        blob=BlobId(segment, offset, size),
        start=start,
        queued_at=queued_at,
        eight_bit=bool(eight_bit),
        smtputf8=bool(smtputf8),
        requiretls=bool(requiretls),
        ret=ret,
        envid=envid,
        incident_id=None if incident_id is None else IncidentId(incident_id),
        tls_optional=bool(tls_optional),
    )
