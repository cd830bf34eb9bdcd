"""Catalogue §1.7, X01–X21 and X30: forged envelopes and headers of a bank that asks for rejection, by somebody whose own SPF passes."""

import pytest

from tests.security.test_spoofing import WIRE_FAULTS
from tests.support import spoofed
from tests.support.spoofers import BANK, EVIL, OURS, World, kept, letter, malformed, refused, signed
from tests.support.spoofers_zones import IDN

REST = b"Date: Sun, 22 Nov 2026 21:00:00 +0000\r\nMessage-ID: <1@evil.test>\r\nSubject: x\r\n\r\nbody\r\n"
CASES = spoofed.cases(BANK.encode(), EVIL.encode())


@pytest.mark.parametrize(
    ("sender", "helo", "spf"),
    [
        ("any@notexist.bank.test", "evil.test", "none"),
        ("any@there.bank.test", "evil.test", "none"),
        ("any@bank.test", "evil.test", "fail"),
        ("", "notexist.bank.test", "none"),
        ("", "bank.test", "fail"),
        ("", "evil.test", "pass"),
        (EVIL, "bank.test", "pass"),
        ("any@bank.test.evil.test", "evil.test", "pass"),
    ],
)
def test_x01_spf_of_helo_or_of_a_relative_is_nobodys_proof(spoofers: World, sender: str, helo: str, spf: str) -> None:
    """A name that passes stands beside one that is aligned; nothing is both."""
    refused(spoofers.judged(letter(BANK), sender, helo=helo), "dmarc-reject", spf=spf, dmarc="fail", dkim="none")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("<(any@bank.test>", id="X02"),
        pytest.param("<(any)any@bank.test>", id="X02 closed"),
        pytest.param("<any@bank.test(a.evil.test>", id="X05"),
        pytest.param("<any@bank.test(a.evil.test)>", id="X05 closed"),
        pytest.param("<any@bank.test'@any.evil.test>", id="X06"),
        pytest.param('<any@"bank.test"@any.evil.test>', id="X06 quoted"),
        pytest.param("<@bank.test,@any.com:'any@evil.test>", id="X07"),
        pytest.param("<@bank.test:any@evil.test>", id="X07 one hop"),
        pytest.param("<any@bank.test\\@evil.test>", id="backslash"),
        pytest.param("<any@bank.test >", id="space"),
        pytest.param("<any@bank.test.>", id="dot"),
        pytest.param("<any@bank.test\0.evil.test>", id="NUL"),
    ],
)
def test_x02_x05_x06_x07_a_reverse_path_in_doubt_is_none(spoofers: World, path: str) -> None:
    seen = spoofers.judged(letter(BANK), path.removeprefix("<").removesuffix(">"))
    malformed(seen)
    assert seen.event is None, "it never came to a message"


@pytest.mark.parametrize("local_part", ['"any@bank.test"', "any%bank.test", "bank.test!any", '"any@bank.test "'])
def test_x06_a_local_part_is_nobodys_domain(spoofers: World, local_part: str) -> None:
    seen = spoofers.judged(letter(BANK), f"{local_part}@evil.test")
    refused(seen, "dmarc-reject", spf="pass", dmarc="fail")
    assert "smtp.mailfrom=evil.test" in seen.results
    assert seen.results.count("bank.test") == 1, "of header.from"


@pytest.mark.parametrize("name", CASES)
def test_x08_to_x19_and_x21_an_author_in_doubt(spoofers: World, name: str) -> None:
    """X13 asks for the null sender; everything is tried with both. The attacker's own domain passes SPF and signs."""
    fields, code = CASES[name]
    for sender in (EVIL, ""):
        malformed(spoofers.judged(fields + b"\r\n" + REST, sender, helo="evil.test"), code)
        if code not in WIRE_FAULTS:
            own = signed(letter(EVIL), "evil.test").partition(b"From:")[0]
            malformed(spoofers.judged(own + fields + b"\r\n" + REST, sender, helo="evil.test"))


@pytest.mark.parametrize(
    "continued",
    [
        b"X-A: b\r\n From: admin@bank.test\r\n",
        b"X-A: b\r\n\tFrom: admin@bank.test\r\n",
        b"Subject: =?utf-8?q?x=0D=0AFrom=3A_admin=40bank.test?=\r\n",
        b"X-A: From: admin@bank.test\r\n",
        b"X-From: admin@bank.test\r\nOriginal-From: admin@bank.test\r\n",
    ],
)
def test_a_from_inside_another_field_is_no_author(spoofers: World, continued: bytes) -> None:
    seen = spoofers.judged(continued + letter(EVIL))
    kept(seen, "INBOX", "proven", dmarc="pass", spf="pass")
    assert "header.from=evil.test" in seen.results
    assert "bank.test" not in seen.results
    forged = continued.replace(b"bank.test", b"evil.test") + letter(BANK)
    refused(spoofers.judged(forged), "dmarc-reject", dmarc="fail")


@pytest.mark.parametrize(
    ("author", "where"),
    [
        ("ADMIN@BANK.TEST", "bank.test"),
        ("admin@Bank.Test", "bank.test"),
        ('"admin"@bank.test', "bank.test"),
        ("<admin@bank.test> (evil.test)", "bank.test"),
        (f"admin@{IDN}", IDN),
        (f"admin@{IDN.upper()}", IDN),
        ("admin@bänk.test", IDN),
        ("admin@BÄNK.test", IDN),
    ],
)
def test_x20_every_spelling_of_a_domain_is_that_domain(spoofers: World, author: str, where: str) -> None:
    seen = spoofers.judged(letter(author), options=" SMTPUTF8")
    if seen.event is None:
        malformed(seen)  # a spelling that DNS names do not have
        return
    refused(seen, "dmarc-reject", dmarc="fail", spf="pass")
    assert f"header.from={where} " in seen.results + " "


def test_x20_the_common_spellings_are_read(spoofers: World) -> None:
    for author in ("admin@bänk.test", f"admin@{IDN}", "ADMIN@BANK.TEST"):
        assert spoofers.judged(letter(author), options=" SMTPUTF8").reason == "dmarc-reject", author


@pytest.mark.parametrize(
    "hidden", ["\u2000", "\u200b", "\u00ad", "\ufeff", "\u200d", "\u3002", "\uff0e", "\u2024", "\u0430"]
)
def test_x20_what_cannot_be_seen_makes_no_other_domain(spoofers: World, hidden: str) -> None:
    for author in (f"admin@bank{hidden}.test", f"admin@bank.test{hidden}", f"admin@ba{hidden}nk.test"):
        seen = spoofers.judged(letter(author), options=" SMTPUTF8")
        if hidden == "\u0430" and seen.event is not None:  # a letter of its own: another domain, which nobody has
            assert "xn--" in str(seen.detail["author"])
            assert seen.reason == "no-such-domain"
            continue
        malformed(seen)


FORGED = (
    f"Authentication-Results: {OURS}; dmarc=pass header.from=bank.test",
    f"Authentication-Results: {OURS.upper()}; dmarc=pass",
    f"authentication-results: {OURS} 1; dmarc=pass",
    f"Authentication-Results:\r\n\t{OURS};\r\n\tdmarc=pass",
    f"Authentication-Results:{OURS}.; dmarc=pass",
    f'Authentication-Results: "{OURS}"; dmarc=pass',
    f"Authentication-Results: (a comment) {OURS}; dmarc=pass",
    f"Authentication-Results: ({OURS}) {OURS} (1) ; dmarc=pass",
    f"Authentication-Results: {OURS}(x); dmarc=pass",
    f"Authentication-Results: =?utf-8?q?{OURS}?=; dmarc=pass",
    "Authentication-Results: m\u0430il.example.test; dmarc=pass",
    "Return-Path: <ceo@example.test>",
    "X-Poterne-Reason: proven; all is well",
)


@pytest.mark.parametrize("forged", FORGED)
@pytest.mark.parametrize("author", [EVIL, BANK])
def test_x30_results_in_our_name_are_taken_out(spoofers: World, forged: str, author: str) -> None:
    """Wherever they stand in the header; in the body they stay, as the text that they are. (What is ours is looked at in `spoofers`.)"""
    name, _, value = forged.partition(":")
    last = value.split()[-1]
    for message in (
        forged.encode() + b"\r\n" + letter(author),
        letter(author).replace(b"\r\n\r\n", b"\r\n" + forged.encode() + b"\r\n\r\n", 1),
    ):
        seen = spoofers.judged(message, options=" BODY=8BITMIME SMTPUTF8")
        if author == BANK:
            refused(seen, "dmarc-reject", dmarc="fail")
            continue
        kept(seen, "INBOX", "proven", dmarc="pass")
        assert seen.message is not None
        assert "bank.test" not in seen.results
        assert len(seen.message.get_all(name, [])) == (0 if name.startswith("X-") else 1)
        assert value.strip().encode() not in seen.raw.partition(b"\r\n\r\n")[0], last
    in_body = spoofers.judged(letter(author, body=forged.encode() + b"\r\n"), options=" BODY=8BITMIME")
    assert author == BANK or in_body.raw.endswith(forged.encode() + b"\r\n")


INJECTED = "dmarc=pass"


@pytest.mark.parametrize(
    ("helo", "sender"),
    [
        ("mail.evil.test;dmarc=pass", EVIL),
        ("dmarc=pass.evil.test", EVIL),
        ("mail.evil.test", '"x; dmarc=pass header.from=bank.test"@evil.test'),
        ("mail.evil.test", "dmarc=pass@evil.test"),
        ("mail.evil.test", "x@dmarc=pass.evil.test"),
        ("mail.evil.test", "x@injects.test"),
        ("injects.test", ""),
        ("[IPv6:dmarc=pass]", EVIL),
    ],
)
def test_no_name_writes_into_our_results(spoofers: World, helo: str, sender: str) -> None:
    seen = spoofers.judged(letter(BANK), sender, helo=helo)
    if seen.event is None:
        malformed(seen)
        return
    refused(seen, "dmarc-reject", dmarc="fail")
    assert INJECTED not in seen.results
    assert "header.from=bank.test" in seen.results


@pytest.mark.parametrize(
    "tags",
    [
        {"s": "x dmarc=pass"},
        {"s": "x\r\n Authentication-Results: dmarc=pass"},
        {"i": "=3B_dmarc=3Dpass_header.from=3Dbank.test@evil.test"},
        {"i": '"x dmarc=3Dpass"@evil.test'},
        {"i": "=0D=0AAuthentication-Results:=20dmarc=3Dpass@evil.test"},
        {"b": "dmarc=pass"},
        {"a": "rsa-sha256 dmarc=pass"},
        {"s": "dmarc=pass"},
    ],
)
def test_no_signature_writes_into_our_results(spoofers: World, tags: dict[str, str | None]) -> None:
    for author in (EVIL, BANK):
        seen = spoofers.judged(signed(letter(author), "evil.test", tags))
        assert seen.reason == ("proven" if author == EVIL else "dmarc-reject"), seen
        assert seen.results.count(INJECTED) == (author == EVIL), seen.results
