"""Plaintext in front of a TLS handshake is never read as if it had come inside TLS (RFC 3207 §6, CVE-2011-0411 and its kin).

The core of these tests is the laziest that the contract allows: it does not look behind its own STARTTLS. What stands between
an attacker and the session is the link.
"""

import asyncio
import contextlib
import ssl
from pathlib import Path

import pytest

from poterne.net.dial import dial
from poterne.net.link import TlsSetup
from poterne.net.notice import Kind
from poterne.net.tls import Certificates, client_context
from poterne.net.tlswire import InjectionError
from tests.unit.net.loops import both_loops
from tests.unit.net.toy import Raw, World, make_certificate, toy_server

INJECTED = b"MAIL FROM:<injected>\r\n"


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates([make_certificate(tmp_path, "mail.example.org")], ["imap"])


async def greeted(port: int) -> Raw:
    client = await Raw.connect(port)
    assert await client.line() == b"220 hello\r\n"
    return client


async def handshake(client: Raw) -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
    """The victim's part, unaware of what was sent in its name."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(verify=False).wrap_bio(incoming, outgoing)
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            await client.send(outgoing.read())
            data = await client.recv()
            if not data:
                raise ConnectionResetError from None
            incoming.write(data)
        else:
            await client.send(outgoing.read())
            return tls, incoming, outgoing


def assert_refused(world: World) -> None:
    executed = [text for text, _ in world.lines if b"injected" in text]
    assert executed == []
    assert Kind.INJECTION in world.kinds(), world.notices
    assert world.kinds().count(Kind.CLOSED) == 1


@both_loops
async def test_in_one_segment_and_then_a_real_handshake(certificates: Certificates) -> None:
    world = World()
    async with toy_server(world, certificates=certificates) as (_, port):
        client = await greeted(port)
        await client.send(b"STARTTLS\r\n" + INJECTED)
        try:
            assert await client.line() in {b"220 go ahead\r\n", b""}
            tls, incoming, outgoing = await handshake(client)
            tls.write(b"NOOP\r\n")
            await client.send(outgoing.read())
            incoming.write(await client.rest())
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                assert b"250" not in tls.read(1000)
        except (ConnectionError, ssl.SSLError):
            pass
        client.close()
        await world.until(lambda: Kind.CLOSED in world.kinds())
    assert_refused(world)


@both_loops
async def test_in_a_second_segment_before_the_go_ahead(certificates: Certificates) -> None:
    world = World(slow_starttls_s=0.1)
    async with toy_server(world, certificates=certificates) as (_, port):
        client = await greeted(port)
        await client.send(b"STARTTLS\r\n")
        await world.until(lambda: len(world.lines) == 1)
        await client.send(INJECTED)
        assert await client.rest() == b"", "not even the go-ahead is sent"
        client.close()
        await world.until(lambda: Kind.CLOSED in world.kinds())
    assert_refused(world)
    assert (b"(secured)", True) not in world.lines


@both_loops
@pytest.mark.parametrize("injected", [INJECTED, b"M", b"\r\n", b"\n", b"\0", b" ", b"\x80\x2e\x01"])
async def test_after_the_go_ahead(certificates: Certificates, injected: bytes) -> None:
    world = World()
    async with toy_server(world, certificates=certificates) as (_, port):
        client = await greeted(port)
        await client.send(b"STARTTLS\r\n")
        assert await client.line() == b"220 go ahead\r\n"
        await client.send(injected)
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await handshake(client)
        client.close()
        await world.until(lambda: Kind.CLOSED in world.kinds())
    assert_refused(world)
    assert (b"(secured)", True) not in world.lines


@both_loops
async def test_half_a_command_before_and_half_inside(certificates: Certificates) -> None:
    world = World()
    async with toy_server(world, certificates=certificates) as (_, port):
        client = await greeted(port)
        await client.send(b"STARTTLS\r\nNOOP inj")
        try:
            await client.line()
            tls, _, outgoing = await handshake(client)
            tls.write(b"ected\r\n")
            await client.send(outgoing.read())
            await client.rest()
        except (ConnectionError, ssl.SSLError):
            pass
        client.close()
        await world.until(lambda: Kind.CLOSED in world.kinds())
    assert_refused(world)


@both_loops
@pytest.mark.parametrize("pause_s", [0.0, 0.001, 0.005])
async def test_at_every_moment_around_the_go_ahead(certificates: Certificates, pause_s: float) -> None:
    """Whatever the timing, nothing injected runs and the connection ends."""

    async def once() -> None:
        world = World(slow_starttls_s=0.003)
        async with toy_server(world, certificates=certificates) as (_, port):
            client = await greeted(port)
            await client.send(b"STARTTLS\r\n")
            await asyncio.sleep(pause_s)
            await client.send(INJECTED)
            try:
                await client.line()
                await handshake(client)
            except (ConnectionError, ssl.SSLError):
                pass
            client.close()
            await world.until(lambda: Kind.CLOSED in world.kinds())
        assert_refused(world)

    for _ in range(10):
        await once()


@both_loops
async def test_an_honest_upgrade_works_and_starts_afresh(certificates: Certificates) -> None:
    world = World()
    async with toy_server(world, certificates=certificates) as (_, port):
        client = await greeted(port)
        await client.send(b"NOOP before\r\n")
        assert await client.line() == b"250 ok\r\n"
        await client.send(b"STARTTLS\r\n")
        assert await client.line() == b"220 go ahead\r\n"
        tls, incoming, outgoing = await handshake(client)
        tls.write(b"TLS\r\nQUIT\r\n")
        await client.send(outgoing.read())
        incoming.write(await client.rest())
        assert b"250 TLSv1.3" in tls.read(1000)
        client.close()
    assert world.lines == [
        (b"NOOP before", False),
        (b"STARTTLS", False),
        (b"(secured)", True),
        (b"TLS", True),
        (b"QUIT", True),
    ]
    assert world.kinds() == [Kind.CLOSED]


@both_loops
async def test_no_handshake_after_the_go_ahead_never_falls_back_to_plaintext(certificates: Certificates) -> None:
    world = World()
    async with toy_server(world, certificates=certificates, handshake_timeout_s=0.2) as (_, port):
        client = await greeted(port)
        await client.send(b"STARTTLS\r\n")
        assert await client.line() == b"220 go ahead\r\n"
        assert await client.rest() == b""
        client.close()
        await world.until(lambda: Kind.CLOSED in world.kinds())
    assert world.kinds() == [Kind.TLS_FAILED, Kind.CLOSED]
    assert world.notices[0].detail == "timeout"


@both_loops
@pytest.mark.parametrize("pause_s", [0.0, 0.05])
async def test_replies_injected_into_our_own_client(pause_s: float) -> None:
    """A server (or somebody in between) answers more than the go-ahead: our client must not believe it."""

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"220 go ahead\r\n")
        await writer.drain()
        await asyncio.sleep(pause_s)
        writer.write(b"250 injected\r\n")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    async with listening:
        link = await dial(
            "127.0.0.1",
            listening.sockets[0].getsockname()[1],
            tls=TlsSetup(lambda: client_context(verify=False), handshake_timeout_s=2.0),
        )
        await link.write([b"STARTTLS\r\n"])
        first = await link.read()
        assert isinstance(first, bytes)
        assert first.startswith(b"220 go ahead\r\n")
        if b"injected" not in first:  # else it is in the core's buffer, where `tls_started` finds it
            with pytest.raises(InjectionError):
                await link.start_tls()
            assert await link.read() == b""
        link.abort()
        await link.wait_closed()
