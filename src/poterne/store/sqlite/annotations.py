"""Annotations (RFC 5464): small values that clients keep with a mailbox or an account."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from poterne.store.errors import LimitError
from poterne.store.interface_sharing import ANNOTATED
from poterne.store.sqlite import events as journal
from poterne.store.sqlite.connection import Rows
from poterne.store.sqlite.mailbox_rows import by_id, next_modseq
from poterne.store.sqlite.reader import Reader
from poterne.store.sqlite.transaction import Tx
from poterne.store.writer import GroupWriter
from poterne.values.event import Event
from poterne.values.ids import AccountId, MailboxId, ModSeq

_SHARED: Final = 0
"""Instead of a reader: everybody's."""
_PREFIX: Final = "/shared/"
_SEEN: Final = "FROM annotation WHERE account_id = ? AND mailbox_id = ? AND reader_id IN (0, ?)"
_VALUES: Final = f"SELECT entry, value {_SEEN} ORDER BY entry"
_SOME: Final = f"SELECT entry, value {_SEEN} AND entry IN (SELECT value FROM json_each(?)) ORDER BY entry"  # noqa: S608  # words of ours
_SIZES: Final = f"SELECT entry, length(value) {_SEEN} ORDER BY entry"


class AnnotationsPart:
    """The engine's methods of `interface_sharing.Annotations`."""

    _writer: GroupWriter[Tx]
    _reader: Reader

    async def annotations(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId | None,
        reader_id: AccountId,
        entries: Collection[str] | None = None,
    ) -> dict[str, bytes]:
        return found(self._reader, account_id, mailbox_id, reader_id, entries)

    async def annotation_sizes(
        self, account_id: AccountId, mailbox_id: MailboxId | None, reader_id: AccountId
    ) -> dict[str, int]:
        return sizes(self._reader, account_id, mailbox_id, reader_id)

    async def annotation_marks(
        self, account_id: AccountId, reader_id: AccountId
    ) -> dict[tuple[MailboxId | None, str], ModSeq]:
        return marks(self._reader, account_id, reader_id)

    async def annotate(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId | None,
        reader_id: AccountId,
        changes: Mapping[str, bytes | None],
        events: Sequence[Event] = (),
    ) -> ModSeq:
        return await self._writer.submit(annotate, account_id, mailbox_id, reader_id, changes, events)


def found(
    rows: Rows,
    account_id: AccountId,
    mailbox_id: MailboxId | None,
    reader_id: AccountId,
    entries: Collection[str] | None = None,
) -> dict[str, bytes]:
    args = (account_id, mailbox_id or ANNOTATED, reader_id)
    if entries is None:
        return dict(rows.all(_VALUES, args))
    return dict(rows.all(_SOME, (*args, json.dumps(list(entries)))))


def sizes(rows: Rows, account_id: AccountId, mailbox_id: MailboxId | None, reader_id: AccountId) -> dict[str, int]:
    return dict(rows.all(_SIZES, (account_id, mailbox_id or ANNOTATED, reader_id)))


def marks(rows: Rows, account_id: AccountId, reader_id: AccountId) -> dict[tuple[MailboxId | None, str], ModSeq]:
    sql = "SELECT mailbox_id, entry, modseq FROM annotation WHERE account_id = ? AND reader_id IN (0, ?)"
    return {
        (MailboxId(mailbox_id) if mailbox_id else None, entry): ModSeq(modseq)
        for mailbox_id, entry, modseq in rows.all(sql, (account_id, reader_id))
    }


def annotate(
    tx: Tx,
    account_id: AccountId,
    mailbox_id: MailboxId | None,
    reader_id: AccountId,
    changes: Mapping[str, bytes | None],
    events: Sequence[Event],
) -> ModSeq:
    modseq = next_modseq(tx, account_id)
    if mailbox_id is not None:
        by_id(tx, account_id, mailbox_id)
    readers = {_SHARED if entry.startswith(_PREFIX) else int(reader_id) for entry in changes}
    before = {reader: _count(tx, account_id, reader) for reader in readers}
    for entry, value in changes.items():
        key = (account_id, mailbox_id or ANNOTATED, _SHARED if entry.startswith(_PREFIX) else reader_id, entry)
        if value is None:
            tx.run(
                "DELETE FROM annotation WHERE account_id = ? AND mailbox_id = ? AND reader_id = ? AND entry = ?", key
            )
        else:
            tx.run("INSERT OR REPLACE INTO annotation VALUES (?, ?, ?, ?, ?, ?)", (*key, modseq, value))
    for reader in readers:
        count = _count(tx, account_id, reader)
        if count > max(tx.limits.annotations, before[reader]):  # the limit may have become lower
            raise LimitError("too many annotations")
    tx.touch(account_id, ANNOTATED, modseq)
    journal.record(tx, events)
    return modseq


def _count(tx: Tx, account_id: AccountId, reader_id: int) -> int:
    """Shared ones of the account; or those that a reader keeps in all accounts, for others pay with space for them."""
    if reader_id == _SHARED:
        rows = tx.all("SELECT count(*) FROM annotation WHERE account_id = ? AND reader_id = 0", (account_id,))
    else:
        rows = tx.all("SELECT count(*) FROM annotation WHERE reader_id = ? AND reader_id > 0", (reader_id,))
    count: int = rows[0][0]
    return count


def copy(tx: Tx, account_id: AccountId, source: MailboxId, destination: MailboxId) -> None:
    """INBOX was renamed, and keeps its own (RFC 5464 §4.1). Not beyond the limit, which renaming could else pass for ever."""
    row = tx.all(
        "SELECT DISTINCT reader_id FROM annotation WHERE account_id = ? AND mailbox_id = ?", (account_id, source)
    )
    if not row:
        return
    modseq = next_modseq(tx, account_id)
    tx.run(
        "INSERT OR IGNORE INTO annotation SELECT account_id, ?, reader_id, entry, ?, value FROM annotation"
        " WHERE account_id = ? AND mailbox_id = ?",
        (destination, modseq, account_id, source),
    )
    for (reader,) in row:
        if _count(tx, account_id, reader) > tx.limits.annotations:
            tx.run(
                "DELETE FROM annotation WHERE account_id = ? AND mailbox_id = ? AND reader_id = ?",
                (account_id, destination, reader),
            )
    tx.touch(account_id, ANNOTATED, modseq)


def forget(tx: Tx, account_id: AccountId, mailbox_id: MailboxId) -> None:
    """The mailbox is gone, or was emptied to a name."""
    tx.run("DELETE FROM annotation WHERE account_id = ? AND mailbox_id = ?", (account_id, mailbox_id))


def move(tx: Tx, account_id: AccountId, mailbox_id: MailboxId, to: MailboxId) -> None:
    """What was noted at a name is the new mailbox's."""
    tx.run("UPDATE annotation SET mailbox_id = ? WHERE account_id = ? AND mailbox_id = ?", (to, account_id, mailbox_id))


def forget_reader(tx: Tx, reader_id: AccountId) -> None:
    """The account is gone: what it kept privately in the mailboxes of others, too."""
    tx.run("DELETE FROM annotation WHERE reader_id = ? AND reader_id > 0", (reader_id,))
