"""The event log: appended in the transaction of what it tells, and found again by trace, by name, by time.

Theory of operation. An event is one row. The addresses and domains in its detail are rows of `event_name` too, so that what
concerns one of them is a short range of an index, newest first. Ids grow with time, but for the seconds between a clock and a
commit: a time becomes an id by halving, with some slack, and then the times themselves are compared. Of a kind that is rare its
own index is read, of one that is frequent the newest events until enough are found.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import apsw
import msgspec

from poterne.store.interface import EventFilter
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.event import Event
from poterne.values.ids import AccountId, TraceId

NAME_MOST: Final = 320
"""Characters of an address or domain by which an event is found; longer ones are not looked for."""
NAMES_MOST: Final = 50
"""Of one event."""
_ADDRESSES: Final = ("from", "to", "address")
_DOMAINS: Final = ("author", "domain")
_RARE: Final = 20_000
"""Events of a kind that are sorted rather than looked for among all others."""
_SLACK_S: Final = 3_600
_ID: Final = "e.event_id"
_LAST_ID: Final = 2**63 - 1

_INSERT: Final = "INSERT INTO event (at, kind, trace_id, account_id, peer, reason, detail) VALUES (?, ?, ?, ?, ?, ?, ?)"
_NAME: Final = "INSERT OR IGNORE INTO event_name VALUES (?, ?)"
_COLUMNS: Final = "SELECT at, kind, trace_id, account_id, peer, reason, detail FROM event"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, str | int | bool | None]).decode


def record(tx: Tx, events: Iterable[Event]) -> None:
    """Append them."""
    for event in events:
        detail = _encode(event.detail).decode() if event.detail else "{}"
        tx.run(_INSERT, (event.at, event.kind, event.trace_id, event.account_id, event.peer, event.reason, detail))
        if found := names(event.detail):
            number = tx.connection.last_insert_rowid()
            tx.run_many(_NAME, [(name, number) for name in found])


def names(detail: Mapping[str, str | int | bool | None]) -> list[str]:
    """By what an event with this detail is found: its addresses and their domains, in lower case, each once."""
    found: dict[str, None] = {}
    for key in _ADDRESSES:
        value = detail.get(key)
        if isinstance(value, str) and "@" in value:
            for address in value.lower().split(" "):
                _, at, domain = address.rpartition("@")
                if at and domain and len(address) <= NAME_MOST:
                    found[address] = None
                    found[domain] = None
    for key in _DOMAINS:
        value = detail.get(key)
        if isinstance(value, str) and 0 < len(value) <= NAME_MOST:
            found[value.lower()] = None
    return list(found)[:NAMES_MOST]


def forget_names(tx: Tx, ids: Sequence[int]) -> None:
    """Of events that go: what they are found by goes with them."""
    rows = tx.all("SELECT event_id, detail FROM event WHERE event_id IN carray(?)", (apsw.carray(array("q", ids)),))
    gone = [(name, number) for number, detail in rows for name in names(_decode(detail))]
    tx.run_many("DELETE FROM event_name WHERE name = ? AND event_id = ?", gone)


def record_counted(tx: Tx, event: Event, **numbers: int) -> None:
    """Append it with these in its detail, unless all of them are 0."""
    if any(numbers.values()):
        record(tx, (replace(event, detail={**event.detail, **numbers}),))


def events(rows: Rows, kind: str | None, account_id: AccountId | None, limit: int) -> list[Event]:
    """The newest `limit`, newest first."""
    wanted: list[str] = []
    args: list[str | int] = []
    if kind is not None:
        wanted.append("kind = ?")
        args.append(kind)
    if account_id is not None:
        wanted.append("account_id = ?")
        args.append(account_id)
    where = f" WHERE {' AND '.join(wanted)}" if wanted else ""
    return [_event(row) for row in rows.all(f"{_COLUMNS}{where} ORDER BY event_id DESC LIMIT ?", (*args, limit))]


def about(rows: Rows, where: EventFilter, limit: int) -> list[Event]:
    """The newest `limit` that fit, newest first."""
    first = _first_since(rows, where.since - _SLACK_S) if where.since > _SLACK_S else 0
    last = _first_since(rows, where.until + _SLACK_S) if where.until else _LAST_ID
    found: dict[int, Event] = {}
    for number, one, args in _sources(rows, where):
        sql = (
            f"SELECT e.event_id, e.at, e.kind, e.trace_id, e.account_id, e.peer, e.reason, e.detail FROM {one}"  # noqa: S608
            f" AND {number} BETWEEN ? AND ? AND e.at >= ? AND e.at <= ? AND e.kind >= ? AND e.kind < ?"
            f" ORDER BY {number} DESC LIMIT ?"
        )
        until = where.until or _LAST_ID
        more = (first, last, where.since, until, where.kind, where.kind + "\U0010ffff", limit)
        found.update((row[0], _event(row[1:])) for row in rows.all(sql, (*args, *more)))
    return [found[event_id] for event_id in sorted(found, reverse=True)[:limit]]


def _sources(rows: Rows, where: EventFilter) -> Iterator[tuple[str, str, tuple[str | int, ...]]]:
    """The column of ids, the rows, and their arguments: by the index that leaves least to read, which SQLite could not know."""
    if where.trace_id is not None:
        yield _ID, "event e INDEXED BY event_trace WHERE e.trace_id = ? AND e.trace_id <> ''", (where.trace_id,)
        return
    kinds = (where.kind, where.kind + "\U0010ffff")
    rare = bool(where.kind) and not rows.all(
        "SELECT 1 FROM event WHERE kind >= ? AND kind < ? LIMIT 1 OFFSET ?", (*kinds, _RARE)
    )
    by_kind = "event e INDEXED BY event_kind WHERE e.kind >= ? AND e.kind < ?"
    if where.name:
        name = where.name.lower()
        if rare:
            has = "EXISTS (SELECT 1 FROM event_name n WHERE n.name = ? AND n.event_id = e.event_id)"
            yield _ID, f"{by_kind} AND {has}", (*kinds, name)
        else:
            yield "n.event_id", "event_name n CROSS JOIN event e ON e.event_id = n.event_id WHERE n.name = ?", (name,)
    if where.account_id is not None:
        yield _ID, "event e INDEXED BY event_account WHERE e.account_id = ?", (where.account_id,)
    if not where.name and where.account_id is None:
        yield (_ID, by_kind, kinds) if rare else (_ID, "event e NOT INDEXED WHERE true", ())


def _first_since(rows: Rows, at: int) -> int:
    """The id of the first event that is not older, or one after the last; ids grow with time."""
    low, high = 0, (rows.all("SELECT ifnull(max(event_id), 0) FROM event")[0][0]) + 1
    while low < high:
        middle = (low + high) // 2
        row = rows.one("SELECT event_id, at FROM event WHERE event_id >= ? ORDER BY event_id LIMIT 1", (middle,))
        if row is None or row[1] >= at:
            high = middle
        else:
            low = row[0] + 1
    return low


def _event(row: Row) -> Event:
    at, kind, trace_id, account_id, peer, reason, detail = row
    account = None if account_id is None else AccountId(account_id)
    return Event(at, kind, TraceId(trace_id), account, peer, reason, _decode(detail))
