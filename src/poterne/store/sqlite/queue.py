"""The outgoing queue's rows."""

from collections.abc import Sequence
from typing import Final

from poterne.store.interface import NewQueued
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.directory import QueuedRecipient, QueueState
from poterne.values.ids import AccountId, BlobId, QueueId, TraceId

_INSERT: Final = (
    "INSERT INTO queue_recipient (account_id, trace_id, reverse_path, forward_path, segment, blob_offset, blob_size, state,"
    " due_at, queued_at, eight_bit, smtputf8) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_COLUMNS: Final = (
    "SELECT queue_id, account_id, trace_id, reverse_path, forward_path, segment, blob_offset, blob_size, state, attempts,"
    " due_at, queued_at, last_reply, eight_bit, smtputf8 FROM queue_recipient"
)


def enqueue(tx: Tx, recipients: Sequence[NewQueued]) -> None:
    """Add one row per recipient, waiting until `due_at`."""
    for new in recipients:
        blob = new.blob
        tx.run(
            _INSERT,
            (
                new.account_id,
                new.trace_id,
                new.reverse_path,
                new.forward_path,
                blob.segment,
                blob.offset,
                blob.size,
                QueueState.WAITING.value,
                new.due_at,
                tx.now,
                int(new.eight_bit),
                int(new.smtputf8),
            ),
        )


def queued(rows: Rows, limit: int, after: QueueId | None) -> list[QueuedRecipient]:
    """By id, so that `after` continues a page."""
    found = rows.all(f"{_COLUMNS} WHERE queue_id > ? ORDER BY queue_id LIMIT ?", (after or 0, limit))
    return [_recipient(row) for row in found]


def depth(rows: Rows) -> int:
    count: int = rows.all("SELECT count(*) FROM queue_recipient")[0][0]
    return count


def _recipient(row: Row) -> QueuedRecipient:
    (queue_id, account_id, trace_id, reverse_path, forward_path, segment, offset, size, state, *rest) = row
    attempts, due_at, queued_at, last_reply, eight_bit, smtputf8 = rest
    return QueuedRecipient(
        id=QueueId(queue_id),
        account_id=AccountId(account_id),
        trace_id=TraceId(trace_id),
        reverse_path=reverse_path,
        forward_path=forward_path,
        blob=BlobId(segment, offset, size),
        state=QueueState(state),
        attempts=attempts,
        due_at=due_at,
        queued_at=queued_at,
        last_reply=last_reply,
        eight_bit=bool(eight_bit),
        smtputf8=bool(smtputf8),
    )
