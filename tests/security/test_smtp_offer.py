"""What is offered where, before and after TLS, and what nobody offers any more: S01–S05, T11, T14, P04, P12."""

import re
from typing import Final

import pytest

from tests.support.attack_client import Target, Wire

ALWAYS: Final = {
    "PIPELINING",
    "SIZE 8388608",
    "8BITMIME",
    "ENHANCEDSTATUSCODES",
    "CHUNKING",
    "SMTPUTF8",
    "LIMITS MAILMAX=1000 RCPTMAX=1000",
}
SUBMITTED: Final = {"DSN"}
SIGN_IN: Final = {"AUTH PLAIN LOGIN"}


def offered(wire: Wire) -> set[str]:
    lines = wire.say(b"EHLO c.example").decode().splitlines()
    assert lines[0] == "250-mx.peers.test"
    return {line[4:] for line in lines[1:]}


def secured(wire: Wire) -> Wire:
    assert wire.say(b"STARTTLS").startswith(b"220")
    return wire.tls()


def test_what_is_offered_where(world: Target) -> None:
    """Exactly this: AUTH never on 25 and never in clear, REQUIRETLS inside TLS only (RFC 8689 §2), no BINARYMIME, no XCLIENT."""
    wire = world.open("mx")
    assert offered(wire) == ALWAYS | {"STARTTLS"}
    assert offered(secured(wire)) == ALWAYS | {"REQUIRETLS"}
    wire = world.open("submission")
    assert offered(wire) == ALWAYS | SUBMITTED | {"STARTTLS"}
    assert offered(secured(wire)) == ALWAYS | SUBMITTED | SIGN_IN | {"REQUIRETLS"}
    assert offered(world.open("submissions")) == ALWAYS | SUBMITTED | SIGN_IN | {"REQUIRETLS"}
    assert offered(world.smtp("submissions", user=world.account())) == ALWAYS | SUBMITTED | {"REQUIRETLS"}


@pytest.mark.parametrize("listener", ["mx", "submission", "submissions"])
def test_the_greeting_tells_no_product(world: Target, listener: str) -> None:
    wire = world.connect(listener)
    if listener == "submissions":
        wire.tls()
    assert wire.line() == b"220 mx.peers.test ESMTP\r\n"
    for command in (b"HELP", b"NOOP", b"QUIT"):
        assert not re.search(rb"(?i)poterne|python|[0-9]+\.[0-9]+\.[0-9]+[a-z]", wire.say(command)[10:])


@pytest.mark.parametrize("inside", [False, True])
def test_old_commands(world: Target, *, inside: bool) -> None:
    """Nobody's existence is told, nobody's queue is run, no direction is turned (RFC 5321 §3.5.3, §7.3; RFC 1985; RFC 2645)."""
    wire = world.smtp(tls=inside)
    someone = world.account().encode()
    for name in (someone, b"nobody@peers.test", b"x"):
        assert wire.say(b"VRFY " + name) == b"252 2.1.5 Cannot verify, send mail to find out\r\n"
    for command in (
        b"EXPN staff",
        b"ETRN peers.test",
        b"TURN",
        b"ATRN peers.test",
        b"SEND FROM:<a@b.example>",
        b"SOML FROM:<a@b.example>",
    ):
        assert wire.say(command).startswith(b"502 5.5.1 "), command
    wire.close()
    wire = world.smtp(tls=inside)
    forged = (
        b"XCLIENT ADDR=127.0.0.1 LOGIN=admin",
        b"XFORWARD ADDR=127.0.0.1",
        b"DEBUG",
        b"WIZ",
        b"VERB ON",
        b"ONEX",
        b"XADR",
        b"XEXCH50 1 2",
    )
    for command in forged:
        assert wire.say(command).startswith(b"500 5.5.1 "), command
    assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
    assert wire.say(b"RCPT TO:<u@elsewhere.example>").startswith(b"550 5.7.1 "), "and it trusts nobody more than before"
    wire.close()


@pytest.mark.parametrize("listener", ["mx", "submission"])
def test_claims_to_be_somebody_else_end_the_connection(world: Target, listener: str) -> None:
    for claim in (
        b"PROXY TCP4 127.0.0.1 127.0.0.1 1 25\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + b"\x7f\0\0\1" * 2 + b"\0\1\0\x19",
    ):
        wire = world.open(listener)
        wire.send(claim, b"EHLO x.example\r\n")
        answers = wire.rest()
        assert b"250" not in answers
        assert answers.splitlines()[-1][:1] in b"45"


def test_requiretls_and_the_words_that_need_it(world: Target) -> None:
    """T14: refused in clear, taken inside TLS."""
    wire = world.open("mx")
    offered(wire)
    assert wire.say(b"MAIL FROM:<a@b.example> REQUIRETLS").startswith(b"530 5.7.0")
    offered(secured(wire))
    assert wire.say(b"MAIL FROM:<a@b.example> REQUIRETLS=1").startswith(b"501")
    assert wire.say(b"MAIL FROM:<a@b.example> REQUIRETLS").startswith(b"250")
    wire.close()


def test_binary_is_not_taken(world: Target) -> None:
    """P04: neither announced nor by the back door of a chunk."""
    wire = world.smtp()
    assert wire.say(b"MAIL FROM:<a@b.example> BODY=BINARYMIME").startswith(b"501 5.5.4")
    assert wire.say(b"MAIL FROM:<a@b.example> BODY=8BITMIME").startswith(b"250")
    assert wire.say(b"RCPT TO:<%b>" % world.account().encode()).startswith(b"250")
    content = b"From: a@b.example\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\xff\n\r"
    wire.send(b"BDAT %d LAST\r\n" % len(content) + content)
    assert wire.reply().startswith(b"550 5.6.0")
    wire.close()


def test_notices_are_for_people_who_sign_in(world: Target) -> None:
    wire = world.smtp()
    assert wire.say(b"MAIL FROM:<a@b.example> RET=FULL").startswith(b"555")
    assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
    assert wire.say(b"RCPT TO:<%b> NOTIFY=SUCCESS" % world.account().encode()).startswith(b"555")
    wire.close()
    user = world.account()
    wire = world.smtp("submissions", user=user)
    assert wire.say(b"MAIL FROM:<%b> RET=HDRS ENVID=x+2B1" % user.encode()).startswith(b"250")
    assert wire.say(b"RCPT TO:<%b> NOTIFY=NEVER,FAILURE" % user.encode()).startswith(b"501")
    assert wire.say(b"RCPT TO:<%b> NOTIFY=FAILURE ORCPT=rfc822;a+40b" % user.encode()).startswith(b"250")
    wire.close()


def test_mechanisms_that_leak_are_not_there(world: Target) -> None:
    """S05, A01: no NTLM, no challenge by MD5, nothing anonymous; and on 25 no AUTH at all."""
    wire = world.open("submissions")
    offered(wire)
    for mechanism in (b"NTLM", b"CRAM-MD5", b"DIGEST-MD5", b"ANONYMOUS", b"GSSAPI", b"EXTERNAL"):
        assert wire.say(b"AUTH " + mechanism).startswith(b"504 5.5.4"), mechanism
    wire.close()
    wire = world.smtp(tls=True)
    assert wire.say(b"AUTH PLAIN AGEAYg==").startswith(b"502")
    wire.close()
    wire = world.smtp("submission")
    assert wire.say(b"AUTH PLAIN AGEAYg==").startswith(b"538 5.7.11")
    wire.close()


def test_as_many_recipients_as_are_promised(world: Target) -> None:
    """P12, RFC 9422 §4.2: RCPTMAX is what is taken, and the next one may come in another transaction."""
    name, domain = world.account().encode().split(b"@")
    wire = world.smtp()
    assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
    wire.send(b"".join(b"RCPT TO:<%b+%d@%b>\r\n" % (name, number, domain) for number in range(1001)))
    replies = [wire.reply()[:9] for _ in range(1001)]
    assert replies == [b"250 2.1.5"] * 1000 + [b"452 4.5.3"]
    assert wire.say(b"DATA").startswith(b"354")
    assert wire.say(b"From: a@b.example\r\n\r\nx\r\n.").startswith(b"250")
    wire.close()


@pytest.mark.parametrize("command", [b"MAIL FROM:<%b>", b"RCPT TO:<%b>"])
@pytest.mark.parametrize(
    "path",
    [
        b"@a.example:b@c.example",
        b"@a.example,@b.example:c@d.example",
        b"a%b.example@c.example",
        b"b.example!a",
        b"b.example!a@c.example",
        b'"a@b.example"@c.example',
    ],
)
def test_routes_are_refused_in_words(world: Target, command: bytes, path: bytes) -> None:
    wire = world.smtp()
    if command.startswith(b"RCPT"):
        assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
    answer = wire.say(command % path)
    routed = command.startswith(b"RCPT") or path.startswith(b"@") or b"@" not in path
    assert answer.startswith(b"553 5.1." if routed else (b"250", b"553")), answer
    wire.close()
