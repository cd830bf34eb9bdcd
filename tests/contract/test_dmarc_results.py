"""Results of DMARC until they are reported, on every engine."""

import asyncio
from dataclasses import replace

import pytest

from poterne.store.errors import UnavailableError
from poterne.store.failing import Fails, FailurePlan, failing
from poterne.values.ids import TraceId
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import NewQueued, NewRecipient
from tests.support.stores import AT, World, blob, event
from tests.support.verifying import POLICY, ROW, counted


async def report(world: World) -> NewQueued:
    held = await blob(world.store, b"Subject: Report\r\n\r\n")
    to = NewRecipient("r@sender.example", "sender.example")
    return NewQueued(Origin(OriginKind.SYSTEM, "dmarc"), TraceId("t"), "", held, (to,), AT)


async def test_counts_add_up(world: World) -> None:
    store = world.store
    other = replace(ROW, source_ip="192.0.2.8", dkim_results=())
    strict = replace(POLICY, adkim="s")
    await store.count_dmarc([counted(), counted(other), counted(replace(ROW, count=3))])
    await store.count_dmarc([counted(replace(ROW, count=5)), counted(policy=strict), counted(day=8)])
    assert await store.dmarc_counts(7, "sender.example") == [
        counted(replace(ROW, count=10)),
        counted(other),
        counted(policy=strict),
    ]
    assert await store.dmarc_counts(8, "sender.example") == [counted(day=8)]
    assert await store.dmarc_counts(9, "sender.example") == []


async def test_each_part_of_a_row_tells_it_from_others(world: World) -> None:
    rows = [
        ROW,
        replace(ROW, source_ip="2001:db8::1"),
        replace(ROW, disposition="quarantine"),
        replace(ROW, dkim="fail"),
        replace(ROW, spf="pass"),
        replace(ROW, header_from="x.sender.example"),
        replace(ROW, envelope_from=""),
        replace(ROW, envelope_to=""),
        replace(ROW, dkim_results=(*ROW.dkim_results, *ROW.dkim_results)),
        replace(ROW, spf_results=()),
        replace(ROW, overrides=()),
    ]
    await world.store.count_dmarc([counted(row) for row in rows])
    assert [one.row for one in await world.store.dmarc_counts(7, "sender.example")] == rows


async def test_what_is_to_report(world: World) -> None:
    store = world.store
    assert await store.dmarc_to_report(99) == []
    a = replace(POLICY, domain="a.example")
    await store.count_dmarc([counted(day=8), counted(), counted(policy=a)])
    assert await store.dmarc_to_report(99) == [(7, "a.example"), (7, "sender.example"), (8, "sender.example")]
    assert await store.dmarc_to_report(8) == [(7, "a.example"), (7, "sender.example")]
    assert await store.dmarc_to_report(99, 1) == [(7, "a.example")]
    assert await store.dmarc_to_report(7) == []


async def test_a_report_is_queued_once(world: World) -> None:
    store = world.store
    await store.count_dmarc([counted(), counted(replace(ROW, spf="pass")), counted(day=8)])
    new = await report(world)
    done = await asyncio.gather(
        *(store.dmarc_reported(7, "sender.example", [new], [event("dmarc.reported")]) for _ in "abc")
    )
    assert sorted(done) == [False, False, True]
    assert len(await store.queued()) == 1
    assert len(await store.events(kind="dmarc.reported")) == 1
    assert await store.dmarc_counts(7, "sender.example") == []
    assert await store.dmarc_to_report(99) == [(8, "sender.example")]
    assert not await store.dmarc_reported(7, "", [new])
    assert await store.dmarc_reported(8, "sender.example")
    await store.count_dmarc([counted()])
    assert await store.dmarc_counts(7, "sender.example") == [counted()]


@pytest.mark.parametrize("fails", Fails)
async def test_each_change_that_fails(world: World, fails: Fails) -> None:
    store, done = world.store, fails is Fails.AFTER
    with pytest.raises(UnavailableError):
        await failing(store, FailurePlan(1, fails)).count_dmarc([counted()])
    assert await store.dmarc_counts(7, "sender.example") == ([counted()] if done else [])
    if not done:
        await store.count_dmarc([counted()])
    new = await report(world)
    with pytest.raises(UnavailableError):
        await failing(store, FailurePlan(1, fails)).dmarc_reported(
            7, "sender.example", [new], [event("dmarc.reported")]
        )
    assert len(await store.queued()) == len(await store.events(kind="dmarc.reported")) == done
    assert await store.dmarc_to_report(9) == ([] if done else [(7, "sender.example")])
    broken = failing(store, FailurePlan(1, fails))
    with pytest.raises(UnavailableError):
        await broken.dmarc_to_report(9)
    with pytest.raises(UnavailableError):
        await failing(store, FailurePlan(1, fails)).dmarc_counts(7, "sender.example")
