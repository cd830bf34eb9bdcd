"""The HTTP core: what is a request, what is answered, that nothing is read behind it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.proto.core import Signal
from poterne.proto.http.messages import Malformed, Request, Response
from poterne.proto.http.server import HEAD_MOST, Server

GET = b"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.d.test\r\n\r\n"


def event(*pieces: bytes) -> Request | Malformed | Signal:
    server = Server()
    for piece in pieces:
        server.receive(piece)
    return server.next_event()


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_request_in_pieces(size: int) -> None:
    server = Server()
    for at in range(0, len(GET), size):
        assert at == 0 or server.next_event() is Signal.NEED_DATA
        server.receive(GET[at : at + size])
    assert server.next_event() == Request("GET", "mta-sts.d.test", "/.well-known/mta-sts.txt")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"HEAD / HTTP/1.1\r\nhOsT:MTA-STS.D.test.:443 \r\n\r\n", Request("HEAD", "mta-sts.d.test", "/")),
        (b"\r\n\r\nGET /a?b HTTP/1.0\r\n\r\n", Request("GET", "", "/a?b")),
        (b"GET https://h.test:443/x HTTP/1.1\r\nHost: other.test\r\n\r\n", Request("GET", "h.test", "/x")),
        (b"GET http://h.test HTTP/1.1\r\nHost: h.test\r\n\r\n", Request("GET", "h.test", "/")),
        (b"POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 5\r\n\r\nhello, and more", Request("POST", "h.test", "/", b"hello")),
        (b"POST / HTTP/1.1\r\nHost: h.test\r\n\r\n", Request("POST", "h.test", "/")),
        (b"GET / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 5\r\n\r\nhello", Request("GET", "h.test", "/")),
        (b"GET / HTTP/1.1\r\nHost: h.test\r\nAccept-Language: fr\r\nAccept-Language: en;q=0.5\r\n\r\n", Request("GET", "h.test", "/", languages="fr,en;q=0.5")),
        (b"POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 8193\r\n\r\n", Malformed(413, "body")),
        (b"POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 99999999999\r\n\r\n", Malformed(400, "length")),
        (b"POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: +5\r\n\r\nhello", Malformed(400, "length")),
        (b"POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", Malformed(400, "length")),
        (b"POST / HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Malformed(411, "chunked")),
        (b"POST / HTTP/1.1\r\nHost: h.test\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n", Malformed(417, "expect")),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Malformed(505, "version")),
        (b"GET / HTTP/1.1\r\n\r\n", Malformed(400, "host")),
        (b"GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", Malformed(400, "host")),
        (b"GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n", Malformed(400, "host")),
        (b"GET / HTTP/1.1\r\nHost: a.test\r\n folded\r\n\r\n", Malformed(400, "field")),
        (b"GET / HTTP/1.1\r\nHost : a.test\r\n\r\n", Malformed(400, "field")),
        (b"GET / HTTP/1.1\r\nHost: a\0.test\r\n\r\n", Malformed(400, "field")),
        (b"GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n", Malformed(400, "request-line")),
        (b"GET * HTTP/1.1\r\nHost: a.test\r\n\r\n", Malformed(400, "target")),
        (b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n", Malformed(400, "target")),
        (b"GET / HTTP/1.1\nHost: a.test\n\n", Malformed(400, "bare-lf")),
        (b"GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", Malformed(400, "length")),
        (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\nHost: a.test\r\n\r\n", Malformed(414, "target")),
        (b"GET /" + b"a" * HEAD_MOST, Malformed(414, "too-long")),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 2000, Malformed(431, "too-long")),
        (b"GET / HTTP/1.1\r\nHost: a.test\r\n" + b"X: y\r\n" * 101 + b"\r\n", Malformed(400, "field")),
    ],
    ids=lambda one: "",
)  # fmt: skip
def test_what_is_a_request(request_: bytes, expected: Request | Malformed) -> None:
    assert event(request_) == expected


def test_the_answer_ends_it() -> None:
    server = Server()
    server.receive(GET + GET)
    assert isinstance(server.next_event(), Request)
    server.send(Response(200, b"text\r\n", date="Mon, 23 Nov 2026 00:00:00 GMT", max_age_s=60))
    assert server.pending == sum(map(len, out := server.output()))
    assert b"".join(out) == (
        b"HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n"
        b"Cache-Control: max-age=60\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\ntext\r\n"
    )
    server.receive(GET)
    assert server.next_event() is Signal.CLOSED
    with pytest.raises(RuntimeError):
        server.send(Response(200))


def test_head_has_the_length_and_no_body() -> None:
    server = Server()
    server.receive(GET.replace(b"GET", b"HEAD"))
    server.next_event()
    server.send(Response(200, b"text\r\n"))
    text = b"".join(server.output())
    assert b"Content-Length: 6\r\n" in text
    assert text.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_body_in_pieces(size: int) -> None:
    data = b"POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 8192\r\n\r\n" + b"x" * 8192
    server = Server()
    for at in range(0, len(data), size):
        assert at == 0 or server.next_event() is Signal.NEED_DATA
        server.receive(data[at : at + size])
    assert server.next_event() == Request("POST", "h.test", "/a", b"x" * 8192)


def test_who_asks_first_is_told_to_go_on() -> None:
    head = b"POST / HTTP/1.1\r\nHost: h.test\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n"
    server = Server()
    server.receive(head)
    assert server.next_event() is Signal.NEED_DATA
    assert server.output() == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    server.receive(b"h")
    assert server.next_event() is Signal.NEED_DATA
    assert server.output() == []  # once
    server.receive(b"i")
    assert server.next_event() == Request("POST", "h.test", "/", b"hi")
    whole = Server()
    whole.receive(head + b"hi")
    assert whole.next_event() == Request("POST", "h.test", "/", b"hi")
    assert whole.output() == []


def test_a_body_that_breaks_off() -> None:
    assert event(b"POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 9\r\n\r\nhalf", b"") is Signal.CLOSED


def test_fields_of_an_answer() -> None:
    server = Server()
    server.receive(GET)
    server.next_event()
    server.send(Response(200, b"<p>", content_type="text/html; charset=utf-8", fields=(("Vary", "Accept-Language"),)))
    text = b"".join(server.output())
    assert b"\r\nContent-Type: text/html; charset=utf-8\r\n" in text
    assert b"\r\nVary: Accept-Language\r\n" in text


def test_end_of_file() -> None:
    assert event(GET[:-2], b"") is Signal.CLOSED
    assert event(b"") is Signal.CLOSED


_PIECES = st.sampled_from(
    [b"GET ", b"HEAD ", b"POST ", b"\r\n\r\n", b"Content-Length: 2\r\n", b"Expect: 100-continue", b"/", b"/.well-known/mta-sts.txt", b" HTTP/1.1", b" HTTP/1.0", b"\r\n", b"\n", b"\r", b"Host: ", b"a.test", b":", b" ", b"\0", b"https://a.test/", b"\xff", b"Content-Length: 9", b"[::1]"]
)  # fmt: skip


@given(st.lists(_PIECES | st.binary(max_size=20), max_size=40), st.integers(1, 9))
def test_whatever_comes(pieces: list[bytes], size: int) -> None:
    data = b"".join(pieces)
    whole = event(data)
    server = Server()
    found: Request | Malformed | Signal = Signal.NEED_DATA
    for at in range(0, len(data), size):
        server.receive(data[at : at + size])
        found = server.next_event()
        if found is not Signal.NEED_DATA:
            break
    if isinstance(whole, Request):
        assert found == whole
        assert whole.host == whole.host.lower()
        assert whole.path.startswith(("/", "?", "#"))
    if not isinstance(found, Signal):
        server.send(Response(found.status if isinstance(found, Malformed) else 404))
        assert server.next_event() is Signal.CLOSED
