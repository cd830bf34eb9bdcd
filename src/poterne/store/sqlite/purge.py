"""Taking away what nobody can reach any more, in steps that are short enough for the writers' lock."""

from array import array
from typing import Final

import apsw

from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.delivery import CONTENT_BITS
from poterne.store.sqlite.transaction import Tx
from poterne.values.ids import AccountId, BlobId

STEP_ROWS: Final = 500
KEPT_FLAG_CHANGES: Final = 1_000
"""Per mailbox. A client that was away for longer makes the server read the mailbox's narrow rows once."""

NAMING: Final = ("content", "queue_message", "quarantine", "report_mail")
"""Tables whose rows name blobs."""
_LIVE: Final = " UNION ALL ".join(
    f"SELECT blob_offset, blob_size FROM {table} WHERE segment = ?1"  # noqa: S608  # words of ours
    for table in NAMING
)


def freed_contents(tx: Tx, before: int) -> set[AccountId] | None:
    """Delete up to STEP_ROWS contents freed before this time; gives their accounts, None if there are no more."""
    found = tx.all(
        "SELECT freed_at, content_id FROM freed_content WHERE freed_at < ? ORDER BY freed_at LIMIT ?",
        (before, STEP_ROWS),
    )
    if not found:
        return None
    tx.run_many("DELETE FROM content WHERE content_id = ?", [(content_id,) for _, content_id in found])
    tx.run_many("DELETE FROM freed_content WHERE freed_at = ? AND content_id = ?", found)
    return {AccountId(content_id >> CONTENT_BITS) for _, content_id in found}


def removed_account(tx: Tx) -> bool:
    """Delete some rows of an account that was removed; False if there is none."""
    row = tx.one("SELECT account_id FROM removed_account LIMIT 1")
    if row is None:
        return False
    (account_id,) = row
    lowest, beyond = account_id << CONTENT_BITS, (account_id + 1) << CONTENT_BITS
    for sql in (
        (
            "DELETE FROM message WHERE (account_id, mailbox_id, uid) IN"
            " (SELECT account_id, mailbox_id, uid FROM message WHERE account_id = ?1 LIMIT ?2)"
        ),
        (
            "DELETE FROM thread_reference WHERE (account_id, hash) IN"
            " (SELECT account_id, hash FROM thread_reference WHERE account_id = ?1 LIMIT ?2)"
        ),
        (
            "DELETE FROM flag_change WHERE (account_id, mailbox_id, modseq, first_uid) IN"
            " (SELECT account_id, mailbox_id, modseq, first_uid FROM flag_change WHERE account_id = ?1 LIMIT ?2)"
        ),
        (
            "DELETE FROM correspondent WHERE (account_id, hash) IN"
            " (SELECT account_id, hash FROM correspondent WHERE account_id = ?1 LIMIT ?2)"
        ),
        (
            "DELETE FROM quarantine WHERE quarantine_id IN"
            " (SELECT quarantine_id FROM quarantine WHERE account_id = ?1 LIMIT ?2)"
        ),
        (
            "DELETE FROM kept_message WHERE (account_id, gone_at, mailbox_id, uid) IN"
            " (SELECT account_id, gone_at, mailbox_id, uid FROM kept_message WHERE account_id = ?1 LIMIT ?2)"
        ),
        (
            "DELETE FROM fetched WHERE (account_id, mailbox_id, uid) IN"
            " (SELECT account_id, mailbox_id, uid FROM fetched WHERE account_id = ?1 LIMIT ?2)"
        ),
        (
            "DELETE FROM imported WHERE (account_id, source_id, item) IN"
            " (SELECT account_id, source_id, item FROM imported WHERE account_id = ?1 LIMIT ?2)"
        ),
        (
            "DELETE FROM expunged WHERE (account_id, mailbox_id, modseq, first_uid) IN"
            " (SELECT account_id, mailbox_id, modseq, first_uid FROM expunged WHERE account_id = ?1 LIMIT ?2)"
        ),
    ):
        if tx.count(sql, (account_id, STEP_ROWS)):
            return True
    some = "SELECT content_id FROM content WHERE content_id >= ? AND content_id < ? LIMIT ?"
    if tx.count(f"DELETE FROM content WHERE content_id IN ({some})", (lowest, beyond, STEP_ROWS)):  # noqa: S608
        return True
    tx.run("DELETE FROM shared_content WHERE content_id >= ? AND content_id < ?", (lowest, beyond))
    tx.run("DELETE FROM freed_content WHERE content_id >= ? AND content_id < ?", (lowest, beyond))
    tx.run("DELETE FROM removed_account WHERE account_id = ?", (account_id,))
    return True


def long_logs(rows: Rows) -> list[Row]:
    """Account and mailbox of each log of flag changes that has grown well beyond what is kept."""
    return rows.all(
        "SELECT account_id, mailbox_id FROM flag_change GROUP BY account_id, mailbox_id HAVING count(*) > ?",
        (2 * KEPT_FLAG_CHANGES,),
    )


def flag_changes(tx: Tx, account_id: int, mailbox_id: int) -> None:
    """Keep the newest; what is older is found in the rows themselves."""
    here = (account_id, mailbox_id)
    row = tx.one(
        "SELECT modseq FROM flag_change WHERE account_id = ? AND mailbox_id = ? ORDER BY modseq DESC LIMIT 1 OFFSET ?",
        (*here, KEPT_FLAG_CHANGES),
    )
    if row is not None:
        tx.run("DELETE FROM flag_change WHERE account_id = ? AND mailbox_id = ? AND modseq <= ?", (*here, row[0]))
        tx.run(
            "UPDATE mailbox SET flag_change_floor = max(flag_change_floor, ?) WHERE account_id = ? AND mailbox_id = ?",
            (row[0], *here),
        )


def dead_threads(rows: Rows, account_id: AccountId) -> list[int]:
    """Threads whose messages have all gone. Reads all contents of the account: not under the lock."""
    found = rows.all(
        "SELECT thread_id FROM thread_reference WHERE account_id = ? EXCEPT"
        " SELECT thread_id FROM content WHERE content_id >= ? AND content_id < ?",
        (account_id, account_id << CONTENT_BITS, (account_id + 1) << CONTENT_BITS),
    )
    return [thread_id for (thread_id,) in found]


def thread_references(tx: Tx, account_id: AccountId, threads: list[int]) -> None:
    """Forget what led to these threads. If one came back to life meanwhile, a later reply starts a new thread."""
    tx.run(
        "DELETE FROM thread_reference WHERE account_id = ? AND thread_id IN carray(?)",
        (account_id, apsw.carray(array("q", threads))),
    )


def live_blobs(rows: Rows, segment: int) -> dict[int, int]:
    """Offset → size of each blob in this segment that a row names."""
    found = rows.all(_LIVE, (segment,))
    return {int(offset): int(size) for offset, size in found}


def relink(tx: Tx, pairs: list[tuple[BlobId, BlobId]]) -> None:
    """These blobs are elsewhere now. Rows that are gone meanwhile are passed over."""
    for table in NAMING:
        tx.run_many(
            f"UPDATE {table} SET segment = ?, blob_offset = ? WHERE segment = ? AND blob_offset = ?",  # noqa: S608
            [(new.segment, new.offset, old.segment, old.offset) for old, new in pairs],
        )
