"""What no tool sends by itself, typed by hand: BDAT in odd pieces, signing in without TLS, several commands in one packet."""

import base64
import itertools
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support.peer_server import PASSWORD, PeerServer
from tests.support.peer_tools import Raw, letter

pytestmark = pytest.mark.peers


@pytest.fixture
def smtp(server: PeerServer) -> Iterator[Raw]:
    with closing(Raw(server.ports["mx"])) as wire:
        assert wire.smtp()[0].startswith(b"220 ")
        wire.smtp(b"EHLO client.elsewhere.test")
        yield wire


def test_bdat_in_pieces(server: PeerServer, account: str, smtp: Raw) -> None:
    """Pieces end in the middle of a line and between CR and LF; everything is sent before the first reply is read."""
    message = letter("pieces", b".\r\n..\r\nx" + b"y" * 500 + b"\r\n")
    cuts = [0, 1, message.index(b"\r\n") + 1, len(message) - 1, len(message)]
    sent = f"MAIL FROM:<carol@elsewhere.test> SIZE={len(message)}\r\nRCPT TO:<{account}>\r\n".encode()
    for start, end in itertools.pairwise(cuts):
        sent += b"BDAT %d\r\n" % (end - start) + message[start:end]
    smtp.send(sent + b"BDAT 0 LAST\r\n")
    replies = [smtp.smtp()[0] for _ in range(2 + len(cuts))]
    assert [each[:4] for each in replies] == [b"250 "] * len(replies), replies
    assert [each.sent for each in server.store.messages(account)] == [message]


def test_bdat_after_a_refused_recipient(server: PeerServer, account: str, smtp: Raw) -> None:
    """Its octets are swallowed, not read as commands."""
    smtp.smtp(b"MAIL FROM:<carol@elsewhere.test>")
    assert smtp.smtp(b"RCPT TO:<x@elsewhere.test>")[0].startswith(b"550 5.7.1 ")
    trap = f"RSET\r\nMAIL FROM:<c@elsewhere.test>\r\nRCPT TO:<{account}>\r\nDATA\r\nSubject: trap\r\n\r\n.\r\n".encode()
    (reply,) = smtp.smtp(b"BDAT %d LAST\r\n" % len(trap) + trap[:-2])
    assert reply.startswith((b"503 ", b"554 "))
    assert smtp.smtp(b"NOOP")[0].startswith(b"250 ")
    assert server.store.messages(account) == []


def test_a_message_is_forgotten_by_rset(server: PeerServer, account: str, smtp: Raw) -> None:
    smtp.smtp(b"MAIL FROM:<carol@elsewhere.test>")
    smtp.smtp(f"RCPT TO:<{account}>".encode())
    assert smtp.smtp(b"BDAT 5\r\nabc")[0].startswith(b"250 ")  # "abc" and the CRLF that ends what is sent
    assert smtp.smtp(b"RSET")[0].startswith(b"250 ")
    assert smtp.smtp(b"BDAT 3 LAST\r\nx")[0].startswith(b"503 ")
    assert server.store.messages(account) == []


@pytest.mark.parametrize("service", ["submission", "mx"])
def test_no_password_is_looked_at_before_tls(server: PeerServer, account: str, service: str) -> None:
    token = base64.b64encode(f"\0{account}\0{PASSWORD}".encode())
    with closing(Raw(server.ports[service])) as wire:
        wire.smtp()
        assert not [each for each in wire.smtp(b"EHLO client.elsewhere.test") if b"AUTH" in each]
        assert wire.smtp(b"AUTH PLAIN " + token)[0][:4] in {b"530 ", b"538 ", b"502 ", b"503 "}
        assert wire.smtp(b"AUTH LOGIN")[0][:4] in {b"530 ", b"538 ", b"502 ", b"503 "}
        assert wire.smtp(b"MAIL FROM:<" + account.encode() + b">")[0][:4] == (
            b"530 " if service == "submission" else b"250 "
        )


@pytest.mark.parametrize(
    ("service", "command"), [("submission", b"STARTTLS"), ("imap", b"a STARTTLS"), ("pop3", b"STLS")]
)
def test_commands_before_the_handshake_are_not_taken_over(server: PeerServer, service: str, command: bytes) -> None:
    """What comes in the packet of STARTTLS ends the connection (CVE-2011-0411)."""
    with closing(Raw(server.ports[service])) as wire:
        wire.line()
        if service == "submission":
            wire.smtp(b"EHLO client.elsewhere.test")
        wire.send(command + b"\r\nNOOP\r\n")
        said = wire.rest()
    assert said.count(b"\r\n") <= 1, "at most the answer to the first command"
