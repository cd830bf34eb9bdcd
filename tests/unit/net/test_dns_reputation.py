"""Blocklists and names of peers, looked up at the lab's name server."""

import asyncio
import time

import dns.rcode
import pytest

from poterne.config.dns import Reputation as Settings
from poterne.lab.dns import Trouble, Zones
from poterne.net import dnsbl
from poterne.net import reputation as gathering
from poterne.net.dnsbl import Blocklist, Silence, public_name
from poterne.net.reputation import Reputation
from poterne.policy.reputation import Action, Evidence, Helo, Listing, Reason, Reverse
from tests.support.lines import Lines
from tests.support.name_server import answering, raw_server, silent, stub, zones_served
from tests.unit.net.loops import both_loops

SOA = "$TTL 300\n@ SOA ns postmaster 1 1 1 1 1\n@ NS ns\n"
V6_2 = "2.0.0.0.0.0.f.7.f.f.f.f." + "0." * 19 + "0"
V6_1 = "1.0.0.0.0.0.f.7.f.f.f.f." + "0." * 19 + "0"
V6_BAD = "1." + "0." * 23 + "8.b.d.0.1.0.0.2"  # 2001:db8::1
TESTS = '2.0.0.127 A 127.0.0.2\n2.0.0.127 TXT "a test"\n'
GOOD = (
    SOA
    + TESTS
    + '66.100.51.198 A 127.0.0.2\n66.100.51.198 A 127.0.0.10\n66.100.51.198 TXT "see https://bl.test/?198.51.100.66 \\007"\n'
    + f"{V6_2} A 127.0.0.2\n{V6_BAD} A 127.0.0.3\n"
)
PEERS = (
    SOA
    + "7 PTR other.peer.test.\n7 PTR mail.peer.test.\n8 PTR liar.peer.test.\n10 PTR broken.peer.test.\n66 PTR bad.peer.test.\n"
)
NAMES = (
    SOA + "mail A 198.51.100.7\nmail AAAA 2001:db8::7\nother A 203.0.113.1\nliar A 203.0.113.9\nbad A 198.51.100.66\n"
    "broken A 198.51.100.10\nempty TXT x\n"
)


def world() -> Zones:
    return Zones({"bl.test": GOOD, "100.51.198.in-addr.arpa": PEERS, "peer.test": NAMES, "bl2.test": GOOD})


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# -- one list ----------------------------------------------------------------------------------------------------------


@both_loops
async def test_a_list_that_proves_itself_is_believed() -> None:
    log = Lines()
    async with zones_served(world()) as port:
        bl = Blocklist("bl.test", stub(port), log)
        listing = Listing("bl.test", ("127.0.0.10", "127.0.0.2"), "see https://bl.test/?198.51.100.66 ?")
        found = await bl.look_up("198.51.100.66")
        assert isinstance(found, Listing)
        assert Listing(found.list_name, tuple(sorted(found.codes)), found.text) == listing
        assert isinstance(await bl.look_up("::ffff:198.51.100.66"), Listing)
        assert await bl.look_up("198.51.100.7") is Silence.CLEAN
        assert await bl.look_up("2001:db8::1") == Listing("bl.test", ("127.0.0.3",))
        assert await bl.look_up("2001:db8::2") is Silence.CLEAN
        assert await bl.look_up("not an address") is Silence.UNKNOWN
    assert [line["ip_version"] for line in log.of("dnsbl.sound")] == [4, 6]
    assert not log.of("dnsbl.skipped")


BROKEN = {
    "gone": (SOA, "missing"),
    "names everybody": (SOA + "* A 127.0.0.2\n", "everybody"),
    "names 127.0.0.1": (GOOD + "1.0.0.127 A 127.0.0.2\n", "everybody"),
    "parked domain": (SOA + "* A 203.0.113.80\n", "203.0.113.80"),
    "refuses our resolver": (SOA + "* A 127.255.255.254\n", "127.255.255.254"),
    "blocks our queries": (SOA + "* A 127.0.0.1\n", "127.0.0.1"),
    "one good code and one bad": (SOA + "2.0.0.127 A 127.0.0.2\n2.0.0.127 A 127.255.255.255\n", "127.255.255.255"),
}


@pytest.mark.parametrize("how", BROKEN)
@both_loops
async def test_a_list_that_is_broken_lists_nobody(how: str) -> None:
    text, problem = BROKEN[how]
    log, clock = Lines(), Clock()
    async with zones_served(Zones({"bl.test": text})) as port:
        bl = Blocklist("bl.test", stub(port), log, clock=clock)
        for _ in range(5):
            assert await bl.look_up("198.51.100.66") is Silence.UNKNOWN
    assert len(log.of("dnsbl.skipped")) == 1
    assert problem in str(log.of("dnsbl.skipped")[0]["problem"])


@both_loops
async def test_a_list_that_does_not_answer_is_skipped_and_tried_again() -> None:
    log, clock, served = Lines(), Clock(), world()
    served.trouble("2.0.0.127.bl.test", Trouble(rcode=dns.rcode.REFUSED))
    async with zones_served(served) as port:
        bl = Blocklist("bl.test", stub(port), log, clock=clock)
        for _ in range(3):
            assert await bl.look_up("198.51.100.66") is Silence.UNKNOWN
        assert "does not answer" in str(log.of("dnsbl.skipped")[0]["problem"])
        served.trouble("2.0.0.127.bl.test", None)
        clock.now += dnsbl.RETRY_S
        bl._resolver = stub(port)  # type: ignore[misc]  # whose memory of the failure is not in the way
        assert isinstance(await bl.look_up("198.51.100.66"), Listing)
    assert len(log.of("dnsbl.skipped")) == 1


@both_loops
async def test_a_list_that_ends_is_found_out_within_the_hour() -> None:
    log, clock, served = Lines(), Clock(), world()
    async with zones_served(served) as port:
        bl = Blocklist("bl.test", stub(port), log, clock=clock)
        assert isinstance(await bl.look_up("198.51.100.66"), Listing)
        served.put("bl.test", SOA + "* A 127.0.0.2\n")  # names everybody now
        bl._resolver = stub(port)  # type: ignore[misc]  # a day later, so to speak
        clock.now += dnsbl.CHECK_S
        await bl.look_up("198.51.100.7")  # begins the check, and does not wait for it
        await asyncio.sleep(0.05)
        assert not bl.sound(4)
        assert await bl.look_up("198.51.100.8") is Silence.UNKNOWN
    assert len(log.of("dnsbl.skipped")) == 1


@both_loops
async def test_an_error_code_in_the_middle_ends_belief_at_once() -> None:
    log, served = Lines(), world()
    async with zones_served(served) as port:
        bl = Blocklist("bl.test", stub(port), log)
        assert isinstance(await bl.look_up("198.51.100.66"), Listing)
        served.put("bl.test", GOOD + "5.100.51.198 A 127.255.255.255\n")
        assert await bl.look_up("198.51.100.5") is Silence.UNKNOWN
        assert not bl.sound(4)
        assert await bl.look_up("198.51.100.66") is Silence.UNKNOWN
    assert "127.255.255.255" in str(log.of("dnsbl.skipped")[0]["problem"])


@both_loops
async def test_a_list_without_ipv6_is_not_asked_about_it() -> None:
    log = Lines()
    async with zones_served(Zones({"bl.test": SOA + TESTS + "* A 127.0.0.9\n1.0.0.127 TXT x\n"})) as port:
        # The wildcard answers for every IPv6 address, the test entry that must not be there included.
        bl = Blocklist("bl.test", stub(port), log)
        assert await bl.look_up("2001:db8::1") is Silence.UNKNOWN
        assert len(log.of("dnsbl.skipped")) == 1
    async with zones_served(Zones({"bl.test": SOA + TESTS})) as port:
        bl = Blocklist("bl.test", stub(port), log)
        assert await bl.look_up("2001:db8::1") is Silence.UNKNOWN
        assert await bl.look_up("192.0.2.1") is Silence.CLEAN
    assert len(log.of("dnsbl.no_ipv6")) == 1
    assert len(log.of("dnsbl.skipped")) == 1  # nothing to be loud about


@both_loops
async def test_many_peers_at_once_make_one_check() -> None:
    async with zones_served(world()) as port:
        resolver = stub(port)
        bl = Blocklist("bl.test", resolver, Lines())
        await asyncio.gather(*(bl.look_up(f"198.51.100.{number}") for number in range(100, 150)))
        assert resolver.counts.begun == 52  # two of the check


@both_loops
async def test_a_list_that_gives_no_reason_in_time_is_believed_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dnsbl, "TEXT_S", 0.1)
    served = world()
    served.trouble("66.100.51.198.bl.test", Trouble(silent=True), "TXT")
    async with zones_served(served) as port:
        found = await Blocklist("bl.test", stub(port), Lines()).look_up("198.51.100.66")
        assert isinstance(found, Listing)
        assert not found.text


def test_a_customer_s_key_is_not_shown() -> None:
    assert public_name("abcdefghij0123456789klmnop.zen.dq.spamhaus.net") == "zen.dq.spamhaus.net"
    assert public_name("0123456789abcdef0123456789abcdef.combined.mail.abusix.zone") == "combined.mail.abusix.zone"
    for plain in ("zen.spamhaus.org", "dnsbl-1.uceprotect.net", "b.barracudacentral.org", "spam.example"):
        assert public_name(plain) == plain


# -- all that is known of a peer ---------------------------------------------------------------------------------------


def reputation(port: int, **settings: object) -> Reputation:
    return Reputation(stub(port), Settings(**settings), Lines(), hostname="mx.ours.test")  # type: ignore[arg-type]


@both_loops
async def test_an_honest_peer() -> None:
    async with zones_served(world()) as port:
        known = reputation(port, dnsbl=["bl.test"])
        evidence = await known.gather("198.51.100.7", "mail.peer.test")
        assert evidence == Evidence(
            "198.51.100.7", Reverse.CONFIRMED, "mail.peer.test", (), Helo.MATCHES, complete=True
        )
        assert known.verdict(evidence).action is Action.NOTE
        assert not known.verdict(evidence).reasons


@both_loops
async def test_a_bad_peer() -> None:
    async with zones_served(world()) as port:
        known = reputation(port, dnsbl=["bl.test", "bl2.test"], dnsbl_action="refuse")
        evidence = await known.gather("198.51.100.66", "none.peer.test")
        assert {listing.list_name for listing in evidence.listings} == {"bl.test", "bl2.test"}
        assert (evidence.reverse, evidence.helo, evidence.complete) == (Reverse.CONFIRMED, Helo.UNRESOLVED, True)
        verdict = known.verdict(evidence)
        assert verdict.action is Action.REFUSE
        assert verdict.reasons == (Reason.LISTED, Reason.HELO_UNRESOLVED)


@pytest.mark.parametrize(
    ("peer", "reverse"),
    [
        ("198.51.100.7", Reverse.CONFIRMED),
        ("198.51.100.8", Reverse.ELSEWHERE),
        ("198.51.100.9", Reverse.NONE),
        ("198.51.100.10", Reverse.UNKNOWN),  # its name can't be looked up now
        ("198.51.101.1", Reverse.UNKNOWN),  # nor can this address
    ],
)
@both_loops
async def test_names_of_addresses(peer: str, reverse: Reverse) -> None:
    served = world()
    served.trouble("broken.peer.test", Trouble(rcode=dns.rcode.SERVFAIL))
    async with zones_served(served) as port:
        evidence = await reputation(port).gather(peer)
        assert evidence.reverse is reverse
        assert evidence.complete == (reverse is not Reverse.UNKNOWN)


@pytest.mark.parametrize(
    ("name", "helo"),
    [
        ("mail.peer.test", Helo.MATCHES),
        ("MAIL.peer.test.", Helo.MATCHES),
        ("other.peer.test", Helo.RESOLVES),
        ("none.peer.test", Helo.UNRESOLVED),
        ("empty.peer.test", Helo.UNRESOLVED),
        ("a..b", Helo.UNRESOLVED),
        ("nobodys.example", Helo.UNKNOWN),
        ("localhost", Helo.LOCALHOST),
        ("mx.ours.test", Helo.OURS),
        ("[198.51.100.7]", Helo.MATCHES),
        ("", Helo.UNKNOWN),
    ],
)
@both_loops
async def test_names_that_peers_give_themselves(name: str, helo: Helo) -> None:
    async with zones_served(world()) as port:
        assert (await reputation(port).gather("198.51.100.7", name)).helo is helo


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.9", "fe80::1", "100.64.0.1", "", "nobody"])
@both_loops
async def test_addresses_of_our_own_networks_are_never_looked_up(peer: str) -> None:
    async with raw_server(silent) as (server, port):
        known = reputation(port, dnsbl=["bl.test"])
        known.begin(peer)
        assert await known.gather(peer, "localhost") == Evidence(peer, complete=True)
        exempt = reputation(port, dnsbl=["bl.test"], exempt=["198.51.100.0/24"])
        assert await exempt.gather("198.51.100.66", "none.test") == Evidence("198.51.100.66", complete=True)
        assert server.asked == 0


@both_loops
async def test_nobody_waits_longer_than_the_settings_say_and_late_answers_serve_later() -> None:
    served = world()
    served.trouble("66.100.51.198.bl.test", Trouble(delay_s=1.3), "A")
    async with zones_served(served) as port:
        known = reputation(port, dnsbl=["bl.test"], gather_s=1)
        started = time.monotonic()
        early = await known.gather("198.51.100.66", "bad.peer.test")
        assert 0.9 < time.monotonic() - started < 1.25
        assert (early.listings, early.complete) == ((), False)
        assert (early.reverse, early.helo) == (Reverse.CONFIRMED, Helo.MATCHES)  # what came in time counts
        again = time.monotonic()
        assert not (await known.gather("198.51.100.66", "bad.peer.test")).complete
        assert time.monotonic() - again < 0.1  # it has waited already
        await asyncio.sleep(0.6)
        late = await known.gather("198.51.100.66", "bad.peer.test")
        assert late.complete
        assert late.listings
        known.close()


@both_loops
async def test_with_no_patience_at_all_nothing_waits() -> None:
    async with zones_served(world()) as port:
        known = reputation(port, dnsbl=["bl.test"], gather_s=0)
        known.begin("198.51.100.66")
        assert not (await known.gather("198.51.100.66", "bad.peer.test")).complete
        await asyncio.sleep(0.1)
        assert (await known.gather("198.51.100.66", "bad.peer.test")).listings


@both_loops
async def test_an_address_is_looked_up_once_for_all_its_connections() -> None:
    async with zones_served(world()) as port:
        known = reputation(port, dnsbl=["bl.test"])
        known.begin("198.51.100.7")
        all_of_them = await asyncio.gather(*(known.gather("198.51.100.7", "mail.peer.test") for _ in range(200)))
        assert all(evidence == all_of_them[0] for evidence in all_of_them)
        resolver = known._resolver
        assert resolver.counts.begun <= 9  # type: ignore[attr-defined]
        started = time.process_time()
        for _ in range(1000):
            await known.gather("198.51.100.7", "mail.peer.test")
        assert time.process_time() - started < 0.5


@both_loops
async def test_a_flood_of_addresses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bounds nothing is known of a peer, and nothing is held against it."""
    monkeypatch.setattr(gathering, "MAX_KEPT", 50)
    monkeypatch.setattr(gathering, "MAX_TASKS", 20)
    async with raw_server(silent) as (server, port):
        known = reputation(port, dnsbl=["bl.test"], gather_s=0)
        for number in range(2000):
            evidence = await known.gather(f"198.51.{number >> 8}.{number & 255}", f"h{number}.test")
            assert not known.verdict(evidence).reasons
        assert len(known._tasks) <= 20
        assert len(known._peers) <= 50
        assert len(known._names) <= 50
        await asyncio.sleep(0.05)
        assert server.asked < 200
        known.close()
        await asyncio.sleep(0.05)
        assert not known._tasks


@both_loops
async def test_a_flood_that_is_answered_leaves_a_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MAX_KEPT", 50)
    async with raw_server(answering(rcode=dns.rcode.NXDOMAIN)) as (_, port):
        known = reputation(port)
        for number in range(200):
            await known.gather(f"198.51.100.{number}", f"h{number}.test")
        assert len(known._peers) == len(known._names) == 50
        assert not known._tasks
