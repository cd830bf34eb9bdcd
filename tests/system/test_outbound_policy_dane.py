"""DANE on the way out, over real sockets with a real name server: what happens to the mail, and what is reported."""

from pathlib import Path

import dns.name
import dns.rcode
import pytest

from poterne.lab.dns import Trouble
from tests.support.policy_world import (
    EXPIRED,
    GOOD,
    MX,
    NONE,
    STRANGER,
    WRONG,
    World,
    authority,
    context_of,
    secure,
    served,
    server_of,
    world,
)
from tests.support.sink import Sink

__all__ = ["authority", "world"]


@pytest.mark.parametrize(
    ("records", "kind", "wanted", "reported"),
    [
        (["3 1 1"], GOOD, "sent verified", "tlsa 1/0"),
        (["3 0 2"], GOOD, "sent verified", "tlsa 1/0"),
        (["3 1 1"], EXPIRED, "sent verified", "tlsa 1/0"),
        (["3 1 1"], WRONG, "sent verified", "tlsa 1/0"),
        (["3 1 1"], STRANGER, "sent verified", "tlsa 1/0"),
        (["2 0 1"], GOOD, "sent verified", "tlsa 1/0"),
        (["2 1 1"], GOOD, "sent verified", "tlsa 1/0"),
        (["2 0 1"], EXPIRED, "deferred 4.7.5", "tlsa 0/1 certificate-expired"),
        (["2 0 1"], WRONG, "deferred 4.7.5", "tlsa 0/1 certificate-host-mismatch"),
        (["3 1 1 " + "ab" * 32], GOOD, "deferred 4.7.5", "tlsa 0/1 validation-failure"),
        (["2 0 1 " + "ab" * 32], GOOD, "deferred 4.7.5", "tlsa 0/1 validation-failure"),
        (["3 1 1 " + "ab" * 32, "3 1 1"], GOOD, "sent verified", "tlsa 1/0"),
        (["3 1 1"], NONE, "deferred 4.7.4", "tlsa 0/1 starttls-not-supported"),
        # None can be used: encrypted, whoever answers.
        (["0 0 1", "1 0 1", "3 1 3 " + "ab" * 32], STRANGER, "sent encrypted", "tlsa 0/1 tlsa-invalid"),
        (["1 0 1"], NONE, "deferred 4.7.4", "tlsa 0/1 starttls-not-supported tlsa-invalid"),
    ],
)
async def test_dane(world: World, tmp_path: Path, records: list[str], kind: str, wanted: str, reported: str) -> None:
    secure(world)
    server = server_of(kind, world.authority, tmp_path)
    named = server or served(world.authority, MX)
    lines = [one if len(one) > 5 else named.tlsa(*map(int, one.split())) for one in records]
    with Sink(certificate=context_of(server)) as sink:
        world.zone(sink.port, *(f"_PORT._tcp.mx 60 IN TLSA {line}" for line in lines))
        assert await world.send(sink.port) == wanted
        assert await world.counted() == [reported]
        assert len(sink.taken) == wanted.startswith("sent")


async def test_the_domains_own_name_is_good_for_an_authority(world: World) -> None:
    secure(world)
    server = served(world.authority, "d.test")
    with Sink(certificate=server.context) as sink:
        world.zone(sink.port, f"_PORT._tcp.mx 60 IN TLSA {server.tlsa(2, 0, 1)}")
        assert await world.send(sink.port) == "sent verified"


@pytest.mark.parametrize("trouble", [Trouble(rcode=dns.rcode.SERVFAIL), Trouble(rcode=dns.rcode.REFUSED)])
async def test_a_failed_lookup_is_no_denial(world: World, trouble: Trouble) -> None:
    secure(world)
    with Sink(certificate=served(world.authority, MX).context) as sink:
        world.zone(sink.port)
        world.zones.trouble(f"_{sink.port}._tcp.mx.d.test", trouble)
        assert await world.send(sink.port) == "deferred 4.7.5"
        assert await world.counted() == ["tlsa 0/1 dnssec-invalid"]
        assert sink.connections == 0


async def test_records_that_nothing_proves(world: World) -> None:
    """Neither the MX answer nor the TLSA answer is signed: the records are nobody's word, and are not even asked for."""
    with Sink() as sink:
        world.zone(sink.port, f"_PORT._tcp.mx 60 IN TLSA 3 1 1 {'ab' * 32}")
        world.zones.trouble(f"_{sink.port}._tcp.mx.d.test", Trouble(rcode=dns.rcode.SERVFAIL))
        assert await world.send(sink.port) == "sent clear"
        assert await world.counted() == ["no-policy-found 0/1 starttls-not-supported"]


async def test_a_proven_domain_with_a_server_elsewhere(world: World) -> None:
    """The MX record is signed, the server's zone is not: nothing is known of the server, and no TLSA record asked for."""
    secure(world)
    with Sink(certificate=served(world.authority, "mx.e.test").context) as sink:
        world.zone(sink.port, mx="mx.e.test")
        world.zones.put("e.test", "@ 60 IN SOA a. b. 1 1 1 1 1\n@ 60 IN NS ns.e.test.\nmx 60 IN A 127.0.0.1")
        world.zones.trouble(f"_{sink.port}._tcp.mx.e.test", Trouble(rcode=dns.rcode.SERVFAIL))
        assert await world.send(sink.port) == "sent encrypted"


@pytest.mark.parametrize(("expanded", "first"), [(True, True), (True, False), (False, False)])
async def test_aliases(world: World, expanded: bool, first: bool) -> None:
    """The name at the end of the aliases first, when all of them are proven; else the name in the MX record (RFC 7672 §2.2.2)."""
    secure(world)
    if expanded:
        world.zones._secure.add(dns.name.from_text("e.test"))
    server = served(world.authority, MX)
    right, wrong = server.tlsa(3, 1, 1), "3 1 1 " + "ab" * 32
    with Sink(certificate=server.context) as sink:
        world.zone(sink.port, "alias 60 IN CNAME host.e.test.", f"_PORT._tcp.alias 60 IN TLSA {wrong if first else right}",
                   mx="alias.d.test")  # fmt: skip
        elsewhere = f"_{sink.port}._tcp.host 60 IN TLSA {right if first else wrong}\n" if first or not expanded else ""
        world.zones.put(
            "e.test", f"@ 60 IN SOA a. b. 1 1 1 1 1\n@ 60 IN NS ns.e.test.\nhost 60 IN A 127.0.0.1\n{elsewhere}"
        )
        assert await world.send(sink.port) == "sent verified"


async def test_dane_comes_before_mta_sts(world: World) -> None:
    secure(world)
    server = served(world.authority, "other.test")
    with Sink(certificate=server.context) as sink:
        tlsa = f"_PORT._tcp.mx 60 IN TLSA {server.tlsa(3, 1, 1)}"
        world.zone(sink.port, tlsa, '_mta-sts 60 IN TXT "v=STSv1; id=1"')
        world.policy("enforce", "nobody.test")
        assert await world.send(sink.port) == "sent verified"
        assert await world.counted() == ["tlsa 1/0"]
