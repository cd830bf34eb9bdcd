"""The lab's remote organisations: certificates, policies, zones, and what happens where an address is taken."""

import asyncio
import datetime as dt
import shutil
import socket
import ssl
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.zone
import pytest

from poterne.lab.credentials import DAYS, Authority
from poterne.lab.dns import Zones
from poterne.lab.internet import Internet
from poterne.lab.policies import PATH, PolicyHosts, enforce
from poterne.lab.remotes import REMOTES, Tlsa, zone
from poterne.mailauth.mtasts.policy import Mode, parse
from tests.support.server import ADDRESS, free_port

NOW = dt.datetime.now(dt.UTC)


async def shown(context: ssl.SSLContext, authority: Authority, name: str) -> str:
    """ "", or what a client says of the certificate."""
    port = free_port()
    server = await asyncio.start_server(lambda _, writer: writer.close(), ADDRESS, port, ssl=context)
    trusting = ssl.create_default_context(cafile=str(authority.file))
    try:
        _, writer = await asyncio.open_connection(ADDRESS, port, ssl=trusting, server_hostname=name)
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    finally:
        server.close()
    writer.close()
    return ""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_certificates_good_and_bad(tmp_path: Path) -> None:
    authority = Authority(tmp_path, NOW)
    good = authority.issue(["mx.d.test", "mx.e.test"])
    assert await shown(good.context, authority, "mx.e.test") == ""
    assert "mismatch" in await shown(good.context, authority, "mx.f.test")
    assert "expired" in await shown(authority.issue(["mx.d.test"], expired=True).context, authority, "mx.d.test")
    assert good.tlsa != authority.issue(["mx.d.test"]).tlsa
    assert names(tmp_path) == ["ca.key", "ca.pem"]
    assert (tmp_path / "ca.key").stat().st_mode & 0o077 == 0


async def test_the_authority_stays_while_it_is_good(tmp_path: Path) -> None:
    before = Authority(tmp_path, NOW).file.read_bytes()
    again = Authority(tmp_path, NOW + dt.timedelta(days=100))
    assert again.file.read_bytes() == before
    late = NOW + dt.timedelta(days=3_650 - DAYS)
    assert Authority(tmp_path, late).file.read_bytes() != before
    for damage in (b"", b"junk", (tmp_path / "ca.pem").read_bytes()):
        (tmp_path / "ca.key").write_bytes(damage)
        made = Authority(tmp_path, NOW)
        assert await shown(made.issue(["mx.d.test"]).context, made, "mx.d.test") == ""
    other = Authority(tmp_path / "other", NOW)
    shutil.copy(tmp_path / "other" / "ca.key", tmp_path / "ca.key")  # a key that is not the certificate's
    assert Authority(tmp_path, NOW).file.read_bytes() != other.file.read_bytes()
    assert (tmp_path / "ca.key").read_bytes() != (tmp_path / "other" / "ca.key").read_bytes()


async def test_policies_over_https(tmp_path: Path) -> None:
    authority = Authority(tmp_path, NOW)
    hosts = PolicyHosts({"d.test": enforce("mx.d.test")}, authority.issue(["mta-sts.d.test"]).context)
    port = free_port()
    await hosts.start(ADDRESS, port)
    trusting = ssl.create_default_context(cafile=str(authority.file))

    async def ask(request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(ADDRESS, port, ssl=trusting, server_hostname="mta-sts.d.test")
        writer.write(request)
        try:
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()

    try:
        head, _, body = (await ask(f"GET {PATH} HTTP/1.1\r\nhost: MTA-STS.d.test:443\r\n\r\n".encode())).partition(
            b"\r\n\r\n"
        )
        assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")
        policy = parse(body)
        assert (policy.mode, policy.mx) == (Mode.ENFORCE, ("mx.d.test",))
        for wrong in (
            f"GET {PATH} HTTP/1.1\r\nHost: d.test\r\n\r\n",
            f"GET {PATH} HTTP/1.1\r\nHost: mta-sts.e.test\r\n\r\n",
            f"GET {PATH} HTTP/1.1\r\n\r\n",
            f"POST {PATH} HTTP/1.1\r\nHost: mta-sts.d.test\r\n\r\n",
            "GET /../etc/passwd HTTP/1.1\r\nHost: mta-sts.d.test\r\n\r\n",
        ):
            assert (await ask(wrong.encode())).startswith(b"HTTP/1.1 404 "), wrong
        assert await ask(b"x" * 20_000) == b""
    finally:
        hosts.close()
        await asyncio.sleep(0)


def test_every_organisation_has_an_address_and_a_zone_of_its_own() -> None:
    assert len({remote.domain for remote in REMOTES}) == len({remote.address for remote in REMOTES}) == len(REMOTES)
    for remote in REMOTES:
        text = dns.zone.from_text(
            zone(remote, 2525, ADDRESS, "3 1 1 " + "ab" * 32), origin=f"{remote.domain}."
        ).to_text()
        assert ("IN MX 0 ." in text) == remote.null_mx
        assert (f"mx 300 IN A {remote.address}" in text) != remote.null_mx
        assert ("_mta-sts 300 IN TXT" in text) == remote.enforce
        assert ("_2525._tcp.mx 300 IN TLSA 3 1 1 " in text) == (remote.tlsa in {Tlsa.MATCH, Tlsa.OTHER})
        assert ("ab" * 32 in text) == (remote.tlsa is Tlsa.MATCH)
        assert len(remote.expected) <= 60


def asked(zones: Zones, name: str, rdtype: str) -> dns.message.Message:
    wire = zones.wire(dns.message.make_query(name, rdtype, want_dnssec=True).to_wire(), udp=True)
    assert wire is not None
    return dns.message.from_wire(wire)


async def test_what_cannot_listen_is_left_out(tmp_path: Path) -> None:
    port, policy_port = free_port(), free_port()
    internet, zones = Internet(tmp_path, ADDRESS, port, policy_port), Zones({})
    internet.prepare()
    clear = next(remote for remote in REMOTES if remote.domain == "clear.test")
    with socket.socket() as taken, socket.socket() as web:
        taken.bind((clear.address, port))
        web.bind((ADDRESS, policy_port))
        try:
            await internet.start(zones)
            assert set(internet.missing) == {
                "clear.test",
                "stripped.test",
                "sts.test",
                "wrong-name.test",
                "expired.test",
            }
            assert internet.missing["clear.test"] == f"{clear.address}:{port} can't be used (Address already in use)"
            assert str(policy_port) in internet.missing["sts.test"]
            assert {remote.domain for remote in internet.running} | set(internet.missing) == {r.domain for r in REMOTES}
            assert asked(zones, "clear.test", "MX").rcode() == dns.rcode.REFUSED
            assert not asked(zones, "grey.test", "MX").flags & dns.flags.AD
            for name in ("dane.test", "dane-wrong.test", "dane-bogus.test"):
                assert asked(zones, name, "MX").flags & dns.flags.AD
            assert asked(zones, f"_{port}._tcp.mx.dane.test", "TLSA").answer
            assert asked(zones, f"_{port}._tcp.mx.dane-bogus.test", "TLSA").rcode() == dns.rcode.SERVFAIL
            assert not list(internet.taken.glob("*"))
        finally:
            await internet.close()
    with pytest.raises(OSError):
        Internet(tmp_path / "internet" / "ca.pem", ADDRESS, port, policy_port).prepare()
