"""The client core against servers that behave, and that do not."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.proto.core import PeerError, Signal
from poterne.proto.smtp.client import Client
from poterne.proto.smtp.client_commands import (
    Answer,
    Auth,
    Command,
    Content,
    ContentEnd,
    ContentError,
    Data,
    Greet,
    Greeting,
    Lost,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
)
from poterne.proto.smtp.client_lines import from_xtext, xtext
from poterne.proto.smtp.client_reply import ClientLimits
from poterne.proto.smtp.events import Body, Notify, Ret
from poterne.values.secret import Secret

FULL = b"250-mx\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250-REQUIRETLS\r\n250-STARTTLS\r\n250 AUTH LOGIN PLAIN\r\n"
BARE = b"250 mx\r\n"


def out(client: Client) -> bytes:
    size = client.pending
    wire = b"".join(client.output())
    assert len(wire) == size
    return wire


def events(client: Client, data: bytes = b"") -> list[Any]:
    if data:
        client.receive(data)
    found: list[Any] = []
    while not isinstance(event := client.next_event(), Signal):
        found.append(event)
    found.append(event)
    return found


def greeted(hello: bytes = FULL, *, tls: bool = True, lmtp: bool = False) -> Client:
    client = Client(tls=tls, lmtp=lmtp)
    client.send(Greet("c.example"))
    assert out(client) == b""  # not before the greeting
    events(client, b"220 mx\r\n")
    assert out(client) == (b"LHLO c.example\r\n" if lmtp else b"EHLO c.example\r\n")
    events(client, hello)
    return client


def codes(found: list[Any]) -> list[Any]:
    return [(type(e.command).__name__, e.reply.code, e.reply.local) if isinstance(e, Answer) else e for e in found]


def test_greeting_and_extensions() -> None:
    client = Client()
    client.receive(b"220-mx ESMTP\r\n220 be nice\r\n")
    (greeting, signal) = events(client)
    assert isinstance(greeting, Greeting)
    assert greeting.reply.lines == ("mx ESMTP", "be nice")
    assert signal is Signal.NEED_DATA
    client.send(Greet("c.example"))
    events(client, FULL)
    assert client.extensions["AUTH"] == ("LOGIN", "PLAIN")
    assert client.size_limit == 1000


def test_helo_when_the_server_knows_no_ehlo() -> None:
    client = greeted(b"502 5.5.1 What?\r\n")
    assert out(client) == b"HELO c.example\r\n"
    assert codes(events(client, b"250 mx\r\n")) == [("Greet", 250, False), Signal.NEED_DATA]
    assert client.extensions == {}
    client = greeted(b"502 What?\r\n")
    assert codes(events(client, b"502 What?\r\n")) == [("Greet", 502, False), Signal.NEED_DATA]
    client = Client()
    client.send(Greet("c.example"))
    assert codes(events(client, b"220 mx\r\n554 Go away\r\n"))[1:] == [("Greet", 554, False), Signal.NEED_DATA]


def test_pipelining_and_each_recipient_has_its_answer() -> None:
    client = greeted()
    for command in (Mail("a@b.example"), Rcpt("x@c.example"), Rcpt("y@c.example"), Data()):
        client.send(command)
    assert out(client) == b"MAIL FROM:<a@b.example>\r\nRCPT TO:<x@c.example>\r\nRCPT TO:<y@c.example>\r\nDATA\r\n"
    found = events(client, b"250 2.1.0 ok\r\n550-5.1.1 no\r\n550 5.1.1 such user\r\n250 ok\r\n354 go\r\n")
    assert codes(found) == [
        ("Mail", 250, False),
        ("Rcpt", 550, False),
        ("Rcpt", 250, False),
        ("Data", 354, False),
        Signal.NEED_DATA,
    ]
    assert found[1].reply.enhanced == "5.1.1"
    assert found[1].reply.text == "550 5.1.1 no such user"
    assert client.awaits_content
    client.send(Content(b".a\r\n..b\r"))
    client.send(Content(b"\n.c"))
    client.send(ContentEnd())
    client.send(Mail(""))  # RFC 2920 §3.1: may follow the dot
    assert out(client) == b"..a\r\n...b\r\n..c\r\n.\r\nMAIL FROM:<>\r\n"
    assert codes(events(client, b"250 2.0.0 queued\r\n")) == [("ContentEnd", 250, False), Signal.NEED_DATA]
    assert client.unanswered == (Mail(""),)


def test_without_pipelining_one_at_a_time() -> None:
    client = greeted(BARE)
    for command in (Mail("a@b.example"), Rcpt("x@c.example"), Data()):
        client.send(command)
    for line, reply in (
        (b"MAIL FROM:<a@b.example>\r\n", b"250 ok\r\n"),
        (b"RCPT TO:<x@c.example>\r\n", b"250 ok\r\n"),
        (b"DATA\r\n", b"354 go\r\n"),
    ):
        assert out(client) == line
        events(client, reply)
    assert client.awaits_content


def test_no_data_without_recipients() -> None:
    client = greeted(BARE)
    for command in (Mail("a@b.example"), Rcpt("x@c.example"), Data(), Quit()):
        client.send(command)
    events(client, b"250 ok\r\n")
    assert codes(events(client, b"550 no\r\n")) == [("Rcpt", 550, False), ("Data", 554, True), Signal.NEED_DATA]
    assert out(client).endswith(b"RCPT TO:<x@c.example>\r\nQUIT\r\n")
    assert codes(events(client, b"221 bye\r\n")) == [("Quit", 221, False), Signal.CLOSED]
    client = greeted(BARE)
    for command in (Mail("a@b.example"), Rcpt("x@c.example"), Data()):
        client.send(command)
    assert codes(events(client, b"550 no\r\n")) == [
        ("Mail", 550, False),
        ("Rcpt", 503, True),
        ("Data", 554, True),
        Signal.NEED_DATA,
    ]


def test_a_server_that_wants_data_for_nobody_gets_an_empty_message() -> None:
    client = greeted()
    for command in (Mail("a@b.example"), Rcpt("x@c.example"), Data()):
        client.send(command)
    out(client)
    assert codes(events(client, b"250 ok\r\n550 no\r\n354 go\r\n")) == [
        ("Mail", 250, False),
        ("Rcpt", 550, False),
        Signal.NEED_DATA,
    ]
    assert out(client) == b".\r\n"
    assert not client.awaits_content
    assert codes(events(client, b"250 lost it\r\n")) == [("Data", 554, True), Signal.NEED_DATA]


def test_parameters_follow_what_is_offered() -> None:
    mail = Mail(
        "a@b.example", size=900, body=Body.EIGHT_BIT, smtputf8=True, requiretls=True, ret=Ret.HEADERS, envid="a=+b c"
    )
    rcpt = Rcpt("é@c.example", notify={Notify.SUCCESS, Notify.DELAY}, orcpt=("rfc822", "x+y@c.example"))
    client = greeted()
    client.send(mail)
    client.send(rcpt)
    assert out(client).decode().split("\r\n")[:-1] == [
        "MAIL FROM:<a@b.example> SIZE=900 BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=a+3D+2Bb+20c",
        "RCPT TO:<é@c.example> NOTIFY=DELAY,SUCCESS ORCPT=rfc822;x+2By@c.example",
    ]
    client = greeted(BARE)
    client.send(Mail("a@b.example", size=10**9, body=Body.SEVEN_BIT, ret=Ret.FULL, envid="x"))
    client.send(Rcpt("x@c.example", notify={Notify.NEVER}, orcpt=("rfc822", "x")))
    assert out(client) == b"MAIL FROM:<a@b.example>\r\n"
    events(client, b"250 ok\r\n")
    assert out(client) == b"RCPT TO:<x@c.example>\r\n"


@pytest.mark.parametrize(
    ("hello", "mail", "code", "enhanced"),
    [
        (FULL, Mail("a@b.example", size=1001), 552, "5.3.4"),
        (BARE, Mail("a@b.example", body=Body.EIGHT_BIT), 554, "5.6.3"),
        (BARE, Mail("a@b.example", smtputf8=True), 553, "5.6.7"),
        (BARE, Mail("é@b.example"), 553, "5.6.7"),
        (BARE, Mail("a@b.example", requiretls=True), 550, "5.7.30"),
        (FULL, Mail("a@b.example>\r\nRCPT TO:<evil@b.example"), 553, "5.1.7"),
        (FULL, Mail("a@b.example> SIZE=1 X=<y"), 553, "5.1.7"),
        (FULL, Mail("a b@c.example"), 553, "5.1.7"),
        (FULL, Mail("\ud800@b.example"), 553, "5.1.7"),
    ],
)
def test_what_the_server_cannot_take_is_refused_here(hello: bytes, mail: Mail, code: int, enhanced: str) -> None:
    client = greeted(hello)
    for command in (mail, Rcpt("x@c.example"), Data(), Rset()):
        client.send(command)
    assert out(client) in {b"", b"RSET\r\n"}
    found = events(client)
    assert codes(found)[:3] == [("Mail", code, True), ("Rcpt", 503, True), ("Data", 554, True)]
    assert found[0].reply.enhanced == enhanced
    assert codes(events(client, b"250 ok\r\n")) == [("Rset", 250, False), Signal.NEED_DATA]


@pytest.mark.parametrize("path", ["", "x>", "x\ry@c.example", "x\0", "é@c.example", "a" * 300])
def test_a_recipient_that_cannot_be_written(path: str) -> None:
    client = greeted()
    client.send(Mail("a@b.example"))
    client.send(Rcpt(path))
    assert out(client) == b"MAIL FROM:<a@b.example>\r\n"
    assert codes(events(client, b"250 ok\r\n"))[1] == ("Rcpt", 553, True)


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"a\nb", "bare-lf"), (b"a\rb", "bare-cr"), (b"a\0", "nul"), (b"a\r", "bare-cr"), (b"\n", "bare-lf")],
)
def test_content_that_is_not_text_is_never_sent_whole(content: bytes, code: str) -> None:
    client = greeted()
    for command in (Mail("a@b.example"), Rcpt("x@c.example"), Data()):
        client.send(command)
    events(client, b"250 ok\r\n250 ok\r\n354 go\r\n")
    out(client)
    client.send(Content(b"Subject: x\r\n\r\n"))
    with pytest.raises(ContentError) as raised:  # noqa: PT012
        client.send(Content(content))
        client.send(ContentEnd())
    assert raised.value.code == code
    assert b"\r\n.\r\n" not in out(client)
    assert client.next_event() is Signal.CLOSED


def test_auth() -> None:
    client = greeted()
    client.send(Auth("anna", Secret("secret")))
    assert out(client) == b"AUTH PLAIN AGFubmEAc2VjcmV0\r\n"
    assert codes(events(client, b"535 no\r\n")) == [("Auth", 535, False), Signal.NEED_DATA]
    client.send(Auth("anna", Secret("secret"), "LOGIN"))
    assert out(client) == b"AUTH LOGIN\r\n"
    events(client, b"334 VXNlcm5hbWU6\r\n")
    assert out(client) == b"YW5uYQ==\r\n"
    events(client, b"334 UGFzc3dvcmQ6\r\n")
    assert out(client) == b"c2VjcmV0\r\n"
    events(client, b"334 more?\r\n")
    assert out(client) == b"*\r\n"
    assert codes(events(client, b"501 ok\r\n")) == [("Auth", 501, False), Signal.NEED_DATA]
    client.send(Auth("anna", Secret("p" * 600)))
    assert out(client) == b"AUTH PLAIN\r\n"
    events(client, b"334 \r\n")
    assert len(out(client)) > 800
    assert codes(events(client, b"235 ok\r\n")) == [("Auth", 235, False), Signal.NEED_DATA]
    for command, code in ((Auth("a", Secret("b"), "CRAM-MD5"), 504), (Auth("a\0", Secret("b")), 501)):
        client.send(command)
        assert codes(events(client)) == [("Auth", code, True), Signal.NEED_DATA]
    assert out(client) == b""


def test_no_password_without_tls() -> None:
    client = greeted(tls=False)
    client.send(Auth("anna", Secret("secret")))
    assert codes(events(client)) == [("Auth", 538, True), Signal.NEED_DATA]
    assert out(client) == b""


def test_starttls() -> None:
    client = greeted(tls=False)
    client.send(StartTls())
    client.send(Greet("c.example"))
    assert out(client) == b"STARTTLS\r\n"
    assert codes(events(client, b"220 go\r\n")) == [("StartTls", 220, False), Signal.START_TLS]
    assert out(client) == b""  # EHLO waits for TLS
    client.tls_started()
    assert client.extensions == {}
    assert out(client) == b"EHLO c.example\r\n"
    client.send(StartTls())
    assert codes(events(client, FULL)) == [("Greet", 250, False), ("StartTls", 502, True), Signal.NEED_DATA]


@pytest.mark.parametrize("moment", ["same", "before", "during"])
def test_what_is_injected_before_tls_never_counts(moment: str) -> None:
    client = greeted(tls=False)
    client.send(StartTls())
    injected = b"250-mx\r\n250 AUTH PLAIN\r\n"
    with pytest.raises(PeerError, match="starttls-injection"):  # noqa: PT012
        if moment == "same":
            events(client, b"220 go\r\n" + injected)
        events(client, b"220 go\r\n")
        client.receive(injected)
        if moment == "before":
            client.next_event()
        client.tls_started()
    assert client.next_event() is Signal.CLOSED
    assert not client.tls


def test_lmtp_has_an_answer_for_each_accepted_recipient() -> None:
    client = greeted(lmtp=True)
    rcpts = [Rcpt("x@c.example"), Rcpt("no@c.example"), Rcpt("y@c.example")]
    commands: list[Command] = [Mail("a@b.example"), *rcpts, Data()]
    for command in commands:
        client.send(command)
    events(client, b"250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n")
    client.send(ContentEnd())
    found = events(client, b"250 stored\r\n452 full\r\n")
    assert [(e.recipient, e.reply.code) for e in found[:-1]] == [(rcpts[0], 250), (rcpts[2], 452)]
    assert client.unanswered == ()


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (b"hello\r\n", "reply-syntax"),
        (b"25 ok\r\n", "reply-syntax"),
        (b"150 ok\r\n", "reply-syntax"),
        (b"250-a\r\n251 b\r\n", "reply-syntax"),
        (b"250ok\r\n", "reply-syntax"),
        (b"250 a\n", "bare-lf"),
        (b"250 a\rb\r\n", "bare-cr"),
        (b"250 a\0b\r\n", "reply-nul"),
        (b"250 " + b"x" * 5000, "reply-too-long"),
        (b"250-x\r\n" * 300, "reply-too-long"),
        (b"250-" + b"x" * 1000 + b"\r\n" + (b"250-" + b"x" * 1000 + b"\r\n") * 100, "reply-too-long"),
        (b"354 go\r\n", "unexpected-reply"),
        (b"250 ok\r\n250 again\r\n", "unexpected-reply"),
    ],
)
def test_a_server_that_breaks_the_protocol(reply: bytes, code: str) -> None:
    client = greeted()
    client.send(Noop())
    with pytest.raises(PeerError) as raised:
        events(client, reply)
    assert raised.value.code == code
    assert client.next_event() is Signal.CLOSED


def test_data_answered_by_250_is_not_success() -> None:
    client = greeted()
    for command in (Mail("a@b.example"), Rcpt("x@c.example"), Data()):
        client.send(command)
    with pytest.raises(PeerError, match="unexpected-reply"):
        events(client, b"250 ok\r\n250 ok\r\n250 ok\r\n")
    assert client.unanswered == (Data(),)


def test_421_and_end_of_file_name_what_is_lost() -> None:
    client = greeted()
    for command in (Mail("a@b.example"), Rcpt("x@c.example"), Data()):
        client.send(command)
    found = events(client, b"421 4.3.2 closing\r\n")
    assert codes(found[:1]) == [("Mail", 421, False)]
    assert found[1] == Lost((Rcpt("x@c.example"), Data()), found[0].reply)
    assert found[2] is Signal.CLOSED

    client = greeted()
    found = events(client, b"421 4.3.2 closing\r\n")
    assert found[0].commands == ()
    assert found[1] is Signal.CLOSED

    client = greeted()
    client.send(Noop())
    client.receive(b"")
    assert events(client) == [Lost((Noop(),)), Signal.CLOSED]
    with pytest.raises(RuntimeError):
        client.send(Noop())

    client = Client()
    client.receive(b"")
    assert events(client) == [Lost(()), Signal.CLOSED]


def test_an_unprintable_reply_is_shown_safely() -> None:
    client = greeted()
    client.send(Noop())
    found = events(client, b"250 2.0.0 a\x1b[31m\xff\xc2\x85b\r\n")
    assert found[0].reply.lines == ("a?[31m??b",)


def test_misuse_is_our_bug() -> None:
    client = greeted()
    for command in (Content(b"x"), ContentEnd()):
        with pytest.raises(RuntimeError):
            client.send(command)
    with pytest.raises(ValueError):
        client.send(Greet("evil\r\nRSET"))
    with pytest.raises(RuntimeError):
        client.tls_started()


WORDS = [
    b"250 ok\r\n",
    b"250-ok\r\n",
    b"550 no\r\n",
    b"354 go\r\n",
    b"334 \r\n",
    b"235 ok\r\n",
    b"220 go\r\n",
    b"421 bye\r\n",
    b"\r\n",
    b"\n",
    b"\0",
    b"2",
    b"x" * 60,
]
COMMANDS: list[Command] = [
    Greet("c"),
    Mail("a@b"),
    Rcpt("x@c"),
    Data(),
    Rset(),
    Noop(),
    Auth("a", Secret("b")),
    StartTls(),
    Quit(),
]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(COMMANDS), max_size=8), st.lists(st.sampled_from(WORDS), max_size=20), st.integers(1, 7)
)
def test_any_server(commands: list[Command], words: list[bytes], step: int) -> None:
    """Each command is answered once or named as lost; memory stays bounded; pieces make no difference."""

    def run(size: int) -> list[Any]:
        client = Client(ClientLimits(reply_line=50, reply_lines=5, reply_octets=100), tls=True)
        client.receive(b"220 mx\r\n" + FULL[:40] + b"\r\n")
        found: list[Any] = []
        for command in commands:
            client.send(command)
        data = b"".join(words)
        done = False
        event: Any = None
        for i in range(0, len(data) + 1, size):
            client.receive(data[i : i + size])
            try:
                while not isinstance(event := client.next_event(), Signal):
                    found.append(event)
            except PeerError as error:
                found.append(error.code)
                done = True
            if done or event is not Signal.NEED_DATA:
                break
            if client.awaits_content:
                client.send(ContentEnd())
        answered = [e.command for e in found if isinstance(e, Answer)] + [
            c for e in found if isinstance(e, Lost) for c in e.commands
        ]
        everything = [c for c in (*answered, *client.unanswered) if not isinstance(c, ContentEnd)]
        assert everything == commands
        return found

    run(step)
    run(10_000)


@pytest.mark.parametrize("reply", [b"552 5.3.4 too large\r\n", b"452 4.3.1 disk\r\n", b"421 4.3.2 down\r\n"])
def test_a_refusal_while_the_message_is_sent(reply: bytes) -> None:
    client = greeted()
    for command in (Mail("a@b.example"), Rcpt("x@c.example"), Data()):
        client.send(command)
    events(client, b"250 ok\r\n250 ok\r\n354 go\r\n")
    client.send(Content(b"some\r\n"))
    (lost, signal) = events(client, reply)
    assert isinstance(lost, Lost)
    assert lost.commands == ()
    assert lost.reply is not None
    assert lost.reply.code == int(reply[:3])
    assert signal is Signal.CLOSED


@given(st.text())
def test_xtext_there_and_back(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    coded = xtext(text)
    assert coded.isascii()
    assert not set(coded) & set(" =")
    assert from_xtext(coded) == text
