"""The lab's name server: right answers, truncation and TCP, and silence or a refusal for everything else."""

import asyncio
import random
import struct

import dns.asyncquery
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.lab.dns import NameServer, Zones
from tests.support.server import ADDRESS, free_port

ZONE = (
    "$TTL 300\n@ SOA ns postmaster 1 3600 900 604800 300\n@ NS ns\nns A 127.0.0.1\n@ MX 10 mail\nmail A 127.0.0.1\n"
    "deep.er A 127.0.0.2\nwww CNAME mail\n" + "".join(f'big TXT "{number:03} {"x" * 200}"\n' for number in range(20))
)
ZONES = Zones(
    {"example.test": ZONE, "sub.example.test": "$TTL 1\n@ SOA ns postmaster 1 1 1 1 1\n@ NS ns\n@ A 127.0.0.9\n"}
)


def ask(name: str, kind: str = "A", *, udp: bool = False, payload: int | None = None) -> dns.message.Message:
    query = dns.message.make_query(name, kind, use_edns=0 if payload else None, payload=payload)
    wire = ZONES.wire(query.to_wire(), udp=udp)
    assert wire is not None
    reply = dns.message.from_wire(wire)
    assert query.is_response(reply)
    return reply


def test_answers() -> None:
    mx = ask("example.test", "MX")
    assert mx.flags & dns.flags.AA
    assert str(mx.answer[0][0]) == "10 mail.example.test."
    assert str(ask("WWW.Example.TEST", "A").answer[0][0]).lower() == "mail.example.test."
    assert str(ask("sub.example.test", "A").answer[0][0]) == "127.0.0.9"


@pytest.mark.parametrize(
    ("name", "kind", "code", "authority"),
    [
        ("none.example.test", "A", dns.rcode.NXDOMAIN, True),
        ("mail.example.test", "AAAA", dns.rcode.NOERROR, True),  # NODATA
        ("er.example.test", "A", dns.rcode.NOERROR, True),  # an empty non-terminal
        ("a.sub.example.test", "A", dns.rcode.NXDOMAIN, True),
        ("elsewhere.test", "A", dns.rcode.REFUSED, False),
        (".", "NS", dns.rcode.REFUSED, False),
        ("example.test", "AXFR", dns.rcode.NOTIMP, False),
        ("example.test", "ANY", dns.rcode.NOTIMP, False),
    ],
)
def test_what_is_not_there(name: str, kind: str, code: dns.rcode.Rcode, *, authority: bool) -> None:
    reply = ask(name, kind)
    assert reply.rcode() == code
    assert not reply.answer
    assert bool(reply.authority) == authority
    if authority:
        assert reply.authority[0].rdtype == dns.rdatatype.SOA


@pytest.mark.parametrize(("payload", "limit"), [(None, 512), (700, 700), (4096, 1232)])
def test_long_answers_are_cut_over_udp_and_whole_over_tcp(payload: int | None, limit: int) -> None:
    query = dns.message.make_query("big.example.test", "TXT", use_edns=0 if payload else None, payload=payload)
    wire = ZONES.wire(query.to_wire(), udp=True)
    assert wire is not None
    assert len(wire) <= limit
    assert dns.message.from_wire(wire).flags & dns.flags.TC
    assert len(ask("big.example.test", "TXT").answer[0]) == 20


@given(st.binary(max_size=200))
def test_junk_is_answered_by_silence_or_a_reply(data: bytes) -> None:
    wire = ZONES.wire(data, udp=True)
    assert wire is None or len(wire) <= 1232


@given(st.integers(0, 2**32 - 1), st.data())
def test_damaged_queries_break_nothing(seed: int, data: st.DataObject) -> None:
    query = bytearray(dns.message.make_query("mail.example.test", "A", use_edns=0).to_wire())
    source = random.Random(seed)
    for _ in range(data.draw(st.integers(1, 6))):
        query[source.randrange(len(query))] = source.randrange(256)
    wire = ZONES.wire(bytes(query), udp=True)
    if wire is not None:
        assert struct.unpack("!H", wire[:2])[0] == struct.unpack("!H", bytes(query[:2]))[0]
        assert wire[2] & 0x80


def test_a_reply_is_never_answered() -> None:
    reply = dns.message.make_response(dns.message.make_query("mail.example.test", "A"))
    assert ZONES.wire(reply.to_wire(), udp=True) is None


async def test_over_sockets_udp_falls_back_to_tcp_and_strangers_harm_nobody() -> None:
    port = free_port()
    server = NameServer(ZONES, ADDRESS, port)
    await server.start()
    try:
        query = dns.message.make_query("big.example.test", "TXT")
        reply, by_tcp = await dns.asyncquery.udp_with_fallback(query, ADDRESS, timeout=5, port=port)
        assert by_tcp
        assert len(reply.answer[0]) == 20
        with pytest.raises(OSError, match="Address already in use"):
            await NameServer(ZONES, ADDRESS, port).start()
        reader, writer = await asyncio.open_connection(ADDRESS, port)
        writer.write(b"\x00\x05junk!")
        assert await reader.read() == b""
        writer.close()
        _, half = await asyncio.open_connection(ADDRESS, port)
        half.write(b"\xff")
        half.close()
        reader, writer = await asyncio.open_connection(ADDRESS, port)
        wire = dns.message.make_query("mail.example.test", "A").to_wire()
        writer.write((len(wire).to_bytes(2, "big") + wire) * 3)  # pipelined, RFC 7766
        for _ in range(3):
            size = int.from_bytes(await reader.readexactly(2), "big")
            assert dns.message.from_wire(await reader.readexactly(size)).answer
        writer.close()
        _, idle = await asyncio.open_connection(ADDRESS, port)
    finally:
        server.close()
        await asyncio.sleep(0)
    idle.close()
