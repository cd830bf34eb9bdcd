"""Signing keys. A selector once used stays known for ever: what was signed with it may still be verified (RFC 6376 §3.1)."""

from typing import Final

from poterne.store.errors import ConflictError, NotFoundError
from poterne.store.sqlite import events
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.reader import Reader
from poterne.store.sqlite.transaction import Tx
from poterne.store.writer import GroupWriter
from poterne.values.dkim import DkimKey, KeyState
from poterne.values.event import Event
from poterne.values.secret import Secret

_KEYS: Final = (
    "SELECT domain, selector, algorithm, private, state, created_at, changed_at, seen_at FROM dkim_key"
    " WHERE private IS NOT NULL"
)
_ONE: Final = f"{_KEYS} AND domain = ? AND selector = ?"


class DkimPart:
    _writer: GroupWriter[Tx]
    _reader: Reader

    async def dkim_keys(self, domain: str | None = None) -> list[DkimKey]:
        return _keys(self._reader, domain)

    async def add_dkim_key(self, key: DkimKey, event: Event, *, relayed: bool = False) -> None:
        await self._writer.submit(_add, key, event, relayed)

    async def set_dkim_key(
        self,
        domain: str,
        selector: str,
        event: Event | None,
        *,
        state: KeyState | None = None,
        seen_at: int | None = None,
        now: int,
    ) -> DkimKey:
        return await self._writer.submit(_set, domain, selector, event, state, seen_at, now)

    async def remove_dkim_key(self, domain: str, selector: str, event: Event) -> None:
        await self._writer.submit(_remove, domain, selector, event)


def forget_domain(tx: Tx, domain: str) -> None:
    """The private halves of its keys are gone; its selectors stay known."""
    _erase(tx, "domain = ?", (domain,))


def _keys(rows: Rows, domain: str | None) -> list[DkimKey]:
    where, args = ("", ()) if domain is None else (" AND domain = ?", (domain.lower(),))
    return [_key(row) for row in rows.all(f"{_KEYS}{where} ORDER BY domain, created_at, selector", args)]


def _add(tx: Tx, key: DkimKey, event: Event, relayed: bool) -> None:
    domain, selector = key.domain.lower(), key.selector.lower()
    if not relayed and not tx.one("SELECT 1 FROM domain WHERE name = ?", (domain,)):
        raise NotFoundError("not a local domain")
    if tx.one("SELECT 1 FROM dkim_key WHERE domain = ? AND selector = ?", (domain, selector)):
        raise ConflictError("the selector was used before")
    tx.run(
        "INSERT INTO dkim_key VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            domain,
            selector,
            key.algorithm,
            key.private.reveal(),
            key.state.value,
            key.created_at,
            key.changed_at,
            key.seen_at,
        ),
    )
    events.record(tx, (event,))


def _set(
    tx: Tx, domain: str, selector: str, event: Event | None, state: KeyState | None, seen_at: int | None, now: int
) -> DkimKey:
    before = _one(tx, domain, selector)
    state = state or before.state
    tx.run(
        "UPDATE dkim_key SET state = ?, changed_at = ?, seen_at = ? WHERE domain = ? AND selector = ?",
        (
            state.value,
            before.changed_at if state is before.state else now,
            before.seen_at if seen_at is None else seen_at,
            before.domain,
            before.selector,
        ),
    )
    if event is not None:
        events.record(tx, (event,))
    return _one(tx, domain, selector)


def _remove(tx: Tx, domain: str, selector: str, event: Event) -> None:
    if not _erase(tx, "domain = ? AND selector = ?", (domain.lower(), selector.lower())):
        raise NotFoundError("no such key")
    events.record(tx, (event,))


def _erase(tx: Tx, where: str, args: tuple[str, ...]) -> int:
    """Overwritten in the database's pages too, not only unlinked."""
    tx.all("PRAGMA secure_delete = ON")
    try:
        return tx.count(f"UPDATE dkim_key SET private = NULL WHERE {where} AND private IS NOT NULL", args)  # noqa: S608
    finally:
        tx.all("PRAGMA secure_delete = OFF")


def _one(rows: Rows, domain: str, selector: str) -> DkimKey:
    row = rows.one(_ONE, (domain.lower(), selector.lower()))
    if row is None:
        raise NotFoundError("no such key")
    return _key(row)


def _key(row: Row) -> DkimKey:
    domain, selector, algorithm, private, state, created_at, changed_at, seen_at = row
    return DkimKey(domain, selector, algorithm, Secret(private), KeyState(state), created_at, changed_at, seen_at)
