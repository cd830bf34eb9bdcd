"""Commands out of order, pipelined, and in the wrong mouth: P05, T11, S08. After a failed transaction the state is clean."""

import pytest

from tests.support.attack_client import Target, plain


def test_nothing_without_its_beginning(world: Target) -> None:
    rcpt = world.account().encode()
    wire = world.smtp()
    for command in (b"RCPT TO:<%b>" % rcpt, b"DATA", b"BDAT 0 LAST"):
        assert wire.say(command).startswith(b"503"), command
    assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
    for command in (b"MAIL FROM:<c@d.example>", b"DATA"):
        assert wire.say(command).startswith((b"503", b"554")), command
    wire.close()


@pytest.mark.parametrize(
    "interruption", [b"RSET", b"EHLO again.example", b"HELO again.example", b"MAIL FROM:<c@d.example>"]
)
def test_what_interrupts_a_transaction_ends_it_or_is_refused(world: Target, interruption: bytes) -> None:
    rcpt = world.account()
    wire = world.smtp()
    assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
    assert wire.say(b"RCPT TO:<%b>" % rcpt.encode()).startswith(b"250")
    if wire.say(interruption).startswith(b"250"):
        for command in (b"DATA", b"RCPT TO:<%b>" % rcpt.encode()):
            assert wire.say(command).startswith(b"503"), command
    else:
        assert wire.say(b"DATA").startswith(b"354")
        assert wire.say(b"From: a@b.example\r\nSubject: x\r\n\r\nx\r\n.").startswith(b"250")
        assert world.store.messages(rcpt)[0].raw.startswith(b"Return-Path: <a@b.example>\r\n")
    wire.close()


def test_after_a_refused_message_there_is_no_second_one(world: Target) -> None:
    """P05: refused at its end, for size, for octets, for a loop; then RCPT and DATA without MAIL."""
    rcpt = world.account().encode()
    refused = (
        b"a\nb\r\n.",
        b"".join(b"Received: x\r\n" for _ in range(60)) + b"\r\nx\r\n.",
    )
    for content in refused:
        wire = world.smtp()
        assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
        assert wire.say(b"RCPT TO:<%b>" % rcpt).startswith(b"250")
        assert wire.say(b"DATA").startswith(b"354")
        assert wire.say(content).startswith((b"550", b"554"))
        for command in (b"RCPT TO:<%b>" % rcpt, b"DATA", b"BDAT 1 LAST"):
            if command.startswith(b"BDAT"):
                wire.send(command + b"\r\nx")
                assert wire.reply().startswith(b"503")
            else:
                assert wire.say(command).startswith(b"503"), command
        wire.close()
    assert world.inbox(rcpt.decode()) == []


def test_international_addresses_need_their_word(world: Target) -> None:
    """P05: refused without SMTPUTF8, and the refusal leaves nothing behind."""
    rcpt = world.account().encode()
    wire = world.smtp()
    assert wire.say("MAIL FROM:<é@b.example>".encode()).startswith(b"553 5.6.7")
    assert wire.say(b"RCPT TO:<%b>" % rcpt).startswith(b"503")
    assert wire.say(b"DATA").startswith(b"503")
    assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"250")
    assert wire.say("RCPT TO:<é@peers.test>".encode()).startswith(b"553 5.6.7")
    assert wire.say(b"DATA").startswith(b"554")
    wire.close()


def test_who_speaks_too_early(world: Target) -> None:
    """S08: behind DATA before the 354; refused, and the connection ends."""
    rcpt = world.account()
    wire = world.smtp()
    wire.send(
        b"MAIL FROM:<a@b.example>\r\nRCPT TO:<%b>\r\nDATA\r\nFrom: a@b.example\r\nSubject: x\r\n\r\nx\r\n.\r\nMAIL FROM:<c@d.example>\r\n"
        % rcpt.encode()
    )
    answer = wire.rest()
    assert b"\r\n354" not in answer
    assert answer.count(b"\r\n") == 3, answer
    assert world.inbox(rcpt) == []


def test_honest_pipelining_works(world: Target) -> None:
    rcpt = world.account()
    wire = world.smtp()
    wire.send(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<%b>\r\nDATA\r\n" % rcpt.encode())
    assert [wire.reply()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
    wire.send(
        b"From: a@b.example\r\nSubject: x\r\n\r\nx\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<%b>\r\nDATA\r\n" % rcpt.encode()
    )
    assert [wire.reply()[:3] for _ in range(4)] == [b"250", b"250", b"250", b"354"]
    wire.send(b"From: a@b.example\r\nSubject: y\r\n\r\ny\r\n.\r\nQUIT\r\n")
    assert wire.rest().count(b"\r\n") == 2
    assert len(world.inbox(rcpt)) == 2


def test_imap_commands_before_their_state(world: Target) -> None:
    guest = (
        b"SELECT INBOX", b'LIST "" *', b"FETCH 1 BODY[]", b"APPEND INBOX {3}", b"STORE 1 FLAGS ()", b"IDLE", b"ENABLE CONDSTORE",
        b"EXPUNGE", b"CREATE x", b"NAMESPACE", b"UID FETCH 1 FLAGS", b"CLOSE", b"DONE", b"XYZZY", b"STARTTLS",
    )  # fmt: skip
    user = world.account()
    with world.attacked():
        for command in guest:
            wire = world.open("imaps")
            assert b" BAD " in wire.imap(command), command
            wire.close()
        wire = world.imap(user)
        for command in (
            b"FETCH 1 FLAGS",
            b"EXPUNGE",
            b"CLOSE",
            b"COPY 1 INBOX",
            b"LOGIN a b",
            b"AUTHENTICATE PLAIN",
            b"SEARCH ALL",
            b"STARTTLS",
        ):
            assert b" BAD " in wire.imap(command), command
        assert b" OK " in wire.imap(b"SELECT INBOX")
        assert b" BAD " in wire.imap(b"FETCH 1 FLAGS"), "no such message"
        wire.send(b"i IDLE\r\n")
        assert wire.line().startswith(b"+ ")
        wire.send(b"j NOOP\r\n")
        assert wire.until_tag(b"i").startswith(b"i BAD"), "only DONE ends IDLE"
        assert b" OK " in wire.imap(b"NOOP")


def test_imap_pipelined_sign_in_and_more(world: Target) -> None:
    """Commands sent ahead are worked on one by one, in the state that those before them made."""
    user = world.account()
    wire = world.open("imaps")
    wire.send(
        b"a SELECT INBOX\r\nb AUTHENTICATE PLAIN %b\r\nc SELECT INBOX\r\nd LOGOUT\r\ne SELECT INBOX\r\n"
        % plain(user, world.password)
    )
    answer = wire.rest()
    tagged = [line[:5] for line in answer.splitlines() if line[:2] in {b"a ", b"b ", b"c ", b"d ", b"e "}]
    assert tagged == [b"a BAD", b"b OK ", b"c OK ", b"d OK "]


def test_pop3_commands_before_their_state(world: Target) -> None:
    user = world.account()
    with world.attacked():
        for command in (
            b"STAT",
            b"LIST",
            b"RETR 1",
            b"DELE 1",
            b"TOP 1 0",
            b"UIDL",
            b"RSET",
            b"PASS x",
            b"STLS",
            b"XTND",
            b"APOP a b",
            b"",
        ):
            wire = world.open("pop3s")
            assert wire.say(command).startswith(b"-ERR"), command
            wire.close()
        wire = world.pop3(user)
        for command in (b"USER x", b"PASS x", b"STLS", b"AUTH PLAIN"):
            assert wire.say(command).startswith(b"-ERR"), command
        assert wire.say(b"STAT").startswith(b"+OK")
