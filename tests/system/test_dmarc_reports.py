"""The daily report about DMARC on its way: to whoever asked, and to nobody here when that was a mistake."""

import email

import pytest

from poterne.mailauth.reports_in import read
from poterne.mailauth.reports_in.outcome import Limits
from poterne.queue.dmarc_reports import of_settings
from poterne.queue.dmarc_tally import DmarcTally
from poterne.values.dmarc import DmarcRow, PublishedPolicy
from tests.support.policy_world import DAY_S, World, authority, world
from tests.support.sink import Rule, Sink

__all__ = ["authority", "world"]

ROW = DmarcRow("192.0.2.1", 1, "none", "pass", "fail", "d.test", "d.test")


async def told(world: World, sink: Sink) -> None:
    """A message is counted, the day ends, the report goes out."""
    world.zone(sink.port, '_dmarc 60 IN TXT "v=DMARC1\\; p=none\\; rua=mailto:dmarc@d.test"')
    clock, log, store = world.post.clock, world.post.log, world.post.store
    tally = DmarcTally(store, log)
    tally.count(int(clock.now) // DAY_S, PublishedPolicy("d.test", p="none"), ROW)
    await tally.flush()
    runner = world.post.start(world.settings(sink.port), world.resolver)
    reports = of_settings(
        store, world.resolver, world.settings(sink.port), clock=clock, chance=lambda: 0.0, log=log
    )  # fmt: skip
    assert await reports.send() == 0  # the day is not over
    clock.now += DAY_S - clock.now % DAY_S + 3600
    assert await reports.send() == 1
    assert await reports.send() == 0
    assert runner is not None
    world.post.wake()
    await world.post.rest()


async def test_the_daily_report(world: World) -> None:
    with Sink() as sink:
        await told(world, sink)
        (taken,) = sink.taken
        assert taken.mail.startswith("MAIL FROM:<>")
        assert "dmarc@d.test" in taken.rcpts[0]
        found = email.message_from_bytes(taken.text)
        assert found["From"] == "<dmarc-reports@example.org>"
        reading = read.mail(taken.text, Limits(), int(world.post.clock.now))
        (report,) = reading.dmarc
        assert report.policy.domain == "d.test"
        assert [(row.source_ip, row.count) for row in report.rows] == [("192.0.2.1", 1)]
        assert len(await world.post.events("dmarc.reported")) == 1


@pytest.mark.parametrize("where", ["RCPT", "."])
async def test_a_wrong_address_in_a_record_bothers_nobody_here(world: World, where: str) -> None:
    rules: dict[str, Rule] = {where: b"550 5.1.1 nobody\r\n"}
    with Sink(rules) as sink:
        await told(world, sink)
        (failed,) = await world.post.events("message.failed")
        assert failed.detail["told"] is False
        assert await world.post.store.queued() == []
        assert await world.post.letters() == []
        assert len(sink.lines) < 20
