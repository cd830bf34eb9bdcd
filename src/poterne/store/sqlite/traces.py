"""Traces that are old enough to go: events, closed incidents, ranges of expunged UIDs. In short steps, found outside the lock."""

from array import array
from collections.abc import Iterator, Sequence
from typing import Final

import apsw

from poterne.store.sqlite import events
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.retention import TraceKind, TracesBefore

STEP_ROWS: Final = 500
_PAGE: Final = 5_000
_SLACK: Final = 2
"""Ranges are pruned when there are so many times as many as are kept, so that it is not each time."""

KINDS: Final = {
    TraceKind.AUTH: ("auth.", "sign-in."),
    TraceKind.CHANGE: ("account.", "alias.", "dkim.", "domain.", "quota.", "retention.", "sender."),
}
"""What the kinds of these sorts of events begin with; all others are TraceKind.TRACE."""


def _like(kind: TraceKind) -> str:
    return " OR ".join(f"kind GLOB '{start}*'" for start in KINDS[kind])


_OLD: Final = (
    "SELECT event_id FROM event WHERE event_id > ? AND event_id <= ? AND at < CASE"  # noqa: S608  # words of ours
    f" WHEN {_like(TraceKind.AUTH)} THEN ? WHEN {_like(TraceKind.CHANGE)} THEN ? ELSE ? END"
)
_NEXT: Final = (
    "SELECT max(event_id), min(at) FROM (SELECT event_id, at FROM event WHERE event_id > ? ORDER BY event_id LIMIT ?)"
)
_INCIDENTS: Final = (
    "DELETE FROM incident WHERE incident_id IN (SELECT incident_id FROM incident i WHERE state != 'open' AND closed_at < ?"
    " AND NOT EXISTS (SELECT 1 FROM queue_message m WHERE m.incident_id = i.incident_id) LIMIT ?)"
)


def old_events(rows: Rows, before: TracesBefore) -> Iterator[list[int]]:
    """Ids in steps. Walks from the oldest on, until a page has none that could be old: ids grow with time."""
    newest = max(before.auth, before.change, before.trace)
    after = 0
    while True:
        last, oldest_at = rows.all(_NEXT, (after, _PAGE))[0]
        if last is None or oldest_at >= newest:
            return
        found = [number for (number,) in rows.all(_OLD, (after, last, before.auth, before.change, before.trace))]
        for start in range(0, len(found), STEP_ROWS):
            yield found[start : start + STEP_ROWS]
        after = last


def delete_events(tx: Tx, ids: Sequence[int]) -> int:
    events.forget_names(tx, ids)
    return tx.count("DELETE FROM event WHERE event_id IN carray(?)", (apsw.carray(array("q", ids)),))


def delete_incidents(tx: Tx, before: int) -> int:
    """A step."""
    return tx.count(_INCIDENTS, (before, STEP_ROWS))


def long_logs(rows: Rows, keep: int) -> list[Row]:
    """Account and mailbox with many more ranges of expunged UIDs than are kept."""
    return rows.all(
        "SELECT account_id, mailbox_id FROM expunged GROUP BY account_id, mailbox_id HAVING count(*) > ?",
        (_SLACK * keep,),
    )


def delete_expunged(tx: Tx, account_id: int, mailbox_id: int, keep: int) -> int:
    """A step towards the newest `keep` ranges. From now on who knows less than what is kept is told of all that is not there."""
    where = "account_id = ? AND mailbox_id = ?"
    here = (account_id, mailbox_id)
    beyond = tx.one(
        f"SELECT modseq FROM expunged WHERE {where} ORDER BY modseq DESC, first_uid DESC LIMIT 1 OFFSET ?",  # noqa: S608
        (*here, keep),
    )
    if beyond is None:
        return 0
    tx.run(f"UPDATE mailbox SET expunged_floor = max(expunged_floor, ?) WHERE {where}", (beyond[0], *here))  # noqa: S608
    return tx.count(
        "DELETE FROM expunged WHERE (account_id, mailbox_id, modseq, first_uid) IN (SELECT account_id, mailbox_id, modseq,"  # noqa: S608
        f" first_uid FROM expunged WHERE {where} AND modseq <= ? ORDER BY modseq LIMIT ?)",
        (*here, beyond[0], STEP_ROWS),
    )
