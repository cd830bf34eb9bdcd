"""Catalogue §1.7, X03, X04, X22–X26 and X29: forged, replayed and changed signatures (DKIM) and seals (ARC)."""

import re
import time
from collections.abc import Sequence

import pytest

from poterne.mailauth.dkim.keys import SigningKey
from poterne.mailauth.dkim.sign import Signer
from poterne.message.header import index
from tests.support.server import DOMAIN
from tests.support.spoofers import BANK, EVIL, World, kept, letter, malformed, refused, signed
from tests.support.spoofers_zones import SmallRsa, attacker, small
from tests.unit.mailauth.arc.sealed import seal
from tests.unit.mailauth.dkim.signed import Private, ed25519, rsa

BOSS = f"boss@{DOMAIN}"


@pytest.mark.parametrize(
    ("selector", "code"),
    [
        ("selector._domainkey.evil.test.\0.any", "nul"),
        ("selector._domainkey.evil.test.\\000.any", ""),
        ("nul._domainkey.evil.test.%00.any", ""),
        ("nul._domainkey.evil.test.=00.any", ""),
        ("nul._domainkey.evil.test", ""),
        ("nul._domainkey.evil.test.", ""),
        ("a" * 250, ""),
        ("..", ""),
        ("*", ""),
    ],
)
def test_x03_a_selector_leads_to_no_other_domain(spoofers: World, selector: str, code: str) -> None:
    """Its key is looked for below d= and nowhere else."""
    seen = spoofers.judged(signed(letter(BANK), key=attacker(), s=selector))
    if code:
        malformed(seen, code)
    else:
        refused(seen, "dmarc-reject", dkim="permerror", dmarc="fail", spf="pass")


@pytest.mark.parametrize(
    "domain",
    [
        "bank.test'a.evil.test", "bank.test(.evil.test", '"bank.test".evil.test', "bank.test,evil.test", "bank.test evil.test",
        "bank.test\\.evil.test", "bank.test%2eevil.test", "bank.test/.evil.test", "bank.test=.evil.test", "@bank.test", ".bank.test",
        "bank.test..evil.test", "-bank.test", "[127.0.0.1]", "127.0.0.1",
    ],
)  # fmt: skip
def test_x04_a_domain_that_is_no_name_signs_for_nobody(spoofers: World, domain: str) -> None:
    tags: dict[str, str | None] = {"d": domain, "s": "sel"}
    seen = spoofers.judged(signed(letter(BANK), "evil.test", tags))
    refused(seen, "dmarc-reject", dkim="permerror", dmarc="fail", spf="pass")
    for results in (seen.results, spoofers.judged(signed(letter(EVIL), "evil.test", tags)).results):
        assert "header.d=bank.test" not in results
        assert "bank.test" not in results.replace("header.from=bank.test", "")


def test_x04_a_tag_within_a_domain_is_a_tag(spoofers: World) -> None:
    seen = spoofers.judged(signed(letter(BANK), "evil.test", d="bank.test;dmarc=pass", s="rsa"))
    refused(seen, "dmarc-reject", dkim="fail", dmarc="fail")
    assert "dmarc=pass" not in seen.results


# -- X22, X24, X25: genuine signatures on another message ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Subject: genuine", b"Subject: pay now"),
        (b"To: alice@", b"To: bob@"),
        (b"Date: Sun, 22 Nov", b"Date: Mon, 23 Nov"),
        (b"Some text.", b"Some test."),
        (b"Some text.", b"Some  text. "),
        (b"Some text.\r\n", b"Some text.\r\nMore.\r\n"),
        (b"admin@bank.test", b"ceo@bank.test"),
    ],
)
def test_x22_what_is_signed_cannot_be_changed(spoofers: World, old: bytes, new: bytes) -> None:
    genuine = signed(letter(BANK, "genuine"))
    changed = genuine.replace(old, new)
    assert changed != genuine
    seen = spoofers.judged(changed)
    if old == b"Some text." and new.split() == old.split():  # white space, which relaxed bodies do not count
        kept(seen, "INBOX", "proven", dkim="pass", dmarc="pass")
    else:
        refused(seen, "dmarc-reject", dkim="fail", dmarc="fail", spf="pass")


@pytest.mark.parametrize(
    "name", ["Subject", "To", "Date", "Message-ID", "Content-Type", "MIME-Version", "Cc", "Reply-To"]
)
@pytest.mark.parametrize(
    "signs", ["from:to:subject:date:message-id:cc:content-type:mime-version:reply-to", "from:date"]
)
def test_x22_a_field_that_stands_twice_ends_the_proof(spoofers: World, name: str, signs: str) -> None:
    """Whether the signature covers one of them or none: a reader may show either."""
    more = {
        "Content-Type": "Content-Type: text/plain",
        "MIME-Version": "MIME-Version: 1.0",
        "Cc": "Cc: c@bank.test",
        "Reply-To": "Reply-To: r@bank.test",
    }
    genuine = signed(letter(BANK, "genuine", *more.values()), h=signs)
    kept(spoofers.judged(genuine), "INBOX", "proven", dkim="pass", dmarc="pass")
    for twice in (
        f"{name}: x@evil.test\r\n".encode() + genuine,
        genuine.replace(b"\r\n\r\n", f"\r\n{name}: x@evil.test\r\n\r\n".encode(), 1),
    ):
        seen = spoofers.judged(twice)
        if seen.event is None:
            malformed(seen)
        else:
            refused(seen, "dmarc-reject", dmarc="fail")
            assert "pass" not in seen.said("dkim")


def test_x22_what_a_bank_leaves_unsigned_is_its_own_choice(spoofers: World) -> None:
    """A Subject outside h= may be any: the signature says so. What we sign leaves no such choice (X24)."""
    changed = signed(letter(BANK, "genuine"), h="from:date").replace(b"Subject: genuine", b"Subject: changed")
    kept(spoofers.judged(changed), "INBOX", "proven", dkim="pass", dmarc="pass")


MULTIPART = 'Content-Type: multipart/mixed; boundary="one"'
PARTS = b"--one\r\n\r\nGenuine.\r\n--one--\r\n"


@pytest.mark.parametrize("length", ["0", "5", str(len(PARTS))])
@pytest.mark.parametrize(
    "added",
    [b"--two\r\n\r\nPay.\r\n--two--\r\n", b"--one\r\n\r\nPay.\r\n--one--\r\n", b"<h1>Pay</h1>\r\n", b"\r\n\r\nx\r\n"],
)
def test_x23_what_stands_behind_l_is_not_signed(spoofers: World, length: str, added: bytes) -> None:
    """Appended, with the old boundary or with another one in an unsigned Content-Type. A length that covers all proves nothing too."""
    genuine = signed(letter(BANK, "", "MIME-Version: 1.0", MULTIPART, body=PARTS), l=length)
    for forged in (genuine, genuine + added, (genuine + added).replace(b'boundary="one"', b'boundary="two"')):
        refused(spoofers.judged(forged), "dmarc-reject", dkim="policy", dmarc="fail", spf="pass")


@pytest.mark.parametrize("length", ["-1", "1e3", "99999", "9" * 80, " ", "0x10"])
def test_x23_a_length_that_is_none(spoofers: World, length: str) -> None:
    seen = spoofers.judged(signed(letter(BANK), l=length))
    refused(seen, "dmarc-reject", dmarc="fail")
    assert "pass" not in seen.said("dkim")


def ours(*more: str) -> bytes:
    """A message that we signed ourselves, as all do that leave."""
    message = letter(BOSS, "ours", *more)
    header = index(message)
    signer = Signer([SigningKey(DOMAIN, "sel", ed25519())], header, int(time.time()))
    signer.feed(message[header.end :])
    return signer.finish() + message


def test_x24_our_own_signature_proves_us(spoofers: World) -> None:
    kept(spoofers.judged(ours()), "INBOX", "proven", dkim="pass", dmarc="pass")


@pytest.mark.parametrize(
    "added",
    [
        "From: x@evil.test", "Subject: pay", "To: bob@example.test", "Cc: x@evil.test", "Reply-To: x@evil.test",
        "Date: Mon, 23 Nov 2026 21:00:00 +0000", "Message-ID: <2@evil.test>", "MIME-Version: 1.0", "Content-Type: text/html",
        "Content-Transfer-Encoding: base64", "In-Reply-To: <3@evil.test>", "References: <3@evil.test>",
        "Auto-Submitted: auto-replied",
    ],
)  # fmt: skip
def test_x24_nothing_can_be_added_to_what_we_signed(spoofers: World, added: str) -> None:
    message = ours()
    for forged in (
        added.encode() + b"\r\n" + message,
        message.replace(b"\r\n\r\n", b"\r\n" + added.encode() + b"\r\n\r\n", 1),
    ):
        seen = spoofers.judged(forged)
        if added.startswith("From"):
            malformed(seen, "duplicate")
        else:
            refused(seen, "own-domain", shown=False, dmarc="fail")
            assert f"{DOMAIN}=fail" in str(seen.detail["dkim"]), seen


def test_x25_an_unchanged_replay_is_what_a_forwarder_sends(spoofers: World) -> None:
    """From anywhere, to anybody; only its owner can end it, by x= or by taking the key out."""
    genuine = signed(letter(BANK))
    for sender in (EVIL, "", "x@quiet.test"):
        kept(spoofers.judged(genuine, sender), "INBOX", "proven", dkim="pass", dmarc="pass")


@pytest.mark.parametrize(
    ("signed_at", "expires_at", "result"),
    [
        (-7200, -3600, "policy"),
        (-7200, -400, "policy"),
        (-7200, 3600, "pass"),
        (-400 * 86_400, None, "pass"),
        (-400 * 86_400, -399 * 86_400, "policy"),
        (2 * 86_400, None, "policy"),
        (0, -1, "neutral"),
        (10**11, None, "policy"),
    ],
)
def test_x25_times_are_honoured(spoofers: World, signed_at: int, expires_at: int | None, result: str) -> None:
    now = int(time.time())
    expires = None if expires_at is None else str(now + expires_at)
    seen = spoofers.judged(signed(letter(BANK), t=str(now + signed_at), x=expires))
    if result == "pass":
        kept(seen, "INBOX", "proven", dkim="pass", dmarc="pass")
    else:
        refused(seen, "dmarc-reject", dkim=result, dmarc="fail")


# -- X26: names, keys, algorithms --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "dkim"),
    [
        ({"d": "test"}, "permerror"),
        ({"d": "bank.test.evil.test"}, "pass"),
        ({"d": "evil.test"}, "pass"),
        ({"d": "evil.test", "i": "admin@bank.test"}, "permerror"),
        ({"d": "evil.test", "i": "@bank.test.evil.test"}, "pass"),
        ({"d": "xn--bnk-5cd.test"}, "permerror"),
        ({"d": "bank.test"}, "permerror"),
        ({"d": "bank.test", "s": "rsa"}, "fail"),
        ({"d": "there.bank.test"}, "permerror"),
        ({"d": "bank.test", "h": "to:subject"}, "permerror"),
        ({"d": "bank.test", "h": ""}, "neutral"),
        ({"d": "bank.test", "a": "rsa-sha1"}, "policy"),
        ({"d": "bank.test", "a": "none"}, "neutral"),
        ({"d": "bank.test", "v": "2"}, "neutral"),
        ({"d": "bank.test", "q": "evil"}, "neutral"),
        ({"d": "bank.test", "s": "rsa", "b": "AAAA"}, "fail"),
        ({"d": "bank.test", "b": None}, "permerror"),
        ({"d": "bank.test", "s": "nosuch"}, "permerror"),
    ],
)
def test_x26_a_signature_of_somebody_else(spoofers: World, tags: dict[str, str | None], dkim: str) -> None:
    """By the attacker's key, whatever it calls itself: it may pass, and is then not aligned."""
    seen = spoofers.judged(signed(letter(BANK), "evil.test", tags))
    refused(seen, "dmarc-reject", dkim=dkim, dmarc="fail", spf="pass")


@pytest.mark.parametrize(
    ("selector", "key", "tags", "dkim"),
    [
        ("small", small(), {"a": "rsa-sha256"}, "policy"),
        ("weak", rsa(1024), {}, "pass"),
        ("rsa", rsa(2048), {}, "pass"),
        ("rsa", rsa(2048), {"a": "rsa-sha1"}, "policy"),
        ("sel", ed25519(), {"a": "rsa-sha256"}, "permerror"),
        ("rsa", ed25519(), {}, "permerror"),
        ("testing", ed25519(), {}, "policy"),
        ("strict", ed25519(), {}, "pass"),
        ("strict", ed25519(), {"i": "admin@bank.test"}, "pass"),
        ("strict", ed25519(), {"i": "admin@sub.bank.test"}, "permerror"),
        ("sel", ed25519(), {"i": "admin@sub.bank.test"}, "pass"),
        ("revoked", ed25519(), {}, "permerror"),
        ("sha1", ed25519(), {}, "permerror"),
        ("tlsrpt", ed25519(), {}, "permerror"),
        ("rubbish", ed25519(), {}, "permerror"),
        ("historic", ed25519(), {}, "pass"),
    ],
)
def test_x26_what_the_bank_publishes(
    spoofers: World, selector: str, key: Private | SmallRsa, tags: dict[str, str | None], dkim: str
) -> None:
    """Signed by the key that is in DNS: too weak, withdrawn, for other things, for tests."""
    seen = spoofers.judged(signed(letter(BANK), "bank.test", tags, key=key, s=selector))
    if dkim == "pass":
        kept(seen, "INBOX", "proven", dkim="pass", dmarc="pass")
        return
    refused(seen, "dmarc-reject", dmarc="fail")
    assert seen.said("dkim") == [dkim], seen
    assert str(seen.detail["dkim"]) == f"bank.test={dkim}"


def test_x26_a_good_signature_lends_nothing_to_a_bad_one(spoofers: World) -> None:
    good_elsewhere = signed(letter(BANK), "evil.test")
    both = signed(good_elsewhere, "bank.test", key=attacker(), s="rsa", b="AAAA")
    refused(spoofers.judged(both), "dmarc-reject", dmarc="fail", dkim="pass")
    many = letter(BANK)
    for _ in range(12):
        many = signed(many, "evil.test")
    refused(spoofers.judged(many), "dmarc-reject", dmarc="fail", dkim="pass")
    hidden = signed(letter(BANK))
    for _ in range(7):
        hidden = signed(hidden, "bank.test", b="AAAA")
    kept(spoofers.judged(hidden), "INBOX", "proven", dmarc="pass")


# -- X29: seals --------------------------------------------------------------------------------------------------------

CLAIM = (
    "mx.sealer.test; spf=pass smtp.mailfrom=bank.test; dkim=pass header.d=bank.test; dmarc=pass header.from=bank.test"
)


class Sealed:
    """A message that changed on its way, and was sealed by whoever passed it on."""

    def __init__(self, author: str = BANK) -> None:
        self.message = signed(letter(author)).replace(b"Some text.", b"Some text. -- a footer")
        head, _, self.body = self.message.partition(b"\r\n\r\n")
        self.fields = re.findall(rb"[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", head + b"\r\n")
        self.arc: list[list[bytes]] = []

    def by(
        self,
        domain: str,
        *,
        claim: str = CLAIM,
        key: Private | None = None,
        status: str | None = None,
        instance: int | None = None,
    ) -> "Sealed":
        def named(text: str) -> str:
            return re.sub(r"d=[a-z0-9.]+;", f"d={domain};", text)

        def claims(text: str) -> str:
            return text.partition(";")[0] + "; " + claim

        one = seal(
            self.arc,
            self.fields,
            self.body,
            key=key or (attacker() if domain == "evil.test" else ed25519()),
            instance=instance,
            status=status,
            results=claims,
            signature=named,
            seal=named,
        )
        self.arc.append(one)
        return self

    @property
    def text(self) -> bytes:
        return b"".join(b"".join(reversed(one)) for one in reversed(self.arc)) + self.message


def test_x29_a_named_sealer_is_believed(spoofers: World) -> None:
    seen = spoofers.judged(Sealed().by("sealer.test").text)
    kept(seen, "INBOX", "dmarc-reject+arc-sealer", arc="pass", dmarc="fail", dkim="fail")
    twice = spoofers.judged(Sealed().by("sealer.test").by("sealer.test").text)
    kept(twice, "INBOX", "dmarc-reject+arc-sealer", arc="pass", dmarc="fail")


@pytest.mark.parametrize(
    ("sealed", "arc"),
    [
        pytest.param(Sealed().by("evil.test"), "pass", id="by the attacker"),
        pytest.param(Sealed().by("sealer2.test"), "pass", id="by nobody that is named"),
        pytest.param(Sealed().by("sealer.test", key=attacker()), "fail", id="in the name of one that is"),
        pytest.param(Sealed().by("sealer.test").by("evil.test"), "pass", id="on top of a good one"),
        pytest.param(Sealed().by("evil.test").by("sealer.test", claim="mx; dmarc=fail"), "pass", id="below a good one"),
        pytest.param(Sealed().by("sealer.test", claim="mx; dmarc=fail header.from=bank.test"), "pass", id="who saw it fail"),
        pytest.param(Sealed().by("sealer.test", claim="mx; dmarc=pass header.from=evil.test"), "pass", id="for another author"),
        pytest.param(Sealed().by("sealer.test", claim="mx; spf=pass smtp.mailfrom=bank.test"), "pass", id="for SPF only"),
        pytest.param(Sealed().by("sealer.test", claim="mx; dkim=pass header.d=evil.test"), "pass", id="for another signer"),
        pytest.param(Sealed().by("sealer.test", status="fail"), "fail", id="cv=fail"),
        pytest.param(Sealed().by("sealer.test", status="pass"), "fail", id="cv=pass at first"),
        pytest.param(Sealed().by("sealer.test").by("sealer.test", status="none"), "fail", id="cv=none later"),
        pytest.param(Sealed().by("sealer.test", instance=2), "fail", id="i=2 alone"),
        pytest.param(Sealed().by("sealer.test", instance=51), "fail", id="i=51"),
        pytest.param(Sealed().by("sealer.test").by("sealer.test", instance=1), "fail", id="i=1 twice"),
    ],
)  # fmt: skip
def test_x29_a_seal_that_means_nothing(spoofers: World, sealed: Sealed, arc: str) -> None:
    refused(spoofers.judged(sealed.text), "dmarc-reject", arc=arc, dmarc="fail", spf="pass")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"-- a footer", b"-- pay now!"),
        (b"Subject: ", b"Subject: pay "),
        (b"i=1; mx.sealer.test; spf=pass", b"i=1; mx.sealer.test; spf=fail"),
    ],
)
def test_x29_nothing_changes_below_a_good_seal(spoofers: World, old: bytes, new: bytes) -> None:
    sealed = Sealed().by("sealer.test").text
    assert old in sealed
    refused(spoofers.judged(sealed.replace(old, new)), "dmarc-reject", arc="fail", dmarc="fail")


def many(count: int, drop: Sequence[int] = ()) -> bytes:
    sealed = Sealed()
    for _ in range(count):
        sealed.by("sealer.test")
    sealed.arc = [one for at, one in enumerate(sealed.arc, 1) if at not in drop]
    return sealed.text


def test_x29_chains_too_long_or_with_holes(spoofers: World) -> None:
    kept(spoofers.judged(many(5)), "INBOX", "dmarc-reject+arc-sealer", arc="pass")
    for message in (many(51), many(5, [3]), many(5, [1])):
        began = time.monotonic()
        refused(spoofers.judged(message), "dmarc-reject", arc="fail", dmarc="fail")
        assert time.monotonic() - began < 3


def test_x29_a_sealer_does_not_speak_for_us_beyond_what_it_saw(spoofers: World) -> None:
    """Our own name comes through a named sealer that saw it proven, and through no other."""
    claim = f"mx; dmarc=pass header.from={DOMAIN}"
    kept(
        spoofers.judged(Sealed(BOSS).by("sealer.test", claim=claim).text), "INBOX", "own-domain+arc-sealer", arc="pass"
    )
    for sealed in (Sealed(BOSS).by("evil.test", claim=claim), Sealed(BOSS).by("sealer.test")):
        refused(spoofers.judged(sealed.text), "own-domain", shown=False, arc="pass", dmarc="fail")
