"""STORE, and the names of keywords."""

from collections.abc import Sequence
from typing import Any, Final

from poterne.store.errors import LimitError, NotFoundError
from poterne.store.interface import Uids
from poterne.store.sqlite import messages, uidset
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.ids import AccountId, MailboxId, ModSeq, Uid
from poterne.values.mailbox import KEYWORD_SHIFT, MAX_KEYWORDS, Flag, FlagChange, FlagsStored, MessageRow

_MAILBOX: Final = "account_id = ? AND mailbox_id = ?"
_MOST_RANGES: Final = 16
"""More ranges than this of one STORE are logged as the one range around them."""

_NEW: Final = {FlagChange.ADD: "flags | ?1", FlagChange.REMOVE: "flags & ~?1", FlagChange.REPLACE: "?1"}
_DIFFERS: Final = {
    FlagChange.ADD: "flags & ?1 != ?1",
    FlagChange.REMOVE: "flags & ?1 != 0",
    FlagChange.REPLACE: "flags != ?1",
}
_ADD: Final = FlagChange.ADD  # looking a member up in its Enum takes 0.1 µs
_REMOVE: Final = FlagChange.REMOVE
_SEEN: Final = int(Flag.SEEN)
_DELETED: Final = int(Flag.DELETED)
_COUNTERS: Final = (
    "SELECT (SELECT modseq FROM account_counter WHERE account_id = ?1), highest_modseq, messages, unseen, deleted"
    " FROM mailbox WHERE account_id = ?1 AND mailbox_id = ?2"
)
_COUNTED: Final = f"UPDATE mailbox SET highest_modseq = ?, unseen = unseen - ?, deleted = deleted + ? WHERE {_MAILBOX}"  # noqa: S608
_ONE: Final = f"UPDATE message SET flags = ?, modseq = ? WHERE {_MAILBOX} AND uid = ?"  # noqa: S608
_HERE: Final = "account_id = ?2 AND mailbox_id = ?3"
_UNCHANGED: Final = f"{_HERE} AND modseq <= ?4"


def known_keywords(rows: Rows, account_id: AccountId) -> dict[str, int]:
    """The flag bit of each keyword that exists, by folded name."""
    found = rows.all("SELECT folded, position FROM keyword WHERE account_id = ?", (account_id,))
    return {folded: 1 << (KEYWORD_SHIFT + position) for folded, position in found}


def make_keywords(tx: Tx, account_id: AccountId, names: Sequence[str], most: int = MAX_KEYWORDS) -> dict[str, int]:
    """The flag bit of each of these, made where missing."""
    known = known_keywords(tx, account_id)
    if not known and not tx.one("SELECT 1 FROM account_counter WHERE account_id = ?", (account_id,)):
        raise NotFoundError("no such account")
    for name in names:
        if name.lower() in known:
            continue
        position = len(known)
        if position >= most or len(name.encode()) > tx.limits.keyword_bytes:
            raise LimitError("too many keywords, or one that is too long")
        tx.run("INSERT INTO keyword VALUES (?, ?, ?, ?)", (account_id, position, name, name.lower()))
        known[name.lower()] = 1 << (KEYWORD_SHIFT + position)
    return {name: known[name.lower()] for name in names}


def store_flags(
    tx: Tx,
    account_id: AccountId,
    mailbox_id: MailboxId,
    uids: Uids,
    change: FlagChange,
    flags: int,
    unchanged_since: ModSeq | None,
) -> FlagsStored:
    """Only rows that really change get the new modseq; if none does, there is no new one."""
    row = tx.one(_COUNTERS, (account_id, mailbox_id))
    if row is None:
        raise NotFoundError("no such mailbox")
    if uidset.few(uids):
        return _store_few(tx, (account_id, mailbox_id), uids, change, flags, unchanged_since, row)
    modseq, highest, total, unseen, deleted = row[0] + 1, *row[1:]
    limit = highest if unchanged_since is None else unchanged_since
    here = _HERE if highest <= limit else _UNCHANGED
    refused: list[Uid] = []
    changed = more_seen = more_deleted = 0
    for condition, args in uidset.conditions(uids):
        if highest > limit:
            where = f"{_MAILBOX} AND {condition} AND modseq > ? ORDER BY uid"
            found = tx.all(f"SELECT uid FROM message WHERE {where}", (account_id, mailbox_id, *args, limit))  # noqa: S608
            refused += [uid for (uid,) in found]
        part = _Part(tx, f"{here} AND {_numbered(condition)}", (flags, account_id, mailbox_id, limit, *args), change)
        seen = part.gain(Flag.SEEN, total - unseen, total)
        deletions = part.gain(Flag.DELETED, deleted, total)
        count = part.update(modseq)
        # With one flag alone, the rows that changed are the ones that gained or lost it.
        changed += count
        more_seen += part.sign * count if seen is None else seen
        more_deleted += part.sign * count if deletions is None else deletions
    if not changed:
        return FlagsStored(ModSeq(highest), refused, 0, None)
    _count(tx, (account_id, mailbox_id), uids, modseq, more_seen, more_deleted)
    return FlagsStored(ModSeq(modseq), refused, changed, None)


def _store_few(
    tx: Tx,
    here: tuple[AccountId, MailboxId],
    uids: Uids,
    change: FlagChange,
    flags: int,
    unchanged_since: ModSeq | None,
    counters: Row,
) -> FlagsStored:
    """A few messages: read once, changed one by one, given back."""
    modseq, highest = ModSeq(counters[0] + 1), ModSeq(counters[1])
    rows = messages.rows(tx, *here, uids)
    refused: list[Uid] = []
    changed = more_seen = more_deleted = 0
    for i, row in enumerate(rows):
        before = row.flags
        if unchanged_since is not None and row.modseq > unchanged_since:
            refused.append(row.uid)
            continue
        if change is _ADD:
            after = before | flags
        elif change is _REMOVE:
            after = before & ~flags
        else:
            after = flags
        if after == before:
            continue
        tx.run(_ONE, (after, modseq, *here, row.uid))
        rows[i] = MessageRow(row.uid, after, modseq, row.internal_at, row.internal_offset, row.size, row.content_id)
        changed += 1
        more_seen += bool(after & _SEEN) - bool(before & _SEEN)
        more_deleted += bool(after & _DELETED) - bool(before & _DELETED)
    if changed:
        _count(tx, here, uids, modseq, more_seen, more_deleted)
    return FlagsStored(modseq if changed else highest, refused, changed, tuple(rows))


def _count(
    tx: Tx, here: tuple[AccountId, MailboxId], uids: Uids, modseq: int, more_seen: int, more_deleted: int
) -> None:
    """Log and count what was changed."""
    account_id, mailbox_id = here
    _log_ranges(tx, account_id, mailbox_id, uids, modseq)
    tx.run("UPDATE account_counter SET modseq = ? WHERE account_id = ?", (modseq, account_id))
    tx.run(_COUNTED, (modseq, more_seen, more_deleted, account_id, mailbox_id))
    tx.touch(account_id, mailbox_id, modseq)


class _Part:
    """One range of a STORE. Arguments: ?1 flags, ?2 account, ?3 mailbox, ?4 highest modseq to touch, then the range."""

    def __init__(self, tx: Tx, where: str, bound: tuple[Any, ...], change: FlagChange) -> None:
        self._tx = tx
        self._where = where
        self._bound = bound
        self._change = change
        self._flags: int = bound[0]
        self.sign = -1 if change is FlagChange.REMOVE else 1

    def gain(self, flag: Flag, having: int, messages: int) -> int | None:
        """How many more messages will have the flag; None where `update` will tell. `having` do in the whole mailbox."""
        named = bool(self._flags & flag)
        if self._change is not FlagChange.REPLACE:
            if not named:
                return 0
            if self._flags == flag:
                return None
        sets = named and self._change is not FlagChange.REMOVE
        if having == (messages if sets else 0):
            return 0
        found = self._tx.all(
            f"SELECT count(*) FROM message WHERE {self._where} AND flags & {int(flag)} {'=' if sets else '!='} 0"  # noqa: S608
            " AND ?1 = ?1",
            self._bound,
        )
        count: int = found[0][0]
        return count if sets else -count

    def update(self, modseq: int) -> int:
        """Change the flags; gives how many rows really changed."""
        return self._tx.count(
            f"UPDATE message SET flags = {_NEW[self._change]}, modseq = ?{len(self._bound) + 1}"  # noqa: S608
            f" WHERE {self._where} AND {_DIFFERS[self._change]}",
            (*self._bound, modseq),
        )


def _numbered(condition: str) -> str:
    """The condition with its arguments at ?5 and ?6."""
    return condition.replace("?", "?5", 1).replace("AND ?", "AND ?6", 1)


def _log_ranges(tx: Tx, account_id: AccountId, mailbox_id: MailboxId, uids: Uids, modseq: int) -> None:
    ranges = [(part.first, uidset.MAX_UID if part.last is None else part.last) for part in uids]
    if len(ranges) > _MOST_RANGES:
        ranges = [(ranges[0][0], ranges[-1][1])]
    for first, last in ranges:
        tx.run("INSERT INTO flag_change VALUES (?, ?, ?, ?, ?)", (account_id, mailbox_id, modseq, first, last))
