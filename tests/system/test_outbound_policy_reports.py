"""The daily report about TLS: to whoever wants it, whatever their TLS does."""

import email
import gzip
import json
from pathlib import Path

import dns.name
import dns.rcode
import pytest

from poterne.lab.dns import Trouble
from poterne.queue.tls_upkeep import TlsUpkeep
from tests.support.policy_world import DAY_S, EXPIRED, MX, World, authority, server_of, world
from tests.support.sink import Sink

__all__ = ["authority", "world"]


async def test_the_daily_report(world: World, tmp_path: Path) -> None:
    server = server_of(EXPIRED, world.authority, tmp_path)
    assert server is not None
    with Sink(certificate=server.context) as sink:
        world.zone(sink.port, '_mta-sts 60 IN TXT "v=STSv1; id=1"')
        world.policy("enforce")
        assert await world.send(sink.port) == "deferred 4.7.5"
        assert await world.counted() == ["sts 0/1 certificate-expired"]
        runner = world.post.start(world.settings(sink.port), world.resolver)
        assert isinstance(runner.tls_upkeep, TlsUpkeep)
        await runner.tls_upkeep.daily()
        assert await world.counted() != []  # the day is not over
        world.post.clock.now += DAY_S - world.post.clock.now % DAY_S + 3600
        await runner.tls_upkeep.daily()
        await runner.tls_upkeep.daily()
        world.post.wake()
        await world.post.rest()
        # It went to a server whose certificate is expired, against the policy, and that is not counted (RFC 8460 §3).
        reports = [taken for taken in sink.taken if "tls@d.test" in taken.rcpts[0]]
        assert len(reports) == 1
        found = email.message_from_bytes(reports[0].text)
        assert found["TLS-Report-Domain"] == "d.test"
        assert reports[0].mail.startswith("MAIL FROM:<>")
        attached = [part for part in found.walk() if part.get_content_type() == "application/tlsrpt+gzip"]
        told = json.loads(gzip.decompress(attached[0].get_payload(decode=True)))  # type: ignore[arg-type]
        (policy,) = told["policies"]
        assert policy["policy"]["policy-type"] == "sts"
        assert policy["policy"]["mx-host"] == [MX]
        (failure,) = policy["failure-details"]
        assert failure["result-type"] == "certificate-expired"
        assert failure["receiving-mx-hostname"] == MX
        assert failure["receiving-ip"] == failure["sending-mta-ip"] == "127.0.0.1"
        assert len(await world.post.events("tls.reported")) == 1


@pytest.mark.parametrize(
    "record", ["", "v=TLSRPTv1; rua=https://d.test/x", "v=TLSRPTv1", "v=TLSRPTv1; rua=mailto:nobody"]
)
async def test_nobody_wants_a_report(world: World, record: str) -> None:
    with Sink() as sink:
        world.zone(sink.port)
        text = f'_smtp._tls 60 IN TXT "{record}"' if record else ""
        zone = "@ 60 IN SOA a. b. 1 1 1 1 1\n@ 60 IN NS ns.d.test.\n@ 60 IN MX 1 mx.d.test.\nmx 60 IN A 127.0.0.1\n"
        world.zones.put("d.test", zone + text)
        assert await world.send(sink.port) == "sent clear"
        world.post.clock.now += 2 * DAY_S
        runner = world.post.start(world.settings(sink.port), world.resolver)
        assert runner.tls_upkeep is not None
        await runner.tls_upkeep.daily()
        assert await world.counted() == []
        assert len(await world.post.rest()) == 0
        assert len(sink.taken) == 1


async def test_dns_does_not_say_who_wants_a_report(world: World) -> None:
    with Sink() as sink:
        world.zone(sink.port)
        world.zones.trouble("_smtp._tls.d.test", Trouble(rcode=dns.rcode.SERVFAIL))
        assert await world.send(sink.port) == "sent clear"
        runner = world.post.start(world.settings(sink.port), world.resolver)
        assert runner.tls_upkeep is not None
        for days, kept in ((2, True), (3, False)):
            world.post.clock.now += days * DAY_S
            await runner.tls_upkeep.daily()
            assert bool(await world.counted()) is kept
