"""What transcripts cannot show: the contract with the session, injection, closing, memory."""

import gc
from typing import Any

import pytest

from poterne.proto.core import PeerError, Signal
from poterne.proto.smtp import events, replies
from poterne.proto.smtp.path import Path
from poterne.proto.smtp.replies import Challenge, Reply
from poterne.proto.smtp.server import Server
from poterne.proto.smtp.settings import Offer
from poterne.proto.smtp.state import ALLOWED, State, out_of_order
from tests.support import smtp_toy

HELLO = b"EHLO c.example\r\n"
ENVELOPE = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<a@b.example>\r\n"


def connected(data: bytes = b"", options: frozenset[str] = frozenset(), *, tls: bool = False) -> Server:
    core = Server(smtp_toy.offer(options), tls=tls)
    toy = smtp_toy.Toy(core)
    if data:
        core.receive(data)
    while not isinstance(event := core.next_event(), Signal):
        toy(event)
    core.output()
    return core


def ask(core: Server, data: bytes) -> Any:
    core.receive(data)
    return core.next_event()


INJECTIONS = [b"EHLO tok\r\n", b"EHL", b"\n", b"MAIL FROM:<a@b.example>\r\n", b"\x16\x03\x01"]


@pytest.mark.parametrize("injected", INJECTIONS)
def test_injection_in_the_same_segment(injected: bytes) -> None:
    core = connected(HELLO, frozenset({"starttls"}))
    with pytest.raises(PeerError) as raised:
        ask(core, b"STARTTLS\r\n" + injected)
    assert raised.value.code == "starttls-injection"
    assert b"".join(core.output()).startswith(b"421 ")  # and no 220
    assert core.next_event() is Signal.CLOSED


@pytest.mark.parametrize("injected", INJECTIONS)
def test_injection_before_and_after_the_go_ahead(injected: bytes) -> None:
    core = connected(HELLO, frozenset({"starttls"}))
    assert isinstance(ask(core, b"STARTTLS\r\n"), events.StartTls)
    core.receive(injected)
    core.send(replies.START_TLS)
    with pytest.raises(PeerError, match="starttls-injection"):
        core.next_event()
    assert core.next_event() is Signal.CLOSED

    core = connected(HELLO, frozenset({"starttls"}))
    ask(core, b"STARTTLS\r\n")
    core.send(replies.START_TLS)
    assert core.next_event() is Signal.START_TLS
    core.receive(injected)
    with pytest.raises(PeerError, match="starttls-injection"):
        core.tls_started()
    assert core.next_event() is Signal.CLOSED
    assert not core.tls


def test_starttls_refused_goes_on_in_clear() -> None:
    core = connected(HELLO, frozenset({"starttls"}))
    ask(core, b"STARTTLS\r\n")
    core.send(replies.NO_TLS)
    assert core.next_event() is Signal.NEED_DATA
    assert core.state is State.READY
    with pytest.raises(RuntimeError):
        core.tls_started()


def test_end_of_file_during_the_handshake() -> None:
    core = connected(HELLO, frozenset({"starttls"}))
    ask(core, b"STARTTLS\r\n")
    core.send(replies.START_TLS)
    core.receive(b"")
    assert core.next_event() is Signal.CLOSED


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        (b"", replies.START_DATA),
        (HELLO + ENVELOPE + b"NOOP\r\n", replies.START_DATA),
        (HELLO + ENVELOPE + b"DATA\r\n", replies.OK),
        (HELLO + ENVELOPE + b"NOOP\r\n", Challenge(b"x")),
        (b"FOO\r\n", replies.OK),
        (HELLO + ENVELOPE + b"DATA\r\n", Reply(334, "", "")),
    ],
)
def test_a_reply_that_does_not_fit_is_our_bug(lines: bytes, reply: replies.Sent) -> None:
    core = Server(Offer())
    toy = smtp_toy.Toy(core)
    if lines:
        core.receive(lines)
    event = core.next_event()
    for _ in range(lines.count(b"\n")):
        assert not isinstance(event, Signal)
        toy(event)
        event = core.next_event()
    with pytest.raises(RuntimeError):
        core.send(reply)


def test_a_message_with_a_fault_cannot_be_accepted() -> None:
    core = connected(HELLO + ENVELOPE + b"DATA\r\n")
    end = ask(core, b"a\nb\r\n.\r\n")
    assert end == events.DataEnd(5, events.DataFault.BARE_LF, end.refusal)
    with pytest.raises(RuntimeError):
        core.send(replies.OK)
    core.send(end.refusal)
    assert core.state is State.READY


def test_one_answer_for_each_event() -> None:
    core = connected(HELLO)
    with pytest.raises(RuntimeError):
        core.send(replies.OK)
    ask(core, b"NOOP\r\n")
    with pytest.raises(RuntimeError):
        core.next_event()


def test_421_at_any_time() -> None:
    for before in (b"", HELLO, HELLO + ENVELOPE, HELLO + ENVELOPE + b"DATA\r\nabc"):
        core = connected(before)
        core.send(replies.SHUTTING_DOWN)
        assert core.output() == [b"421 4.3.2 Shutting down, try again later\r\n"]
        assert core.next_event() is Signal.CLOSED
        with pytest.raises(RuntimeError):
            core.send(replies.OK)


def test_a_closing_reply_to_bdat_is_written_at_once() -> None:
    core = connected(HELLO + ENVELOPE)
    ask(core, b"BDAT 5\r\n")
    core.send(Reply(521, "5.7.0", "Go away", close=True))
    assert core.output() == [b"521 5.7.0 Go away\r\n"]
    assert core.next_event() is Signal.CLOSED


def test_refused_at_the_greeting() -> None:
    core = Server(Offer())
    core.receive(b"EHLO a\r\nMAIL FROM:<>\r\nNOOP\r\nQUIT\r\n")
    assert core.next_event() == events.Connect()
    assert core.buffered > 0  # the early talker shows
    core.send(Reply(554, "", "No"))
    codes = []
    while not isinstance(event := core.next_event(), Signal):
        codes.append(event.code if isinstance(event, events.Bad) else type(event).__name__)
        core.send(
            event.reply
            if isinstance(event, events.Bad)
            else replies.BYE
            if isinstance(event, events.Quit)
            else replies.OK
        )
    assert codes == ["out-of-order", "out-of-order", "Noop", "Quit"]


@pytest.mark.parametrize("greeted", [False, True])
def test_tls_where_none_is_spoken_yet_gets_no_answer(*, greeted: bool) -> None:
    """A client of port 465 on port 25, before or after our greeting; whatever its octets hold."""
    core = Server(Offer(starttls=True))
    if greeted:
        core.next_event()
        core.send(smtp_toy.GREETING)
        core.output()
    core.receive(b"\x16")
    with pytest.raises(PeerError, match="tls-on-clear-port"):
        core.next_event()
    assert core.output() == []
    assert core.next_event() is Signal.CLOSED


def test_inside_tls_such_an_octet_is_only_a_bad_command() -> None:
    core = connected(b"\x16\r\n", tls=True)
    assert core.state is State.START


def test_early_data_shows_at_data_start() -> None:
    core = connected(HELLO + ENVELOPE)
    assert isinstance(ask(core, b"DATA\r\nSubject: early\r\n"), events.DataStart)
    assert core.buffered == 16


@pytest.mark.parametrize("verb", sorted(ALLOWED))
@pytest.mark.parametrize("state", [State.START, State.READY, State.MAIL, State.RCPT, State.CHUNKS])
def test_the_table_is_what_happens(verb: str, state: State) -> None:
    reach = {
        State.START: b"",
        State.READY: HELLO,
        State.MAIL: HELLO + b"MAIL FROM:<>\r\n",
        State.RCPT: HELLO + ENVELOPE,
        State.CHUNKS: HELLO + ENVELOPE + b"BDAT 0\r\n",
    }
    arguments = {
        "EHLO": "x",
        "HELO": "x",
        "LHLO": "x",
        "MAIL": "FROM:<>",
        "RCPT": "TO:<b@b.example>",
        "BDAT": "0",
        "AUTH": "PLAIN",
        "VRFY": "x",
    }
    core = Server(smtp_toy.offer(frozenset({"auth", "starttls"})), tls=verb == "AUTH")
    toy = smtp_toy.Toy(core)
    if reach[state]:
        core.receive(reach[state])
    while not isinstance(event := core.next_event(), Signal):
        toy(event)
    assert core.state is state
    event = ask(core, f"{verb} {arguments.get(verb, '')}".strip().encode() + b"\r\n")
    refused = isinstance(event, events.Bad) and event.code == "out-of-order"
    assert refused == (state not in ALLOWED[verb])
    if refused:
        assert event.reply == out_of_order(verb, state)


def test_events_carry_what_was_said() -> None:
    core = connected(HELLO, frozenset({"auth"}), tls=True)
    event = ask(
        core, b"MAIL FROM:<A@b.example> SIZE=9 BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=FULL ENVID=q+3Dz AUTH=x+40y\r\n"
    )
    assert (event.path.raw, event.size, event.body, event.smtputf8, event.requiretls) == (
        "A@b.example",
        9,
        events.Body.EIGHT_BIT,
        True,
        True,
    )
    assert (event.ret, event.envid, event.auth) == (events.Ret.FULL, "q=z", "x@y")
    core.send(replies.SENDER_OK)
    event = ask(core, b"RCPT TO:<b@b.example> NOTIFY=delay,SUCCESS ORCPT=UTF-8;\xc3\xa9+2B\\x{20AC}@b\r\n")
    assert event.notify == {events.Notify.DELAY, events.Notify.SUCCESS}
    assert event.orcpt == ("utf-8", "é+€@b")
    core.send(replies.RECIPIENT_OK)
    ask(core, b"DATA\r\n")
    core.send(replies.START_DATA)
    assert ask(core, b"\xc3\xa9\r\n.\r\n") == events.DataChunk(b"\xc3\xa9\r\n")
    assert core.next_event() == events.DataEnd(4, eight_bit=True)


def test_100000_chunks_of_one_octet_hold_nothing() -> None:
    core = connected(HELLO + ENVELOPE)
    toy = smtp_toy.Toy(core)
    toy.answers(events.MailFrom(Path("", None)))
    count = 0
    for _ in range(1000):
        core.receive(b"BDAT 1\r\nx" * 10)
        while not isinstance(event := core.next_event(), Signal):
            if isinstance(event, events.DataStart):
                core.send(replies.START_DATA)
            elif isinstance(event, events.ChunkEnd):
                count += 1
                core.send(replies.CHUNK_OK)
        core.output()
        assert core.buffered == 0
    assert count == 10_000


def test_a_core_leaves_no_cycle_behind() -> None:
    def alive() -> int:
        return sum(type(found) is Server for found in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = alive()
        core = connected(HELLO + ENVELOPE + b"DATA\r\nx\r\n.\r\n")
        assert alive() == before + 1
        del core
        assert alive() == before
    finally:
        gc.enable()


def test_reply_rendering() -> None:
    assert Reply(250, "", "a", ("b", "c")).wire == b"250-a\r\n250-b\r\n250 c\r\n"
    assert Reply(550, "5.1.1", "a", ("b",)).wire == b"550-5.1.1 a\r\n550 5.1.1 b\r\n"
    assert Reply(550, "5.1.1", "evil\r\n250 OK\x85\u2028é").wire == "550 5.1.1 evil??250 OK??é\r\n".encode()
    for text in ("x" * 5000, "é" * 5000):
        lines = Reply(550, "5.1.1", text).wire.split(b"\r\n")[:-1]
        assert all(len(line) <= 510 for line in lines)
        assert "".join(line.decode()[10:] for line in lines) == text
    assert Reply(250, "", "").wire == b"250 \r\n"
    for code, enhanced in ((199, ""), (600, ""), (250, "5.0.0"), (550, "5.1"), (550, "5.01.1"), (550, "5.1.1000")):
        with pytest.raises(ValueError):
            Reply(code, enhanced, "x")


def test_the_hello_reply_takes_a_multiline_greeting_and_drops_its_enhanced_code() -> None:
    core = Server(Offer(transactions=5))
    core.next_event()
    core.send(Reply(220, "", "mx"))
    core.output()
    ask(core, HELLO)
    core.send(Reply(250, "2.0.0", "mx", ("second",)))
    lines = b"".join(core.output()).split(b"\r\n")
    assert lines[:3] == [b"250-mx", b"250-second", b"250-PIPELINING"]
    assert lines[-2:] == [b"250 LIMITS MAILMAX=5 RCPTMAX=1000", b""]
