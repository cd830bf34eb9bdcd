import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.proto.sasl import base64
from poterne.proto.sasl.mechanism import Challenge, Credentials, Exchange, Malformed
from poterne.proto.sasl.registry import MECHANISMS, exchange
from poterne.values.secret import Secret


def new(name: str) -> Exchange:
    made = exchange(name)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"\0anna\0secret", Credentials("anna", Secret("secret"))),
        (b"boss\0anna\0secret", Credentials("anna", Secret("secret"), "boss")),
        ("\0é\0pässwörd".encode(), Credentials("é", Secret("pässwörd"))),
        (b"\0a\0" + b"p" * 255, Credentials("a", Secret(b"p" * 255))),
        (b"\0a\0 p ", Credentials("a", Secret(" p "))),
        (b"\0a\0" + b"p" * 256, Malformed("bad-password")),
        (b"", Malformed("nul-count")),
        (b"anna\0secret", Malformed("nul-count")),
        (b"\0anna\0secret\0", Malformed("nul-count")),
        (b"\0anna\0sec\0ret", Malformed("nul-count")),
        (b"\0\0secret", Malformed("bad-identity")),
        (b"\0anna\0", Malformed("bad-password")),
        (b"\0an\r\nna\0secret", Malformed("bad-identity")),
        (b"\0anna\0sec\nret", Malformed("bad-password")),
        (b"x\x7f\0anna\0secret", Malformed("bad-identity")),
        (b"\0\xff\0secret", Malformed("bad-identity")),
        (b"\0anna\0\xff", Malformed("bad-password")),
        (b"a" * 256 + b"\0anna\0secret", Malformed("bad-identity")),
        (b"\0" * 10_000, Malformed("too-long")),
    ],
)
def test_plain(message: bytes, expected: Credentials | Malformed) -> None:
    assert new("plain").start(Secret(message)) == expected
    asked = new("PLAIN")
    assert asked.start(None) == Challenge(b"")
    assert asked.step(Secret(message)) == expected
    assert asked.step(Secret(message)) == Malformed("unexpected-response")


def test_login() -> None:
    login = new("LOGIN")
    assert login.start(None) == Challenge(b"Username:")
    assert login.step(Secret("anna")) == Challenge(b"Password:")
    assert login.step(Secret("secret")) == Credentials("anna", Secret("secret"))
    assert login.step(Secret("secret")) == Malformed("unexpected-response")
    login = new("LOGIN")
    assert login.start(Secret("anna")) == Challenge(b"Password:")
    assert login.step(Secret("")) == Malformed("bad-password")
    login = new("LOGIN")
    assert login.start(Secret("")) == Malformed("bad-identity")
    assert login.step(Secret("x")) == Malformed("unexpected-response")
    assert new("LOGIN").step(Secret("x")) == Malformed("unexpected-response")


def test_registry() -> None:
    assert exchange("NTLM") is None
    assert type(exchange("login")) is not type(exchange("plain"))
    assert all(name == name.upper() for name in MECHANISMS)


def test_credentials_show_no_password() -> None:
    assert "secret" not in repr(new("PLAIN").start(Secret("\0anna\0secret")))


@pytest.mark.parametrize(
    "line",
    [
        b"=",
        b"A",
        b"AA",
        b"AAA",
        b"AA=A",
        b"AAAA=",
        b"AA==AAAA",
        b" AAAA",
        b"AAAA\n",
        b"AA-_",
        b"AB==",
        b"AAB=",
        b"\xff\xff\xff\xff",
        b"*",
    ],
)
def test_base64_refuses(line: bytes) -> None:
    assert base64.decode(line) is None


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_base64_round_trip(octets: bytes) -> None:
    assert base64.decode(base64.encode(octets)) == Secret(octets)


@settings(deadline=None)
@given(st.text("AB=+/- \n", max_size=12).map(str.encode))
def test_base64_has_one_spelling(line: bytes) -> None:
    found = base64.decode(line)
    assert found is None or base64.encode(found.reveal()) == line


def test_initial_response() -> None:
    assert base64.decode_initial(b"=") == Secret(b"")
    assert base64.decode_initial(b"") is None
    assert base64.decode_initial(b"AAAA") == Secret(b"\0\0\0")
    assert base64.decode(b"") == Secret(b"")


@settings(deadline=None)
@given(
    st.sampled_from(["PLAIN", "LOGIN"]),
    st.lists(st.binary(max_size=60) | st.sampled_from([b"\0a\0b", b"a"]), max_size=4),
)
def test_never_raises(name: str, responses: list[bytes]) -> None:
    made = new(name)
    step = made.start(Secret(responses.pop()) if responses else None)
    for response in responses:
        step = made.step(Secret(response))
    assert isinstance(step, Challenge | Credentials | Malformed)
