"""Commands that cost much: SEARCH trees, thousands of keys over thousands of messages, texts that are dear to fold.

They may take their time; nobody else may notice. Each test has its bystander (`attacked`).
"""

import time

import pytest

from tests.support.attack_client import MIB, Target, Wire

MESSAGES = 2000


@pytest.fixture(scope="module")
def crowded(running: Target) -> str:
    """An account with thousands of messages, every other one seen."""
    user = running.account()
    message = (
        b"From: a@b.example\r\nSubject: common words\r\nX-Long: " + b"y" * 500 + b"\r\n\r\n" + b"common body\r\n" * 20
    )
    running.store.deliver(user, *([message] * MESSAGES))
    wire = running.imap(user, mailbox=b"INBOX")
    assert b" OK " in wire.imap(
        b"STORE " + b",".join(b"%d" % i for i in range(1, MESSAGES, 2)) + b" +FLAGS.SILENT (\\Seen k1)"
    )
    running.close_wires()
    return user


def finished(wire: Wire, command: bytes) -> bytes:
    answer = wire.imap(command)
    assert b" OK " in answer.splitlines()[-1], answer[-200:]
    return answer


SEARCHES = {
    "flags": b"(OR SEEN UNSEEN) " * 250,
    "keywords": b"(OR KEYWORD k1 UNKEYWORD k1) " * 250,
    "not-flags": b"NOT (SEEN UNSEEN) " * 250,
    "dates": b"NOT BEFORE 1-Jan-1990 " * 200,
    "sizes": b"LARGER 1 " * 300,
    "sets": b"1:* " * 1900,
    "many-sets": (b",".join(b"%d" % i for i in range(1, 800, 2)) + b" ") * 30,
    "uid-sets": (b"UID " + b",".join(b"%d" % i for i in range(1, 800, 2)) + b" ") * 30,
    "sent": b"SENTSINCE 1-Jan-1970 " * 30,
    "subjects": b"SUBJECT common " * 30,
    "headers": b"HEADER X-Long yyy " * 4,
    "bodies": b"BODY common " * 8,
    "or-deep": b"OR BODY nothing " * 8 + b"SEEN",
    "not-deep": b"NOT " * 100 + b"SEEN",
}


@pytest.mark.parametrize("name", list(SEARCHES))
def test_search_bombs(world: Target, crowded: str, name: str) -> None:
    with world.attacked(growth_bytes=24 * MIB):
        wire = world.imap(crowded, mailbox=b"INBOX")
        wire.sock.settimeout(60)
        finished(wire, b"SEARCH " + SEARCHES[name].strip())


FETCHES = {
    "all-rows": b"1:* (FLAGS INTERNALDATE RFC822.SIZE UID)",
    "all-envelopes": b"1:* (ENVELOPE BODYSTRUCTURE)",
    "all-bodies": b"1:* (BODY.PEEK[])",
    "many-items": b"1:6 (" + b" ".join(b"BODY.PEEK[HEADER.FIELDS (X-%d SUBJECT)]" % i for i in range(900)) + b")",
    "many-parts": b"1:40 (" + b" ".join(b"BODY.PEEK[%d]" % i for i in range(1, 900)) + b")",
    "every-other": b",".join(b"%d" % i for i in range(1, MESSAGES, 2)) + b" (FLAGS BODY.PEEK[1]<0.10>)",
}


@pytest.mark.parametrize("name", list(FETCHES))
def test_fetch_bombs(world: Target, crowded: str, name: str) -> None:
    with world.attacked(growth_bytes=32 * MIB):
        wire = world.imap(crowded, mailbox=b"INBOX")
        finished(wire, b"FETCH " + FETCHES[name])


def test_stores_and_copies(world: Target, crowded: str) -> None:
    with world.attacked(growth_bytes=48 * MIB):
        wire = world.imap(crowded, mailbox=b"INBOX")
        every_other = b",".join(b"%d" % i for i in range(1, MESSAGES, 2))
        finished(wire, b"STORE " + every_other + b" FLAGS (\\Seen k1 \\Flagged)")
        finished(wire, b"STORE 1:* -FLAGS (\\Flagged)")
        finished(wire, b"CREATE copies")
        finished(wire, b"COPY " + every_other + b" copies")


def test_an_answer_that_nobody_reads(world: Target, crowded: str) -> None:
    """FETCH of everything, ten times, and the client stops reading: the server waits, and holds little."""
    with world.attacked(growth_bytes=16 * MIB):
        wires = []
        for _ in range(10):
            wire = world.imap(crowded, mailbox=b"INBOX")
            wire.send(b"".join(b"f%d FETCH 1:* BODY.PEEK[]\r\n" % i for i in range(10)))
            wires.append(wire)
        time.sleep(0.7)


TEXTS = {
    "combining": "a" + "\u0301\u0316" * 250_000,
    "ligatures": "\ufdfa" * 300_000,
    "hangul": "\uac01" * 300_000,
    "fdfa-4M": "\ufdfa" * 1_500_000,
    "mixed": "ﬀ\u0130ß\u0345" * 120_000,
}


@pytest.mark.parametrize("name", list(TEXTS))
def test_texts_that_are_dear_to_fold(world: Target, name: str) -> None:
    """One message of a MiB of them, searched."""
    user = world.account()
    body = TEXTS[name].encode()
    lines = b"\r\n".join(body[at : at + 900] for at in range(0, len(body), 900))
    world.store.deliver(
        user, b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + lines + b"\r\n"
    )
    with world.attacked(growth_bytes=64 * MIB):
        wire = world.imap(user, mailbox=b"INBOX")
        wire.sock.settimeout(60)
        finished(wire, b"SEARCH BODY nowhere")


def test_a_large_attachment(world: Target) -> None:
    """BINARY decodes; asked for many times in one command."""
    user = world.account()
    body = (b"QUJD" * 19 + b"\r\n") * 50_000  # 4 MiB
    world.store.deliver(
        user, b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body
    )
    quoted = (b"=41=42=43=44" * 6 + b"=\r\n") * 40_000
    world.store.deliver(
        user, b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + quoted
    )
    with world.attacked(growth_bytes=48 * MIB):
        wire = world.imap(user, mailbox=b"INBOX")
        wire.sock.settimeout(60)
        finished(wire, b"FETCH 1:2 (BINARY.SIZE[1])")
        finished(wire, b"FETCH 1:2 (" + b" ".join([b"BINARY.SIZE[1]"] * 30) + b")")
        finished(wire, b"FETCH 1:2 (" + b" ".join(b"BINARY.PEEK[1]<%d.10>" % i for i in range(20)) + b")")
        finished(wire, b"SEARCH BODY nowhere")


def test_many_long_sections_of_one_message(world: Target) -> None:
    """Each is short enough to be read at once; a thousand of them are not."""
    user = world.account()
    body = (b"x" * 76 + b"\r\n") * 4000
    world.store.deliver(user, b"Subject: x\r\n\r\n" + body)
    items = {
        "ranges": [b"BODY.PEEK[]<%d.250000>" % i for i in range(150)],
        "binary": [b"BINARY.PEEK[1]<%d.250000>" % i for i in range(150)],
        "texts": [b"BODY.PEEK[TEXT]<%d.250000>" % i for i in range(150)],
    }
    with world.attacked(growth_bytes=24 * MIB):
        for asked in items.values():
            wire = world.imap(user, mailbox=b"INBOX")
            wire.send(b"x FETCH 1 (" + b" ".join(asked) + b")\r\n")
            wire.quiet(0.3)  # nobody reads: what is held now is the server's
            for number, item in enumerate(asked):
                prefix = item.replace(b".PEEK", b"").split(b".")[0]
                while not (line := wire.line()).endswith(b"{250000}\r\n"):
                    assert line, (number, item)
                assert prefix in line
                wire.skip(250_000)
            assert b"x OK" in wire.until_tag(b"x")
            wire.close()


def test_a_large_header(world: Target) -> None:
    user = world.account()
    header = b"".join(b"X-%d: %b\r\n" % (i, b"v" * 40) for i in range(8_000))
    world.store.deliver(user, header + b"Subject: x\r\n\r\nx\r\n")
    with world.attacked(growth_bytes=48 * MIB):
        wire = world.imap(user, mailbox=b"INBOX")
        wire.sock.settimeout(60)
        finished(wire, b"FETCH 1 (" + b" ".join(b"BODY.PEEK[HEADER.FIELDS (X-%d)]" % i for i in range(100)) + b")")
        finished(
            wire, b"FETCH 1 (" + b" ".join(b"BODY.PEEK[HEADER.FIELDS.NOT (X-%d)]<0.10>" % i for i in range(100)) + b")"
        )
        finished(wire, b"SEARCH " + b" ".join(b"HEADER X-%d v" % i for i in range(40)))
        finished(wire, b"SEARCH NOT TEXT nothing")
