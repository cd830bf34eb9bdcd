"""What was seen of DNS and of mailing lists."""

from collections.abc import Sequence
from typing import Final

from poterne.store.sqlite import events
from poterne.store.sqlite.reader import Reader
from poterne.store.sqlite.transaction import Tx
from poterne.store.writer import GroupWriter
from poterne.values.event import Event
from poterne.values.history import ListSeen
from poterne.values.watch import DnsFinding

LISTS_MOST: Final = 100_000
_SPARE: Final = 1_000
"""How many more go when there are too many, so that it is not each time."""

_SEEN: Final = "SELECT first_at, last_at, messages FROM list_seen WHERE list_id = ? AND domain = ?"
_AGAIN: Final = (
    "UPDATE list_seen SET first_at = min(first_at, ?), last_at = max(last_at, ?), messages = messages + ?"
    " WHERE list_id = ? AND domain = ?"
)
_COUNT: Final = (
    "INSERT INTO meta VALUES ('lists_seen', ?1) ON CONFLICT DO UPDATE SET value = value + ?1 RETURNING value"
)
_FORGET: Final = (
    "DELETE FROM list_seen WHERE (list_id, domain) IN (SELECT list_id, domain FROM list_seen ORDER BY last_at LIMIT ?)"
)


class WatchedPart:
    _writer: GroupWriter[Tx]
    _reader: Reader

    async def dns_findings(self, domain: str) -> list[DnsFinding]:
        found = self._reader.all(
            "SELECT check_name, outcome, text, since FROM dns_finding WHERE domain = ? ORDER BY check_name",
            (domain.lower(),),
        )
        return [DnsFinding(domain.lower(), *row) for row in found]

    async def set_dns_findings(self, domain: str, findings: Sequence[DnsFinding], events: Sequence[Event]) -> None:
        await self._writer.submit(_set_findings, domain.lower(), findings, events)

    def list_seen(self, list_id: str, domain: str) -> ListSeen | None:
        rows = self._reader.all(_SEEN, (list_id, domain))
        return ListSeen(list_id, domain, *rows[0]) if rows else None

    async def note_lists(self, seen: Sequence[ListSeen]) -> None:
        await self._writer.submit(note_lists, seen)


def forget_domain(tx: Tx, domain: str) -> None:
    tx.run("DELETE FROM dns_finding WHERE domain = ?", (domain,))


def note_lists(tx: Tx, seen: Sequence[ListSeen], *, most: int = LISTS_MOST, spare: int = _SPARE) -> None:
    """Add to what is known. Beyond `most`, those go that were not seen for longest."""
    new = 0
    for one in seen:
        if not tx.count(_AGAIN, (one.first_at, one.last_at, one.messages, one.list_id, one.domain)):
            tx.run(
                "INSERT INTO list_seen VALUES (?, ?, ?, ?, ?)",
                (one.list_id, one.domain, one.first_at, one.last_at, one.messages),
            )
            new += 1
    if new:
        ((known,),) = tx.all(_COUNT, (new,))
        if known > most:
            gone = tx.count(_FORGET, (known - most + spare,))
            tx.run(_COUNT, (-gone,))


def _set_findings(tx: Tx, domain: str, findings: Sequence[DnsFinding], happened: Sequence[Event]) -> None:
    forget_domain(tx, domain)
    tx.run_many(
        "INSERT OR REPLACE INTO dns_finding VALUES (?, ?, ?, ?, ?)",
        [(domain, one.check, one.outcome, one.text, one.since) for one in findings],
    )
    events.record(tx, happened)
