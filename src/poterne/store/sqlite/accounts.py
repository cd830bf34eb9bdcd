"""Domains, accounts, aliases, credentials: what an administrator changes."""

from collections.abc import Sequence
from typing import Final

from poterne.store.errors import ConflictError, NotFoundError
from poterne.store.sqlite import events, mailbox_rows, mailboxes
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.directory import Account, Alias, Credential, Domain
from poterne.values.event import Event
from poterne.values.ids import AccountId
from poterne.values.mailbox import SpecialUse
from poterne.values.secret import Secret

_LARGEST_UID_VALIDITY: Final = 2**32 - 1
_ACCOUNT: Final = (
    "SELECT a.account_id, a.local_part || '@' || a.domain, a.name, a.language, a.disabled, c.quota_bytes, c.used_bytes,"
    " a.created_at FROM account a JOIN account_counter c USING (account_id)"
)

_ALIAS: Final = (
    "SELECT s.local_part || '@' || s.domain, s.created_at, a.local_part || '@' || a.domain FROM alias s"
    " JOIN alias_target t ON t.domain = s.domain AND t.local_part = s.local_part"
    " JOIN account a ON a.account_id = t.account_id"
)


def parts(address: str) -> tuple[str, str]:
    """Local part and domain, folded: the domain as lower-case A-label comes from the caller, case is folded here."""
    local_part, at, domain = address.rpartition("@")
    if not at or not local_part or not domain:
        raise NotFoundError("not an address")
    return local_part.lower(), domain.lower()


def _routes_changed(tx: Tx) -> None:
    """Tell every process that remembered routes are old; see `routing`."""
    tx.run("UPDATE meta SET value = value + 1 WHERE key = 'directory_serial'")


def domains(rows: Rows) -> list[Domain]:
    return [
        Domain(name, created_at) for name, created_at in rows.all("SELECT name, created_at FROM domain ORDER BY name")
    ]


def add_domain(tx: Tx, name: str, event: Event) -> None:
    name = name.lower()
    if tx.one("SELECT 1 FROM domain WHERE name = ?", (name,)):
        raise ConflictError("the domain exists")
    tx.run("INSERT INTO domain VALUES (?, ?)", (name, event.at))
    _routes_changed(tx)
    events.record(tx, (event,))


def remove_domain(tx: Tx, name: str, event: Event) -> None:
    name = name.lower()
    for table, what in (("account", "accounts"), ("alias", "aliases")):
        if tx.one(f"SELECT 1 FROM {table} WHERE domain = ? LIMIT 1", (name,)):  # noqa: S608  # a word of ours
            raise ConflictError(f"the domain has {what}")
    if not tx.count("DELETE FROM domain WHERE name = ?", (name,)):
        raise NotFoundError("no such domain")
    _routes_changed(tx)
    events.record(tx, (event,))


def accounts(rows: Rows, domain: str | None) -> list[Account]:
    where, args = ("", ()) if domain is None else (" WHERE a.domain = ?", (domain.lower(),))
    found = rows.all(f"{_ACCOUNT}{where} ORDER BY a.domain, a.local_part", args)
    keywords: dict[int, list[str]] = {}
    for account_id, name in rows.all("SELECT account_id, name FROM keyword ORDER BY account_id, position"):
        keywords.setdefault(account_id, []).append(name)
    return [_account(row, tuple(keywords.get(row[0], ()))) for row in found]


def account(rows: Rows, address: str) -> Account:
    local_part, domain = parts(address)
    row = rows.one(f"{_ACCOUNT} WHERE a.domain = ? AND a.local_part = ?", (domain, local_part))
    return _with_keywords(rows, row)


def account_by_id(rows: Rows, account_id: AccountId) -> Account:
    return _with_keywords(rows, rows.one(f"{_ACCOUNT} WHERE a.account_id = ?", (account_id,)))


def add_account(
    tx: Tx,
    address: str,
    name: str,
    language: str,
    verifier: Secret,
    quota_bytes: int,
    names: Sequence[tuple[str, SpecialUse | None]],
    event: Event,
) -> Account:
    local_part, domain = _free_address(tx, address)
    tx.run(
        "INSERT INTO account (domain, local_part, name, language, verifier, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        (domain, local_part, name, language, verifier.reveal(), event.at),
    )
    account_id = AccountId(tx.connection.last_insert_rowid())
    # UIDVALIDITY starts at the time, and above what a removed account of the same address may have used.
    floor: int = tx.all("SELECT value FROM meta WHERE key = 'uid_validity_floor'")[0][0]
    seed = max(floor, min(event.at, _LARGEST_UID_VALIDITY // 2))
    tx.run(
        "INSERT INTO account_counter (account_id, quota_bytes, last_uid_validity) VALUES (?, ?, ?)",
        (account_id, quota_bytes, seed),
    )
    for mailbox_name, special_use in (("INBOX", None), *names):
        if mailbox_rows.normalised(mailbox_name) != "INBOX" or special_use is None:
            mailboxes.make(tx, account_id, mailbox_name, special_use, missing_only=True)
            mailboxes.subscribe(tx, account_id, mailbox_name, subscribed=True)
    _routes_changed(tx)
    events.record(tx, (event,))
    return account_by_id(tx, account_id)


def remove_account(tx: Tx, account_id: AccountId, event: Event) -> None:
    """The account is gone at once; its messages are taken away by compaction in small steps."""
    row = tx.one("SELECT last_uid_validity FROM account_counter WHERE account_id = ?", (account_id,))
    if row is None or not tx.count("DELETE FROM account WHERE account_id = ?", (account_id,)):
        raise NotFoundError("no such account")
    tx.run("UPDATE meta SET value = max(value, ?) WHERE key = 'uid_validity_floor'", (row[0],))
    for table in ("account_counter", "mailbox", "subscription", "keyword", "alias_target"):
        tx.run(f"DELETE FROM {table} WHERE account_id = ?", (account_id,))  # noqa: S608  # words of ours
    tx.run(
        "DELETE FROM alias WHERE NOT EXISTS (SELECT 1 FROM alias_target t"
        " WHERE t.domain = alias.domain AND t.local_part = alias.local_part)"
    )
    tx.run("INSERT INTO removed_account VALUES (?)", (account_id,))
    _routes_changed(tx)
    events.record(tx, (event,))


def set_account(
    tx: Tx,
    account_id: AccountId,
    event: Event,
    *,
    disabled: bool | None = None,
    quota_bytes: int | None = None,
    name: str | None = None,
    language: str | None = None,
) -> Account:
    account_by_id(tx, account_id)
    tx.run(
        "UPDATE account SET disabled = coalesce(?, disabled), name = coalesce(?, name), language = coalesce(?, language)"
        " WHERE account_id = ?",
        (None if disabled is None else int(disabled), name, language, account_id),
    )
    if quota_bytes is not None:
        tx.run("UPDATE account_counter SET quota_bytes = ? WHERE account_id = ?", (quota_bytes, account_id))
    events.record(tx, (event,))
    return account_by_id(tx, account_id)


def set_password(tx: Tx, account_id: AccountId, verifier: Secret, event: Event) -> None:
    if not tx.count("UPDATE account SET verifier = ? WHERE account_id = ?", (verifier.reveal(), account_id)):
        raise NotFoundError("no such account")
    events.record(tx, (event,))


def credential(rows: Rows, address: str) -> Credential:
    local_part, domain = parts(address)
    row = rows.one(
        "SELECT account_id, verifier FROM account WHERE domain = ? AND local_part = ? AND NOT disabled",
        (domain, local_part),
    )
    if row is None:
        raise NotFoundError("no account that may sign in")
    return Credential(AccountId(row[0]), Secret(row[1]))


def aliases(rows: Rows, domain: str | None) -> list[Alias]:
    where, args = ("", ()) if domain is None else (" WHERE s.domain = ?", (domain.lower(),))
    found: dict[tuple[str, int], list[str]] = {}
    for alias, created_at, target in rows.all(
        f"{_ALIAS}{where} ORDER BY s.domain, s.local_part, a.domain, a.local_part",
        args,
    ):
        found.setdefault((alias, created_at), []).append(target)
    return [Alias(alias, tuple(targets), created_at) for (alias, created_at), targets in found.items()]


def add_alias(tx: Tx, address: str, targets: Sequence[str], event: Event) -> None:
    local_part, domain = _free_address(tx, address)
    if not targets:
        raise NotFoundError("an alias needs a target")
    tx.run("INSERT INTO alias VALUES (?, ?, ?)", (domain, local_part, event.at))
    for account_id in {account(tx, target).id for target in targets}:
        tx.run("INSERT INTO alias_target VALUES (?, ?, ?)", (domain, local_part, account_id))
    _routes_changed(tx)
    events.record(tx, (event,))


def remove_alias(tx: Tx, address: str, event: Event) -> None:
    local_part, domain = parts(address)
    if not tx.count("DELETE FROM alias WHERE domain = ? AND local_part = ?", (domain, local_part)):
        raise NotFoundError("no such alias")
    tx.run("DELETE FROM alias_target WHERE domain = ? AND local_part = ?", (domain, local_part))
    _routes_changed(tx)
    events.record(tx, (event,))


def _free_address(tx: Tx, address: str) -> tuple[str, str]:
    """The parts of an address of a local domain that nobody has."""
    local_part, domain = parts(address)
    if not tx.one("SELECT 1 FROM domain WHERE name = ?", (domain,)):
        raise NotFoundError("not a local domain")
    for table in ("account", "alias"):
        where = "domain = ? AND local_part = ?"
        if tx.one(f"SELECT 1 FROM {table} WHERE {where}", (domain, local_part)):  # noqa: S608  # words of ours
            raise ConflictError("the address is taken")
    return local_part, domain


def _with_keywords(rows: Rows, row: Row | None) -> Account:
    if row is None:
        raise NotFoundError("no such account")
    return _account(row, keywords(rows, AccountId(row[0])))


def keywords(rows: Rows, account_id: AccountId) -> tuple[str, ...]:
    """Names by position: the i-th is bit `KEYWORD_SHIFT + i`."""
    found = rows.all("SELECT name FROM keyword WHERE account_id = ? ORDER BY position", (account_id,))
    return tuple(name for (name,) in found)


def _account(row: Row, names: tuple[str, ...]) -> Account:
    account_id, address, name, language, disabled, quota_bytes, used_bytes, created_at = row
    return Account(
        AccountId(account_id), address, name, language, bool(disabled), quota_bytes, used_bytes, created_at, names
    )
