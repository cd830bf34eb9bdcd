"""What was brought from elsewhere: remembered in the transaction that stores it."""

from collections.abc import Sequence
from typing import Final

from poterne.store.interface_imports import Arrival
from poterne.store.sqlite import delivery
from poterne.store.sqlite.connection import Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.ids import AccountId, MailboxId, Uid
from poterne.values.imports import Brought, ImportSourceId
from poterne.values.mailbox import Appended

STEP_ROWS: Final = 10_000
_KNOWN: Final = "SELECT 1 FROM imported WHERE account_id = ? AND source_id = ? AND item = ?"
_NOTE: Final = "INSERT OR REPLACE INTO imported VALUES (?, ?, ?, ?, ?, ?, ?)"
_SOURCE: Final = "SELECT source_id FROM import_source WHERE account_id = ? AND name = ?"


def source(rows: Rows, account_id: AccountId, name: str) -> ImportSourceId | None:
    found = rows.all(_SOURCE, (account_id, name))
    return ImportSourceId(found[0][0]) if found else None


def add_source(tx: Tx, account_id: AccountId, name: str) -> ImportSourceId:
    found = tx.one(_SOURCE, (account_id, name))
    if found is None:
        found = tx.one("SELECT coalesce(max(source_id), 0) + 1 FROM import_source WHERE account_id = ?", (account_id,))
        assert found is not None  # noqa: S101  (an aggregate always gives a row)
        tx.run("INSERT INTO import_source VALUES (?, ?, ?)", (account_id, found[0], name))
    return ImportSourceId(found[0])


def brought(rows: Rows, account_id: AccountId, source_id: ImportSourceId, after: str, limit: int) -> list[Brought]:
    found = rows.all(
        "SELECT item, mailbox_id, uid, flags, hash FROM imported WHERE account_id = ? AND source_id = ? AND item > ?"
        " ORDER BY item LIMIT ?",
        (account_id, source_id, after, limit),
    )
    return [Brought(*row) for row in found]


def hashes(
    rows: Rows, account_id: AccountId, mailbox_id: MailboxId, besides: ImportSourceId
) -> list[tuple[bytes, Uid]]:
    """One line for each message, however many sources had it."""
    found = rows.all(
        "SELECT DISTINCT i.hash, i.uid FROM imported AS i JOIN message AS m USING (account_id, mailbox_id, uid)"
        " WHERE i.account_id = ? AND i.mailbox_id = ? AND i.source_id <> ?",
        (account_id, mailbox_id, besides),
    )
    return [(bytes(hash_), Uid(uid)) for hash_, uid in found]


def bring(
    tx: Tx, account_id: AccountId, source_id: ImportSourceId, arrivals: Sequence[Arrival]
) -> list[Appended | None]:
    """All or nothing."""
    for arrival in arrivals:
        tx.require(arrival.delivery.content.blob)
    appended: list[Appended | None] = []
    for arrival in arrivals:
        if tx.one(_KNOWN, (account_id, source_id, arrival.item)) is not None:  # another run was faster
            appended.append(None)
            continue
        one = delivery.deliver_one(tx, arrival.delivery)
        place = (account_id, source_id, arrival.item, one.mailbox_id, one.uid, arrival.delivery.flags, arrival.hash)
        tx.run(_NOTE, place)
        appended.append(one)
    return appended


def note(tx: Tx, account_id: AccountId, source_id: ImportSourceId, notes: Sequence[Brought]) -> None:
    tx.run_many(
        _NOTE, [(account_id, source_id, one.item, one.mailbox_id, one.uid, one.flags, one.hash) for one in notes]
    )


def forget_some(tx: Tx, account_id: AccountId, source_id: ImportSourceId, items: Sequence[str]) -> None:
    tx.run_many(
        "DELETE FROM imported WHERE account_id = ? AND source_id = ? AND item = ?",
        [(account_id, source_id, item) for item in items],
    )


def forget(tx: Tx, account_id: AccountId) -> int:
    """Up to STEP_ROWS; when there are fewer, the sources too."""
    gone = tx.count(
        "DELETE FROM imported WHERE (account_id, source_id, item) IN"
        " (SELECT account_id, source_id, item FROM imported WHERE account_id = ?1 LIMIT ?2)",
        (account_id, STEP_ROWS),
    )
    if gone < STEP_ROWS:
        tx.run("DELETE FROM import_source WHERE account_id = ?", (account_id,))
    return gone
