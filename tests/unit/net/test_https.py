"""Responses of web servers, as they come: whole or in pieces, good or not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.net.https import FetchError, Response

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
GOOD = (
    HEAD + b"Content-Length: 5\r\n\r\nhello",
    HEAD + b"content-length:5 \r\nX: y\r\n\r\nhello and more",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2 ;x\r\nlo\r\n0\r\n\r\n",
)


def read(pieces: list[bytes]) -> bytes | str | None:
    response = Response(b"text/plain", 1000)
    try:
        for piece in pieces:
            response.receive(piece)
            if (body := response.body()) is not None:
                return body
    except FetchError as error:
        return error.fault.value
    return None


@pytest.mark.parametrize("answer", GOOD)
def test_in_pieces(answer: bytes) -> None:
    assert read([answer]) == b"hello"
    assert read([bytes([octet]) for octet in answer]) == b"hello"
    for at in range(len(answer)):
        assert read([answer[:at], answer[at:]]) == b"hello"


@given(
    st.lists(
        st.sampled_from([*GOOD[2].splitlines(keepends=True), b"\r\n", b"fff\r\n", b"\xff", b"Content-Length: 3\r\n"])
    )
)
def test_any_answer(pieces: list[bytes]) -> None:
    """Nothing else is raised, and no more is read than allowed."""
    whole = b"".join(pieces)
    found = read([whole])
    assert read([bytes([octet]) for octet in whole]) == found
    if isinstance(found, bytes):
        assert len(found) <= 1000


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_octets_behind_a_head(tail: bytes, at: int) -> None:
    for head in (b"", HEAD, HEAD + b"Transfer-Encoding: chunked\r\n\r\n"):
        answer = head + tail
        assert read([answer]) == read([answer[:at], answer[at:]])
