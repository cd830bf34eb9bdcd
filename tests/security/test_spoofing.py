"""Nobody speaks in the name of others: catalogue §1.7 X08–X21 and X30, §1.4 S12 and U1–U13, over real sockets on 25, 587 and 465.

On 25 it is refused whose author two readers could read differently; on 587 and 465, besides, who is not who signed in. Each
case stands between control messages that pass, and after each refusal the state of the connection is clean.
"""

import re

import pytest

from poterne.message.author import HEADER_CODES
from tests.support import spoofed
from tests.support.attack_client import Target, Wire

DOORS = ("mx", "mx-tls", "submission", "submissions")
WIRE_FAULTS = {"nul", "bare-cr", "bare-lf"}
"""Refused before anybody reads the header."""
REST = b"Date: Sun, 22 Nov 2026 21:00:00 +0000\r\nMessage-ID: <1@b.example>\r\nSubject: x\r\n\r\nbody\r\n"


def enter(world: Target, door: str, user: str) -> Wire:
    if door.startswith("mx"):
        return world.smtp(tls=door == "mx-tls")
    return world.smtp(door, user=user)


def send(wire: Wire, sender: bytes, rcpt: str, message: bytes) -> bytes:
    """The reply to the message, or to the command before it that was refused."""
    for command in (b"MAIL FROM:<%b>" % sender, b"RCPT TO:<%b>" % rcpt.encode(), b"DATA"):
        answer = wire.say(command)
        if answer[:1] not in b"23":
            return answer
    wire.send(message + b".\r\n")
    return wire.reply()


@pytest.mark.parametrize("door", DOORS)
def test_an_author_in_doubt_is_refused(world: Target, door: str) -> None:
    """X08–X21: with the author's own address as K, so that nothing but the doubt speaks against it."""
    user, rcpt = world.account(), world.account()
    own = user.encode() if door.startswith("sub") else b"k@attacker.example"
    control = b"From: " + own + b"\r\n" + REST
    with world.attacked():
        wire = enter(world, door, user)
        assert send(wire, own, rcpt, control).startswith(b"250")
        cases = spoofed.cases(b"admin@legit.example", own)
        for number, (name, (fields, code)) in enumerate(cases.items()):
            if number % 5 == 4:  # wrong commands are counted
                wire = enter(world, door, user)
            answer = send(wire, own, rcpt, fields + b"\r\n" + REST)
            expected = b"550 5.6.0" if code in WIRE_FAULTS else b"554 5.6.0" if code in HEADER_CODES else b"550 5.7.1"
            assert answer.startswith(expected), (name, answer)
            assert wire.say(b"DATA").startswith(b"503"), f"{name}: P05: the transaction is over"
        assert send(wire, own, rcpt, control).startswith(b"250")
    assert world.inbox(rcpt) == [control] * 2


def test_the_null_sender_needs_an_author_too(world: Target) -> None:
    """X13 with MAIL FROM:<>; a real bounce passes."""
    rcpt = world.account()
    wire = world.smtp()
    spoof = b"From\r\n : <k@attacker.example>\r\nResent-From: <admin@legit.example>\r\n"
    assert send(wire, b"", rcpt, spoof + REST).startswith(b"554 5.6.0")
    bounce = b"From: Mail Delivery System <MAILER-DAEMON@b.example>\r\nAuto-Submitted: auto-replied\r\n" + REST
    assert send(wire, b"", rcpt, bounce).startswith(b"250")
    assert world.inbox(rcpt) == [bounce]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_header_in_pieces_is_judged_whole(world: Target, chunked: bool) -> None:
    """Octet by octet, a spoof is refused and an honest message is stored as it is."""
    rcpt = world.account()
    wire = world.smtp()
    for message, code in (
        (b"From: <k@attacker.example>\r\nFrom : <admin@legit.example>\r\n" + REST, b"554 5.6.0"),
        (b"From: <k@attacker.example>\r\n" + REST, b"250"),
    ):
        assert wire.say(b"MAIL FROM:<k@attacker.example>").startswith(b"250")
        assert wire.say(b"RCPT TO:<%b>" % rcpt.encode()).startswith(b"250")
        if chunked:
            for at in range(len(message)):
                wire.send(b"BDAT 1\r\n" + message[at : at + 1])
                assert wire.reply().startswith(b"250")
            answer = wire.say(b"BDAT 0 LAST")
        else:
            assert wire.say(b"DATA").startswith(b"354")
            for at in range(len(message)):
                wire.send(message[at : at + 1])
            wire.send(b".\r\n")
            answer = wire.reply()
        assert answer.startswith(code), answer
    assert world.inbox(rcpt) == [message]


def test_from_outside_honest_forms_pass(world: Target) -> None:
    rcpt = world.account()
    wire = world.smtp()
    for value in (
        b'"Doe, John" <j@b.example>',
        b"root@b.example (Cron Daemon)",
        b"\r\n =?UTF-8?Q?Lef=C3=A8vre,_Zo=C3=AB?=\r\n <z@b.example>",
        b"j@b.example <J@B.example>",
        b"A <a@b.example>, C <c@B.EXAMPLE>",
    ):
        assert send(wire, b"x@other.example", rcpt, b"From: " + value + b"\r\n" + REST).startswith(b"250"), value


def test_utf8_authors(world: Target) -> None:
    """X20: a U-label is its A-label; what cannot be seen or is a look-alike of a special is refused."""
    rcpt = world.account()
    wire = world.smtp()

    def author(address: str) -> bytes:
        assert wire.say(b"MAIL FROM:<x@b.example> SMTPUTF8 BODY=8BITMIME").startswith(b"250")
        assert wire.say(b"RCPT TO:<%b>" % rcpt.encode()).startswith(b"250")
        assert wire.say(b"DATA").startswith(b"354")
        wire.send(f"From: <{address}>\r\n".encode() + REST + b".\r\n")
        return wire.reply()

    assert author("zoë@école.example").startswith(b"250")
    for hidden in "\u200b\u00ad\ufeff\u2000\u200d\u3002\uff0e":
        for address in (f"admin{hidden}@legit.example", f"admin@legit{hidden}example", f"admin@legit.example{hidden}"):
            answer = author(address)
            if hidden in "\u3002\uff0e" and address.startswith("admin" + hidden):
                continue  # a full stop of another script in a local part: odd, visible, nobody's delimiter
            assert answer.startswith(b"550 5.7.1"), (address, answer)
    eight_bit = "From: Zoë <z@b.example>\r\n".encode() + REST
    assert send(wire, b"x@b.example", rcpt, eight_bit).startswith(b"550 5.7.1"), "without SMTPUTF8"


@pytest.mark.parametrize("door", ["submission", "submissions"])
def test_whoever_signed_in_speaks_for_nobody_else(world: Target, door: str) -> None:
    """U1–U13."""
    user, other, rcpt = world.account(), world.account(), world.account()
    me, they = user.encode(), other.encode()
    mine, theirs = b"alias-%b" % me, b"alias-%b" % they
    world.store.add_alias(mine.decode(), user)
    world.store.add_alias(theirs.decode(), other)
    tagged = me.replace(b"@", b"+tag@")
    refused: dict[str, tuple[bytes, bytes, bytes, bytes]] = {  # sender, fields, reply, what its text names
        "U1 MAIL of another": (they, b"From: " + me, b"553 5.7.1", b"sender"),
        "U1 MAIL of another's alias": (theirs, b"From: " + me, b"553 5.7.1", b"sender"),
        "U2 From of another": (me, b"From: " + they, b"550 5.7.1", b"From"),
        "U2 From of another's alias": (me, b"From: " + theirs, b"550 5.7.1", b"From"),
        "U2 display name only": (me, b"From: " + me + b" <" + they + b">", b"550 5.7.1", b"From"),
        "U3 MAIL of a local domain": (b"nobody@peers.test", b"From: " + me, b"553 5.7.1", b"sender"),
        "U3 From of a local domain": (me, b"From: nobody@peers.test", b"550 5.7.1", b"From"),
        "U4 foreign MAIL": (b"a@legit.example", b"From: " + me, b"553 5.7.1", b"sender"),
        "U4 foreign From": (me, b"From: a@legit.example", b"550 5.7.1", b"From"),
        "U4 foreign subdomain": (me, b"From: " + me.replace(b"@", b"@sub."), b"550 5.7.1", b"From"),
        "U5 two From": (me, b"From: " + me + b"\r\nFrom: " + they, b"550 5.7.1", b"From"),
        "U5 swapped": (me, b"From: " + they + b"\r\nFrom: " + me, b"550 5.7.1", b"From"),
        "U6 me, other": (me, b"From: " + me + b", " + they, b"550 5.7.1", b"From"),
        "U6 me, foreign": (me, b"From: " + me + b", a@legit.example", b"550 5.7.1", b"From"),
        "U7 other, <me>": (me, b"From: " + they + b", <" + me + b">", b"550 5.7.1", b"From"),
        "U8 <me>other": (me, b"From: <" + me + b">" + they, b"550 5.7.1", b"From"),
        "U9 no From, Sender other": (me, b"Sender: " + they, b"550 5.7.1", b"From"),
        "U9 no From, Sender me": (me, b"Sender: " + me, b"550 5.7.1", b"From"),
        "U9 Sender other": (me, b"From: " + me + b"\r\nSender: " + they, b"550 5.7.1", b"Sender"),
        "U9 Sender in doubt": (me, b"From: " + me + b"\r\nSender: <@x:" + me + b">", b"550 5.7.1", b"Sender"),
        "U10 Resent-From other": (me, b"From: " + me + b"\r\nResent-From: " + they, b"550 5.7.1", b"Resent-From"),
        "U10 From other, Resent-From me": (me, b"From: " + they + b"\r\nResent-From: " + me, b"550 5.7.1", b"From"),
        "U10 second Resent-From": (
            me,
            b"Resent-From: " + me + b"\r\nResent-From: " + they + b"\r\nFrom: " + me,
            b"550 5.7.1",
            b"Resent-From",
        ),
        "U10 Resent-Sender other": (me, b"From: " + me + b"\r\nResent-Sender: " + they, b"550 5.7.1", b"Resent-Sender"),
        "U11 group": (me, b"From: us: " + me + b", " + they + b";", b"550 5.7.1", b"From"),
        "U12 encoded word": (
            me,
            b"From: =?utf-8?q?=3C" + they.replace(b"@", b"=40") + b"=3E,?=",
            b"550 5.7.1",
            b"From",
        ),
        "U12 encoded in the address": (me, b"From: =?utf-8?q?" + me.replace(b"@", b"?=@"), b"550 5.7.1", b"From"),
        "U13 MAIL <>": (b"", b"From: " + me, b"553 5.7.1", b"sender"),
    }
    allowed = (
        (me, b"From: Me <" + me + b">"),
        (mine, b"From: " + me),
        (me, b"From: " + mine + b"\r\nSender: " + me),
        (tagged, b"From: " + tagged),
        (me, b"From: " + me.upper() + b"\r\nReply-To: anybody@legit.example"),
        (me, b"From: " + me + b", " + mine + b"\r\nResent-From: " + mine),
    )
    with world.attacked():
        wire = enter(world, door, user)
        for sender, fields in allowed:
            assert send(wire, sender, rcpt, fields + b"\r\n" + REST).startswith(b"250"), fields
        for name, (sender, fields, reply, names) in refused.items():
            answer = send(wire, sender, rcpt, fields + b"\r\n" + REST)
            assert answer.startswith(reply), (name, answer)
            assert names in answer, (name, answer)
            assert wire.say(b"RSET").startswith(b"250")
        for sender, fields in allowed:
            assert send(wire, sender, rcpt, fields + b"\r\n" + REST).startswith(b"250"), fields
    assert world.inbox(rcpt) == [fields + b"\r\n" + REST for _, fields in allowed] * 2


def test_before_a_sign_in_nothing_is_submitted(world: Target) -> None:
    """S12."""
    user = world.account()
    for door in ("submission", "submissions"):
        assert world.smtp(door, tls=True).say(b"MAIL FROM:<%b>" % user.encode()).startswith(b"530")
    assert world.smtp("submission").say(b"MAIL FROM:<%b>" % user.encode()).startswith(b"530")


FORGED = (
    b"Return-Path: <ceo@peers.test>\r\nAuthentication-Results: MX.Peers.Test;\r\n\tspf=pass smtp.mailfrom=peers.test\r\n"
    b'Authentication-Results: "mx.peers.test" 1; dkim=pass\r\nAuthentication-Results: (x) mx.peers.test; dmarc=pass\r\n'
    b"Authentication-Results: mx.peers.test none\r\nX-Poterne-Verdict: clean\r\n x\r\n"
)


def test_from_outside_verdicts_in_our_name_are_taken_out(world: Target) -> None:
    """X30: and nothing else is touched, neither other fields nor the same words in the body."""
    rcpt = world.account()
    kept = (
        b"Received: from a by b; Sun, 22 Nov 2026 21:00:00 +0000\r\nAuthentication-Results: mx.b.example; spf=pass\r\n"
        b"From:  K  <k@b.example>\r\nBcc: x@b.example\r\nDelivered-To: x@b.example\r\nDKIM-Signature: v=1;\r\n\tb=\r\nX-Spam-Flag: NO\r\n"
    )
    body = b"Subject: x \r\n\r\n" + FORGED + b"\r\n" + FORGED
    wire = world.smtp()
    assert send(wire, b"k@b.example", rcpt, FORGED + kept + body).startswith(b"250")
    assert send(wire, b"k@b.example", rcpt, kept + FORGED + body).startswith(b"250")
    assert world.inbox(rcpt) == [kept + body] * 2


def test_a_submission_says_only_what_an_author_may(world: Target) -> None:
    """S12: what tells of checks and of a journey goes, Bcc goes; Date and Message-ID come."""
    user, rcpt, hidden = world.account(), world.account(), world.account()
    author = b"From: " + user.encode() + b"\r\nTo: " + rcpt.encode() + b"\r\n"
    forged = FORGED + (
        b"Bcc: "
        + hidden.encode()
        + b"\r\nbcc: x@b.example,\r\n y@b.example\r\nResent-Bcc: z@b.example\r\nDelivered-To: x@peers.test\r\n"
        b"Received-SPF: pass\r\nARC-Seal: i=1; cv=none\r\nARC-Message-Signature: i=1\r\nARC-Authentication-Results: i=1; b\r\n"
        b"X-Spam-Status: No\r\nDKIM-Signature: v=1; d=peers.test;\r\n\tb=x\r\nAuthentication-Results: elsewhere.example; spf=pass\r\n"
    )
    body = b"\r\nBcc: stays\r\n\r\n" + forged
    wire = world.smtp("submissions", user=user)
    assert wire.say(b"MAIL FROM:<%b>" % user.encode()).startswith(b"250")
    for address in (rcpt, hidden):
        assert wire.say(b"RCPT TO:<%b>" % address.encode()).startswith(b"250")
    assert wire.say(b"DATA").startswith(b"354")
    wire.send(forged + author + body + b".\r\n")
    assert wire.reply().startswith(b"250")
    for address in (rcpt, hidden):
        [stored] = world.inbox(address)
        match = re.fullmatch(
            re.escape(author)
            + rb"Date: \w{3}, \d\d? \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}\r\nMessage-ID: <[!-~]+@mx\.peers\.test>\r\n"
            + re.escape(body),
            stored,
        )
        assert match, stored
    assert send(wire, user.encode(), rcpt, author + REST).startswith(b"250")
    assert world.inbox(rcpt)[1] == author + REST, "complete as it was"


@pytest.mark.parametrize("door", ["mx", "submissions"])
def test_a_header_without_end_is_bounded(world: Target, door: str) -> None:
    """P07: 552, nothing of it is kept, and the connection goes on."""
    user, rcpt = world.account(), world.account()
    own = user.encode()
    with world.attacked(growth_bytes=8 * 1024 * 1024):
        wire = enter(world, door, user)
        for filler in (b"X: y\r\n", b"X: " + b"y" * 900 + b"\r\n", b" fold\r\n"):
            message = b"From: " + own + b"\r\n" + filler * (4_000_000 // len(filler))
            assert send(wire, own, rcpt, message).startswith(b"552 5.3.4"), filler[:10]
        assert send(wire, own, rcpt, b"From: " + own + b"\r\n" + REST).startswith(b"250")
    assert len(world.inbox(rcpt)) == 1
