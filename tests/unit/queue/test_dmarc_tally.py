"""Results of DMARC in memory, and what happens when the store does not take them."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from poterne.queue import dmarc_tally
from poterne.queue.dmarc_tally import AT_ONCE, EARLY, NETWORKS_MOST, ROWS_MOST, DmarcTally
from poterne.store.errors import UnavailableError
from poterne.store.failing import Fails, FailurePlan, failing
from poterne.store.interface import Store
from poterne.values.dmarc import DkimAuth, DmarcCount, DmarcRow, Override, PublishedPolicy
from tests.support.lines import Lines
from tests.support.stores import AT, Clock, sqlite

DAY = AT // 86_400
POLICY = PublishedPolicy("d.test", p="reject")
ROW = DmarcRow("192.0.2.1", 1, "none", "pass", "fail", "d.test")


def other(number: int) -> DmarcRow:
    return replace(ROW, source_ip=f"192.0.{number // 256}.{number % 256}")


async def counted(store: Store) -> list[DmarcCount]:
    return await store.dmarc_counts(DAY, "d.test")


async def test_what_is_alike_is_one_row(tmp_path: Path) -> None:
    store = sqlite(tmp_path, Clock())
    tally = DmarcTally(store, Lines())
    for _ in range(3):
        tally.count(DAY, POLICY, ROW)
    tally.count(DAY, POLICY, replace(ROW, count=4))
    tally.count(DAY, POLICY, other(7))
    await tally.flush()
    tally.count(DAY, POLICY, ROW)
    await tally.flush()
    await tally.flush()
    assert {one.row.source_ip: one.row.count for one in await counted(store)} == {"192.0.2.1": 8, "192.0.0.7": 1}
    await store.close()


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_nothing_is_lost_when_the_store_fails(tmp_path: Path, at: int) -> None:
    store = sqlite(tmp_path, Clock())
    tally = DmarcTally(failing(store, FailurePlan(at, Fails.BEFORE)), Lines())
    rows = 2 * AT_ONCE + 1
    for number in range(rows):
        tally.count(DAY, POLICY, other(number))
    with pytest.raises(UnavailableError):
        await tally.flush()
    tally.count(DAY, POLICY, other(0))
    await tally.flush()
    found = await counted(store)
    assert len(found) == rows
    assert sum(one.row.count for one in found) == rows + 1
    await store.close()


async def test_memory_is_bounded(tmp_path: Path) -> None:
    store = sqlite(tmp_path, Clock())
    tally = DmarcTally(store, Lines())
    for number in range(ROWS_MOST + 50):
        tally.count(DAY, POLICY, other(number))
    tally.count(DAY, POLICY, other(0))
    assert len(tally._rows) == ROWS_MOST + 1
    assert tally.dropped == 0
    ((_, _, row), count) = list(tally._rows.items())[-1]
    assert (row.source_ip, count, row.overrides[0].type) == ("192.0.78.0", 50, "other")
    for number in range(NETWORKS_MOST + 50):
        tally.count(DAY, POLICY, replace(ROW, source_ip=f"10.{number // 256}.{number % 256}.1"))
    assert len(tally._rows) == ROWS_MOST + NETWORKS_MOST
    assert tally.dropped == 51
    long = "x" * 10_000
    tally = DmarcTally(store, Lines())
    many = (DkimAuth(long, long, "fail"),) * 100
    tally.count(DAY, POLICY, replace(ROW, envelope_from=long, dkim_results=many, overrides=(Override("other"),) * 50))
    ((_, _, row),) = tally._rows
    assert (len(row.envelope_from), len(row.dkim_results), len(row.overrides)) == (255, 8, 4)
    await store.close()


async def test_it_goes_on_and_flushes_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dmarc_tally, "FLUSH_S", 0.005)
    store, log = sqlite(tmp_path, Clock()), Lines()
    tally = DmarcTally(failing(store, FailurePlan(1, Fails.BEFORE)), log)
    tally.count(DAY, POLICY, ROW)
    task = asyncio.create_task(tally.run())
    async with asyncio.timeout(10):
        while not await counted(store):  # noqa: ASYNC110  (the store tells nobody)
            await asyncio.sleep(0.005)
    assert len(log.of("dmarc.tally")) == 1
    monkeypatch.setattr(dmarc_tally, "FLUSH_S", 60)
    tally.dropped = 3
    await asyncio.sleep(0.02)
    tally.count(DAY, POLICY, ROW)
    task.cancel()
    await asyncio.wait([task])
    assert [one.row.count for one in await counted(store)] == [2]
    await store.close()


async def test_many_rows_are_brought_early(tmp_path: Path) -> None:
    store, log = sqlite(tmp_path, Clock()), Lines()
    tally = DmarcTally(store, log)
    task = asyncio.create_task(tally.run())
    await asyncio.sleep(0)
    tally.dropped = 3
    for number in range(EARLY + 1):
        tally.count(DAY, POLICY, other(number))
    async with asyncio.timeout(10):
        while not log.of("dmarc.uncounted"):  # noqa: ASYNC110  (nobody tells)
            await asyncio.sleep(0.005)
    assert len(await counted(store)) == EARLY + 1
    assert log.of("dmarc.uncounted") == [{"messages": 3}]
    task.cancel()
    await asyncio.wait([task])
    await store.close()
