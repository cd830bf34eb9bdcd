"""MTA-STS on the way out, over real sockets: what happens to the mail, and what is reported."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dns.name
import dns.rcode
import pytest

from poterne.lab.dns import Trouble
from poterne.queue.outcome import TlsDemand, Transient
from poterne.queue.security import Security
from tests.support.outbound import Authority, Sender, hop, only
from tests.support.policy_world import (
    DAY_S,
    EXPIRED,
    GOOD,
    MX,
    NONE,
    STRANGER,
    WRONG,
    World,
    authority,
    context_of,
    security,
    served,
    server_of,
    world,
)
from tests.support.sink import Sink
from tests.support.web import page, web

__all__ = ["authority", "world"]


@pytest.mark.parametrize(
    ("mode", "kind", "wanted", "reported"),
    [
        ("", NONE, "sent clear", "no-policy-found 0/1 starttls-not-supported"),
        ("", GOOD, "sent encrypted", "no-policy-found 1/0"),
        ("", EXPIRED, "sent encrypted", "no-policy-found 1/0"),
        ("none", NONE, "sent clear", "no-policy-found 0/1 starttls-not-supported"),
        ("enforce", GOOD, "sent verified", "sts 1/0"),
        ("enforce", NONE, "deferred 4.7.4", "sts 0/1 starttls-not-supported"),
        ("enforce", WRONG, "deferred 4.7.5", "sts 0/1 certificate-host-mismatch"),
        ("enforce", EXPIRED, "deferred 4.7.5", "sts 0/1 certificate-expired"),
        ("enforce", STRANGER, "deferred 4.7.5", "sts 0/1 certificate-not-trusted"),
        ("testing", GOOD, "sent verified", "sts 1/0"),
        ("testing", NONE, "sent clear", "sts 0/1 starttls-not-supported"),
        ("testing", WRONG, "sent encrypted", "sts 0/1 certificate-host-mismatch"),
        ("testing", EXPIRED, "sent encrypted", "sts 0/1 certificate-expired"),
        ("testing", STRANGER, "sent encrypted", "sts 0/1 certificate-not-trusted"),
    ],
)
async def test_mta_sts(world: World, tmp_path: Path, mode: str, kind: str, wanted: str, reported: str) -> None:
    server = server_of(kind, world.authority, tmp_path)
    with Sink(certificate=context_of(server)) as sink:
        world.zone(sink.port, *(['_mta-sts 60 IN TXT "v=STSv1; id=1"'] if mode else []))
        world.policy(mode)
        assert await world.send(sink.port) == wanted
        assert await world.counted() == [reported]
        assert len(sink.taken) == wanted.startswith("sent")
        assert len(world.site.requests) == bool(mode)


@pytest.mark.parametrize(
    ("mode", "wanted", "reported"),
    [
        ("enforce", "deferred 4.7.5", "sts 0/1 validation-failure"),
        ("testing", "sent encrypted", "sts 0/1 validation-failure"),
    ],
)
async def test_the_server_is_not_in_the_policy(world: World, mode: str, wanted: str, reported: str) -> None:
    with Sink(certificate=served(world.authority, MX).context) as sink:
        world.zone(sink.port, '_mta-sts 60 IN TXT "v=STSv1; id=1"')
        world.policy(mode, "other.d.test", "*.mx.d.test")
        assert await world.send(sink.port) == wanted
        assert await world.counted() == [reported]
        assert sink.connections == (mode == "testing")


async def test_servers_that_are_not_in_the_policy_are_passed_over(world: World) -> None:
    with Sink(certificate=served(world.authority, "mx2.d.test").context) as sink:
        world.zone(sink.port, '_mta-sts 60 IN TXT "v=STSv1; id=1"', "@ 60 IN MX 20 mx2.d.test.")
        world.policy("enforce", "mx2.d.test")
        assert await world.send(sink.port) == "sent verified"
        (event,) = await world.post.events("message.sent")
        assert event.detail["host"] == "mx2.d.test"
        assert event.detail["tls_policy"] == "sts"
        assert await world.counted() == ["sts 1/1 validation-failure"]


NO_FILES: dict[str, tuple[Callable[[World], None], str]] = {
    "not found": (lambda world: setattr(world.site, "answer", lambda _: page(b"", status="404 No")), "sts-policy-fetch-error"),
    "not a policy": (lambda world: setattr(world.site, "answer", lambda _: page(b"hello")), "sts-policy-invalid"),
    "no address": (
        lambda world: world.zones.trouble("mta-sts.d.test", Trouble(rcode=dns.rcode.SERVFAIL)),
        "sts-policy-fetch-error",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", NO_FILES)
async def test_no_policy_to_be_had(world: World, how: str) -> None:
    """Nor was there one before: the mail goes as if there were none, and the report says so."""
    breaks, result = NO_FILES[how]
    with Sink() as sink:  # without TLS
        world.zone(sink.port, '_mta-sts 60 IN TXT "v=STSv1; id=1"')
        breaks(world)
        assert await world.send(sink.port) == "sent clear"
        assert await world.counted() == ["no-policy-found 0/1 starttls-not-supported", f"sts 0/1 {result}"]


async def test_a_policy_host_that_nobody_vouches_for(world: World, authority: Authority) -> None:
    async with web(authority.context("other.test")) as other:
        with Sink() as sink:
            world.site = other
            world.zone(sink.port, '_mta-sts 60 IN TXT "v=STSv1; id=1"')
            world.policy("enforce")
            assert await world.send(sink.port) == "sent clear"
            assert (await world.counted())[1] == "sts 0/1 sts-webpki-invalid"
            assert other.requests == []


async def test_a_version_that_failed_is_left_alone_for_a_while(world: World) -> None:
    world.zone(25, '_mta-sts 60 IN TXT "v=STSv1; id=1"')
    world.site.answer = lambda _: page(b"hello")
    policies = security(world, 25).policies
    assert await asyncio.gather(*(policies.of("d.test") for _ in range(5))) == [None] * 5
    assert len(world.site.requests) == 1
    world.post.clock.now += 299
    assert await policies.of("d.test") is None
    assert len(world.site.requests) == 1
    world.post.clock.now += 1
    world.policy("enforce")
    found = await asyncio.gather(*(policies.of("d.test") for _ in range(5)))
    assert [one.mx for one in found if one is not None] == [(MX,)] * 5
    assert len(world.site.requests) == 2


async def test_a_kept_policy_counts_until_it_expires(world: World) -> None:
    with Sink() as sink:
        world.zone(sink.port, '_mta-sts 60 IN TXT "v=STSv1; id=1"')
        world.policy("enforce", max_age=1000)
        assert await world.send(sink.port) == "deferred 4.7.4"
        # The web server, and the record, are gone: somebody hides them, perhaps.
        world.site.answer = lambda _: page(b"", status="500 No")
        world.zone(sink.port)
        world.resolver._cache._entries.clear()
        for _ in range(2):
            world.post.clock.now += 400
            assert await world.send(sink.port) == "deferred 4.7.4"
        assert len(world.site.requests) == 1
        world.post.clock.now += 400
        assert await world.send(sink.port) == "sent clear"


async def test_a_new_id_is_a_new_policy(world: World) -> None:
    with Sink() as sink:
        world.zone(sink.port, '_mta-sts 60 IN TXT "v=STSv1; id=1"')
        world.policy("enforce")
        assert await world.send(sink.port) == "deferred 4.7.4"
        world.policy("none")
        assert await world.send(sink.port) == "deferred 4.7.4"  # the same id: nobody asks
        assert len(world.site.requests) == 1
        world.zone(sink.port, '_mta-sts 60 IN TXT "v=STSv1; id=2"')
        world.resolver._cache._entries.clear()
        assert await world.send(sink.port) == "sent clear"
        assert len(world.site.requests) == 2


async def test_policies_are_refreshed_daily(world: World) -> None:
    with Sink(certificate=served(world.authority, MX).context) as sink:
        world.zone(sink.port, '_mta-sts 60 IN TXT "v=STSv1; id=1"')
        world.policy("enforce", max_age=10 * DAY_S)
        assert await world.send(sink.port) == "sent verified"
        first = await world.post.store.tls_policy("d.test")
        policies = security(world, sink.port).policies
        await policies.refresh()
        assert len(world.site.requests) == 1
        world.post.clock.now += DAY_S + 1
        await policies.refresh()
        await policies.refresh()
        assert len(world.site.requests) == 2
        second = await world.post.store.tls_policy("d.test")
        assert first is not None
        assert second is not None
        assert second.expires_at == first.expires_at + DAY_S + 1
        # A refresh that fails is told, and the policy stays.
        world.post.clock.now += DAY_S + 1
        world.site.answer = lambda _: page(b"", status="500 No")
        await policies.refresh()
        kept = await world.post.store.tls_policy("d.test")
        assert kept is not None
        assert (kept.text, kept.expires_at) == (second.text, second.expires_at)
        assert "tls.policy" in world.post.log.names()
        await policies.refresh()
        assert len(world.site.requests) == 3


@pytest.mark.parametrize("private", [True, False])
async def test_policy_hosts_inside_are_not_asked(world: World, private: bool) -> None:
    """Whoever owns a domain could otherwise make us ask web servers of our own network."""
    world.zone(25, '_mta-sts 60 IN TXT "v=STSv1; id=1"')
    world.policy("enforce")
    values = world.settings(25)
    values = replace(values, queue=replace(values.queue, private_mx=private))
    post = world.post
    found = Security(post.store, world.resolver, values, post.folder, clock=post.clock, log=post.log)
    assert (await found.policies.of("d.test") is not None) is private
    assert bool(world.site.requests) is private


async def test_a_policy_that_only_watches_does_not_cost_a_connection_for_each_mail(
    authority: Authority, tmp_path: Path
) -> None:
    """What fails is noted, the mail goes, and the next one goes on the same connection."""
    terms = {"tls": TlsDemand.VERIFIED, "fallback": TlsDemand.OPPORTUNISTIC, "ca_file": authority.file}
    async with Sender(tmp_path / "blobs") as sender:
        with Sink(certificate=authority.context("other.test")) as sink:
            first, second = [await sender.send(hop(sink.port, **terms)) for _ in range(2)]
            assert sink.connections == 2
            assert [taken.tls for taken in sink.taken] == [True, True]
        assert (first.tls.problem, first.tls.verified, first.tls.version) == ("certificate", False, "TLSv1.3")
        assert (first.reused, second.reused) == (False, True)
        # Nor is such a connection given to mail that must have a verified one.
        with Sink(certificate=authority.context("other.test")) as sink:
            await sender.send(hop(sink.port, **terms))
            strict = await sender.send(hop(sink.port, **{**terms, "fallback": None}))
            assert isinstance(only(strict), Transient)
            assert len(sink.taken) == 1
        # Words before the handshake are an attack, and no reason to go on without it.
        with Sink({"STARTTLS": b"220 go\r\n250 hidden\r\n"}, certificate=authority.context("sink.test")) as sink:
            result = await sender.send(hop(sink.port, **terms))
            assert isinstance(only(result), Transient)
            assert sink.taken == []
            assert sink.connections == 1
