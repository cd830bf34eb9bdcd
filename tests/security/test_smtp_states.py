"""Every command in every state over real sockets, in clear and inside TLS, held against the tables of `proto/smtp/state.py`.

Where a connection stands is told by the answer to `DATA x`, which changes nothing: out of order it says what was expected, and in
order it is refused for its argument. P04, P05, T11: after a refused or failed transaction nothing of it is left.
"""

from collections.abc import Callable
from typing import Final

import pytest

from poterne.proto.smtp.state import AFTER, ALLOWED, State, out_of_order
from tests.support.attack_client import FROM_OUTSIDE, Target, Wire, plain

BODY: Final = b"Subject: x\r\n\r\nx\r\n"
HELLO: Final = b"EHLO c.example"
WAYS: Final = {
    State.START: (),
    State.READY: ("EHLO",),
    State.MAIL: ("EHLO", "MAIL"),
    State.RCPT: ("EHLO", "MAIL", "RCPT"),
    State.CHUNKS: ("EHLO", "MAIL", "RCPT", "BDAT"),
}
POSITIVE: Final = {
    "EHLO": 250, "HELO": 250, "MAIL": 250, "RCPT": 250, "DATA": 354, "BDAT": 250, "RSET": 250, "NOOP": 250, "VRFY": 252,
    "HELP": 214, "QUIT": 221, "STARTTLS": 220,
}  # fmt: skip
KEYS: Final = {"EHLO": "hello", "HELO": "hello", "MAIL": "mail", "RCPT": "rcpt", "BDAT": "chunk", "DATA": "data"}


def line_of(verb: str, account: str, sender: str, password: str) -> bytes:
    """A command that is right in the state that allows it."""
    return {
        "EHLO": HELLO,
        "HELO": b"HELO c.example",
        "LHLO": b"LHLO c.example",
        "MAIL": b"MAIL FROM:<%b>" % sender.encode(),
        "RCPT": b"RCPT TO:<%b>" % account.encode(),
        "BDAT": b"BDAT 4\r\nX: y",
        "VRFY": b"VRFY postmaster",
        "AUTH": b"AUTH PLAIN " + plain(account, password),
    }.get(verb, verb.encode())


class Peer:
    """One connection to a listener, in clear, inside TLS, or signed in."""

    def __init__(self, world: Target, kind: str, account: str) -> None:
        self.world = world
        self.kind = kind
        self.account = account
        self.tls = kind != "clear"
        self.signed_in = kind == "signed in"
        self.wire = self._connect()

    def _connect(self) -> Wire:
        if self.signed_in:
            return self.world.smtp("submissions", user=self.account)
        wire = self.world.open("mx")
        if self.tls:
            assert wire.say(HELLO).startswith(b"250")
            assert wire.say(b"STARTTLS").startswith(b"220")
            wire.tls()
        return wire

    def line(self, verb: str) -> bytes:
        return line_of(verb, self.account, self.account if self.signed_in else "a@b.example", self.world.password)

    def say(self, verb: str) -> bytes:
        line = self.line(verb)
        if verb != "BDAT":
            return self.wire.say(line)
        self.wire.send(line)
        return self.wire.reply()

    def bring(self, state: State) -> None:
        for verb in WAYS[state]:
            assert self.say(verb).startswith(b"250"), verb
        self.is_in(state)

    def is_in(self, state: State) -> None:
        said = self.wire.say(b"DATA x")
        in_order = b"501 5.5.4 This command takes no argument\r\n"
        assert said == (in_order if state is State.RCPT else out_of_order("DATA", state).wire), state

    def expected(self, verb: str, state: State) -> int:
        """The code that the tables and the offer promise."""
        if state not in ALLOWED[verb]:
            return 503
        if verb == "LHLO":
            return 500
        if verb == "STARTTLS" and self.tls:
            return 503
        if verb == "AUTH":
            return 503 if self.signed_in else 502
        return POSITIVE[verb]

    def after(self, verb: str, state: State, code: int) -> State:
        if verb == "RSET" and code == 250:
            return State.START if state is State.START else State.READY
        key = KEYS.get(verb, "nothing") if state in ALLOWED[verb] else "nothing"
        found = AFTER[key][0 if code < 400 else 1]
        return state if found is None else found


@pytest.mark.parametrize("kind", ["clear", "inside TLS", "signed in"])
@pytest.mark.parametrize("verb", sorted(ALLOWED))
def test_every_command_in_every_state(world: Target, kind: str, verb: str) -> None:
    account = world.account()
    for state in WAYS:
        if kind == "signed in" and state is State.START:
            continue  # who signed in has said EHLO
        peer = Peer(world, kind, account)
        peer.bring(state)
        code = peer.expected(verb, state)
        assert peer.say(verb)[:3] == b"%d" % code, (verb, state)
        if verb == "QUIT":
            assert peer.wire.rest() == b""
        elif code == 220:
            peer.wire.tls()
            peer.is_in(State.START)
        elif code == 354:
            assert peer.wire.say(b"From: %b\r\n" % account.encode() + BODY + b".").startswith(b"250")
            peer.is_in(State.READY)
        else:
            peer.is_in(peer.after(verb, state, code))
        peer.wire.close()


def _refused_mail(peer: Peer) -> None:
    for line in (
        b"MAIL FROM:<a@b.example> SIZE=999999999",
        b"MAIL FROM:<@x.example:a@b.example>",
        b"MAIL FROM:<a@b.example> FOO",
    ):
        assert peer.wire.say(line)[:1] == b"5"


def _refused_data(peer: Peer, content: bytes) -> None:
    for verb in ("MAIL", "RCPT"):
        assert peer.say(verb).startswith(b"250")
    assert peer.say("DATA").startswith(b"354")
    assert peer.wire.say(content + b"\r\n.")[:1] == b"5"


def _refused_chunk(peer: Peer, *chunks: bytes) -> None:
    for verb in ("MAIL", "RCPT"):
        assert peer.say(verb).startswith(b"250")
    replies = [peer.wire.send(chunk).reply() for chunk in chunks]
    assert replies[-1][:1] == b"5"


def _no_recipient(peer: Peer) -> None:
    assert peer.say("MAIL").startswith(b"250")
    assert peer.wire.say(b"RCPT TO:<nobody-here@peers.test>").startswith(b"550")
    assert peer.say("DATA").startswith(b"554")
    assert peer.say("BDAT").startswith(b"554")
    assert peer.say("RSET").startswith(b"250")


FAILURES: Final[dict[str, Callable[[Peer], None]]] = {
    "MAIL refused": _refused_mail,
    "no recipient": _no_recipient,
    "a bare LF": lambda peer: _refused_data(peer, FROM_OUTSIDE + b"\r\nx\ny"),
    "a NUL": lambda peer: _refused_data(peer, FROM_OUTSIDE + b"\r\nx\0y"),
    "no author": lambda peer: _refused_data(peer, b"Subject: x\r\n\r\nx"),
    "a loop": lambda peer: _refused_data(peer, FROM_OUTSIDE + b"Received: x\r\n" * 60 + b"\r\nx"),
    "too big": lambda peer: _refused_data(peer, FROM_OUTSIDE + b"\r\n" + b"x" * 70 + (b"\r\n" + b"x" * 900) * 9_500),
    "a bare CR in the first chunk": lambda peer: _refused_chunk(peer, b"BDAT 3\r\na\rb"),
    "a NUL in the last chunk": lambda peer: _refused_chunk(peer, b"BDAT 3\r\nabc", b"BDAT 3 LAST\r\na\0b"),
    "no author in chunks": lambda peer: _refused_chunk(peer, b"BDAT 13 LAST\r\nSubject: x\r\n\r"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["clear", "inside TLS"])
@pytest.mark.parametrize("failure", FAILURES)
def test_nothing_is_left_of_a_failed_transaction(world: Target, failure: str, kind: str) -> None:
    """What must not follow it: recipients, a message, a chunk. What must: a whole new message, and only that is stored."""
    account = world.account()
    peer = Peer(world, kind, account)
    peer.bring(State.READY)
    FAILURES[failure](peer)
    peer.is_in(State.READY)
    for verb in ("RCPT", "BDAT", "DATA"):
        assert peer.say(verb).startswith(b"503"), verb
    for verb, code in (("MAIL", b"250"), ("RCPT", b"250"), ("DATA", b"354")):
        assert peer.say(verb).startswith(code), verb
    assert peer.wire.say(FROM_OUTSIDE + b"Subject: control\r\n\r\nx\r\n.").startswith(b"250")
    (stored,) = world.inbox(account)
    assert b"Subject: control" in stored
    peer.wire.close()


def test_in_an_exchange_no_line_is_a_command(world: Target) -> None:
    """AUTH waits for base64: commands end the exchange and do nothing else."""
    account = world.account()
    for verb in ("MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT", "EHLO", "STARTTLS", "AUTH", "VRFY", "HELP"):
        wire = world.open("submissions")
        assert wire.say(HELLO).startswith(b"250")
        assert wire.say(b"AUTH PLAIN").startswith(b"334")
        assert wire.say(line_of(verb, account, account, world.password)).startswith((b"501", b"535")), verb
        assert wire.say(b"DATA x") == out_of_order("DATA", State.READY).wire, verb
        wire.close()
