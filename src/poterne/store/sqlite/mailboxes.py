"""Changing mailboxes: names, hierarchy, subscriptions."""

from typing import Final

from poterne.store.errors import ConflictError, LimitError, NotFoundError
from poterne.store.sqlite import annotations, copying, events, expunging, sharing
from poterne.store.sqlite.mailbox_rows import INBOX_ID, by_id, find, next_modseq, normalised
from poterne.store.sqlite.transaction import Tx
from poterne.values.event import Event
from poterne.values.ids import AccountId, MailboxId, Uid
from poterne.values.mailbox import Mailbox, SpecialUse, UidRange

_SEPARATOR: Final = "/"
_AFTER_SEPARATOR: Final = "0"
"""The character behind "/": names of children are from `name/` to before `name0`."""


def create(tx: Tx, account_id: AccountId, name: str, special_use: SpecialUse | None, event: Event) -> Mailbox:
    """It and its missing parents (RFC 9051 §6.3.4)."""
    made = make(tx, account_id, name, special_use)
    events.record(tx, (event,))
    return made


def make(
    tx: Tx, account_id: AccountId, name: str, special_use: SpecialUse | None, *, missing_only: bool = False
) -> Mailbox:
    """A mailbox with this name; where it exists ConflictError, or with `missing_only` the one that is there."""
    name = _checked(tx, name)
    levels = name.split(_SEPARATOR)
    for depth in range(1, len(levels)):
        parent = _SEPARATOR.join(levels[:depth])
        if tx.one("SELECT 1 FROM mailbox WHERE account_id = ? AND name = ?", (account_id, parent)) is None:
            _insert(tx, account_id, parent, None)
    found = find(tx, account_id, name)
    if found is None:
        return by_id(tx, account_id, _insert(tx, account_id, name, special_use))
    if not found.selectable:
        return _revive(tx, found, special_use)
    if not missing_only:
        raise ConflictError("the mailbox exists")
    return found


def delete(tx: Tx, account_id: AccountId, mailbox_id: MailboxId, event: Event) -> None:
    if mailbox_id == INBOX_ID:
        raise ConflictError("INBOX stays")
    found = by_id(tx, account_id, mailbox_id)
    has_children = _has_children(tx, account_id, found.name)
    if not found.selectable and has_children:
        raise ConflictError("the name has children")
    expunging.empty(tx, found)
    sharing.forget_mailbox(tx, account_id, mailbox_id)
    annotations.forget(tx, account_id, mailbox_id)
    modseq = next_modseq(tx, account_id)
    where = "WHERE account_id = ? AND mailbox_id = ?"
    if has_children:
        tx.run(
            "UPDATE mailbox SET selectable = 0, special_use = NULL, messages = 0, unseen = 0, deleted = 0, size_bytes = 0,"  # noqa: S608
            f" highest_modseq = ?, flag_change_floor = ? {where}",
            (modseq, modseq, account_id, mailbox_id),
        )
    else:
        tx.run(f"DELETE FROM mailbox {where}", (account_id, mailbox_id))  # noqa: S608  # words of ours
        _prune_parents(tx, account_id, found.name)
    tx.touch(account_id, mailbox_id, modseq)
    tx.touch_names(account_id)
    events.record(tx, (event,))


def rename(tx: Tx, account_id: AccountId, mailbox_id: MailboxId, name: str, event: Event) -> None:
    name = _checked(tx, name)
    found = by_id(tx, account_id, mailbox_id)
    if tx.one("SELECT 1 FROM mailbox WHERE account_id = ? AND name = ?", (account_id, name)):
        raise ConflictError("the mailbox exists")
    if name.startswith(found.name + _SEPARATOR) and mailbox_id != INBOX_ID:
        raise ConflictError("a mailbox cannot move into itself")
    if mailbox_id == INBOX_ID:  # RFC 9051 §6.3.6: its messages go, its children stay
        destination = make(tx, account_id, name, None)
        copying.move(tx, account_id, mailbox_id, (UidRange(1, None),), destination.id, None)
        annotations.copy(tx, account_id, mailbox_id, destination.id)
    else:
        _make_parents(tx, account_id, name)
        modseq = next_modseq(tx, account_id)
        moved = tx.all(
            "UPDATE mailbox SET name = ? || substr(name, ?), highest_modseq = ?"
            " WHERE account_id = ? AND (name = ? OR (name > ? AND name < ?)) RETURNING mailbox_id, name",
            (name, len(found.name) + 1, modseq, account_id, found.name, *_children(found.name)),
        )
        for moved_id, moved_name in moved:
            _checked(tx, moved_name)
            tx.touch(account_id, moved_id, modseq)
        _prune_parents(tx, account_id, found.name)
        tx.touch_names(account_id)
    events.record(tx, (event,))


def set_special_use(tx: Tx, account_id: AccountId, mailbox_id: MailboxId, use: SpecialUse | None, event: Event) -> None:
    """It is the mailbox for this use, and no other one is any more."""
    by_id(tx, account_id, mailbox_id)
    modseq = next_modseq(tx, account_id)
    value = use.value if use else None
    changed = tx.all(
        "UPDATE mailbox SET special_use = CASE mailbox_id WHEN ? THEN ? END, highest_modseq = ?"
        " WHERE account_id = ? AND (mailbox_id = ? OR special_use = ?) RETURNING mailbox_id",
        (mailbox_id, value, modseq, account_id, mailbox_id, value),
    )
    for (changed_id,) in changed:
        tx.touch(account_id, changed_id, modseq)
    events.record(tx, (event,))


def subscribe(tx: Tx, account_id: AccountId, name: str, *, subscribed: bool) -> None:
    name = normalised(name)
    if not subscribed:
        if tx.count("DELETE FROM subscription WHERE account_id = ? AND name = ?", (account_id, name)):
            tx.touch_names(account_id)
        return
    _checked(tx, name)
    count: int = tx.all("SELECT count(*) FROM subscription WHERE account_id = ?", (account_id,))[0][0]
    if count >= tx.limits.subscriptions:
        raise LimitError("too many subscriptions")
    if tx.one("SELECT 1 FROM account_counter WHERE account_id = ?", (account_id,)) is None:
        raise NotFoundError("no such account")
    if tx.count("INSERT OR IGNORE INTO subscription VALUES (?, ?)", (account_id, name)):
        tx.touch_names(account_id)


def claim_recent(tx: Tx, account_id: AccountId, mailbox_id: MailboxId) -> Uid:
    found = by_id(tx, account_id, mailbox_id)
    if found.recent_uid != found.uid_next:
        tx.run(
            "UPDATE mailbox SET recent_uid = uid_next WHERE account_id = ? AND mailbox_id = ?", (account_id, mailbox_id)
        )
    return found.recent_uid


def _checked(tx: Tx, name: str) -> str:
    """The normalised name, within the limits."""
    name = normalised(name)
    levels = name.split(_SEPARATOR)
    if not all(levels) or len(levels) > tx.limits.name_depth or len(name.encode()) > tx.limits.name_bytes:
        raise LimitError("not a mailbox name, or too long or too deep")
    return name


def _insert(tx: Tx, account_id: AccountId, name: str, special_use: SpecialUse | None) -> MailboxId:
    count: int = tx.all("SELECT count(*) FROM mailbox WHERE account_id = ?", (account_id,))[0][0]
    if count >= tx.limits.mailboxes:
        raise LimitError("too many mailboxes")
    row = tx.one(
        "UPDATE account_counter SET modseq = modseq + 1, last_mailbox_id = last_mailbox_id + 1,"
        " last_uid_validity = last_uid_validity + 1 WHERE account_id = ?"
        " RETURNING last_mailbox_id, last_uid_validity, modseq",
        (account_id,),
    )
    if row is None:
        raise NotFoundError("no such account")
    mailbox_id, uid_validity, modseq = row
    tx.run(
        "INSERT INTO mailbox (account_id, mailbox_id, name, uid_validity, highest_modseq, special_use)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (account_id, mailbox_id, name, uid_validity, modseq, special_use.value if special_use else None),
    )
    sharing.inherit(tx, account_id, mailbox_id, name)
    tx.touch(account_id, mailbox_id, modseq)
    tx.touch_names(account_id)
    return MailboxId(mailbox_id)


def _revive(tx: Tx, found: Mailbox, special_use: SpecialUse | None) -> Mailbox:
    """A name that was only a parent is a mailbox again: another one, since who has the first one selected may not go on in it."""
    tx.run("DELETE FROM mailbox WHERE account_id = ? AND mailbox_id = ?", (found.account_id, found.id))
    mailbox_id = _insert(tx, found.account_id, found.name, special_use)
    annotations.move(tx, found.account_id, found.id, mailbox_id)
    return by_id(tx, found.account_id, mailbox_id)


def _make_parents(tx: Tx, account_id: AccountId, name: str) -> None:
    parent, separator, _ = name.rpartition(_SEPARATOR)
    if separator and tx.one("SELECT 1 FROM mailbox WHERE account_id = ? AND name = ?", (account_id, parent)) is None:
        make(tx, account_id, parent, None)


def _prune_parents(tx: Tx, account_id: AccountId, name: str) -> None:
    """Names that were only parents go with their last child."""
    while _SEPARATOR in name:
        name = name.rpartition(_SEPARATOR)[0]
        where = "account_id = ? AND name = ? AND NOT selectable"
        if _has_children(tx, account_id, name):
            return
        gone = tx.one(
            f"DELETE FROM mailbox WHERE {where} RETURNING mailbox_id",  # noqa: S608  # words of ours
            (account_id, name),
        )
        if gone is None:
            return
        annotations.forget(tx, account_id, MailboxId(gone[0]))


def _children(name: str) -> tuple[str, str]:
    return name + _SEPARATOR, name + _AFTER_SEPARATOR


def _has_children(tx: Tx, account_id: AccountId, name: str) -> bool:
    where = "account_id = ? AND name > ? AND name < ?"
    return tx.one(f"SELECT 1 FROM mailbox WHERE {where} LIMIT 1", (account_id, *_children(name))) is not None  # noqa: S608
