"""Catalogue §1.7, X27 and X28: what a forger gains from odd records, from names that nobody has, and from DNS that fails."""

import time
from collections.abc import Iterator

import dns.rcode
import pytest

from poterne.lab.dns import Trouble
from tests.support.spoofers import BANK, EVIL, World, deferred, kept, letter, malformed, refused, signed
from tests.support.spoofers_zones import HONEST, LONG, attacker

FAILS = Trouble(rcode=dns.rcode.SERVFAIL)


@pytest.mark.parametrize(
    ("domain", "why", "asked"),
    [
        ("there.bank.test", "dmarc-reject", "reject"),
        ("notthere.bank.test", "dmarc-reject", "reject"),
        ("a.b.c.d.e.f.g.h.i.bank.test", "dmarc-reject", "reject"),
        (LONG, "dmarc-reject", "reject"),
        ("there.np.test", "dmarc-quarantine", "quarantine"),
        ("notthere.np.test", "dmarc-reject", "reject"),
        ("deep.notthere.np.test", "dmarc-reject", "reject"),
        ("shop.suffix.test", "dmarc-reject", "reject"),
        ("notthere.suffix.test", "dmarc-reject", "reject"),
        ("deep.notthere.suffix.test", "dmarc-reject", "reject"),
        ("alias.test", "dmarc-reject", "reject"),
        ("testing.test", "dmarc-quarantine", "quarantine"),
        ("gentle.test", "dmarc-quarantine", "quarantine"),
        ("pct.test", "dmarc-reject", "reject"),
    ],
)
def test_x27_what_the_domain_or_one_above_it_asks_for(spoofers: World, domain: str, why: str, asked: str) -> None:
    seen = spoofers.judged(letter(f"admin@{domain}"))
    refused(seen, why, dmarc="fail", spf="pass", dkim="none")
    assert f"policy.dmarc={asked}" in seen.results
    assert seen.detail["author"] == domain


@pytest.mark.parametrize(
    ("domain", "dmarc", "reason"),
    [
        ("np.test", "fail", "unaligned"),
        ("silent.suffix.test", "fail", "unaligned"),
        ("gentle-testing.test", "fail", "unaligned"),
        ("two.test", "none", "several-records"),
        ("nowhere.test", "none", "no-record"),
        ("twice.test", "none", "no-record"),
        ("case.test", "none", "no-record"),
        ("wrong.test", "permerror", "syntax"),
    ],
)
def test_x27_who_asks_for_nothing_is_not_protected(spoofers: World, domain: str, dmarc: str, reason: str) -> None:
    """Records that say none, that are at another place, twice, or can't be read. That it is not proven is told."""
    seen = spoofers.judged(letter(f"admin@{domain}"))
    kept(seen, "INBOX", "no-policy", dmarc=dmarc, spf="pass")
    assert f"dmarc={dmarc} reason={reason} header.from={domain}" in seen.results


def test_x27_a_domain_that_nobody_has_writes_nothing(spoofers: World) -> None:
    seen = spoofers.judged(letter("admin@nobody-has-this.test"))
    assert seen.reply.startswith("550 5.1.8 nobody-has-this.test, the domain of the From field, does not exist")
    assert (seen.reason, seen.folder) == ("no-such-domain", "")
    assert seen.event is not None
    assert seen.event.detail["dmarc"] == "none"


@pytest.mark.parametrize(
    ("author", "sender", "signer"),
    [
        ("shop.suffix.test", "x@suffix.test", "suffix.test"),  # above both is a suffix, which answers for nobody
        ("bank.test", "x@test", "test"),
        ("bank.test", "x@evil.test", "evil.test"),
        ("bank.test", "x@bank.test.evil.test", "bank.test.evil.test"),
        ("there.bank.test", "x@bank.test.evil.test", "evil.test"),
    ],
)
def test_x27_only_one_organisation_is_aligned(spoofers: World, author: str, sender: str, signer: str) -> None:
    message = signed(letter(f"admin@{author}"), signer, key=attacker())
    seen = spoofers.judged(message, sender)
    refused(seen, "dmarc-reject", dmarc="fail")


def test_x27_a_subdomain_of_the_same_organisation_is(spoofers: World) -> None:
    for author in ("admin@there.bank.test", "admin@a.b.c.d.e.f.g.bank.test", f"admin@{LONG}"):
        kept(spoofers.judged(signed(letter(author))), "INBOX", "proven", dmarc="pass", dkim="pass")
        kept(spoofers.judged(letter(author), BANK, peer=HONEST), "INBOX", "proven", dmarc="pass", spf="pass")


def test_x27_a_walk_is_short(spoofers: World) -> None:
    """40 labels or 127: eight questions at most, so that it costs no time."""
    began = time.monotonic()
    for count in (40, 118):
        author = "x@" + ".".join(f"{number % 10}" for number in range(count)) + ".bank.test"
        refused(spoofers.judged(letter(author)), "dmarc-reject", dmarc="fail")
    malformed(spoofers.judged(letter("x@" + "a." * 130 + "bank.test")))
    assert time.monotonic() - began < 5


@pytest.fixture
def troubled(spoofers: World) -> Iterator[World]:
    """With names that fail: by an error, or by no answer."""
    troubles = {
        ("_dmarc.down.test", None): FAILS,
        ("_dmarc.mute.test", None): Trouble(silent=True),
        ("spfdown.test", "TXT"): FAILS,
        ("i.spfdown2.test", "TXT"): Trouble(rcode=dns.rcode.REFUSED),
        ("down._domainkey.keydown.test", None): FAILS,
        ("mute._domainkey.keydown.test", None): Trouble(silent=True),
    }
    for (name, kind), trouble in troubles.items():
        spoofers.zones.trouble(name, trouble, kind)
    yield spoofers
    for name, kind in troubles:
        spoofers.zones.trouble(name, None, kind)


@pytest.mark.parametrize(
    ("author", "sender", "signature", "words"),
    [
        ("down.test", EVIL, {}, {"dmarc": "temperror"}),
        ("sub.down.test", EVIL, {}, {"dmarc": "temperror"}),
        ("mute.test", EVIL, {}, {"dmarc": "temperror"}),
        ("spfdown.test", "x@spfdown.test", {}, {"spf": "temperror", "dmarc": "temperror"}),
        ("spfdown2.test", "x@spfdown2.test", {}, {"spf": "temperror", "dmarc": "temperror"}),
        ("spfdown.test", "", {}, {"spf": "temperror", "dmarc": "temperror"}),
        ("keydown.test", EVIL, {"d": "keydown.test", "s": "down"}, {"dkim": "temperror", "dmarc": "temperror"}),
        ("keydown.test", EVIL, {"d": "keydown.test", "s": "mute"}, {"dkim": "temperror", "dmarc": "temperror"}),
    ],
)
def test_x27_x28_dns_that_fails_is_no_proof_and_no_verdict(
    troubled: World, author: str, sender: str, signature: dict[str, str | None], words: dict[str, str]
) -> None:
    """451, soon: whoever is honest comes again, and whoever can break a name server gets nothing in."""
    message = letter(f"admin@{author}")
    if signature:
        message = signed(message, "bank.test", signature)
    began = time.monotonic()
    deferred(troubled.judged(message, sender, helo="spfdown.test"), **words)
    assert time.monotonic() - began < 5


def test_x28_what_is_proven_otherwise_needs_no_dns_that_fails(troubled: World) -> None:
    """And what does not depend on it is decided: the rest of the message is bad enough, or good enough."""
    kept(troubled.judged(signed(letter(BANK)), "x@spfdown.test"), "INBOX", "proven", spf="temperror", dmarc="pass")
    lost = signed(signed(letter(BANK)), "keydown.test", s="down")
    kept(troubled.judged(lost), "INBOX", "proven", dkim="temperror", dmarc="pass")
    for sender in ("x@spfdown.test", EVIL):
        message = signed(letter(BANK), "keydown.test", s="down", key=attacker())
        refused(troubled.judged(message, sender), "dmarc-reject", dkim="temperror", dmarc="fail")


@pytest.mark.parametrize(
    ("domain", "spf", "problem"),
    [
        ("lookups.test", "permerror", "more than 10 terms that need DNS"),
        ("voids.test", "permerror", "more than 2 DNS lookups without result"),
        ("loop.test", "permerror", "more than 10 terms that need DNS"),
        ("redirect.test", "permerror", "more than 10 terms that need DNS"),
        ("several.test", "permerror", "more than one record"),
        ("broken.test", "permerror", "a domain without record is referred to"),
        ("bank.test", "fail", ""),
    ],
)
def test_x28_a_record_that_cannot_be_used_passes_nothing(spoofers: World, domain: str, spf: str, problem: str) -> None:
    """Though the forger's address stands in it, behind what breaks it."""
    for sender, helo in ((f"admin@{domain}", "mail.evil.test"), ("", domain)):
        began = time.monotonic()
        seen = spoofers.judged(letter(f"admin@{domain}"), sender, helo=helo)
        refused(seen, "dmarc-reject", spf=spf, dmarc="fail")
        assert problem in seen.results
        assert time.monotonic() - began < 3


def test_x28_ten_lookups_are_no_eleven(spoofers: World) -> None:
    kept(spoofers.judged(letter("a@ten.test"), "a@ten.test", peer=HONEST), "INBOX", "proven", spf="pass", dmarc="pass")
    refused(spoofers.judged(letter("a@ten.test"), "a@ten.test"), "dmarc-reject", spf="fail", dmarc="fail")


@pytest.mark.parametrize(
    "local_part",
    [
        "ceo",
        "evil.admin",
        '"admin.ok.macro.test "',
        '"admin\\ "',
        "admin%{d}",
        '"admin..ok"',
        '"a b"',
        "admin." * 9 + "x",
    ],
)
def test_x28_a_local_part_in_a_macro_opens_nothing(spoofers: World, local_part: str) -> None:
    kept(spoofers.judged(letter("admin@macro.test"), "admin@macro.test"), "INBOX", "proven", spf="pass")
    refused(
        spoofers.judged(letter("admin@macro.test"), f"{local_part}@macro.test"),
        "dmarc-reject",
        spf="fail",
        dmarc="fail",
    )


def test_x28_a_domain_that_lets_everybody_send_is_believed(spoofers: World) -> None:
    """+all is that domain's own word. It protects nobody, and `poterne dns --check` says so to whoever publishes it."""
    kept(spoofers.judged(letter("a@all.test"), "a@all.test"), "INBOX", "proven", spf="pass", dmarc="pass")
