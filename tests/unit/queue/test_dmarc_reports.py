"""Daily reports about DMARC, with a real store and real zones: who gets one, what it says, and that nobody gets it twice."""

import asyncio
import email
import gzip
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import dns.rcode
import pytest

from poterne.admin import people
from poterne.config.reports import Reports
from poterne.lab.dns import Trouble, Zones
from poterne.mailauth.reports_in import read
from poterne.mailauth.reports_in.outcome import Limits
from poterne.net.dns.resolver import StubResolver
from poterne.queue import dmarc_reports
from poterne.queue.dmarc_reports import DELAY_S, FIRST_DELAY_S, MOST_A_DAY, ROWS_MOST, DmarcReports, merged
from poterne.queue.domains import LocalDomains
from poterne.store.errors import StoreError
from poterne.store.failing import Fails, FailurePlan, failing
from poterne.store.interface import Store
from poterne.values.directory import Posting
from poterne.values.dmarc import DmarcCount, DmarcReport, DmarcRow, PublishedPolicy
from poterne.values.ids import TraceId
from poterne.values.queue import QueuedRecipient
from tests.support.lines import Lines
from tests.support.name_server import stub, zones_served
from tests.support.stores import AT, Clock, sqlite

DAY_S = 86_400
DAY = AT // DAY_S
SOA = "$TTL 60\n@ SOA ns hostmaster 1 60 60 60 60\n@ NS ns\nns A 192.0.2.53\n"
ROW = DmarcRow("192.0.2.1", 3, "none", "pass", "fail", "d.test", "bounce.d.test")


def policy(domain: str, **more: str) -> PublishedPolicy:
    return PublishedPolicy(domain, p="reject", **more)  # type: ignore[arg-type]


def zone(rua: str, *lines: str, more: str = "") -> str:
    text = f"v=DMARC1; p=reject; {more}" + (f"rua={rua}" if rua else "")
    pieces = " ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200)).replace(";", r"\;")
    return SOA + f"_dmarc TXT {pieces}\n" + "\n".join(lines) + "\n"


def consents(*domains: str) -> str:
    """A zone of somebody who reads reports for these."""
    return SOA + "".join(f'{domain}._report._dmarc TXT "v=DMARC1"\n' for domain in domains)


@dataclass
class World:
    store: Store
    clock: Clock
    zones: Zones
    resolver: StubResolver
    log: Lines = field(default_factory=Lines)
    settings: Reports = field(default_factory=Reports)

    def reports(self, store: Store | None = None, chance: float = 0.0) -> DmarcReports:
        return DmarcReports(
            store or self.store,
            self.resolver,
            "mail.ours.test",
            self.settings,
            LocalDomains(self.store, self.clock),
            clock=self.clock,
            chance=lambda: chance,
            log=self.log,
        )

    async def count(self, *domains: str, day: int = DAY - 1, row: DmarcRow = ROW) -> None:
        await self.store.count_dmarc([DmarcCount(day, policy(domain), row) for domain in domains])

    def put(self, zones: Mapping[str, str]) -> None:
        for name, text in zones.items():
            self.zones.put(name, text)

    async def queued(self) -> list[QueuedRecipient]:
        return await self.store.queued(limit=10_000)

    async def paths(self) -> list[str]:
        return sorted(one.forward_path for one in await self.queued())

    async def waits(self) -> list[tuple[int, str]]:
        return await self.store.dmarc_to_report(1 << 40)

    async def read(self) -> tuple[bytes, DmarcReport]:
        """The only letter, and its report as we read it."""
        (row, *_) = await self.queued()
        letter = b"".join([chunk async for chunk in self.store.blobs.stream(row.message.blob, row.message.start)])
        reading = read.mail(letter, Limits(), int(self.clock.now) + DAY_S)
        assert not reading.faults
        (report,) = reading.dmarc
        return letter, report


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = Clock()
    store = sqlite(tmp_path, clock)
    acting = people.Acting("test", AT, TraceId("test"))
    await people.add_domain(store, "ours.test", acting)
    await people.add_account(store, "ann@ours.test", acting, password=None)
    await people.add_alias(store, "staff@ours.test", ["ann@ours.test"], acting, posting=Posting.LOCAL)
    zones = Zones({"test": SOA})  # what stands nowhere does not exist
    async with zones_served(zones) as port:
        resolver = stub(port)
        yield World(store, clock, zones, resolver)
        resolver.close()
    await store.close()


async def test_a_report(world: World) -> None:
    world.settings = Reports(organisation="Mairie", contact="https://ours.test/")
    world.put({"d.test": zone("mailto:dmarc@d.test!10m")})
    await world.count("d.test")
    await world.count("d.test", row=replace(ROW, source_ip="192.0.2.2", count=9))
    assert await world.reports().send() == 1
    (row,) = await world.queued()
    assert (row.forward_path, row.domain, row.notify) == ("dmarc@d.test", "d.test", "NEVER")
    assert (row.message.reverse_path, row.message.origin.key) == ("", "system:dmarc")
    letter, report = await world.read()
    found = email.message_from_bytes(letter)
    assert found["From"] == "<dmarc-reports@ours.test>"
    assert found["Auto-Submitted"] == "auto-generated"
    assert (report.organisation, report.email, report.extra_contact) == (
        "Mairie",
        "postmaster@ours.test",
        "https://ours.test/",
    )
    assert (report.begin, report.end) == ((DAY - 1) * DAY_S, DAY * DAY_S - 1)
    assert report.policy.domain == "d.test"
    assert [(one.source_ip, one.count) for one in report.rows] == [("192.0.2.2", 9), ("192.0.2.1", 3)]
    assert report.report_id in found["Subject"]
    assert report.report_id in next(part.get_filename() or "" for part in found.walk() if part.get_filename())
    assert await world.waits() == []
    assert await world.reports().send() == 0
    assert len(await world.queued()) == 1


async def test_the_older_form(world: World) -> None:
    world.settings = Reports(format="rfc7489", dmarc_address="")
    world.put({"d.test": zone("mailto:dmarc@d.test")})
    await world.count("d.test")
    await world.reports().send()
    letter, _ = await world.read()
    found = email.message_from_bytes(letter)
    assert found["From"] == "<postmaster@ours.test>"
    (packed,) = [
        part.get_payload(decode=True) for part in found.walk() if part.get_content_type() == "application/gzip"
    ]
    assert isinstance(packed, bytes)
    assert b"<feedback>" in gzip.decompress(packed)


async def test_the_day_has_to_be_over_for_a_while(world: World) -> None:
    world.put({"d.test": zone("mailto:dmarc@d.test")})
    await world.count("d.test", day=DAY)
    midnight = (DAY + 1) * DAY_S
    for moment, chance, sent in (
        (midnight + FIRST_DELAY_S - 1, 0.0, 0),
        (midnight + DELAY_S - 10, 0.9999, 0),
        (midnight + FIRST_DELAY_S, 0.0, 1),
    ):
        world.clock.now = float(moment)
        assert await world.reports(chance=chance).send() == sent


async def test_rows_of_two_policies_are_one_report(world: World) -> None:
    world.put({"d.test": zone("mailto:dmarc@d.test")})
    first, last = policy("d.test", sp="none"), policy("d.test", sp="reject")
    await world.store.count_dmarc([DmarcCount(DAY - 1, one, ROW) for one in (first, last)])
    assert await world.reports().send() == 1
    _, report = await world.read()
    assert report.policy.sp == "reject"
    assert [one.count for one in report.rows] == [6]


# Who gets it ----------------------------------------------------------------------------------------------------------------

ELSEWHERE = "mailto:d@reader.test"
NOBODY: dict[str, dict[str, str]] = {
    "no record any more": {"d.test": SOA},
    "no domain any more": {},
    "no rua": {"d.test": zone("")},
    "https only": {"d.test": zone("https://d.test/report")},
    "two records": {"d.test": zone("mailto:a@d.test", r'_dmarc TXT "v=DMARC1\; p=none\; rua=mailto:b@d.test"')},
    "not an address": {"d.test": zone("mailto:nobody")},
    "elsewhere, which did not ask": {"d.test": zone(ELSEWHERE), "reader.test": SOA},
    "elsewhere, which asks for others": {"d.test": zone(ELSEWHERE), "reader.test": consents("other.test")},
    "elsewhere, which names somebody else": {
        "d.test": zone(ELSEWHERE),
        "reader.test": SOA + r'd.test._report._dmarc TXT "v=DMARC1\; rua=mailto:victim@victim.test"' + "\n",
        "victim.test": consents("d.test"),
    },
    "an unknown user of ours": {"d.test": zone("mailto:nobody@ours.test"), "ours.test": consents("d.test")},
    "a list of ours that strangers may not write to": {
        "d.test": zone("mailto:STAFF@ours.test"),
        "ours.test": consents("d.test"),
    },
    "an address literal": {"d.test": zone("mailto:x@[127.0.0.1]")},
    "a routed local part": {"d.test": zone("mailto:a%25b@d.test")},
}


@pytest.mark.parametrize("case", NOBODY)
async def test_nobody_gets_it_and_the_numbers_go(world: World, case: str) -> None:
    world.put(NOBODY[case])
    await world.count("d.test")
    assert await world.reports().send() == 0
    assert await world.paths() == []
    assert await world.waits() == []


SOMEBODY: dict[str, tuple[dict[str, str], list[str]]] = {
    "another host of the domain": ({"d.test": zone("mailto:a@mx.d.test")}, ["a@mx.d.test"]),
    "elsewhere, which asked": ({"d.test": zone(ELSEWHERE), "reader.test": consents("d.test")}, ["d@reader.test"]),
    "elsewhere, for anybody": ({"d.test": zone(ELSEWHERE), "reader.test": consents("*")}, ["d@reader.test"]),
    "elsewhere, which names another mailbox": (
        {
            "d.test": zone(ELSEWHERE),
            "reader.test": SOA + r'd.test._report._dmarc TXT "v=DMARC1\; rua=mailto:box@reader.test"' + "\n",
        },
        ["box@reader.test"],
    ),
    "the one who asked, not the other": (
        {"d.test": zone(f"{ELSEWHERE},mailto:v@victim.test"), "reader.test": consents("d.test"), "victim.test": SOA},
        ["d@reader.test"],
    ),
    "one of ours": ({"d.test": zone("mailto:ann@ours.test"), "ours.test": consents("d.test")}, ["ann@ours.test"]),
    "five at the most": (
        {"d.test": zone(",".join(f"mailto:a{n}@d.test" for n in range(9)))},
        [f"a{n}@d.test" for n in range(5)],
    ),
    "each once": ({"d.test": zone("mailto:a@d.test,mailto:%61@d.test,mailto:a@D.TEST")}, ["a@d.test"]),
}


@pytest.mark.parametrize("case", SOMEBODY)
async def test_somebody_gets_it(world: World, case: str) -> None:
    zones, paths = SOMEBODY[case]
    world.put(zones)
    await world.count("d.test")
    assert await world.reports().send() == 1
    assert await world.paths() == paths


async def test_reports_can_be_switched_off(world: World) -> None:
    world.settings = Reports(send=False)
    world.put({"d.test": zone("mailto:a@d.test")})
    await world.count("d.test")
    assert await world.reports().send() == 0
    assert await world.waits() == []


async def test_many_domains_that_name_one_mailbox(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dmarc_reports, "MOST_A_DAY", 10)
    assert MOST_A_DAY == 1_000
    text = SOA + '_dmarc TXT "v=DMARC1"\n'  # so all of it is one organisation
    text += "".join(rf'_dmarc.d{n} TXT "v=DMARC1\; p=none\; rua=mailto:victim+{n}@d.test"' + "\n" for n in range(130))
    world.put({"d.test": text})
    await world.count(*(f"d{n}.d.test" for n in range(130)))
    reports = world.reports()
    assert await reports.send() == 10
    assert await world.waits() == []
    world.clock.now += DAY_S
    await world.count("d1.d.test", day=DAY)
    assert await reports.send() == 1


@pytest.mark.parametrize("where", ["_dmarc.d.test", "d.test._report._dmarc.reader.test"])
async def test_dns_does_not_say_who_wants_it(world: World, where: str) -> None:
    world.put({"d.test": zone(f"{ELSEWHERE},mailto:a@d.test"), "reader.test": SOA, "e.test": zone("mailto:a@e.test")})
    world.zones.trouble(where, Trouble(rcode=dns.rcode.SERVFAIL))
    await world.count("d.test", "e.test")
    reports = world.reports()
    assert await reports.send() == 1  # others don't wait
    assert await world.waits() == [(DAY - 1, "d.test")]
    world.clock.now += 2 * DAY_S
    assert await reports.send() == 0
    assert await world.waits() == [(DAY - 1, "d.test")]
    world.clock.now += 3 * DAY_S
    assert await reports.send() == (where != "_dmarc.d.test")
    assert await world.waits() == []


async def test_a_name_that_is_none_gets_none(world: World) -> None:
    await world.count('a"b.test', "a b.test")
    assert await world.reports().send() == 0
    assert await world.waits() == []


# What can go wrong ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", Fails)
async def test_a_store_that_fails_at_each_call(world: World, fails: Fails) -> None:
    """A report is queued once, or the numbers are still there."""
    world.put({"d.test": zone("mailto:a@d.test")})
    at, days = 0, 0
    while True:
        at += 1
        days += 1
        await world.count("d.test", day=DAY - 1)
        plan = FailurePlan(at, fails)
        failed = False
        try:
            await world.reports(failing(world.store, plan)).send()
        except StoreError:
            failed = True
        queued = len(await world.queued())
        waits = await world.waits()
        assert (queued, len(waits)) in {(days, 0), (days - 1, 1)}
        await world.reports().send()
        assert len(await world.queued()) == days
        assert await world.waits() == []
        if not failed:
            break
    assert at > 5


async def test_the_largest_report(world: World) -> None:
    world.put({"d.test": zone("mailto:a@d.test")})
    rows = [replace(ROW, source_ip=f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", count=n + 1) for n in range(ROWS_MOST + 5)]
    await world.store.count_dmarc([DmarcCount(DAY - 1, policy("d.test"), row) for row in rows])
    assert await world.reports().send() == 1
    letter, report = await world.read()
    assert len(report.rows) == ROWS_MOST
    assert min(row.count for row in report.rows) == 6
    assert len(letter) < 2_000_000


async def test_what_does_not_fit_is_made_smaller(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dmarc_reports, "PACKED_MOST", 2_000)
    world.put({"d.test": zone("mailto:a@d.test")})
    rows = [
        replace(ROW, source_ip=f"10.0.0.{n}", envelope_from=f"{hash((n, 'x')):x}.test", count=n + 1) for n in range(200)
    ]
    await world.store.count_dmarc([DmarcCount(DAY - 1, policy("d.test"), row) for row in rows])
    assert await world.reports().send() == 1
    _, report = await world.read()
    assert 1 <= len(report.rows) <= 100
    assert max(row.count for row in report.rows) == 200


async def test_it_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dmarc_reports, "START_S", 0.001)
    monkeypatch.setattr(dmarc_reports, "AGAIN_S", 0.005)
    world.put({"d.test": zone("mailto:a@d.test")})
    await world.count("d.test")
    task = asyncio.create_task(world.reports(failing(world.store, FailurePlan(1, Fails.BEFORE))).run())
    async with asyncio.timeout(10):
        while not world.log.of("dmarc.reported"):  # noqa: ASYNC110  (nobody tells)
            await asyncio.sleep(0.005)
    assert len(world.log.of("dmarc.reports")) == 1
    task.cancel()
    await asyncio.wait([task])
    assert await world.paths() == ["a@d.test"]


def test_rows_that_are_alike_are_one() -> None:
    other = replace(ROW, source_ip="192.0.2.9")
    assert merged([ROW, other, replace(ROW, count=5)]) == (replace(ROW, count=8), other)
