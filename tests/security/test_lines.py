"""Lines: too long, ended wrongly, with NUL; P07, P08."""

import itertools

import pytest

from tests.support.attack_client import MIB, Target

SMTP_LINES = {
    "bare-lf": b"NOOP\n",
    "bare-cr": b"NOOP\rNOOP\r\n",
    "cr-at-the-end": b"NOOP\r\r\n",
    "lf-alone": b"\n",
    "nul-lf": b"NOOP\0\n",
    "lf-inside": b"EHLO a\nMAIL FROM:<>\r\n",
}


@pytest.mark.parametrize("listener", ["mx", "submission", "submissions"])
def test_smtp_command_lines_end_in_crlf_only(world: Target, listener: str) -> None:
    with world.attacked():
        for name, octets in SMTP_LINES.items():
            wire = world.open(listener)
            wire.send(octets)
            answer = wire.rest()
            assert answer.startswith((b"5", b"421")), name
            assert answer.count(b"\r\n") == 1, f"{name}: something behind the bad line was read: {answer!r}"


@pytest.mark.parametrize("listener", ["mx", "submissions"])
def test_smtp_nul_and_long_lines_cost_one_reply_each(world: Target, listener: str) -> None:
    with world.attacked():
        wire = world.open(listener)
        assert wire.say(b"EHLO a\0b").startswith(b"5")
        assert wire.say(b"NOOP " + b"x" * 3000).startswith(b"5")
        assert wire.say(b"\xff\xfe\x80 \x1b[2J").startswith(b"5")
        assert wire.say(b"EHLO honest.example").startswith(b"250"), "what follows is read as it should be"
        assert wire.say(b"MAIL FROM:<a@\0b>").startswith(b"5")
        assert wire.say(b"MAIL FROM:<" + b"a" * 1900 + b"@b>").startswith(b"5")


def test_a_line_without_end_is_given_up(world: Target) -> None:
    """On every port, before and after TLS, in command and AUTH: some hundred KiB at most, then the end."""
    with world.attacked(growth_bytes=8 * MIB):
        for listener in ("mx", "submission", "submissions", "imaps", "imap", "pop3s", "pop3"):
            wire = world.open(listener)
            sent = 0
            try:
                for _ in range(640):
                    wire.send(b"A" * 16384)
                    sent += 16384
                answer = wire.rest()
            except ConnectionError:
                answer = bytes(wire.heard)
            assert answer, listener
            assert sent < 10 * MIB, f"{listener} took it all"


def test_pop3_lines(world: Target) -> None:
    with world.attacked():
        for octets in (b"CAPA\n", b"CAPA\rCAPA\r\n", b"\n"):
            wire = world.open("pop3s")
            wire.send(octets)
            answer = wire.rest()
            assert answer.startswith(b"-ERR"), octets
            assert answer.count(b"\r\n") == 1
        wire = world.open("pop3s")
        assert wire.say(b"CA\0PA").startswith(b"-ERR")
        assert wire.say(b"NOOP " + b"x" * 2000).startswith(b"-ERR")
        assert wire.say(b"CAPA").startswith(b"+OK")


def test_imap_lines(world: Target) -> None:
    with world.attacked():
        for octets in (b"a NOOP\n", b"a NOOP\rb NOOP\r\n", b"\n", b"a NOOP\r\r\n"):
            wire = world.open("imaps")
            wire.send(octets)
            answer = wire.rest()
            assert b"BYE" in answer, octets
            assert b"a OK" not in answer, octets
        wire = world.open("imaps")
        assert b"BAD" in wire.imap(b"NO\0OP")
        assert b"BAD" in wire.imap(b"NOOP " + b"x" * 20000)
        assert b"OK" in wire.imap(b"NOOP")


BODIES = {
    "998": b"\r\n" + b"x" * 998,
    "1000": b"\r\n" + b"x" * 1000,
    "100k": b"\r\n" + b"x" * 100_000,
    "1M": b"\r\n" + b"x" * 1_000_000,
    "header-1M": b"Subject: " + b"y" * 1_000_000,
    "folded-1M": b"Subject: " + b"y\r\n " * 300_000 + b"z",
    "headers-10k": b"".join(b"X-%d: y\r\n" % i for i in range(10_000)) + b"Subject: end",
    "to-10k": b"To: " + b",\r\n ".join(b"a%d@b.example" % i for i in range(10_000)),
    "colons": b":" * 500_000,
    "parens": b"From: " + b"(" * 500_000,
    "backslashes": b'From: "' + b"\\" * 400_000,
    "groups": b"To: " + b"g:;" * 200_000,
    "words": b"Subject: " + b"=?utf-8?q?=41?= " * 50_000,
    "references": b"References: " + b"<a@b>" * 100_000,
    "no-colon": b"x\r\n" * 300_000,
    "empty-lines": b"\r\n" * 500_000,
}


@pytest.mark.parametrize("name", list(BODIES))
def test_messages_of_strange_shape_are_stored_as_they_are_or_refused(world: Target, name: str) -> None:
    """Either a 5xx, or every octet is there; and reading it back stalls nobody."""
    rcpt = world.account()
    message = BODIES[name] + b"\r\n"
    if not message.startswith(b"From:"):
        message = b"From: a@b.example\r\n" + message
    with world.attacked(growth_bytes=48 * MIB):
        reply = world.deliver(rcpt, message.removesuffix(b"\r\n"))
        assert reply[:1] in b"25", reply
        kept = world.inbox(rcpt)
        assert kept == ([message] if reply.startswith(b"250") else [])
        if kept:
            wire = world.imap(rcpt, mailbox=b"INBOX")
            for items in (b"ENVELOPE", b"BODYSTRUCTURE", b"BODY", b"BODY.PEEK[HEADER.FIELDS (SUBJECT TO)]"):
                assert b"OK" in wire.imap(b"FETCH 1 (" + items + b")").splitlines()[-1]
            for key in (b"SUBJECT q", b"FROM q", b"TO q", b"HEADER X-None q", b"TEXT q", b"BODY q"):
                assert b"OK" in wire.imap(b"SEARCH " + key).splitlines()[-1]


def test_size_is_enforced_whatever_was_said(world: Target) -> None:
    """P09: SIZE lies, and too big without SIZE; the connection goes on."""
    rcpt = world.account()
    with world.attacked(growth_bytes=16 * MIB):
        wire = world.smtp()
        for size, code in (
            (b"9" * 19, b"552"),
            (b"9" * 20, b"552"),
            (b"9" * 21, b"501"),
            (b"-1", b"501"),
            (b"1e3", b"501"),
            (b"", b"501"),
            (b"\xd9\xa1", b"501"),
            (str(8 * MIB + 1).encode(), b"552"),
        ):
            assert wire.say(b"MAIL FROM:<a@b.example> SIZE=" + size).startswith(code), size
        assert wire.say(b"NOOP").startswith(b"250")
        wire = world.smtp()
        assert wire.say(b"MAIL FROM:<a@b.example> SIZE=1").startswith(b"250")
        assert wire.say(b"RCPT TO:<%b>" % rcpt.encode()).startswith(b"250")
        assert wire.say(b"DATA").startswith(b"354")
        for _ in range(160):
            wire.send((b"x" * 76 + b"\r\n") * 840)
        assert wire.say(b".").startswith(b"552")
        assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250"), "the connection goes on"
    assert world.inbox(rcpt) == []


def test_many_commands(world: Target) -> None:
    """P12: floods of harmless and of wrong commands; the former are answered, the latter ended."""
    with world.attacked(growth_bytes=8 * MIB):
        wire = world.open("mx")
        for command, times in ((b"NOOP\r\n", 5000), (b"RSET\r\n", 5000)):
            wire.send(command * times)
            for _ in range(times):
                assert wire.line().startswith(b"250")
        wire.send(b"FOO\r\n" * 100)
        answer = wire.rest()
        assert answer.count(b"\r\n") == 10, answer[-200:]
        assert answer.splitlines()[-1].startswith(b"421")
        for listener in ("imaps", "imap", "pop3s", "pop3"):
            wire = world.open(listener)
            wire.send(b"x y z\r\n" * 100)
            answer = wire.rest()
            assert answer.count(b"\r\n") <= 20, listener


def test_recipients_beyond_the_limit(world: Target) -> None:
    rcpt = world.account()
    with world.attacked():
        wire = world.smtp()
        assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
        wire.send(b"".join(b"RCPT TO:<%b>\r\n" % rcpt.encode() for _ in range(1005)))
        codes = [wire.reply()[:3] for _ in range(1005)]
        assert codes[:1000] == [b"250"] * 1000
        assert set(codes[1000:]) == {b"452"}


def test_tagged_recipients_fill_no_memory(world: Target) -> None:
    """Every `user+tag` leads somewhere, and a stranger can think of many."""
    rcpt = world.account()
    name = rcpt.partition("@")[0].encode()
    numbers = itertools.count()
    with world.attacked(growth_bytes=10 * MIB):
        wire = world.smtp()
        for _ in range(45):
            batch = b"".join(
                b"RCPT TO:<%b+%d@%b>\r\n" % (name, next(numbers), world.domain.encode()) for _ in range(900)
            )
            wire.send(b"MAIL FROM:<a@b.example>\r\n" + batch + b"RSET\r\n")
            assert {wire.reply()[:3] for _ in range(902)} == {b"250"}
