"""Plaintext around STARTTLS and STLS is never read as if it had come inside TLS: T10 to T12, on three protocols and both loops."""

import contextlib
import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.attack_client import Target, Wire, plain, target


@pytest.fixture(scope="module")
def other_loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    settings = {"server": {"workers": 1, "drain_s": 1, "loop": "asyncio"}}
    with target(tmp_path_factory.mktemp("asyncio") / "instance", settings) as found:  # type: ignore[arg-type]  # a word
        yield found


@pytest.fixture(params=["auto", "asyncio"])
def loop(request: pytest.FixtureRequest) -> Iterator[Target]:
    found: Target = request.getfixturevalue("world" if request.param == "auto" else "other_loop")
    yield found
    found.close_wires()


@dataclass(frozen=True)
class Protocol:
    listener: str
    starttls: bytes
    go_ahead: bytes
    injected: bytes
    token: bytes
    """Would be in the answer to what was injected."""
    probe: bytes
    answer: bytes


PROTOCOLS = {
    "mx": Protocol("mx", b"STARTTLS\r\n", b"220", b"EHLO tok.example\r\nHELP\r\n", b"214", b"NOOP\r\n", b"250"),
    "submission": Protocol(
        "submission", b"STARTTLS\r\n", b"220", b"MAIL FROM:<a@b>\r\nHELP\r\n", b"214", b"NOOP\r\n", b"250"
    ),
    "imap": Protocol("imap", b"a STARTTLS\r\n", b"a OK", b"tok NOOP\r\n", b"tok", b"b NOOP\r\n", b"b OK"),
    "pop3": Protocol("pop3", b"STLS\r\n", b"+OK", b"CAPA\r\n", b"SASL", b"CAPA\r\n", b"+OK"),
}


def ready(world: Target, protocol: Protocol) -> Wire:
    wire = world.open(protocol.listener)
    if protocol.starttls == b"STARTTLS\r\n":
        assert wire.say(b"EHLO a.example").startswith(b"250")
    return wire


def said_inside(wire: Wire) -> bytes:
    """Handshake; then all that comes unasked. There must be no handshake."""
    at = len(wire.heard)
    wire.sock.settimeout(3)
    with pytest.raises((ConnectionError, ssl.SSLError)):
        wire.tls()
    return bytes(wire.heard[at:])


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_injected_in_one_segment(loop: Target, name: str) -> None:
    protocol = PROTOCOLS[name]
    variants = (
        protocol.injected,
        protocol.injected[:3],
        protocol.injected.replace(b"\r", b""),
        b"\r\n",
        b"\n",
        b" ",
        b"\0",
    )
    with loop.attacked() as watch:
        for injected in variants:
            wire = ready(loop, protocol)
            at = len(wire.heard)
            wire.send(protocol.starttls + injected)
            answer = wire.rest()
            assert protocol.token not in answer, injected
            assert not answer.startswith(protocol.go_ahead), injected
            assert len(wire.heard) - at < 200
    told = [line for line in watch.log if line["event"].startswith("security.") and "injection" in line["event"]]
    assert len(told) == len(variants), "each is a security event"


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_injected_between_the_go_ahead_and_the_handshake(loop: Target, name: str) -> None:
    protocol = PROTOCOLS[name]
    with loop.attacked() as watch:
        for injected in (protocol.injected, b"EHL", b"\r\n", b"GET / HTTP/1.1\r\n\r\n"):
            wire = ready(loop, protocol)
            wire.send(protocol.starttls)
            assert wire.line().startswith(protocol.go_ahead)
            wire.send(injected)
            assert protocol.token not in said_inside(wire)
            wire.close()
    assert (
        len([line for line in watch.log if line["event"].startswith("security.") and "injection" in line["event"]]) == 4
    )


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_an_honest_upgrade_starts_afresh(loop: Target, name: str) -> None:
    """T11: what was said before does not count, and there is no second one."""
    protocol = PROTOCOLS[name]
    wire = ready(loop, protocol)
    if name == "mx":
        assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
        assert wire.say(b"RCPT TO:<control@peers.test>").startswith(b"250")
    wire.send(protocol.starttls)
    assert wire.line().startswith(protocol.go_ahead)
    wire.tls()
    if name == "mx":
        assert wire.say(b"DATA").startswith(b"503")
        assert wire.say(b"RCPT TO:<control@peers.test>").startswith(b"503")
        assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"503"), "EHLO is forgotten too"
    wire.send(protocol.starttls)
    assert wire.line()[:5] in {b"503 5", b"554 5", b"a BAD", b"-ERR "} or bytes(wire.heard).endswith(b"\r\n")
    assert protocol.go_ahead not in bytes(wire.heard).splitlines()[-1]
    wire.send(protocol.probe)
    assert wire.line().startswith(protocol.answer), "the connection goes on"


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_no_sign_in_before_tls(world: Target, name: str) -> None:
    """T12, A01, S15: nothing that would send a password in clear is offered or accepted; literals are not even asked for."""
    user = world.account()
    secret = plain(user, world.password)
    wire = world.open(PROTOCOLS[name].listener)
    log_at = world.log_size()
    match name:
        case "imap":
            assert b"LOGINDISABLED" in bytes(wire.heard)
            assert b"AUTH=" not in wire.imap(b"CAPABILITY")
            for command in (
                b'LOGIN "%b" "%b"' % (user.encode(), world.password.encode()),
                b"AUTHENTICATE PLAIN " + secret,
            ):
                assert b" NO [PRIVACYREQUIRED]" in wire.imap(command), command
            wire.send(b"c LOGIN {%d+}\r\n%b {%d+}\r\n%b\r\n" % (len(user), user.encode(), 31, world.password.encode()))
            assert b"c OK" not in wire.until_tag(b"c")
            assert b"BAD" in wire.imap(b"SELECT INBOX")
        case "pop3":
            assert wire.say(b"CAPA").startswith(b"+OK")
            capabilities = []
            while (line := wire.line()) != b".\r\n":
                capabilities.append(line)
            assert not any(line.startswith((b"USER", b"SASL", b"APOP")) for line in capabilities)
            for command in (
                b"USER " + user.encode(),
                b"PASS x",
                b"AUTH PLAIN " + secret,
                b"APOP a 0123456789abcdef0123456789abcdef",
            ):
                assert wire.say(command).startswith(b"-ERR"), command
        case _:
            assert b"AUTH" not in wire.say(b"EHLO a.example")
            for command in (b"AUTH PLAIN " + secret, b"AUTH LOGIN", b"AUTH CRAM-MD5", b"AUTH NTLM", b"AUTH ANONYMOUS"):
                assert wire.say(command)[:1] == b"5", command
    wire.close()
    assert not [line for line in world.log_since(log_at) if line["event"] == "auth.ok"]


@pytest.mark.parametrize("listener", ["imaps", "pop3s", "submissions"])
def test_other_protocols_are_not_answered(world: Target, listener: str) -> None:
    """T08, ALPACA: a browser with its own ALPN gets no connection, and HTTP inside TLS gets nothing of itself back."""
    with world.attacked() as watch:
        for alpn in (["h2"], ["http/1.1"], ["ftp"]):
            wire = world.connect(listener)
            with contextlib.suppress(OSError):  # an alert, or just the end
                wire.tls(alpn=alpn).rest()
            assert wire.heard == b""
        wire = world.open(listener)
        at = len(wire.heard)
        wire.send(b"POST /<script>alert(1)</script> HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@b>\r\n")
        wire.rest()
        assert b"script" not in wire.heard[at:]
        assert len(wire.heard) - at < 300
    assert len([line for line in watch.log if "alpn" in line["event"]]) == 3


def test_what_is_no_tls_is_ended(world: Target) -> None:
    """Garbage instead of a ClientHello, broken records behind one, old versions: an end, no plaintext."""
    garbage = (
        b"EHLO x\r\n", b"\0" * 100, b"\x16\x03\x01\xff\xff" + b"A" * 300, b"\x16\x03\x01\0\x05\x01\0\0\x01\0", b"\x80\x2e\x01\0\x02",
        b"\x15\x03\x01\0\x02\x02\x28", b"\x17\x03\x03\0\x05hello", b"\x16\x03\x01\0\0" * 1000, b"\x14\x03\x03\0\x01\x01" * 100,
        b"\x16\x03\x01\x40\x00" + b"\x01\x00\x3f\xfc" + b"\x03\x03" + b"\xff" * 16378,
    )  # fmt: skip
    with world.attacked(growth_bytes=8_000_000):
        for listener in ("imaps", "pop3s", "submissions"):
            for octets in garbage:
                wire = world.connect(listener, timeout_s=3)
                try:
                    wire.send(octets)
                    wire.sock.shutdown(1)
                    answer = wire.rest()
                except OSError:
                    answer = bytes(wire.heard)
                assert not answer or answer[0] == 0x15, f"{listener} {octets[:10]!r} {answer!r}"


def test_broken_records_in_a_session(world: Target) -> None:
    """After the handshake: junk on the wire ends this connection and no other."""
    with world.attacked():
        for listener in ("imaps", "pop3s", "submissions"):
            wire = world.open(listener)
            naked = Wire.on(socket.socket(fileno=os.dup(wire.sock.fileno())))
            naked.send(b"\x17\x03\x03\0\x20" + b"x" * 32 + b"NOOP\r\n")
            answer = naked.rest()
            assert b"OK" not in answer
            assert b"250" not in answer
            naked.close()
