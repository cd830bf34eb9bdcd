"""What headers lose and gain: to the octet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.message.header import index
from poterne.message.hygiene import cleaned_received, cleaned_submitted

OURS = b"mx.example.org"


def date() -> bytes:
    return b"Date: now\r\n"


def message_id() -> bytes:
    return b"Message-ID: <1@mx>\r\n"


def received(fields: bytes) -> bytes:
    return cleaned_received(index(fields + b"\r\nbody"), OURS)


def test_a_clean_header_is_the_same_object() -> None:
    header = index(b"From: a@b\r\n\r\nbody")
    assert cleaned_received(header, OURS) is header.block


def test_what_only_we_write_goes_whole_and_nothing_else_moves() -> None:
    kept = [
        b"Received: a\r\n\tb\r\n",
        b"FROM:  a@b\r\n",
        b"X-Poterne: not ours\r\n",
        b"subject: x\r\n y \r\n",
        b"Delivered-To: a@b\r\n",
    ]
    gone = [
        b"Return-Path: <x>\r\n",
        b"RETURN-path:\r\n <y>\r\n",
        b"X-Poterne-Verdict: good\r\n",
        b"x-poterne-a:\r\n b\r\n",
    ]
    fields = kept[0] + gone[0] + kept[1] + gone[1] + gone[2] + kept[2] + kept[3] + gone[3] + kept[4]
    assert received(fields) == b"".join(kept) + b"\r\n"
    assert received(gone[0] + kept[0]) == kept[0] + b"\r\n"
    assert received(kept[0] + gone[3]) == kept[0] + b"\r\n"


@pytest.mark.parametrize(
    "value",
    [
        b" mx.example.org; spf=pass", b" MX.Example.ORG 1; dkim=pass", b" mx.example.org.; x=y", b" mx.example.org none", b"mx.example.org;none",
        b"\r\n mx.example.org;\r\n\tspf=pass", b" mx.example.org", b' "mx.example.org"; spf=pass', b' "m\\x.example.org"; spf=pass',
        b" (;) mx.example.org; spf=pass", b" (a) other.example; spf=pass", b" =?utf-8?q?mx?=.example.org; spf=pass",
        b" mx.example.org spf=pass", b" \xef\xbd\x8dx.example.org; spf=pass", b"", b" ; spf=pass", b" mx.example.org (c) 1; spf=pass",
    ],
)  # fmt: skip
def test_results_in_our_name_or_a_doubtful_one_go(value: bytes) -> None:
    """X30."""
    assert received(b"Authentication-Results:" + value + b"\r\nFrom: a@b\r\n") == b"From: a@b\r\n\r\n"


@pytest.mark.parametrize(
    "value",
    [b" other.example; spf=pass", b" other.example 1; x=mx.example.org", b" notmx.example.org; spf=pass", b" a none"],
)
def test_results_of_others_stay(value: bytes) -> None:
    fields = b"Authentication-Results:" + value + b"\r\nARC-Authentication-Results: i=1; mx.example.org; spf=pass\r\n"
    assert received(fields) == fields + b"\r\n"


def test_a_submission_gets_what_it_lacks_at_the_end() -> None:
    def made(data: bytes) -> bytes:
        return cleaned_submitted(index(data), date, message_id)

    assert made(b"From: a@b\r\n\r\nbody") == b"From: a@b\r\nDate: now\r\nMessage-ID: <1@mx>\r\n\r\n"
    assert made(b"Date: then\r\n\r\nbody") == b"Date: then\r\nMessage-ID: <1@mx>\r\n\r\n"
    assert made(b"message-id: <x@y>\r\n\r\n") == b"message-id: <x@y>\r\nDate: now\r\n\r\n"
    both = b"DATE: then\r\nMESSAGE-ID: <x@y>\r\n\r\n"
    assert made(both + b"body") == both
    assert made(b"From: a@b\r\n") == b"From: a@b\r\nDate: now\r\nMessage-ID: <1@mx>\r\n", "no empty line"
    assert made(b"From: a@b") == b"From: a@b\r\nDate: now\r\nMessage-ID: <1@mx>\r\n"


def test_a_submission_loses_what_no_author_writes() -> None:
    """S12."""
    kept = b"From: a@b\r\nDate: then\r\nMessage-ID: <x@y>\r\nReceived: a\r\nX-Spam: x\r\nTo: c@d\r\n"
    gone = (
        b"Bcc: secret@b\r\nBCC:\r\nResent-Bcc: s@b\r\nReturn-Path: <x>\r\nDelivered-To: x@y\r\nAuthentication-Results: any; spf=pass\r\n"
        b"Received-SPF: pass\r\nDKIM-Signature: v=1;\r\n\tb=a\r\nARC-Seal: i=1\r\nARC-Message-Signature: i=1\r\n"
        b"ARC-Authentication-Results: i=1\r\nX-Spam-Flag: NO\r\nX-Poterne-Verdict: good\r\n"
    )
    for fields in (gone + kept, kept + gone):
        assert cleaned_submitted(index(fields + b"\r\nbody"), date, message_id) == kept + b"\r\n"


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from([b"Bcc: x\r\n", b"A: b\r\n", b"\r\n", b" c\r\n", b"d\r\n"])).map(b"".join)
)
def test_any_header_is_cleaned(data: bytes) -> None:
    header = index(data)
    assert len(cleaned_received(header, OURS)) <= len(header.block)
    again = index(cleaned_submitted(header, date, message_id) + data[header.end :])
    assert not again.find(b"bcc")
    assert again.find(b"date")
