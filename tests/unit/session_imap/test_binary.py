"""Decoding in pieces gives what decoding at once gives."""

import base64
import binascii

from hypothesis import given
from hypothesis import strategies as st

from poterne.session.imap import binary


def in_pieces(encoding: bytes, data: bytes, size: int) -> bytes:
    decoder = binary.decoder(encoding)
    assert decoder is not None
    found = b"".join(decoder.feed(data[at : at + size]) for at in range(0, len(data), size))
    return found + decoder.finish()


@given(st.binary(max_size=400), st.integers(1, 90))
def test_base64(data: bytes, size: int) -> None:
    text = base64.encodebytes(data).replace(b"\n", b"\r\n")
    assert in_pieces(b"base64", text, size) == data
    assert in_pieces(b"base64", text.rstrip(b"=\r\n"), size) == data


@given(st.binary(max_size=400), st.integers(1, 90))
def test_base64_of_anything_ends(data: bytes, size: int) -> None:
    assert in_pieces(b"base64", data, size) == in_pieces(b"base64", data, 1000)


@given(st.binary(max_size=400), st.integers(1, 90))
def test_quoted_printable(data: bytes, size: int) -> None:
    text = binascii.b2a_qp(data.replace(b"\r", b"").replace(b"\n", b"\r\n"), istext=True)
    assert in_pieces(b"quoted-printable", text, size) == binascii.a2b_qp(text)


@given(st.lists(st.binary(max_size=20), max_size=10), st.integers(0, 100), st.integers(0, 100))
def test_window(chunks: list[bytes], offset: int, count: int) -> None:
    assert b"".join(binary.window(iter(chunks), offset, count)) == b"".join(chunks)[offset : offset + count]


def test_unknown() -> None:
    assert binary.decoder(b"x-uuencode") is None
