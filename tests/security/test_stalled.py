"""Clients that stall, half close, reset or send drop by drop, in every state: P13. Honest ones are served meanwhile.

The server's time limits are as low as settings allow: ten seconds for commands and sign-in, one for the handshake.
"""

import contextlib
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.attack_client import MIB, Target, Wire, plain, target

LIMIT_S = 10


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    chosen = {
        "smtp": {"command_timeout_s": LIMIT_S, "data_timeout_s": LIMIT_S},
        "imap": {"login_timeout_s": LIMIT_S},
        "pop3": {"login_timeout_s": LIMIT_S},
        "tls": {"handshake_s": 1},
    }
    with target(tmp_path_factory.mktemp("hasty") / "instance", chosen) as found:
        yield found
        found.close_wires()


def _smtp_data(world: Target) -> Wire:
    wire = world.smtp()
    assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
    assert wire.say(b"RCPT TO:<control@peers.test>").startswith(b"250")
    assert wire.say(b"DATA").startswith(b"354")
    return wire


def _smtp_chunk(world: Target) -> Wire:
    wire = world.smtp(tls=True)
    assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
    assert wire.say(b"RCPT TO:<control@peers.test>").startswith(b"250")
    return wire.send(b"BDAT 1000 LAST\r\n")


def _asked(wire: Wire, command: bytes, answer: bytes) -> Wire:
    wire.send(command)
    assert wire.line().startswith(answer)
    return wire


STATES: dict[str, Callable[[Target], Wire]] = {
    "mx-connected": lambda world: world.connect("mx"),
    "mx-greeted": lambda world: world.open("mx"),
    "mx-hello": lambda world: world.smtp(),
    "mx-half-line": lambda world: world.smtp().send(b"MAIL FRO"),
    "mx-starttls": lambda world: _asked(world.smtp(), b"STARTTLS\r\n", b"220"),
    "mx-half-hello-of-tls": lambda world: _asked(world.smtp(), b"STARTTLS\r\n", b"220").send(
        b"\x16\x03\x01\x02\x00\x01"
    ),
    "mx-tls": lambda world: world.smtp(tls=True),
    "mx-data": _smtp_data,
    "mx-data-dot": lambda world: _smtp_data(world).send(b"Subject: x\r\n\r\n."),
    "mx-chunk": _smtp_chunk,
    "submissions-no-tls": lambda world: world.connect("submissions"),
    "submissions-half-tls": lambda world: world.connect("submissions").send(b"\x16\x03\x01\x02\x00"),
    "submissions-auth": lambda world: _asked(world.smtp("submissions"), b"AUTH PLAIN\r\n", b"334"),
    "submissions-auth-half": lambda world: _asked(world.smtp("submissions"), b"AUTH LOGIN\r\n", b"334").send(b"YW"),
    "imaps-no-tls": lambda world: world.connect("imaps"),
    "imaps-guest": lambda world: world.open("imaps"),
    "imaps-literal": lambda world: _asked(world.open("imaps"), b"a LOGIN {10}\r\n", b"+ ").send(b"abc"),
    "imaps-literal-plus": lambda world: world.open("imaps").send(b"a LOGIN {10+}\r\nabc"),
    "imaps-auth": lambda world: _asked(world.open("imaps"), b"a AUTHENTICATE PLAIN\r\n", b"+ "),
    "imap-starttls": lambda world: _asked(world.open("imap"), b"a STARTTLS\r\n", b"a OK"),
    "pop3s-no-tls": lambda world: world.connect("pop3s"),
    "pop3s-guest": lambda world: world.open("pop3s"),
    "pop3s-user": lambda world: _asked(world.open("pop3s"), b"USER control@peers.test\r\n", b"+OK"),
    "pop3-stls": lambda world: _asked(world.open("pop3"), b"STLS\r\n", b"+OK"),
}
SIGNED_IN: dict[str, Callable[[Target], Wire]] = {
    "imaps-selected": lambda world: world.imap("control@peers.test", mailbox=b"INBOX"),
    "imaps-append": lambda world: _asked(world.imap("control@peers.test"), b"a APPEND INBOX {100}\r\n", b"+ ").send(
        b"abc"
    ),
    "imaps-idle": lambda world: _asked(world.imap("control@peers.test", mailbox=b"INBOX"), b"a IDLE\r\n", b"+ "),
    "pop3s-transaction": lambda world: world.pop3("control@peers.test"),
}


def ended(wire: Wire, within_s: float) -> bool:
    wire.sock.settimeout(max(0.1, within_s))
    try:
        wire.rest()
    except OSError as error:
        return not isinstance(error, TimeoutError)
    return True


def test_stalled_in_every_state(hasty: Target) -> None:
    """All of them at the same time, some sending a drop now and then that completes nothing: each is ended in its time."""
    with hasty.attacked(growth_bytes=16 * MIB):
        silent = {name: state(hasty) for name, state in STATES.items()}
        dripping = {
            name: STATES[name](hasty)
            for name in ("mx-half-line", "submissions-auth-half", "imaps-guest", "pop3s-guest")
        }
        began = time.monotonic()
        handshakes = [
            name for name in silent if "no-tls" in name or "half-tls" in name or "starttls" in name or "stls" in name
        ]
        for name in handshakes:
            assert ended(silent[name], 5 - (time.monotonic() - began)), f"{name}: the handshake was waited for too long"
        while time.monotonic() - began < LIMIT_S - 1:
            for wire in dripping.values():
                with contextlib.suppress(OSError):
                    wire.send(b"x")
            time.sleep(0.5)
        for name, wire in {**silent, **{f"{name} dripping": wire for name, wire in dripping.items()}}.items():
            assert ended(wire, LIMIT_S + 6 - (time.monotonic() - began)), f"{name} was waited for too long"


@pytest.mark.parametrize("how", ["half-closed", "closed", "reset"])
def test_gone_in_every_state(world: Target, how: str) -> None:
    """Nothing half is stored, nothing is left over."""
    user = "control@peers.test"
    before = len(world.inbox(user))
    with world.attacked(growth_bytes=8 * MIB):
        for name, state in {**STATES, **SIGNED_IN}.items():
            wire = state(world)
            if how == "half-closed":
                wire.sock.shutdown(1)
                assert ended(wire, 8), f"{name}: it waits for more"
            elif how == "closed":
                wire.close()
            else:
                wire.reset()
    assert len(world.inbox(user)) == before + 4, "only the honest mail of before and after"


def test_half_closed_clients_get_their_answers(world: Target) -> None:
    """printf … | nc: the replies to what was sent completely come, then the end."""
    wire = world.open("mx")
    wire.send(b"EHLO a.example\r\nNOOP\r\n")
    wire.sock.shutdown(1)
    assert wire.rest().endswith(b"250 2.0.0 OK\r\n") or b"250" in bytes(wire.heard)


def test_connections_of_one_address_are_bounded(world: Target) -> None:
    """The 51st of one address is told to come back; other addresses are served; then it is as before."""
    with world.attacked(growth_bytes=24 * MIB):
        wires = [world.connect("mx", source="127.9.9.9") for _ in range(55)]
        answers = [wire.line()[:4] for wire in wires]
        assert answers.count(b"220 ") == 50
        assert answers.count(b"421 ") == 5
        assert world.open("mx", source="127.9.9.10").say(b"NOOP").startswith(b"250")
        for wire in wires:
            wire.reset()
        time.sleep(0.1)
        assert world.connect("mx", source="127.9.9.9").line().startswith(b"220 ")


def test_a_storm_of_connections(world: Target) -> None:
    """Hundreds come and go, with and without a word, with and without TLS: memory and descriptors are given back."""
    with world.attacked(growth_bytes=12 * MIB):
        for number in range(600):
            wire = world.connect(("mx", "imaps", "pop3s")[number % 3], source=f"127.7.{number % 200}.1")
            if number % 4 == 0:
                wire.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 100)
            if number % 2:
                wire.reset()
            else:
                wire.close()


def test_octet_by_octet_a_client_is_still_served(world: Target) -> None:
    """Slow is not hostile: single octets through the whole of it."""
    user = world.account()
    wire = world.smtp()
    for octet in b"MAIL FROM:<a@b.example>\r\nRCPT TO:<%b>\r\nDATA\r\n" % user.encode():
        wire.send(bytes([octet]))
    assert [wire.reply()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
    for octet in b"From: a@b.example\r\nSubject: slow\r\n\r\nslow\r\n.\r\n":
        wire.send(bytes([octet]))
    assert wire.reply().startswith(b"250")
    wire = world.open("imaps")
    for octet in b"a AUTHENTICATE PLAIN " + plain(user, world.password) + b"\r\nb SELECT INBOX\r\n":
        wire.send(bytes([octet]))
    assert b"b OK" in wire.until_tag(b"b")
