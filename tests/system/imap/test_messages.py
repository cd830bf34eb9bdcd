"""APPEND, FETCH, STORE, COPY, MOVE, EXPUNGE over the wire, by one client."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from poterne.config.imap import Imap
from tests.support.imap_world import ADDRESS, Wire, World, message

BINARY_OCTETS = bytes(range(256)) * 3000
MIXED = (
    b"From: a@example.net\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\npreamble\r\n'
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=C3=A9\r\n\r\n"
    b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(BINARY_OCTETS).replace(b"\n", b"\r\n")
    + b"\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
    + b"From: inner@example.net\r\nSubject: inner\r\n\r\nInner text\r\n"
    + b"\r\n--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nnobody knows\r\n"
    + b"--b--\r\n"
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


@pytest.fixture
def wire(world: World) -> Iterator[Wire]:
    with world.client(select="INBOX") as wire:
        yield wire


def literal(response: bytes) -> bytes:
    found = re.search(rb"~?\{(\d+)\}\r\n", response)
    assert found is not None, response
    return response[found.end() : found.end() + int(found[1])]


def fetched(wire: Wire, item: str, number: int = 1) -> bytes:
    responses = [line for line in wire.ok(f"FETCH {number} ({item})") if b"FETCH" in line]
    assert len(responses) == 1, responses
    return responses[0]


def test_append_and_read_back(wire: Wire) -> None:
    text = message("One", b"x" * 300_000 + b"\r\n")
    assert wire.append(text, flags="\\Seen $Important").startswith(b"OK [APPENDUID 1 1]")
    assert literal(fetched(wire, "BODY.PEEK[]")) == text
    assert literal(fetched(wire, "RFC822.HEADER")) + literal(fetched(wire, "BODY.PEEK[TEXT]")) == text
    assert fetched(wire, "FLAGS") == b"* 1 FETCH (FLAGS (\\Seen \\Recent $Important))"
    assert fetched(wire, "RFC822.SIZE") == b"* 1 FETCH (RFC822.SIZE %d)" % len(text)


def test_append_with_a_date(wire: Wire) -> None:
    wire.ok('APPEND INBOX () "17-Jul-1996 02:44:25 -0700" {}', message())
    assert fetched(wire, "INTERNALDATE") == b'* 1 FETCH (INTERNALDATE "17-Jul-1996 02:44:25 -0700")'


def test_append_where_nothing_is(wire: Wire) -> None:
    assert b"[TRYCREATE]" in wire.no("APPEND nothing {}", message())
    wire.send(b"z APPEND nothing {5+}\r\nabcde\r\nz2 NOOP\r\n")
    assert wire.response().startswith(b"z NO [TRYCREATE]")
    assert wire.response().startswith(b"z2 OK")


def test_append_of_nul_and_of_nothing(wire: Wire) -> None:
    assert b"[UNKNOWN-CTE]" in wire.no("APPEND INBOX {}", b"Subject: x\r\n\r\n\0\r\n")
    wire.no("APPEND INBOX {}", b"")
    assert wire.ok("STATUS INBOX (MESSAGES)") == [b"* STATUS INBOX (MESSAGES 0)"]


def test_append_too_large(tmp_path: Path) -> None:
    with World(tmp_path, settings=Imap(max_append_bytes=65536)) as world, world.client() as wire:
        assert b"[TOOBIG]" in wire.no("APPEND INBOX {}", b"x" * 65537)
        wire.ok("NOOP")
        assert b"APPENDLIMIT=65536" in wire.ok("CAPABILITY")[0]


def test_append_over_quota(world: World, wire: Wire) -> None:
    from poterne.values.event import Event
    from poterne.values.ids import TraceId

    async def limit() -> None:
        account = await world.store.account(ADDRESS)
        await world.store.set_account(account.id, Event(0, "test", TraceId("t")), quota_bytes=2000)

    world.call(limit())
    wire.append(message("fits"))
    assert b"[OVERQUOTA]" in wire.no("APPEND INBOX {}", message("does not", b"x" * 5000))
    wire.ok("NOOP")


def test_multiappend_is_all_or_nothing(wire: Wire) -> None:
    one, two = message("one"), message("two")
    wire.send(b"a APPEND INBOX (\\Seen) {%d+}\r\n%b (\\Flagged) {%d+}\r\n%b\r\n" % (len(one), one, len(two), two))
    untagged, tagged = wire.collect(b"a")
    assert tagged.startswith(b"OK [APPENDUID 1 1:2]"), tagged
    assert b"* 2 EXISTS" in untagged
    wire.send(b"b APPEND INBOX {%d+}\r\n%b {3+}\r\n\0\0\0\r\n" % (len(one), one))
    assert wire.collect(b"b")[1].startswith(b"NO")
    assert wire.ok("STATUS INBOX (MESSAGES)") == [b"* STATUS INBOX (MESSAGES 2)"]


def test_sections(wire: Wire) -> None:
    wire.append(MIXED)
    assert literal(fetched(wire, "BODY.PEEK[1]")) == b"caf=C3=A9\r\n"
    assert literal(fetched(wire, "BODY.PEEK[1.MIME]")).startswith(b"Content-Type: text/plain")
    assert literal(fetched(wire, "BODY.PEEK[3.HEADER]")) == b"From: inner@example.net\r\nSubject: inner\r\n\r\n"
    assert literal(fetched(wire, "BODY.PEEK[3.1]")) == b"Inner text\r\n"
    assert literal(fetched(wire, "BODY.PEEK[3.TEXT]")) == b"Inner text\r\n"
    assert fetched(wire, "BODY.PEEK[9]") == b"* 1 FETCH (BODY[9] NIL)"
    chosen = fetched(wire, "BODY.PEEK[HEADER.FIELDS (SUBJECT X-None)]")
    assert literal(chosen) == b"Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\n"
    others = literal(fetched(wire, "BODY.PEEK[HEADER.FIELDS.NOT (Subject Content-Type MIME-Version)]"))
    assert others == b"From: a@example.net\r\n\r\n"
    assert b'"message" "rfc822"' in fetched(wire, "BODYSTRUCTURE")
    assert b'"message" "rfc822"' in fetched(wire, "BODY")


@pytest.mark.parametrize(("start", "count"), [(0, 10), (5, 1), (100, 1000), (len(MIXED) - 3, 100), (len(MIXED) + 5, 1)])
def test_partials(wire: Wire, start: int, count: int) -> None:
    wire.append(MIXED)
    response = fetched(wire, f"BODY.PEEK[]<{start}.{count}>")
    expected = MIXED[start : start + count]
    assert b"BODY[]<%d>" % start in response
    if expected:
        assert literal(response) == expected
    else:
        assert response.endswith(b'"")')


def test_partial_larger_than_a_piece(wire: Wire) -> None:
    wire.append(MIXED)
    assert literal(fetched(wire, "BODY.PEEK[]<7.700000>")) == MIXED[7:700007]
    assert literal(fetched(wire, "BODY.PEEK[]")) == MIXED


def test_binary(wire: Wire) -> None:
    wire.append(MIXED)
    assert literal(fetched(wire, "BINARY.PEEK[1]")) == "café\r\n".encode()
    assert literal(fetched(wire, "BINARY.PEEK[2]")) == BINARY_OCTETS
    assert fetched(wire, "BINARY.SIZE[2]") == b"* 1 FETCH (BINARY.SIZE[2] %d)" % len(BINARY_OCTETS)
    assert literal(fetched(wire, "BINARY.PEEK[2]<1000.3>")) == BINARY_OCTETS[1000:1003]
    assert literal(fetched(wire, "BINARY.PEEK[2]<10.500000>")) == BINARY_OCTETS[10:500010]
    untagged, tagged = wire.run("FETCH 1 (BINARY.PEEK[4])")
    assert tagged.startswith(b"NO [UNKNOWN-CTE]")
    assert untagged == []
    assert fetched(wire, "FLAGS") == b"* 1 FETCH (FLAGS (\\Recent))"


def test_reading_sets_seen_once(wire: Wire) -> None:
    wire.append(message())
    assert b"FLAGS (\\Seen \\Recent)" in fetched(wire, "BODY[TEXT]")
    assert b"FLAGS" not in fetched(wire, "BODY[TEXT]")
    assert wire.ok("NOOP") == []


def test_many_at_once(world: World, wire: Wire) -> None:
    world.deliver(*(message(f"n{i}") for i in range(30)))
    wire.ok("NOOP")
    lines = wire.ok("FETCH 1:* (UID FLAGS)")
    assert lines == [b"* %d FETCH (UID %d FLAGS (\\Recent))" % (i, i) for i in range(1, 31)]
    bodies = wire.ok("FETCH 5:7,20 (BODY[])")
    assert [line.split()[1] for line in bodies] == [b"5", b"6", b"7", b"20"]
    assert all(b"\\Seen" in line for line in bodies)
    assert wire.ok("UID FETCH 28:99 UID") == [b"* %d FETCH (UID %d)" % (i, i) for i in (28, 29, 30)]
    assert wire.ok("UID FETCH 500:* UID") == [b"* 30 FETCH (UID 30)"]
    assert wire.ok("UID FETCH 500:600 UID") == []
    wire.bad("FETCH 31 FLAGS")


def test_macros_and_old_items(wire: Wire) -> None:
    wire.append(message())
    full = fetched(wire, "FULL"[:0] + "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY")
    assert full.startswith(b"* 1 FETCH (FLAGS ")
    assert b"ENVELOPE (" in full
    assert wire.ok("FETCH 1 ALL")[0].count(b"ENVELOPE") == 1
    assert literal(fetched(wire, "RFC822")) == message()


def test_store_on_many(wire: Wire) -> None:
    for number in range(40):
        wire.append(message(f"n{number}"))
    wire.ok("STORE 7 +FLAGS.SILENT (\\Seen)")
    wire.ok("STORE 3 +FLAGS.SILENT (\\Deleted)")
    wire.ok("EXPUNGE")
    wire.ok("SELECT INBOX")  # nothing is \Recent any more
    lines = wire.ok("STORE 1:* +FLAGS (\\Flagged)")
    flags = {number: b"\\Flagged \\Seen" if number == 6 else b"\\Flagged" for number in range(1, 40)}
    assert lines == [b"* %d FETCH (FLAGS (%b))" % pair for pair in flags.items()]
    lines = wire.ok("UID STORE 1:* -FLAGS (\\Flagged \\Seen)")
    uids = [1, 2, *range(4, 41)]
    assert lines == [b"* %d FETCH (UID %d FLAGS ())" % pair for pair in enumerate(uids, 1)]
    assert wire.ok("STORE 1:* +FLAGS.SILENT (\\Answered)") == []


def test_store(wire: Wire) -> None:
    wire.append(message())
    wire.append(message("two"))
    assert wire.ok("STORE 1:2 +FLAGS (\\Flagged)") == [
        b"* 1 FETCH (FLAGS (\\Flagged \\Recent))",
        b"* 2 FETCH (FLAGS (\\Flagged \\Recent))",
    ]
    assert wire.ok("STORE 1:2 -FLAGS.SILENT (\\Flagged)") == []
    assert wire.ok("UID STORE 2 FLAGS (\\Draft)") == [b"* 2 FETCH (UID 2 FLAGS (\\Draft \\Recent))"]
    said = wire.ok("STORE 1 +FLAGS ($Forwarded \\Seen)")
    assert any(line.startswith(b"* FLAGS") and b"$Forwarded" in line for line in said)
    assert b"* 1 FETCH (FLAGS (\\Seen \\Recent $Forwarded))" in said
    assert wire.ok("STORE 1 -FLAGS (NotKnown)") == [b"* 1 FETCH (FLAGS (\\Seen \\Recent $Forwarded))"]
    wire.bad("STORE 3 FLAGS ()")
    assert wire.ok("UID STORE 77 FLAGS ()") == []
    assert wire.ok("NOOP") == []


def test_expunge(world: World, wire: Wire) -> None:
    world.deliver(*(message(f"n{i}") for i in range(5)))
    wire.ok("NOOP")
    wire.ok("STORE 2,4:5 +FLAGS.SILENT (\\Deleted)")
    assert wire.ok("UID EXPUNGE 4") == [b"* 4 EXPUNGE"]
    assert wire.ok("EXPUNGE") == [b"* 4 EXPUNGE", b"* 2 EXPUNGE"]
    assert wire.ok("FETCH 1:* UID") == [b"* 1 FETCH (UID 1)", b"* 2 FETCH (UID 3)"]
    assert wire.ok("EXPUNGE") == []


def test_close_expunges_and_unselect_does_not(world: World, wire: Wire) -> None:
    world.deliver(message(), message("2"))
    wire.ok("NOOP")
    wire.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    wire.ok("UNSELECT")
    assert wire.ok("STATUS INBOX (MESSAGES)") == [b"* STATUS INBOX (MESSAGES 2)"]
    wire.ok("SELECT INBOX")
    assert wire.ok("CLOSE") == []
    assert wire.ok("STATUS INBOX (MESSAGES)") == [b"* STATUS INBOX (MESSAGES 1)"]
    wire.bad("NOOP NOOP")
    wire.bad("EXPUNGE")


def test_copy_and_move(world: World, wire: Wire) -> None:
    world.deliver(*(message(f"n{i}") for i in range(4)))
    wire.ok("NOOP")
    wire.ok("STORE 2 +FLAGS.SILENT (\\Answered kept)")
    tagged = wire.run("COPY 2:3 Sent")[1]
    assert re.fullmatch(rb"OK \[COPYUID \d+ 2:3 1:2\] Copied", tagged)
    said = wire.ok("MOVE 1,3 Trash")
    assert re.fullmatch(rb"\* OK \[COPYUID \d+ 1,3 1:2\] Moved", said[0])
    assert said[1:] == [b"* 3 EXPUNGE", b"* 1 EXPUNGE"]
    assert b"[TRYCREATE]" in wire.no("COPY 1 nothing")
    assert b"[TRYCREATE]" in wire.no("UID MOVE 2 nothing")
    assert wire.run("UID COPY 99 Sent")[1].startswith(b"OK")
    wire.ok("SELECT Sent")
    assert b"\\Answered" in fetched(wire, "FLAGS")
    assert b"kept" in fetched(wire, "FLAGS")


def test_move_within_a_mailbox(world: World, wire: Wire) -> None:
    world.deliver(message("a"), message("b"))
    wire.ok("NOOP")
    wire.ok("MOVE 1 INBOX")
    wire.ok("NOOP")
    assert wire.ok("FETCH 1:* UID") == [b"* 1 FETCH (UID 2)", b"* 2 FETCH (UID 3)"]


def test_condstore(wire: Wire) -> None:
    wire.append(message())
    wire.append(message("two"))
    wire.ok("SELECT INBOX (CONDSTORE)")
    modseq = [int(re.search(rb"MODSEQ \((\d+)\)", fetched(wire, "MODSEQ", n))[1]) for n in (1, 2)]  # type: ignore[index]
    said = wire.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
    changed = int(re.fullmatch(rb"\* 1 FETCH \(UID 1 MODSEQ \((\d+)\)\)", said[0])[1])  # type: ignore[index]
    assert changed > modseq[1]
    untagged, tagged = wire.run(f"STORE 1:2 (UNCHANGEDSINCE {modseq[1]}) +FLAGS (\\Deleted)")
    assert tagged.startswith(b"OK [MODIFIED 1]")
    assert any(line.startswith(b"* 2 FETCH (UID 2 FLAGS (\\Deleted") for line in untagged)
    assert wire.ok(f"FETCH 1:* (UID) (CHANGEDSINCE {changed})")[0].startswith(b"* 2 FETCH (UID 2 MODSEQ (")
    assert wire.ok(f"SEARCH MODSEQ {changed + 1}")[0].startswith(b"* SEARCH 2 (MODSEQ ")
    assert b"HIGHESTMODSEQ" in wire.ok("STATUS INBOX (HIGHESTMODSEQ)")[0]


def test_structure_with_many_parts(wire: Wire) -> None:
    parts = b"".join(b"--b\r\n\r\npart\r\n" for _ in range(3000))
    wire.append(b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + parts + b"--b--\r\n")
    assert fetched(wire, "BODYSTRUCTURE").count(b'"text" "plain"') >= 900


def test_search_in_a_text_larger_than_a_piece(wire: Wire) -> None:
    """The string lies across the border of two pieces; the other text is not ASCII only at its end."""
    piece = 1024 * 1024
    wire.append(b"Subject: x\r\n\r\n" + b"y" * (piece - 3) + b"needle" + b"y" * piece)
    wire.append(b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + b"y" * piece + "nädel".encode())
    assert wire.ok("SEARCH BODY NEEDLE") == [b"* SEARCH 1"]
    assert wire.ok("SEARCH CHARSET UTF-8 BODY {}", "NÄDEL".encode()) == [b"* SEARCH 2"]
    assert wire.ok("SEARCH BODY noodle") == [b"* SEARCH"]
