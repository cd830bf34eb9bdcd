"""What is done with what DNS tells: no I/O, each verdict from its evidence."""

from dataclasses import replace
from itertools import product

import pytest

from poterne.config.dns import Dns, name_server, of_dns
from poterne.config.dns import Reputation as Settings
from poterne.policy.reputation import (
    FINE,
    MAX_SLOW_S,
    Action,
    Evidence,
    Helo,
    Listing,
    Reason,
    Reverse,
    Rules,
    helo_shape,
)
from poterne.proto.smtp.replies import Reply

PEER = "192.0.2.7"
BAD = Evidence(PEER, Reverse.NONE, "", (Listing("bl.example.net", ("127.0.0.2",)),), Helo.UNRESOLVED, complete=True)
STRICT = Settings(
    dnsbl=["bl.example.net"], dnsbl_action="refuse", dnsbl_agree=1, reverse_action="refuse", helo_action="refuse"
)


def test_what_is_not_known_is_held_against_nobody() -> None:
    for evidence in (
        Evidence(PEER),
        Evidence(PEER, complete=True),
        Evidence(PEER, Reverse.CONFIRMED, "a.b", helo=Helo.RESOLVES),
    ):
        assert Rules(STRICT).decide(evidence) == FINE


def test_by_default_nothing_but_the_own_name_is_refused() -> None:
    rules = Rules(Settings())
    for reverse, helo, lists in product(Reverse, Helo, range(4)):
        listings = tuple(Listing(f"bl{number}.example.net", ("127.0.0.2",)) for number in range(lists))
        verdict = rules.decide(Evidence(PEER, reverse, "", listings, helo))
        assert (verdict.action is Action.REFUSE) == (helo is Helo.OURS)
        assert verdict.slow_s <= MAX_SLOW_S


def test_findings_add_up() -> None:
    verdict = Rules(Settings(slow_s=5)).decide(BAD)
    assert verdict.action is Action.SLOW
    assert verdict.reasons == (Reason.LISTED, Reason.NO_REVERSE, Reason.HELO_UNRESOLVED)
    assert verdict.slow_s == 15
    assert Rules(Settings(slow_s=20)).decide(BAD).slow_s == 20
    noted = Rules(Settings(dnsbl_action="note", reverse_action="note", helo_action="note")).decide(BAD)
    assert (noted.action, noted.slow_s, len(noted.reasons)) == (Action.NOTE, 0, 3)
    assert Rules(Settings(helo_action="note")).decide(Evidence(PEER, helo=Helo.OURS)).action is Action.NOTE


def test_one_list_alone_refuses_only_where_the_settings_say_so() -> None:
    one = replace(BAD, reverse=Reverse.CONFIRMED, helo=Helo.MATCHES)
    again = replace(one, listings=(*one.listings, *one.listings))
    two = replace(one, listings=(*one.listings, Listing("other.example", ("127.0.0.4",))))
    agreeing = Rules(replace(STRICT, dnsbl_agree=2))
    assert agreeing.decide(one).action is Action.SLOW
    assert agreeing.decide(again).action is Action.SLOW
    assert agreeing.decide(two).action is Action.REFUSE
    assert Rules(STRICT).decide(one).action is Action.REFUSE


@pytest.mark.parametrize("helo", Helo)
@pytest.mark.parametrize("reverse", Reverse)
def test_a_refusal_says_what_to_do(reverse: Reverse, helo: Helo) -> None:
    verdict = Rules(STRICT).decide(Evidence(PEER, reverse, helo=helo))
    assert (verdict.refusal is not None) == (verdict.action is Action.REFUSE) == bool(verdict.reasons)
    if verdict.refusal is not None:
        reply = Reply(550, verdict.refusal.enhanced, verdict.refusal.text)
        assert len(reply.wire) < 512
        assert reply.wire.count(b"\r\n") == 1
        assert b"then send again" in reply.wire


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            "Listed, see https://bl.example.net/query?ip=192.0.2.7 or write",
            "see https://bl.example.net/query?ip=192.0.2.7,",
        ),
        ("", "look the address up on the pages of that list"),
        ("javascript:alert(1)", "look the address up"),
        ("http://" + "x" * 1000, "see http://" + "x" * 150 + ","),
    ],
)
def test_the_text_of_a_listing_names_the_list_and_where_to_look(text: str, hint: str) -> None:
    listings = tuple(Listing(f"bl{number}.example.net", ("127.0.0.2",), text) for number in range(20))
    verdict = Rules(STRICT).decide(Evidence(PEER, listings=listings))
    assert verdict.refusal is not None
    assert verdict.refusal.enhanced == "5.7.1"
    assert (
        f"{PEER} is on the blocklist bl0.example.net and bl1.example.net and bl2.example.net: " in verdict.refusal.text
    )
    assert hint in verdict.refusal.text
    assert len(Reply(550, "5.7.1", verdict.refusal.text).wire) < 512


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("mail.example.org", None),
        ("xn--bcher-kva.example", None),
        ("mx.ours.test", Helo.OURS),
        ("MX.Ours.Test.", Helo.OURS),
        ("ours.test", None),
        ("[198.51.100.1]", Helo.OURS),
        ("[192.0.2.7]", Helo.MATCHES),
        ("[IPv6:::ffff:192.0.2.7]", Helo.MATCHES),
        ("[192.168.1.5]", Helo.FOREIGN_LITERAL),
        ("[", Helo.FOREIGN_LITERAL),
        ("192.0.2.7", Helo.BARE_ADDRESS),
        ("2001:db8::1", Helo.BARE_ADDRESS),
        ("example.1", Helo.BARE_ADDRESS),
        ("localhost", Helo.LOCALHOST),
        ("localhost.localdomain", Helo.LOCALHOST),
        ("mail", Helo.SINGLE_LABEL),
        (".", Helo.SINGLE_LABEL),
    ],
)
def test_shapes_of_names(name: str, shape: Helo | None) -> None:
    assert helo_shape(name, PEER, "mx.ours.test", "198.51.100.1") is shape


def test_an_address_of_ours_that_is_not_known_is_nobody_s() -> None:
    assert helo_shape("[198.51.100.1]", PEER, "mx.ours.test") is Helo.FOREIGN_LITERAL


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "parsed"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("[2001:db8::1]", ("2001:db8::1", 53)),
        ("[2001:db8::1]:5353", ("2001:db8::1", 5353)),
        ("resolver.example", None),
        ("192.0.2.1:0", None),
        ("192.0.2.1:70000", None),
        ("192.0.2.300", None),
        ("[192.0.2.1]:53", None),
        ("2001:db8::1]:53", None),
        ("", None),
    ],
)
def test_name_servers(entry: str, parsed: tuple[str, int] | None) -> None:
    assert name_server(entry) == parsed


def test_settings_that_are_right() -> None:
    assert not list(of_dns(Dns(), Settings()))
    key = "abcdefghij0123456789klmnop"
    good = Settings(
        dnsbl=["zen.spamhaus.org", f"{key}.zen.dq.spamhaus.net"], dnsbl_action="refuse", exempt=["192.0.2.0/24"]
    )
    assert not list(of_dns(Dns(servers=["127.0.0.1:53", "[::1]:53"]), good))


@pytest.mark.parametrize(
    ("dns", "reputation", "key"),
    [
        (Dns(servers=["localhost"]), Settings(), "servers"),
        (Dns(timeout_s=10, deadline_s=5), Settings(), "deadline_s"),
        (Dns(), Settings(dnsbl=["192.0.2.1"]), "dnsbl"),
        (Dns(), Settings(dnsbl=["https://bl.example"]), "dnsbl"),
        (Dns(), Settings(dnsbl=["dnsbl.sorbs.net"]), "dnsbl"),
        (Dns(), Settings(dnsbl=["cbl.abuseat.org"]), "dnsbl"),
        (Dns(), Settings(dnsbl=["a.example", "a.example"]), "dnsbl"),
        (Dns(), Settings(dnsbl=["a.example"], dnsbl_action="refuse"), "dnsbl_agree"),
        (Dns(), Settings(exempt=["192.0.2.1/24"]), "exempt"),
    ],
)
def test_settings_that_are_wrong(dns: Dns, reputation: Settings, key: str) -> None:
    dangers = list(of_dns(dns, reputation))
    assert [danger[0][1] for danger in dangers] == [key]
    assert all(what and remedy for _, what, remedy in dangers)
