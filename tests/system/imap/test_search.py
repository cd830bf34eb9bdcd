"""SEARCH over the wire: each key, and each form of result."""

from collections.abc import Iterator

import pytest

from tests.support.imap_world import Wire, World, message


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("search")) as world:
        with world.client(select="INBOX") as wire:
            fill(wire)
        yield world


def fill(wire: Wire) -> None:
    def add(date: str, flags: str, text: bytes) -> None:
        wire.ok(f'APPEND INBOX ({flags}) "{date}" {{}}', text)

    add(" 1-Feb-2020 23:30:00 -0500", "\\Seen", message("Apples and Pears", b"Green fruit\r\n"))
    add(
        "02-Feb-2020 10:00:00 +0000",
        "\\Flagged",
        message("=?utf-8?b?w4lww6lz?=", b"x" * 5000 + b"\r\n", ["Cc: <bob@x.example>"]),
    )
    latin = message("Latin", b"un caf\xe9 cr\xe8me\r\n", ["Content-Type: text/plain; charset=iso-8859-1"])
    add("03-Mar-2021 10:00:00 +0000", "\\Deleted work", latin)
    encoded = ["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64"]
    add(
        "04-Mar-2021 10:00:00 +0000", "\\Answered \\Draft", message("Encoded", b"R2V0ICJxdW90ZWQiIHRleHQ=\r\n", encoded)
    )
    undated = b'From: "O\'Hara, \\"Max\\"" <max@example.com>\r\nSubject: a "quoted" word\r\nX-Spam: yes\r\n\r\nbody\r\n'
    add("05-Apr-2022 10:00:00 +0000", "", undated)


@pytest.fixture
def wire(world: World) -> Iterator[Wire]:
    with world.client(select="INBOX") as wire:
        yield wire


def found(wire: Wire, keys: str | bytes, *literals: bytes) -> list[int]:
    lines = wire.ok(b"SEARCH " + (keys.encode() if isinstance(keys, str) else keys), *literals)
    assert len(lines) == 1
    return [int(number) for number in lines[0].split()[2:]]


@pytest.mark.parametrize(
    ("keys", "numbers"),
    [
        ("ALL", [1, 2, 3, 4, 5]),
        ("SEEN", [1]),
        ("UNSEEN", [2, 3, 4, 5]),
        ("FLAGGED", [2]),
        ("UNFLAGGED", [1, 3, 4, 5]),
        ("DELETED", [3]),
        ("UNDELETED UNSEEN", [2, 4, 5]),
        ("ANSWERED DRAFT", [4]),
        ("KEYWORD WORK", [3]),
        ("UNKEYWORD work", [1, 2, 4, 5]),
        ("KEYWORD nothing", []),
        ("UNKEYWORD nothing", [1, 2, 3, 4, 5]),
        ("2:3", [2, 3]),
        ("4:99", [4, 5]),
        ("77", []),
        ("UID 2,5:7", [2, 5]),
        ("NOT 2:3", [1, 4, 5]),
        ("OR 1 SUBJECT latin", [1, 3]),
        ("OR (2 3) (NOT 2:5)", [1]),
        ("ON 1-Feb-2020", [1]),
        ("BEFORE 2-Feb-2020", [1]),
        ("SINCE 3-Mar-2021", [3, 4, 5]),
        ("SENTON 14-Nov-2023", [1, 2, 3, 4]),
        ("SENTBEFORE 14-Nov-2023", [5]),
        ("SENTSINCE 15-Nov-2023", []),
        ("LARGER 5000", [2]),
        ("SMALLER 5000", [1, 3, 4, 5]),
        ("OLDER 100", [1, 2, 3, 4, 5]),
        ("YOUNGER 100", []),
        ("SUBJECT apples", [1]),
        ("SUBJECT APPLES SUBJECT pears", [1]),
        ('SUBJECT "apples and"', [1]),
        ('SUBJECT "\\"quoted\\""', [5]),
        ("FROM grace", [1, 2, 3, 4]),
        ("FROM grace@example.net", [1, 2, 3, 4]),
        ('FROM "o\'hara, \\"max"', [5]),
        ("CC bob", [2]),
        ("BCC bob", []),
        ("TO ada", [1, 2, 3, 4]),
        ("HEADER X-Spam yes", [5]),
        ('HEADER X-Spam ""', [5]),
        ('HEADER Cc ""', [2]),
        ("HEADER Message-ID example.net", [1, 2, 3, 4]),
        ("BODY green", [1]),
        ("BODY GREEN", [1]),
        ('BODY "\\"quoted\\" text"', [4]),
        ("BODY apples", []),
        ("TEXT apples", [1]),
        ("TEXT X-Spam", [5]),
        ("TEXT quoted", [4, 5]),
        ("BODY zebra", []),
        ('BODY ""', [1, 2, 3, 4, 5]),
        ("RECENT", []),
        ("OLD", [1, 2, 3, 4, 5]),
        ("NEW", []),
        ("MODSEQ 1", [1, 2, 3, 4, 5]),
    ],
)
def test_keys(wire: Wire, keys: str, numbers: list[int]) -> None:
    if keys.startswith("MODSEQ"):
        assert b"(MODSEQ " in wire.ok(f"SEARCH {keys}")[-1]
        return
    assert found(wire, keys) == numbers


@pytest.mark.parametrize(
    ("keys", "text", "numbers"),
    [
        (b"CHARSET UTF-8 SUBJECT {}", "épés".encode(), [2]),
        (b"CHARSET UTF-8 SUBJECT {}", "ÉPÉS".encode(), [2]),
        (b"CHARSET UTF-8 BODY {}", "café".encode(), [3]),
        (b"CHARSET UTF-8 TEXT {}", "CRÈME".encode(), [3]),
        (b"CHARSET ISO-8859-1 BODY {}", "café".encode("latin-1"), [3]),
    ],
)
def test_other_scripts(wire: Wire, keys: bytes, text: bytes, numbers: list[int]) -> None:
    assert found(wire, keys, text) == numbers


def test_unknown_charset(wire: Wire) -> None:
    assert b"[BADCHARSET" in wire.no("SEARCH CHARSET KLINGON ALL")


def test_esearch(wire: Wire) -> None:
    assert wire.ok("UID SEARCH RETURN (MIN MAX COUNT ALL) UNSEEN") == [
        b'* ESEARCH (TAG "t%d") UID MIN 2 MAX 5 ALL 2:5 COUNT 4' % wire._tag
    ]
    assert wire.ok("SEARCH RETURN (COUNT) BODY zebra") == [b'* ESEARCH (TAG "t%d") COUNT 0' % wire._tag]
    assert wire.ok("SEARCH RETURN () 1") == [b'* ESEARCH (TAG "t%d") ALL 1' % wire._tag]
    assert wire.ok("SEARCH RETURN (ALL) BODY zebra") == [b'* ESEARCH (TAG "t%d")' % wire._tag]


def test_saved_result(wire: Wire) -> None:
    assert wire.ok("SEARCH RETURN (SAVE) UNSEEN") == []
    assert [line.split()[1] for line in wire.ok("FETCH $ UID")] == [b"2", b"3", b"4", b"5"]
    assert found(wire, "$ DELETED") == [3]
    wire.ok("SEARCH RETURN (SAVE MIN) UNSEEN")
    assert wire.ok("UID FETCH $ UID") == [b"* 2 FETCH (UID 2)"]
    wire.no("SEARCH RETURN (SAVE) CHARSET KLINGON ALL")
    wire.ok("SELECT INBOX")
    assert wire.ok("FETCH $ UID") == []


def test_rev2_answers_esearch(wire: Wire) -> None:
    wire.ok("ENABLE IMAP4rev2")
    assert wire.ok("SEARCH SEEN") == [b'* ESEARCH (TAG "t%d") ALL 1' % wire._tag]


def test_in_an_empty_mailbox(wire: Wire) -> None:
    wire.ok("SELECT Sent")
    assert wire.ok("SEARCH 1:* NOT DELETED") == [b"* SEARCH"]
    assert wire.ok("UID SEARCH UID 1:*") == [b"* SEARCH"]


def test_deeply_nested(wire: Wire) -> None:
    assert found(wire, "NOT " * 50 + "SEEN") == [1]
    assert b"[LIMIT]" in wire.no("SEARCH " + "(" * 5000 + "SEEN" + ")" * 5000)
