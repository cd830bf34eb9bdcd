"""MTA-STS policies and the counts of TLS sessions, on every engine."""

import asyncio
from dataclasses import replace

import pytest

from poterne.store.errors import UnavailableError
from poterne.store.failing import Fails, FailurePlan, failing
from poterne.values.ids import TraceId
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import NewQueued, NewRecipient
from poterne.values.tls import AppliedPolicy, KeptPolicy, PolicyKind, TlsCount, TlsFailure, TlsResult
from tests.support.stores import AT, World, blob, event

STS = AppliedPolicy(PolicyKind.STS, "d.example", ("version: STSv1", "mx: a.d.example"), ("a.d.example",))
NONE = AppliedPolicy(PolicyKind.NONE, "d.example")
EXPIRED = TlsFailure(TlsResult.EXPIRED, "", "a.d.example", "192.0.2.1")
KEPT = KeptPolicy("d.example", "1", b"version: STSv1\n", AT, AT + 1000, AT)


async def test_policies(world: World) -> None:
    store = world.store
    assert await store.tls_policy("d.example") is None
    await store.keep_tls_policy(KEPT)
    await store.keep_tls_policy(replace(KEPT, domain="e.example", checked_at=AT + 5))
    assert await store.tls_policy("d.example") == KEPT
    newer = replace(KEPT, id="2", text=b"\xff\x00", fetched_at=AT + 1, expires_at=AT + 2, checked_at=AT + 9)
    await store.keep_tls_policy(newer)
    assert await store.tls_policy("d.example") == newer
    assert [one.domain for one in await store.tls_policies_to_refresh(AT + 9, AT)] == ["e.example"]
    assert [one.domain for one in await store.tls_policies_to_refresh(AT + 10, AT)] == ["e.example", "d.example"]
    assert [one.domain for one in await store.tls_policies_to_refresh(AT + 10, AT + 2)] == ["e.example"]
    assert len(await store.tls_policies_to_refresh(AT + 10, AT, 1)) == 1


async def test_counts_add_up(world: World) -> None:
    store = world.store
    await store.count_tls([TlsCount(7, "d.example", STS, 1, 1, ((EXPIRED, 1),)), TlsCount(7, "d.example", NONE, 5)])
    await store.count_tls([TlsCount(7, "d.example", STS, 2, 3, ((EXPIRED, 3),)), TlsCount(8, "d.example", STS, 1)])
    found = sorted(await store.tls_counts(7, "d.example"), key=lambda count: count.policy.kind.value)
    assert found == [TlsCount(7, "d.example", NONE, 5), TlsCount(7, "d.example", STS, 3, 4, ((EXPIRED, 4),))]
    assert await store.tls_to_report(8) == [(7, "d.example")]
    assert await store.tls_to_report(9) == [(7, "d.example"), (8, "d.example")]
    assert await store.tls_to_report(7) == []


async def test_different_failures_are_bounded(world: World) -> None:
    failures = tuple((replace(EXPIRED, address=f"192.0.2.{number}"), 1) for number in range(150))
    await world.store.count_tls([TlsCount(7, "d.example", STS, 0, 150, failures)])
    (found,) = await world.store.tls_counts(7, "d.example")
    assert found.failed == 150
    assert len(found.failures) == 100


async def test_a_report_is_queued_once(world: World) -> None:
    store = world.store
    await store.count_tls([TlsCount(7, "d.example", STS, 1, 1, ((EXPIRED, 1),))])
    report = NewQueued(
        Origin(OriginKind.SYSTEM, "tlsrpt"),
        TraceId("t"),
        "",
        await blob(store, b"Subject: x\r\n\r\n"),
        (NewRecipient("r@d.example", "d.example"),),
        AT,
    )
    done = await asyncio.gather(*(store.tls_reported(7, "d.example", [report], [event("tls.reported")]) for _ in "ab"))
    assert sorted(done) == [False, True]
    assert len(await store.queued()) == 1
    assert len(await store.events(kind="tls.reported")) == 1
    assert await store.tls_counts(7, "d.example") == []
    assert await store.tls_to_report(99) == []


@pytest.mark.parametrize("fails", Fails)
async def test_failure(world: World, fails: Fails) -> None:
    store = failing(world.store, FailurePlan(1, fails))
    with pytest.raises(UnavailableError):
        await store.keep_tls_policy(KEPT)
    assert await world.store.tls_policy("d.example") == (None if fails is Fails.BEFORE else KEPT)
