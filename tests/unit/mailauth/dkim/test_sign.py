"""What we sign verifies, and can't be changed."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.mailauth.dkim import keys
from poterne.mailauth.dkim.outcome import Reason
from poterne.mailauth.dkim.record import KeyType
from poterne.mailauth.dkim.sign import ALWAYS, Signer, signed_fields
from poterne.message.header import index
from tests.unit.mailauth.dkim.signed import FIELDS, NOW, our_answers, our_keys, verify

HEAD = b"".join(FIELDS) + b"Message-ID: <1@example.org>\r\nMIME-Version: 1.0\r\nX-Other: 1\r\n"
BODY = b"Hello  there \r\n\r\n.\r\nBye\r\n\r\n"


def sign(data: bytes, chunk: int = 1 << 30) -> bytes:
    header = index(data)
    signer = Signer(our_keys(), header, NOW)
    for at in range(header.end, len(data), chunk):
        signer.feed(data[at : at + chunk])
    return signer.finish() + data


def reasons(data: bytes) -> list[Reason]:
    return [one.reason for one in verify(data, our_answers())]


def good(data: bytes) -> bool:
    outcomes = verify(data, our_answers())
    return len(outcomes) == 2 and all(one.authenticates for one in outcomes)


def test_both_keys_sign_and_both_verify() -> None:
    outcomes = verify(sign(HEAD + b"\r\n" + BODY), our_answers())
    assert [one.reason for one in outcomes] == [Reason.VERIFIED] * 2
    assert [one.algorithm for one in outcomes] == ["rsa-sha256", "ed25519-sha256"]
    assert [one.key_bits for one in outcomes] == [2048, 256]
    for one in outcomes:
        assert (one.domain, one.identity, one.signed_s, one.unsigned) == ("example.org", "@example.org", NOW, ())
        assert one.extendable == ()
        assert one.authenticates
        assert not one.weak


def test_the_field_is_folded_and_says_what_it_should() -> None:
    fields = Signer(our_keys(), index(HEAD + b"\r\n"), NOW).finish()
    assert fields.endswith(b"\r\n")
    assert b"\r\n\r\n" not in fields
    lines = fields.removesuffix(b"\r\n").split(b"\r\n")
    assert max(map(len, lines)) <= 78
    assert all(line.startswith((b"DKIM-Signature: v=1; a=", b" ")) and line.strip() for line in lines)
    assert not any(line.endswith(b" ") for line in lines)
    assert re.search(rb"[ ;]l=", fields) is None
    assert fields.count(b"c=relaxed/relaxed;") == 2
    assert fields.isascii()


def test_a_long_domain_and_selector_fit_in_a_line_that_may_be_sent() -> None:
    name = ".".join(["a" * 60] * 3)
    key = keys.SigningKey(name, "s" * 60, our_keys()[0].private)
    field = Signer([key], index(HEAD + b"\r\n"), NOW).finish()
    assert max(map(len, field.split(b"\r\n"))) < 260
    header = index(field + HEAD + b"\r\n")
    assert len(header.find(b"dkim-signature")) == 1


def test_no_key_no_field() -> None:
    signer = Signer((), index(HEAD + b"\r\n"), NOW)
    signer.feed(b"x")
    assert signer.finish() == b""


@pytest.mark.parametrize("size", [1, 2, 5])
def test_chunks_do_not_matter(size: int) -> None:
    data = HEAD + b"\r\n" + BODY
    ed = [line for line in sign(data, size).split(b"DKIM-Signature:") if b"ed25519" in line]
    assert ed == [line for line in sign(data).split(b"DKIM-Signature:") if b"ed25519" in line]
    assert good(sign(data, size))


@pytest.mark.parametrize("name", [name.decode() for name in ALWAYS])
def test_nobody_adds_what_readers_see(name: str) -> None:
    data = sign(HEAD + b"\r\n" + BODY)
    assert reasons(f"{name.title()}: forged\r\n".encode() + data) == [Reason.SIGNATURE] * 2


def test_relays_and_lists_may_add_their_own() -> None:
    data = sign(HEAD + b"\r\n" + BODY)
    added = b"Return-Path: <>\r\nReceived: from a\r\n by b; now\r\nList-Id: <l.example.net>\r\nSender: l@example.net\r\nX-Spam: no\r\n"
    assert good(added + data)
    assert good(data.replace(b"X-Other: 1\r\n", b""))


def test_what_a_list_has_said_can_not_be_said_again() -> None:
    data = sign(HEAD + b"List-Unsubscribe: <https://example.org/u>\r\n\r\n" + BODY)
    assert good(data)
    assert reasons(b"List-Unsubscribe: <https://evil.example/>\r\n" + data) == [Reason.SIGNATURE] * 2
    assert reasons(data.replace(b"example.org/u", b"example.org/v")) == [Reason.SIGNATURE] * 2


def test_nothing_is_appended() -> None:
    data = sign(HEAD + b"\r\n" + BODY)
    assert reasons(data + b"x\r\n") == [Reason.BODY_HASH] * 2
    assert good(data + b"\r\n\r\n")


def test_instances_that_are_there_are_signed_from_the_bottom() -> None:
    header = index(b"Subject: a\r\nSubject: b\r\nFrom: c\r\n\r\n")
    names = signed_fields(header)
    assert names.count(b"subject") == 3
    assert names.count(b"from") == 2
    assert names.count(b"to") == 1
    assert b"sender" not in names
    assert good(sign(b"Subject: a\r\nSubject: b\r\nFrom: c\r\n\r\n"))


def test_a_header_with_thousands_of_a_name_makes_no_field_of_thousands() -> None:
    assert len(Signer(our_keys(), index(b"To: x\r\n" * 5000 + b"\r\n"), NOW).finish()) < 2500


TEXT = st.lists(
    st.sampled_from([b"a", b" ", b"\t", b"\r\n ", b"\r\n\t", b":", b";", b"\xc3\xa9", b"b="]), max_size=12
).map(b"".join)
NAMES = st.sampled_from(
    ["From", "To", "SUBJECT", "Date", "X-Any", "List-Id", "Received", "Content-Type", "DKIM-Signature"]
)
BODIES = st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"\r\n\r\n", b"\xe9", b"= ", b"."]), max_size=40).map(
    b"".join
)


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, TEXT), max_size=8), BODIES)
def test_what_we_sign_verifies(fields: list[tuple[str, bytes]], body: bytes) -> None:
    head = b"".join(name.encode() + b":" + value + b"\r\n" for name, value in fields)
    data = sign(head + b"\r\n" + body)
    assert [one.reason for one in verify(data, our_answers())[:2]] == [Reason.VERIFIED] * 2


SIGNED = sign(HEAD + b"\r\n" + BODY)


@settings(deadline=None)
@given(st.integers(len(SIGNED) - len(HEAD) - len(BODY) - 2, len(SIGNED) - 1), st.sampled_from(list(b"aZ09:@<>.-_")))
def test_a_changed_letter_fails(at: int, octet: int) -> None:
    changed = SIGNED[:at] + bytes((octet,)) + SIGNED[at + 1 :]
    old = SIGNED[at : at + 1]
    line = SIGNED[: SIGNED.find(b"\r\n", at)].rpartition(b"\r\n")[2]
    if line.startswith(b"X-Other") or old == bytes((octet,)):
        return
    assert not any(one.authenticates for one in verify(changed, our_answers())), (at, octet)


def test_a_signature_is_made_in_time() -> None:
    data = HEAD + b"\r\n" + BODY * 40
    begun = time.process_time()
    for _ in range(20):
        sign(data)
    assert (time.process_time() - begun) / 20 < 0.01  # 0.8 ms


def test_a_key_says_nothing_of_itself() -> None:
    for key in our_keys():
        assert repr(key) == f"SigningKey({key.name}, {key.type.value})"
    assert {key.type for key in our_keys()} == set(KeyType)
