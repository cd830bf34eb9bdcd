import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.mailauth.spf import record
from poterne.mailauth.spf.outcome import Reason, Result
from poterne.mailauth.spf.record import RECORD_BYTES_MOST, Malformed, Mechanism, Record

TERMS = (
    "all", "include:", "a", "a:", "mx", "mx:", "ptr", "ptr:", "ip4:", "ip6:", "exists:", "redirect=", "exp=", "moo=",
    "192.0.2.1", "2001:db8::1", "/24", "//64", "example.com", "%{i}", "%{dr2}", "%{L1r-}", "%%", "%_", "%-", "%{", "}", ".",
    "+", "-", "~", "?", " ", "%{p}", "x", "0", "1",
)  # fmt: skip


def read(text: str) -> Record:
    found = record.read(text.encode())
    assert isinstance(found, Record), found
    return found


def test_a_record_says_what_was_published() -> None:
    found = read("v=spf1 +A/24//64 ~ip4:192.0.2.128/28 exists:%{i}.X.test exp=E.x.test redirect=R.test moo=x")
    a, ip4, exists = found.directives
    assert (a.mechanism, a.result, a.text, a.domain) == (Mechanism.A, Result.PASS, "+A/24//64", None)
    assert (a.host_bits_4, a.host_bits_6) == (8, 64)
    assert (ip4.mechanism, ip4.result, ip4.version, ip4.network, ip4.host_bits_4) == (
        Mechanism.IP4,
        Result.SOFTFAIL,
        4,
        0xC0000280,
        4,
    )
    assert exists.domain is not None
    assert exists.domain.letters == {"i"}
    assert exists.domain.target({"i": "1.2.3.4"}) == "1.2.3.4.x.test"
    assert found.explanation is not None
    assert found.explanation.fixed == "e.x.test"
    assert found.redirect is not None
    assert (found.redirect.fixed, found.redirect_text) == ("r.test", "redirect=R.test")


def test_what_stands_behind_all_is_read_and_dropped() -> None:
    found = read("v=spf1 redirect=a.test -all ip4:192.0.2.1 redirec=b.test exp=c.test")
    assert [directive.text for directive in found.directives] == ["-all"]
    assert found.redirect is None
    assert found.explanation is not None


def test_the_same_text_is_read_once() -> None:
    assert record.read(b"v=spf1 a:once.test -all") is record.read(b"v=spf1 a:once.test -all")


def test_records_have_an_end() -> None:
    term = b" ip4:192.0.2.1"
    longest = b"v=spf1" + term * ((RECORD_BYTES_MOST - 6) // len(term))
    assert isinstance(record.read(longest), Record)
    assert record.read(b"v=spf1 " + b" " * RECORD_BYTES_MOST) == Malformed(Reason.TOO_LONG)


@pytest.mark.parametrize("text", ["v=spf1", "v=spf1 ", "V=SPF1 a"])
def test_records_are_selected_by_their_version(text: str) -> None:
    assert record.select([b"other", text.encode(), b"v=spf10", b"v=spf1\ta", b"v=spf1.", b""]) == [text.encode()]


def test_what_is_wrong_is_shown_short_and_printable() -> None:
    found = record.read(b"v=spf1 " + b"x" * 500)
    assert isinstance(found, Malformed)
    assert len(found.term) == 80
    found = record.read(b"v=spf1 \r\n\xe9\0")
    assert found == Malformed(Reason.SYNTAX, "v=spf1 ????")


@pytest.mark.parametrize(
    "text",
    [
        "a:" + "a" * 8000 + "!.test", "a:." + "a" * 8000 + "!", "a:" + "a." * 4000, "a:." + "-" * 8000, "a:x" + "/1" * 4000,
        "ip4:" + "1." * 4000, "ip6:" + ":" * 8000, "a:" + "%{d}" * 2000, "a:" + "%" * 8001, "a:%{" + "d" * 8000,
        "a:%{d" + "0" * 8000 + "1}", "a:%{d" + "1" * 8000 + "}", "a:%{d" + "." * 8000 + "}", "x" * 8000 + "=", "a " * 4000,
        "a:" + "//1" * 2600,
    ],
)  # fmt: skip
def test_long_terms_take_linear_time(text: str) -> None:
    began = time.process_time()
    record._read(b"v=spf1 " + text.encode())
    assert time.process_time() - began < 0.1


@given(st.lists(st.sampled_from(TERMS), max_size=30).map("".join))
def test_any_text_of_pieces_is_read_or_refused(text: str) -> None:
    found = record.read(b"v=spf1 " + text.encode())
    assert isinstance(found, Record | Malformed)
    if isinstance(found, Record):  # what was accepted is read the same from its own terms
        again = " ".join(directive.text for directive in found.directives)
        assert read(f"v=spf1 {again}").directives == found.directives


@given(st.binary(max_size=200))
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    for text in (octets, b"v=spf1 " + octets):
        found = record.read(text)
        assert isinstance(found, Record | Malformed)
        if isinstance(found, Malformed):
            assert found.term.isprintable()
            assert found.term.isascii()
