"""Removing messages, and telling which contents nobody has any more."""

from collections.abc import Sequence
from typing import Final

from poterne.store.interface import Uids
from poterne.store.sqlite import events, mailbox_rows, uidset
from poterne.store.sqlite.transaction import Tx
from poterne.values.event import Event
from poterne.values.ids import AccountId, MailboxId, Uid
from poterne.values.mailbox import Flag, Mailbox, UidRange

_MAILBOX: Final = "account_id = ? AND mailbox_id = ?"
_EVERYTHING: Final = (UidRange(1, None),)


def remove(
    tx: Tx,
    account_id: AccountId,
    mailbox_id: MailboxId,
    uids: Uids | None,
    happened: Sequence[Event],
    *,
    deleted_only: bool,
) -> list[Uid]:
    r"""Remove those of `uids` (None: all) that exist, or only those with \Deleted; gives what went, ascending."""
    mailbox = mailbox_rows.by_id(tx, account_id, mailbox_id)
    gone: list[Uid] = []
    if mailbox.deleted or not deleted_only:
        for condition, args in uidset.conditions(_EVERYTHING if uids is None else uids):
            where = f"{_MAILBOX} AND {condition} AND flags & ? = ? ORDER BY uid"
            mask = int(Flag.DELETED) if deleted_only else 0
            found = tx.all(f"SELECT uid FROM message WHERE {where}", (account_id, mailbox_id, *args, mask, mask))  # noqa: S608
            gone += [uid for (uid,) in found]
    if gone:
        free_contents(tx, account_id, mailbox_id, gone)
        size = take_away(tx, account_id, mailbox_id, gone)
        tx.run("UPDATE account_counter SET used_bytes = used_bytes - ? WHERE account_id = ?", (size, account_id))
    if happened:
        events.record(tx, happened)
    return gone


def take_away(tx: Tx, account_id: AccountId, mailbox_id: MailboxId, gone: Sequence[Uid]) -> int:
    """Delete these rows, count and log them as expunged; gives their size. Contents are the caller's care."""
    condition, args = uidset.listed(gone)
    where, bound = f"{_MAILBOX} AND {condition}", (account_id, mailbox_id, *args)
    count, unseen, deleted, size = tx.all(
        f"SELECT count(*), sum(flags & 1 = 0), sum(flags & 8 != 0), sum(size) FROM message WHERE {where}",  # noqa: S608
        bound,
    )[0]
    tx.run(f"DELETE FROM message WHERE {where}", bound)  # noqa: S608  # words of ours
    modseq = mailbox_rows.next_modseq(tx, account_id)
    tx.run_many(
        "INSERT INTO expunged VALUES (?, ?, ?, ?, ?)",
        [(account_id, mailbox_id, modseq, first, last) for first, last in uidset.runs(gone)],
    )
    tx.run(
        "UPDATE mailbox SET highest_modseq = ?, messages = messages - ?, unseen = unseen - ?, deleted = deleted - ?,"  # noqa: S608
        f" size_bytes = size_bytes - ? WHERE {_MAILBOX}",
        (modseq, count, unseen, deleted, size, account_id, mailbox_id),
    )
    tx.touch(account_id, mailbox_id, modseq)
    removed: int = size
    return removed


def empty(tx: Tx, mailbox: Mailbox) -> None:
    """Remove all messages of a mailbox that goes itself, without telling each."""
    here = (mailbox.account_id, mailbox.id)
    if mailbox.messages:
        _free(tx, f"{_MAILBOX} AND uid >= 0", here)
        tx.run(
            "UPDATE account_counter SET used_bytes = used_bytes - ? WHERE account_id = ?",
            (mailbox.size_bytes, mailbox.account_id),
        )
    for table in ("message", "flag_change", "expunged"):
        tx.run(f"DELETE FROM {table} WHERE {_MAILBOX}", here)  # noqa: S608  # words of ours


def free_contents(tx: Tx, account_id: AccountId, mailbox_id: MailboxId, gone: Sequence[Uid]) -> None:
    """Note the contents that lose their last message with these. Before the rows are deleted."""
    condition, args = uidset.listed(gone)
    _free(tx, f"{_MAILBOX} AND {condition}", (account_id, mailbox_id, *args))


def _free(tx: Tx, where: str, bound: tuple[object, ...]) -> None:
    going = f"SELECT content_id FROM message WHERE {where}"  # noqa: S608  # words of ours
    shared = tx.one(f"SELECT 1 FROM shared_content WHERE content_id IN ({going}) LIMIT 1", bound)  # noqa: S608
    if shared is None:
        tx.run(f"INSERT INTO freed_content SELECT {tx.now}, content_id FROM message WHERE {where}", bound)  # noqa: S608
        return
    tx.run(
        "UPDATE shared_content SET messages = messages - gone.count FROM"  # noqa: S608  # words of ours
        f" (SELECT content_id, count(*) AS count FROM message WHERE {where} GROUP BY content_id) AS gone"
        " WHERE gone.content_id = shared_content.content_id",
        bound,
    )
    tx.run(
        f"INSERT INTO freed_content SELECT {tx.now}, content_id FROM ({going})"  # noqa: S608  # words of ours
        " LEFT JOIN shared_content s USING (content_id) WHERE s.messages IS NULL OR s.messages <= 0 GROUP BY content_id",
        bound,
    )
    tx.run(f"DELETE FROM shared_content WHERE messages <= 1 AND content_id IN ({going})", bound)  # noqa: S608
