"""Mailbox rows and names, read."""

from typing import Final

from poterne.store.errors import NotFoundError
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.ids import AccountId, MailboxId, ModSeq
from poterne.values.mailbox import Mailbox, SpecialUse

INBOX: Final = "INBOX"
INBOX_ID: Final = MailboxId(1)
"""Made first in every account; it cannot be deleted and keeps its row when renamed."""

COLUMNS: Final = (
    "m.mailbox_id, m.name, uid_validity, uid_next, highest_modseq, messages, unseen, deleted, size_bytes, recent_uid,"
    " EXISTS (SELECT 1 FROM subscription s WHERE s.account_id = m.account_id AND s.name = m.name),"
    " special_use, selectable"
)
"""Of `mailbox m`, for `mailbox`."""
_COLUMNS: Final = f"SELECT {COLUMNS} FROM mailbox m"  # noqa: S608  # words of ours
_BY_ID: Final = f"{_COLUMNS} WHERE account_id = ? AND mailbox_id = ?"
_BY_NAME: Final = f"{_COLUMNS} WHERE account_id = ? AND name = ?"
_BY_ACCOUNT: Final = f"{_COLUMNS} WHERE account_id = ? ORDER BY name != 'INBOX', name"


def normalised(name: str) -> str:
    """INBOX is the same in any case, also as a parent (RFC 9051 §5.1); a trailing separator says nothing."""
    name = name.removesuffix("/")
    if name[:5].upper() == INBOX and (len(name) == 5 or name[5] == "/"):
        return INBOX + name[5:]
    return name


def mailboxes(rows: Rows, account_id: AccountId) -> list[Mailbox]:
    found = [mailbox(account_id, row) for row in rows.all(_BY_ACCOUNT, (account_id,))]
    if not found:  # every account has INBOX
        raise NotFoundError("no such account")
    return found


def by_name(rows: Rows, account_id: AccountId, name: str) -> Mailbox:
    found = find(rows, account_id, name)
    if found is None:
        raise NotFoundError("no such mailbox")
    return found


def find(rows: Rows, account_id: AccountId, name: str) -> Mailbox | None:
    row = rows.one(_BY_NAME, (account_id, normalised(name)))
    return None if row is None else mailbox(account_id, row)


def by_id(rows: Rows, account_id: AccountId, mailbox_id: MailboxId) -> Mailbox:
    row = rows.one(_BY_ID, (account_id, mailbox_id))
    if row is None:
        raise NotFoundError("no such mailbox")
    return mailbox(account_id, row)


def subscriptions(rows: Rows, account_id: AccountId) -> list[str]:
    found = rows.all("SELECT name FROM subscription WHERE account_id = ? ORDER BY name != 'INBOX', name", (account_id,))
    return [name for (name,) in found]


def next_modseq(tx: Tx, account_id: AccountId) -> ModSeq:
    """The account's next modseq; raises NotFoundError for an account that is gone."""
    row = tx.one("UPDATE account_counter SET modseq = modseq + 1 WHERE account_id = ? RETURNING modseq", (account_id,))
    if row is None:
        raise NotFoundError("no such account")
    return ModSeq(row[0])


def mailbox(account_id: AccountId, row: Row) -> Mailbox:
    """From a row of `COLUMNS`."""
    mailbox_id, name, uid_validity, uid_next, modseq, messages, unseen, deleted, size, recent, subscribed, use, ok = row
    return Mailbox(
        account_id,
        mailbox_id,
        name,
        uid_validity,
        uid_next,
        modseq,
        messages,
        unseen,
        deleted,
        size,
        recent,
        bool(subscribed),
        SpecialUse(use) if use else None,
        bool(ok),
    )
