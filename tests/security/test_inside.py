"""Names that lead inside: a stranger's MX, its addresses and address literals are never a way to servers of our network.

Over a real name server; nobody connects anywhere, for `Router.ways` is what decides where the queue may connect to.
"""

from pathlib import Path

import pytest

from poterne.lab.dns import Zones
from poterne.queue.outcome import Permanent
from poterne.queue.route import Ourselves, Router
from poterne.queue.routes import Routes
from tests.support.name_server import stub, zones_served

INSIDE = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254",
    "100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.0.8",
]  # fmt: skip
INSIDE_V6 = [
    "::1", "::", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::10.0.0.1", "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "2002:7f00:1::1", "2002:a00:1::1", "2001::1", "fe80::1", "fec0::1",
    "fc00::1", "fd12:3456:789a::1", "ff02::1", "100::1",
]  # fmt: skip


def router(port: int) -> Router:
    return Router(Routes({}, Path()), stub(port), Ourselves("mail.example.org"), lambda _: None)


def zones(kind: str, address: str) -> Zones:
    soa = "@ 60 IN SOA ns hostmaster 1 1 1 1 60\n@ 60 IN NS ns\nns 60 IN A 192.0.2.53\n"
    return Zones({
        "evil.test": f"{soa}@ 60 IN MX 10 mx\nmx 60 IN {kind} {address}\n",
        "bare.test": f"{soa}@ 60 IN {kind} {address}\n",
    })  # fmt: skip


@pytest.mark.parametrize("address", [*INSIDE, *INSIDE_V6])
async def test_no_name_and_no_literal_leads_inside(address: str) -> None:
    kind, literal = ("AAAA", f"IPv6:{address}") if ":" in address else ("A", address)
    async with zones_served(zones(kind, address)) as port:
        for domain in ("evil.test", "bare.test", f"[{literal}]"):
            found = await router(port).ways(domain)
            assert isinstance(found, Permanent), (domain, found)
            assert found.enhanced.startswith("5.4.")
