"""COPY and MOVE: new rows for the same contents, in one INSERT."""

from typing import Final

from poterne.store.errors import LimitError, NotFoundError, OverQuotaError
from poterne.store.interface import Uids
from poterne.store.sqlite import expunging, junk, uidset
from poterne.store.sqlite.transaction import Tx
from poterne.values.ids import AccountId, MailboxId, Uid, UidValidity
from poterne.values.mailbox import Copied

_MAILBOX: Final = "account_id = ? AND mailbox_id = ?"
_DESTINATION: Final = (
    "SELECT c.modseq, c.quota_bytes, c.used_bytes, c.quota_messages, c.used_messages, m.uid_next, m.uid_validity, m.selectable,"
    " m.special_use FROM mailbox m JOIN account_counter c ON c.account_id = m.account_id"
    " WHERE m.account_id = ? AND m.mailbox_id = ?"
)


def copy(
    tx: Tx,
    account_id: AccountId,
    source: MailboxId,
    uids: Uids,
    destination: MailboxId,
    now: int | None,
    flags_kept: int = -1,
) -> Copied:
    """Copies share the content; each counts against the quota."""
    copied, size = _duplicate(tx, account_id, source, uids, destination, now, flags_kept, charged=True)
    if copied.source:
        condition, args = uidset.listed(copied.destination)
        tx.run(
            "INSERT INTO shared_content SELECT content_id, 1 + count(*) FROM message"  # noqa: S608  # words of ours
            f" WHERE {_MAILBOX} AND {condition} GROUP BY content_id"
            " ON CONFLICT DO UPDATE SET messages = messages + excluded.messages - 1",
            (account_id, destination, *args),
        )
        tx.run(
            "UPDATE account_counter SET used_bytes = used_bytes + ?, used_messages = used_messages + ? WHERE account_id = ?",
            (size, len(copied.source), account_id),
        )
    return copied


def move(
    tx: Tx,
    account_id: AccountId,
    source: MailboxId,
    uids: Uids,
    destination: MailboxId,
    now: int | None,
    flags_kept: int = -1,
) -> Copied:
    """As COPY and EXPUNGE in one (RFC 6851); into the same mailbox, the messages get new UIDs."""
    copied, _ = _duplicate(tx, account_id, source, uids, destination, now, flags_kept, charged=False)
    if copied.source:
        expunging.take_away(tx, account_id, source, copied.source)
    return copied


def _duplicate(
    tx: Tx,
    account_id: AccountId,
    source: MailboxId,
    uids: Uids,
    destination: MailboxId,
    now: int | None,
    flags_kept: int,
    *,
    charged: bool,
) -> tuple[Copied, int]:
    """The rows at the destination, and their size in bytes. `now` is when they were saved; None keeps the time."""
    row = tx.one(_DESTINATION, (account_id, destination))
    origin = tx.one(f"SELECT special_use FROM mailbox WHERE {_MAILBOX}", (account_id, source))  # noqa: S608
    if row is None or not row[7] or origin is None:
        raise NotFoundError("no such mailbox")
    modseq, quota_bytes, used_bytes, quota_messages, used_messages, uid_next, uid_validity, _, use = row
    wanted: list[Uid] = []
    for condition, args in uidset.conditions(uids):
        where = f"{_MAILBOX} AND {condition} ORDER BY uid"
        wanted += [uid for (uid,) in tx.all(f"SELECT uid FROM message WHERE {where}", (account_id, source, *args))]  # noqa: S608
    if not wanted:
        return Copied(UidValidity(uid_validity), (), ()), 0
    condition, args = uidset.listed(wanted)
    bound = (account_id, source, *args)
    unseen, deleted, size = tx.all(
        f"SELECT sum(flags & ? & 1 = 0), sum(flags & ? & 8 != 0), sum(size) FROM message WHERE {_MAILBOX} AND {condition}",  # noqa: S608
        (flags_kept, flags_kept, *bound),
    )[0]
    if charged and quota_bytes and used_bytes + size > quota_bytes:
        raise OverQuotaError(f"account {account_id} has {used_bytes} of {quota_bytes} bytes, copy of {size}")
    if charged and quota_messages and used_messages + len(wanted) > quota_messages:
        raise OverQuotaError(
            f"account {account_id} has {used_messages} of {quota_messages} messages, copy of {len(wanted)}"
        )
    if uid_next + len(wanted) > uidset.MAX_UID:
        raise LimitError("the mailbox has used all UIDs")
    modseq += 1
    tx.run(
        "INSERT INTO message SELECT account_id, ?, ? + row_number() OVER (ORDER BY uid), flags & ?, ?, internal_at,"  # noqa: S608
        f" internal_offset, size, content_id, coalesce(?, saved_at) FROM message WHERE {_MAILBOX} AND {condition}",
        (destination, uid_next - 1, flags_kept, modseq, now, *bound),
    )
    tx.run("UPDATE account_counter SET modseq = ? WHERE account_id = ?", (modseq, account_id))
    tx.run(
        "UPDATE mailbox SET uid_next = ?, highest_modseq = ?, messages = messages + ?, unseen = unseen + ?,"  # noqa: S608
        f" deleted = deleted + ?, size_bytes = size_bytes + ? WHERE {_MAILBOX}",
        (uid_next + len(wanted), modseq, len(wanted), unseen, deleted, size, account_id, destination),
    )
    tx.touch(account_id, destination, modseq)
    placed = tuple(Uid(uid) for uid in range(uid_next, uid_next + len(wanted)))
    if use != origin[0]:
        junk.told(tx, account_id, origin[0], destination, use, placed)
    return Copied(UidValidity(uid_validity), tuple(wanted), placed), size
