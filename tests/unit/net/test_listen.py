import asyncio
import errno
import os
import socket
import time
from typing import Any

import pytest

from poterne.net import listen
from poterne.net.limits import Gate, Limits, network_of
from poterne.net.listen import bind_socket, trace_ids
from poterne.net.notice import Kind
from poterne.net.tls import Certificates
from tests.unit.net.loops import both_loops
from tests.unit.net.toy import REFUSAL, Raw, World, toy_server


async def greeted(port: int, address: str = "127.0.0.1") -> Raw:
    client = await Raw.connect(port, address=address)
    assert await client.line() == b"220 hello\r\n"
    return client


@both_loops
async def test_over_the_limit_of_an_address_is_refused_and_a_free_place_is_taken_again() -> None:
    world = World()
    async with toy_server(world, limits=Limits(total=10, per_address=2)) as (_, port):
        clients = [await greeted(port), await greeted(port)]
        refused = await Raw.connect(port)
        assert await refused.rest() == REFUSAL
        refused.close()
        await clients[0].send(b"QUIT\r\n")
        await clients[0].rest()
        await world.until(lambda: world.closed == 1)
        clients.append(await greeted(port))
        for client in clients:
            client.close()
    refusals = [notice for notice in world.notices if notice.kind is Kind.REFUSED]
    assert [notice.detail for notice in refusals] == ["address"]


@both_loops
async def test_over_the_total_is_refused_before_any_handshake(certificates: Certificates) -> None:
    world = World()
    async with toy_server(world, certificates=certificates, implicit_tls=True, limits=Limits(1, 10)) as (_, port):
        silent = await Raw.connect(port)  # occupies the place without a handshake
        await world.until(lambda: True)
        await asyncio.sleep(0.02)
        refused = await Raw.connect(port)
        assert await refused.rest() == b"", "a plaintext refusal makes no sense to a TLS client"
        refused.close()
        silent.close()
    assert world.notices[0].kind is Kind.REFUSED
    assert world.notices[0].detail == "total"


@both_loops
async def test_ipv6_works_and_takes_no_ipv4() -> None:
    try:
        probe = bind_socket("::1", 0)
    except OSError:
        pytest.skip("no IPv6 on this machine")
    probe.close()
    world = World()
    async with toy_server(world, address="::1") as (_, port):
        client = await greeted(port, "::1")
        assert world.links[0].peer == "::1"
        client.close()
        with pytest.raises(OSError):
            await Raw.connect(port)


@both_loops
async def test_drain_lets_sessions_say_goodbye() -> None:
    world = World()
    async with toy_server(world) as (listener, port):
        clients = [await greeted(port) for _ in range(5)]
        busy = await greeted(port)
        await busy.send(b"SLEEP 0.1\r\n")
        await world.until(lambda: len(world.lines) == 1)
        assert await listener.drain(2.0) == 0
        for client in clients:
            assert await client.rest() == b"421 shutdown\r\n"
            client.close()
        assert await busy.rest() == b"250 slept\r\n421 shutdown\r\n"
        busy.close()
        with pytest.raises(ConnectionRefusedError):
            await Raw.connect(port)
    assert world.closed == 6


@both_loops
async def test_drain_cuts_who_does_not_end(certificates: Certificates) -> None:
    world = World()
    async with toy_server(world, certificates=certificates) as (listener, port):
        stuck = await greeted(port)
        await stuck.send(b"LONG 300000\r\n")
        upgrading = await greeted(port)
        await upgrading.send(b"STARTTLS\r\n")
        assert await upgrading.line() == b"220 go ahead\r\n"
        await world.until(lambda: world.links[0].bytes_out > 200_000)
        started = time.monotonic()
        assert await listener.drain(0.2) == 1
        assert time.monotonic() - started < 1.5
        stuck.close()
        upgrading.close()
    assert world.closed == 2


@both_loops
async def test_drain_cancels_a_session_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "DRAIN_TAIL_S", 0.1)
    world = World()
    async with toy_server(world) as (listener, port):
        client = await greeted(port)
        await client.send(b"SLEEP 60\r\n")
        await world.until(lambda: len(world.lines) == 1)
        assert await listener.drain(0.1) == 1
        client.close()
    assert world.closed == 1


@both_loops
async def test_who_waits_in_the_queue_at_shutdown_is_told() -> None:
    world = World()
    async with toy_server(world) as (listener, port):
        sock = socket.create_connection(("127.0.0.1", port))  # the loop had no time to accept it
        await listener.drain(1.0)
        sock.setblocking(True)
        received = b""
        while data := sock.recv(100):
            received += data
        assert received == b"220 hello\r\n421 shutdown\r\n"
        sock.close()


class _Exhausted(socket.socket):
    """A listening socket whose accept fails as often as told, as when the process has no descriptors left."""

    failures = 2
    calls = 0

    def accept(self) -> tuple[socket.socket, Any]:
        self.calls += 1
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


@both_loops
async def test_no_descriptors_left_means_a_pause_and_not_a_busy_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "ACCEPT_PAUSE_S", 0.1)
    world = World()
    async with toy_server(world) as (listener, port):
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener._sockets[0].fileno())
        exhausted = _Exhausted(fileno=listener._sockets[0].detach())
        listener._sockets[0] = exhausted
        listener.start()
        client = await Raw.connect(port)
        assert await client.line() == b"220 hello\r\n"
        client.close()
        assert exhausted.calls < 8
    paused = [notice for notice in world.notices if notice.kind is Kind.ACCEPT_PAUSED]
    assert [notice.detail for notice in paused] == ["EMFILE", "EMFILE"]


def test_processes_can_share_a_port() -> None:
    first = bind_socket("127.0.0.1", 0, reuse_port=True)
    second = bind_socket("127.0.0.1", first.getsockname()[1], reuse_port=True)
    with pytest.raises(OSError):
        bind_socket("127.0.0.1", first.getsockname()[1])
    first.close()
    second.close()


def test_the_gate_counts_networks_and_forgets_them() -> None:
    gate = Gate(Limits(total=4, per_address=2))
    assert gate.enter("2001:db8::1") == ""
    assert gate.enter("2001:db8::2:3") == ""
    assert gate.enter("2001:db8:0:0:ffff::1") == "address", "one /64 is one customer"
    assert gate.enter("2001:db8:0:1::1") == ""
    assert gate.enter("192.0.2.1") == ""
    assert gate.enter("192.0.2.2") == "total"
    for address in ("2001:db8::9", "2001:db8::1", "2001:db8:0:1::1", "192.0.2.1"):
        gate.leave(address)
    assert gate.inside == 0
    assert gate._inside == {}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("2001:db8::1", "2001:db8:1::1", False),
        ("", "", True),
        ("not:an:address", "not:an:address", True),
    ],
)
def test_networks(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


def test_trace_ids_differ() -> None:
    first, second = trace_ids(), trace_ids()
    ids = [first(), first(), second(), second()]
    assert len(set(ids)) == 4
    assert ids[0] < ids[1]
