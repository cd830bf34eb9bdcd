"""Domains, accounts, credentials: what an administrator changes."""

from collections.abc import Sequence
from typing import Final

import msgspec

from poterne.store.errors import ConflictError, LimitError, NotFoundError
from poterne.store.sqlite import (
    addresses,
    aliases,
    annotations,
    dkim_keys,
    events,
    holds,
    mailbox_rows,
    mailboxes,
    reports_forgotten,
    senders,
    sharing,
    watched,
)
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.routing import directory_changed
from poterne.store.sqlite.transaction import Tx
from poterne.values.directory import Account, Credential, Domain
from poterne.values.event import Event
from poterne.values.ids import AccountId
from poterne.values.mailbox import SpecialUse
from poterne.values.origin import Origin, OriginKind
from poterne.values.secret import Secret
from poterne.values.sending import SendingLimits

FORWARDERS_MOST: Final = 100
"""Of one account."""
_LARGEST_UID_VALIDITY: Final = 2**32 - 1
_ACCOUNT: Final = (
    "SELECT a.account_id, a.local_part || '@' || a.domain, a.name, a.language, a.disabled, c.quota_bytes, c.used_bytes,"
    " a.created_at, a.limits, a.keeps, (SELECT json_group_array(address) FROM account_forward f"
    " WHERE f.account_id = a.account_id), a.forwarders, c.quota_messages, c.used_messages,"
    " a.imap_without"
    " FROM account a JOIN account_counter c USING (account_id)"
)
_CREDENTIAL: Final = "SELECT account_id, verifier, limits FROM account"

_OF_ACCOUNT: Final = (
    "account",
    "account_counter",
    "account_forward",
    "alias_target",
    "annotation",
    "correspondent",
    "import_source",
    "keyword",
    "mailbox",
    "mailbox_right",
    "retention_rule",
    "subscription",
)
"""What goes at once with an account, by its id."""

_encode = msgspec.json.Encoder().encode
_limits = msgspec.json.Decoder(SendingLimits).decode


def domains(rows: Rows) -> list[Domain]:
    return [
        Domain(name, created_at) for name, created_at in rows.all("SELECT name, created_at FROM domain ORDER BY name")
    ]


def add_domain(tx: Tx, name: str, event: Event) -> None:
    name = name.lower()
    if tx.one("SELECT 1 FROM domain WHERE name = ?", (name,)):
        raise ConflictError("the domain exists")
    tx.run("INSERT INTO domain VALUES (?, ?)", (name, event.at))
    directory_changed(tx)
    events.record(tx, (event,))


def remove_domain(tx: Tx, name: str, event: Event) -> None:
    name = name.lower()
    for table, what in (("account", "accounts"), ("alias", "aliases")):
        if tx.one(f"SELECT 1 FROM {table} WHERE domain = ? LIMIT 1", (name,)):  # noqa: S608  # a word of ours
            raise ConflictError(f"the domain has {what}")
    if not tx.count("DELETE FROM domain WHERE name = ?", (name,)):
        raise NotFoundError("no such domain")
    dkim_keys.forget_domain(tx, name)
    watched.forget_domain(tx, name)
    reports_forgotten.forget_domain(tx, name)
    holds.forget_domain(tx, name)
    directory_changed(tx)
    events.record(tx, (event,))


def accounts(rows: Rows, domain: str | None) -> list[Account]:
    where, args = ("", ()) if domain is None else (" WHERE a.domain = ?", (domain.lower(),))
    found = rows.all(f"{_ACCOUNT}{where} ORDER BY a.domain, a.local_part", args)
    keywords: dict[int, list[str]] = {}
    for account_id, name in rows.all("SELECT account_id, name FROM keyword ORDER BY account_id, position"):
        keywords.setdefault(account_id, []).append(name)
    return [_account(row, tuple(keywords.get(row[0], ()))) for row in found]


def account(rows: Rows, address: str) -> Account:
    local_part, domain = addresses.parts(address)
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
    quota_messages: int = 0,
) -> Account:
    local_part, domain = addresses.free(tx, address)
    if local_part == addresses.CATCH_ALL:
        raise ConflictError("a catch-all is an alias")
    tx.run(
        "INSERT INTO account (domain, local_part, name, language, verifier, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        (domain, local_part, name, language, verifier.reveal(), event.at),
    )
    account_id = AccountId(tx.connection.last_insert_rowid())
    # UIDVALIDITY starts at the time, and above what a removed account of the same address may have used.
    floor: int = tx.all("SELECT value FROM meta WHERE key = 'uid_validity_floor'")[0][0]
    seed = max(floor, min(event.at, _LARGEST_UID_VALIDITY // 2))
    tx.run(
        "INSERT INTO account_counter (account_id, quota_bytes, quota_messages, last_uid_validity) VALUES (?, ?, ?, ?)",
        (account_id, quota_bytes, quota_messages, seed),
    )
    for mailbox_name, special_use in (("INBOX", None), *names):
        if mailbox_rows.normalised(mailbox_name) != "INBOX" or special_use is None:
            mailboxes.make(tx, account_id, mailbox_name, special_use, missing_only=True)
            mailboxes.subscribe(tx, account_id, mailbox_name, subscribed=True)
    directory_changed(tx)
    events.record(tx, (event,))
    return account_by_id(tx, account_id)


def remove_account(tx: Tx, account_id: AccountId, event: Event) -> None:
    """The account is gone at once; its messages are taken away by compaction in small steps."""
    row = tx.one(
        "SELECT c.last_uid_validity, a.local_part || '@' || a.domain FROM account a"
        " JOIN account_counter c USING (account_id) WHERE a.account_id = ?",
        (account_id,),
    )
    if row is None:
        raise NotFoundError("no such account")
    if holds.is_held(tx, account_id):
        raise ConflictError("the account is under a legal hold")
    last_uid_validity, address = row
    tx.run("UPDATE meta SET value = max(value, ?) WHERE key = 'uid_validity_floor'", (last_uid_validity,))
    for table in _OF_ACCOUNT:
        tx.run(f"DELETE FROM {table} WHERE account_id = ?", (account_id,))  # noqa: S608  # words of ours
    aliases.forget_account(tx, account_id, address)
    senders.remove_of(tx, account_id)
    sharing.forget_account(tx, account_id)
    annotations.forget_reader(tx, account_id)
    senders.forget_usage(tx, Origin(OriginKind.ACCOUNT, address))
    tx.run("INSERT INTO removed_account VALUES (?)", (account_id,))
    directory_changed(tx)
    events.record(tx, (event,))


def set_account(
    tx: Tx,
    account_id: AccountId,
    event: Event,
    *,
    disabled: bool | None = None,
    quota_bytes: int | None = None,
    quota_messages: int | None = None,
    name: str | None = None,
    language: str | None = None,
    imap_without: Sequence[str] | None = None,
) -> Account:
    account_by_id(tx, account_id)
    tx.run(
        "UPDATE account SET disabled = coalesce(?, disabled), name = coalesce(?, name), language = coalesce(?, language),"
        " imap_without = coalesce(?, imap_without) WHERE account_id = ?",
        (
            None if disabled is None else int(disabled),
            name,
            language,
            None if imap_without is None else " ".join(imap_without),
            account_id,
        ),
    )
    if quota_bytes is not None or quota_messages is not None:
        tx.run(
            "UPDATE account_counter SET quota_bytes = coalesce(?, quota_bytes), quota_messages = coalesce(?, quota_messages)"
            " WHERE account_id = ?",
            (quota_bytes, quota_messages, account_id),
        )
    if disabled is not None or quota_bytes is not None or quota_messages is not None:
        directory_changed(tx)
    events.record(tx, (event,))
    return account_by_id(tx, account_id)


def set_password(tx: Tx, account_id: AccountId, verifier: Secret, event: Event) -> None:
    if not tx.count("UPDATE account SET verifier = ? WHERE account_id = ?", (verifier.reveal(), account_id)):
        raise NotFoundError("no such account")
    directory_changed(tx)
    events.record(tx, (event,))


def set_limits(tx: Tx, account_id: AccountId, limits: SendingLimits | None, event: Event) -> None:
    text = None if limits is None else _encode(limits).decode()
    if not tx.count("UPDATE account SET limits = ? WHERE account_id = ?", (text, account_id)):
        raise NotFoundError("no such account")
    events.record(tx, (event,))


def set_forwarders(tx: Tx, account_id: AccountId, names: Sequence[str], event: Event) -> None:
    wanted = tuple(dict.fromkeys(name.lower() for name in names))
    if len(wanted) > FORWARDERS_MOST:
        raise LimitError(f"more than {FORWARDERS_MOST} forwarders")
    if not tx.count("UPDATE account SET forwarders = ? WHERE account_id = ?", (addresses.packed(wanted), account_id)):
        raise NotFoundError("no such account")
    events.record(tx, (event,))


def set_forwards(tx: Tx, account_id: AccountId, forwards: Sequence[str], keeps: bool, event: Event) -> None:
    wanted = addresses.checked(forwards)
    kept = int(keeps or not wanted)
    if not tx.count("UPDATE account SET keeps = ? WHERE account_id = ?", (kept, account_id)):
        raise NotFoundError("no such account")
    tx.run("DELETE FROM account_forward WHERE account_id = ?", (account_id,))
    tx.run_many("INSERT INTO account_forward VALUES (?, ?)", [(account_id, address) for address in wanted])
    directory_changed(tx)
    events.record(tx, (event,))


def credential(rows: Rows, address: str) -> Credential:
    local_part, domain = addresses.parts(address)
    row = rows.one(
        f"{_CREDENTIAL} WHERE domain = ? AND local_part = ? AND NOT disabled",
        (domain, local_part),
    )
    return _credential(row)


def credential_of(rows: Rows, account_id: AccountId) -> Credential:
    return _credential(rows.one(f"{_CREDENTIAL} WHERE account_id = ? AND NOT disabled", (account_id,)))


def _credential(row: Row | None) -> Credential:
    if row is None:
        raise NotFoundError("no account that may sign in")
    account_id, verifier, limits = row
    return Credential(AccountId(account_id), Secret(verifier), None if limits is None else _limits(limits))


def _with_keywords(rows: Rows, row: Row | None) -> Account:
    if row is None:
        raise NotFoundError("no such account")
    return _account(row, keywords(rows, AccountId(row[0])))


def keywords(rows: Rows, account_id: AccountId) -> tuple[str, ...]:
    """Names by position: the i-th is bit `KEYWORD_SHIFT + i`."""
    found = rows.all("SELECT name FROM keyword WHERE account_id = ? ORDER BY position", (account_id,))
    return tuple(name for (name,) in found)


def _account(row: Row, names: tuple[str, ...]) -> Account:
    account_id, address, name, language, disabled, quota_bytes, used_bytes, created_at, *rest = row
    limits, keeps, forwards, forwarders, quota_messages, used_messages, imap_without = rest
    return Account(
        AccountId(account_id),
        address,
        name,
        language,
        bool(disabled),
        quota_bytes,
        used_bytes,
        created_at,
        names,
        None if limits is None else _limits(limits),
        addresses.unpacked(forwards),
        bool(keeps),
        addresses.unpacked(forwarders),
        quota_messages,
        used_messages,
        tuple(imap_without.split()),
    )
