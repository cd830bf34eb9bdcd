"""Expunged messages that can still come back.

Theory of operation. Where there is an undelete window, or a legal hold, an expunge copies the message's row to `kept_message`
instead of freeing its content: one statement either way. The content is not touched, so it counts as one message's still
(`shared_content`), and compaction leaves it alone. Coming back is a new row with a new UID; time over, what `expunging` does
at once without a window is done then.
"""

from collections.abc import Sequence
from typing import Final

from poterne.store.errors import LimitError, NotFoundError, OverQuotaError
from poterne.store.sqlite import events, expunging, holds, uidset
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.event import Event
from poterne.values.ids import AccountId, BlobId, MailboxId, Uid
from poterne.values.retention import Kept

STEP_ROWS: Final = 500

_SOME: Final = (
    "SELECT k.account_id, k.mailbox_id, k.uid, k.gone_at, k.flags, k.internal_at, k.size, coalesce(m.name, ''), c.segment,"
    " c.blob_offset, c.blob_size, c.header_size FROM kept_message k JOIN content c USING (content_id)"
    " LEFT JOIN mailbox m ON m.account_id = k.account_id AND m.mailbox_id = k.mailbox_id"
    " WHERE k.account_id = ? AND k.gone_at >= ? ORDER BY k.gone_at DESC, k.mailbox_id, k.uid DESC LIMIT ?"
)
_ONE: Final = "account_id = ? AND gone_at = ? AND mailbox_id = ? AND uid = ?"
_OLDEST: Final = (
    "SELECT gone_at, mailbox_id, uid, size FROM kept_message WHERE account_id = ?"
    " ORDER BY gone_at, mailbox_id, uid LIMIT ?"
)


def kept(rows: Rows, account_id: AccountId, since: int, limit: int) -> list[Kept]:
    """Newest first."""
    return [_kept(row) for row in rows.all(_SOME, (account_id, since, limit))]


def restore(tx: Tx, messages: Sequence[Kept], mailbox_id: MailboxId, event: Event) -> int:
    """Put these of one account into a mailbox, with new UIDs; gives how many were still there. NotFoundError, OverQuotaError."""
    if not messages:
        return 0
    account_id = messages[0].account_id
    row = tx.one(
        "SELECT c.modseq, c.quota_bytes, c.used_bytes, c.quota_messages, c.used_messages, m.uid_next, m.selectable"
        " FROM mailbox m JOIN account_counter c USING (account_id) WHERE m.account_id = ? AND m.mailbox_id = ?",
        (account_id, mailbox_id),
    )
    if row is None or not row[6]:
        raise NotFoundError("no such mailbox")
    modseq, quota_bytes, used_bytes, quota_messages, used_messages, uid_next, _ = row
    modseq += 1
    count = unseen = size = 0
    for message in messages:
        here = (account_id, message.gone_at, message.mailbox_id, message.uid)
        if uid_next + count > uidset.MAX_UID:
            raise LimitError("the mailbox has used all UIDs")
        # \Deleted is taken off, or the next EXPUNGE would take it again.
        if not tx.count(
            "INSERT INTO message SELECT account_id, ?, ?, flags & ~8, ?, internal_at, internal_offset, size, content_id, ?"  # noqa: S608
            f" FROM kept_message WHERE {_ONE}",
            (mailbox_id, uid_next + count, modseq, tx.now, *here),
        ):
            continue
        tx.run(f"DELETE FROM kept_message WHERE {_ONE}", here)  # noqa: S608  # words of ours
        count += 1
        unseen += not message.flags & 1
        size += message.size
    if not count:
        return 0
    if quota_bytes and used_bytes + size > quota_bytes:
        raise OverQuotaError(f"account {account_id} has {used_bytes} of {quota_bytes} bytes")
    if quota_messages and used_messages + count > quota_messages:
        raise OverQuotaError(f"account {account_id} has {used_messages} of {quota_messages} messages")
    tx.run(
        "UPDATE mailbox SET uid_next = uid_next + ?, highest_modseq = ?, messages = messages + ?, unseen = unseen + ?,"
        " size_bytes = size_bytes + ? WHERE account_id = ? AND mailbox_id = ?",
        (count, modseq, count, unseen, size, account_id, mailbox_id),
    )
    tx.run(
        "UPDATE account_counter SET modseq = ?, used_bytes = used_bytes + ?, used_messages = used_messages + ?"
        " WHERE account_id = ?",
        (modseq, size, count, account_id),
    )
    tx.touch(account_id, mailbox_id, modseq)
    events.record_counted(tx, event, messages=count, bytes=size)
    return count


def forget(tx: Tx, account_id: AccountId, before: int, excess_bytes: int) -> tuple[int, int]:
    """A step: let those go that were expunged before then, and the oldest beyond until so many octets went.

    Gives how many, and their octets. None of an account under a legal hold.
    """
    if holds.is_held(tx, account_id):
        return 0, 0
    count = size_bytes = 0
    last: tuple[int, int, int] | None = None
    for gone_at, mailbox_id, uid, size in tx.all(_OLDEST, (account_id, STEP_ROWS)):
        if gone_at >= before and size_bytes >= excess_bytes:
            break
        last = gone_at, mailbox_id, uid
        count += 1
        size_bytes += size
    if last is not None:
        where = "account_id = ? AND (gone_at, mailbox_id, uid) <= (?, ?, ?)"
        bound = (account_id, *last)
        expunging.free(tx, "kept_message", where, bound)
        tx.run(f"DELETE FROM kept_message WHERE {where}", bound)  # noqa: S608  # words of ours
    return count, size_bytes


def accounts(rows: Rows, before: int, most_bytes: int) -> list[tuple[AccountId, int]]:
    """Accounts that have something to forget, and how many octets they have beyond `most_bytes` (0: any number is kept).

    Reads all rows: not under the lock.
    """
    found = rows.all("SELECT account_id, min(gone_at), sum(size) FROM kept_message GROUP BY account_id")
    excess = [
        (AccountId(account_id), oldest, max(0, size - most_bytes) if most_bytes else 0)
        for account_id, oldest, size in found
    ]
    return [(account_id, beyond) for account_id, oldest, beyond in excess if oldest < before or beyond]


def _kept(row: Row) -> Kept:
    account_id, mailbox_id, uid, gone_at, flags, internal_at, size, mailbox, segment, offset, length, header = row
    return Kept(
        AccountId(account_id),
        MailboxId(mailbox_id),
        Uid(uid),
        gone_at,
        flags,
        internal_at,
        size,
        mailbox,
        BlobId(segment, offset, length),
        header,
    )
