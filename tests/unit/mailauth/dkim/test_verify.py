"""What becomes of signatures: honest, broken, forged, replayed."""

import base64
import itertools
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.mailauth.dkim.outcome import Outcome, Reason, Result
from poterne.mailauth.dkim.verify import SIGNATURES_MOST, Verifier
from poterne.message.header import index
from poterne.values.dns import Answer, Failure, NoData, NxDomain, TempFail
from tests.unit.mailauth.dkim.signed import (
    BODY,
    FIELDS,
    NAME,
    NOW,
    canonical_body,
    canonical_field,
    ed25519,
    found,
    message,
    record,
    rsa,
    verify,
)  # fmt: skip

FORMS = [f"{header}/{body}" for header, body in itertools.product(("simple", "relaxed"), repeat=2)]


def only(data: bytes, answers: dict[str, Answer[bytes]] | None = None, *, now_s: int = NOW) -> Outcome:
    outcomes = verify(data, answers, now_s=now_s)
    assert len(outcomes) == 1
    return outcomes[0]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("separator", ["; ", ";", ";\r\n\t", " ;\r\n  "])
def test_every_form_passes(form: str, separator: str) -> None:
    data = message({"c": form, "i": "ann@example.org", "t": str(NOW - 5), "x": str(NOW + 5)}, separator=separator)
    outcome = only(data)
    assert outcome.reason is Reason.VERIFIED, outcome
    assert outcome.result is Result.PASS
    assert outcome.authenticates
    assert not outcome.weak
    assert (outcome.domain, outcome.selector, outcome.identity) == ("example.org", "sel", "ann@example.org")
    assert (outcome.algorithm, outcome.key_bits) == ("ed25519-sha256", 256)
    assert (outcome.signed_s, outcome.expires_s) == (NOW - 5, NOW + 5)


@pytest.mark.parametrize("form", FORMS)
def test_rsa(form: str) -> None:
    answers = {NAME: found(record(rsa(2048)))}
    outcome = only(message({"c": form}, key=rsa(2048)), answers)
    assert (outcome.reason, outcome.algorithm, outcome.key_bits, outcome.weak) == (
        Reason.VERIFIED, "rsa-sha256", 2048, False,
    )  # fmt: skip


def test_rsa_of_1024_bits_is_weak_and_less_is_refused() -> None:
    outcome = only(message(key=rsa(1024)), {NAME: found(record(rsa(1024)))})
    assert outcome.authenticates
    assert outcome.weak
    assert outcome.key_bits == 1024


def test_the_header_of_b_is_of_the_signature() -> None:
    data = message()
    said = re.search(rb"; b=([^\r]*)", data)
    assert said is not None
    outcome = only(data)
    assert outcome.header_b == said[1][:8].decode()
    assert outcome.signature == base64.b64decode(said[1])


def test_a_message_without_signature_needs_nothing() -> None:
    verifier = Verifier(index(b"".join(FIELDS) + b"\r\n"), NOW)
    verifier.feed(BODY)
    assert verifier.names == ()
    assert verifier.finish({}) == ()


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_chunks_do_not_matter(size: int) -> None:
    assert [one.reason for one in verify(message(), chunk=size)] == [Reason.VERIFIED]


# --- what a signer says


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"a": "rsa-sha1"}, Reason.SHA1),
        ({"t": str(NOW + 3 * 24 * 3600)}, Reason.FUTURE),
        ({"t": str(NOW + 3600)}, Reason.VERIFIED),
        ({"x": str(NOW - 3600)}, Reason.EXPIRED),
        ({"x": str(NOW - 60)}, Reason.VERIFIED),
        ({"a": "rsa-sha256"}, Reason.KEY_TYPE),
        ({"bh": base64.b64encode(bytes(32)).decode()}, Reason.BODY_HASH),
        ({"b": base64.b64encode(bytes(64)).decode()}, Reason.SIGNATURE),
        ({"b": base64.b64encode(bytes(3)).decode()}, Reason.SIGNATURE),
        ({"b": base64.b64encode(bytes(2000)).decode()}, Reason.SIGNATURE),
        ({"b": None}, Reason.MISSING_TAG),
        ({"h": "to:subject"}, Reason.FROM_UNSIGNED),
        ({"d": "org"}, Reason.DOMAIN),
        ({"d": "legit.example'x.example.org"}, Reason.DOMAIN),
        ({"v": "2"}, Reason.VERSION),
        ({"l": "9999"}, Reason.BODY_SHORT),
        ({"h": "from:x-not-there:from:subject"}, Reason.VERIFIED),
        ({"z": "From:forged@example.com"}, Reason.VERIFIED),
        ({"unknown": "1"}, Reason.VERIFIED),
    ],
)
def test_tags(tags: dict[str, str | None], reason: Reason) -> None:
    outcome = only(message(tags))
    assert outcome.reason is reason
    assert outcome.authenticates is (reason is Reason.VERIFIED)


def test_each_reason_has_its_result() -> None:
    assert {reason for reason in Reason if reason.result is Result.PASS} == {Reason.VERIFIED}
    assert {reason for reason in Reason if reason.result is Result.TEMPERROR} == {Reason.KEY_UNAVAILABLE}


# --- keys


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (TempFail(Failure.SERVFAIL), Reason.KEY_UNAVAILABLE),
        (TempFail(Failure.BOGUS), Reason.KEY_UNAVAILABLE),
        (NxDomain(secure=False, ttl_s=1), Reason.NO_KEY),
        (NoData(secure=False, ttl_s=1), Reason.NO_KEY),
        (found(b"v=spf1 -all"), Reason.KEY_SYNTAX),
        (found(b"v=DKIM1; p="), Reason.KEY_REVOKED),
        (found(record(ed25519(), h="sha1")), Reason.KEY_HASH),
        (found(record(ed25519(), s="tlsrpt")), Reason.KEY_SERVICE),
        (found(record(ed25519(), k="other")), Reason.KEY_TYPE),
        (found(record(rsa(2048))), Reason.KEY_TYPE),
        (found(b"v=spf1 -all", record(ed25519())), Reason.VERIFIED),
        (found(record(ed25519()), record(rsa(2048))), Reason.VERIFIED),
        (found(b"v=spf1 -all", b"v=DKIM1; p="), Reason.KEY_REVOKED),
        (found(*[b"x=1"] * 10, record(ed25519())), Reason.KEY_SYNTAX),
    ],
)
def test_keys(answer: Answer[bytes], reason: Reason) -> None:
    outcome = only(message(), {NAME: answer})
    assert outcome.reason is reason
    assert outcome.domain == "example.org"


def test_no_answer_is_no_pass() -> None:
    outcome = only(message(), {})
    assert outcome.result is Result.TEMPERROR
    assert not outcome.authenticates


def test_a_key_in_test_authenticates_nothing() -> None:
    answers = {NAME: found(record(ed25519(), t="y"))}
    outcome = only(message(), answers)
    assert (outcome.result, outcome.testing, outcome.authenticates) == (Result.PASS, True, False)
    outcome = only(message() + b"more", answers)
    assert (outcome.result, outcome.testing) == (Result.FAIL, True)


def test_a_strict_key_is_for_its_own_domain_only() -> None:
    answers = {NAME: found(record(ed25519(), t="s"))}
    assert only(message({"i": "ann@example.org"}), answers).authenticates
    assert only(message({"i": "ann@a.example.org"})).authenticates
    assert only(message({"i": "ann@a.example.org"}), answers).reason is Reason.IDENTITY_DOMAIN


def test_another_key_does_not_verify() -> None:
    other = record(rsa(2048))
    assert only(message(key=rsa(1024)), {NAME: found(other)}).reason is Reason.SIGNATURE


def test_names_are_asked_for_once() -> None:
    data = message({"s": "one"}) + b""
    for selector in ("one", "two", "ONE"):
        data = message({"s": selector})[: -len(BODY) - 2 - sum(map(len, FIELDS))] + data
    verifier = Verifier(index(data), NOW)
    assert verifier.names == ("one._domainkey.example.org", "two._domainkey.example.org")


def test_nothing_is_asked_for_what_is_refused_before() -> None:
    for tags in ({"a": "rsa-sha1"}, {"x": "5"}, {"d": "org"}, {"v": "2"}):
        assert Verifier(index(message(tags)), NOW).names == ()


# --- several signatures


def test_each_on_its_own_merits() -> None:
    good = message()
    bad = b"DKIM-Signature: nonsense\r\n"
    outcomes = verify(bad + b"DKIM-Signature: v=2; d=example.org; s=x\r\n" + good)
    assert [one.reason for one in outcomes] == [Reason.SYNTAX, Reason.VERSION, Reason.VERIFIED]


def test_no_more_than_some_are_looked_at() -> None:
    data = b"DKIM-Signature: x\r\n" * (SIGNATURES_MOST + 3) + message()
    header = index(data)
    verifier = Verifier(header, NOW)
    assert verifier.ignored == 4
    assert verifier.names == ()
    verifier.feed(data[header.end :])
    assert len(verifier.finish({})) == SIGNATURES_MOST


def test_two_forms_and_two_lengths_in_one_pass() -> None:
    data = message()
    for tags in (
        {"c": "simple/simple"},
        {"l": "4"},
        {"c": "relaxed/simple", "l": str(len(canonical_body(BODY, "simple")))},
    ):
        data = message(tags)[: -len(BODY) - 2 - sum(map(len, FIELDS))] + data
    assert [one.reason for one in verify(data)] == [
        Reason.LENGTH, Reason.UNSIGNED_BODY, Reason.VERIFIED, Reason.VERIFIED,
    ]  # fmt: skip


# --- l=


def test_a_body_that_was_added_to_never_passes() -> None:  # X23
    whole = len(canonical_body(BODY, "relaxed"))
    data = message({"l": str(whole)})
    assert only(data).reason is Reason.LENGTH
    assert not only(data).authenticates
    outcome = only(data + b"--boundary\r\nsomething else\r\n")
    assert outcome.result is Result.POLICY
    assert outcome.reason is Reason.UNSIGNED_BODY
    assert outcome.unsigned_body_bytes > 20
    assert not outcome.authenticates


@pytest.mark.parametrize("length", [0, 1, 10])
def test_what_covers_a_part_only_does_not_count(length: int) -> None:
    assert only(message({"l": str(length)})).reason is Reason.UNSIGNED_BODY


def test_nothing_of_no_body_is_all_of_it() -> None:
    assert only(message({"l": "0"}, body=b"")).reason is Reason.LENGTH
    assert only(message({"l": "0"}, body=b"\r\n \r\n")).reason is Reason.LENGTH


def test_more_than_there_is_never_passes() -> None:
    whole = len(canonical_body(BODY, "relaxed"))
    for length in (whole + 1, whole + 2, 10**70):
        assert only(message({"l": str(length)})).reason is Reason.BODY_SHORT


def test_a_part_whose_signature_is_wrong_is_wrong() -> None:
    data = message({"l": "10"}).replace(b"Subject: a", b"Subject: b")
    assert only(data).reason is Reason.SIGNATURE


# --- fields


def test_instances_count_from_the_bottom() -> None:
    fields = (b"X-A: one\r\n", b"X-A: two\r\n", *FIELDS)
    assert only(message({"h": "from:x-a"}, fields=fields)).authenticates
    data = message({"h": "from:x-a"}, fields=fields)
    assert only(data.replace(b"X-A: one", b"X-A: changed")).authenticates
    assert only(data.replace(b"X-A: two", b"X-A: changed")).reason is Reason.SIGNATURE
    assert only(data.replace(b"X-A: one\r\n", b"")).authenticates
    data = message({"h": "from:x-a:x-a:x-a"}, fields=fields)
    assert only(data).authenticates
    assert only(data.replace(b"X-A: one", b"X-A: changed")).reason is Reason.SIGNATURE
    assert only(b"X-A: zero\r\n" + data).reason is Reason.SIGNATURE
    swapped = data.replace(b"X-A: one\r\nX-A: two\r\n", b"X-A: two\r\nX-A: one\r\n")
    assert only(swapped).reason is Reason.SIGNATURE


@pytest.mark.parametrize("name", ["From", "Subject", "Date", "To", "Content-Type", "Reply-To"])
def test_a_second_field_above_the_signed_one_never_passes(name: str) -> None:  # X22, X24
    fields = (*FIELDS, b"Content-Type: text/plain\r\n", b"Reply-To: <ann@example.org>\r\n")
    data = message({"h": "from:to:subject:date:content-type:reply-to"}, fields=fields)
    assert only(data).authenticates
    outcome = only(f"{name}: forged\r\n".encode() + data)
    assert outcome.reason is Reason.DUPLICATE_FIELD
    assert outcome.result is Result.POLICY
    below = data.replace(b"\r\n\r\n", f"\r\n{name}: forged\r\n\r\n".encode(), 1)
    assert not only(below).authenticates


@pytest.mark.parametrize("name", ["From", "Subject", "X-Other"])
def test_an_oversigned_field_can_not_be_added(name: str) -> None:
    lower = name.lower()
    data = message({"h": f"from:to:subject:date:{lower}"})
    assert only(data).authenticates
    for forged in (f"{name}: forged\r\n", f"{name.upper()}:\r\n", f"{name}:\r\n\tforged\r\n"):
        assert only(forged.encode() + data).reason is Reason.SIGNATURE


def test_what_is_not_signed_is_told() -> None:
    fields = (*FIELDS, b"Content-Type: text/html\r\n", b"Reply-To: <x@example.com>\r\n")
    outcome = only(message({"h": "from:from:subject"}, fields=fields))
    assert outcome.authenticates
    assert outcome.unsigned == ("reply-to", "date", "to", "content-type")
    assert "from" not in outcome.extendable
    assert {"subject", "cc", "mime-version"} <= set(outcome.extendable)


def test_its_own_field_is_never_among_the_signed() -> None:
    data = message({"h": "from:dkim-signature"})
    assert only(data).authenticates
    over = message({"h": "from:dkim-signature", "s": "sel"}, fields=(b"DKIM-Signature: x=1\r\n", *FIELDS))
    assert [one.reason for one in verify(over)] == [Reason.VERIFIED, Reason.MISSING_TAG]
    changed = over.replace(b"DKIM-Signature: x=1", b"DKIM-Signature: x=2")
    assert verify(changed)[0].reason is Reason.SIGNATURE


def test_folds_and_white_space_are_free_in_relaxed_only() -> None:
    changes = [
        (b"Subject: a  subject", b"SUBJECT:\ta subject"),
        (b"<bob@example.net>,\r\n Eve", b"<bob@example.net>, Eve"),
        (b"Hello  Bob,\r\n", b"Hello Bob, \t\r\n"),
        (b"\r\n\r\n\r\n", b"\r\n"),
    ]
    for old, new in changes:
        relaxed, simple = message({"c": "relaxed/relaxed"}), message({"c": "simple/simple"})
        assert old in relaxed
        assert only(relaxed.replace(old, new)).authenticates
        end = old == b"\r\n\r\n\r\n"  # simple passes over empty lines at the end as well
        assert only(simple.replace(old, new)).authenticates is end


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"a  subject", b"as ubject"),
        (b"a  subject", b"a\r\nX: subject"),
        (b"Hello  Bob", b"HelloBob"),
        (b"Hello  Bob", b"Hello\r\nBob"),
        (b"\r\n\r\n\tit", b"\r\n\tit"),
        (b"\tit is", b"it is"),
        (b"From: Ann", b"From: Ann\x0b"),
        (b"From: Ann", b"From: Ann\xc2\xa0"),
        (b"From: Ann", b"From: ann"),
    ],
)
def test_other_white_space_is_not(old: bytes, new: bytes) -> None:
    data = message()
    assert old in data
    assert not only(data.replace(old, new, 1)).authenticates


def signed_content(data: bytes) -> tuple[list[bytes], bytes]:
    """Header fields that matter in their canonical form, and the body's, by a plain reading."""
    head, _, body = data.partition(b"\r\n\r\n")
    fields = re.split(rb"\r\n(?![ \t])", head)
    return [canonical_field(one + b"\r\n", "relaxed") for one in fields], canonical_body(body, "relaxed")


SIGNED = message({"h": "from:from:to:to:subject:subject:date:date"})


@settings(max_examples=400, deadline=None)
@given(
    st.integers(SIGNED.index(b"\r\n") + 2, len(SIGNED) - 1),
    st.integers(0, 255),
    st.sampled_from(["set", "insert", "cut"]),
)
def test_any_change_of_what_is_signed_fails(at: int, octet: int, how: str) -> None:
    rest = SIGNED[at:] if how == "insert" else SIGNED[at + 1 :]
    changed = SIGNED[:at] + (b"" if how == "cut" else bytes((octet,))) + rest
    outcomes = verify(changed)
    if any(one.authenticates for one in outcomes):
        assert signed_content(changed) == signed_content(SIGNED)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_change_of_the_signature_field_fails(data: st.DataObject) -> None:
    end = SIGNED.index(b"\r\n")
    at = data.draw(st.integers(0, SIGNED.index(b"; b=")))
    octet = data.draw(st.integers(0, 255))
    changed = SIGNED[:at] + bytes((octet,)) + SIGNED[at + 1 :]
    if any(one.authenticates for one in verify(changed)):
        before, after = SIGNED[: end + 2], changed[: end + 2]
        assert canonical_field(before, "relaxed") == canonical_field(after, "relaxed")


@settings(deadline=None)
@given(st.binary(max_size=300), st.lists(st.binary(max_size=40), max_size=4))
def test_never_raises(head: bytes, chunks: list[bytes]) -> None:
    verifier = Verifier(index(b"DKIM-Signature:" + head + b"\r\n\r\n"), NOW)
    for chunk in chunks:
        verifier.feed(chunk)
    for outcome in verifier.finish({name: found(record(ed25519())) for name in verifier.names}):
        assert not outcome.authenticates


TAGS = st.dictionaries(
    st.sampled_from(["v", "a", "c", "d", "i", "s", "h", "l", "q", "t", "x", "bh", "b", "zz"]),
    st.one_of(
        st.none(),
        st.text(max_size=12),
        st.sampled_from(["1", "relaxed", "simple/relaxed", "from", "0", "@example.org", "dns/txt"]),
    ),
    max_size=4,
)


@settings(deadline=None)
@given(TAGS, st.lists(st.sampled_from([record(ed25519()), b"p=", b"", b"v=DKIM1; t=y:s; k=ed25519; p=x"]), max_size=5))
def test_never_raises_on_what_looks_like_one(tags: dict[str, str | None], records: list[bytes]) -> None:
    try:
        data = message(tags)
    except (UnicodeEncodeError, ValueError):
        return
    header = index(data)
    verifier = Verifier(header, NOW)
    verifier.feed(data[header.end :])
    answers = {name: found(*records) for name in verifier.names}
    for outcome in verifier.finish(answers):
        assert isinstance(outcome.reason.result, Result)


def test_time_is_bounded_for_many_fields_and_names() -> None:
    names = ":".join(["from", *["x"] * 255])
    fields = (*FIELDS, *[b"X: y\r\n"] * 5000)
    data = message({"h": names}, fields=fields)
    field = data[: data.index(b"\r\n") + 2]
    begun = time.process_time()
    outcomes = verify(field * 7 + data)
    assert time.process_time() - begun < 1.0  # 20 ms
    assert [one.reason for one in outcomes] == [Reason.VERIFIED] * 8
