"""What cannot be seen through the interface: bounds of what others can make us keep, and keys that are really gone."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import apsw
import pytest

from poterne.store.sqlite import dmarc_results, reports, watched
from poterne.store.sqlite.connection import DATABASE_NAME
from poterne.store.sqlite.engine import SqliteStore, open_store
from poterne.store.sqlite.transaction import Tx
from poterne.values.dmarc import DmarcReport, DmarcRow, Override
from poterne.values.history import ListSeen
from poterne.values.secret import Secret
from tests.support.stores import AT, Clock, World, event
from tests.support.verifying import KEY, POLICY, ROW, counted, report, report_mail, suspicious

T = TypeVar("T")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = open_store(tmp_path, clock=Clock())
    await World(made, tmp_path, Clock()).settle()
    yield made
    await made.close()


async def write(store: SqliteStore, work: Callable[[Tx], T]) -> T:
    return await store._writer.submit(work)


def ips(count: int, start: int = 0) -> list[str]:
    return [f"10.0.{number >> 8}.{number & 255}" for number in range(start, start + count)]


async def test_rows_of_a_domains_day_are_bounded(store: SqliteStore) -> None:
    """What is beyond counts for its network, without what its sender chose."""
    counts = [counted(replace(ROW, source_ip=ip)) for ip in ips(12)]
    six = [
        counted(replace(ROW, source_ip=f"2001:db8:1:{number}::1", envelope_from=f"x{number}")) for number in range(3)
    ]
    await write(store, lambda tx: dmarc_results.count(tx, [*counts, *counts, *six], most=10))
    found = await store.dmarc_counts(7, "sender.example")
    assert [one.row.source_ip for one in found] == [*ips(10), "10.0.0.0", "2001:db8:1::"]
    assert [one.row.count for one in found] == [4] * 10 + [8, 6]
    assert found[10].row == DmarcRow(
        *("10.0.0.0", 8, "none", "pass", "fail", "sender.example"),
        overrides=(Override("other", "all of 10.0.0.0/24: too many sources to tell apart"),),
    )
    other = replace(POLICY, domain="other.example")
    await write(store, lambda tx: dmarc_results.count(tx, [counted(policy=other), counts[11]], most=10))
    assert len(await store.dmarc_counts(7, "other.example")) == 1
    assert await store.check() == []


async def test_nothing_is_lost_where_networks_are_too_many_too(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dmarc_results, "COARSE_ROWS_MOST", 5)
    counts = [counted(replace(ROW, source_ip=f"10.{number}.0.1")) for number in range(100)]
    await write(store, lambda tx: dmarc_results.count(tx, counts, most=10))
    found = await store.dmarc_counts(7, "sender.example")
    assert [(one.row.source_ip, one.row.count) for one in found[14:]] == [("10.14.0.0", 2), ("10.0.0.0", 170)]
    assert sum(one.row.count for one in found) == 200
    assert await store.check() == []


async def test_rows_of_a_day_are_bounded(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has many domains gets no more room, and takes none of the next day's."""
    monkeypatch.setattr(dmarc_results, "COARSE_DAY_ROWS_MOST", 0)
    many = [counted(policy=replace(POLICY, domain=f"d{number:02}.example")) for number in range(12)]
    await write(store, lambda tx: dmarc_results.count(tx, [*many, *many], day_most=10))
    assert await store.dmarc_to_report(99) == [(7, f"d{number:02}.example") for number in range(10)]
    await write(store, lambda tx: dmarc_results.count(tx, [counted(day=8)], day_most=10))
    assert await store.dmarc_counts(8, "sender.example") == [counted(day=8)]
    for _, domain in await store.dmarc_to_report(8):
        assert await store.dmarc_reported(7, domain)
    assert await store.dmarc_to_report(99) == [(8, "sender.example")]
    assert await write(store, lambda tx: tx.all("SELECT day FROM dmarc_day WHERE domain = ''")) == [(8,)]
    assert await store.check() == []


async def test_lists_not_seen_for_longest_go(store: SqliteStore) -> None:
    lists = [ListSeen(f"l{number}.example", "example", AT, AT + number, 1) for number in range(102)]

    def note(tx: Tx, some: list[ListSeen]) -> bool:
        watched.note_lists(tx, some, most=100, spare=10)
        return True

    await write(store, lambda tx: note(tx, lists[:100]))
    await write(store, lambda tx: note(tx, [replace(lists[0], last_at=AT + 1000)]))
    assert all(store.list_seen(one.list_id, "example") for one in lists[:100])
    await write(store, lambda tx: note(tx, lists[100:101]))
    left = [one.list_id for one in lists if store.list_seen(one.list_id, "example")]
    assert left == ["l0.example", *(f"l{number}.example" for number in range(12, 101))]
    more = [[ListSeen(f"l{at}.example", "example", AT, AT + at, 1)] for at in range(200, 209)]
    await write(store, lambda tx: [note(tx, one) for one in more])
    assert await write(store, lambda tx: tx.all("SELECT count(*) FROM list_seen")) == [(99,)]
    assert await write(store, lambda tx: tx.all("SELECT value FROM meta WHERE key = 'lists_seen'")) == [(99,)]


async def keep(
    store: SqliteStore, one: DmarcReport, *, reports_most: int = 9, rows_most: int = 9, proven: bool = True
) -> bool:
    read = reports.dmarc_read(one)
    return await write(
        store,
        lambda tx: reports.keep(
            tx, "example.org", read, AT, proven=proven, reports_most=reports_most, rows_most=rows_most
        ),
    )


async def test_reports_about_a_domain_are_bounded(store: SqliteStore) -> None:
    for number in range(3):
        assert await keep(store, report(organisation=f"o{number}"), reports_most=2)
    assert [one.organisation for one in await store.reporters("example.org")] == ["o0", "o1"]
    assert len(await store.source_days("example.org", 0, 10**6)) == 2
    assert await store.check() == []


async def test_rows_about_a_domain_are_bounded(store: SqliteStore) -> None:
    rows = [replace(ROW, source_ip=ip, count=number) for number, ip in enumerate(ips(8))]
    assert await keep(store, report(*rows), rows_most=8)
    assert await keep(store, report(replace(ROW, source_ip="10.9.9.9"), report_id="r-2"), rows_most=8)
    assert len(await store.source_days("example.org", 0, 10**6)) == 8
    more = [replace(ROW, source_ip=ip, count=100) for ip in ips(8, 100)]
    assert await keep(store, report(*more, organisation="Other"), rows_most=11)
    found = await store.source_days("example.org", 0, 10**6)
    assert len(found) == 11
    assert [one.count for one in found[:4]] == [100, 100, 100, 7]
    assert await store.check() == []


async def test_who_is_proven_finds_room_where_others_filled_all(store: SqliteStore) -> None:
    await keep(store, report(replace(ROW, source_ip="10.1.0.0"), organisation="honest"))
    for number in range(4):
        rows = [replace(ROW, source_ip=f"10.2.{number}.{at}") for at in range(2)]
        assert await keep(store, report(*rows, organisation=f"fake{number}"), proven=False)
    assert await keep(store, report(*(replace(ROW, source_ip=ip) for ip in ips(5)), organisation="late"))
    assert {one.organisation for one in await store.reporters("example.org")} == {"honest", "late"}
    assert len(await store.source_days("example.org", 0, 10**6)) == 6
    (told,) = await store.events(kind="report.full")
    assert (told.reason, told.detail) == (
        "rows",
        {"domain": "example.org", "reporter": "late", "kept": True, "rows_not_kept": 0,
         "unproven_reports_gone": 4, "unproven_rows_gone": 8},
    )  # fmt: skip
    assert await store.check() == []
    assert await keep(store, report(organisation="another"), reports_most=2)
    (told, *_) = await store.events(kind="report.full")
    assert (told.reason, told.detail["kept"]) == ("reports", False)
    assert {one.organisation for one in await store.reporters("example.org")} == {"honest", "late"}
    assert await store.check() == []


async def test_results_are_shared_and_go_with_the_last_day(store: SqliteStore) -> None:
    other = replace(ROW, dkim="fail")
    assert await keep(store, report(ROW, other))
    assert await keep(store, report(ROW, report_id="r-2", begin=AT + 86_400))
    assert await write(store, lambda tx: tx.all("SELECT count(*) FROM report_result")) == [(2,)]
    assert await store.forget_reports(AT // 86_400 + 1) == 1
    assert await write(store, lambda tx: tx.all("SELECT count(*) FROM report_result")) == [(1,)]
    assert len(await store.source_days("example.org", 0, 10**6)) == 1


async def test_a_report_of_several_days_is_noted(store: SqliteStore) -> None:
    assert await keep(store, report(seconds=3 * 86_400))
    assert await keep(store, report(report_id="r-2"))
    assert await keep(store, report(*(replace(ROW, source_ip=ip) for ip in ips(3)), report_id="r-3"))
    found = await write(
        store, lambda tx: tx.all("SELECT days, text LIKE '%covers 3 days%' FROM report ORDER BY report_id")
    )
    assert found == [(3, 1), (1, 0), (1, 0)]


async def test_days_are_read_by_index(store: SqliteStore) -> None:
    """However many other days there are."""
    plan = await write(store, lambda tx: tx.all(f"EXPLAIN QUERY PLAN {reports._SOURCE_DAYS}", ("[1]", 1, 2, 3)))
    text = "\n".join(str(row[-1]) for row in plan)
    assert "SEARCH report_source USING PRIMARY KEY (domain_id=? AND day>? AND day<?)" in text
    assert "SCAN report_source" not in text


@pytest.mark.parametrize("all_of_them", [False, True])
async def test_a_removed_key_is_nowhere_in_the_database(tmp_path: Path, all_of_them: bool) -> None:
    pem = "-----BEGIN PRIVATE KEY-----" + "SECRET+HALF" * 800  # some of it in overflow pages
    store = open_store(tmp_path, clock=Clock())
    await World(store, tmp_path, Clock()).settle()
    await store.add_domain("other.example", event())
    await store.add_dkim_key(replace(KEY, domain="other.example", private=Secret(pem)), event())
    await store.close()
    assert b"SECRET+HALF" in (tmp_path / DATABASE_NAME).read_bytes()
    store = open_store(tmp_path, clock=Clock())
    if all_of_them:
        await store.remove_domain("other.example", event())
    else:
        await store.remove_dkim_key("other.example", "s1", event())
    assert await write(store, lambda tx: tx.all("PRAGMA secure_delete")) == [(0,)]
    await store.close()
    assert b"SECRET+HALF" not in (tmp_path / DATABASE_NAME).read_bytes()


def spoil(folder: Path, at: int) -> None:
    (segment,) = folder.rglob("*.seg")
    data = bytearray(segment.read_bytes())
    data[at] ^= 1
    segment.write_bytes(data)


async def test_the_check_tells_of_kept_mail_that_is_lost(tmp_path: Path) -> None:
    store = open_store(tmp_path, clock=Clock())
    world = World(store, tmp_path, Clock())
    await world.settle()
    kept = await suspicious(store, world.alice, b"kept" * 900)
    report = await report_mail(store, b"report" * 900)
    await store.deliver([], [], [], quarantined=[kept], reports=[report])
    assert await store.check() == []
    await store.close()
    for blob in (kept.content.blob, report.blob):
        spoil(tmp_path, blob.offset + 100)
    store = open_store(tmp_path, clock=Clock())
    findings = await store.check()
    assert [finding.fatal for finding in findings] == [True, True]
    await store.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE report_domain SET rows = 5",
        "UPDATE report_domain SET reports = 5",
        "UPDATE reporter SET reports = 5",
        "UPDATE dmarc_day SET rows = 5 WHERE domain = ''",
        "DELETE FROM dmarc_result",
        "UPDATE quarantine SET account_id = 99",
    ],
)
async def test_the_check_tells_of_wrong_counts(tmp_path: Path, store: SqliteStore, damage: str) -> None:
    assert await keep(store, report())
    await store.count_dmarc([counted()])
    (alice,) = await store.accounts()
    await store.deliver([], [], [], quarantined=[await suspicious(store, alice.id)])
    assert await store.check() == []
    with apsw.Connection(str(tmp_path / DATABASE_NAME)) as connection:
        connection.execute(damage).fetchall()
    findings = await store.check()
    assert findings
    assert not any(finding.fatal for finding in findings)


async def test_reading_a_large_report_leaves_others_their_turn(store: SqliteStore) -> None:
    """Adding up takes a tenth of a second: not on the event loop."""
    rows = [replace(ROW, source_ip=ip) for ip in ips(20_000)]
    reading = asyncio.ensure_future(store.report_read(None, AT, [], dmarc=report(*rows), domain="example.org"))
    turns = 0
    while not reading.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert turns > 2
    assert reading.result()
