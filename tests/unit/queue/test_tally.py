"""Counts of TLS sessions in memory, and what happens when the store does not take them."""

from pathlib import Path

import pytest

from poterne.queue.tally import FAILURES_MOST, KEYS_MOST, Tally
from poterne.store.errors import UnavailableError
from poterne.store.failing import Fails, FailurePlan, failing
from poterne.values.tls import AppliedPolicy, PolicyKind, TlsFailure, TlsResult
from tests.support.stores import AT, Clock, sqlite

NONE = AppliedPolicy(PolicyKind.NONE, "d.test")
EXPIRED = TlsFailure(TlsResult.EXPIRED, "", "mx.d.test")
DAY = AT // 86_400


async def test_nothing_is_lost_when_the_store_fails(tmp_path: Path) -> None:
    store = sqlite(tmp_path, Clock())
    tally = Tally(failing(store, FailurePlan(1, Fails.BEFORE)), Clock())
    tally.add("d.test", NONE)
    tally.add("d.test", NONE, (EXPIRED,))
    with pytest.raises(UnavailableError):
        await tally.flush()
    tally.add("d.test", NONE, (EXPIRED,))
    await tally.flush()
    await tally.flush()
    (found,) = await store.tls_counts(DAY, "d.test")
    assert (found.succeeded, found.failed, found.failures) == (1, 2, ((EXPIRED, 2),))
    await store.close()


async def test_memory_is_bounded(tmp_path: Path) -> None:
    store = sqlite(tmp_path, Clock())
    tally = Tally(store, Clock())
    for number in range(FAILURES_MOST + 50):
        tally.add("d.test", NONE, (TlsFailure(TlsResult.EXPIRED, str(number)),))
    for number in range(KEYS_MOST + 50):
        tally.add(f"d{number}.test", NONE)
    assert len(tally._counts) == KEYS_MOST
    (counts,) = [one for (_, domain, _), one in tally._counts.items() if domain == "d.test"]
    assert counts.failed == FAILURES_MOST + 50
    assert len(counts.failures) == FAILURES_MOST
    await store.close()


async def test_each_day_has_its_own(tmp_path: Path) -> None:
    clock = Clock()
    store = sqlite(tmp_path, clock)
    tally = Tally(store, clock)
    tally.add("d.test", NONE)
    clock.now += 86_400
    tally.add("d.test", NONE)
    await tally.flush()
    assert await store.tls_to_report(DAY + 2) == [(DAY, "d.test"), (DAY + 1, "d.test")]
    await store.close()
