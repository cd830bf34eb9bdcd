"""Who may connect, how often, and who relays: a real server asked from many addresses (of loopback, and behind a proxy)."""

import contextlib
import smtplib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from poterne.store.interface import Store
from tests.support.proxy import LOCAL, header
from tests.support.server import ADDRESS, DOMAIN, PASSWORD, Instance, letter

PROXY = "127.0.9.9"
RELAY_HOST = "192.0.2.7"
SECOND_HOST = "192.0.2.9"
SETTINGS = f"""
[relay.erp]
hosts = ["{RELAY_HOST}"]
sender_domains = ["{DOMAIN}"]
recipient_domains = ["partner.example", "other.example"]
per_hour = 3
[relay.crm]
hosts = ["{SECOND_HOST}"]
sender_domains = ["{DOMAIN}"]
per_hour = 3
"""
INSIDE = "127.0.3.1"
FLOOD = 500


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("doors") / "instance"
    instance = Instance(folder, chosen={"server": {"workers": 1, "drain_s": 3}})
    (folder / "inside.txt").write_text("127.0.3.0/24 # ours\n127.0.0.1\n")
    instance.rewrite(
        "[listener.mx]\n", f'[listener.mx]\nproxies = ["{PROXY}"]\ndeny = ["127.0.4.0/24", "198.51.100.0/24"]\n'
    )
    instance.rewrite(
        "[listener.submission]\n", '[listener.submission]\nallow_file = "inside.txt"\ndeny = ["127.0.3.66"]\n'
    )
    instance.rewrite("[listener.imaps]\n", '[listener.imaps]\nallow_file = "inside.txt"\n')
    instance.settings.write_text(instance.settings.read_text() + SETTINGS)
    instance.start()
    yield instance
    assert instance.stop() == 0
    assert instance.events("bug") == []


class Talk:
    """One connection from an address of our choice."""

    def __init__(self, server: Instance, source: str, first: bytes = b"", name: str = "mx") -> None:
        self.sock = socket.create_connection((ADDRESS, server.ports[name]), timeout=10, source_address=(source, 0))
        self.file = self.sock.makefile("rb")
        if first:
            self.sock.sendall(first)

    def reply(self) -> bytes:
        lines = [self.file.readline()]
        while lines[-1][3:4] == b"-":
            lines.append(self.file.readline())
        return b"".join(lines)

    def say(self, *commands: bytes) -> bytes:
        """The reply to the last of them."""
        answer = b""
        for command in commands:
            self.sock.sendall(command + b"\r\n")
            answer = self.reply()
        return answer

    def rest(self) -> bytes:
        with contextlib.suppress(ConnectionError):
            return self.file.read()
        return b""

    def close(self) -> None:
        self.file.close()
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def greeting(server: Instance, source: str, first: bytes = b"", name: str = "mx") -> bytes:
    with Talk(server, source, first, name) as talk:
        return talk.reply()


# -- lists -------------------------------------------------------------------------------------------------------------


def test_who_is_denied_hears_554_and_nothing_else(server: Instance) -> None:
    with Talk(server, "127.0.4.200") as talk:
        assert talk.rest().startswith(b"554 5.7.1 ")
    assert greeting(server, "127.0.5.1").startswith(b"220 ")


def test_only_listed_networks_submit_and_read(server: Instance) -> None:
    assert greeting(server, INSIDE, name="submission").startswith(b"220 ")
    assert greeting(server, "127.0.3.66", name="submission").startswith(b"554 5.7.1 ")
    assert greeting(server, "127.0.5.1", name="submission").startswith(b"554 5.7.1 ")
    with Talk(server, "127.0.5.1", name="imaps") as talk:
        assert talk.rest() == b"", "a TLS client is told nothing in plaintext"
    server.imap().logout()
    assert {line["detail"] for line in server.events("connection.refused")} >= {"denied", "not-listed"}


# -- proxies -----------------------------------------------------------------------------------------------------------


def test_a_listed_proxy_is_believed(server: Instance) -> None:
    assert greeting(server, PROXY, header("203.0.113.7")).startswith(b"220 ")
    assert greeting(server, PROXY, header("198.51.100.7")).startswith(b"554 5.7.1 ")
    assert greeting(server, PROXY, header("::ffff:198.51.100.7")).startswith(b"554 5.7.1 ")
    assert greeting(server, PROXY, LOCAL).startswith(b"220 ")
    with Talk(server, PROXY, b"EHLO a.example\r\n") as talk:
        assert talk.rest() == b"", "one that does not say who is there is cut"
    assert server.wait_event("security.proxy-refused")["detail"] == "no-header"


def test_the_message_says_who_was_behind_the_proxy(server: Instance) -> None:
    with Talk(server, PROXY, header("203.0.113.7")) as talk:
        talk.reply()
        talk.say(b"EHLO away.example", b"MAIL FROM:<a@away.example>", f"RCPT TO:<alice@{DOMAIN}>".encode(), b"DATA")
        assert talk.say(letter().as_bytes().replace(b"\n", b"\r\n") + b"\r\n.").startswith(b"250 ")
    assert server.events("message.accepted")[-1]["peer"] == "203.0.113.7"


@pytest.mark.parametrize(
    "first", [header(RELAY_HOST), b"PROXY TCP4 192.0.2.7 192.0.2.1 1 25\r\n", LOCAL], ids=["v2", "v1", "local"]
)
@pytest.mark.parametrize("early", [True, False])
def test_a_header_from_anybody_else_ends_the_connection(server: Instance, first: bytes, early: bool) -> None:
    with Talk(server, "127.0.5.1", first if early else b"") as talk:
        if not early:
            assert talk.reply().startswith(b"220 ")
            talk.sock.sendall(first)
        rest = talk.rest()
        # A race with the greeting is possible; in the end the connection is closed, and nobody is somebody else.
        assert rest.splitlines()[-1][:1] in {b"4", b"5"}
    assert not [line for line in server.events("connection.closed") if line["peer"] == RELAY_HOST]


def test_xclient_is_not_known(server: Instance) -> None:
    with Talk(server, "127.0.5.1") as talk:
        talk.reply()
        assert b"XCLIENT" not in talk.say(b"EHLO a.example")
        assert talk.say(b"XCLIENT ADDR=192.0.2.7").startswith(b"500 ")


# -- relaying ----------------------------------------------------------------------------------------------------------


def rcpt(server: Instance, source: str, sender: str, recipient: str) -> bytes:
    first = header(source) if source != "127.0.5.1" else b""
    with Talk(server, PROXY if first else source, first) as talk:
        talk.reply()
        return talk.say(b"EHLO erp.example", f"MAIL FROM:<{sender}>".encode(), f"RCPT TO:<{recipient}>".encode())


def test_listed_hosts_get_what_their_rule_says_and_strangers_nothing(server: Instance) -> None:
    ours = f"erp@{DOMAIN}"
    for source in ("127.0.5.1", "192.0.2.8", "2001:db8::7", "203.0.113.7"):
        assert rcpt(server, source, ours, "b@partner.example").startswith(b"550 5.7.1 We do not relay"), source
    assert rcpt(server, RELAY_HOST, "a@elsewhere.example", "b@partner.example").startswith(
        b"550 5.7.1 We relay for this host, but not from"
    )
    assert rcpt(server, RELAY_HOST, f"a@sub.{DOMAIN}", "b@partner.example").startswith(b"550 5.7.1 ")
    assert rcpt(server, RELAY_HOST, "", "b@partner.example").startswith(
        b"550 5.7.1 We relay for this host with a sender"
    )
    assert rcpt(server, RELAY_HOST, ours, "b@third.example").startswith(b"550 5.7.1 We relay for this host, but not to")
    assert rcpt(server, RELAY_HOST, "a@elsewhere.example", f"alice@{DOMAIN}").startswith(b"250 "), (
        "mail for us is as ever"
    )
    for source in (RELAY_HOST, f"::ffff:{RELAY_HOST}", RELAY_HOST):
        assert rcpt(server, source, ours.upper(), "b@partner.example").startswith(b"250 ")
    assert rcpt(server, RELAY_HOST, ours, "b@other.example").startswith(b"451 4.7.1 This host has sent as much")
    assert server.with_store(_queue) == [], "nothing was sent"


def test_what_a_listed_host_sends_is_queued_as_its_rules(server: Instance) -> None:
    with Talk(server, PROXY, header(SECOND_HOST)) as talk:
        talk.reply()
        sender = f"crm@{DOMAIN}".encode()
        commands = b"EHLO crm.example", b"MAIL FROM:<%b>" % sender
        talk.say(*commands, b"RCPT TO:<b@partner.example>", f"RCPT TO:<alice@{DOMAIN}>".encode(), b"DATA")
        assert talk.say(b"From: %b\r\nSubject: relayed\r\n\r\ntext\r\n." % sender).startswith(b"250 ")
    queued = server.with_store(_queue)
    assert queued == [("relay:crm", None, f"crm@{DOMAIN}", "b@partner.example")]


async def _queue(store: Store) -> list[tuple[str, object, str, str]]:
    return [
        (one.message.origin.key, one.message.origin.account_id, one.message.reverse_path, one.forward_path)
        for one in await store.queued(10, None)
    ]


# -- floods ------------------------------------------------------------------------------------------------------------


def transaction_s(server: Instance, source: str) -> float:
    begun = time.monotonic()
    with smtplib.SMTP(ADDRESS, server.ports["mx"], "good.example", 10, (source, 0)) as client:
        client.send_message(letter(), "carol@elsewhere.test", [f"alice@{DOMAIN}"])
    return time.monotonic() - begun


def test_a_flood_from_one_network_leaves_others_alone(server: Instance) -> None:
    assert transaction_s(server, "127.0.6.1") < 1.0
    flood = [Talk(server, f"127.0.7.{number % 250 + 1}") for number in range(FLOOD)]
    try:
        answers = [talk.reply() for talk in flood]
        inside = [answer for answer in answers if answer.startswith(b"220 ")]
        refused = [answer for answer in answers if answer.startswith(b"421 ")]
        assert len(inside) == 150, "three times an address's share for the /24"
        assert len(refused) == FLOOD - 150
        assert transaction_s(server, "127.0.6.1") < 1.0
        assert transaction_s(server, "127.0.6.2") < 1.0
        with server.smtp("submission") as client:
            client.login(f"alice@{DOMAIN}", PASSWORD)
    finally:
        for talk in flood:
            talk.close()
    assert {line["detail"] for line in server.events("connection.refused") if line["peer"].startswith("127.0.7.")} <= {
        "network-24",
        "network-26",
    }
    assert greeting(server, "127.0.8.1").startswith(b"220 ")


def test_without_memory_strangers_are_sent_away_and_people_who_sign_in_are_served(tmp_path: Path) -> None:
    instance = Instance(tmp_path / "instance", chosen={"server": {"workers": 1, "drain_s": 1, "max_memory_mib": 128}})
    instance.start()
    flood: list[Talk] = []
    try:
        # Of networks that have nothing to do with each other; who came before a failure is closed below.
        flood.extend(Talk(instance, f"127.{number % 200 + 10}.{number // 200}.1") for number in range(600))
        answers = [talk.reply()[:3] for talk in flood]
        assert answers.count(b"220") >= 32
        assert b"421" in answers
        assert {line["detail"] for line in instance.events("connection.refused")} == {"memory"}
        with instance.smtp("submission") as client:
            client.login(f"alice@{DOMAIN}", PASSWORD)
        instance.imap().logout()
    finally:
        for talk in flood:
            talk.close()
        assert instance.stop() == 0


def test_who_knocks_all_the_time_is_told_to_wait(tmp_path: Path) -> None:
    instance = Instance(tmp_path / "instance", chosen={"server": {"workers": 1, "drain_s": 1}})
    instance.rewrite("[listener.mx]\n", "[listener.mx]\nmax_per_minute = 5\n")
    instance.rewrite("[listener.submission]\n", "[listener.submission]\nmax_per_minute = 5\nexempt_loopback = true\n")
    instance.start()
    try:
        answers = [greeting(instance, "127.0.7.1")[:3] for _ in range(7)]
        assert answers == [b"220"] * 5 + [b"421"] * 2
        assert greeting(instance, "127.0.8.1").startswith(b"220 ")
        assert [greeting(instance, "127.0.7.1", name="submission")[:3] for _ in range(7)] == [b"220"] * 7
        assert instance.wait_event("connection.refused")["detail"] == "rate"
    finally:
        assert instance.stop() == 0


# -- hidden addresses --------------------------------------------------------------------------------------------------


def test_strangers_under_one_address_are_told_of_and_trusted_with_nothing(tmp_path: Path) -> None:
    """Before: the address is on an allow list. After many strangers came under it, it is not, and the log says so loudly."""
    instance = Instance(tmp_path / "instance", chosen={"server": {"workers": 1, "drain_s": 1}})
    instance.rewrite("[listener.submission]\n", '[listener.submission]\nallow = ["127.0.0.0/8"]\n')
    instance.start()
    try:
        assert greeting(instance, "127.0.7.1", name="submission").startswith(b"220 ")
        for number in range(25):
            with Talk(instance, "127.0.7.1") as talk:
                talk.reply()
                talk.say(f"EHLO stranger{number}.example".encode())
        told = instance.wait_event("security.origin-hidden")
        assert told["peer"] == "127.0.7.1"
        assert told["level"] == "error"
        assert greeting(instance, "127.0.7.1", name="submission").startswith(b"554 5.7.1 ")
        assert greeting(instance, "127.0.7.2", name="submission").startswith(b"220 ")
        assert len(instance.events("security.origin-hidden")) == 1
    finally:
        assert instance.stop() == 0
