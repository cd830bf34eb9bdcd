"""S07, S08, P12: who speaks early, makes mistakes, tries out names or wastes commands loses time and then the connection.

Strangers come through a proxy, which is how a test on loopback can have other addresses.
"""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from tests.support.attack_client import FROM_OUTSIDE, Wire, plain
from tests.support.proxy import header
from tests.support.server import ADDRESS, DOMAIN, PASSWORD, Instance

PROXY: Final = "127.0.9.9"
DELAY_S: Final = 1
WAIT_S: Final = 0.1
SMTP: Final[dict[str, int]] = {
    "greeting_delay_s": DELAY_S,
    "first_wait_ms": 100,
    "max_wait_s": 1,
    "max_waits_s": 3,
    "max_useless_commands": 40,
    "unknown_per_hour": 12,
    "harvest_block_s": 2,
}
ALICE: Final = f"alice@{DOMAIN}".encode()
_hosts = count(1)
_wires: list[Wire] = []


@pytest.fixture(autouse=True)
def _close_wires() -> Iterator[None]:
    yield
    for wire in _wires:
        wire.close()
    _wires.clear()


def here(server: Instance, listener: str = "mx", source: str = "") -> Wire:
    """A connection from this machine."""
    _wires.append(Wire(server.ports[listener], source=source))
    return _wires[-1]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    chosen = {"server": {"workers": 1, "drain_s": 5}, "smtp": SMTP, "sign_in": {"free_failures": 100}}
    instance = Instance(tmp_path_factory.mktemp("patience") / "instance", chosen=chosen)
    instance.rewrite("[listener.mx]\n", f'[listener.mx]\nproxies = ["{PROXY}"]\n')
    instance.start()
    yield instance
    assert instance.stop() == 0
    assert instance.events("bug") == []


def stranger() -> str:
    """An address that nobody came from yet."""
    return f"198.51.100.{next(_hosts)}"


def come(server: Instance, address: str, first: bytes = b"") -> Wire:
    """A connection from there, not greeted yet."""
    return here(server, source=PROXY).send(header(address) + first)


def greeted(server: Instance, address: str) -> Wire:
    return all_greeted(server, [address])[0]


def all_greeted(server: Instance, addresses: list[str]) -> list[Wire]:
    """They wait for their greetings side by side."""
    wires = [come(server, address) for address in addresses]
    for wire in wires:
        assert wire.line().startswith(b"220 ")
        assert wire.say(b"EHLO stranger.example").startswith(b"250")
    return wires


def took(wire: Wire, command: bytes, reply: bytes) -> float:
    before = time.monotonic()
    said = wire.say(command)
    assert said.startswith(reply), said
    return time.monotonic() - before


# -- before the greeting -----------------------------------------------------------------------------------------------


def test_a_stranger_waits_once(server: Instance) -> None:
    address = stranger()
    for least, most in ((DELAY_S, DELAY_S + 2), (0, DELAY_S / 2)):
        before = time.monotonic()
        wire = come(server, address)
        assert wire.line().startswith(b"220 ")
        assert least <= time.monotonic() - before < most
        wire.close()


def test_this_machine_does_not_wait(server: Instance) -> None:
    before = time.monotonic()
    assert here(server, source="127.0.0.77").line().startswith(b"220 ")
    assert time.monotonic() - before < DELAY_S / 2


@pytest.mark.parametrize(
    "early",
    [b"E", b"EHLO c.example\r\n", b"\r\n", b"\0", b"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<a@b>\r\nDATA\r\n"],
)
def test_who_speaks_first_is_refused(server: Instance, early: bytes) -> None:
    """One octet is enough; afterwards only QUIT is left, and refusals come without a wait."""
    address = stranger()
    before = time.monotonic()
    wire = come(server, address)
    time.sleep(0.1)
    wire.send(early)
    assert wire.line().startswith(b"554 5.5.1 ")
    for _ in range(early.count(b"\n")):
        assert wire.line()[:1] == b"5"
    if early.endswith(b"\n"):
        for command in (b"MAIL FROM:<a@b.example>", b"RCPT TO:<%b>" % ALICE, b"STARTTLS", b"EHLO c.example"):
            assert wire.say(command) == b"503 5.5.1 No service here, say QUIT\r\n"
        assert wire.say(b"NOOP").startswith(b"250")
        assert wire.say(b"QUIT").startswith(b"221")
        assert time.monotonic() - before < DELAY_S
    wire.close()
    wire = come(server, address)
    before = time.monotonic()
    assert wire.line().startswith(b"220 ")
    assert time.monotonic() - before > DELAY_S - 0.2, "an early talker is a stranger still"
    wire.close()


def test_early_talkers_are_counted(server: Instance) -> None:
    wire = come(server, stranger(), b"EHLO x\r\n")
    assert wire.line().startswith(b"554")
    wire.close()
    assert any(line["reason"] == "early-talker" for line in server.events("smtp.refused"))


def test_who_goes_away_before_the_greeting_leaves_nothing(server: Instance) -> None:
    for _ in range(20):
        come(server, stranger()).reset()
        come(server, stranger()).close()
    wire = greeted(server, stranger())
    assert wire.say(b"QUIT").startswith(b"221")
    assert server.events("bug") == []


def test_a_stop_during_the_pause(tmp_path: Path) -> None:
    """Who waits for the greeting hears 421 at once, and the server does not wait for the pause to end."""
    chosen = {"server": {"workers": 1, "drain_s": 20}, "smtp": {"greeting_delay_s": 30}}
    instance = Instance(tmp_path / "instance", chosen=chosen)
    instance.rewrite("[listener.mx]\n", f'[listener.mx]\nproxies = ["{PROXY}"]\n')
    instance.start()
    wires = [come(instance, stranger()) for _ in range(5)]
    time.sleep(0.5)
    before = time.monotonic()
    assert instance.stop() == 0
    assert time.monotonic() - before < 5
    assert [wire.line()[:4] for wire in wires] == [b"421 "] * 5
    assert instance.events("bug") == []


# -- faults ------------------------------------------------------------------------------------------------------------


def test_waits_grow_with_faults_until_the_connection_ends(server: Instance) -> None:
    wire = greeted(server, stranger())
    waits = [took(wire, b"XYZZY", b"500") for _ in range(6)]
    assert max(waits[:2]) < WAIT_S, waits
    for number, wait in enumerate(waits[2:]):
        assert wait >= WAIT_S * 2**number - 0.01, waits
    assert waits[5] < 2
    before = time.monotonic()
    while not (said := wire.say(b"XYZZY")).startswith(b"421 4.7.0 "):
        assert said.startswith(b"500")
    assert wire.rest() == b""
    assert time.monotonic() - before < SMTP["max_waits_s"], "the budget of waits is all that it may take"


def test_a_wait_is_nobody_elses(server: Instance) -> None:
    """Ten peers that wait, and one that does as it should."""
    wires = all_greeted(server, [stranger() for _ in range(10)])
    for wire in wires:
        wire.send(b"XYZZY\r\n" * 6)
    before = time.monotonic()
    server.deliver()
    assert time.monotonic() - before < 0.8
    for wire in wires:
        wire.close()


def test_who_made_no_mistake_never_waits(server: Instance) -> None:
    wire = here(server, "submissions")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    wire.sock = context.wrap_socket(wire.sock)
    assert wire.line().startswith(b"220 ")
    assert wire.say(b"EHLO c.example").startswith(b"250")
    assert wire.say(b"AUTH PLAIN " + plain(ALICE.decode(), PASSWORD)).startswith(b"235")
    before = time.monotonic()
    for _ in range(8):
        assert wire.say(b"MAIL FROM:<%b>" % ALICE).startswith(b"250")
        assert wire.say(b"RCPT TO:<old-address@%b>" % DOMAIN.encode()).startswith(b"550")
        assert wire.say(b"RSET").startswith(b"250")
    assert time.monotonic() - before < 1, "a list with old addresses in it"
    wire.close()


# -- names -------------------------------------------------------------------------------------------------------------


def ask_for(wire: Wire, names: int) -> list[bytes]:
    assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
    said = [wire.say(b"RCPT TO:<name%d@%b>" % (number, DOMAIN.encode()))[:3] for number in range(names)]
    wire.close()
    return said


def test_trying_out_names_over_many_connections(server: Instance) -> None:
    """Three names a connection cost no wait; the twelfth is the last one that teaches anything."""
    guesser = stranger()
    for wire in all_greeted(server, [guesser] * 4):
        assert ask_for(wire, 3) == [b"550"] * 3
    (told,) = [line for line in server.events("security.harvest") if line["peer"] == guesser]
    assert told["unknown"] == 12
    wire = greeted(server, guesser)
    assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
    for name in (b"alice", b"nobody"):
        assert wire.say(b"RCPT TO:<%b@%b>" % (name, DOMAIN.encode())).startswith(b"450 4.7.1 "), "known or not"
    neighbour = greeted(server, stranger())
    assert neighbour.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
    assert neighbour.say(b"RCPT TO:<%b>" % ALICE).startswith(b"250")
    neighbour.close()
    time.sleep(SMTP["harvest_block_s"])
    assert wire.say(b"RCPT TO:<%b>" % ALICE).startswith(b"250"), "it was for a while only"
    wire.close()


def test_one_known_name_is_no_cover_for_guessing(server: Instance) -> None:
    """To name somebody who exists, again and again, makes the guesses a small share of all names, and costs nothing."""
    guesser = stranger()
    for _ in range(4):
        wire = greeted(server, guesser)
        assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
        for number in range(3):
            for _ in range(8):
                wire.say(b"RCPT TO:<%b>" % ALICE)
            assert wire.say(b"RCPT TO:<cover%d@%b>" % (number, DOMAIN.encode())).startswith(b"550")
        wire.close()
    wire = greeted(server, guesser)
    assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
    assert wire.say(b"RCPT TO:<%b>" % ALICE).startswith(b"450 4.7.1 ")
    wire.close()


def test_this_machine_may_have_as_many_dead_names_as_it_likes(server: Instance) -> None:
    for _ in range(6):
        with server.smtp(tls=False) as client:
            client.ehlo()
            client.mail("a@b.example")
            assert [client.rcpt(f"name{number}@{DOMAIN}")[0] for number in range(3)] == [550] * 3
    wire = here(server)
    assert wire.line().startswith(b"220 ")
    assert wire.say(b"EHLO c.example").startswith(b"250")
    assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
    assert wire.say(b"RCPT TO:<%b>" % ALICE).startswith(b"250")


# -- commands that bring nobody mail -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", [b"NOOP", b"RSET", b"VRFY x", b"HELP", b"EHLO again.example", b"NOOP\r\nRSET\r\nVRFY y"]
)
def test_useless_commands_have_an_end(server: Instance, command: bytes) -> None:
    wire = here(server)
    assert wire.line().startswith(b"220 ")
    wire.send(b"EHLO c.example\r\n" + (command + b"\r\n") * 100)
    answers = wire.rest()
    assert answers.splitlines()[-1].startswith(b"421 4.7.0 Too many commands without a message")
    finals = [line for line in answers.splitlines() if line[3:4] == b" "]
    assert len(finals) == 1 + SMTP["max_useless_commands"] + 1


def test_transactions_that_come_to_nothing_have_an_end(server: Instance) -> None:
    wire = here(server)
    assert wire.line().startswith(b"220 ")
    assert wire.say(b"EHLO c.example").startswith(b"250")
    assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
    refused = 0
    while (said := wire.say(b"RCPT TO:<x%d@elsewhere.example>" % refused)).startswith(b"550"):
        refused += 1
    assert said.startswith(b"421")
    assert refused == SMTP["max_useless_commands"]


def test_a_message_forgives(server: Instance) -> None:
    wire = here(server)
    assert wire.line().startswith(b"220 ")
    assert wire.say(b"EHLO c.example").startswith(b"250")
    for _ in range(3):
        for _ in range(SMTP["max_useless_commands"] - 1):
            assert wire.say(b"NOOP").startswith(b"250")
        for command, code in (
            (b"MAIL FROM:<a@b.example>", b"250"),
            (b"RCPT TO:<%b>" % ALICE, b"250"),
            (b"DATA", b"354"),
        ):
            assert wire.say(command).startswith(code)
        assert wire.say(FROM_OUTSIDE + b"\r\nx\r\n.").startswith(b"250")
    wire.close()


# -- other protocols ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listener", ["mx", "submission"])
@pytest.mark.parametrize("waits", [False, True])
def test_tls_on_a_clear_port_is_named_and_not_answered(server: Instance, listener: str, *, waits: bool) -> None:
    """What the log says is what the administrator must know: a client that is set to "SSL" where it must be STARTTLS."""
    before = len([line for line in server.events("connection.peer-error") if line["detail"] == "tls-on-clear-port"])
    sock = socket.create_connection((ADDRESS, server.ports[listener]), timeout=5)
    heard = sock.recv(100) if waits else b""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="x.example")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    sock.sendall(outgoing.read())
    while got := sock.recv(1000):
        heard += got
    sock.close()
    assert heard == b"" or (heard.startswith(b"220 ") and heard.count(b"\n") == 1), heard
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if len([x for x in server.events("connection.peer-error") if x["detail"] == "tls-on-clear-port"]) > before:
            return
        time.sleep(0.05)
    raise AssertionError("the log does not name it")


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET / HTTP/1.1",
        b"POST /x HTTP/1.1",
        b"get /",
        b"OPTIONS * HTTP/1.0",
        b"CONNECT a:25 HTTP/1.1",
        b"PRI * HTTP/2.0",
    ],
)
def test_http_is_cut_at_once(server: Instance, request_line: bytes) -> None:
    """A browser that was talked into it sends commands in the body: none of them is read."""
    smuggled = b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<%b>\r\nDATA\r\n\r\nx\r\n.\r\n" % ALICE
    wire = here(server)
    assert wire.line().startswith(b"220 ")
    wire.send(request_line + b"\r\nHost: x\r\nContent-Type: text/plain\r\n\r\n" + smuggled)
    assert wire.rest() == b"421 4.7.0 This is not what you are looking for\r\n"


def test_http_before_the_greeting(server: Instance) -> None:
    wire = come(server, stranger(), b"POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\n")
    answers = wire.rest().splitlines()
    assert [line[:4] for line in answers] == [b"554 ", b"421 "]


def test_many_strangers_wait_side_by_side(server: Instance) -> None:
    """The pause costs no turn of the loop: a hundred of them take as long as one."""
    before = time.monotonic()
    wires = [come(server, f"203.0.{number}.1") for number in range(100)]
    seen: list[bytes] = []
    threads = [threading.Thread(target=lambda w=wire: seen.append(w.line()[:4])) for wire in wires]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [b"220 "] * 100
    assert time.monotonic() - before < DELAY_S + 3
    for wire in wires:
        wire.close()
