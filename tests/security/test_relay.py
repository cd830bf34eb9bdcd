"""Nobody relays here (catalogue §1.5): all senders F with all recipients R, on 25, 587 and 465, before and after TLS.

A recipient is either refused in the dialogue or is one of ours. Nothing ever reaches the queue without a sign-in.
"""

import itertools

import pytest

from tests.support.attack_client import MIB, Target

VICTIM, NAME, DOMAIN, ADDRESS = b"victim.example", b"mx.peers.test", b"peers.test", b"127.0.0.1"

SENDERS = [
    b"<a@victim.example>", b"<a@other.example>", b"<>", b"<nouser@peers.test>", b"<LOCAL@peers.test>", b"<a@mx.peers.test>",
    b"<a@[127.0.0.1]>", b"<a@localhost>", b"<postmaster@peers.test>", b"<MAILER-DAEMON@peers.test>", b"<u@victim.example>",
    b'<"a@peers.test"@victim.example>', b"<a@sub.peers.test>", b"<a@PEERS.TEST>", b"<a%peers.test@victim.example>",
]  # fmt: skip
REFUSED_SENDERS = [
    b"<a>", b"<postmaster>", b"<@peers.test:a@victim.example>", b"<a@peers.test.>", b"a@peers.test", b" <a@peers.test>",
    b"<a@peers.test", b"a@peers.test>", b"<<a@peers.test>>", b"<a@\xd1\x80eers.test>", b"<a@peers.test>x", b"<a b@peers.test>",
    b"<(any@peers.test>", b"<any@peers.test(a.victim.example>", b"<@peers.test,@any.com:'any@victim.example>",
    b"<any@peers.test'@any.victim.example>", b"<a@peers.test> AUTH=<>", b"<a@peers.test> AUTH=control@peers.test",
]  # fmt: skip
"""With X02, X05, X06 and X07 of §1.7."""

RECIPIENTS = [
    # classic
    b"<u@E>", b"<u%E@[I]>", b"<u%E@T>", b"<u%E@D>", b"<u%E>", b'<"u@E">', b'<"u%E">', b"<u@E@[I]>", b"<u@E@T>", b"<u@E@D>",
    b'<"u@E"@[I]>', b'<"u@E"@T>', b'<"u@E"@D>', b"<@[I]:u@E>", b"<@T:u@E>", b"<@D:u@E>", b"<E!u>", b"<E!u@[I]>", b"<E!u@T>",
    b"<E!u@D>",
    # combined
    b"<u%E%other.example@D>", b"<u%E@D@T>", b"<@D,@T:u@E>", b"<@T,@E:u@E>", b"<@D:u%E@T>", b"<D!E!u>", b"<T!E!u@D>",
    b"<E!u%D@T>", b"<u%E!D>", b'<"E!u"@D>', b'<"@D:u@E">', b'<"@D:u@E"@D>',
    # quoting
    b'<"u"@E>', b"<u\\@E@D>", b'<"u\\@E"@D>', b"<u@E @D>", b"<u@E,LOCAL@D>", b"<LOCAL@D,u@E>", b"<u@E;LOCAL@D>", b"<u@E(c)@D>",
    b"<u@E(@D)>", b"<(@D)u@E>", b"<LOCAL@D><u@E>", b"<u@E>@D", b"<<u@E>@D>", b"<:u@E>", b"<@:u@E>", b'<"u@E> "@D>', b"<u@E",
    b'<"u@E>', b'<"u@E>"@D>', b"<LOCAL@D> <u@E>",
    # literals
    b"<u@[192.0.2.1]>", b"<u@[IPv6:2001:db8::1]>", b"<u%E@[127.0.0.1]>", b"<u%E@localhost>", b"<u@2130706433>",
    b"<u@0x7f000001>", b"<u@127.1>", b"<u@#2130706433>", b"<LOCAL@[I]>", b"<LOCAL@localhost>", b"<LOCAL@[]>", b"<LOCAL@[IPv6:::1%lo]>",
    # domain
    b"<u@E.>", b"<u@E..>", b"<u@.E>", b"<LOCAL@notD>", b"<LOCAL@xD>", b"<u@sub.D>", b"<u@E%D>", b"<u@E!D>", b"<u@D%E>",
    b"<u@VICTIM.example>", b"<\tu@E>", b"<u@" + b"a." * 130 + b"E>", b"<" + b"a" * 65 + b"@E>", b"<" + b"a" * 1024 + b"@E>",
    b"<LOCAL@D.>", b"<LOCAL@D..E>", b"<LOCAL@D\t>", b"<LOCAL@ D>",
    # encoding
    b"<u%40E@D>", b"<u%2540E@D>", b"<=?utf-8?q?u=40E=3e=00?=@D>", b"<=?utf-7?q?u&AEA-E&ACA-?=@D>", b"<u+40E@D>",
    b"<IMCEASMTP-u+40E@D>", b"<u\xef\xbc\xa0E@D>", b"<u\xef\xb9\xabE>", b"<u\xc5\x80E@D>", b"<u\xef\xbc\x85E@D>",
    b"<LOCAL@peers\xef\xbc\x8etest>", b"<LOCAL@peers\xe3\x80\x82test>", b"<LOCAL@pe\xe2\x80\x8ders.test>",
    b"<LOCAL@pe\xc2\xaders.test>", b"<LOCAL@p\xd0\xb5ers.test>", b"<\xff@D>", b"<u@\xc3\xa9.example>",
    # rewriters, special targets
    b"<SRS0=AAAA=TT=E=u@D>", b"<SRS1=AAAA=E==AAAA=TT=E=u@D>", b"<u=E@D>", b"<b+u=E@D>", b"<prvs=1234567890=u@E>", b"</S=u/OU=E@D>",
    b'<"/DD.RFC-822=u(a)E/"@D>', b"<fax=+331@D>", b"<|cmd@D>", b'<"|cmd"@D>', b"</tmp/f@D>", b"<:include:/etc/passwd@D>",
    # shapes
    b"<>", b"<@>", b"u@E", b"LOCAL@D", b" <LOCAL@D>", b"<LOCAL>", b"<@D>", b"<LOCAL@>", b"<u@E> NOTIFY=NEVER",
    b"<u@E> NOTIFY=SUCCESS ORCPT=rfc822;LOCAL@D", b"<u@E> XYZZY=1", b"<LOCAL@D> NOTIFY=NEVER,SUCCESS",
]  # fmt: skip
"""None of these is an address of ours. E, T, I, D, LOCAL are put in."""


def filled(recipient: bytes, local: bytes) -> bytes:
    for name, value in ((b"LOCAL", local), (b"E", VICTIM), (b"T", NAME), (b"I", ADDRESS), (b"D", DOMAIN)):
        recipient = _replace_word(recipient, name, value)
    return recipient


def _replace_word(text: bytes, name: bytes, value: bytes) -> bytes:
    if name == b"LOCAL":
        return text.replace(name, value)
    keep = (
        b"NOTIFY",
        b"NEVER",
        b"SUCCESS",
        b"ORCPT",
        b"IMCEASMTP",
        b"SRS0",
        b"SRS1",
        b"TT",
        b"AAAA",
        b"DD.RFC",
        b"VICTIM",
        b"IPv6",
        b"OU",
        b"AEA",
        b"ACA",
        b"XYZZY",
        b"/S",
    )
    for index, word in enumerate(keep):
        text = text.replace(word, b"\x01%c\x02" % (index + 200))
    text = text.replace(name, value)
    for index, word in enumerate(keep):
        text = text.replace(b"\x01%c\x02" % (index + 200), word)
    return text


@pytest.fixture
def local(world: Target) -> bytes:
    return world.account().partition("@")[0].encode()


def assert_nothing_queued(world: Target) -> None:
    assert world.store.queued() == []


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_every_sender_with_every_recipient_on_25(world: Target, local: bytes, tls: bool) -> None:
    """F×R. 452 or 421 would be no verdict: only 5xx counts."""
    recipients = [filled(recipient, local) for recipient in RECIPIENTS]
    with world.attacked(growth_bytes=8 * MIB):
        for sender in SENDERS:
            wire, left = world.smtp(tls=tls), 0
            for recipient in recipients:
                if not left:  # before the connection's budgets of wrong commands and of unknown users are used up
                    wire.close()
                    wire, left = world.smtp(tls=tls), 8
                    assert wire.say(b"MAIL FROM:" + sender.replace(b"LOCAL", local)).startswith(b"250"), sender
                answer = wire.say(b"RCPT TO:" + recipient)
                assert answer.startswith(b"5"), f"{sender!r} {recipient!r} {answer!r}"
                left = 0 if answer.startswith(b"550 5.1.1") else left - 1
            assert wire.say(b"DATA").startswith(b"5"), "no recipient, no message"
            wire.close()
    assert_nothing_queued(world)


def test_refused_senders(world: Target, local: bytes) -> None:
    with world.attacked():
        for sender in REFUSED_SENDERS:
            wire = world.smtp()
            assert wire.say(b"MAIL FROM:" + sender).startswith(b"5"), sender
            assert wire.say(b"RCPT TO:<%b@peers.test>" % local).startswith(b"503")
            assert wire.say(b"DATA").startswith(b"503")
            wire.close()


@pytest.mark.parametrize("hello", [b"peers.test", b"mx.peers.test", b"[127.0.0.1]", b"localhost", b"[IPv6:::1]"])
def test_no_name_opens_the_relay(world: Target, hello: bytes) -> None:
    """F23: whoever one says to be, HELO or EHLO, twice or not at all."""
    for verb in (b"HELO ", b"EHLO "):
        wire = world.open("mx")
        assert wire.say(verb + hello).startswith(b"250")
        assert wire.say(b"EHLO " + hello).startswith(b"250")
        assert wire.say(b"MAIL FROM:<a@peers.test>").startswith(b"250")
        assert wire.say(b"RCPT TO:<u@victim.example>").startswith(b"550 5.7.1")
        wire.close()
    wire = world.open("mx")
    assert wire.say(b"MAIL FROM:<a@peers.test>").startswith(b"503")
    assert wire.say(b"EHLO").startswith(b"5")
    assert wire.say(b"EHLO ").startswith(b"5")
    assert wire.say(b"MAIL FROM:<a@peers.test>").startswith(b"503")
    wire.close()


@pytest.mark.parametrize("listener", ["submission", "submissions"])
def test_submission_without_sign_in_takes_nothing(world: Target, local: bytes, listener: str) -> None:
    """R on 587 and 465; not even mail for us."""
    with world.attacked():
        for tls, recipient in itertools.product((False, True), (b"<u@victim.example>", b"<%b@peers.test>" % local)):
            wire = world.smtp(listener, tls=tls)
            assert wire.say(b"MAIL FROM:<%b@peers.test>" % local).startswith(b"530")
            assert wire.say(b"RCPT TO:" + recipient).startswith(b"503")
            assert wire.say(b"DATA").startswith(b"503")
            wire.send(b"BDAT 3 LAST\r\na\r\n")
            assert wire.reply().startswith(b"503")
            wire.close()
        wire = world.smtp(listener, tls=True)  # R73
        assert wire.say(b"AUTH PLAIN AGEAYg==").startswith(b"535")
        assert wire.say(b"MAIL FROM:<%b@peers.test>" % local).startswith(b"530")
        wire.close()
    assert_nothing_queued(world)


def test_nobody_says_who_somebody_is(world: Target) -> None:
    """S03, S04, R71, R72: XCLIENT, XFORWARD, PROXY, ETRN, TURN and their kin."""
    with world.attacked():
        for first in (
            b"PROXY TCP4 127.0.0.1 127.0.0.1 1 25",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\1\x7f\0\0\1\0\1\0\x19",
        ):
            wire = world.connect("mx")
            wire.send(first + b"\r\n")
            wire.send(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@victim.example>\r\n")
            answer = wire.rest() if b"\0" in first else b""
            assert b"250 2.1.5" not in answer
            wire.close()
        wire = world.smtp(tls=True)
        assert not {b"XCLIENT", b"XFORWARD", b"ETRN", b"AUTH"} & set(
            wire.say(b"EHLO x.example").replace(b"-", b" ").split()
        )
        for command in (b"XCLIENT ADDR=127.0.0.1 LOGIN=admin", b"XFORWARD ADDR=127.0.0.1", b"ETRN victim.example", b"ATRN victim.example",
                        b"TURN"):  # fmt: skip
            assert wire.say(command)[:3] in {b"500", b"502"}, command
        wire = world.smtp(tls=True)
        for command in (
            b"SEND FROM:<a@b.example>",
            b"SOML FROM:<a@b.example>",
            b"DEBUG",
            b"WIZ",
            b"VERB",
            b"ONEX",
            b"EXPN postmaster",
        ):
            assert wire.say(command)[:3] in {b"500", b"502"}, command
        assert wire.say(b"VRFY control").startswith(b"252")
        assert wire.say(b"VRFY nobody-here") == wire.say(b"VRFY control")
        wire = world.smtp(tls=True)
        assert wire.say(b"AUTH PLAIN AGEAYg==").startswith(b"5"), "S02: there is no AUTH on 25"
        assert wire.say(b"MAIL FROM:<a@peers.test>").startswith(b"250")
        assert wire.say(b"RCPT TO:<u@victim.example>").startswith(b"550 5.7.1")
    assert_nothing_queued(world)


def test_a_refused_recipient_among_good_ones_gets_nothing(world: Target, local: bytes) -> None:
    rcpt = world.account()
    wire = world.smtp()
    assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
    for recipient in (
        b"<u@victim.example>",
        b"<%b@PEERS.TEST>" % rcpt.partition("@")[0].upper().encode(),
        b"<u@other.example>",
    ):
        answer = wire.say(b"RCPT TO:" + recipient)
        assert answer.startswith(b"250" if b"PEERS" in recipient else b"550 5.7.1")
    assert wire.say(b"DATA").startswith(b"354")
    assert wire.say(b"From: a@b.example\r\nSubject: x\r\nBcc: u@victim.example\r\n\r\nx\r\n.").startswith(b"250")
    assert len(world.inbox(rcpt)) == 1
    assert_nothing_queued(world)


def test_harvesting_is_slowed_and_ended(world: Target) -> None:
    """S07: unknown recipients take longer and longer and then the connection; the limit is 10; three are enough here."""
    wire = world.smtp()
    assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
    answers = [wire.say(b"RCPT TO:<unknown%d@peers.test>" % number) for number in range(3)]
    assert all(answer.startswith(b"550 5.1.1") for answer in answers)
    assert len(set(answers)) == 1
    wire.close()


def test_what_a_sign_in_allows_and_what_not(world: Target) -> None:
    """Submission: one's own address only, case, quotes and tags are no way round; foreign mail goes to the queue."""
    user, other = world.account(), world.account()
    local, own = user.partition("@")[0].encode(), other.encode()
    with world.attacked():
        wire = world.smtp("submissions", user=user)
        for sender in (b"<%b>" % own, b"<a@victim.example>", b"<>", b"<control@peers.test>", b"<%b@mx.peers.test>" % local,
                       b"<%b@sub.peers.test>" % local, b'<" %b"@peers.test>' % local):  # fmt: skip
            assert wire.say(b"MAIL FROM:" + sender).startswith(b"5"), sender
            assert wire.say(b"RCPT TO:<u@victim.example>").startswith(b"503")
            wire.close()
            wire = world.smtp("submissions", user=user)
        assert wire.say(b"MAIL FROM:<%b> AUTH=<>" % user.upper().encode()).startswith(b"250")
        for recipient in RECIPIENTS[1:5]:
            assert wire.say(b"RCPT TO:" + filled(recipient, local)).startswith(b"5"), recipient
        assert wire.say(b"RSET").startswith(b"250")
    assert_nothing_queued(world)
