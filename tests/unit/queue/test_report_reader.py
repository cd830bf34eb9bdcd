"""Report mail from the store to what is kept of it: by the real process, on a real store."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.admin import reports as admin
from poterne.config.reports import Reports
from poterne.config.settings import Settings
from poterne.mailauth.reports_in import read
from poterne.mailauth.reports_in.outcome import Limits
from poterne.queue import report_process, report_shares, report_upkeep
from poterne.queue.domains import LocalDomains
from poterne.queue.report_reader import ReportReader, Source, ours
from poterne.queue.report_sources import own_addresses
from poterne.store.errors import StoreError
from poterne.store.failing import FailurePlan, failing
from poterne.store.interface import Store
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.reports import NewReportMail, ReporterSeen, ReportKind
from tests.support.queue_world import Names, SilentLog, settings
from tests.support.stores import AT, Clock, blob, event, sqlite
from tests.unit.mailauth.reports_in.test_corpus import CORPUS
from tests.unit.mailauth.reports_in.test_hostile import attached, mail
from tests.unit.mailauth.reports_in.written import gz, head, record, report

DAY = 1_789_862_400 // 86_400


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = sqlite(tmp_path, Clock())
    await made.add_domain("example.org", event())
    yield made
    await made.close()


def reader(store: Store, values: Reports | None = None, clock: Clock | None = None) -> ReportReader:
    clock = clock or Clock()
    return ReportReader(store, values or Reports(), LocalDomains(store, clock), clock=clock, log=SilentLog())


async def arrived(store: Store, octets: bytes, *, kind: ReportKind = ReportKind.DMARC, proven: bool = True) -> None:
    """As delivery leaves it."""
    kept = await blob(store, octets)
    waiting = NewReportMail(kind, "example.org", TraceId("t-1"), kept, AT, "reporter.example", proven)
    await store.deliver([], [], [], reports=[waiting])


async def happened(store: Store, kind: str) -> list[Event]:
    return await store.events(kind=kind)


async def test_from_mail_to_rows(store: Store) -> None:
    for name in ("google-zip.eml", "yahoo-gz.eml", "google-zip.eml"):
        await arrived(store, (CORPUS / name).read_bytes())
    await arrived(store, (CORPUS / "tls-google.eml").read_bytes(), kind=ReportKind.TLS)
    await arrived(store, (CORPUS / "failure-opendmarc.eml").read_bytes())
    assert await reader(store).read() == 5
    assert await store.report_mail() == []
    rows = await store.source_days("example.org", DAY, DAY)
    assert sorted((row.reporter, row.source_ip, row.count) for row in rows) == [
        ("Yahoo", "192.0.2.25", 31),
        ("Yahoo", "198.51.100.99", 2),
        ("google.com", "192.0.2.25", 120),
        ("google.com", "198.51.100.7", 9),
        ("google.com", "2001:db8:bad::1", 3),
    ]
    (tls,) = await store.tls_reports("example.org", 0)
    assert tls.organisation == "Google Inc."
    found = await happened(store, "report.read")
    assert sorted((one.detail["kind"], one.detail["reporter"]) for one in found) == [
        ("dmarc", "Yahoo"), ("dmarc", "google.com"), ("tls", "Google Inc."),
    ]  # fmt: skip
    (failure,) = await happened(store, "report.failure")
    assert (failure.peer, failure.detail["auth_failure"], failure.detail["domain"]) == (
        "198.51.100.99",
        "dmarc",
        "example.org",
    )
    assert await happened(store, "report.unreadable") == []
    assert await reader(store).read() == 0


@pytest.mark.parametrize(
    ("octets", "word"),
    [
        (b"Subject: hello\r\n\r\nis this the right address?\r\n", "no-report"),
        (mail(attached(gz(report(domain=b"other.example")))), "not-ours"),
        (mail(attached(gz(report(domain=b"notexample.org")))), "not-ours"),
        (mail(attached(gz(report(domain=b"org")))), "not-ours"),
        (mail(attached(gz(b"<!DOCTYPE x []><feedback/>"))), "dtd"),
        (
            (CORPUS / "failure-opendmarc.eml").read_bytes().replace(b"Domain: example.org", b"Domain: example.com"),
            "not-ours",
        ),
        ((CORPUS / "tls-microsoft.json").read_bytes(), "no-report"),
        (b"Content-Type: application/json\r\n\r\n" + (CORPUS / "tls-no-policies.json").read_bytes(), "not-ours"),
    ],
)
async def test_what_is_not_kept_leaves_an_event(store: Store, octets: bytes, word: str) -> None:
    await arrived(store, octets)
    await reader(store).read()
    assert await store.report_mail() == []
    (one,) = await happened(store, "report.unreadable")
    assert (one.reason, one.detail["author"], one.trace_id) == (word, "reporter.example", "t-1")
    assert await store.source_days("example.org", 0, 1 << 20) == []


async def test_several_in_one_mail_one_of_them_bad(store: Store) -> None:
    parts = [
        gz(report(report_id=b"1")),
        gz(report(report_id=b"2", domain=b"mail.example.org")),
        gz(head() + b"<a>" * 99),
    ]
    await arrived(store, mail(*map(attached, parts)))
    await reader(store).read()
    assert [one.reason for one in await happened(store, "report.unreadable")] == ["depth"]
    assert len(await happened(store, "report.read")) == 2
    assert await store.report_mail() == []


async def test_unproven_reports(store: Store) -> None:
    letter = mail(attached(gz(report())))
    await arrived(store, letter, proven=False)
    await reader(store, Reports(unproven="ignore")).read()
    (ignored,) = await happened(store, "report.ignored")
    assert ignored.reason == "unproven"
    assert await store.source_days("example.org", DAY, DAY) == []
    await arrived(store, letter, proven=False)
    await reader(store).read()
    (found,) = await happened(store, "report.read")
    assert found.detail["proven"] is False
    assert len(await store.source_days("example.org", DAY, DAY)) == 1


async def test_limits_of_the_settings(store: Store) -> None:
    values = Reports(max_report_mib=1, max_rows=100)
    await arrived(store, mail(b"Content-Type: text/plain\r\n\r\n" + b"x" * (1 << 20)))
    await arrived(store, mail(attached(gz(report(*[record(f"192.0.2.{i}") for i in range(150)])))))
    await reader(store, values).read()
    assert [one.reason for one in await happened(store, "report.unreadable")] == ["too-large"]
    assert len(await store.source_days("example.org", DAY, DAY)) == 100


async def test_a_process_that_breaks_is_told_and_the_next_mail_is_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await arrived(store, mail(attached(gz(report()))))
    with monkeypatch.context() as broken:
        broken.setattr(report_process, "START", "import os; os._exit(1)")
        await reader(store).read()
    assert [one.reason for one in await happened(store, "report.unreadable")] == ["resources"]
    await arrived(store, mail(attached(gz(report()))))
    await reader(store).read()
    assert len(await happened(store, "report.read")) == 1


async def test_hostile_mail_waits_and_honest_reports_do_not(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody answers for has a share of the processor, together; so has each author."""
    monkeypatch.setattr(report_shares, "UNPROVEN_READ_S", 0.001)
    clock = Clock()
    taking = reader(store, clock=clock)
    for number in range(3):
        await arrived(store, mail(attached(gz(report(report_id=b"u%d" % number)))), proven=False)
    await arrived(store, mail(attached(gz(report(report_id=b"honest")))))
    assert await taking.read() == 2
    assert [one.mail.proven for one in await store.report_mail()] == [False, False]
    assert [one.detail["proven"] for one in await happened(store, "report.read")] == [False, True]  # newest first
    await arrived(store, mail(attached(gz(report(report_id=b"honest too")))))
    assert await taking.read() == 1
    clock.now += 3600
    assert await taking.read() == 1
    assert len(await store.report_mail()) == 1
    monkeypatch.setattr(report_shares, "READ_S", 0.001)
    clock.now += 3600
    for number in range(3):
        await arrived(store, mail(attached(gz(report(report_id=b"p%d" % number)))))
    assert await taking.read() == 2  # one of each


async def test_an_author_keeps_so_much_a_day(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_shares, "UNPROVEN_ROWS", 60)
    clock = Clock()
    taking = reader(store, clock=clock)
    for number in range(3):
        await arrived(store, mail(attached(gz(report(report_id=b"u%d" % number)))), proven=False)
    await taking.read()
    assert len(await happened(store, "report.read")) == 2
    (told,) = await happened(store, "report.unreadable")
    assert (told.reason, told.detail["domain"]) == ("share", "example.org")
    clock.now += 86_400
    await arrived(store, mail(attached(gz(report(report_id=b"u4")))), proven=False)
    await taking.read()
    assert len(await happened(store, "report.read")) == 3


async def test_when_no_process_starts_it_waits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await arrived(store, mail(attached(gz(report()))))
    with monkeypatch.context() as broken:
        broken.setattr(report_process, "command", lambda _: ["/nonexistent"])
        with pytest.raises(OSError, match="nonexistent"):
            await reader(store).read()
    assert len(await store.report_mail()) == 1


async def test_a_store_that_fails_at_any_call_loses_nothing(tmp_path: Path) -> None:
    """Whichever call fails, a later round ends with all of it kept, once."""
    real = sqlite(tmp_path, Clock())
    plan = FailurePlan()
    broken = failing(real, plan)
    await real.add_domain("example.org", event())
    await arrived(real, mail(attached(gz(report(report_id=b"1"))), attached(gz(report(report_id=b"2")))))
    at = 0
    while await real.report_mail():
        at += 1
        plan.calls, plan.at = 0, at
        try:
            await reader(broken).read()
        except StoreError:
            continue
    plan.at = 0
    (row,) = await real.source_days("example.org", DAY, DAY)
    assert row.count == 2
    assert at > 3
    await real.close()


async def noticed(store: Store) -> list[Event]:
    return await store.events(kind="report.alarm", limit=100)


def configured(**changed: object) -> Settings:
    return dataclasses.replace(settings(), reports=dataclasses.replace(Reports(), **changed))  # type: ignore[arg-type]


async def fed(store: Store, today: int, days: int, *records: bytes, reporter: bytes = b"org.example") -> None:
    """A report a day until today; read in this process, which is quicker."""
    clock = Clock()
    clock.now = float(today * 86_400 + 50_000)
    taking = reader(store, clock=clock)
    for ago in range(days):
        begin = (today - ago) * 86_400
        text = report(*records, report_id=b"r%d" % begin, begin=begin, end=begin + 86_399)
        reading = read.file(text.replace(b"org.example</org", reporter + b"</org"), Limits(), int(clock.now))
        await taking.keep(reading, Source(TraceId("t-1"), proven=True))


async def test_alarms_are_told_once(store: Store) -> None:
    clock = Clock()
    today = int(clock.now) // 86_400
    await fed(store, today, 25, record("192.0.2.25", 20))
    await fed(store, today, 2, record("198.51.100.5", 15, b"fail"), reporter=b"two.example")
    await fed(
        store, today, 1, record("203.0.113.5", 15, b"fail", b"fail").replace(b"s1", b"s2"), reporter=b"three.example"
    )
    names = Names(mxs={"example.org": [(10, "mx.example.org")]}, hosts={"mx.example.org": ["192.0.2.25"]})
    upkeep = admin.upkeep(store, configured(), names, SilentLog(), clock)
    await upkeep.daily()
    (alarm,) = await noticed(store)
    assert (alarm.reason, alarm.detail["name"], alarm.detail["messages"]) == ("new-source", "198.51.100.0/24", 30)
    (letter,) = await store.queued(10, None)
    assert letter.forward_path == "postmaster@example.org"
    octets = store.blobs.read(letter.message.blob, letter.message.start)
    assert b"198.51.100.0/24" in octets
    assert b"Auto-Submitted: auto-generated" in octets
    await upkeep.daily()
    assert len(await noticed(store)) == 1
    clock.now += 60 * 3600
    await upkeep.daily()
    assert [one.reason for one in await noticed(store)] == ["reports-stopped", "new-source"]
    clock.now += 24 * 3600
    await upkeep.daily()
    clock.now += 5 * 86_400
    await upkeep.daily()
    assert [one.reason for one in await noticed(store)] == ["reports-stopped", "reports-stopped", "new-source"]
    assert len(await store.queued(10, None)) == 3


async def test_alarms_without_mail(store: Store) -> None:
    clock = Clock()
    today = int(clock.now) // 86_400
    invented = record("203.0.113.5", 15, b"fail", b"fail").replace(b"<header_from>example", b"<header_from>pay.example")
    await fed(store, today, 2, record("192.0.2.25", 20), invented)
    await admin.upkeep(store, configured(), Names(), SilentLog(), clock).daily()
    (one,) = await noticed(store)
    assert (one.reason, one.detail["key"]) == ("invented-names", "np:pay.example.org")
    clock.now += 7 * 86_400
    await fed(store, int(clock.now) // 86_400, 20, record("192.0.2.25", 20))
    clock.now += 3 * 86_400
    await admin.upkeep(store, configured(alarms=False), Names(), SilentLog(), clock).daily()
    assert {one.reason for one in await noticed(store)} == {"invented-names", "reports-stopped"}
    assert await store.queued(10, None) == []


async def test_old_reports_go(store: Store) -> None:
    await arrived(store, mail(attached(gz(report()))))
    await reader(store).read()
    clock = Clock()
    upkeep = admin.upkeep(store, configured(keep_days=10), Names(), SilentLog(), clock)
    await upkeep.daily()
    assert len(await store.source_days("example.org", DAY, DAY)) == 1
    clock.now += 11 * 86_400
    await upkeep.daily()
    assert await store.source_days("example.org", DAY, DAY) == []


async def test_upkeep_runs_until_it_is_cancelled(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_upkeep, "READ_S", 0.01)
    monkeypatch.setattr(report_upkeep, "DAILY_S", 0.01)
    await arrived(store, mail(attached(gz(report()))))
    log = SilentLog()
    plan = FailurePlan()
    plan.at = 1
    task = asyncio.create_task(admin.upkeep(failing(store, plan), configured(), Names(), log, Clock()).run())
    async with asyncio.timeout(20):
        while await store.report_mail():  # noqa: ASYNC110  (the store tells nobody)
            await asyncio.sleep(0.01)
    assert "report.upkeep" in log.names()
    assert "report.bug" not in log.names()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_own_addresses() -> None:
    names = Names(
        mxs={"example.org": [(10, "mx.example.org"), (20, "")]},
        hosts={"mx.example.org": ["192.0.2.1"], "host.example": ["192.0.2.2", "2001:db8::2"]},
    )
    found = await own_addresses("example.org", "host.example", ["192.0.2.9"], names)
    assert found == {"192.0.2.1", "192.0.2.2", "2001:db8::2", "192.0.2.9"}


def test_ours() -> None:
    names = frozenset({"example.org"})
    assert ours("example.org", names)
    assert ours("a.b.example.org", names)
    assert not ours("notexample.org", names)
    assert not ours("org", names)
    assert not ours("", names)


async def test_all_reporters(store: Store) -> None:
    await arrived(store, (CORPUS / "google-zip.eml").read_bytes())
    await reader(store).read()
    assert await admin.all_reporters(store) == [("example.org", ReporterSeen(ReportKind.DMARC, "google.com", 1, AT))]
