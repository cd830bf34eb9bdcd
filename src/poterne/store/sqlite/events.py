"""The event log: appended in the transaction of what it tells."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import msgspec

from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.event import Event
from poterne.values.ids import AccountId, TraceId

_INSERT: Final = "INSERT INTO event (at, kind, trace_id, account_id, peer, reason, detail) VALUES (?, ?, ?, ?, ?, ?, ?)"
_COLUMNS: Final = "SELECT at, kind, trace_id, account_id, peer, reason, detail FROM event"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, str | int | bool | None]).decode


def record(tx: Tx, events: Iterable[Event]) -> None:
    """Append them."""
    for event in events:
        detail = _encode(event.detail).decode() if event.detail else "{}"
        tx.run(_INSERT, (event.at, event.kind, event.trace_id, event.account_id, event.peer, event.reason, detail))


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


def _event(row: Row) -> Event:
    at, kind, trace_id, account_id, peer, reason, detail = row
    account = None if account_id is None else AccountId(account_id)
    return Event(at, kind, TraceId(trace_id), account, peer, reason, _decode(detail))
