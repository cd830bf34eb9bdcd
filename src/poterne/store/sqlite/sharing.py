"""Access lists: who may do what in an account's mailboxes (RFC 4314).

Owners have no line: they may do everything. A line is an account's, or that of all accounts of the owner's domain; whom both
are about has the rights of both. A mailbox that is made inherits the lines of the one above it (RFC 4314 §4).
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import apsw

from poterne.store.errors import ConflictError, LimitError, NoGranteeError, NotFoundError
from poterne.store.interface_sharing import ANYONE_MOST, GRANTED_MOST, LINES_MOST, NAMED_MOST, SHARED_MOST
from poterne.store.sqlite import addresses, events, mailbox_rows
from poterne.store.sqlite.connection import Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.event import Event
from poterne.values.ids import AccountId, MailboxId
from poterne.values.mailbox import EVERYBODY
from poterne.values.sharing import ANYONE, NO_RIGHT, Granted, Right, Shared, letters

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
    " LIMIT ?2"
)
_OWNERS: Final = (
    "SELECT account_id, local_part || '@' || domain FROM account"
    " WHERE account_id IN carray(?) ORDER BY domain, local_part"
)
_PAGE: Final = (
    f"SELECT {mailbox_rows.COLUMNS} FROM mailbox m"  # noqa: S608  # words of ours
    " WHERE m.account_id = ? AND m.mailbox_id IN carray(?)"
)
PAGE_ROWS: Final = 100
"""Of mailboxes that are read at once: a few ms."""
_COUNTS: Final = (
    "SELECT total(mailbox_id = ?2), count(*), total(grantee_id = 0), (SELECT max(n) FROM (SELECT count(*) AS n"
    " FROM mailbox_right WHERE account_id = ?1 AND grantee_id != 0 GROUP BY grantee_id))"
    " FROM mailbox_right WHERE account_id = ?1"
)
_RIGHTS: Final = (
    "SELECT r.rights FROM mailbox_right r JOIN account me ON me.account_id = ?1 AND NOT me.disabled"
    " WHERE r.account_id = ?2 AND r.mailbox_id = ?3"
    " AND (r.grantee_id = ?1 OR (r.grantee_id = 0 AND r.domain = me.domain))"
)


def access(rows: Rows, account_id: AccountId, mailbox_id: MailboxId) -> list[Granted]:
    found = rows.all(_ACCESS, (account_id, mailbox_id, ANYONE))
    return [Granted(identifier, Right(rights)) for identifier, rights in found]


def grant(
    tx: Tx,
    account_id: AccountId,
    mailbox_id: MailboxId,
    identifier: str,
    rights: Right,
    event: Event,
    kept: Right = NO_RIGHT,
) -> None:
    """One line of the list in place of what it was, but for what is kept of it; without rights it goes."""
    if not mailbox_rows.by_id(tx, account_id, mailbox_id).selectable:
        raise NotFoundError("the name is no mailbox")
    grantee_id, domain = _grantee(tx, account_id, identifier)
    here = (account_id, mailbox_id)
    had = tx.all(
        "DELETE FROM mailbox_right WHERE account_id = ? AND mailbox_id = ? AND grantee_id = ? RETURNING rights",
        (*here, grantee_id),
    )
    if had and kept:
        rights |= kept & had[0][0]
        event = replace(event, detail={**event.detail, "rights": letters(rights)})
    if rights:
        tx.run("INSERT INTO mailbox_right VALUES (?, ?, ?, ?, ?)", (*here, grantee_id, domain, int(rights)))
        if not had:
            _check_room(tx, account_id, mailbox_id)
    tx.touch_names(EVERYBODY)
    events.record(tx, (event,))


def _check_room(tx: Tx, account_id: AccountId, mailbox_id: MailboxId) -> None:
    """After lines were added to this list. LimitError: they are too many."""
    here, everywhere, anyone, named = tx.all(_COUNTS, (account_id, mailbox_id))[0]
    if here > GRANTED_MOST:
        raise LimitError(f"more than {GRANTED_MOST} lines in an access list")
    if everywhere > LINES_MOST:
        raise LimitError(f"more than {LINES_MOST} lines in the access lists of an account")
    if anyone > ANYONE_MOST:
        raise LimitError(f"more than {ANYONE_MOST} mailboxes of an account for its whole domain")
    if (named or 0) > NAMED_MOST:
        raise LimitError(f"more than {NAMED_MOST} mailboxes of an account for another one")


def _grantee(tx: Tx, account_id: AccountId, identifier: str) -> tuple[int, str]:
    """Whom a line is about, as its row has it."""
    if identifier.lower() == ANYONE:
        row = tx.one("SELECT domain FROM account WHERE account_id = ?", (account_id,))
        if row is None:
            raise NotFoundError("no such account")
        return _EVERYBODY, row[0]
    try:
        grantee_id = addresses.account_id(tx, identifier)
    except NotFoundError as error:
        raise NoGranteeError("no such grantee") from error
    if grantee_id == account_id:
        raise ConflictError("the owner may do everything")
    return grantee_id, ""


def granted_to(rows: Rows, reader_id: AccountId) -> dict[int, dict[int, int]]:
    """The rights that an account has in mailboxes of others, by account and mailbox."""
    found: dict[int, dict[int, int]] = {}
    for account_id, mailbox_id, rights_ in rows.all(_LINES, (reader_id, SHARED_MOST)):
        granted = found.setdefault(account_id, {})
        granted[mailbox_id] = granted.get(mailbox_id, 0) | rights_
    return found


def owners(rows: Rows, account_ids: Iterable[int]) -> list[tuple[int, str]]:
    """Accounts that are still there, with their addresses, in the order of those."""
    wanted = apsw.carray(array("q", account_ids))
    return [(account_id, address) for account_id, address in rows.all(_OWNERS, (wanted,))]


def shared(rows: Rows, account_id: int, owner: str, granted: Sequence[tuple[int, int]]) -> list[Shared]:
    """These mailboxes of one account, as far as they are still there."""
    rights_of = dict(granted)
    wanted = apsw.carray(array("q", rights_of))
    found = [mailbox_rows.mailbox(AccountId(account_id), row) for row in rows.all(_PAGE, (account_id, wanted))]
    return [Shared(mailbox, owner, Right(rights_of[mailbox.id])) for mailbox in found]


def by_name(shared: Shared) -> tuple[bool, str]:
    return shared.mailbox.name != "INBOX", shared.mailbox.name


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
        lines = tx.count(
            "INSERT OR IGNORE INTO mailbox_right SELECT r.account_id, ?, r.grantee_id, r.domain, r.rights FROM mailbox m"
            " JOIN mailbox_right r USING (account_id, mailbox_id) WHERE m.account_id = ? AND m.name = ?",
            (mailbox_id, account_id, parent),
        )
        if lines:
            _check_room(tx, account_id, mailbox_id)


def forget_mailbox(tx: Tx, account_id: AccountId, mailbox_id: MailboxId) -> None:
    tx.run("DELETE FROM mailbox_right WHERE account_id = ? AND mailbox_id = ?", (account_id, mailbox_id))


def forget_account(tx: Tx, account_id: AccountId) -> None:
    """What others let it do. (What it let others do goes with its other rows.)"""
    tx.run("DELETE FROM mailbox_right WHERE grantee_id = ?", (account_id,))
