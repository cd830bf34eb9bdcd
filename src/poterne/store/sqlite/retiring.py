"""Messages that have become old: found, and removed in steps that are short enough for the writers' lock."""

from array import array
from collections.abc import Sequence
from typing import Final

import apsw

from poterne.store.sqlite import events, expunging, holds
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.event import Event
from poterne.values.ids import AccountId, MailboxId, Uid
from poterne.values.mailbox import UidRange
from poterne.values.retention import Aged, AgeFrom, Found

STEP_ROWS: Final = 500

_AGES: Final = {AgeFrom.SAVED: "saved_at", AgeFrom.RECEIVED: "min(internal_at, saved_at)", AgeFrom.FETCHED: "f.at"}
_MESSAGES: Final = "message WHERE account_id = ? AND mailbox_id = ?"
_FETCHED: Final = (
    "fetched f CROSS JOIN message m USING (account_id, mailbox_id, uid) WHERE f.account_id = ? AND f.mailbox_id = ?"
)


def found(rows: Rows, questions: Sequence[Aged]) -> list[Found]:
    """How many there are. Reads all messages of these mailboxes: not under the lock."""
    return [_found(rows, question) for question in questions]


def _found(rows: Rows, aged: Aged) -> Found:
    age = _AGES[aged.age_from]
    size = "size" if aged.age_from is not AgeFrom.FETCHED else "m.size"
    counted: Row = rows.all(f"SELECT count(*), sum({size}), min({age}) {_old(aged)}", _bound(aged))[0]
    count, size_bytes, oldest_at = counted
    return Found(count, size_bytes or 0, oldest_at or 0)


def retire(tx: Tx, aged: Aged, event: Event) -> Found:
    """Remove the first STEP_ROWS of them; none when the account is under a legal hold."""
    if holds.is_held(tx, aged.account_id):
        return Found(0, 0, 0)
    uids = tx.all(f"SELECT uid {_old(aged)} ORDER BY uid LIMIT {STEP_ROWS}", _bound(aged))  # words of ours
    if not uids:
        return Found(0, 0, 0)
    wanted = [UidRange(uid, uid) for (uid,) in uids]
    removed = expunging.removed(tx, aged.account_id, aged.mailbox_id, wanted)
    events.record_counted(tx, event, messages=len(removed.uids), bytes=removed.size_bytes)
    return Found(len(removed.uids), removed.size_bytes, 0)


def note_fetched(tx: Tx, account_id: AccountId, mailbox_id: MailboxId, uids: Sequence[Uid], at: int) -> None:
    """The first time counts."""
    tx.run(
        "INSERT OR IGNORE INTO fetched SELECT ?, ?, value, ? FROM carray(?)",
        (account_id, mailbox_id, at, apsw.carray(array("q", uids))),
    )


def _old(aged: Aged) -> str:
    table = _FETCHED if aged.age_from is AgeFrom.FETCHED else _MESSAGES
    return f"FROM {table} AND {_AGES[aged.age_from]} < ?"


def _bound(aged: Aged) -> tuple[int, int, int]:
    return aged.account_id, aged.mailbox_id, aged.before
