"""Which recipients of the queue are meant, found in pieces that are short enough for the event loop.

Theory of operation. Of what the filter gives, the most telling is looked up in its index. Up to `_FEW` entries: these are
sorted and asked the rest, and that is all there is. More: then it is so common that going through the recipients by id, a
piece of `_PIECE` at a time, finds them soon enough; the caller breathes between two pieces. Nothing is changed here: who
changes what was found asks again, in the transaction, whether it still may.
"""

from dataclasses import dataclass
from typing import Final

from poterne.store.interface import QueueFilter
from poterne.store.sqlite import queue
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.origin import OriginKind
from poterne.values.queue import QueueChange

NULL_PATH: Final = "<>"
"""As a sender: the null reverse-path."""

_FEW: Final = 2_000
_PIECE: Final = 10_000
_STATES: Final = "r.state IN ('waiting', 'leased', 'held')"
_OF_MESSAGE: Final = "queue_message m CROSS JOIN queue_recipient r ON r.message_id = m.message_id"

_CHANGES: Final = {
    QueueChange.RETRY: "UPDATE queue_recipient SET due_at = min(due_at, ?1) WHERE queue_id IN carray(?2) AND state = 'waiting'",
    QueueChange.HOLD: (
        "UPDATE queue_recipient SET state = 'held', due_at = ?1 WHERE queue_id IN carray(?2) AND state IN ('waiting', 'leased')"
    ),
    QueueChange.RELEASE: (
        "UPDATE queue_recipient SET state = 'waiting', due_at = ?1 WHERE queue_id IN carray(?2) AND state = 'held'"
        " AND (SELECT m.incident_id IS NULL FROM queue_message m WHERE m.message_id = queue_recipient.message_id)"
    ),
}


@dataclass(frozen=True, slots=True)
class _Condition:
    """One thing that the filter asks. `source`: where its index finds few or many of them; r is the recipient, m its message."""

    sql: str
    args: Row
    source: str


def page(rows: Rows, where: QueueFilter, after: int, limit: int) -> tuple[list[int], int | None]:
    """Ids that fit, by id, at most `limit`; and the id to go on after, None when that was all. May find none and go on."""
    asked = _conditions(where)
    for condition in asked:
        found = rows.all(
            f"SELECT r.queue_id FROM {condition.source} WHERE {condition.sql} LIMIT ?",  # noqa: S608  # words of ours
            (*condition.args, _FEW + 1),
        )
        if len(found) <= _FEW:
            few = sorted(queue_id for (queue_id,) in found if queue_id > after)
            ids = _fitting(rows, asked, few, limit)
            return ids, ids[-1] if len(ids) == limit else None
    return _piece(rows, asked, after, limit)


def change(tx: Tx, what: QueueChange, wanted: list[int], now: int) -> int:
    """Do this to those of them that still may; gives how many."""
    if what is QueueChange.REMOVE:
        return queue.forget(tx, wanted)
    return tx.count(_CHANGES[what], (now, queue.ids(wanted)))


def _conditions(where: QueueFilter) -> list[_Condition]:
    """The most telling first."""
    asked: list[_Condition] = []
    if where.id is not None:
        asked.append(_Condition("r.queue_id = ?", (where.id,), "queue_recipient r"))
    if where.trace_id is not None:
        asked.append(_Condition("m.trace_id = ?", (where.trace_id,), _OF_MESSAGE))
    if where.recipient:
        asked.append(_Condition("r.forward_path = ? COLLATE NOCASE", (where.recipient,), "queue_recipient r"))
    if where.sender:
        path = "" if where.sender == NULL_PATH else where.sender
        asked.append(_Condition("m.reverse_path = ? COLLATE NOCASE", (path,), _OF_MESSAGE))
    if where.origin:
        keys = (where.origin, *(f"{kind.value}:{where.origin}" for kind in OriginKind))
        marks = ", ".join("?" * len(keys))
        sql = f"{_STATES} AND r.origin IN ({marks})"  # all states, for the index
        asked.append(_Condition(sql, keys, "queue_recipient r INDEXED BY queue_due"))
    if where.domain:
        asked.append(_Condition("r.domain = ?", (where.domain.lower(),), "queue_recipient r INDEXED BY queue_domain"))
    if where.state is not None:
        asked.append(_Condition("r.state = ?", (where.state.value,), "queue_recipient r INDEXED BY queue_next"))
    return asked


def _fitting(rows: Rows, asked: list[_Condition], few: list[int], limit: int) -> list[int]:
    if not few:
        return []
    sql, args = _joined(asked)
    found = rows.all(
        "SELECT r.queue_id FROM queue_recipient r CROSS JOIN queue_message m ON m.message_id = r.message_id"  # noqa: S608
        f" WHERE r.queue_id IN carray(?){sql} ORDER BY r.queue_id LIMIT ?",
        (queue.ids(few), *args, limit),
    )
    return [queue_id for (queue_id,) in found]


def _piece(rows: Rows, asked: list[_Condition], after: int, limit: int) -> tuple[list[int], int | None]:
    end = rows.one(
        "SELECT queue_id FROM queue_recipient WHERE queue_id > ? ORDER BY queue_id LIMIT 1 OFFSET ?",
        (after, _PIECE - 1),
    )
    last = 2**62 if end is None else int(end[0])
    sql, args = _joined(asked)
    join = " CROSS JOIN queue_message m ON m.message_id = r.message_id" if "m." in sql else ""
    found = rows.all(
        f"SELECT r.queue_id FROM queue_recipient r NOT INDEXED{join}"  # noqa: S608  # words of ours
        f" WHERE r.queue_id > ? AND r.queue_id <= ?{sql} ORDER BY r.queue_id LIMIT ?",
        (after, last, *args, limit),
    )
    ids = [queue_id for (queue_id,) in found]
    if len(ids) == limit:
        return ids, ids[-1]
    return ids, None if end is None else last


def _joined(asked: list[_Condition]) -> tuple[str, Row]:
    return (
        "".join(f" AND {condition.sql}" for condition in asked),
        tuple(arg for condition in asked for arg in condition.args),
    )
