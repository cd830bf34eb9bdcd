"""What the daily look at DNS keeps, and when it tells somebody."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from poterne.admin import people
from poterne.app import dns_watch
from poterne.app.dns_watch import DnsWatch
from poterne.config.settings import Server, Settings
from poterne.message.dns_notice import NAMED_CHECKS
from poterne.policy.published.checks import CHECKS
from poterne.policy.published.finding import Finding, Outcome, Severity
from poterne.store.interface import Store
from poterne.values.ids import TraceId
from tests.support.queue_world import SilentLog
from tests.support.stores import AT, Clock, sqlite

OK, WARN, FAIL, UNKNOWN = Outcome.OK, Outcome.WARN, Outcome.FAIL, Outcome.UNKNOWN
DOMAIN = "d.test"


def finding(outcome: Outcome, check: str = "D07", text: str = "so it is") -> Finding:
    return Finding(check, "word", outcome, Severity.HIGH, text)


class Looks:
    """What each look finds, in turn; the last one from then on."""

    def __init__(self, store: Store, clock: Clock, language: str = "en") -> None:
        self.store, self.clock, self.log = store, clock, SilentLog()
        self.next: list[Sequence[Finding]] = []
        settings = Settings(server=Server(hostname="mail.d.test", language=language))
        self.watch = DnsWatch(store, settings, self.look, clock, self.log)

    async def look(self, domain: str) -> list[Finding]:
        assert domain == DOMAIN
        return list(self.next.pop(0) if len(self.next) > 1 else self.next[0])

    async def day(self, *found: Sequence[Finding]) -> None:
        self.next = list(found)
        self.clock.now += 86_400
        await self.watch.daily()

    async def letters(self) -> list[bytes]:
        found = []
        for one in await self.store.queued():
            found.append(self.store.blobs.read(one.message.blob))
            assert one.forward_path == f"postmaster@{DOMAIN}"
            assert one.message.reverse_path == ""
        return found

    async def events(self) -> list[tuple[object, object, object]]:
        found = await self.store.events(kind="dns.changed")
        return [(one.detail["check"], one.detail["before"], one.detail["now"]) for one in reversed(found)]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_watch, "AGAIN_S", 0.0)


@pytest.fixture
async def looks(tmp_path: Path) -> AsyncIterator[Looks]:
    clock = Clock()
    store = sqlite(tmp_path, clock)
    await people.add_domain(store, DOMAIN, people.Acting("test", AT, TraceId("t")))
    yield Looks(store, clock)
    await store.close()


async def test_the_first_look_is_kept_and_not_told(looks: Looks) -> None:
    await looks.day([finding(FAIL), finding(WARN), finding(OK, "D02")])
    kept = await looks.store.dns_findings(DOMAIN)
    assert [(one.check, one.outcome) for one in kept] == [("D02", "ok"), ("D07", "fail")]
    assert await looks.letters() == []
    assert await looks.events() == []


async def test_what_got_worse_is_told_once(looks: Looks) -> None:
    await looks.day([finding(OK), finding(WARN, "D19")])
    await looks.day([finding(FAIL), finding(WARN, "D19")])
    await looks.day([finding(FAIL, text="another text"), finding(WARN, "D19")])
    (letter,) = await looks.letters()
    assert b"Subject: DNS of d.test got worse\r\n" in letter
    assert b"D07  SPF record: wrong (was: well)" in letter
    assert b"poterne dns d.test --check" in letter
    assert b"D19" not in letter
    assert b"Auto-Submitted: auto-generated" in letter
    assert await looks.events() == [("D07", "ok", "fail")]
    (_, kept) = sorted(await looks.store.dns_findings(DOMAIN), key=lambda one: one.check, reverse=True)
    assert (kept.outcome, kept.text, kept.since) == ("fail", "another text", AT + 2 * 86_400)


async def test_what_is_over_at_the_second_look_is_nothing(looks: Looks) -> None:
    await looks.day([finding(OK)])
    await looks.day([finding(FAIL)], [finding(OK)])
    assert await looks.letters() == []
    assert await looks.events() == []


async def test_all_domains_wait_at_once(looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    """One wait before the second look, however many domains got worse."""
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    for name in ("e.test", "f.test"):
        await people.add_domain(looks.store, name, people.Acting("test", AT, TraceId("t")))
    asked: list[str] = []
    outcome = OK

    async def look(domain: str) -> list[Finding]:
        asked.append(domain)
        return [finding(outcome if domain != "f.test" else OK)]

    watch = DnsWatch(looks.store, Settings(), look, looks.clock, SilentLog())
    await watch.daily()
    outcome = FAIL
    asked.clear()
    monkeypatch.setattr("poterne.app.dns_watch.asyncio.sleep", wait)
    await watch.daily()
    assert waits == [dns_watch.AGAIN_S]
    assert sorted(asked) == ["d.test", "d.test", "e.test", "e.test", "f.test"]
    assert len(await looks.store.queued()) == 2


async def test_what_got_better_is_an_event_only(looks: Looks) -> None:
    await looks.day([finding(FAIL)])
    await looks.day([finding(WARN)])
    assert await looks.letters() == []
    assert await looks.events() == [("D07", "fail", "warn")]


async def test_what_is_not_known_changes_nothing(looks: Looks) -> None:
    await looks.day([finding(OK)])
    await looks.day([finding(UNKNOWN)])
    assert [one.outcome for one in await looks.store.dns_findings(DOMAIN)] == ["ok"]
    await looks.day([finding(FAIL)])
    assert await looks.events() == [("D07", "ok", "fail")]


async def test_in_french(looks: Looks) -> None:
    french = Looks(looks.store, looks.clock, "fr")
    await french.day([finding(OK)])
    await french.day([finding(WARN)])
    (letter,) = await looks.letters()
    assert b"=C3=A0 revoir" in letter


def test_every_check_has_a_name() -> None:
    assert {check.id for check in CHECKS} == NAMED_CHECKS


async def test_a_failing_look_does_not_end_it(looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task goes on after a bug, and says so."""
    import asyncio

    monkeypatch.setattr(dns_watch, "FIRST_S", 0.0)
    monkeypatch.setattr(dns_watch, "DAILY_S", 0.01)
    asked = 0

    async def broken(_domain: str) -> list[Finding]:
        nonlocal asked
        asked += 1
        raise ValueError("a bug")

    log = SilentLog()
    task = asyncio.create_task(DnsWatch(looks.store, Settings(), broken, looks.clock, log).run())
    async with asyncio.timeout(5):
        while asked < 3:  # noqa: ASYNC110  (nothing tells of it)
            await asyncio.sleep(0.005)
    task.cancel()
    assert "dns.bug" in log.names()
