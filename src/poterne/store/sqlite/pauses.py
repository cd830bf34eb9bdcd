"""Standing pauses of the queue: few rows, read whole."""

from typing import Final

from poterne.store.errors import LimitError
from poterne.store.sqlite import events
from poterne.store.sqlite.connection import Rows
from poterne.store.sqlite.reader import Reader
from poterne.store.sqlite.transaction import Tx
from poterne.store.writer import GroupWriter
from poterne.values.event import Event
from poterne.values.queue import Pause, PauseKind

PAUSES_MOST: Final = 500
"""Each is passed over in every search for due mail."""


class PausesPart:
    _writer: GroupWriter[Tx]
    _reader: Reader

    async def pauses(self, now: int) -> list[Pause]:
        return _pauses(self._reader, now)

    async def set_pause(self, pause: Pause, event: Event) -> None:
        await self._writer.submit(_set, pause, event)

    async def end_pause(self, kind: PauseKind, name: str, event: Event) -> bool:
        return await self._writer.submit(_end, kind, name, event)


def _pauses(rows: Rows, now: int) -> list[Pause]:
    found = rows.all(
        "SELECT kind, name, since, until FROM queue_pause WHERE until = 0 OR until > ? ORDER BY kind, name", (now,)
    )
    return [Pause(PauseKind(kind), name, since, until) for kind, name, since, until in found]


def _set(tx: Tx, pause: Pause, event: Event) -> None:
    tx.run("DELETE FROM queue_pause WHERE until > 0 AND until <= ?", (tx.now,))
    tx.run(
        "INSERT INTO queue_pause (kind, name, since, until) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (kind, name) DO UPDATE SET since = excluded.since, until = excluded.until",
        (pause.kind.value, pause.name, pause.since, pause.until),
    )
    row = tx.one("SELECT count(*) FROM queue_pause")
    if row is not None and row[0] > PAUSES_MOST:
        raise LimitError(f"there are {PAUSES_MOST} pauses already")
    events.record(tx, (event,))


def _end(tx: Tx, kind: PauseKind, name: str, event: Event) -> bool:
    if not tx.count("DELETE FROM queue_pause WHERE kind = ? AND name = ?", (kind.value, name)):
        return False
    events.record(tx, (event,))
    return True
