"""What IMAP clients may send: literals, nesting, names, sets, flags, APPEND; S14."""

import random

import pytest

from tests.support.attack_client import MIB, Target


def last(answer: bytes) -> bytes:
    return answer.splitlines()[-1] if answer else b""


@pytest.mark.parametrize(
    "announced",
    [b"{4294967296}", b"{99999999999999999999}", b"{999999999999999999999999}", b"{4294967296+}", b"{99999999999999999999+}",
     b"{-1}", b"{1 }", b"{0x10}", b"{1+", b"{}", b"{+}", b"~{10}", b"{100000}", b"{100000+}", b"{\xd9\xa1}"],
)  # fmt: skip
def test_literals_before_and_after_sign_in(world: Target, announced: bytes) -> None:
    """Nothing of that size is asked for or waited for; the connection goes on or ends, the server does not grow."""
    user = world.account()
    with world.attacked(growth_bytes=6 * MIB):
        for signed_in in (False, True):
            commands = (
                [b"LOGIN "]
                if not signed_in
                else [b"SELECT ", b"CREATE ", b"SEARCH SUBJECT ", b"APPEND INBOX ", b'LIST "" ']
            )
            for command in commands:
                if command.startswith(b"APPEND") and announced.startswith((b"{1000", b"~{")):
                    continue  # a message of that size is welcome
                wire = world.imap(user if signed_in else "", mailbox=b"INBOX" if signed_in else b"")
                if announced == b"~{10}":
                    announced = b"~{10+}\r\n0123456789"
                if announced == b"{100000+}":
                    announced += b"\r\n" + b"x" * 100_000
                wire.send(b"x " + command + announced + b"\r\n")
                answer = wire.until_tag(b"x")
                assert b"+ " not in answer, command
                assert b"BAD" in answer or b"NO" in answer or b"BYE" in answer, (command, answer)
                wire.close()


def test_a_thousand_literals_in_a_command(world: Target) -> None:
    user = world.account()
    with world.attacked(growth_bytes=6 * MIB):
        wire = world.imap(user)
        wire.send(b"x LIST (" + b"{1+}\r\na " * 3000 + b") *\r\n")
        answer = wire.until_tag(b"x")
        assert b"x BAD" in answer or b"BYE" in answer


@pytest.mark.parametrize(
    "command",
    [b"SEARCH ", b"FETCH 1 ", b"STORE 1 FLAGS ", b'LIST "" ', b"STATUS INBOX ", b"ID ", b"SELECT ", b"APPEND INBOX "],
)
def test_nesting_and_repetition(world: Target, command: bytes) -> None:
    """10⁵ of everything (CVE-2026-27857): refused, and quickly."""
    user = world.account()
    with world.attacked(growth_bytes=6 * MIB):
        for char in (b"(", b")", b'"', b"\\", b"{", b"[", b"<", b"NOT ", b"OR ", b"ALL ", b"1,", b"* ", b"%"):
            for count in (60_000 // len(char), 100_000):
                wire = world.imap(user, mailbox=b"INBOX")
                answer = wire.imap(command + char * count)
                assert b" BAD " in answer or b" NO " in answer or b"BYE" in answer, (char, answer[-100:])
                wire.close()


def test_nesting_stalls_nobody(world: Target) -> None:
    user = world.account()
    with world.attacked(growth_bytes=6 * MIB):
        for char in (b"(", b"NOT ", b"OR ", b"ALL ", b"OR ALL ", b"(ALL "):
            for command in (b"SEARCH ", b"FETCH 1 ", b"x"):
                wire = world.imap(user, mailbox=b"INBOX")
                for _ in range(5):
                    wire.imap(command + char * (60_000 // len(char)))
                wire.close()


NAMES = [
    b"../x", b"/", b"//", b"/x", b"x//y", b"..", b".", b"x/../y", b"x/./y", b"*", b"%", b"a*b", b"a%b", b'"a\\\\b"', b'""',
    b"&", b"&-&", b"&AAA-", b"&AAo-", b"&AGEAYg-", b"&!-", b"&2D0-", b"&3gA-", b"&IKg-", b"&AOk", b"&AOk-&AOk-", b"&AA0ACg-",
    b"{5}\r\na\0b/c", b"{4}\r\na\r\nb", b'"\xff\xfe"', b"~root", b"#news", b"#shared/x", b"INBOX/INBOX/../..",
    b"x" * 600, b"x/" * 40 + b"y", b"x/" * 10_000, b"&" + b"AAAA" * 3000 + b"-", b"CON", b"inbox", b"Inbox/",
]  # fmt: skip


def test_mailbox_names(world: Target) -> None:
    """No name leads out of the account; NUL, controls, junk encodings and deep trees are refused, in every command."""
    user, other = world.account(), world.account()
    with world.attacked(growth_bytes=6 * MIB):
        made = []
        for name in [*NAMES, other.encode(), b"#user/" + other.encode(), b"/" + other.encode() + b"/INBOX"]:
            wire = world.imap(user)
            asked = name
            if name.startswith(b"{"):
                head, _, tail = name.partition(b"\r\n")
                asked = head[:-1] + b"+}\r\n" + tail
            for command in (b"CREATE ", b"SELECT ", b"STATUS ", b"SUBSCRIBE ", b"DELETE "):
                answer = wire.imap(command + asked + (b" (MESSAGES)" if command == b"STATUS " else b""))
                assert last(answer).split(b" ")[1:2], (command, name, answer)
                if command == b"CREATE " and b" OK " in last(answer):
                    made.append(name)
                if not answer or b"BYE" in answer:
                    break
            wire.close()
        allowed = {
            b"~root",
            b"#news",
            b"#shared/x",
            b"CON",
            b"&IKg-",
            b'"a\\\\b"',
            other.encode(),
            b"#user/" + other.encode(),
        }
        assert set(made) <= allowed, set(made) - allowed
    assert world.inbox(other) == []


def test_a_thousand_mailboxes(world: Target) -> None:
    """And LIST with patterns that would take exponential time in a naive matcher."""
    user = world.account()
    with world.attacked(growth_bytes=24 * MIB):
        wire = world.imap(user)
        wire.send(b"".join(b"c%d CREATE n%d/%b\r\n" % (i, i, b"a" * 150) for i in range(1000)))
        wire.until_tag(b"c999")
        for pattern in (
            b"*",
            b"%",
            b"%*" * 200,
            b"*a" * 300,
            b"%a" * 300,
            b"*%a%*" * 100,
            b"*" * 1000,
            b"n*" + b"a*" * 200 + b"b",
        ):
            assert b" OK " in last(wire.imap(b'LIST "" ' + pattern))
            assert b" OK " in last(wire.imap(b'LSUB "" ' + pattern))


def test_lists_of_patterns_stall_nobody(world: Target) -> None:
    """As many patterns as a line holds, each with all names; and RECURSIVEMATCH, which looks at each name for each name."""
    user = world.account()
    wire = world.imap(user)
    wire.send(
        b"".join(
            b"c%d CREATE n%d/%b\r\ns%d SUBSCRIBE n%d/%b\r\n" % (i, i, b"a" * 150, i, i, b"a" * 150) for i in range(400)
        )
    )
    wire.until_tag(b"s399")
    with world.attacked():
        wire = world.imap(user)
        patterns = b" ".join(b"*a" * 30 + b"b%d" % i for i in range(40))
        assert b" OK " in last(wire.imap(b'LIST "" (' + patterns + b")"))
        for command in (b'LIST "" ', b'LSUB "" '):
            assert b" OK " in last(wire.imap(command + b"*a" * 490))
        assert b" OK " in last(
            wire.imap(b'LIST (SUBSCRIBED RECURSIVEMATCH) "" (' + patterns[:3000].rpartition(b" ")[0] + b")")
        )
        assert b" OK " in last(wire.imap(b'LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (STATUS (MESSAGES RECENT))'))


def test_sequence_sets(world: Target) -> None:
    user = world.account()
    for _ in range(3):
        assert world.deliver(user, b"From: a@b.example\r\nSubject: x\r\n\r\nx").startswith(b"250")
    with world.attacked(growth_bytes=8 * MIB):
        wire = world.imap(user, mailbox=b"INBOX")
        for answer in (
            wire.imap(b"UID FETCH 1:4294967295 FLAGS"),
            wire.imap(b"UID FETCH " + b",".join(b"%d:%d" % (i, 4294967295 - i) for i in range(1, 2500)) + b" FLAGS"),
            wire.imap(b"UID FETCH " + b",".join(b"1" for _ in range(16000)) + b" FLAGS"),
            wire.imap(b"UID FETCH " + b",".join(b"*" for _ in range(16000)) + b" FLAGS"),
            wire.imap(b"UID SEARCH UID " + b",".join(b"%d" % i for i in range(1, 9000))),
            wire.imap(b"UID STORE 1:4294967295 +FLAGS (\\Seen)"),
            wire.imap(b"UID COPY 1:4294967295 INBOX"),
        ):
            assert b" OK " in last(answer)
        for wrong in (
            b"0",
            b"4294967296",
            b"99999999999999999999999",
            b"-1",
            b"1:",
            b":1",
            b"1,,2",
            b"1:2:3",
            b"",
            b"*:*:*",
            b"\xd9\xa1",
            b"1 2",
        ):
            wire = world.imap(user, mailbox=b"INBOX")
            assert b" BAD " in last(wire.imap(b"FETCH " + wrong + b" FLAGS")), wrong
            assert b" BAD " in last(wire.imap(b"UID FETCH " + wrong + b" FLAGS")), wrong
            wire.close()
        assert b" BAD " in last(world.imap(user, mailbox=b"INBOX").imap(b"FETCH 1:4294967295 FLAGS"))


def test_partials_and_paths(world: Target) -> None:
    user = world.account()
    assert world.deliver(user, b"From: a@b.example\r\nSubject: x\r\n\r\nx").startswith(b"250")
    with world.attacked():
        wire = world.imap(user, mailbox=b"INBOX")
        for item, good in (
            (b"BODY[]<4294967295.4294967295>", True), (b"BODY[]<0.4294967295>", True), (b"BODY[]<0.0>", False),
            (b"BODY[]<99999999999999999999.1>", False), (b"BODY[]<-1.1>", False), (b"BODY[4294967295]", False), (b"BODY[99]", True), (b"BODY[0]", False),
            (b"BODY[" + b"1." * 150 + b"1]", True), (b"BODY[" + b"1." * 5000 + b"1]", False), (b"BODY[1.MIME.1]", False),
            (b"BINARY[1]<0.18446744073709551616>", False), (b"BINARY[HEADER]", False),
            (b"BODY[HEADER.FIELDS (" + b"X " * 900 + b"Y)]", True), (b"BODY[HEADER.FIELDS ()]", False),
            (b"BODY[HEADER.FIELDS (a\0b)]", False),
        ):  # fmt: skip
            answer = wire.imap(b"FETCH 1 (" + item + b")")
            assert (b" OK " in last(answer)) is good, (item, answer[-200:])


def test_flags(world: Target) -> None:
    """Thousands of keywords: a limit, and the same command works for others afterwards."""
    user = world.account()
    assert world.deliver(user, b"From: a@b.example\r\nSubject: x\r\n\r\nx").startswith(b"250")
    with world.attacked(growth_bytes=8 * MIB):
        wire = world.imap(user, mailbox=b"INBOX")
        answers = [last(wire.imap(b"STORE 1 +FLAGS (k%d)" % i)) for i in range(80)]
        assert any(b" NO " in answer for answer in answers), "there is an end to it"
        wire.imap(b"STORE 1 +FLAGS (" + b" ".join(b"z%d" % i for i in range(900)) + b")")
        assert b" NO [LIMIT]" in last(
            wire.imap(b"STORE 1 +FLAGS (" + b" ".join(b"z%d" % i for i in range(5000)) + b")")
        )
        for flag in (b"a" * 5000, b"\\Unknown", b"a\0b", b'"x"', b"(", b"\xc3\xa9", b"a{1}"):
            assert b" OK " not in last(wire.imap(b"STORE 1 +FLAGS (" + flag + b")")), flag
        wire = world.imap(user, mailbox=b"INBOX")
        assert b" OK " in last(wire.imap(b"STORE 1 +FLAGS (\\Seen k0)"))


def test_append(world: Target) -> None:
    """Junk, NUL, no end, too big, cut off, into nowhere: stored exactly or not at all."""
    rng = random.Random(1)
    user = world.account()
    junk = bytes(rng.choice(b'\r\n\t .:=?()<>"\\abc\x80\xff') for _ in range(100_000))
    with world.attacked(growth_bytes=16 * MIB):
        wire = world.imap(user)
        kept = []
        for content in (b"\r\n", b"x", junk, b"\n" * 1000, b"\r" * 1000, b"Subject: x\n\nx\n"):
            wire.send(b"x APPEND INBOX {%d+}\r\n" % len(content) + content + b"\r\n")
            answer = wire.until_tag(b"x")
            if b" OK " in last(answer):
                kept.append(content)
        wire.send(b"x APPEND INBOX {5+}\r\na\0b\r\n\r\n")
        assert b"x OK" not in wire.until_tag(b"x"), "NUL needs literal8"
        wire = world.imap(user)
        wire.send(b"x APPEND nowhere {3+}\r\nabc\r\n")
        assert b"x NO [TRYCREATE]" in wire.until_tag(b"x")
        wire.send(b"x APPEND INBOX {%d}\r\n" % (8 * MIB + 1))
        assert b"x NO [TOOBIG]" in wire.until_tag(b"x")
        for date in (b"99-Jan-2026 00:00:00 +0000", b"01-Jan-0000 00:00:00 +0000", b"x"):
            wire.send(b'x APPEND INBOX "%b" {1+}\r\nx\r\n' % date)
            assert b"x OK" not in wire.until_tag(b"x"), date
        for cut in (
            b"x APPEND INBOX {1000}\r\n",
            b"x APPEND INBOX {1000+}\r\nabc",
            b"x APPEND INBOX {3+}\r\nabc",
            b"x APPEND INBOX {3+}\r\nabc {3+}\r\nab",
        ):
            wire = world.imap(user)
            wire.send(cut)
            wire.quiet(0.05)
            wire.reset()
        wire = world.imap(user)
        wire.send(b"x APPEND INBOX" + b" {10+}\r\n0123456789" * 1500 + b"\r\n")
        answer = wire.until_tag(b"x")
        assert b"x OK" not in answer, "1,000 messages at once are enough"
    assert world.inbox(user) == kept
