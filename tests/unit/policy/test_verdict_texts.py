"""The words of verdicts: valid answers, safe fields, nothing of strangers that could do harm in them."""

import re
from dataclasses import fields
from email import policy
from email.parser import BytesParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.mailauth.dkim import outcome as dkim
from poterne.mailauth.spf import outcome as spf
from poterne.policy.inbound import decide
from poterne.policy.reasons import Found, Reason, Sign, Told
from poterne.policy.told import notes, told
from poterne.policy.verdict import Defer, Junk, Quarantine, Refuse
from tests.unit.policy.mail_evidence import ALIKE, AUTHOR, FORGED, HONEST, STRANGER, made, of_dmarc, of_spf, signed

TOLD = st.builds(Told, **{field.name: st.text(max_size=300) for field in fields(Told)})
FOUND = st.none() | st.builds(Found, st.sampled_from(Sign), st.text(max_size=300))


def test_an_honest_sender_learns_what_to_do() -> None:
    verdict = decide(FORGED)
    assert isinstance(verdict, Refuse)
    assert verdict.reply.wire == (
        b"550 5.7.26 bank.example does not answer for this message: SPF passes for k.example, another domain; no DKIM signature. "
        b'Its DMARC policy is p=reject at bank.example ("v=DMARC1; p=reject; rua=mailto:d@bank.example"). Send it through a server '
        b"of bank.example that signs it with DKIM; what forwards it must leave it unchanged\r\n"
    )


def test_a_long_record_is_left_out_before_the_advice_is() -> None:
    long = "a" * 60 + "." + "b" * 60 + ".example"
    outcome = of_dmarc(author=long)
    verdict = decide(made(author_domain=long, dmarc=outcome, mail_from=of_spf(domain=long.replace("a", "c"))))
    assert isinstance(verdict, Refuse)
    text = verdict.reply.text
    assert "v=DMARC1" not in text
    assert text.endswith("must leave it unchanged")
    assert len(verdict.reply.wire) <= 500


CODES = {
    Reason.DMARC_REJECT: "5.7.26",
    Reason.DMARC_QUARANTINE: "5.7.26",
    Reason.UNAUTHENTICATED: "5.7.26",
    Reason.OWN_DOMAIN: "5.7.22",
    Reason.OWN_REVERSE_PATH: "5.7.23",
    Reason.SPF_FAIL: "5.7.23",
    Reason.LOOKALIKE: "5.7.1",
    Reason.PROVEN_LOOKALIKE: "5.7.1",
    Reason.DISPLAY_NAME: "5.7.1",
    Reason.AUTHOR_DOMAIN: "5.1.8",
    Reason.NO_SUCH_DOMAIN: "5.1.8",
}


@pytest.mark.parametrize(("reason", "code"), CODES.items())
def test_codes(reason: Reason, code: str) -> None:
    reply = Refuse(reason, told=told(FORGED)).reply
    assert (reply.code, reply.enhanced) == (550, code)


@pytest.mark.parametrize(("unknown", "code"), [("spf", "4.7.24"), ("dkim", "4.7.5"), ("dmarc", "4.7.0"), ("", "4.7.0")])
def test_codes_of_deferrals(unknown: str, code: str) -> None:
    reply = Defer(Reason.DNS, told=Told(author=AUTHOR, unknown=unknown)).reply
    assert (reply.code, reply.enhanced) == (451, code)
    assert reply.text.endswith("try again later")


@given(st.sampled_from(Reason), FOUND, TOLD)
def test_whatever_strangers_wrote(reason: Reason, found: Found | None, about: Told) -> None:
    reply = (Defer if reason is Reason.DNS else Refuse)(reason, found, about).reply
    assert len(reply.wire) <= 500
    assert reply.wire.endswith(b"\r\n")
    assert reply.wire.count(b"\r") == reply.wire.count(b"\n") == 1
    assert all(32 <= octet < 127 for octet in reply.wire[:-2])
    for language in ("en", "fr", "de", ""):
        verdict = Junk(reason, found, about)
        sentence = verdict.sentence(language)
        assert 0 < len(sentence) <= 400
        assert sentence.replace("\u00a0", " ").isprintable()
        field = verdict.field(language)
        assert field.isascii()
        lines = field.split(b"\r\n")
        assert lines.pop() == b""
        assert lines[0].startswith(b"X-Poterne-Reason: " + verdict.word.encode() + b";")
        assert all(line[:1] == b" " and line.strip() for line in lines[1:])
        assert all(len(line) <= 998 and re.fullmatch(rb"[ -~]+", line) for line in lines)


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("reason", Reason)
def test_a_reader_sees_the_sentence(language: str, reason: Reason) -> None:
    verdict = Quarantine(
        reason,
        Found(Sign.KNOWN_LIST, "users.lists.example"),
        Told(author=AUTHOR, imitated="Éric Le Goff", reverse_path=STRANGER),
    )
    read = BytesParser(policy=policy.default).parsebytes(verdict.field(language) + b"\r\n")["X-Poterne-Reason"]
    word, _, sentence = str(read).partition("; ")
    assert word == verdict.word
    assert sentence == verdict.sentence(language)
    assert "users.lists.example" in sentence
    assert all(len(line) <= 78 for line in verdict.field(language).split(b"\r\n"))


def test_the_two_languages_differ_and_others_are_english() -> None:
    for reason in Reason:
        verdict = Junk(reason, told=Told(author=AUTHOR))
        assert verdict.sentence("fr") != verdict.sentence("en") == verdict.sentence("de")


def test_encoded_words_of_strangers_are_not_decoded_by_readers() -> None:
    field = Junk(Reason.DISPLAY_NAME, told=Told(author=AUTHOR, imitated="=?utf-8?q?Safe_and_sound?=")).field()
    read = BytesParser(policy=policy.default).parsebytes(field + b"\r\n")["X-Poterne-Reason"]
    assert "=?utf-8?q?Safe_and_sound?=" in str(read)


@pytest.mark.parametrize(
    ("signatures", "says"),
    [
        ((), ""),
        ((signed(AUTHOR),), "DKIM passes for bank.example"),
        ((signed(STRANGER),), "DKIM passes for k.example, another domain"),
        (
            (signed(STRANGER), signed(AUTHOR, dkim.Reason.BODY_HASH)),
            "the DKIM signature of bank.example does not count (body-hash)",
        ),
        ((signed(AUTHOR, testing=True),), "DKIM of bank.example is only being tested (t=y)"),
        ((signed(AUTHOR, dkim.Reason.KEY_UNAVAILABLE),), "the DKIM key of bank.example is unknown now"),
        ((signed("", dkim.Reason.SYNTAX),), "the DKIM signature of an unknown domain does not count (syntax)"),
    ],
)
def test_told_of_signatures(signatures: tuple[dkim.Outcome, ...], says: str) -> None:
    assert told(made(dkim=signatures)).dkim == says


@pytest.mark.parametrize("result", spf.Result)
def test_told_of_servers(result: spf.Result) -> None:
    assert STRANGER in told(made(mail_from=of_spf(result))).spf


def test_notes() -> None:
    assert notes(HONEST) == ()
    noted = made(
        dmarc=of_dmarc(tag="np", testing=True),
        mail_from=of_spf(spf.Result.FAIL),
        lookalike=ALIKE,
        dkim=(signed(AUTHOR, testing=True),),
    )
    assert notes(noted) == ("np", "dmarc-testing", "lookalike-typo", "spf-fail", "dkim-testing")
