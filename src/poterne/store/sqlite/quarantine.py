"""Mail that is kept from its mailbox: whole rows, so that a release is a delivery like any other."""

from collections.abc import Sequence
from typing import Final

import msgspec

from poterne.store.errors import NotFoundError, OverQuotaError
from poterne.store.interface import Delivery
from poterne.store.sqlite import delivery, events
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.holds import HELD
from poterne.store.sqlite.reader import Reader
from poterne.store.sqlite.transaction import Tx
from poterne.store.writer import GroupWriter
from poterne.values.event import Event
from poterne.values.ids import AccountId, BlobId, TraceId
from poterne.values.mailbox import Appended, NewContent
from poterne.values.quarantine import KEPT_BYTES_MOST, KEPT_MOST, NewQuarantined, Quarantined, QuarantineId

TEXT_MOST: Final = 250
"""Characters of each text that a stranger wrote."""

_INSERT: Final = (
    "INSERT INTO quarantine (account_id, trace_id, segment, blob_offset, blob_size, header_size, sent_at, thread_hashes, at,"
    " expires_at, reason, recipient, reverse_path, header_from, subject, peer, envelope, structure, parsed)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_KEPT: Final = "SELECT count(*), ifnull(sum(blob_size), 0) FROM quarantine WHERE account_id = ?"
_ROWS: Final = (
    "SELECT q.quarantine_id, q.account_id, a.local_part || '@' || a.domain, q.trace_id, q.segment, q.blob_offset, q.blob_size,"
    " q.header_size, q.sent_at, q.thread_hashes, q.at, q.expires_at, q.reason, q.recipient, q.reverse_path, q.header_from,"
    " q.subject, q.peer, q.envelope, q.structure, q.parsed FROM quarantine q JOIN account a USING (account_id)"
)
_ONE: Final = f"{_ROWS} WHERE q.quarantine_id = ?"
_PAGE: Final = f"{_ROWS} WHERE q.quarantine_id > ? ORDER BY q.quarantine_id LIMIT ?"
_OF_ACCOUNT: Final = f"{_ROWS} WHERE q.account_id = ? AND q.quarantine_id > ? ORDER BY q.quarantine_id LIMIT ?"
_OF_DOMAIN: Final = (
    f"{_ROWS} WHERE q.quarantine_id IN (SELECT quarantine_id FROM quarantine WHERE account_id IN"  # noqa: S608  # words of ours
    " (SELECT account_id FROM account WHERE domain = ?) AND quarantine_id > ? ORDER BY quarantine_id LIMIT ?)"
    " ORDER BY q.quarantine_id"
)
_DELETE: Final = "DELETE FROM quarantine WHERE quarantine_id = ?"
_EXPIRE: Final = (
    "DELETE FROM quarantine WHERE quarantine_id IN (SELECT quarantine_id FROM quarantine q WHERE expires_at <= ?"  # noqa: S608
    f" AND NOT {HELD.format('q.account_id')} ORDER BY expires_at LIMIT ?)"
)

_encode = msgspec.msgpack.Encoder().encode
_hashes = msgspec.msgpack.Decoder(tuple[int, ...]).decode


class QuarantinePart:
    _writer: GroupWriter[Tx]
    _reader: Reader

    async def quarantined(
        self,
        limit: int = 1000,
        after: QuarantineId | None = None,
        account_id: AccountId | None = None,
        domain: str = "",
    ) -> list[Quarantined]:
        return _page(self._reader, limit, after or 0, account_id, domain)

    async def quarantined_by_id(self, quarantine_id: QuarantineId) -> Quarantined:
        return _one(self._reader, quarantine_id)

    async def release_quarantined(self, quarantine_id: QuarantineId, now: int, event: Event) -> Appended:
        return await self._writer.submit(_release, quarantine_id, now, event)

    async def delete_quarantined(self, quarantine_id: QuarantineId, event: Event) -> None:
        await self._writer.submit(_delete, quarantine_id, event)

    async def expire_quarantined(self, now: int, limit: int = 1000) -> int:
        return await self._writer.submit(_expire, now, limit)


def add(tx: Tx, messages: Sequence[NewQuarantined]) -> None:
    """Keep them. NotFoundError, OverQuotaError."""
    for new in messages:
        if not tx.one("SELECT 1 FROM account WHERE account_id = ?", (new.account_id,)):
            raise NotFoundError("no such account")
        content = new.content
        blob = content.blob
        count, size_bytes = tx.all(_KEPT, (new.account_id,))[0]
        if count >= KEPT_MOST or size_bytes + blob.size > KEPT_BYTES_MOST:
            raise OverQuotaError(f"account {new.account_id} has {count} messages, {size_bytes} bytes in quarantine")
        tx.run(
            _INSERT,
            (
                new.account_id,
                new.trace_id,
                blob.segment,
                blob.offset,
                blob.size,
                content.header_size,
                content.sent_at,
                _encode(delivery.kept_references(content.references)),
                new.at,
                new.expires_at,
                new.reason,
                new.recipient[:TEXT_MOST],
                new.reverse_path[:TEXT_MOST],
                new.header_from[:TEXT_MOST],
                new.subject[:TEXT_MOST],
                new.peer[:TEXT_MOST],
                content.envelope,
                content.structure,
                content.parsed,
            ),
        )


def _page(rows: Rows, limit: int, after: int, account_id: AccountId | None, domain: str) -> list[Quarantined]:
    if account_id is not None:
        found = rows.all(_OF_ACCOUNT, (account_id, after, limit))
    elif domain:
        found = rows.all(_OF_DOMAIN, (domain.lower(), after, limit))
    else:
        found = rows.all(_PAGE, (after, limit))
    made = [_quarantined(row) for row in found]
    if account_id is None or not domain:
        return made
    return [one for one in made if one.account.endswith(f"@{domain.lower()}")]


def _one(rows: Rows, quarantine_id: QuarantineId) -> Quarantined:
    row = rows.one(_ONE, (quarantine_id,))
    if row is None:
        raise NotFoundError("not in quarantine")
    return _quarantined(row)


def _release(tx: Tx, quarantine_id: QuarantineId, now: int, event: Event) -> Appended:
    """As a delivery of this moment, from the row of this transaction: compaction may have moved the blob just before."""
    found = _one(tx, quarantine_id)
    appended = delivery.deliver_one(tx, Delivery(found.account_id, None, found.content, 0, now, 0))
    tx.run(_DELETE, (quarantine_id,))
    events.record(tx, (event,))
    return appended


def _delete(tx: Tx, quarantine_id: QuarantineId, event: Event) -> None:
    if not tx.count(_DELETE, (quarantine_id,)):
        raise NotFoundError("not in quarantine")
    events.record(tx, (event,))


def _expire(tx: Tx, now: int, limit: int) -> int:
    return tx.count(_EXPIRE, (now, limit))


def _quarantined(row: Row) -> Quarantined:
    (
        number,
        account_id,
        account,
        trace_id,
        segment,
        offset,
        size,
        header_size,
        sent_at,
        hashes,
        at,
        expires_at,
        *rest,
    ) = row
    reason, recipient, reverse_path, header_from, subject, peer, envelope, structure, parsed = rest
    return Quarantined(
        id=QuarantineId(number),
        account_id=AccountId(account_id),
        account=account,
        trace_id=TraceId(trace_id),
        content=NewContent(
            BlobId(segment, offset, size), envelope, structure, parsed, header_size, sent_at, _hashes(hashes)
        ),
        at=at,
        expires_at=expires_at,
        reason=reason,
        recipient=recipient,
        reverse_path=reverse_path,
        header_from=header_from,
        subject=subject,
        peer=peer,
    )
