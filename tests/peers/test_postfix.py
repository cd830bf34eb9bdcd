"""Debian's Postfix sends to us: everything that it can say in SMTP, and nothing is changed on the way."""

import os
import re
from collections.abc import Iterator

import pytest

from tests.support.peer_postfix import BINARY, Postfix, postfix
from tests.support.peer_server import DOMAIN, PeerServer
from tests.support.peer_tools import NewAccount, awkward_letters, letter

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not BINARY.exists(), reason="postfix is not installed (see .ci/peers)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Postfix must be started by root"),
]


@pytest.fixture(scope="module")
def sender(server: PeerServer) -> Iterator[Postfix]:
    with postfix(server) as running:
        yield running


def commands(log: str) -> list[str]:
    return re.findall(r"> 127\.0\.0\.1\[127\.0\.0\.1\]:\d+: (.*)", log)


@pytest.mark.parametrize("name", [*awkward_letters()])
def test_bytes_are_kept(server: PeerServer, account: str, sender: Postfix, name: str) -> None:
    wanted = awkward_letters()[name]
    said = sender.send("carol@elsewhere.test", [account], wanted)
    assert re.search(r"status=sent \(250 2\.0\.0 Accepted as \w+\)", said), said[-2000:]
    (found,) = server.store.messages(account)
    received, _, rest = found.sent.partition(b"\r\nDate: ")
    assert received.startswith(b"Received: by sender.elsewhere.test (Postfix")
    assert b"Date: " + rest == wanted


def test_tls_is_verified(account: str, sender: Postfix) -> None:
    said = sender.send("carol@elsewhere.test", [account], letter("x"))
    assert "Verified TLS connection established to 127.0.0.1" in said
    assert "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384" in said
    assert "warning:" not in said, said


def test_parameters(server: PeerServer, account: str, sender: Postfix) -> None:
    """SIZE, BODY, RET, ENVID; and one transaction, in one packet."""
    message = awkward_letters()["eight-bit"]
    said = sender.send("carol@elsewhere.test", [account], message, "-B", "8BITMIME", "-R", "hdrs", "-V", "id+7")
    (mail,) = [each for each in commands(said) if each.startswith("MAIL FROM")]
    assert re.fullmatch(r"MAIL FROM:<carol@elsewhere\.test> SIZE=\d+ BODY=8BITMIME.*", mail), mail
    assert len(server.store.messages(account)) == 1


def test_several_recipients(server: PeerServer, new_account: NewAccount, sender: Postfix) -> None:
    people = [new_account(name) for name in ("ada", "bob", "eve")]
    said = sender.send("carol@elsewhere.test", people, letter("to all"))
    assert len([each for each in commands(said) if each.startswith("RCPT TO")]) == 3
    assert len([each for each in commands(said) if each == "DATA"]) == 1
    for person in people:
        assert len(server.store.messages(person)) == 1


def test_smtputf8(server: PeerServer, account: str, sender: Postfix) -> None:
    said = sender.send("jürgen@elsewhere.test", [account], letter("Grüße"))
    (mail,) = [each for each in commands(said) if each.startswith("MAIL FROM")]
    assert "SMTPUTF8" in mail
    (found,) = server.store.messages(account)
    assert found.raw.startswith("Return-Path: <jürgen@elsewhere.test>\r\n".encode())
    assert "Subject: Grüße\r\n".encode() in found.raw


def test_a_refusal_is_final_and_says_why(server: PeerServer, account: str, sender: Postfix) -> None:
    said = sender.send("carol@elsewhere.test", [f"nobody@{DOMAIN}", account], letter("one is unknown"))
    assert "dsn=5.1.1, status=bounced" in said
    assert "550 5.1.1 No such recipient here: check the address (in reply to RCPT TO command)" in said
    assert len(server.store.messages(account)) == 1


def test_too_large_is_refused_before_it_is_sent(server: PeerServer, account: str, sender: Postfix) -> None:
    said = sender.send("carol@elsewhere.test", [account], letter("large", (b"z" * 76 + b"\r\n") * 20_000))
    assert re.search(r"dsn=5\.3\.4, status=bounced", said), said[-1000:]
    assert not [each for each in commands(said) if each.startswith("MAIL FROM:<carol")]
    assert server.store.messages(account) == []
