"""Rules of retention and legal holds, as rows."""

from typing import Final

from poterne.store.errors import LimitError, NotFoundError
from poterne.store.sqlite import events
from poterne.store.sqlite.connection import Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.event import Event
from poterne.values.ids import AccountId
from poterne.values.retention import Hold, Rule, What

RULES_MOST: Final = 100_000
FOLDER_MOST: Final = 512
REASON_MOST: Final = 500

HELD: Final = (
    "EXISTS (SELECT 1 FROM legal_hold h JOIN account a ON h.account_id = a.account_id OR h.domain = a.domain"
    " WHERE a.account_id = {})"
)
"""A condition: the account with this id is under a legal hold."""
_IS_HELD: Final = f"SELECT {HELD.format('?')}"  # words of ours


def is_held(rows: Rows, account_id: AccountId) -> bool:
    return bool(rows.all(_IS_HELD, (account_id,))[0][0])


def rules(rows: Rows) -> list[Rule]:
    found = rows.all("SELECT domain, account_id, what, folder, days FROM retention_rule")
    return [
        Rule(What(what), days, folder, domain, AccountId(account_id) if account_id else None)
        for domain, account_id, what, folder, days in found
    ]


def set_rule(tx: Tx, rule: Rule, event: Event) -> None:
    _require(tx, rule.domain, rule.account_id)
    if len(rule.folder) > FOLDER_MOST:
        raise LimitError("the folder's name is too long")
    if tx.all("SELECT count(*) FROM retention_rule")[0][0] >= RULES_MOST:
        raise LimitError("too many rules")
    tx.run("INSERT OR REPLACE INTO retention_rule VALUES (?, ?, ?, ?, ?)", (*_key(rule), rule.days))
    events.record(tx, (event,))


def end_rule(tx: Tx, rule: Rule, event: Event) -> bool:
    where = "domain = ? AND account_id = ? AND what = ? AND folder = ?"
    if not tx.count(f"DELETE FROM retention_rule WHERE {where}", _key(rule)):  # noqa: S608  # words of ours
        return False
    events.record(tx, (event,))
    return True


def holds(rows: Rows) -> list[Hold]:
    found = rows.all("SELECT reason, since, domain, account_id FROM legal_hold")
    return [
        Hold(reason, since, domain, AccountId(account_id) if account_id else None)
        for reason, since, domain, account_id in found
    ]


def set_hold(tx: Tx, hold: Hold, event: Event) -> None:
    """In place of an earlier one."""
    _require(tx, hold.domain, hold.account_id)
    tx.run(
        "INSERT OR REPLACE INTO legal_hold VALUES (?, ?, ?, ?)",
        (hold.domain, hold.account_id or 0, hold.reason[:REASON_MOST], hold.since),
    )
    events.record(tx, (event,))


def end_hold(tx: Tx, domain: str, account_id: AccountId | None, event: Event) -> bool:
    if not tx.count("DELETE FROM legal_hold WHERE domain = ? AND account_id = ?", (domain, account_id or 0)):
        return False
    events.record(tx, (event,))
    return True


def forget_domain(tx: Tx, domain: str) -> None:
    for table in ("retention_rule", "legal_hold"):
        tx.run(f"DELETE FROM {table} WHERE domain = ?", (domain,))  # noqa: S608  # words of ours


def _key(rule: Rule) -> tuple[str, int, str, str]:
    return rule.domain, rule.account_id or 0, rule.what.value, rule.folder


def _require(tx: Tx, domain: str, account_id: AccountId | None) -> None:
    """It is of a domain or of an account, and that exists."""
    if account_id is None:
        found = tx.one("SELECT 1 FROM domain WHERE name = ?", (domain,))
    else:
        found = None if domain else tx.one("SELECT 1 FROM account WHERE account_id = ?", (account_id,))
    if found is None:
        raise NotFoundError("no such domain or account")
