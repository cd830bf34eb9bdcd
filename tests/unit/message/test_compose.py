import email
import email.policy
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.message.compose import (
    PADDING_LEAST,
    Hop,
    Letter,
    Mailbox,
    compose,
    date_field,
    message_id,
    message_id_field,
    padded,
    received,
    return_path,
    with_protocol,
)
from poterne.message.decode import header_text, part_text
from poterne.message.header import index
from poterne.message.scan import scan


@pytest.mark.parametrize(
    ("extended", "tls", "authenticated", "utf8", "lmtp", "word"),
    [
        (False, False, False, False, False, "SMTP"),
        (True, False, False, False, False, "ESMTP"),
        (True, True, False, False, False, "ESMTPS"),
        (True, False, True, False, False, "ESMTPA"),
        (True, True, True, False, False, "ESMTPSA"),
        (True, True, True, True, False, "UTF8SMTPSA"),
        (True, False, False, True, False, "UTF8SMTP"),
        (True, True, False, False, True, "LMTPS"),
        (True, False, False, True, True, "UTF8LMTP"),
    ],
)
def test_protocol_words(extended: bool, tls: bool, authenticated: bool, utf8: bool, lmtp: bool, word: str) -> None:
    assert with_protocol(extended=extended, tls=tls, authenticated=authenticated, utf8=utf8, lmtp=lmtp) == word


def test_received() -> None:
    hop = Hop("client.example.com", "192.0.2.1", "mx.example.org", "ESMTPS", "7f3a", 1790062865, 120, "host.example.com", "TLSv1.3 TLS_AES_256_GCM_SHA384", "paul@example.org")  # fmt: skip
    assert received(hop) == (
        b"Received: from client.example.com (host.example.com [192.0.2.1])\r\n"
        b"\tby mx.example.org (TLSv1.3 TLS_AES_256_GCM_SHA384) with ESMTPS id 7f3a\r\n"
        b"\tfor <paul@example.org>; Tue, 22 Sep 2026 09:41:05 +0200\r\n"
    )
    assert b"(unknown [IPv6:2001:db8::1])" in received(Hop("[x]", "2001:db8::1", "mx", "SMTP", "1", 0))
    assert (
        received(Hop("h", "", "mx", "ESMTPA", "1", 0))
        == b"Received: from h by mx with ESMTPA id 1; Thu, 01 Jan 1970 00:00:00 +0000\r\n"
    )


hostile = st.text(max_size=300) | st.text(alphabet='a\r\n;()<>"\\\0 \t:', max_size=40)


@given(hostile, hostile, hostile, hostile, hostile)
def test_received_is_one_field_whatever_the_peer_says(
    helo: str, name: str, ident: str, tls: str, recipient: str
) -> None:
    field = received(Hop(helo, "192.0.2.1", "mx", "ESMTP", ident, 0, 0, name, tls, recipient))
    found = index(field + b"\r\n")
    assert [one.name for one in found.fields] == [b"received"]
    assert found.facts == () or len(recipient) > 200
    value = (found.value(b"received") or b"").decode()
    outside = re.sub(r"[ \t]for <.*>", "", value)
    assert value.count("\r") == value.count("\n") == 0
    assert outside.count(";") == 1
    assert outside.count("(") == outside.count(")") <= 2
    assert re.search(r";[ \t]Thu, 01 Jan 1970 00:00:00 \+0000\Z", value)
    assert return_path(recipient).count(b"\r\n") == 1


def test_small_fields() -> None:
    assert return_path("") == b"Return-Path: <>\r\n"
    assert return_path("a@b") == b"Return-Path: <a@b>\r\n"
    assert return_path("a>\r\nX: y") == b"Return-Path: <a???X: y>\r\n"
    assert message_id_field("x.1", "mx.example.org") == b"Message-ID: <x.1@mx.example.org>\r\n"
    assert date_field(0) == b"Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"


def letter(subject: str, text: str, name: str = "") -> Letter:
    return Letter(
        Mailbox("postmaster@example.org", name),
        (Mailbox("a@b"), Mailbox("c@d", name)),
        subject,
        text,
        0,
        message_id("u", "x"),
    )


def test_a_plain_letter() -> None:
    assert compose(letter("Hello", "Line\n")) == (
        b"From: <postmaster@example.org>\r\nTo: <a@b>,\r\n <c@d>\r\nSubject: Hello\r\nDate: Thu, 01 Jan 1970 00:00:00 +0000\r\n"
        b"Message-ID: <u@x>\r\nMIME-Version: 1.0\r\nAuto-Submitted: auto-generated\r\n"
        b"Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\nLine\r\n"
    )


@given(hostile, hostile, hostile)
def test_any_letter_is_read_back(subject: str, text: str, name: str) -> None:
    data = compose(letter(subject, text, name))
    assert data.isascii()
    assert all(len(line) <= 78 for line in data.split(b"\r\n"))
    found = index(data)
    assert found.facts == ()
    assert found.duplicates == ()
    assert len(found.fields) == 9
    scanned = scan(data)

    def readable(value: str) -> str:
        return value.encode("utf-8", "replace").decode()

    assert header_text(scanned.envelope.subject or b"") == readable(" ".join(subject.split()))
    assert [(one.mailbox, one.host) for one in scanned.envelope.from_] == [(b"postmaster", b"example.org")]
    assert header_text(scanned.envelope.from_[0].name or b"") == readable(" ".join(name.split()))
    body = part_text(data[scanned.root.body_start :], scanned.root).replace("\r\n", "\n")
    expected = readable(text.replace("\r\n", "\n").replace("\r", "\n"))
    assert body in {expected, expected + "\n"}
    theirs = email.message_from_bytes(data, policy=email.policy.default)
    assert theirs["from"].addresses[0].addr_spec == "postmaster@example.org"


def test_field_names_are_ours_to_get_right() -> None:
    bad = Letter(Mailbox("a@b"), (Mailbox("c@d"),), "s", "t", 0, "<x@y>", extra=(("X\r\nY", "z"),))
    with pytest.raises(ValueError):
        compose(bad)


@pytest.mark.parametrize("size", [*range(PADDING_LEAST, 300), 2_048, 4_096])
def test_padding_fills_any_room_with_one_good_field(size: int) -> None:
    fields = b"A: b\r\n"
    whole = padded(fields, len(fields) + size)
    assert len(whole) == len(fields) + size
    lines = whole.removesuffix(b"\r\n").split(b"\r\n")
    assert all(line.strip(b" ") and len(line) <= 78 for line in lines)
    assert lines[0] == b"A: b"
    assert len([line for line in lines if not line.startswith(b" ")]) == 2


def test_padding_needs_room_or_none() -> None:
    assert padded(b"A: b\r\n", 6) == b"A: b\r\n"
    with pytest.raises(ValueError, match="too small"):
        padded(b"A: b\r\n", 5 + PADDING_LEAST)
