"""What internal servers said of their recipients: remembered, bounded, and never needed for what is promised."""

from typing import Final

from poterne.store.sqlite.connection import Rows
from poterne.store.sqlite.transaction import Tx

MOST: Final = 100_000
_SPARE: Final = 1_000
"""Removed beyond what must go, so that the rows need not be counted each time."""


def found(rows: Rows, address: str) -> tuple[bool, int] | None:
    row = rows.one("SELECT known, checked_at FROM recipient_check WHERE address = ?", (address,))
    return None if row is None else (bool(row[0]), row[1])


def note(tx: Tx, address: str, known: bool, at: int, *, most: int = MOST, spare: int = _SPARE) -> None:
    """The newest answer. Beyond `most` the oldest go, first of all those that the server does not know.

    Else a stranger who guesses names would push out those by which mail is taken while the server is down. The count is
    in `meta`, for counting reads all rows.
    """
    if tx.count("UPDATE recipient_check SET known = ?, checked_at = ? WHERE address = ?", (int(known), at, address)):
        return
    tx.run("INSERT INTO recipient_check VALUES (?, ?, ?)", (address, int(known), at))
    ((count,),) = tx.all(
        "INSERT INTO meta VALUES ('recipient_checks', 1) ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value"
    )
    if count > most:
        tx.run(
            "DELETE FROM recipient_check WHERE address IN"
            " (SELECT address FROM recipient_check ORDER BY known, checked_at LIMIT ?)",
            (count - most + spare,),
        )
        tx.run("UPDATE meta SET value = (SELECT count(*) FROM recipient_check) WHERE key = 'recipient_checks'")
