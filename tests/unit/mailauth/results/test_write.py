"""Authentication-Results as we write it: whole, folded, bounded, and nobody else's words in it."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.mailauth.arc import outcome as arc
from poterne.mailauth.dkim import outcome as dkim
from poterne.mailauth.dmarc import outcome as dmarc
from poterne.mailauth.results.parse import parse
from poterne.mailauth.results.write import Iprev, IprevResult, Results, field
from poterne.mailauth.spf import outcome as spf
from poterne.values.dmarc import PublishedPolicy

ID = "mx.example.net"
POLICY = PublishedPolicy("example.org", p="reject")
SPF_PASS = spf.Outcome(
    spf.Result.PASS, spf.Reason.MATCHED, spf.Identity.MAIL_FROM, "example.org", ("ip4:192.0.2.0/24",)
)
SPF_HELO = spf.Outcome(spf.Result.NONE, spf.Reason.NO_RECORD, spf.Identity.HELO, "mail.example.org")
DKIM_PASS = dkim.Outcome(
    dkim.Reason.VERIFIED,
    "example.org",
    "p20261122-rsa",
    "@example.org",
    "rsa-sha256",
    bytes(range(250, 256)) * 40,
    2048,
)
DKIM_FAIL = dkim.Outcome(
    dkim.Reason.BODY_HASH, "lists.example", "s1", "ann@lists.example", "ed25519-sha256", b"abcdef" * 10
)
DMARC_PASS = dmarc.Outcome(
    dmarc.Result.PASS,
    dmarc.Reason.ALIGNED,
    "example.org",
    "example.org",
    POLICY,
    dmarc.Policy.REJECT,
    "p",
    ("example.org",),
)
DMARC_FAIL = dmarc.Outcome(
    dmarc.Result.FAIL, dmarc.Reason.UNALIGNED, "example.org", "example.org", POLICY, dmarc.Policy.REJECT, "p"
)
ARC_PASS = arc.Outcome(
    arc.Result.PASS, arc.Reason.VERIFIED, (arc.Hop(1, "lists.example", "s", "lists.example"),), oldest_pass=0
)
WHOLE = Results(
    (SPF_PASS, SPF_HELO),
    (DKIM_PASS, DKIM_FAIL),
    DMARC_PASS,
    ARC_PASS,
    Iprev(IprevResult.PASS, "2001:db8::1", "mail.example.org"),
)


def said(results: Results, most_bytes: int = 4096) -> bytes:
    """The field, after it was made sure that it is one field and nothing else."""
    written = field(ID, results, most_bytes=most_bytes)
    assert written.startswith(b"Authentication-Results: ")
    assert written.endswith(b"\r\n")
    assert re.fullmatch(rb"[!-~]+:(?: [!-~]+)*(?:\r\n\t[!-~]+(?: [!-~]+)*)*\r\n", written)
    return written


def test_all_of_it() -> None:
    assert said(WHOLE).split(b"\r\n\t") == [
        b"Authentication-Results: mx.example.net;",
        b'iprev=pass (mail.example.org) policy.iprev="2001:db8::1";',
        b"spf=pass smtp.mailfrom=example.org;",
        b'spf=none reason="no record" smtp.helo=mail.example.org;',
        b"dkim=pass header.d=example.org header.s=p20261122-rsa header.a=rsa-sha256",
        b'header.b="+vv8/f7/";',
        b"dkim=fail reason=body-hash header.d=lists.example header.s=s1",
        b"header.a=ed25519-sha256 header.b=YWJjZGVm header.i=ann@lists.example;",
        b"dmarc=pass header.from=example.org policy.dmarc=reject;",
        b"arc=pass (sealed by lists.example) header.oldest-pass=0\r\n",
    ]


def test_lines_are_of_the_usual_length() -> None:
    assert all(len(line) <= 78 for line in said(WHOLE).split(b"\r\n"))


def test_nothing_was_looked_at() -> None:
    assert said(Results()) == b"Authentication-Results: mx.example.net; none\r\n"


def test_no_signature_and_not_looked_at_are_two_things() -> None:
    assert b"dkim=none" in said(Results(dkim=()))
    assert b"dkim" not in said(Results(spf=(SPF_PASS,)))


def test_a_testing_key_is_no_pass() -> None:
    testing = dkim.Outcome(
        dkim.Reason.VERIFIED, "example.org", "s", "@example.org", "rsa-sha256", b"x" * 9, 2048, testing=True
    )
    written = said(Results(dkim=(testing,)))
    assert b"dkim=pass" not in written
    assert b"dkim=policy reason=testing header.d=example.org" in written


def test_arc_that_fails_says_why() -> None:
    assert b"arc=fail reason=seal" in said(Results(arc=arc.Outcome(arc.Result.FAIL, arc.Reason.SEAL, instance=2)))
    assert b"arc=none" in said(Results(arc=arc.NONE))


def verdicts(written: bytes) -> list[bytes]:
    return re.findall(rb"(?:^|\t| )((?:spf|dkim|dmarc|arc|iprev)=[a-z]+)", written)


@pytest.mark.parametrize("most_bytes", range(0, 700, 7))
def test_bounded_without_losing_a_verdict(most_bytes: int) -> None:
    results = Results(WHOLE.spf, (DKIM_FAIL,) * 3 + (DKIM_PASS,) + (DKIM_FAIL,) * 3, DMARC_FAIL, ARC_PASS, WHOLE.iprev)
    written = said(results, most_bytes)
    least = said(results, 0)
    assert len(written) <= max(most_bytes, len(least))
    found = verdicts(written)
    assert [one for one in found if not one.startswith(b"dkim=")] == [
        b"iprev=pass", b"spf=pass", b"spf=none", b"dmarc=fail", b"arc=pass"
    ]  # fmt: skip
    assert b"dkim=pass" in found  # the one that tells most is the last that stays


def test_detail_goes_before_signatures_do() -> None:
    results = Results(dkim=(DKIM_FAIL, DKIM_PASS))
    whole = said(results)
    shorter = said(results, len(whole) - 1)
    assert b"reason" not in shorter
    assert verdicts(shorter) == verdicts(whole)
    least = said(results, 0)
    assert least == b"Authentication-Results: mx.example.net;\r\n\tdkim=pass\r\n"


def test_aligned_signatures_stay_longest() -> None:
    other = dkim.Outcome(dkim.Reason.VERIFIED, "other.example", "s", "@other.example", "rsa-sha256", b"x" * 9, 2048)
    results = Results(dkim=(other, DKIM_FAIL, DKIM_PASS), dmarc=DMARC_PASS)
    written = said(results, 140)
    assert b"header.d=example.org" in written
    assert b"other.example" not in written


EVIL = [
    "L'a.K",
    'L".K',
    "L(.K",
    "L;.K; dmarc=pass",
    "a\r\nX-Evil: 1",
    "a\rb\nc\0d",
    "é.example",
    "dmarc=pass header.from=bank.example",
    "a) ; dmarc=pass (",
    "\\",
    '"; dmarc=pass',
    "x" * 5000,
    "a\u2028b\u202e",
    "",
]


def spf_outcomes(text: str) -> tuple[spf.Outcome, ...]:
    return (
        spf.Outcome(spf.Result.FAIL, spf.Reason.MATCHED, spf.Identity.MAIL_FROM, text, (text,), text, text, text),
        spf.Outcome(spf.Result.PERMERROR, spf.Reason.SYNTAX, spf.Identity.HELO, "a.example", (), text, text, text),
    )


def of_evil(text: str) -> Results:
    """A stranger's text wherever a stranger's text may be."""
    return Results(
        spf_outcomes(text),
        (
            dkim.Outcome(dkim.Reason.SIGNATURE, text, text, text, "rsa-sha256", text.encode("utf-8", "replace")),
            dkim.Outcome(dkim.Reason.DOMAIN, "a.example", "s", f"{text}@a.example", "", b""),
        ),
        dmarc.Outcome(
            dmarc.Result.FAIL, dmarc.Reason.UNALIGNED, text, text, POLICY, dmarc.Policy.NONE, "p", (text,), text
        ),
        arc.Outcome(arc.Result.PASS, arc.Reason.VERIFIED, (arc.Hop(1, text, text, text, text),)),
        Iprev(IprevResult.PASS, text, text),
    )


def says_only_ours(written: bytes) -> None:
    """Any reader finds our verdicts and no other, even one that only searches."""
    assert sorted(
        re.findall(rb"[a-z]+=[a-z]+", re.sub(rb"[a-z]+\.[a-z]+=", b"", written))
    )  # there is something to find
    assert written.count(b"dmarc=") - written.count(b"policy.dmarc=") == 1
    assert b"dmarc=pass" not in written
    assert written.count(b"spf=") == 2
    assert written.count(b"dkim=") == 2
    assert written.count(b";") == 7
    assert written.count(b"arc=") - written.count(b"dmarc=") == 1
    read = parse(written.partition(b":")[2])
    assert read is not None
    assert [(one.method, one.result) for one in read.results] == [
        ("iprev", "pass"), ("spf", "fail"), ("spf", "permerror"), ("dkim", "fail"), ("dkim", "permerror"), ("dmarc", "fail"),
        ("arc", "pass"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", EVIL)
def test_what_strangers_write_says_nothing(text: str) -> None:
    says_only_ours(said(of_evil(text), 100_000))


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=40), st.text("a.=;()\"\\ \r\n\t@'", max_size=30)))
def test_whatever_strangers_write_says_nothing(text: str) -> None:
    says_only_ours(said(of_evil(text), 100_000))


def test_an_authserv_id_of_a_careless_caller_is_still_one_field() -> None:
    written = field("a b;\r\nX: y", Results(), most_bytes=100)
    assert written == b'Authentication-Results: "a b???X: y"; none\r\n'


def test_long_names_make_long_lines_only() -> None:
    name = ".".join(["x" * 63] * 3)
    outcome = dkim.Outcome(dkim.Reason.VERIFIED, name, "s", "@" + name, "rsa-sha256", b"x" * 9, 2048)
    lines = said(Results(dkim=(outcome,))).split(b"\r\n")
    assert max(map(len, lines)) < 998
    assert sum(len(line) > 78 for line in lines) == 1


NAMES = st.from_regex(r"[a-z0-9]{1,20}(\.[a-z0-9]{1,20}){1,3}", fullmatch=True)
DKIM = st.builds(
    dkim.Outcome, st.sampled_from(dkim.Reason), NAMES, NAMES, NAMES.map("@".__add__), st.sampled_from(["rsa-sha256", ""]),
    st.binary(min_size=6, max_size=20),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(
    st.lists(DKIM, max_size=8),
    st.sampled_from(dmarc.Reason),
    NAMES,
    st.sampled_from(spf.Reason),
    st.sampled_from(spf.Result),
)
def test_what_was_written_is_read_again(
    signatures: Sequence[dkim.Outcome], reason: dmarc.Reason, author: str, why: spf.Reason, result: spf.Result
) -> None:
    verdict = dmarc.Outcome(reason.result, reason, author, author, POLICY, dmarc.Policy.QUARANTINE)
    claim = spf.Outcome(result, why, spf.Identity.MAIL_FROM, author)
    read = parse(said(Results((claim,), signatures, verdict), 100_000).partition(b":")[2])
    assert read is not None
    assert read.authserv_id == ID
    assert read.results[0].result == result.value
    assert read.results[0].reason == claim.problem
    assert read.results[0].value("smtp", "mailfrom") == author
    assert read.results[-1].result == reason.result.value
    assert read.results[-1].value("header", "from") == author
    assert read.results[-1].value("policy", "dmarc") == "quarantine"
    found = read.results[1:-1]
    if not signatures:
        assert [one.result for one in found] == ["none"]
        return
    for one, signature in zip(found, signatures, strict=True):
        assert (one.result, one.value("header", "d")) == (signature.result.value, signature.domain)
        assert one.value("header", "b") == signature.header_b
        assert one.value("header", "s") == signature.selector
