"""A connection ends when its account gets another password, is disabled or goes; nobody else notices."""

import imaplib
import json
import poplib
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.server import ADDRESS, DOMAIN, PASSWORD, Instance, letter

MOST_S = 15.0
"""Two seconds until the change is seen, five between two looks, and a slow machine."""


class People:
    """Connections, closed at the end however it goes."""

    def __init__(self, server: Instance, stack: ExitStack) -> None:
        self.server = server
        self.stack = stack

    def imap(self, user: str, password: str) -> imaplib.IMAP4_SSL:
        client = self.server.imap(user, password)
        self.stack.callback(client.shutdown)
        return client

    def pop3(self, user: str, password: str) -> poplib.POP3_SSL:
        client = poplib.POP3_SSL(ADDRESS, self.server.ports["pop3s"], context=self.server.context(), timeout=20)
        self.stack.callback(client.close)
        client.user(f"{user}@{DOMAIN}")
        client.pass_(password)
        return client

    def made(self, user: str) -> str:
        """A new account; its password."""
        done = self.server.poterne("account", "add", f"{user}@{DOMAIN}", "--json")
        return str(json.loads(done.stdout)[0]["password"])


@pytest.fixture
def people(server: Instance) -> Iterator[People]:
    with ExitStack() as stack:
        yield People(server, stack)


def last_words(client: imaplib.IMAP4_SSL | poplib.POP3_SSL) -> bytes:
    """What the server says before it closes."""
    client.sock.settimeout(MOST_S)
    said = b""
    while data := client.sock.recv(4096):
        said += data
    return said


def test_a_new_password_ends_what_the_old_one_began(server: Instance, people: People) -> None:
    old = people.made("eve")
    idling, quiet, pop = people.imap("eve", old), people.imap("eve", old), people.pop3("eve", old)
    idling.select("INBOX")
    idling.send(b"i1 IDLE\r\n")
    assert idling.readline().startswith(b"+ ")
    other = people.imap("alice", PASSWORD)
    time.sleep(2.5)  # to make the account was a change, too: the look that followed is over
    server.poterne("account", "password", f"eve@{DOMAIN}", "--password-stdin", stdin="another-pass-word\n")
    fresh = people.imap("eve", "another-pass-word")
    assert b"* BYE Sign in again" in last_words(idling)
    assert b"* BYE Sign in again" in last_words(quiet)
    assert last_words(pop) == b""  # POP3 speaks when it is spoken to (RFC 1939 §3)
    assert fresh.noop()[0] == other.noop()[0] == "OK"


def test_a_disabled_account_is_signed_out_and_comes_back_when_it_is_enabled(server: Instance, people: People) -> None:
    password, who = people.made("mallory"), f"mallory@{DOMAIN}"
    client = people.imap("mallory", password)
    server.poterne("account", "disable", who)
    assert b"* BYE Sign in again" in last_words(client)
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        people.imap("mallory", password)
    server.deliver(letter(who), who)
    server.poterne("account", "enable", who)
    client = people.imap("mallory", password)
    assert client.select("INBOX")[1] == [b"1"]
    server.poterne("account", "remove", who, "--yes")
    assert b"* BYE Sign in again" in last_words(client)
    assert who in server.poterne("account", "disable", who, status=1).stderr


def test_what_pop3_was_asked_for_before_is_not_answered_to_its_end(server: Instance, people: People) -> None:
    password, who = people.made("oscar"), f"oscar@{DOMAIN}"
    size, count = 500_000, 100
    server.deliver(letter(who, body=("y" * 70 + "\n") * (size // 72)), who)
    client = people.pop3("oscar", password)
    client.sock.sendall(b"RETR 1\r\n" * count + b"DELE 1\r\nQUIT\r\n")
    received = len(client.sock.recv(1000))
    before = len(server.events("auth.revoked"))
    server.poterne("account", "disable", who)
    server.wait_event("auth.revoked", before + 1)
    said = last_words(client)
    assert said.endswith(b"\r\n-ERR [AUTH] Sign in again\r\n")
    assert received + len(said) < count * size / 2
    server.poterne("account", "enable", who)
    assert people.pop3("oscar", password).stat()[0] == 1
