"""LMTP (RFC 2033) over real sockets: a reply for each recipient, mailboxes only, listed servers only, TLS unless on this machine."""

import smtplib
import time
from collections.abc import Iterator
from typing import Final

import pytest

from poterne.admin import people
from poterne.store.interface import Store
from poterne.values.ids import TraceId
from poterne.values.secret import Secret
from tests.support.attack_client import Wire
from tests.support.proxy import header
from tests.support.server import ADDRESS, DOMAIN, PASSWORD, Instance, free_port

PROXY: Final = "127.0.9.9"
INSIDE: Final = "10.1.2.3"
FROM: Final = "carol@elsewhere.test"
LETTER: Final = b"From: carol@elsewhere.test\r\nSubject: %b\r\nDate: Sun, 22 Nov 2026 21:00:00 +0000\r\n\r\n%b\r\n.\r\n"


async def _people(store: Store) -> None:
    acting = people.Acting("test", int(time.time()), TraceId("test"))
    await people.add_account(store, f"full@{DOMAIN}", acting, password=Secret(PASSWORD), quota_bytes=2000)
    for alias, targets in {"team": ("alice", "bob"), "crowd": ("alice", "full")}.items():
        await people.add_alias(store, f"{alias}@{DOMAIN}", [f"{name}@{DOMAIN}" for name in targets], acting)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    instance = Instance(tmp_path_factory.mktemp("lmtp") / "instance", chosen={"server": {"workers": 1, "drain_s": 3}})
    instance.with_store(_people)
    instance.ports["lmtp"] = free_port()
    listener = (
        f'[listener.lmtp]\nservice = "lmtp"\naddresses = ["{ADDRESS}"]\nport = {instance.ports["lmtp"]}\n'
        f'allow = ["127.0.0.1", "{INSIDE}"]\nproxies = ["{PROXY}"]\n'
    )
    instance.settings.write_text(instance.settings.read_text() + "\n" + listener)
    instance.start()
    yield instance
    assert instance.stop() == 0
    assert instance.events("bug") == []


@pytest.fixture
def wire(server: Instance) -> Iterator[Wire]:
    wire = Wire(server.ports["lmtp"])
    assert wire.line() == b"220 mail.example.test LMTP\r\n"
    yield wire
    wire.close()


def hello(wire: Wire) -> list[str]:
    return [line[4:].decode() for line in wire.say(b"LHLO front.example.test").splitlines()]


def begin(wire: Wire, *names: str) -> None:
    assert wire.say(b"MAIL FROM:<%b>" % FROM.encode()).startswith(b"250")
    for name in names:
        assert wire.say(f"RCPT TO:<{name}@{DOMAIN}>".encode()).startswith(b"250"), name
    assert wire.say(b"DATA").startswith(b"354")


def end(wire: Wire, subject: str, recipients: int, body: bytes = b"text") -> list[bytes]:
    """The replies, and no more than those."""
    wire.send(LETTER % (subject.encode(), body))
    replies = [wire.reply() for _ in range(recipients)]
    assert wire.say(b"NOOP").startswith(b"250 2.0.0 OK")
    return [reply[:9] for reply in replies]


def count(server: Instance, user: str, subject: str) -> int:
    client = server.imap(user)
    client.select("INBOX", readonly=True)
    found = client.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
    client.logout()
    return len(found)


def test_what_it_says_of_itself(wire: Wire) -> None:
    """RFC 2033 §4.1: LHLO and nothing else; no AUTH, in clear or inside TLS."""
    for command in (b"EHLO x.example", b"HELO x.example"):
        assert wire.say(command).startswith(b"500")
    offered = hello(wire)
    assert {"PIPELINING", "ENHANCEDSTATUSCODES", "STARTTLS", "8BITMIME"} <= set(offered)  # RFC 2033 §5
    assert wire.say(b"AUTH PLAIN AAAA").startswith(b"502")
    assert wire.say(b"STARTTLS").startswith(b"220")
    wire.tls()
    inside = hello(wire)
    assert "STARTTLS" not in inside
    assert not [line for line in (*offered, *inside) if line.startswith(("AUTH", "XCLIENT", "BINARYMIME"))]


def test_a_reply_for_each_recipient(server: Instance, wire: Wire) -> None:
    hello(wire)
    assert wire.say(b"MAIL FROM:<%b>" % FROM.encode()).startswith(b"250")
    for name, code in (("alice", b"250"), ("nobody", b"550"), ("bob", b"250"), ("team", b"250")):
        assert wire.say(f"RCPT TO:<{name}@{DOMAIN}>".encode()).startswith(code), name
    assert wire.say(b"DATA").startswith(b"354")
    assert end(wire, "each", 3) == [b"250 2.1.5"] * 3
    assert count(server, "alice", "each") == 1, "by her name and by the alias: once"
    assert count(server, "bob", "each") == 1


def test_a_full_mailbox_costs_nobody_else_the_mail(server: Instance, wire: Wire) -> None:
    """The whole point of LMTP; an alias that leads to it too is delivered to the others, once, and waits for room for it."""
    hello(wire)
    begin(wire, "alice", "full", "bob")
    assert end(wire, "quota", 3, b"x" * 3000) == [b"250 2.1.5", b"452 4.2.2", b"250 2.1.5"]
    assert (count(server, "alice", "quota"), count(server, "full", "quota"), count(server, "bob", "quota")) == (1, 0, 1)
    begin(wire, "full", "crowd", "bob")
    assert end(wire, "crowded", 3, b"x" * 3000) == [b"452 4.2.2", b"250 2.1.5", b"250 2.1.5"]
    assert [count(server, name, "crowded") for name in ("full", "alice", "bob")] == [0, 1, 1]
    begin(wire, "crowd", "bob")
    # A member without room does not keep a list from the others, and nobody gets it again: what is full waits in the queue.
    assert end(wire, "crowd-first", 2, b"x" * 3000) == [b"250 2.1.5", b"250 2.1.5"]
    assert (count(server, "alice", "crowd-first"), count(server, "bob", "crowd-first")) == (1, 1)
    begin(wire, "full")
    assert end(wire, "small", 1) == [b"250 2.1.5"]


def test_a_refused_message_is_refused_for_each(server: Instance, wire: Wire) -> None:
    hello(wire)
    begin(wire, "alice", "bob")
    wire.send(b"Subject: no author\r\n\r\nx\r\n.\r\n")
    assert [wire.reply()[:1] for _ in range(2)] == [b"5", b"5"]
    begin(wire, "alice", "bob")
    wire.send(b"From: a@b.example\r\n\r\na\nb\r\n.\r\n")
    assert [wire.reply()[:4] for _ in range(2)] == [b"550 ", b"550 "]
    assert wire.say(b"RCPT TO:<alice@example.test>").startswith(b"503"), "nothing is left of it"
    begin(wire, "alice")
    assert end(wire, "after", 1) == [b"250 2.1.5"]
    assert count(server, "alice", "after") == 1


def test_chunks_get_their_replies_with_the_last(server: Instance, wire: Wire) -> None:
    hello(wire)
    assert wire.say(b"MAIL FROM:<%b>" % FROM.encode()).startswith(b"250")
    for name in ("alice", "bob"):
        assert wire.say(f"RCPT TO:<{name}@{DOMAIN}>".encode()).startswith(b"250")
    message = b"From: carol@elsewhere.test\r\nSubject: cut\r\n\r\nx\r\n"
    wire.send(b"BDAT 32\r\n" + message[:32], b"BDAT %d LAST\r\n" % (len(message) - 32) + message[32:])
    assert wire.reply().startswith(b"250"), "of the first chunk"
    assert [wire.reply()[:9] for _ in range(2)] == [b"250 2.1.5"] * 2
    assert count(server, "bob", "cut") == 1


def test_nothing_is_relayed(wire: Wire) -> None:
    hello(wire)
    assert wire.say(b"MAIL FROM:<alice@example.test>").startswith(b"250")
    for recipient in (
        b"x@elsewhere.example",
        b"@example.test:x@elsewhere.example",
        b"x%elsewhere.example@example.test",
        b"elsewhere.example!x",
    ):
        assert wire.say(b"RCPT TO:<%b>" % recipient)[:1] == b"5", recipient
    assert wire.say(b"DATA").startswith(b"554")


def test_who_is_not_on_the_list_is_sent_away(server: Instance) -> None:
    other = Wire(server.ports["lmtp"], source="127.0.0.2")
    assert other.rest().startswith(b"554 5.7.1 Only listed servers")
    other.close()


def test_from_another_machine_only_inside_tls(server: Instance) -> None:
    wire = Wire(server.ports["lmtp"], source=PROXY).send(header(INSIDE))
    assert wire.line().startswith(b"220 ")
    hello(wire)
    assert wire.say(b"MAIL FROM:<%b>" % FROM.encode()).startswith(b"530 5.7.0")
    assert wire.say(b"STARTTLS").startswith(b"220")
    wire.tls()
    hello(wire)
    begin(wire, "alice")
    assert end(wire, "inside-tls", 1) == [b"250 2.1.5"]
    wire.close()
    client = server.imap("alice")
    client.select("INBOX", readonly=True)
    number = client.search(None, "SUBJECT", '"inside-tls"')[1][0].decode()
    fields = client.fetch(number, "(BODY.PEEK[HEADER.FIELDS (RECEIVED)])")[1][0]
    assert isinstance(fields, tuple)
    assert b"with LMTPS " in fields[1]
    client.logout()


def test_a_python_client(server: Instance) -> None:
    with smtplib.LMTP(ADDRESS, server.ports["lmtp"], local_hostname="front.example.test", timeout=10) as client:
        refused = client.sendmail(
            FROM, [f"bob@{DOMAIN}"], "From: carol@elsewhere.test\r\nSubject: smtplib\r\n\r\nx\r\n"
        )
        assert refused == {}
    assert count(server, "bob", "smtplib") == 1


def test_many_recipients_that_are_one_mailbox(server: Instance) -> None:
    """Two hundred of them: one copy, and as many replies."""
    wire = Wire(server.ports["lmtp"])
    assert wire.line().startswith(b"220 ")
    hello(wire)
    begin(wire, *(f"alice+tag{number}" for number in range(200)))
    assert end(wire, "two-hundred", 200) == [b"250 2.1.5"] * 200
    assert count(server, "alice", "two-hundred") == 1
    wire.close()
