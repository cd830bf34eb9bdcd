"""Removing messages, and telling which contents nobody has any more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from poterne.store.interface import Uids
from poterne.store.sqlite import events, holds, mailbox_rows, uidset
from poterne.store.sqlite.transaction import Tx
from poterne.values.event import Event
from poterne.values.ids import AccountId, MailboxId, Uid
from poterne.values.mailbox import Flag, Mailbox, UidRange

_MAILBOX: Final = "account_id = ? AND mailbox_id = ?"
_EVERYTHING: Final = (UidRange(1, None),)
_USED: Final = (
    "UPDATE account_counter SET used_bytes = used_bytes - ?, used_messages = used_messages - ? WHERE account_id = ?"
)


@dataclass(frozen=True, slots=True)
class Removed:
    """What went, ascending, and its size."""

    uids: list[Uid]
    size_bytes: int


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
    wanted = _EVERYTHING if uids is None else uids
    gone = removed(tx, account_id, mailbox_id, wanted, deleted_only=deleted_only)
    if happened:
        events.record(tx, happened)
    return gone.uids


def removed(tx: Tx, account_id: AccountId, mailbox_id: MailboxId, uids: Uids, *, deleted_only: bool = False) -> Removed:
    """The same without events."""
    mailbox = mailbox_rows.by_id(tx, account_id, mailbox_id)
    gone: list[Uid] = []
    size = 0
    if mailbox.deleted or not deleted_only:
        for condition, args in uidset.conditions(uids):
            where = f"{_MAILBOX} AND {condition} AND flags & ? = ? ORDER BY uid"
            mask = int(Flag.DELETED) if deleted_only else 0
            found = tx.all(f"SELECT uid FROM message WHERE {where}", (account_id, mailbox_id, *args, mask, mask))  # noqa: S608
            gone += [uid for (uid,) in found]
    if gone:
        condition, args = uidset.listed(gone)
        put_away(tx, account_id, f"{_MAILBOX} AND {condition}", (account_id, mailbox_id, *args))
        size = take_away(tx, account_id, mailbox_id, gone)
        count_out(tx, account_id, size, len(gone))
    return Removed(gone, size)


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
    if mailbox_id == mailbox_rows.INBOX_ID:
        tx.run(f"DELETE FROM fetched WHERE {where}", bound)  # noqa: S608  # words of ours
    tx.touch(account_id, mailbox_id, modseq)
    taken: int = size
    return taken


def empty(tx: Tx, mailbox: Mailbox) -> None:
    """Remove all messages of a mailbox that goes itself, without telling each."""
    here = (mailbox.account_id, mailbox.id)
    if mailbox.messages:
        put_away(tx, mailbox.account_id, f"{_MAILBOX} AND uid >= 0", here)
        count_out(tx, mailbox.account_id, mailbox.size_bytes, mailbox.messages)
    for table in ("message", "flag_change", "expunged"):
        tx.run(f"DELETE FROM {table} WHERE {_MAILBOX}", here)  # noqa: S608  # words of ours


def count_out(tx: Tx, account_id: AccountId, size_bytes: int, messages: int) -> None:
    """So much less is used of the account's quota."""
    tx.run(_USED, (size_bytes, messages, account_id))


def put_away(tx: Tx, account_id: AccountId, where: str, bound: tuple[object, ...]) -> None:
    """Before these rows of `message` are deleted: keep them where they may come back, else note what nobody has any more."""
    if tx.limits.undelete_s or holds.is_held(tx, account_id):
        tx.run(
            f"INSERT INTO kept_message SELECT account_id, {tx.now}, mailbox_id, uid, flags, internal_at, internal_offset,"  # noqa: S608
            f" size, content_id, saved_at FROM message WHERE {where}",
            bound,
        )
    else:
        free(tx, "message", where, bound)


def free(tx: Tx, table: str, where: str, bound: tuple[object, ...]) -> None:
    """Note the contents that lose their last message with these rows. Before the rows are deleted."""
    going = f"SELECT content_id FROM {table} WHERE {where}"  # noqa: S608  # words of ours
    shared = tx.one(f"SELECT 1 FROM shared_content WHERE content_id IN ({going}) LIMIT 1", bound)  # noqa: S608
    if shared is None:
        tx.run(f"INSERT INTO freed_content SELECT {tx.now}, content_id FROM {table} WHERE {where}", bound)  # noqa: S608
        return
    tx.run(
        "UPDATE shared_content SET messages = messages - gone.count FROM"  # noqa: S608  # words of ours
        f" (SELECT content_id, count(*) AS count FROM {table} WHERE {where} GROUP BY content_id) AS gone"
        " WHERE gone.content_id = shared_content.content_id",
        bound,
    )
    tx.run(
        f"INSERT INTO freed_content SELECT {tx.now}, content_id FROM ({going})"  # noqa: S608  # words of ours
        " LEFT JOIN shared_content s USING (content_id) WHERE s.messages IS NULL OR s.messages <= 0 GROUP BY content_id",
        bound,
    )
    tx.run(f"DELETE FROM shared_content WHERE messages <= 1 AND content_id IN ({going})", bound)  # noqa: S608
