"""Forged, damaged and endless DNS answers: none is believed, and none keeps a lookup from ending."""

import asyncio
import time
from collections.abc import Callable

import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.net.dns import exchange
from poterne.net.dns.exchange import ExchangeError, ask, make_query
from poterne.net.dns.servers import NameServer
from poterne.net.dns.wire import MalformedError, read
from poterne.values.dns import MX, A, Failure, Found, Kind, Mx, NoData, NxDomain, TempFail
from tests.support.name_server import Replies, answering, raw_server, response, silent, stub
from tests.unit.net.loops import both_loops

HONEST = "example.test. 60 A 192.0.2.1"
FORGED = "example.test. 60 A 203.0.113.66"


def forged(query: bytes) -> bytes:
    return response(query, FORGED).to_wire()


def other_question(query: bytes) -> bytes:
    message = dns.message.make_query("other.test", "A", id=int.from_bytes(query[:2]))
    return response(message.to_wire(), FORGED, "other.test. 60 A 203.0.113.66").to_wire()


def other_type(query: bytes) -> bytes:
    message = dns.message.make_query("example.test", "TXT", id=int.from_bytes(query[:2]))
    return response(message.to_wire(), FORGED).to_wire()


FORGERIES: dict[str, Callable[[bytes], bytes]] = {
    "wrong id": lambda query: ((int.from_bytes(query[:2]) + 1) & 0xFFFF).to_bytes(2) + forged(query)[2:],
    "wrong question": other_question,
    "wrong type": other_type,
    "no question": lambda query: query[:2] + b"\x81\x80\0\0\0\1\0\0\0\0" + forged(query)[12:],
    "two questions": lambda query: forged(query)[:4] + b"\0\2" + forged(query)[6:],
    "not an answer": lambda query: forged(query)[:2] + bytes([forged(query)[2] & 0x7F]) + forged(query)[3:],
    "another opcode": lambda query: forged(query)[:2] + bytes([forged(query)[2] | 0x20]) + forged(query)[3:],
    "nothing": lambda _: b"",
    "half a header": lambda query: query[:6],
}


@pytest.mark.parametrize("forgery", FORGERIES)
@both_loops
async def test_a_forged_answer_before_the_honest_one(forgery: str) -> None:
    def replies(query: bytes, _udp: bool) -> list[bytes]:
        return [FORGERIES[forgery](query), response(query, HONEST).to_wire()]

    async with raw_server(replies) as (server, port):
        answer = await stub(port).query("example.test", A)
        assert answer == Found(("192.0.2.1",), "example.test", secure=False, ttl_s=60)
        assert (len(server.udp), len(server.tcp)) == (1, 0)


@both_loops
async def test_a_perfect_answer_from_another_socket() -> None:
    async with raw_server(answering(HONEST)) as (server, port):
        server.from_stranger = lambda query, _: [forged(query)]
        answer = await stub(port).query("example.test", A)
        assert isinstance(answer, Found)
        assert answer.records == ("192.0.2.1",)
        server.replies, server.from_stranger = silent, answering("other.test. 60 A 203.0.113.66")
        assert isinstance(await stub(port, timeout_s=1, deadline_s=1).query("other.test", A), TempFail)


@both_loops
async def test_many_guesses_make_us_ask_by_tcp() -> None:
    def replies(query: bytes, udp: bool) -> list[bytes]:
        if not udp:
            return [response(query, HONEST).to_wire()]
        return [number.to_bytes(2) + forged(query)[2:] for number in range(40) if number != int.from_bytes(query[:2])]

    async with raw_server(replies) as (server, port):
        started = time.monotonic()
        answer = await stub(port).query("example.test", A)
        assert isinstance(answer, Found)
        assert answer.records == ("192.0.2.1",)
        assert len(server.tcp) == 1
        assert time.monotonic() - started < 1


def test_ids_and_letters_are_hard_to_guess() -> None:
    far = NameServer("192.0.2.53", 53, local=False, trusted=False)
    queries = [make_query(far, "mail.example.test", 1) for _ in range(300)]
    assert len({query.id for query in queries}) > 290
    assert len({query.question for query in queries}) > 280
    assert len({query.question.lower() for query in queries}) == 1
    assert not any(query.wire[3] & 0x20 for query in queries)  # who isn't trusted isn't asked to vouch


@both_loops
async def test_a_distant_server_must_give_our_letters_back() -> None:
    """Else we ask by TCP, where it does not matter: some old forwarders change them."""

    def replies(query: bytes, udp: bool) -> list[bytes]:
        wire = response(query, HONEST if not udp else FORGED).to_wire()
        return [wire[:12] + wire[12:].lower()] if udp else [wire]

    async with raw_server(replies) as (server, port):
        far = NameServer("127.0.0.1", port, local=False, trusted=False)
        query = make_query(far, "a-name-with-many-letters.example.test", 1)
        assert query.question != query.question.lower()
        await ask(far, query, 2.0)
        assert (len(server.udp), len(server.tcp)) == (1, 1)


@both_loops
async def test_each_query_comes_from_a_port_of_its_own() -> None:
    ports: set[int] = set()

    async with raw_server(answering(rcode=dns.rcode.NXDOMAIN)) as (server, port):
        receive = server.datagram_received

        def noting(data: bytes, addr: tuple[str, int]) -> None:
            ports.add(addr[1])
            receive(data, addr)

        server.datagram_received = noting  # type: ignore[method-assign]
        resolver = stub(port)
        await asyncio.gather(*(resolver.query(f"n{number}.test", A) for number in range(100)))
    assert len(ports) > 90


# -- TCP ---------------------------------------------------------------------------------------------------------------


def truncated_then(by_tcp: Callable[[bytes], list[bytes]]) -> Replies:
    def replies(query: bytes, udp: bool) -> list[bytes]:
        if not udp:
            return by_tcp(query)
        reply = response(query)
        reply.flags |= dns.flags.TC
        return [reply.to_wire()]

    return replies


@pytest.mark.parametrize(
    ("by_tcp", "reason"),
    [
        (lambda _: [], Failure.UNREACHABLE),
        (lambda _: [b""], Failure.MALFORMED),
        (lambda query: [query], Failure.MALFORMED),
        (lambda query: [FORGERIES["wrong id"](query)], Failure.MALFORMED),
        (lambda query: [response(query, HONEST).to_wire()[:-3]], Failure.MALFORMED),
    ],
)
@both_loops
async def test_bad_answers_by_tcp(by_tcp: Callable[[bytes], list[bytes]], reason: Failure) -> None:
    async with raw_server(truncated_then(by_tcp)) as (server, port):
        answer = await stub(port).query("example.test", A)
        assert isinstance(answer, TempFail)
        assert answer.reason is reason
        assert server.tcp


@both_loops
async def test_truncated_and_nobody_listens_on_tcp() -> None:
    async with raw_server(truncated_then(lambda _: []), tcp=False) as (_, port):
        answer = await stub(port).query("example.test", A)
    assert isinstance(answer, TempFail)
    assert answer.reason is Failure.UNREACHABLE


@both_loops
async def test_a_server_that_stalls_on_tcp() -> None:
    stalled = asyncio.Event()

    async def stall(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\xff\xff" + b"x" * 100)  # and nothing more
        await stalled.wait()
        writer.close()

    async with raw_server(truncated_then(lambda _: []), tcp=False) as (_, port):
        listener = await asyncio.start_server(stall, "127.0.0.1", port)
        started = time.monotonic()
        answer = await stub(port, timeout_s=1, deadline_s=1).query("example.test", A)
        assert isinstance(answer, TempFail)
        assert answer.reason is Failure.TIMEOUT
        assert time.monotonic() - started < 1.5
        stalled.set()
        listener.close()
        await asyncio.sleep(0.02)


@both_loops
async def test_the_largest_answer_there_is() -> None:
    records = [f'example.test. 60 TXT "{number:03}{"x" * 240}"' for number in range(250)]

    async with raw_server(truncated_then(lambda query: [response(query, *records).to_wire(max_size=65_535)])) as (
        _,
        port,
    ):
        answer = await stub(port).txt("example.test")
    assert isinstance(answer, Found)
    assert len(answer.records) == 250


# -- aliases, denials, nonsense ----------------------------------------------------------------------------------------


@both_loops
async def test_aliases_that_go_round() -> None:
    loop = ("a.test. 60 CNAME b.test.", "b.test. 60 CNAME a.test.")

    def one_step(query: bytes, _udp: bool) -> list[bytes]:
        here = query[13:14].decode()
        return [response(query, f"{here}.test. 60 CNAME {'b' if here == 'a' else 'a'}.test.").to_wire()]

    for replies in (answering(*loop), answering("a.test. 60 CNAME a.test."), one_step):
        async with raw_server(replies) as (server, port):
            answer = await stub(port).query("a.test", A)
            assert isinstance(answer, TempFail)
            assert answer.reason in {Failure.ALIASES, Failure.MALFORMED}
            assert server.asked <= 10


@both_loops
async def test_two_names_that_are_aliases_of_each_other_asked_for_at_once() -> None:
    def one_step(query: bytes, _udp: bool) -> list[bytes]:
        here = query[13:14].decode()
        return [response(query, f"{here}.test. 60 CNAME {'b' if here == 'a' else 'a'}.test.").to_wire()]

    async with raw_server(one_step) as (_, port):
        resolver = stub(port)
        async with asyncio.timeout(2):
            answers = await asyncio.gather(*(resolver.query(f"{name}.test", A) for name in "ab"))
        assert all(isinstance(answer, TempFail) for answer in answers)


@both_loops
async def test_a_server_that_does_not_resolve_for_us_says_nothing_of_the_name() -> None:
    """Taken for "no such record", its referral would turn every domain into one without MX."""
    async with raw_server(answering(authority=["test. 60 NS ns.test."])) as (_, port):
        assert isinstance(await stub(port).mx("example.test"), TempFail)
    async with raw_server(answering()) as (_, port):
        assert isinstance(await stub(port).mx("example.test"), NoData)


@pytest.mark.parametrize("rcode", [code for code in range(1, 17) if code != dns.rcode.NXDOMAIN])
@both_loops
async def test_no_error_is_ever_a_denial(rcode: int) -> None:
    async with raw_server(answering(rcode=dns.rcode.Rcode(rcode))) as (_, port):
        assert isinstance(await stub(port).mx("example.test"), TempFail)


@both_loops
async def test_a_failed_validation_is_told() -> None:
    def replies(query: bytes, _udp: bool) -> list[bytes]:
        reply = response(query, rcode=dns.rcode.SERVFAIL)
        reply.use_edns(0, 0, 1232, options=[dns.edns.EDEOption(dns.edns.EDECode.SIGNATURE_EXPIRED, None)])
        return [reply.to_wire()]

    async with raw_server(replies) as (_, port):
        answer = await stub(port).tlsa("_25._tcp.mail.example.test")
    assert isinstance(answer, TempFail)
    assert answer.reason is Failure.BOGUS


@both_loops
async def test_records_of_others_in_an_answer_are_not_kept() -> None:
    poison = (
        "example.test. 60 MX 10 mail.example.test.",
        "bank.test. 9999 A 203.0.113.66",
        "mail.example.test. 60 A 203.0.113.66",
    )
    async with raw_server(answering(*poison)) as (server, port):
        resolver = stub(port)
        answer = await resolver.mx("example.test")
        assert isinstance(answer, Found)
        assert answer.records == (Mx(10, "mail.example.test"),)
        server.replies = answering(rcode=dns.rcode.NXDOMAIN)
        assert isinstance(await resolver.query("bank.test", A), NxDomain)
        assert isinstance(await resolver.query("mail.example.test", A), NxDomain)


KINDS: list[Kind[object]] = [A, MX]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=120), max_size=12), st.binary(max_size=80), st.sampled_from(KINDS))
def test_garbage_over_sockets(strays: list[bytes], tail: bytes, kind: Kind[object]) -> None:
    """Whatever comes, with our id and question or without: a lookup ends with a value, and soon."""

    def replies(query: bytes, _udp: bool) -> list[bytes]:
        head = query[:2] + b"\x81\x80\0\1\0\1\0\1\0\1" + query[12 : len(query) - 11]
        return [*strays, head + tail]

    async def run() -> None:
        async with raw_server(replies) as (_, port), asyncio.timeout(5):
            answer = await stub(port, timeout_s=1, deadline_s=2).query("example.test", kind)
            assert isinstance(answer, (Found, NoData, TempFail))

    with asyncio.Runner() as runner:
        runner.run(run())


async def test_what_one_exchange_gives_is_an_answer_to_it() -> None:
    async with raw_server(answering(HONEST)) as (_, port):
        near = NameServer("127.0.0.1", port, local=True, trusted=True)
        query = make_query(near, "example.test", A.code)
        assert read(await ask(near, query, 1.0), query, "example.test", A).records == ("192.0.2.1",)
        with pytest.raises(MalformedError):
            read(query.wire[:13], query, "example.test", A)
    assert exchange.MAX_STRAYS < 20
    with pytest.raises(ExchangeError) as caught:
        await ask(near, query, 1.0)
    assert caught.value.reason is Failure.UNREACHABLE
