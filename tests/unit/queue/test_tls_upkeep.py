"""The upkeep beside the runner: it goes on whatever fails, and leaves nothing behind in memory."""

import asyncio
import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from poterne.queue import tls_upkeep
from poterne.queue.domains import LocalDomains
from poterne.queue.security import Security
from poterne.queue.tls_upkeep import of_queue
from poterne.store.failing import FailurePlan, failing
from poterne.store.sqlite import tls_policies
from poterne.store.sqlite.engine import SqliteStore
from poterne.values.tls import AppliedPolicy, PolicyKind
from tests.support.queue_world import Names, SilentLog, settings
from tests.support.stores import AT, Clock, sqlite

NONE = AppliedPolicy(PolicyKind.NONE, "d.test")
DAY = AT // 86_400


def told_more(log: SilentLog, before: int) -> bool:
    return log.names().count("tls.upkeep") > before


async def until(there: Callable[[], bool]) -> None:
    for _ in range(2000):
        if there():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen")


async def test_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_upkeep, "FLUSH_S", 0.005)
    monkeypatch.setattr(tls_upkeep, "DAILY_S", 0.01)
    clock, log = Clock(), SilentLog()
    store = sqlite(tmp_path, clock)
    assert isinstance(store, SqliteStore)
    plan = FailurePlan()
    broken = failing(store, plan)
    values = settings()
    security = Security(broken, Names(), values, tmp_path, clock=clock, log=log)
    upkeep = of_queue(
        security, broken, Names(), values, LocalDomains(broken, clock), clock=clock, chance=lambda: 0.0, log=log
    )
    task = asyncio.create_task(upkeep.run())
    for _ in range(3):  # each time the next call fails
        plan.at = plan.calls + 1
        security.tally.add("d.test", NONE)
        before = log.names().count("tls.upkeep")
        await until(functools.partial(told_more, log, before))
    async with asyncio.timeout(10.0):
        while [each.succeeded for each in await store.tls_counts(DAY, "d.test")] != [3]:  # noqa: ASYNC110  (the store tells nobody)
            await asyncio.sleep(0.005)
    clock.now += 2 * 86_400  # nobody wants a report: the numbers go
    await until(lambda: tls_policies.days_to_report(store._reader, 1 << 40, 9) == [])
    security.tally.add("d.test", NONE)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert len(await store.tls_to_report(1 << 40)) == 1
    assert "tls.bug" not in log.names()
    await store.close()
