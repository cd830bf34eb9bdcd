"""What a peer says of itself or writes into a message cannot pass for what we say: P11, P15, S12, X09 to X11."""

import time

import pytest

from tests.support.attack_client import Target


def stored(world: Target, user: str) -> bytes:
    (message,) = world.store.messages(user)
    return message.raw


def trace_of(raw: bytes) -> list[bytes]:
    """The first fields, unfolded: ours."""
    head = raw.partition(b"\r\n\r\n")[0].replace(b"\r\n\t", b" ").replace(b"\r\n ", b" ")
    return head.split(b"\r\n")


@pytest.mark.parametrize(
    "hello",
    [b"x;y", b"x (a)", b"x)", b"x\ty", b"a b", b"<x>", b"x\x0by", b'"x"', b"x,y", b"\xc3\xa9.example", b"x" * 2000,
     b"[1.2.3.4] (forged", b"=?utf-8?q?x?=", b"x%0d%0ay", b"[IPv6:::1%eth0]", b"[x]"],
)  # fmt: skip
def test_hello_writes_nothing_of_ours(world: Target, hello: bytes) -> None:
    user = world.account()
    wire = world.open("mx")
    answer = wire.say(b"EHLO " + hello)
    if not answer.startswith(b"250"):
        assert answer.startswith(b"5"), answer
        return
    assert wire.say(b"MAIL FROM:<>").startswith(b"250")
    assert wire.say(b"RCPT TO:<%b>" % user.encode()).startswith(b"250")
    assert wire.say(b"DATA").startswith(b"354")
    assert wire.say(b"From: a@b.example\r\nSubject: x\r\n\r\nx\r\n.").startswith(b"250")
    fields = trace_of(stored(world, user))
    assert fields[0] == b"Return-Path: <>"
    assert fields[1].startswith(b"Received: from ")
    assert fields[1].count(b";") == 1
    assert fields[2] == b"From: a@b.example"


@pytest.mark.parametrize(
    "sender",
    [b'"a b"@c.example', b'"a>b"@c.example', b'"\\"a\\\\"@c.example', b'"a;b (c"@d.example', b"a'b@c.example", b"a=?b?=@c.example",
     b'"=?utf-8?q?x?="@c.example', b'"\x01"@c.example', b'"a\r\nb"@c.example', b'"<a@peers.test> x"@c.example'],
)  # fmt: skip
def test_senders_stay_in_their_brackets(world: Target, sender: bytes) -> None:
    user = world.account()
    wire = world.smtp()
    answer = wire.say(b"MAIL FROM:<%b> SIZE=10 BODY=8BITMIME ENVID=x+0Dy RET=HDRS" % sender)
    assert answer.startswith(b"5"), "an encoded line end in ENVID"
    answer = wire.say(b"MAIL FROM:<%b> SIZE=10 BODY=8BITMIME" % sender)
    if not answer.startswith(b"250"):
        assert answer.startswith(b"5"), answer
        return
    assert wire.say(b"RCPT TO:<%b>" % user.encode()).startswith(b"250")
    assert wire.say(b"DATA").startswith(b"354")
    assert wire.say(b"From: a@b.example\r\nSubject: x\r\n\r\nx\r\n.").startswith(b"250")
    fields = trace_of(stored(world, user))
    assert fields[0].startswith(b"Return-Path: <")
    assert fields[0].endswith(b">")
    assert fields[0].count(b"<") == fields[0].count(b">") == 1
    assert fields[1].startswith(b"Received: ")
    assert fields[2] == b"From: a@b.example"


def test_forged_trace_fields_go_or_stand_below_ours(world: Target) -> None:
    """Return-Path and Received of a sender: ours come first, whole, once; there is one Return-Path."""
    user = world.account()
    forged = (
        b"Return-Path: <postmaster@peers.test>\r\nReceived: from bank.example by mx.peers.test; Mon, 1 Jan 2001 00:00:00 +0000\r\n"
        b"From: a@b.example\r\n\r\nx"
    )
    assert world.deliver(user, forged).startswith(b"250")
    fields = trace_of(stored(world, user))
    assert fields[0] == b"Return-Path: <sender@elsewhere.example>"
    assert fields[1].startswith(b"Received: from attacker.example ")
    assert [field[:12] for field in fields[2:]] == [b"Received: fr", b"From: a@b.ex"]


@pytest.mark.parametrize(
    "first",
    [b" From: <k@attacker.example>", b"\tfor <victim@peers.test>; Mon, 1 Jan 2001 00:00:00 +0000", b" ", b"\t"],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_first_line_that_would_fold_into_ours_is_refused(world: Target, first: bytes, chunked: bool) -> None:
    """X09: it would hide a From field, or let a sender write on in our Received field."""
    user = world.account()
    message = first + b"\r\nFrom: <l@bank.example>\r\n\r\nx\r\n"
    wire = world.smtp()
    assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
    assert wire.say(b"RCPT TO:<%b>" % user.encode()).startswith(b"250")
    if chunked:
        wire.send(b"BDAT 1\r\n" + message[:1])
        assert wire.reply().startswith(b"250")
        wire.send(b"BDAT %d LAST\r\n" % (len(message) - 1) + message[1:])
        answer = wire.reply()
    else:
        assert wire.say(b"DATA").startswith(b"354")
        wire.sock.sendall(message[:1])
        time.sleep(0.01)
        wire.sock.sendall(message[1:] + b".\r\n")
        answer = wire.reply()
    assert answer.startswith(b"554 5.6.0"), answer
    assert world.deliver(user, b"From: <l@bank.example>\r\n\r\nx").startswith(b"250")
    assert len(world.store.messages(user)) == 1


def test_a_loop_is_cut(world: Target) -> None:
    """P15: more than max_received (50) trace fields, ours included; folded ones count, one fewer passes."""
    user = world.account()
    for count, code in ((49, b"250"), (50, b"554 5.4.6"), (1000, b"554 5.4.6")):
        assert world.deliver(
            user,
            b"Received: a\r\n\tb\r\nReCeIvEd: c\r\n" * (count // 2)
            + b"Received: x\r\n" * (count % 2)
            + b"From: a@b.example\r\n\r\nx",
        ).startswith(code)
    assert len(world.inbox(user)) == 1


def test_the_submitter_does_not_show(world: Target) -> None:
    """S12: neither address nor HELO name nor user name of who submits is in the message."""
    user, other = world.account(), world.account()
    wire = world.smtp("submissions", user=user)
    for command in (b"EHLO secret-laptop.lan", b"MAIL FROM:<%b>" % user.encode(), b"RCPT TO:<%b>" % other.encode()):
        assert wire.say(command).startswith(b"250")
    assert wire.say(b"DATA").startswith(b"354")
    assert wire.say(b"From: %b\r\n\r\nx\r\n." % user.encode()).startswith(b"250")
    received = trace_of(stored(world, other))[1]
    assert b"secret-laptop" not in received
    assert b"127.0.0.1" not in received
    assert b"ESMTPSA" in received
