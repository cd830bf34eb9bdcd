import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.message.forwarded import MAX_DELIVERED_TO, delivered_to, folded, loops, passed_through
from poterne.message.header import HeaderIndex, index


def header(*values: bytes) -> HeaderIndex:
    return index(b"".join(b"Delivered-To: " + value + b"\r\n" for value in values) + b"Subject: x\r\n\r\n")


def test_field() -> None:
    assert delivered_to("ann@example.org") == b"Delivered-To: ann@example.org\r\n"


@pytest.mark.parametrize("tail", ["", "\r\nBcc: x@y", "\n", "> <", " ", "\u2028", "\x00", "\udc80"])
def test_field_is_one_field_and_finds_itself(tail: str) -> None:
    octets = delivered_to("ann@example.org" + tail)
    assert octets.count(b"\r\n") == 1
    assert octets.count(b"\n") == 1
    assert len(index(octets + b"\r\n").fields) == 1


def test_folding() -> None:
    assert folded("Ann+Tag@Example.ORG") == "ann@example.org"
    assert folded("+tag@example.org") == "+tag@example.org"
    assert folded("ann@example.org") == folded("ANN+a+b@example.org")
    assert folded("*@example.org") == "*@example.org"
    assert folded("no address") == "no address"


def test_loops() -> None:
    assert not loops(header(), "ann@example.org")
    assert not loops(header(b"ben@example.org", b"cat@example.org"), "ann@example.org")
    assert loops(header(b"ben@example.org", b"ANN+x@example.org"), "ann@example.org")
    assert loops(header(b"<ann@example.org>"), "ann+y@example.org")
    assert loops(index(b"delivered-TO :\r\n ann@example.org\r\n\r\n"), "ann@example.org")
    assert not loops(header(b"ann@example.org.evil.example", b"xann@example.org"), "ann@example.org")


def test_too_many_are_a_loop() -> None:
    assert not loops(header(*[b"x@example.com"] * MAX_DELIVERED_TO), "ann@example.org")
    assert loops(header(*[b"x@example.com"] * (MAX_DELIVERED_TO + 1)), "ann@example.org")


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_always_returns(values: list[bytes]) -> None:
    found = passed_through(header(*values))
    assert len(found) <= MAX_DELIVERED_TO
    loops(header(*values), "ann@example.org")


@given(st.emails())
def test_what_is_written_is_found(address: str) -> None:
    written = index(delivered_to(address) + b"Subject: x\r\n\r\n")
    assert loops(written, address)


@pytest.mark.parametrize(
    "via", ["a b@example.org", "a<b>@example.org", "a\xa0b@example.org", "a b+x@example.org", '"a b"@example.org']
)
def test_an_address_that_the_field_can_t_hold_is_known_again(via: str) -> None:
    """Else a forward of such an address would go round until the count of Received fields ends it."""
    assert loops(index(delivered_to(via) + b"From: a@b.example\r\n\r\n"), via)
    assert not loops(index(delivered_to("c d@example.org") + b"From: a@b.example\r\n\r\n"), via)
