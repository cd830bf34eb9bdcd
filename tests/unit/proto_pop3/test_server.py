from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.proto.core import PeerError, Signal
from poterne.proto.pop3 import commands, replies
from poterne.proto.pop3.body import Body
from poterne.proto.pop3.replies import BodyChunk, BodyEnd, BodyStart, Challenge, Err, Listing, Ok
from poterne.proto.pop3.server import Server
from poterne.proto.pop3.settings import Offer
from tests.support import pop3_toy

SIGN_IN = b"USER anna\r\nPASS secret\r\n"


def connected(data: bytes = b"", *, tls: bool = True) -> Server:
    core = Server(Offer(stls=not tls, auth=("PLAIN",)), tls=tls)
    toy = pop3_toy.Toy(core)
    if data:
        core.receive(data)
    while not isinstance(event := core.next_event(), Signal):
        toy(event)
    core.output()
    return core


def ask(core: Server, data: bytes) -> Any:
    core.receive(data)
    return core.next_event()


@pytest.mark.parametrize("injected", [b"CAPA\r\n", b"C", b"\n"])
def test_injection(injected: bytes) -> None:
    core = connected(tls=False)
    with pytest.raises(PeerError, match="starttls-injection"):
        ask(core, b"STLS\r\n" + injected)
    assert b"".join(core.output()).startswith(b"-ERR ")
    assert core.next_event() is Signal.CLOSED

    core = connected(tls=False)
    assert ask(core, b"STLS\r\n") == commands.Stls()
    core.send(Ok())
    assert core.next_event() is Signal.START_TLS
    core.receive(injected)
    with pytest.raises(PeerError, match="starttls-injection"):
        core.next_event()
    assert not core.tls

    core = connected(tls=False)
    ask(core, b"STLS\r\n")
    core.send(Ok())
    core.receive(injected)
    with pytest.raises(PeerError, match="starttls-injection"):
        core.tls_started()


def test_stls_refused() -> None:
    core = connected(tls=False)
    ask(core, b"STLS\r\n")
    core.send(Err("No", replies.Code.SYS_TEMP))
    assert core.output() == [b"-ERR [SYS/TEMP] No\r\n"]
    assert core.next_event() is Signal.NEED_DATA
    with pytest.raises(RuntimeError):
        core.tls_started()


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        (b"NOOP\r\n", [BodyStart()]),
        (b"NOOP\r\n", [Listing("", [])]),
        (b"NOOP\r\n", [Challenge(b"")]),
        (b"LIST 1\r\n", [Listing("", [])]),
        (b"LIST\r\n", [Ok()]),
        (b"RETR 1\r\n", [Ok()]),
        (b"RETR 1\r\n", [BodyChunk(b"x")]),
        (b"RETR 1\r\n", [BodyStart(), Ok()]),
        (b"RETR 1\r\n", [BodyStart(), BodyStart()]),
        (b"RETR 1\r\n", [BodyStart(), Err("late")]),
        (b"FOO\r\n", [Ok()]),
    ],
)
def test_a_reply_that_does_not_fit_is_our_bug(line: bytes, wrong: list[replies.Sent]) -> None:
    core = connected(SIGN_IN)
    assert core.authenticated
    ask(core, line)
    for reply in wrong[:-1]:
        core.send(reply)
    with pytest.raises(RuntimeError):
        core.send(wrong[-1])


def test_one_answer_for_each_event() -> None:
    core = connected(SIGN_IN)
    with pytest.raises(RuntimeError):
        core.send(Ok())
    ask(core, b"RETR 1\r\n")
    core.send(BodyStart())
    with pytest.raises(RuntimeError):
        core.next_event()


def test_closing() -> None:
    core = connected(SIGN_IN)
    core.send(replies.SHUTTING_DOWN)  # nothing is owed: without a word
    assert core.output() == []
    assert core.next_event() is Signal.CLOSED
    core = connected(SIGN_IN)
    ask(core, b"RETR 1\r\n")
    core.send(BodyStart("5 octets"))
    core.send(Err("failed", close=True))  # a body cannot be taken back
    assert core.output() == [b"+OK 5 octets\r\n"]
    assert core.next_event() is Signal.CLOSED
    core = connected(SIGN_IN)
    assert ask(core, b"FOO\r\n").code == "unknown-command"
    core.send(replies.TOO_MANY_ERRORS)
    assert core.output() == [b"-ERR Too many errors\r\n"]
    assert core.next_event() is Signal.CLOSED
    core = Server(Offer())
    assert core.next_event() == commands.Connect()
    core.send(Err("busy", replies.Code.IN_USE))
    assert core.output() == [b"-ERR [IN-USE] busy\r\n"]
    assert core.next_event() is Signal.CLOSED


def test_quit_says_whether_to_update() -> None:
    assert ask(connected(SIGN_IN), b"QUIT\r\n") == commands.Quit(update=True)
    assert ask(connected(), b"QUIT\r\n") == commands.Quit(update=False)


def test_secrets() -> None:
    core = connected()
    ask(core, b"USER anna\r\n")
    core.send(Ok())
    event = ask(core, b"PASS op en \r\n")
    assert event.password.reveal() == b"op en "
    assert "op en" not in repr(event)


def test_body_complete_tells_when_to_stop() -> None:
    core = connected(SIGN_IN)
    ask(core, b"TOP 1 1\r\n")
    core.send(BodyStart())
    told = [core.body_complete]
    for reply in (BodyChunk(b"A: b\r\n\r\none\r\ntw"), BodyChunk(b"o\r\n"), BodyEnd()):
        core.send(reply)
        told.append(core.body_complete)
    assert told == [False, True, True, False]
    assert b"".join(core.output()) == b"+OK\r\nA: b\r\n\r\none\r\n.\r\n"


LINES = st.lists(
    st.sampled_from([b"\r\n", b"\r\n\r\n", b".", b"..", b"a", b"b.c", b"\r", b"\n", b"\r\n."]), max_size=20
).map(b"".join)


def plain_top(message: bytes, lines: int) -> bytes:
    head, blank, body = (b"\r\n" + message).partition(b"\r\n\r\n")
    if not blank:
        return message
    return head[2:] + (blank if head else blank[2:]) + b"".join(line + b"\n" for line in body.split(b"\n")[:lines])


@settings(deadline=None)
@given(LINES, st.integers(0, 5) | st.none(), st.integers(1, 9))
def test_body(message: bytes, lines: int | None, size: int) -> None:
    body = Body(lines)
    wire = b"".join(body.feed(message[i : i + size]) for i in range(0, len(message), size)) + body.finish()
    assert wire.endswith(b"\r\n.\r\n") or wire == b".\r\n"
    text = wire[:-3]
    assert (b"\r\n" + wire).find(b"\r\n.\r\n") == len(wire) - 3
    got = (b"\r\n" + text).replace(b"\r\n.", b"\r\n")[2:]
    expected = message if lines is None else plain_top(message, lines)
    if lines is not None and (b"\r\n" + message).find(b"\r\n\r\n") >= 0 and message.count(b"\n") < 40:
        expected = expected if len(expected) <= len(message) else message
    if expected and not expected.endswith(b"\r\n"):
        expected += b"\r\n"
    assert got == expected
