"""Lookups over real sockets, from the lab's name server and from one that does as the test says."""

import asyncio
import time
from pathlib import Path

import dns.rcode
import pytest

from poterne.lab.dns import Trouble, Zones
from poterne.net.dns.cache import Cache
from poterne.net.dns.servers import NameServer, Servers, named_in
from poterne.values.dns import (
    AAAA,
    CNAME,
    MX,
    A,
    Failure,
    Found,
    Mx,
    NoData,
    NxDomain,
    TempFail,
    Tlsa,
    reverse_name,
    reversed_labels,
)
from tests.support.lines import Lines
from tests.support.name_server import answering, free_dns_port, raw_server, response, silent, stub, zones_served
from tests.unit.net.loops import both_loops

TEXT = """$TTL 300
@ SOA ns postmaster 1 3600 900 604800 200
@ NS ns
@ MX 10 mail
@ MX 20 backup
@ TXT "v=spf1 " "-all"
mail A 192.0.2.1
mail AAAA 2001:db8::1
only4 A 192.0.2.4
www CNAME mail
far CNAME mail.other.test.
lost CNAME nowhere.elsewhere.test.
gone CNAME missing
_25._tcp.mail TLSA 3 1 1 abababababababababababababababababababababababababababababababab
""" + "".join(f'big TXT "{number:03} {"x" * 200}"\n' for number in range(20))
OTHER = "$TTL 60\n@ SOA ns postmaster 1 1 1 1 1\n@ NS ns\nmail A 192.0.2.9\n"
REVERSE = "$TTL 300\n@ SOA ns postmaster 1 1 1 1 1\n@ NS ns\n1 PTR mail.example.test.\n"


def zones(*secure: str) -> Zones:
    texts = {"example.test": TEXT, "other.test": OTHER, "2.0.192.in-addr.arpa": REVERSE}
    return Zones(texts, secure=secure)


@both_loops
async def test_each_kind_of_record() -> None:
    async with zones_served(zones()) as port:
        resolver = stub(port)
        mx = await resolver.mx("Example.TEST.")
        assert isinstance(mx, Found)
        assert sorted(mx.records, key=lambda mx: mx.preference) == [
            Mx(10, "mail.example.test"),
            Mx(20, "backup.example.test"),
        ]
        assert (mx.name, mx.ttl_s, mx.secure, mx.partial) == ("example.test", 300, False, False)
        assert await resolver.txt("example.test") == Found((b"v=spf1 -all",), "example.test", secure=False, ttl_s=300)
        tlsa = await resolver.tlsa("_25._tcp.mail.example.test")
        assert isinstance(tlsa, Found)
        assert tlsa.records == (Tlsa(3, 1, 1, b"\xab" * 32),)
        ptr = await resolver.ptr("::ffff:192.0.2.1")
        assert isinstance(ptr, Found)
        assert ptr.records == ("mail.example.test",)
        addresses = await resolver.addresses("mail.example.test")
        assert isinstance(addresses, Found)
        assert addresses.records == ("2001:db8::1", "192.0.2.1")
        assert await resolver.addresses("mail.example.test") == addresses  # now from the cache


@both_loops
async def test_what_is_not_there() -> None:
    async with zones_served(zones()) as port:
        resolver = stub(port)
        assert await resolver.query("mail.example.test", MX) == NoData(secure=False, ttl_s=200)
        assert await resolver.mx("none.example.test") == NxDomain(secure=False, ttl_s=200)
        assert await resolver.addresses("example.test") == NoData(secure=False, ttl_s=200)
        assert await resolver.addresses("none.example.test") == NxDomain(secure=False, ttl_s=200)
        assert await resolver.ptr("192.0.2.77") == NxDomain(secure=False, ttl_s=5)  # a minimum of 1 s is raised
        assert isinstance(await resolver.ptr("not an address"), NxDomain)
        for impossible in ("a..b", "x" * 64 + ".test", "nul\0.example.test", "bücher.test", "two words.test"):
            assert isinstance(await resolver.mx(impossible), NxDomain)
        refused = await resolver.mx("nobodys.test")
        assert isinstance(refused, TempFail)
        assert refused.reason is Failure.REFUSED
        assert "REFUSED" in refused.detail


@both_loops
async def test_aliases() -> None:
    async with zones_served(zones()) as port:
        resolver = stub(port)
        four = await resolver.query("www.example.test", A)
        assert four == Found(("192.0.2.1",), "mail.example.test", secure=False, ttl_s=300)
        far = await resolver.addresses("far.example.test")
        assert far == Found(("192.0.2.9",), "mail.other.test", secure=False, ttl_s=5)  # of the denial of AAAA
        alias = await resolver.query("www.example.test", CNAME)
        assert isinstance(alias, Found)
        assert (alias.records, alias.name) == (("mail.example.test",), "www.example.test")
        assert isinstance(await resolver.query("gone.example.test", A), NxDomain)
        lost = await resolver.query("lost.example.test", A)  # the alias leads to a zone that this server refuses
        assert isinstance(lost, TempFail)


def one_alias_each(query: bytes, _udp: bool) -> list[bytes]:
    """A server that gives one step of a chain at a time: a1 -> a2 -> … -> a7, which has an address."""
    number = int(query[14:15])
    if number == 7:
        return [response(query, "a7.test. 50 A 192.0.2.7").to_wire()]
    return [response(query, f"a{number}.test. 60 CNAME a{number + 1}.test.", ad=number != 3).to_wire()]


@both_loops
async def test_a_chain_of_which_the_server_gives_one_step_at_a_time() -> None:
    async with raw_server(one_alias_each) as (_, port):
        answer = await stub(port).query("a1.test", A)
    assert answer == Found(("192.0.2.7",), "a7.test", secure=False, ttl_s=50)


@both_loops
async def test_truncated_answers_are_fetched_by_tcp() -> None:
    async with zones_served(zones()) as port:
        answer = await stub(port).txt("big.example.test")
    assert isinstance(answer, Found)
    assert sorted(record[:3] for record in answer.records) == [b"%03d" % number for number in range(20)]


# -- DNSSEC ------------------------------------------------------------------------------------------------------------


@both_loops
async def test_a_name_server_of_this_machine_is_believed_that_it_validated() -> None:
    async with zones_served(zones("example.test")) as port:
        resolver = stub(port)
        for answer in (
            await resolver.mx("example.test"),
            await resolver.tlsa("_25._tcp.mail.example.test"),
            await resolver.addresses("mail.example.test"),
            await resolver.addresses("only4.example.test"),
        ):
            assert isinstance(answer, Found)
            assert answer.secure
        assert await resolver.tlsa("_25._tcp.www.example.test") == NxDomain(secure=True, ttl_s=200)
        assert await resolver.query("only4.example.test", AAAA) == NoData(secure=True, ttl_s=200)
        far = await resolver.query("far.example.test", A)  # an alias into a zone that is not signed
        assert isinstance(far, Found)
        assert not far.secure


@both_loops
async def test_nobody_is_believed_where_the_settings_say_so() -> None:
    async with raw_server(answering("example.test. 60 MX 10 mail.example.test.", ad=True)) as (server, port):
        answer = await stub(port, trust_ad="never").mx("example.test")
        assert isinstance(answer, Found)
        assert not answer.secure
        assert not server.udp[0][3] & 0x20  # and so nobody is asked to vouch


def test_who_is_trusted_and_asked() -> None:
    log = Lines()
    servers = Servers(["192.0.2.53", "127.0.0.1:5353", "[::1]:53", "2001:db8::53"], "loopback", log)
    assert servers.order(0.0) == (
        NameServer("127.0.0.1", 5353, local=True, trusted=True),
        NameServer("::1", 53, local=True, trusted=True),
    )
    assert log.of("dns.servers")[0]["not_asked"] == "192.0.2.53:53 [2001:db8::53]:53"
    unbelieved = Servers(["192.0.2.53", "127.0.0.1"], "never", log)
    assert [(str(server), server.trusted) for server in unbelieved.order(0.0)] == [
        ("192.0.2.53:53", False),
        ("127.0.0.1:53", False),
    ]


def test_the_system_s_name_servers(tmp_path: Path) -> None:
    file, log = tmp_path / "resolv.conf", Lines()
    servers = Servers([], "loopback", log, resolv_conf=file)
    assert [str(server) for server in servers.order(0.0)] == ["127.0.0.1:53"]  # there is no file yet
    assert log.of("dns.servers")
    file.write_text(
        "# made by hand\nsearch example.org\nnameserver 192.0.2.1\n nameserver 2001:db8::1 \nnameserver fe80::1%eth0\n"
    )
    assert [str(server) for server in servers.order(10.0)] == ["127.0.0.1:53"]  # not looked at yet
    assert [str(server) for server in servers.order(40.0)] == ["192.0.2.1:53", "[2001:db8::1]:53"]
    file.unlink()
    assert [str(server) for server in servers.order(80.0)] == ["192.0.2.1:53", "[2001:db8::1]:53"]
    assert named_in("nameserver\noptions edns0\n;nameserver 192.0.2.1") == []


# -- the cache, sharing, bounds ----------------------------------------------------------------------------------------


@both_loops
async def test_what_is_known_is_not_asked_again() -> None:
    async with zones_served(zones()) as port:
        resolver = stub(port)
        for name in ("example.test", "none.example.test", "Example.Test", "example.test."):
            await resolver.mx(name)
        begun = resolver.counts.begun
        assert begun == 2
        for name in ("example.test", "none.example.test", "Example.Test", "example.test."):
            await resolver.mx(name)
        assert resolver.counts.begun == begun
        assert isinstance(await resolver.txt("example.test"), Found)  # another type is another question
        assert resolver.counts.begun == begun + 1


@both_loops
async def test_a_failure_is_remembered_for_a_moment() -> None:
    async with raw_server(answering(rcode=dns.rcode.SERVFAIL)) as (server, port):
        resolver = stub(port)
        for _ in range(3):
            answer = await resolver.mx("example.test")
            assert isinstance(answer, TempFail)
            assert answer.reason is Failure.SERVFAIL
        assert server.asked == 1
        assert resolver.counts.failed == 1


def slow(server_zones: Zones, name: str, delay_s: float) -> Zones:
    server_zones.trouble(name, Trouble(delay_s=delay_s))
    return server_zones


@both_loops
async def test_the_same_question_is_asked_once() -> None:
    async with zones_served(slow(zones(), "example.test", 0.1)) as port:
        resolver = stub(port)
        answers = await asyncio.gather(*(resolver.mx("example.test") for _ in range(50)))
        assert resolver.counts.begun == 1
        assert all(answer is answers[0] for answer in answers)
        assert isinstance(answers[0], Found)


@both_loops
async def test_who_gives_up_waiting_does_not_end_it_for_others() -> None:
    async with zones_served(slow(zones(), "example.test", 0.15)) as port:
        resolver = stub(port)
        patient = asyncio.create_task(resolver.mx("example.test"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await resolver.mx("example.test")
        assert isinstance(await patient, Found)
        assert resolver.counts.begun == 1


@both_loops
async def test_an_answer_that_nobody_waits_for_any_more_is_kept() -> None:
    async with zones_served(slow(zones(), "example.test", 0.1)) as port:
        resolver = stub(port)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await resolver.mx("example.test")
        await asyncio.sleep(0.2)
        assert isinstance(await resolver.mx("example.test"), Found)
        assert resolver.counts.begun == 1


@both_loops
async def test_queries_under_way_are_bounded() -> None:
    async with raw_server(silent) as (server, port):
        resolver = stub(port, max_in_flight=10, timeout_s=1, deadline_s=1)
        lookups = [asyncio.create_task(resolver.txt(f"n{number}.test")) for number in range(100)]
        await asyncio.sleep(0.2)
        assert len({query[12:-10] for query in server.udp}) == 10
        beyond = [task.result() for task in lookups if task.done()]
        assert len(beyond) == 50  # ten are asked, forty wait
        assert all(isinstance(answer, TempFail) and answer.reason is Failure.OVERLOADED for answer in beyond)
        assert all(isinstance(answer, TempFail) for answer in await asyncio.gather(*lookups))
        server.replies = answering(rcode=dns.rcode.NXDOMAIN)
        assert isinstance(await resolver.txt("n99.test"), NxDomain)  # what was overloaded is not remembered


async def test_the_cache_is_bounded_and_forgets_in_time() -> None:
    cache = Cache(100_000)
    found = Found((b"x" * 1000,), "a.test", secure=False, ttl_s=300)
    for number in range(1000):
        cache.put((f"n{number}.test", 16), found, 300)
        assert cache.octets <= 100_000
        cache.get(("n0.test", 16))  # used often, so it stays
    assert 40 < len(cache) < 60
    assert cache.get(("n0.test", 16)) is found
    assert cache.get(("n500.test", 16)) is None
    cache.put(("big.test", 16), Found((b"x" * 200_000,), "big.test", secure=False, ttl_s=300), 300)
    assert len(cache) == 0
    assert cache.octets == 0
    cache.put(("short.test", 16), found, 0.02)
    assert cache.get(("short.test", 16)) is found
    time.sleep(0.03)  # noqa: ASYNC251  (nothing else runs)
    assert cache.get(("short.test", 16)) is None
    assert (len(cache), cache.octets) == (0, 0)


@both_loops
async def test_times_to_live_have_bounds() -> None:
    def replies(query: bytes, _udp: bool) -> list[bytes]:
        ttl = {b"0": 0, b"1": 10_000_000, b"2": 60}[query[13:14]]
        name = query[13:14].decode() + ".test."
        soa = f"{name} {ttl} SOA ns.test. postmaster.test. 1 2 3 4 {ttl}"
        records = () if query[-15:-13] == b"\0\x0f" else (f"{name} {ttl} A 192.0.2.1",)
        return [response(query, *records, authority=() if records else [soa]).to_wire()]

    async with raw_server(replies) as (_, port):
        resolver = stub(port)
        found = [await resolver.query(f"{number}.test", A) for number in range(3)]
        assert [answer.ttl_s for answer in found if isinstance(answer, Found)] == [5, 86_400, 60]
        denied = [await resolver.query(f"{number}.test", MX) for number in range(3)]
        assert [answer.ttl_s for answer in denied if isinstance(answer, NoData)] == [5, 900, 60]


# -- several servers, and none -----------------------------------------------------------------------------------------


@both_loops
async def test_a_silent_server_is_passed_over_and_then_asked_last() -> None:
    async with raw_server(silent) as (dead, dead_port), zones_served(zones()) as port:
        resolver = stub(dead_port, port, timeout_s=1)
        started = time.monotonic()
        assert isinstance(await resolver.mx("example.test"), Found)
        assert 0.9 < time.monotonic() - started < 2.5
        assert isinstance(await resolver.txt("example.test"), Found)
        assert len(dead.udp) == 1


@both_loops
async def test_a_port_where_nobody_listens_costs_no_time() -> None:
    async with zones_served(zones()) as port:
        started = time.monotonic()
        assert isinstance(await stub(free_dns_port(), port).mx("example.test"), Found)
        nobody = await stub(free_dns_port()).mx("example.test")
        assert time.monotonic() - started < 0.9
    assert isinstance(nobody, TempFail)
    assert nobody.reason is Failure.UNREACHABLE


@both_loops
async def test_an_answer_of_one_server_is_enough() -> None:
    async with raw_server(answering(rcode=dns.rcode.SERVFAIL)) as (ill, ill_port), zones_served(zones()) as port:
        resolver = stub(ill_port, port)
        assert isinstance(await resolver.mx("example.test"), Found)
        assert isinstance(await resolver.mx("none.example.test"), NxDomain)
        assert ill.asked == 2


@both_loops
async def test_lookups_end_at_the_deadline() -> None:
    async with raw_server(silent) as (server, port):
        resolver = stub(port, timeout_s=1, deadline_s=2)
        started = time.monotonic()
        answer = await resolver.mx("example.test")
        assert 1.9 < time.monotonic() - started < 3
        assert isinstance(answer, TempFail)
        assert answer.reason is Failure.TIMEOUT
        assert len(server.udp) == 2  # asked again in between


@both_loops
async def test_one_family_of_addresses_is_better_than_none() -> None:
    served = zones("example.test")
    served.trouble("mail.example.test", Trouble(rcode=dns.rcode.SERVFAIL), "AAAA")
    served.trouble("only4.example.test", Trouble(rcode=dns.rcode.SERVFAIL), "A")
    async with zones_served(served) as port:
        resolver = stub(port)
        partial = await resolver.addresses("mail.example.test")
        assert isinstance(partial, Found)
        assert (partial.records, partial.partial, partial.secure) == (("192.0.2.1",), True, True)
        assert partial.ttl_s <= 5
        assert isinstance(await resolver.addresses("only4.example.test"), TempFail)  # never: it has no address


@both_loops
async def test_closing_ends_what_is_under_way() -> None:
    async with raw_server(silent) as (_, port):
        resolver = stub(port)
        lookup = asyncio.create_task(resolver.mx("example.test"))
        await asyncio.sleep(0.05)
        resolver.close()
        with pytest.raises(asyncio.CancelledError):
            await lookup


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@both_loops
async def test_no_socket_stays_open() -> None:
    async with zones_served(zones()) as port, raw_server(silent) as (_, dead):
        resolver = stub(port)
        await resolver.mx("example.test")
        before = open_files()
        for number in range(20):
            await resolver.mx(f"n{number}.example.test")
            await stub(dead, timeout_s=1, deadline_s=1).mx("x.test") if number == 0 else None
        await resolver.txt("big.example.test")  # by TCP
        await asyncio.sleep(0.05)
        assert open_files() <= before + 1  # the other end of the TCP connection is ours too


def test_names_of_addresses() -> None:
    assert reversed_labels("192.0.2.99") == "99.2.0.192"
    assert reversed_labels("::ffff:192.0.2.99") == "99.2.0.192"
    assert reversed_labels("2001:db8:1:2:3:4:567:89ab") == (  # RFC 5782 §2.4
        "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2"
    )
    assert reverse_name("192.0.2.1") == "1.2.0.192.in-addr.arpa"
    assert reverse_name("::1") == "1." + "0." * 31 + "ip6.arpa"
    assert reversed_labels("localhost") is None
    assert reverse_name("") is None
