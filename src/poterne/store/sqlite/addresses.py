"""Addresses as the directory keeps them: in two parts, folded, and lists of them as JSON."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from poterne.store.errors import ConflictError, NotFoundError
from poterne.store.sqlite.connection import Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.ids import AccountId

CATCH_ALL: Final = "*"
"""As a local part: whoever has no name of his own in the domain."""

_EMPTY: Final = ("", "[]")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[str, ...]).decode


def parts(address: str) -> tuple[str, str]:
    """Local part and domain, folded: the domain as lower-case A-label comes from the caller, case is folded here."""
    local_part, at, domain = address.rpartition("@")
    if not at or not local_part or not domain:
        raise NotFoundError("not an address")
    return local_part.lower(), domain.lower()


def account_id(rows: Rows, address: str) -> AccountId:
    """Whose address it is. NotFoundError: no account's."""
    local_part, domain = parts(address)
    row = rows.one("SELECT account_id FROM account WHERE domain = ? AND local_part = ?", (domain, local_part))
    if row is None:
        raise NotFoundError("no such account")
    return AccountId(row[0])


def checked(addresses: Iterable[str]) -> tuple[str, ...]:
    """Each once, in their order, as they are: they are elsewhere. NotFoundError if one is none."""
    wanted = tuple(dict.fromkeys(addresses))
    for address in wanted:
        parts(address)
    return wanted


def free(tx: Tx, address: str) -> tuple[str, str]:
    """The parts of an address of a local domain that nobody has. NotFoundError, ConflictError."""
    local_part, domain = parts(address)
    if not tx.one("SELECT 1 FROM domain WHERE name = ?", (domain,)):
        raise NotFoundError("not a local domain")
    for table in ("account", "alias"):
        where = "domain = ? AND local_part = ?"
        if tx.one(f"SELECT 1 FROM {table} WHERE {where}", (domain, local_part)):  # noqa: S608  # words of ours
            raise ConflictError("the address is taken")
    return local_part, domain


def packed(addresses: Sequence[str]) -> str:
    """As one column; "" for none. JSON, for a quoted local part may hold any separator."""
    return _encode(addresses).decode() if addresses else ""


def unpacked(column: str) -> tuple[str, ...]:
    """What `packed` or SQLite's `json_group_array` made."""
    return () if column in _EMPTY else _decode(column)
