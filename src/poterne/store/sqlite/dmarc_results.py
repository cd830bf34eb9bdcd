"""Results of DMARC until they are reported: bounded, for whoever sends mail can make rows."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Final

import msgspec

from poterne.store.sqlite import delivery
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.reader import Reader
from poterne.store.sqlite.transaction import Tx
from poterne.store.writer import GroupWriter
from poterne.values.dmarc import DmarcCount, DmarcRow, PublishedPolicy
from poterne.values.event import Event
from poterne.values.queue import NewQueued

ROWS_MOST: Final = 20_000
"""Different rows of a domain's day. Beyond, and beyond DAY_ROWS_MOST, what is there is counted on, the rest by network."""
DAY_ROWS_MOST: Final = 500_000
"""The same of all domains of a day: some 300 MB."""
COARSE_ROWS_MOST: Final = 4_000
"""More of them, by network (/24, /48), of a domain's day; and COARSE_DAY_ROWS_MOST of all domains of a day. Beyond by /8 and /16,
of which there are few, as there are of results."""
COARSE_DAY_ROWS_MOST: Final = 100_000
LAST_ROWS_MOST: Final = 4_000
_AT_ONCE: Final = 500
"""Rows that are decoded without letting others have their turn."""

_ADD: Final = "UPDATE dmarc_result SET count = count + ? WHERE day = ? AND domain = ? AND digest = ?"
_NEW: Final = "INSERT INTO dmarc_result (day, domain, digest, count, policy, row) VALUES (?, ?, ?, ?, ?, ?)"
_DAY: Final = "SELECT rows FROM dmarc_day WHERE day = ? AND domain = ?"
_MORE: Final = "INSERT INTO dmarc_day VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET rows = rows + 1"

_encode = msgspec.json.Encoder().encode
_policy = msgspec.json.Decoder(PublishedPolicy).decode
_row = msgspec.json.Decoder(DmarcRow).decode


class DmarcPart:
    _writer: GroupWriter[Tx]
    _reader: Reader

    async def count_dmarc(self, counts: Sequence[DmarcCount]) -> None:
        await self._writer.submit(count, counts)

    async def dmarc_to_report(self, before_day: int, limit: int = 1000) -> list[tuple[int, str]]:
        found = self._reader.all(
            "SELECT day, domain FROM dmarc_day WHERE day < ? AND domain != '' ORDER BY day, domain LIMIT ?",
            (before_day, limit),
        )
        return [(day, domain) for day, domain in found]

    async def dmarc_counts(self, day: int, domain: str) -> list[DmarcCount]:
        found = _rows(self._reader, day, domain)
        counts: list[DmarcCount] = []
        policies: dict[str, PublishedPolicy] = {}
        for at in range(0, len(found), _AT_ONCE):
            counts += [_count(day, row, policies) for row in found[at : at + _AT_ONCE]]
            await asyncio.sleep(0)
        return counts

    async def dmarc_reported(
        self, day: int, domain: str, reports: Sequence[NewQueued] = (), events: Sequence[Event] = ()
    ) -> bool:
        return await self._writer.submit(_reported, day, domain, reports, events)


def count(tx: Tx, counts: Sequence[DmarcCount], *, most: int = ROWS_MOST, day_most: int = DAY_ROWS_MOST) -> None:
    """Add to what is there."""
    for one in counts:
        if _add(tx, one, most, day_most):
            continue
        by_network = replace(one, row=one.row.coarse(one.policy.domain, 24, 48))
        if _add(tx, by_network, most + COARSE_ROWS_MOST, day_most + COARSE_DAY_ROWS_MOST):
            continue
        last = replace(one, row=one.row.coarse(one.policy.domain, 8, 16))
        _add(tx, last, most + COARSE_ROWS_MOST + LAST_ROWS_MOST, day_most + 2 * COARSE_DAY_ROWS_MOST)


def _add(tx: Tx, one: DmarcCount, most: int, day_most: int) -> bool:
    """False: there is no such row, and no room for one more."""
    policy, row = _encode(one.policy), _encode(replace(one.row, count=0))
    domain = one.policy.domain
    digest = blake2b(policy + row, digest_size=16).digest()
    if tx.count(_ADD, (one.row.count, one.day, domain, digest)):
        return True
    if _kept(tx, one.day, domain) >= most or _kept(tx, one.day, "") >= day_most:
        return False
    tx.run(_NEW, (one.day, domain, digest, one.row.count, policy.decode(), row.decode()))
    tx.run(_MORE, (one.day, domain))
    tx.run(_MORE, (one.day, ""))
    return True


def _kept(rows: Rows, day: int, domain: str) -> int:
    row = rows.one(_DAY, (day, domain))
    return 0 if row is None else int(row[0])


def _rows(rows: Rows, day: int, domain: str) -> list[Row]:
    return rows.all(
        "SELECT count, policy, row FROM dmarc_result WHERE day = ? AND domain = ? ORDER BY result_id", (day, domain)
    )


def _count(day: int, row: Row, policies: dict[str, PublishedPolicy]) -> DmarcCount:
    """Few policies have many rows: each is made once."""
    messages, text, what = row
    policy = policies.get(text)
    if policy is None:
        policy = policies[text] = _policy(text)
    return DmarcCount(day, policy, replace(_row(what), count=messages))


def _reported(tx: Tx, day: int, domain: str, reports: Sequence[NewQueued], happened: Sequence[Event]) -> bool:
    """The counts go and the reports are queued, unless somebody else was faster."""
    if not domain or not tx.count("DELETE FROM dmarc_day WHERE day = ? AND domain = ?", (day, domain)):
        return False
    gone = tx.count("DELETE FROM dmarc_result WHERE day = ? AND domain = ?", (day, domain))
    tx.run("UPDATE dmarc_day SET rows = rows - ? WHERE day = ? AND domain = ''", (gone, day))
    tx.run("DELETE FROM dmarc_day WHERE day = ? AND domain = '' AND rows <= 0", (day,))
    delivery.deliver(tx, (), reports, happened)
    return True
