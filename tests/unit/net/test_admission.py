"""Lists, proxies and limits at the door, over real sockets, on both loops."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from poterne.net import admission as admissions
from poterne.net import listen
from poterne.net.admission import Admission
from poterne.net.limits import Gate, Limits
from poterne.net.notice import Kind
from poterne.net.tls import Certificates
from poterne.policy.access import Access
from poterne.values.networks import NetworkSet
from tests.support.proxy import LOCAL, header
from tests.unit.net.loops import both_loops
from tests.unit.net.toy import REFUSAL, Raw, World, toy_server

DENIAL = b"554 5.7.1 not you\r\n"
PROXY = "127.0.0.9"


def doors(
    allow: tuple[str, ...] = (), deny: tuple[str, ...] = (), proxies: tuple[str, ...] = (), hidden: str = ""
) -> Callable[[Gate], Admission]:
    def made(gate: Gate) -> Admission:
        access = Access(NetworkSet(allow), NetworkSet(deny))
        return Admission(gate, access, NetworkSet(proxies), hidden.__eq__, DENIAL)

    return made


async def from_address(port: int, source: str) -> Raw:
    sock = socket.socket()
    sock.setblocking(False)
    sock.bind((source, 0))
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return Raw(sock)


async def heard(port: int, source: str, data: bytes = b"QUIT\r\n") -> bytes:
    client = await from_address(port, source)
    try:
        await client.send(data)
        return await client.rest()
    finally:
        client.close()


@both_loops
async def test_only_who_is_listed_comes_in() -> None:
    world = World()
    async with toy_server(world, admission=doors(allow=("127.0.0.0/29",), deny=("127.0.0.3",))) as (_, port):
        assert await heard(port, "127.0.0.2") == b"220 hello\r\n221 bye\r\n"
        assert await heard(port, "127.0.0.3") == DENIAL
        assert await heard(port, "127.0.0.8") == DENIAL
    refused = [(n.peer, n.detail) for n in world.notices if n.kind is Kind.REFUSED]
    assert refused == [("127.0.0.3", "denied"), ("127.0.0.8", "not-listed")]


@both_loops
async def test_an_address_that_hides_strangers_is_on_no_allow_list() -> None:
    world = World()
    async with toy_server(world, admission=doors(allow=("127.0.0.0/29",), hidden="127.0.0.2")) as (_, port):
        assert await heard(port, "127.0.0.2") == DENIAL
        assert await heard(port, "127.0.0.1") == b"220 hello\r\n221 bye\r\n"


@both_loops
async def test_a_listed_proxy_says_who_is_there() -> None:
    world = World()
    async with toy_server(world, admission=doors(deny=("192.0.2.0/25",), proxies=(PROXY,))) as (_, port):
        assert await heard(port, PROXY, header("192.0.2.200") + b"QUIT\r\n") == b"220 hello\r\n221 bye\r\n"
        assert await heard(port, PROXY, header("2001:db8::7") + b"QUIT\r\n") == b"220 hello\r\n221 bye\r\n"
        assert await heard(port, PROXY, header("::ffff:192.0.2.7") + b"QUIT\r\n") == DENIAL
        assert await heard(port, PROXY, LOCAL + b"QUIT\r\n") == b"220 hello\r\n221 bye\r\n"
        assert await heard(port, "127.0.0.1") == b"220 hello\r\n221 bye\r\n", "who comes directly is who it is"
        assert [link.peer for link in world.links] == ["192.0.2.200", "2001:db8::7", PROXY, "127.0.0.1"]
        assert [link.peer_port for link in world.links][:3] == [4711, 4711, 0]
        await world.until(lambda: world.kinds().count(Kind.CLOSED) == 4)
        assert [n.peer for n in world.notices if n.kind is Kind.CLOSED] == [link.peer for link in world.links]


@both_loops
async def test_a_header_in_pieces_is_read_to_its_end_and_no_further() -> None:
    world = World()
    async with toy_server(world, admission=doors(proxies=(PROXY,))) as (_, port):
        client = await from_address(port, PROXY)
        for octet in header("192.0.2.7", extensions=b"\x04\0\x03abc"):
            await client.send(bytes([octet]))
        await client.send(b"QUI")
        assert await client.line() == b"220 hello\r\n"
        await client.send(b"T\r\n")
        assert await client.rest() == b"221 bye\r\n"
        client.close()


@both_loops
async def test_a_listed_proxy_without_a_good_header_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admissions, "PROXY_HEADER_S", 0.1)
    world = World()
    async with toy_server(world, admission=doors(proxies=(PROXY,))) as (_, port):
        for data in (
            b"EHLO a.example\r\nQUIT\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 1 25\r\n",
            header("127.0.0.1"),
            header("192.0.2.7")[:20],
        ):
            assert await heard(port, PROXY, data) == b""
        silent = await from_address(port, PROXY)
        assert await silent.rest() == b""
        silent.close()
    refused = [n.detail for n in world.notices if n.kind is Kind.PROXY_REFUSED]
    assert refused == ["no-header", "no-header", "source", "timeout", "timeout"]
    assert world.links == []


@both_loops
async def test_limits_are_those_of_who_is_behind_the_proxy() -> None:
    world = World()
    limits = Limits(total=100, per_address=2)
    async with toy_server(world, limits=limits, admission=doors(proxies=(PROXY,))) as (_, port):
        clients = []
        for source in ("192.0.2.7", "192.0.2.7", "198.51.100.1", "203.0.113.5"):
            client = await from_address(port, PROXY)
            await client.send(header(source))
            assert await client.line() == b"220 hello\r\n"
            clients.append(client)
        assert await heard(port, PROXY, header("192.0.2.7")) == REFUSAL
        for client in clients:
            client.close()


@both_loops
async def test_introductions_are_bounded_and_end_with_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "MAX_INTRODUCTIONS", 3)
    world = World()
    async with toy_server(world, admission=doors(proxies=(PROXY,))) as (listener, port):
        silent = [await from_address(port, PROXY) for _ in range(3)]
        await world.until(lambda: len(listener._introductions) == 3)
        assert await heard(port, PROXY, header("192.0.2.7")) == REFUSAL
        assert await listener.drain(1.0) == 0
        for client in silent:
            assert await client.rest() == b""
            client.close()
        assert not listener._introductions


@both_loops
async def test_tls_follows_the_header(certificates: Certificates) -> None:
    world = World()
    door = doors(deny=("192.0.2.9",), proxies=(PROXY,))
    async with toy_server(world, certificates=certificates, implicit_tls=True, admission=door) as (_, port):
        assert await heard(port, PROXY, header("192.0.2.9")) == b"", "no plaintext to a TLS client"
        assert await heard(port, "127.0.0.1", header("192.0.2.7")) == b"", "and nobody else is believed"
        assert [n.detail for n in world.notices if n.kind is Kind.REFUSED] == ["denied"]
        assert Kind.TLS_FAILED in world.kinds()


def test_a_server_that_is_named_counts_in_the_total_only() -> None:
    gate = Gate(Limits(total=5, per_address=2, per_minute=3))
    allow = NetworkSet(["192.0.2.0/24", "2001:db8::1"])
    named = NetworkSet(["192.0.2.1", "2001:db8::1"])
    admission = Admission(gate, Access(allow, NetworkSet()), named=named)
    assert [admission.enter("192.0.2.2") for _ in range(3)] == ["", "", "address"]
    assert [admission.enter("192.0.2.1") for _ in range(4)] == ["", "", "", "total"]
    for _ in range(3):
        admission.leave("192.0.2.1")
    assert [admission.enter("2001:db8::1") for _ in range(4)] == ["", "", "", "total"]
    assert gate.inside == 5
    shared = Admission(gate, Access(allow, NetworkSet()), hidden="192.0.2.1".__eq__, named=named)
    assert shared.enter("192.0.2.1") == "hidden-origin"
