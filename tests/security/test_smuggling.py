"""A message ends at CRLF.CRLF and nowhere else, whatever is sent and however it is cut (catalogue §1.6, P01–P04, P06, P08).

Each sequence stands in the body, followed by a second message in commands. Stored may be: nothing, or one message with all of
these octets in it. Never two.
"""

import random
from collections.abc import Callable

import pytest

from tests.support.attack_client import MIB, Target, Wire

# What somebody might take for the end of a message.
ENDS = {
    "lf.lf": b"\n.\n",
    "lf.cr": b"\n.\r",
    "cr.lf": b"\r.\n",
    "cr.cr": b"\r.\r",
    "lf.crlf": b"\n.\r\n",
    "cr.crlf": b"\r.\r\n",
    "crlf.lf": b"\r\n.\n",
    "crlf.cr": b"\r\n.\r",
    "crlf.crcrlf": b"\r\n.\r\r\n",
    "crcrlf.crcrlf": b"\r\r\n.\r\r\n",
    "crlf-nul.crlf": b"\r\n\0.\r\n",
    "crlf.nul-crlf": b"\r\n.\0\r\n",
    "crlf.nul-lf": b"\r\n.\0\n",
    "cr-nul-lf.cr-nul-lf": b"\r\0\n.\r\0\n",
    "lfcr.lfcr": b"\n\r.\n\r",
    "crlf.sp-crlf": b"\r\n. \r\n",
    "crlf.tab-crlf": b"\r\n.\t\r\n",
    "crlf-sp.crlf": b"\r\n .\r\n",
    "crlf-bs.crlf": b"\r\n\x08.\r\n",
    "vt.vt": b"\x0b.\x0b",
    "ff.ff": b"\x0c.\x0c",
    "nel.nel": b"\xc2\x85.\xc2\x85",
    "nel8.nel8": b"\x85.\x85",
    "ls.ls": b"\xe2\x80\xa8.\xe2\x80\xa8",
    "two-dots": b"\r\n..\r\n",
    "fullwidth-dot": b"\r\n\xef\xbc\x8e\r\n",
}


FULL_HEADER = (
    b"From: %b\r\nDate: Sun, 22 Nov 2026 21:00:00 +0000\r\nMessage-ID: <outer@b.example>\r\nSubject: outer\r\n\r\n"
)
"""Nothing is added to it."""


def is_harmless(end: bytes) -> bool:
    """No bare CR or LF, no NUL: such a message is mail."""
    return not set(end.replace(b"\r\n", b"")) & set(b"\r\n\0")


def smuggled(rcpt: str) -> bytes:
    return (
        b"MAIL FROM:<forged@elsewhere.example>\r\nRCPT TO:<%b>\r\nDATA\r\nFrom: a@b.example\r\nSubject: smuggled\r\n\r\nsmuggled\r\n"
        % rcpt.encode()
    )


def start(wire: Wire, sender: bytes, rcpt: str) -> None:
    assert wire.say(b"MAIL FROM:<%b>" % sender).startswith(b"250")
    assert wire.say(b"RCPT TO:<%b>" % rcpt.encode()).startswith(b"250")


def begin(wire: Wire, sender: bytes, rcpt: str) -> None:
    start(wire, sender, rcpt)
    assert wire.say(b"DATA").startswith(b"354")


PATHS: dict[str, Callable[[Target, str], Wire]] = {
    "mx": lambda world, _: world.smtp(),
    "mx-tls": lambda world, _: world.smtp(tls=True),
    "submission": lambda world, user: world.smtp("submission", user=user),
    "submissions": lambda world, user: world.smtp("submissions", user=user),
}


@pytest.mark.parametrize("path", list(PATHS))
def test_no_sequence_ends_a_message_but_crlf_dot_crlf(world: Target, path: str) -> None:
    """P01, in random pieces: one reply for all of it, and what is stored is all of it or nothing."""
    rng = random.Random(path)
    user = world.account()
    with world.attacked():
        for name, end in ENDS.items():
            rcpt = world.account()
            content = FULL_HEADER % user.encode() + b"before" + end + smuggled(rcpt)
            wire = PATHS[path](world, user)
            begin(wire, user.encode(), rcpt)
            wire.trickle(content + b".\r\n", rng, most=rng.choice((1, 2, 5, 40, 4000)))
            answer = wire.reply()
            assert wire.say(b"HELP").startswith(b"214"), f"{name}: more than one reply"
            harmless = is_harmless(end)
            assert answer[:1] == (b"2" if harmless else b"5"), f"{name}: {answer!r}"
            assert world.inbox(rcpt) == ([content.replace(b"\r\n.", b"\r\n")] if harmless else []), name
            wire.close()


@pytest.mark.parametrize("name", list(ENDS))
def test_at_the_start_of_a_message(world: Target, name: str) -> None:
    """Right behind the 354."""
    rcpt = world.account()
    content = ENDS[name] + b"QUIT\r\n" + smuggled(rcpt)
    wire = world.smtp()
    begin(wire, b"a@elsewhere.example", rcpt)
    wire.send(content + b".\r\n")
    answer = wire.reply()
    assert wire.say(b"HELP").startswith(b"214"), "more than one reply"
    assert len(world.inbox(rcpt)) == (1 if answer.startswith(b"250") else 0)
    wire.close()


def test_inside_a_chunk_nothing_ends_anything(world: Target) -> None:
    """P04: BDAT counts; the real end of DATA, too, is content there. Bare CR, LF and NUL are refused all the same."""
    rng = random.Random(4)
    with world.attacked():
        for name, end in {**ENDS, "crlf.crlf": b"\r\n.\r\n"}.items():
            rcpt = world.account()
            content = FULL_HEADER % b"a@b.example" + b"before" + end + smuggled(rcpt) + b".\r\n"
            wire = world.smtp()
            start(wire, b"a@elsewhere.example", rcpt)
            cut = rng.randint(1, len(content) - 1)
            octets = b"BDAT %d\r\n" % cut + content[:cut] + b"BDAT %d LAST\r\n" % (len(content) - cut) + content[cut:]
            wire.trickle(octets, rng, most=rng.choice((1, 3, 4000)))
            replies = [wire.reply(), wire.reply()]
            assert wire.say(b"HELP").startswith(b"214"), name
            accepted = replies[1].startswith(b"250")
            harmless = is_harmless(end)
            assert accepted is harmless, f"{name}: {replies!r}"
            assert world.inbox(rcpt) == ([content] if accepted else []), name
            wire.close()


@pytest.mark.parametrize(
    "octets",
    [b"BDAT -1\r\n", b"BDAT 18446744073709551616 LAST\r\n", b"BDAT\r\n", b"BDAT 1e3\r\n", b"BDAT 0x10\r\n", b"BDAT 5 LAST x\r\n",
     b"BDAT +5\r\n", b"BDAT 5,LAST\r\n", b"BDAT \xd9\xa1\r\n", b"BDAT 999999999999999\r\n"],
)  # fmt: skip
def test_a_chunk_of_unknown_length_ends_the_connection(world: Target, octets: bytes) -> None:
    """Whatever follows could be a body; it must not be read as commands."""
    rcpt = world.account()
    wire = world.smtp()
    start(wire, b"a@elsewhere.example", rcpt)
    wire.send(octets + b"RSET\r\n" + smuggled(rcpt) + b".\r\n")
    answer = wire.rest()
    assert answer[:1] in b"45"
    assert answer.count(b"\r\n") == 1
    assert world.inbox(rcpt) == []


def test_chunks_out_of_order(world: Target) -> None:
    """P04: what a refused BDAT carries is not read as commands, and after it no DATA is accepted without MAIL and RCPT."""
    rcpt = world.account()
    inner = b"RSET\r\n" + smuggled(rcpt) + b".\r\n"
    with world.attacked(growth_bytes=8 * MIB):
        wire = world.smtp()
        wire.send(b"BDAT %d LAST\r\n" % len(inner) + inner)
        assert wire.reply().startswith(b"503")
        assert wire.say(b"DATA").startswith(b"503")
        start(wire, b"a@elsewhere.example", rcpt)
        wire.send(b"BDAT 4\r\nab\r\n")
        assert wire.reply().startswith(b"250")
        assert wire.say(b"DATA").startswith(b"503"), "BDAT, then DATA"
        assert wire.say(b"MAIL FROM:<a@b.example>").startswith(b"503")
        assert wire.say(b"RCPT TO:<%b>" % rcpt.encode()).startswith(b"503")
        assert wire.say(b"RSET").startswith(b"250")
        assert wire.say(b"BDAT 0 LAST").startswith(b"503")
        start(wire, b"a@elsewhere.example", rcpt)
        wire.send(b"BDAT 3\r\na\nb")
        assert wire.reply().startswith(b"5"), "a bad chunk ends the transaction"
        wire.send(b"BDAT 3 LAST\r\nabc")
        assert wire.reply().startswith(b"503")
        for command in (b"DATA", b"RCPT TO:<%b>" % rcpt.encode()):
            assert wire.say(command).startswith(b"503"), command
        start(wire, b"a@elsewhere.example", rcpt)
        wire.send(b"BDAT 1\r\nx" * 20_000)
        for _ in range(20_000):
            assert wire.reply().startswith(b"250")
        assert wire.say(b"RSET").startswith(b"250")
        assert world.smtp().say(b"MAIL FROM:<a@b.example> BODY=BINARYMIME").startswith(b"5")
    assert world.inbox(rcpt) == []


def test_behind_a_stray_cr_the_real_end_is_the_end(world: Target) -> None:
    r"""`CR CRLF.CRLF` does end the message, for everybody. It is refused for its CR, and what follows stands for itself."""
    rcpt = world.account()
    wire = world.smtp()
    begin(wire, b"a@elsewhere.example", rcpt)
    wire.send(b"From: a@b.example\r\nSubject: x\r\n\r\nx\r\r\n.\r\nDATA\r\nHELP\r\n")
    assert [wire.reply()[:3] for _ in range(3)] == [b"550", b"503", b"214"]
    assert world.inbox(rcpt) == []


def test_a_chunk_that_is_not_sent_stores_nothing(world: Target) -> None:
    rcpt = world.account()
    wire = world.smtp()
    start(wire, b"a@elsewhere.example", rcpt)
    wire.send(b"BDAT 10 LAST\r\n12345")
    wire.close()
    wire = world.smtp()
    begin(wire, b"a@elsewhere.example", rcpt)
    wire.send(b"From: a@b.example\r\nSubject: half\r\n\r\nhalf")
    wire.reset()
    wire = world.smtp()
    begin(wire, b"a@elsewhere.example", rcpt)
    wire.send(b"From: a@b.example\r\nSubject: half\r\n\r\nhalf\r\n.\r")
    wire.close()
    assert world.deliver(rcpt, b"From: a@b.example\r\nSubject: whole\r\n\r\nwhole").startswith(b"250")
    assert [b"whole" in message for message in world.inbox(rcpt)] == [True]


def test_dots_are_given_back_as_they_were(world: Target) -> None:
    """P02: a stored message has exactly the dots of its author, in any chunking, over RETR and FETCH as well."""
    rng = random.Random(2)
    rcpt = world.account()
    content = b"From: a@b.example\r\nSubject: dots\r\n\r\n.\r\n..\r\n...\r\n.x\r\nx.\r\n" + b"".join(
        b"." * rng.randint(0, 5) + b"\r\n" for _ in range(300)
    )
    wire = world.smtp()
    begin(wire, b"a@elsewhere.example", rcpt)
    wire.trickle(content.replace(b"\r\n.", b"\r\n..") + b".\r\n", rng, most=7)
    assert wire.reply().startswith(b"250")
    assert world.inbox(rcpt) == [content]
    pop3 = world.pop3(rcpt)
    assert pop3.say(b"RETR 1").startswith(b"+OK")
    assert pop3.listing().replace(b"\r\n.", b"\r\n").endswith(content)


@pytest.mark.parametrize("octet", [b"\0", b"\n", b"\r"])
@pytest.mark.parametrize("where", ["header", "between", "body", "end"])
def test_stray_octets_anywhere(world: Target, octet: bytes, where: str) -> None:
    """P06, P08: between header and body as well; the refusal leaves the connection as it should be."""
    rcpt = world.account()
    message = {
        "header": b"Sub%bject: x\r\n\r\nbody\r\n",
        "between": b"From: a@b.example\r\nSubject: x\r\n%b\r\nbody\r\n",
        "body": b"From: a@b.example\r\nSubject: x\r\n\r\nbo%bdy\r\n",
        "end": b"From: a@b.example\r\nSubject: x\r\n\r\nbody%b\r\n",
    }[where] % octet
    wire = world.smtp()
    begin(wire, b"a@elsewhere.example", rcpt)
    wire.send(message + b".\r\n")
    assert wire.reply().startswith(b"5")
    for command in (b"DATA", b"RCPT TO:<%b>" % rcpt.encode()):
        assert wire.say(command).startswith(b"503"), "P05: the transaction is over"
    begin(wire, b"a@elsewhere.example", rcpt)
    assert wire.say(b"From: a@b.example\r\nSubject: good\r\n\r\ngood\r\n.").startswith(b"250")
    assert world.inbox(rcpt) == [b"From: a@b.example\r\nSubject: good\r\n\r\ngood\r\n"]
