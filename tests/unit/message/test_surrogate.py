"""A header for programs that know ASCII only: readable, parsable, and untouched where it was ASCII."""

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.message.surrogate import READ_OCTETS, surrogate


def read(header: bytes) -> email.message.EmailMessage:
    made = surrogate(header)
    assert made.isascii()
    assert made.endswith(b"\r\n\r\n")
    assert all(len(line) <= 78 or b"?=" not in line for line in made.split(b"\r\n"))
    message = email.message_from_bytes(made, policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    return message


def test_ascii_is_the_same_object() -> None:
    header = b"Subject: plain =?utf-8?q?x?=\r\nTo: a@b.example\r\n\r\n"
    assert surrogate(header) is header


def test_texts_and_names() -> None:
    header = (
        "Subject: Réunion de jeudi,\r\n à 14 h =?utf-8?q?caf=C3=A9?=\r\n"
        'From: "Zoé, D." <zoe@far.example>, bob@far.example\r\n'
        "X-Note: déjà\r\nTo: plain@far.example\r\n\r\n"
    ).encode()
    message = read(header)
    assert message["Subject"] == "Réunion de jeudi, à 14 h café"
    first, second = message["From"].addresses
    assert (first.display_name, first.addr_spec) == ("Zoé, D.", "zoe@far.example")
    assert second.addr_spec == "bob@far.example"
    assert message["X-Note"] == "déjà"
    assert b"To: plain@far.example\r\n" in surrogate(header)


def test_an_address_that_is_not_ascii_is_shown_and_can_t_be_answered() -> None:
    message = read("From: Ütz <dörte@bücher.example>\r\nSubject: x\r\n\r\n".encode())
    (group,) = message["From"].groups
    assert group.display_name == "Ütz dörte@bücher.example"
    assert group.addresses == ()


def test_latin_1_is_read_too() -> None:
    assert read("Subject: déjà vu\r\n\r\n".encode("latin-1"))["Subject"] == "déjà vu"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ('Content-Type: text/plain; name="é"\r\n', b'Content-Type: text/plain; name="??"\r\n'),
        ("Sübject: x\r\n", b"S??bject: x\r\n"),
        ("not a field é\r\n", b"not a field ??\r\n"),
        ("Received: from é\r\n", b"Received: from ??\r\n"),
    ],
)
def test_elsewhere(field: str, expected: bytes) -> None:
    assert surrogate(field.encode() + b"\r\n") == expected + b"\r\n"


def test_a_long_text_is_folded_between_characters() -> None:
    text = "é" * 500
    assert read(f"Subject: {text}\r\n\r\n".encode())["Subject"] == text


def test_a_header_of_unusual_length_costs_little() -> None:
    header = "Subject: é\r\n".encode() * 10_000 + b"\r\n"
    assert len(header) > READ_OCTETS
    assert surrogate(header) == b"Subject: ??\r\n" * 10_000 + b"\r\n"


_parts = st.sampled_from(
    [
        b"Subject: ",
        b"From: ",
        b"\xc3\xa9",
        b"\xff",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"<",
        b">",
        b'"',
        b",",
        b":;",
        b"a@b",
        b"=?",
        b"(",
    ]
)


@given(st.lists(_parts, max_size=40).map(b"".join))
def test_any_header_becomes_ascii(header: bytes) -> None:
    made = surrogate(header)
    assert made.isascii()
    if header.isascii():
        assert made == header
