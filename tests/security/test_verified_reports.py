"""Reports that strangers send: none of them keeps a real one out, or waiting."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.config.reports import Reports
from poterne.queue import report_reader
from poterne.queue.domains import LocalDomains
from poterne.queue.report_reader import ReportReader
from poterne.store.errors import OverQuotaError, StoreError
from poterne.store.interface import Store
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.reports import NewReportMail, ReportKind
from tests.support.queue_world import SilentLog
from tests.support.stores import AT, Clock, blob, event, sqlite
from tests.unit.mailauth.reports_in.test_corpus import CORPUS
from tests.unit.mailauth.reports_in.test_hostile import attached, mail
from tests.unit.mailauth.reports_in.written import gz, record, report

REAL = mail(attached(gz(report(record("192.0.2.1", 7), report_id=b"example.org:1789862400"))))
FAKE = mail(attached(gz(report(record("198.51.100.9", 1), report_id=b"example.org:1789862400"))))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = sqlite(tmp_path, Clock())
    await made.add_domain("example.org", event())
    yield made
    await made.close()


def reader(store: Store) -> ReportReader:
    clock = Clock()
    return ReportReader(store, Reports(), LocalDomains(store, clock), clock=clock, log=SilentLog())


async def arrived(
    store: Store, octets: bytes, author: str, *, proven: bool = True, kind: ReportKind = ReportKind.DMARC
) -> None:
    kept = await blob(store, octets)
    waiting = NewReportMail(kind, "example.org", TraceId("t-1"), kept, AT, author, proven)
    await store.deliver([], [], [], reports=[waiting])


async def counted(store: Store) -> dict[str, int]:
    return {row.source_ip: row.count for row in await store.source_days("example.org", 0, 1 << 20)}


@pytest.mark.parametrize(("forger", "proven"), [("org.example", False), ("evil.test", True), ("notorg.example", True)])
async def test_a_guessed_id_keeps_no_real_report_out(store: Store, forger: str, proven: bool) -> None:
    """Ids are made of a domain and a time by many; Google's about TLS are."""
    await arrived(store, FAKE, forger, proven=proven)
    await reader(store).read()  # before the real one has come, which else is read first
    for _ in range(2):
        await arrived(store, REAL, "mail.org.example")
    await arrived(store, FAKE, forger, proven=proven)
    await reader(store).read()
    assert (await counted(store))["192.0.2.1"] == 7
    assert len(await store.events(kind="report.read")) == 2


async def test_a_guessed_id_hides_no_report_about_tls(store: Store) -> None:
    real = (CORPUS / "tls-google.eml").read_bytes()
    await arrived(store, real, "evil.test", kind=ReportKind.TLS)
    await arrived(store, real, "google.com", kind=ReportKind.TLS)
    await arrived(store, real, "google.com", kind=ReportKind.TLS)
    await reader(store).read()
    assert len(await store.tls_reports("example.org", 0)) == 2


async def test_nothing_that_fails_keeps_the_others_waiting(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than are read at once, for each way to fail."""
    monkeypatch.setattr(report_reader, "AT_ONCE", 2)
    made = reader(store)
    whole = made.keep

    async def broken(reading: object, source: report_reader.Source) -> report_reader.Kept:
        if source.author == "bug.example":
            raise ValueError
        if source.author == "store.example":
            raise StoreError
        return await whole(reading, source)  # type: ignore[arg-type]

    monkeypatch.setattr(made, "keep", broken)
    for author in ("bug.example", "store.example") * 2:
        await arrived(store, FAKE, author)
    await arrived(store, REAL, "org.example")
    with pytest.raises(StoreError):
        await made.read()
    assert (await counted(store))["192.0.2.1"] == 7
    assert [one.mail.author for one in await store.report_mail()] == ["bug.example", "store.example"] * 2


async def test_waiting_reports_are_no_way_to_fill_the_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poterne.store.sqlite.report_mail.BYTES_MOST", 3 * len(REAL))
    for _ in range(3):
        await arrived(store, REAL, "org.example")
    with pytest.raises(OverQuotaError):
        await arrived(store, b"x", "org.example")
    await reader(store).read()
    await arrived(store, REAL, "org.example")


async def test_an_event_is_left_of_each(store: Store) -> None:
    await arrived(store, FAKE, "evil.test")
    await reader(store).read()
    found: list[Event] = await store.events(kind="report.read")
    assert [one.detail["author"] for one in found] == ["evil.test"]
