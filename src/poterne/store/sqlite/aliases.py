"""Aliases: addresses whose mail goes to others, here or elsewhere. `*@domain` is a domain's catch-all."""

from collections.abc import Sequence
from typing import Final

from poterne.store.errors import NotFoundError
from poterne.store.sqlite import addresses, events
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.routing import directory_changed
from poterne.store.sqlite.transaction import Tx
from poterne.values.directory import Alias, Posting
from poterne.values.event import Event
from poterne.values.ids import AccountId

# One statement, so that an alias is never seen between two changes.
_ALIAS: Final = (
    "SELECT s.local_part || '@' || s.domain, s.created_at, s.posting, s.posters,"
    " (SELECT json_group_array(a.local_part || '@' || a.domain ORDER BY a.domain, a.local_part) FROM alias_target t"
    " JOIN account a USING (account_id) WHERE t.domain = s.domain AND t.local_part = s.local_part),"
    " (SELECT json_group_array(f.address) FROM alias_forward f WHERE f.domain = s.domain AND f.local_part = s.local_part)"
    " FROM alias s"
)


def aliases(rows: Rows, domain: str | None) -> list[Alias]:
    where, args = ("", ()) if domain is None else (" WHERE s.domain = ?", (domain.lower(),))
    return [_alias(row) for row in rows.all(f"{_ALIAS}{where} ORDER BY s.domain, s.local_part", args)]


def add(
    tx: Tx,
    address: str,
    targets: Sequence[str],
    event: Event,
    *,
    forwards: Sequence[str] = (),
    posting: Posting = Posting.ANYONE,
    posters: Sequence[str] = (),
) -> None:
    local_part, domain = addresses.free(tx, address)
    here = domain, local_part
    elsewhere = addresses.checked(forwards)
    if not targets and not elsewhere:
        raise NotFoundError("an alias needs a target")
    listed = addresses.packed(addresses.checked(posters))
    tx.run(
        "INSERT INTO alias (domain, local_part, created_at, posting, posters) VALUES (?, ?, ?, ?, ?)",
        (*here, event.at, posting.value, listed),
    )
    for account_id in {_account_id(tx, target) for target in targets}:
        tx.run("INSERT INTO alias_target VALUES (?, ?, ?)", (*here, account_id))
    tx.run_many("INSERT INTO alias_forward VALUES (?, ?, ?)", [(*here, forward) for forward in elsewhere])
    directory_changed(tx)
    events.record(tx, (event,))


def remove(tx: Tx, address: str, event: Event) -> None:
    local_part, domain = addresses.parts(address)
    here = domain, local_part
    if not tx.count("DELETE FROM alias WHERE domain = ? AND local_part = ?", here):
        raise NotFoundError("no such alias")
    for table in ("alias_target", "alias_forward"):
        tx.run(f"DELETE FROM {table} WHERE domain = ? AND local_part = ?", here)  # noqa: S608  # words of ours
    directory_changed(tx)
    events.record(tx, (event,))


def forget_account(tx: Tx, account_id: AccountId, address: str) -> None:
    """An account goes: so do aliases that led to nobody else, and its right to write to lists.

    Otherwise whoever gets the address next would inherit that right.
    """
    tx.run("DELETE FROM alias_target WHERE account_id = ?", (account_id,))
    tx.run(
        "DELETE FROM alias WHERE NOT EXISTS"
        " (SELECT 1 FROM alias_target t WHERE t.domain = alias.domain AND t.local_part = alias.local_part)"
        " AND NOT EXISTS"
        " (SELECT 1 FROM alias_forward f WHERE f.domain = alias.domain AND f.local_part = alias.local_part)"
    )
    for domain, local_part, posters in tx.all("SELECT domain, local_part, posters FROM alias WHERE posters != ''"):
        listed = addresses.unpacked(posters)
        if address in listed:
            left = addresses.packed([poster for poster in listed if poster != address])
            tx.run("UPDATE alias SET posters = ? WHERE domain = ? AND local_part = ?", (left, domain, local_part))


def _account_id(tx: Tx, address: str) -> AccountId:
    local_part, domain = addresses.parts(address)
    row = tx.one("SELECT account_id FROM account WHERE domain = ? AND local_part = ?", (domain, local_part))
    if row is None:
        raise NotFoundError("no such account")
    return AccountId(row[0])


def _alias(row: Row) -> Alias:
    address, created_at, posting, posters, targets, forwards = row
    return Alias(
        address,
        addresses.unpacked(targets),
        created_at,
        addresses.unpacked(forwards),
        Posting(posting),
        addresses.unpacked(posters),
    )
