"""Our client core against our server core, in memory."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.proto.core import Signal
from poterne.proto.smtp.client import Client
from poterne.proto.smtp.client_commands import (
    Answer,
    Auth,
    Command,
    Content,
    ContentEnd,
    Data,
    Greet,
    Mail,
    Quit,
    Rcpt,
    Rset,
    StartTls,
)
from poterne.proto.smtp.events import Body, Notify, Ret
from poterne.proto.smtp.server import Server
from poterne.values.secret import Secret
from tests.support import smtp_toy


class Pair:
    """Moves octets between the two, `step` at a time, until both wait."""

    def __init__(self, options: frozenset[str] = frozenset(), step: int = 100_000) -> None:
        self.client = Client(tls="tls" in options, lmtp="lmtp" in options)
        self.server = Server(smtp_toy.offer(options), tls="tls" in options)
        self.toy = smtp_toy.Toy(self.server)
        self.step = step
        self.found: list[Any] = []

    def run(self, *commands: Command) -> list[Any]:
        start = len(self.found)
        for command in commands:
            self.client.send(command)
        while True:
            served, client = self._serve(), self._listen()
            if served is Signal.START_TLS and client is Signal.START_TLS:
                self.server.tls_started()
                self.client.tls_started()
            elif not (self.server.pending or self.client.pending):
                return [(type(e.command).__name__, e.reply.code) for e in self.found[start:] if isinstance(e, Answer)]

    def _serve(self) -> Signal:
        data = b"".join(self.client.output())
        event: Any = Signal.NEED_DATA
        for i in range(0, len(data) or 1, self.step):
            if data:
                self.server.receive(data[i : i + self.step])
            while not isinstance(event := self.server.next_event(), Signal):
                self.toy(event)
        assert isinstance(event, Signal)
        return event

    def _listen(self) -> Signal:
        data = b"".join(self.server.output())
        event: Any = Signal.NEED_DATA
        for i in range(0, len(data) or 1, self.step):
            if data:
                self.client.receive(data[i : i + self.step])
            while not isinstance(event := self.client.next_event(), Signal):
                self.found.append(event)
        assert isinstance(event, Signal)
        return event


ENVELOPE = (
    Mail("a@b.example", size=50, body=Body.EIGHT_BIT, ret=Ret.FULL, envid="x y"),
    Rcpt("no@c.example"),
    Rcpt("d@c.example", {Notify.NEVER}, ("rfc822", "d=d@c")),
    Data(),
)


@pytest.mark.parametrize("step", [1, 3, 100_000])
def test_a_whole_connection_with_tls_and_reuse(step: int) -> None:
    pair = Pair(frozenset({"starttls", "auth"}), step)
    assert pair.run(Greet("c.example"), StartTls(), Greet("c.example"), Auth("anna", Secret("wrong")), Auth("anna", Secret("secret"), "LOGIN")) == [
        ("Greet", 250), ("StartTls", 220), ("Greet", 250), ("Auth", 535), ("Auth", 235),
    ]  # fmt: skip
    for _ in range(3):
        assert pair.run(*ENVELOPE) == [("Mail", 250), ("Rcpt", 550), ("Rcpt", 250), ("Data", 354)]
        assert pair.run(Content(b"Subject: x\r\n\r\n"), Content(b".\r\nhi"), ContentEnd()) == [("ContentEnd", 250)]
    assert pair.run(Mail("no@b.example"), Rcpt("d@c.example"), Data(), Rset()) == [
        ("Mail", 550),
        ("Rcpt", 503),
        ("Data", 503),
        ("Rset", 250),
    ]
    assert pair.run(Mail("é@b.example", smtputf8=True), Rcpt("é@c.example"), Rset(), Quit()) == [
        ("Mail", 250),
        ("Rcpt", 250),
        ("Rset", 250),
        ("Quit", 221),
    ]
    assert [m.body for m in pair.toy.messages] == [b"Subject: x\r\n\r\n.\r\nhi\r\n"] * 3
    message = pair.toy.messages[0]
    assert (message.mail.size, message.mail.body, message.mail.ret, message.mail.envid) == (
        50,
        Body.EIGHT_BIT,
        Ret.FULL,
        "x y",
    )
    assert message.rcpts[0].orcpt == ("rfc822", "d=d@c")
    assert message.rcpts[0].notify == {Notify.NEVER}
    assert pair.client.next_event() is Signal.CLOSED
    assert pair.server.next_event() is Signal.CLOSED


def test_lmtp() -> None:
    pair = Pair(frozenset({"lmtp"}))
    pair.run(
        Greet("c.example"), Mail("a@b.example"), Rcpt("x@c.example"), Rcpt("no@c.example"), Rcpt("y@c.example"), Data()
    )
    assert pair.run(Content(b"hi\r\n"), ContentEnd()) == [("ContentEnd", 250), ("ContentEnd", 250)]


def test_without_extensions() -> None:
    pair = Pair(frozenset({"plain"}))
    assert pair.run(Greet("c.example"), *ENVELOPE)[-1] == ("Data", 354)


BODY = st.lists(st.sampled_from([b"\r\n", b".", b"..", b"\r\n.", b"text", b"\xff", b"x" * 100]), max_size=20).map(
    b"".join
)


@settings(max_examples=300, deadline=None)
@given(BODY, st.integers(1, 9), st.integers(1, 60))
def test_every_text_arrives_as_it_was(body: bytes, size: int, step: int) -> None:
    pair = Pair(step=step)
    pair.run(Greet("c.example"), Mail("a@b.example"), Rcpt("d@c.example"), Data())
    pair.run(*(Content(body[i : i + size]) for i in range(0, len(body), size)), ContentEnd(), Mail("z@b.example"))
    (message,) = pair.toy.messages
    assert message.body == (body if not body or body.endswith(b"\r\n") else body + b"\r\n")
    assert message.end.size == len(message.body)
    assert message.end.eight_bit == (b"\xff" in body)
    assert pair.toy.mail is not None
    assert pair.toy.mail.path.raw == "z@b.example"
