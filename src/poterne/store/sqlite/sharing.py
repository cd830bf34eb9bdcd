"""Access lists: who may do what in an account's mailboxes (RFC 4314).

Owners have no line: they may do everything. A line is an account's, or that of all accounts of the owner's domain; whom both
are about has the rights of both. A mailbox that is made inherits the lines of the one above it (RFC 4314 §4).
"""

from typing import Final

from poterne.store.errors import ConflictError, LimitError, NotFoundError
from poterne.store.interface_sharing import GRANTED_MOST
from poterne.store.sqlite import addresses, events, mailbox_rows
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.event import Event
from poterne.values.ids import AccountId, MailboxId
from poterne.values.mailbox import EVERYBODY
from poterne.values.sharing import ANYONE, Granted, Right, Shared

_EVERYBODY: Final = 0
"""As a grantee: every account of the domain."""

_ACCESS: Final = (
    "SELECT CASE r.grantee_id WHEN 0 THEN ?3 ELSE a.local_part || '@' || a.domain END AS identifier, r.rights"
    " FROM mailbox_right r LEFT JOIN account a ON a.account_id = r.grantee_id"
    " WHERE r.account_id = ?1 AND r.mailbox_id = ?2 AND (r.grantee_id = 0 OR a.account_id IS NOT NULL)"
    " ORDER BY r.grantee_id != 0, identifier"
)
# Two ways in, each by the index: named, or as one of the domain.
_LINES: Final = (
    "SELECT account_id, mailbox_id, rights FROM mailbox_right WHERE grantee_id = ?1"
    " UNION ALL SELECT r.account_id, r.mailbox_id, r.rights FROM account me JOIN mailbox_right r ON r.domain = me.domain"
    " WHERE me.account_id = ?1 AND r.grantee_id = 0 AND r.account_id != ?1"
)
_SHARED: Final = (
    "SELECT o.account_id, o.local_part || '@' || o.domain, {}, r.rights"  # words of ours
    " FROM ({}) r JOIN mailbox m USING (account_id, mailbox_id)"
    " JOIN account o USING (account_id)"
)
_ALL: Final = (
    _SHARED.format(mailbox_rows.COLUMNS, _LINES) + " ORDER BY o.domain, o.local_part, m.name != 'INBOX', m.name"
)
_RIGHTS: Final = (
    "SELECT r.rights FROM mailbox_right r JOIN account me ON me.account_id = ?1"
    " WHERE r.account_id = ?2 AND r.mailbox_id = ?3"
    " AND (r.grantee_id = ?1 OR (r.grantee_id = 0 AND r.domain = me.domain))"
)


def access(rows: Rows, account_id: AccountId, mailbox_id: MailboxId) -> list[Granted]:
    found = rows.all(_ACCESS, (account_id, mailbox_id, ANYONE))
    return [Granted(identifier, Right(rights)) for identifier, rights in found]


def grant(tx: Tx, account_id: AccountId, mailbox_id: MailboxId, identifier: str, rights: Right, event: Event) -> None:
    """One line of the list in place of what it was; without rights it goes."""
    if not mailbox_rows.by_id(tx, account_id, mailbox_id).selectable:
        raise NotFoundError("the name is no mailbox")
    grantee_id, domain = _grantee(tx, account_id, identifier)
    here = (account_id, mailbox_id)
    tx.run("DELETE FROM mailbox_right WHERE account_id = ? AND mailbox_id = ? AND grantee_id = ?", (*here, grantee_id))
    if rights:
        count: int = tx.all("SELECT count(*) FROM mailbox_right WHERE account_id = ? AND mailbox_id = ?", here)[0][0]
        if count >= GRANTED_MOST:
            raise LimitError(f"more than {GRANTED_MOST} lines in an access list")
        tx.run("INSERT INTO mailbox_right VALUES (?, ?, ?, ?, ?)", (*here, grantee_id, domain, int(rights)))
    tx.touch_names(EVERYBODY)
    events.record(tx, (event,))


def _grantee(tx: Tx, account_id: AccountId, identifier: str) -> tuple[int, str]:
    """Whom a line is about, as its row has it."""
    if identifier.lower() == ANYONE:
        row = tx.one("SELECT domain FROM account WHERE account_id = ?", (account_id,))
        if row is None:
            raise NotFoundError("no such account")
        return _EVERYBODY, row[0]
    grantee_id = addresses.account_id(tx, identifier)
    if grantee_id == account_id:
        raise ConflictError("the owner may do everything")
    return grantee_id, ""


def shared_with(rows: Rows, reader_id: AccountId) -> list[Shared]:
    found: dict[tuple[int, int], Shared] = {}
    for row in rows.all(_ALL, (reader_id,)):
        shared = _shared(row)
        key = (shared.mailbox.account_id, shared.mailbox.id)
        known = found.get(key)
        found[key] = shared if known is None else Shared(known.mailbox, known.owner, known.rights | shared.rights)
    return list(found.values())


def shared_mailbox(rows: Rows, reader_id: AccountId, owner: str, name: str) -> Shared:
    account_id = addresses.account_id(rows, owner)
    mailbox = mailbox_rows.by_name(rows, account_id, name)
    found = rights(rows, reader_id, account_id, mailbox.id)
    if not found:
        raise NotFoundError("no such mailbox")
    return Shared(mailbox, "@".join(addresses.parts(owner)), found)


def rights(rows: Rows, reader_id: AccountId, account_id: AccountId, mailbox_id: MailboxId) -> Right:
    found = Right(0)
    for (part,) in rows.all(_RIGHTS, (reader_id, account_id, mailbox_id)):
        found |= part
    return found


def inherit(tx: Tx, account_id: AccountId, mailbox_id: MailboxId, name: str) -> None:
    """A mailbox that is made has the lines of the one right above it."""
    parent, separator, _ = name.rpartition("/")
    if separator:
        tx.run(
            "INSERT OR IGNORE INTO mailbox_right SELECT r.account_id, ?, r.grantee_id, r.domain, r.rights FROM mailbox m"
            " JOIN mailbox_right r USING (account_id, mailbox_id) WHERE m.account_id = ? AND m.name = ?",
            (mailbox_id, account_id, parent),
        )


def forget_mailbox(tx: Tx, account_id: AccountId, mailbox_id: MailboxId) -> None:
    tx.run("DELETE FROM mailbox_right WHERE account_id = ? AND mailbox_id = ?", (account_id, mailbox_id))


def forget_account(tx: Tx, account_id: AccountId) -> None:
    """What others let it do. (What it let others do goes with its other rows.)"""
    tx.run("DELETE FROM mailbox_right WHERE grantee_id = ?", (account_id,))


def _shared(row: Row) -> Shared:
    account_id, owner, *columns, rights_ = row
    return Shared(mailbox_rows.mailbox(AccountId(account_id), tuple(columns)), owner, Right(rights_))
