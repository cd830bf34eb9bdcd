"""Reports of others about our domains, on every engine."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from poterne.store.errors import LimitError, OverQuotaError, UnavailableError
from poterne.store.failing import Fails, FailurePlan, failing
from poterne.store.interface import Store
from poterne.values.dmarc import DmarcReport, DmarcRow, SourceDay
from poterne.values.reports import ReporterSeen, ReportKind, ReportMail, ReportMailId
from tests.support.stores import AT, World, event
from tests.support.verifying import DAY, ROW, TLS_REPORT, report, report_mail


def day_of(row: DmarcRow = ROW, count: int = 2, day: int = DAY, reporter: str = "Big Mail") -> SourceDay:
    return SourceDay(
        day,
        reporter,
        row.source_ip,
        row.header_from,
        count,
        row.disposition,
        row.dkim,
        row.spf,
        row.dkim_results,
        row.spf_results,
        row.overrides,
    )


async def read(world: World, *reports: DmarcReport, domain: str = "example.org") -> None:
    for one in reports:
        assert await world.store.report_read(None, AT, [], dmarc=one, domain=domain)


async def days(world: World, domain: str = "example.org", from_day: int = 0, to_day: int = 10**6) -> list[SourceDay]:
    return await world.store.source_days(domain, from_day, to_day)


async def waiting(world: World) -> ReportMail:
    new = await report_mail(world.store)
    await world.store.deliver([], [], [event("report.came")], reports=[new])
    return (await world.store.report_mail())[-1]


async def test_report_mail_waits_until_it_is_read(world: World) -> None:
    store = world.store
    assert await store.report_mail() == []
    first = await report_mail(store, b"first")
    second = replace(await report_mail(store, b"second"), kind=ReportKind.TLS, author="", proven=False)
    assert await store.deliver([], [], [event("report.came")], reports=[first, second]) == []
    found = await store.report_mail()
    assert [one.mail for one in found] == [first, second]
    assert store.blobs.read(found[1].mail.blob) == b"second"
    assert await store.report_mail(1) == found[:1]
    assert await store.report_read(found[0].id, AT, [event("report.unreadable")])
    assert await store.report_mail() == found[1:]
    assert await store.report_read(found[1].id, AT, [event("report.read")], tls=TLS_REPORT, domain="example.org")
    assert await store.report_mail() == []
    assert [len(await store.events(kind=f"report.{kind}")) for kind in ("came", "unreadable", "read")] == [1, 1, 1]


async def test_report_mail_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poterne.store.sqlite.report_mail.REPORT_MAIL_MOST", 2)
    first = await waiting(world)
    new = await report_mail(world.store)
    with pytest.raises(OverQuotaError):
        await world.store.deliver([], [], [event("report.came")], reports=[new, new])
    await waiting(world)
    with pytest.raises(OverQuotaError):
        await world.store.deliver([], [], [event("report.came")], reports=[new])
    assert await world.store.report_read(first.id, AT, [])
    await waiting(world)
    assert len(await world.store.events(kind="report.came")) == 3


async def test_authors_take_turns_and_the_proven_come_first(world: World) -> None:
    new = await report_mail(world.store)
    came = [
        ("", False),
        ("flood.example", True),
        ("flood.example", True),
        ("evil.example", False),
        ("big.example", True),
    ]
    for author, proven in came:
        await world.store.deliver([], [], [], reports=[replace(new, author=author, proven=proven)])
    found = [one.mail.author for one in await world.store.report_mail()]
    assert found == ["flood.example", "big.example", "flood.example", "", "evil.example"]
    assert [one.mail.author for one in await world.store.report_mail(2)] == found[:2]


async def test_what_nobody_answers_for_leaves_room_for_the_rest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poterne.store.sqlite.report_mail.REPORT_MAIL_MOST", 4)
    new = await report_mail(world.store)
    fake = replace(new, proven=False)
    await world.store.deliver([], [], [], reports=[fake, fake])
    with pytest.raises(OverQuotaError):
        await world.store.deliver([], [], [], reports=[fake])
    await world.store.deliver([], [], [], reports=[new, new])
    with pytest.raises(OverQuotaError):
        await world.store.deliver([], [], [], reports=[new])


async def test_a_report_is_kept_once(world: World) -> None:
    store = world.store
    mails = [await waiting(world) for _ in range(3)]
    done = await asyncio.gather(
        *(
            store.report_read(mail.id, AT, [event("report.read")], dmarc=report(), domain="example.org", proven=True)
            for mail in mails
        )
    )
    assert sorted(done) == [False, False, True]
    assert await store.report_mail() == []
    assert await days(world) == [day_of()]
    assert len(await store.events(kind="report.read")) == 1


async def test_a_mail_is_read_once(world: World) -> None:
    mail = await waiting(world)
    done = [
        await world.store.report_read(mail.id, AT, [event("report.read")], dmarc=one, domain="example.org")
        for one in (report(), report(report_id="r-2"))
    ]
    assert done == [True, False]
    assert not await world.store.report_read(ReportMailId(10**6), AT, [event("report.read")])
    assert await days(world) == [day_of()]
    assert len(await world.store.events(kind="report.read")) == 1


async def test_the_same_is_reporter_id_and_domain(world: World) -> None:
    store = world.store
    await read(world, report(), report(organisation="Other"), report(report_id="R-1"))
    assert await store.report_read(None, AT, [], dmarc=report(), domain="other.example")
    assert await store.report_read(
        None, AT, [], tls=replace(TLS_REPORT, organisation="Big Mail", report_id="r-1"), domain="example.org"
    )
    for again in (report(), report(replace(ROW, count=9), begin=AT + 5)):
        assert not await store.report_read(None, AT, [], dmarc=again, domain="Example.org")
    assert await days(world) == [day_of(count=4), day_of(reporter="Other")]


async def test_rows_add_up(world: World) -> None:
    other = replace(ROW, source_ip="2001:db8::1", count=50)
    spf = replace(ROW, spf="pass", spf_results=(), count=1)
    await read(
        world,
        report(ROW, other, replace(ROW, envelope_from="elsewhere.example", count=3), spf),
        report(ROW, report_id="r-2", begin=AT + 60),
        report(ROW, report_id="r-3", begin=AT + 86_400),
        report(ROW, organisation="Small Mail"),
    )
    assert await days(world) == [
        day_of(other, 50),
        day_of(count=7),
        day_of(reporter="Small Mail"),
        day_of(day=DAY + 1),
        day_of(spf, 1),
    ]
    assert await days(world, from_day=DAY + 1) == [day_of(day=DAY + 1)]
    assert len(await days(world, to_day=DAY)) == 4
    assert await world.store.source_days("example.org", 0, 10**6, 1) == [day_of(other, 50)]


async def test_a_domain_and_those_below_it(world: World) -> None:
    await read(world, report(), domain="example.org")
    await read(world, report(), report(report_id="r-2"), domain="news.Example.org")
    for number, other in enumerate(("badexample.org", "org", "example.org.evil.example", "x-example.org")):
        await read(world, report(replace(ROW, source_ip=f"192.0.2.{100 + number}")), domain=other)
    assert await days(world) == [day_of(count=6)]
    assert await days(world, "news.example.org") == [day_of(count=4)]
    assert await days(world, "old.news.example.org") == []
    assert len(await days(world, "org")) == 4


async def test_times_and_numbers_of_liars(world: World) -> None:
    """Nothing that a report says breaks the store, or what honest ones said."""
    strange = [
        report(replace(ROW, count=2**63 - 1), begin=-(10**30), seconds=10**31),
        report(replace(ROW, count=2**63 - 1), report_id="r-2", begin=-5),
        report(replace(ROW, count=-9), report_id="r-3", begin=0),
        report(ROW, report_id="r-4", begin=10**15),
    ]
    for one in strange:
        await read(world, one)
    mail = await waiting(world)
    for bad in (report(organisation="\ud800"), report(replace(ROW, header_from="\ud800"), report_id="r-5")):
        with pytest.raises((LimitError, UnavailableError)):
            await world.store.report_read(mail.id, AT, [], dmarc=bad, domain="example.org")
    assert await world.store.report_mail() == [mail]
    found = await days(world, to_day=10**9)
    assert {(one.day, one.count) for one in found} == {(0, 2 << 40), (253_402_300_800 // 86_400, 2)}


async def test_tls_reports(world: World) -> None:
    store = world.store
    later = replace(TLS_REPORT, report_id="t-2", begin=AT + 86_400, end=AT + 2 * 86_400 - 1, rows=())
    for one in (TLS_REPORT, later):
        assert await store.report_read(None, AT, [], tls=one, domain="example.org")
    assert not await store.report_read(None, AT, [], tls=later, domain="example.org")
    assert await store.tls_reports("Example.org", 0) == [later, TLS_REPORT]
    assert await store.tls_reports("example.org", AT + 1) == [later]
    assert await store.tls_reports("example.org", 0, 1) == [later]
    assert await store.tls_reports("other.example", 0) == []
    assert await days(world) == []


async def test_reporters(world: World) -> None:
    store = world.store
    assert await store.reporters("example.org") == []
    await read(world, report(), report(report_id="r-2"))
    assert await store.report_read(None, AT + 50, [], dmarc=report(organisation="Other"), domain="example.org")
    assert await store.report_read(None, AT + 60, [], tls=TLS_REPORT, domain="example.org")
    assert await store.reporters("Example.org") == [
        ReporterSeen(ReportKind.TLS, "Big Mail", 1, AT + 60),
        ReporterSeen(ReportKind.DMARC, "Other", 1, AT + 50),
        ReporterSeen(ReportKind.DMARC, "Big Mail", 2, AT),
    ]
    assert await store.reporters("other.example") == []


async def test_old_reports_are_forgotten(world: World) -> None:
    store = world.store
    many = [replace(ROW, source_ip=f"10.0.{number >> 8}.{number & 255}") for number in range(5_000)]
    await read(world, report(*many), report(report_id="r-2", begin=AT + 86_400))
    await read(world, report(), domain="other.example")
    assert await store.report_read(None, AT, [], tls=TLS_REPORT, domain="example.org")
    assert await store.forget_reports(DAY) == 0
    assert len(await days(world)) == 5_001
    assert await store.forget_reports(DAY + 1) == 3
    assert await days(world) == [day_of(day=DAY + 1)]
    assert await days(world, "other.example") == []
    assert await store.tls_reports("example.org", 0) == []
    assert await store.reporters("example.org") == [ReporterSeen(ReportKind.DMARC, "Big Mail", 1, AT)]
    assert await store.check() == []
    assert await store.forget_reports(DAY + 2) == 1
    assert await days(world) == []
    assert await store.reporters("example.org") == []
    await read(world, report())
    assert await days(world) == [day_of()]


async def test_reports_go_with_their_domain(world: World) -> None:
    store = world.store
    for domain in ("other.example", "kept.other.example"):
        await store.add_domain(domain, event())
    waits = replace(await report_mail(store), domain="other.example")
    ours = await report_mail(store)
    await store.deliver([], [], [], reports=[waits, ours])
    for domain in ("other.example", "x.other.example", "y.kept.other.example", "example.org"):
        await read(world, report(), domain=domain)
    await store.remove_domain("other.example", event())
    assert [one.mail for one in await store.report_mail()] == [ours]
    assert await days(world) == [day_of()]
    assert await days(world, "x.other.example") == []
    assert await store.reporters("other.example") == []
    assert await days(world, "other.example") == [day_of()] == await days(world, "kept.other.example")
    assert await store.check() == []
    await store.compact()
    assert await store.check() == []
    await read(world, report(), domain="other.example")
    assert await days(world, "other.example") == [day_of(count=4)]


async def test_a_large_report_is_bounded(world: World) -> None:
    rows = [replace(ROW, source_ip=f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", count=n) for n in range(20_100)]
    await read(world, report(*rows))
    found = await days(world)
    assert len(found) == 20_000
    assert (found[0].count, found[-1].count) == (20_099, 100)


READS: tuple[Callable[[Store], Awaitable[object]], ...] = (
    lambda store: store.report_mail(),
    lambda store: store.source_days("example.org", 0, 10**6),
    lambda store: store.tls_reports("example.org", 0),
    lambda store: store.reporters("example.org"),
)


@pytest.mark.parametrize("fails", Fails)
async def test_each_change_that_fails(world: World, fails: Fails) -> None:
    """The mail waits and nothing of it is kept, or it is kept and waits no more."""
    store, done = world.store, fails is Fails.AFTER
    mail = await waiting(world)
    with pytest.raises(UnavailableError):
        await failing(store, FailurePlan(1, fails)).report_read(
            mail.id, AT, [event("report.read")], dmarc=report(), domain="example.org"
        )
    assert await store.report_mail() == [mail] * (not done)
    assert await days(world) == [day_of()] * done
    assert len(await store.events(kind="report.read")) == done
    again = await store.report_read(mail.id, AT, [], dmarc=report(), domain="example.org")
    assert again is not done
    assert await days(world) == [day_of()]
    with pytest.raises(UnavailableError):
        await failing(store, FailurePlan(1, fails)).forget_reports(DAY + 1)
    assert await days(world) == [day_of()] * (not done)
    for look in READS:
        with pytest.raises(UnavailableError):
            await look(failing(store, FailurePlan(1, fails)))
