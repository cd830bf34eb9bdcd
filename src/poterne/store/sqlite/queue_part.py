"""The engine's methods for mail that goes out: each hands an operation to the writer, or reads at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final

from poterne.store.interface import Delivery, QueueFilter, Settled, Submission
from poterne.store.sqlite import events, incidents, leasing, queue, queue_filter, recipients_checked, submit
from poterne.store.sqlite.reader import Reader
from poterne.store.sqlite.transaction import Tx
from poterne.store.writer import GroupWriter
from poterne.values.event import Event
from poterne.values.ids import IncidentId, QueueId
from poterne.values.mailbox import Appended
from poterne.values.queue import NewQueued, QueueChange, QueuedRecipient
from poterne.values.sending import Incident, IncidentState, Submitted

_CHANGED: Final = 1_000
"""Recipients that one transaction of `change_queue` changes."""
_ALL: Final = QueueFilter()


class QueuePart:
    _writer: GroupWriter[Tx]
    _reader: Reader

    def _start_queue(self) -> None:
        self._turn = leasing.Turn()
        self._depth = (-1, 0)

    async def submit(self, submission: Submission) -> Submitted:
        return await self._writer.submit(_submit, submission)

    async def queued(
        self, limit: int = 1000, after: QueueId | None = None, where: QueueFilter | None = None
    ) -> list[QueuedRecipient]:
        if where is None or where == _ALL:
            return queue.queued(self._reader, limit, after or 0)
        wanted: list[int] = []
        async for ids in self._fitting(where, after or 0, limit):
            wanted += ids
            if len(wanted) >= limit:
                break
        return queue.by_ids(self._reader, wanted[:limit])

    async def queue_depth(self) -> int:
        version = self._reader.version()
        if version != self._depth[0]:
            self._depth = (version, queue.depth(self._reader))
        return self._depth[1]

    async def lease(
        self,
        now: int,
        until: int,
        limit: int,
        per_origin: int,
        busy: frozenset[str] = frozenset(),
        full: frozenset[str] = frozenset(),
    ) -> list[QueuedRecipient]:
        due = leasing.next_due(self._reader, now)
        if due is None or due > now or min(limit, per_origin) < 1:  # an idle queue is only read
            return []
        return await self._writer.submit_soon(leasing.lease, now, until, limit, per_origin, busy, full, self._turn)

    async def next_due(self, now: int) -> int | None:
        return leasing.next_due(self._reader, now)

    async def settle(
        self,
        settled: Sequence[Settled],
        events: Sequence[Event] = (),
        deliveries: Sequence[Delivery] = (),
        notices: Sequence[NewQueued] = (),
    ) -> list[Appended]:
        return await self._writer.submit(leasing.settle, settled, events, deliveries, notices)

    async def postpone_domain(self, domain: str, due_from: int, until: int, limit: int = 10_000) -> int:
        return await self._writer.submit_soon(leasing.postpone_domain, domain, due_from, until, limit)

    async def reclaim(self) -> int:
        count = 0
        while some := await self._writer.submit_soon(leasing.reclaim):
            count += some
        return count

    async def change_queue(self, where: QueueFilter, change: QueueChange, now: int, event: Event) -> int:
        count = 0
        async for ids in self._fitting(where, 0, _CHANGED):
            if ids:
                count += await self._writer.submit(_change, change, ids, now, event)
        return count

    async def incidents(self, *, open_only: bool = True, limit: int = 100) -> list[Incident]:
        return incidents.incidents(self._reader, limit, open_only=open_only)

    async def incident(self, incident_id: IncidentId) -> Incident:
        return incidents.incident(self._reader, incident_id)

    async def held(
        self, incident_id: IncidentId, limit: int = 1000, after: QueueId | None = None
    ) -> list[QueuedRecipient]:
        return queue.held(self._reader, incident_id, limit, after)

    async def close_incident(self, incident_id: IncidentId, state: IncidentState, event: Event) -> Incident:
        closed = await self._writer.submit(incidents.close, incident_id, state, event)
        await self._finish_incident(incident_id, state)
        return closed

    async def recipient_check(self, address: str) -> tuple[bool, int] | None:
        return recipients_checked.found(self._reader, address)

    async def note_recipient(self, address: str, known: bool, at: int) -> None:
        await self._writer.submit_soon(recipients_checked.note, address, known, at)

    async def _finish_incident(self, incident_id: IncidentId, state: IncidentState) -> None:
        while await self._writer.submit(incidents.step, incident_id, state):
            pass

    async def _fitting(self, where: QueueFilter, after: int, limit: int) -> AsyncIterator[list[int]]:
        """Ids of all that fit and were there at the beginning, in pages; others have their turn between two of them."""
        last = queue.last_id(self._reader)
        place: int | None = after
        while place is not None and place < last:
            ids, place = queue_filter.page(self._reader, where, place, limit)
            yield [queue_id for queue_id in ids if queue_id <= last]
            await asyncio.sleep(0)


_submit = submit.submit


def _change(tx: Tx, change: QueueChange, ids: list[int], now: int, event: Event) -> int:
    gone = queue.by_ids(tx, ids) if change is QueueChange.REMOVE else []
    count = queue_filter.change(tx, change, ids, now)
    events.record(tx, [_removed(one, event) for one in gone])
    if count:
        events.record(tx, (replace(event, detail={**event.detail, "recipients": count}),))
    return count


def _removed(one: QueuedRecipient, event: Event) -> Event:
    """In the trace of the message, for who asks where it is."""
    message = one.message
    detail: dict[str, str | int | bool | None] = {"to": one.forward_path, "origin": message.origin.key}
    return Event(event.at, "queue.removed", message.trace_id, message.origin.account_id, "", event.reason, detail)
