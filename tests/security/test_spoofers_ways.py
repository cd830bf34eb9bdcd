"""Forged mail on every way into the server that strangers have: the verdict is the same, and nothing is left over for the next message."""

import re

import pytest

from tests.support.attack_client import Wire
from tests.support.server import DOMAIN
from tests.support.spoofers import ALICE, BANK, BOB, EVIL, World, fields, kept, letter, refused, signed
from tests.support.spoofers_zones import FORGER, HONEST

FORGED = b"550 5.7.26 bank.test does not answer"


def enter(world: World, *, peer: str = FORGER, helo: bytes = b"mail.evil.test") -> Wire:
    wire = Wire(world.server.instance.ports["mx"], source=peer, timeout_s=8)
    assert wire.reply().startswith(b"220")
    assert wire.say(b"EHLO " + helo).startswith(b"250")
    return wire


def begin(wire: Wire, sender: str = EVIL, *to: str) -> None:
    for command in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in to or (ALICE,))):
        assert wire.say(command.encode()).startswith(b"250"), command


def data(wire: Wire, message: bytes, sender: str = EVIL) -> bytes:
    begin(wire, sender)
    assert wire.say(b"DATA").startswith(b"354")
    wire.send(re.sub(rb"(?m)^\.", b"..", message) + b".\r\n")
    return wire.reply()


def chunks(wire: Wire, message: bytes, size: int) -> bytes:
    begin(wire)
    for at in range(0, len(message), size):
        piece = message[at : at + size]
        wire.send(b"BDAT %d\r\n" % len(piece) + piece)
        assert wire.reply().startswith(b"250")
    return wire.say(b"BDAT 0 LAST")


@pytest.mark.parametrize("size", [1, 7, 100, 100_000])
def test_in_chunks_of_any_size(spoofers: World, size: int) -> None:
    genuine = signed(letter(BANK, body=b".a line with a dot\r\n..\r\n  and   more\r\n\r\n\r\n"))
    wire = enter(spoofers)
    assert chunks(wire, genuine, size).startswith(b"250")
    assert chunks(wire, letter(BANK), size).startswith(FORGED)
    assert chunks(wire, genuine.replace(b"a line", b"A line"), size).startswith(FORGED)
    assert chunks(wire, genuine, size).startswith(b"250")
    wire.close()


def test_octet_by_octet_after_data(spoofers: World) -> None:
    wire = enter(spoofers)
    for message, answer in ((signed(letter(BANK)), b"250"), (letter(BANK), FORGED)):
        begin(wire)
        assert wire.say(b"DATA").startswith(b"354")
        for at in range(len(message)):
            wire.send(message[at : at + 1])
        wire.send(b".\r\n")
        assert wire.reply().startswith(answer)
    wire.close()


def test_dots_and_white_space_are_signed_as_they_are_meant(spoofers: World) -> None:
    for body in (b".\r\n", b"..\r\n.x\r\n", b"", b"\r\n\r\n", b"x \t y  \r\n\r\n", b"no end of line"):
        message = signed(letter(BANK, body=body))
        if not message.endswith(b"\r\n"):
            message += b"\r\n"
        kept(spoofers.judged(message), "INBOX", "proven", dkim="pass", dmarc="pass")


def test_no_proof_is_left_for_the_next_message(spoofers: World) -> None:
    """Of one connection: neither what was proven before, nor a name that was said before."""
    wire = enter(spoofers, peer=HONEST)
    genuine = signed(letter(BANK))
    for _ in range(2):
        assert data(wire, letter(BANK), BANK).startswith(b"250"), "SPF"
        assert data(wire, letter(BANK), EVIL).startswith(FORGED), "SPF of another domain, which fails"
        assert data(wire, genuine).startswith(b"250"), "DKIM"
        assert data(wire, letter(BANK)).startswith(FORGED)
        assert data(wire, letter(BANK), "").startswith(FORGED), "a name that publishes nothing"
        assert wire.say(b"EHLO bank.test").startswith(b"250")
        assert data(wire, letter(BANK), "").startswith(b"250"), "SPF of the name, for the null sender"
        assert wire.say(b"EHLO mail.evil.test").startswith(b"250")
        assert data(wire, letter(BANK), "").startswith(FORGED)
        begin(wire, BANK)
        assert wire.say(b"RSET").startswith(b"250")
        assert data(wire, letter(BANK)).startswith(FORGED)
    wire.close()


def test_a_name_said_before_tls_is_forgotten(spoofers: World) -> None:
    wire = enter(spoofers, peer=HONEST, helo=b"bank.test")
    assert wire.say(b"STARTTLS").startswith(b"220")
    wire.tls()
    assert wire.say(b"EHLO mail.evil.test").startswith(b"250")
    assert data(wire, letter(BANK), "").startswith(FORGED)
    assert data(wire, letter(BANK), BANK).startswith(b"250")
    wire.close()


@pytest.mark.parametrize(
    "to",
    [
        f"postmaster@{DOMAIN}", "postmaster", f"alice+tag@{DOMAIN}", f"ALICE@{DOMAIN.upper()}", f"team@{DOMAIN}",
        f"dmarc-reports@{DOMAIN}", f"tls-reports@{DOMAIN}", f"forward@{DOMAIN}",
    ],
)  # fmt: skip
def test_no_address_is_open_to_forgers(spoofers: World, to: str) -> None:
    """Those that must exist, those of lists, of reports, of somebody elsewhere. Honest mail reaches each of them."""
    refused(spoofers.server.judged(letter(BANK), EVIL, to=[to]), "dmarc-reject", shown=False, dmarc="fail")
    refused(spoofers.server.judged(letter(ALICE), EVIL, to=[to]), "own-domain", shown=False, dmarc="fail")
    assert spoofers.server.send(signed(letter(BANK)), BANK, peer=HONEST, to=[to]).startswith("250")


def test_among_other_recipients(spoofers: World) -> None:
    everybody = [BOB, f"postmaster@{DOMAIN}", ALICE, f"forward@{DOMAIN}", f"dmarc-reports@{DOMAIN}", f"team@{DOMAIN}"]
    for to in (everybody, everybody[::-1]):
        refused(spoofers.server.judged(letter(BANK), EVIL, to=to), "dmarc-reject", shown=False, dmarc="fail")


@pytest.mark.parametrize("author", [BANK, ALICE])
def test_a_header_that_is_all_of_the_message(spoofers: World, author: str) -> None:
    header = b"".join(fields(author))
    for message in (header, header + b"\r\n", header + b"\r\n\r\n"):
        why = "dmarc-reject" if author == BANK else "own-domain"
        refused(spoofers.judged(message), why, shown=author == BANK, dmarc="fail")


def test_a_big_message(spoofers: World) -> None:
    """Its header is judged before its body; its signature at the end of it."""
    body = b"A line of an attachment.\r\n" * 60_000
    genuine = signed(letter(BANK, body=body))
    kept(spoofers.judged(genuine), "INBOX", "proven", dkim="pass", dmarc="pass")
    refused(spoofers.judged(letter(BANK, body=body)), "dmarc-reject", dmarc="fail")
    refused(spoofers.judged(genuine[:-5] + b"!!!\r\n"), "dmarc-reject", dkim="fail", dmarc="fail")
