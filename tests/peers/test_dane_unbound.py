"""DANE with a real validating resolver and a zone that is really signed: what it proves, denies and finds forged."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import dns.name
import dns.rdatatype
import dns.zone
import pytest

from poterne.lab.dns import Zones
from poterne.values.dns import Failure, Found, NoData, TempFail
from tests.support.name_server import stub
from tests.support.outbound import Authority
from tests.support.peer_unbound import BINARY, Tamper, unbound
from tests.support.policy_world import MX, World, served
from tests.support.queue_world import post
from tests.support.sink import Sink
from tests.support.web import Web

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not Path(BINARY).exists(), reason="unbound is not installed (see .ci/peers)"),
]

ZONE = """\
@ 60 IN SOA ns.d.test. root.d.test. 1 60 60 60 60
@ 60 IN NS ns.d.test.
ns 60 IN A 127.0.0.1
@ 60 IN MX 10 mx.d.test.
mx 60 IN A 127.0.0.1
"""
WRONG = "3 1 1 " + "ab" * 32


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as made:
        yield made


def without(name: str, covers: str) -> Tamper:
    """Takes the signatures of a name's records away."""

    def tamper(zone: dns.zone.Zone) -> None:
        zone.delete_rdataset(dns.name.from_text(name), "RRSIG", covers)

    return tamper


def forged(port: int) -> Tamper:
    """Another TLSA record behind the same signature."""

    def tamper(zone: dns.zone.Zone) -> None:
        name = dns.name.from_text(f"_{port}._tcp.mx.d.test")
        rdataset = zone.get_rdataset(name, "TLSA")
        assert rdataset is not None
        other = dns.zone.from_text(f"@ 60 IN TLSA {WRONG}", origin="x.", check_origin=False, relativize=False)
        found = other.get_rdataset(dns.name.from_text("x."), "TLSA")
        assert found is not None
        zone.replace_rdataset(name, found)

    return tamper


@pytest.mark.parametrize(
    ("case", "wanted", "reported"),
    [
        ("match", "sent verified", "tlsa 1/0"),
        ("authority", "sent verified", "tlsa 1/0"),
        ("mismatch", "deferred 4.7.5", "tlsa 0/1 validation-failure"),
        ("none", "sent encrypted", "no-policy-found 1/0"),
        ("forged", "deferred 4.7.5", "tlsa 0/1 dnssec-invalid"),
        ("tlsa signature gone", "deferred 4.7.5", "tlsa 0/1 dnssec-invalid"),
        ("denial signature gone", "deferred 4.7.5", "tlsa 0/1 dnssec-invalid"),
        ("unsigned", "sent encrypted", "no-policy-found 1/0"),
        ("expired", "deferred 4.4.3", ""),
        ("mx signature gone", "deferred 4.4.3", ""),
    ],
)
async def test_dane(
    case: str, wanted: str, reported: str, authority: Authority, tmp_path: Path, stack: AsyncExitStack
) -> None:
    server = served(authority, MX)
    with ExitStack() as processes:
        sink = processes.enter_context(Sink(certificate=server.context))
        records = {
            "mismatch": WRONG,
            "authority": server.tlsa(2, 0, 1),
            "unsigned": WRONG,
            "none": "",
            "denial signature gone": "",
        }.get(case, server.tlsa(3, 1, 1))
        owner = f"_{sink.port}._tcp.mx.d.test"
        tamper = {
            "forged": forged(sink.port),
            "tlsa signature gone": without(owner, "TLSA"),
            "denial signature gone": without(MX, "NSEC"),
            "mx signature gone": without("d.test", "MX"),
        }.get(case)
        text = ZONE + (f"_{sink.port}._tcp.mx 60 IN TLSA {records}\n" if records else "")
        folder = tmp_path / "unbound"
        folder.mkdir()
        days = -5 if case == "expired" else 20
        port = processes.enter_context(unbound(folder, text, sign=case != "unsigned", days=days, tamper=tamper))
        resolver = stub(port)
        stack.callback(resolver.close)
        world = World(await stack.enter_async_context(post(tmp_path / "post")), Zones({}), Web(), authority, resolver)
        assert await world.send(sink.port, mta_sts=False) == wanted
        assert await world.counted() == ([reported] if reported else [])
        found = await resolver.tlsa(owner)
        match case:
            case "match" | "authority" | "mismatch":
                assert isinstance(found, Found)
                assert found.secure
            case "none":
                assert isinstance(found, NoData) or not isinstance(found, TempFail)
                assert found.secure
            case "unsigned":
                assert isinstance(found, Found)
                assert not found.secure
            case "tlsa signature gone":
                assert isinstance(found, TempFail)
            case "forged" | "denial signature gone" | "expired":
                assert isinstance(found, TempFail)
                assert found.reason is Failure.BOGUS
