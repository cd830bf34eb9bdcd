import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.proto.imap import fetch
from poterne.proto.imap.items import FetchAtt
from poterne.values.ids import ContentId, ModSeq, Uid
from poterne.values.mailbox import KEYWORD_SHIFT, Flag, MessageRow
from tests.support.imap_reader import ReadError, read_fetches, read_value

NAMES = fetch.FlagNames(["$Junk", "bad name", "urgent"])


def row(uid: int, flags: int = 0, at: int = 0, offset: int = 0) -> MessageRow:
    return MessageRow(Uid(uid), flags, ModSeq(uid * 10), at, offset, 1000 + uid, ContentId(uid))


def test_rows() -> None:
    items = [FetchAtt.FLAGS, FetchAtt.UID, FetchAtt.SIZE, FetchAtt.INTERNALDATE, FetchAtt.MODSEQ]
    said = fetch.rows(items, [4, 5], [row(7, Flag.SEEN | 1 << KEYWORD_SHIFT), row(9, 0, 837596665, -420)], NAMES)
    assert said == (
        b'* 4 FETCH (FLAGS (\\Seen $Junk) UID 7 RFC822.SIZE 1007 INTERNALDATE "01-Jan-1970 00:00:00 +0000" MODSEQ (70))\r\n'
        b'* 5 FETCH (FLAGS () UID 9 RFC822.SIZE 1009 INTERNALDATE "17-Jul-1996 02:44:25 -0700" MODSEQ (90))\r\n'
    )


def test_columns() -> None:
    columns = {FetchAtt.ENVELOPE: [b"(e)"], FetchAtt.BODYSTRUCTURE: [b"(b %d)"], FetchAtt.FLAGS: [b"(\\Recent)"]}
    items = [FetchAtt.ENVELOPE, FetchAtt.BODYSTRUCTURE, FetchAtt.FLAGS]
    assert fetch.rows(items, [1], [row(1)], NAMES, columns) == (
        b"* 1 FETCH (ENVELOPE (e) BODYSTRUCTURE (b %d) FLAGS (\\Recent))\r\n"
    )


def test_columns_between_rows() -> None:
    items = [FetchAtt.ENVELOPE, FetchAtt.UID, FetchAtt.BODY, FetchAtt.SIZE]
    columns = {FetchAtt.ENVELOPE: [b"(e)", b"(f)"], FetchAtt.BODY: [b"(g)", b"(h)"]}
    rows = [row(1), row(2)]
    assert fetch.rows(items, [3, 4], rows, NAMES, columns) == (
        b"* 3 FETCH (ENVELOPE (e) UID 1 BODY (g) RFC822.SIZE 1001)\r\n"
        b"* 4 FETCH (ENVELOPE (f) UID 2 BODY (h) RFC822.SIZE 1002)\r\n"
    )
    assert fetch.attributes(items, rows, NAMES, columns) == [
        b"ENVELOPE (e) UID 1 BODY (g) RFC822.SIZE 1001",
        b"ENVELOPE (f) UID 2 BODY (h) RFC822.SIZE 1002",
    ]


def test_columns_must_fit() -> None:
    with pytest.raises(ValueError, match="size 1"):
        fetch.rows([FetchAtt.UID], [1, 2], [row(1)], NAMES)
    with pytest.raises(ValueError, match="size 1"):
        fetch.rows([FetchAtt.UID], [], [row(1)], NAMES)
    with pytest.raises(ValueError, match="size 1"):
        fetch.rows([FetchAtt.UID, FetchAtt.ENVELOPE], [1, 2], [row(1), row(2)], NAMES, {FetchAtt.ENVELOPE: [b"(e)"]})
    with pytest.raises(ValueError, match="zip"):
        fetch.attributes([FetchAtt.UID, FetchAtt.ENVELOPE], [row(1), row(2)], NAMES, {FetchAtt.ENVELOPE: [b"(e)"]})


@pytest.mark.parametrize("items", [[FetchAtt.FLAGS], [FetchAtt.UID, FetchAtt.FLAGS], [FetchAtt.FLAGS, FetchAtt.UID]])
@pytest.mark.parametrize(("numbers", "bits"), [([1, 2], [4]), ([1], [4, 4]), ([1], [4, 0]), ([], [4]), ([1], [])])
def test_columns_of_flags_must_fit(items: list[FetchAtt], numbers: list[int], bits: list[int]) -> None:
    with pytest.raises(ValueError, match="size"):
        fetch.flag_rows(items, numbers, numbers, bits, NAMES)


def test_nothing_to_tell() -> None:
    assert fetch.rows([FetchAtt.UID], [], [], NAMES) == b""
    assert fetch.attributes([], [row(1)], NAMES) == [b""]


def test_flag_names() -> None:
    assert NAMES[0] == b"()"
    assert NAMES[int(Flag.ANSWERED | Flag.FLAGGED | Flag.DELETED | Flag.SEEN | Flag.DRAFT)] == (
        b"(\\Answered \\Flagged \\Deleted \\Seen \\Draft)"
    )
    assert NAMES[fetch.RECENT | 1 << (KEYWORD_SHIFT + 2)] == b"(\\Recent urgent)"
    assert NAMES[1 << (KEYWORD_SHIFT + 1)] == b"()", "a name that is no atom would break the line"
    assert NAMES[1 << 62] == b"()"
    assert NAMES.all() == b"(\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk urgent)"
    assert NAMES.permanent(more=True) == b"(\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk urgent \\*)"


def test_flag_cache_is_bounded() -> None:
    names = fetch.FlagNames([f"k{index}" for index in range(55)])
    for bits in range(10_000):
        assert names[bits << KEYWORD_SHIFT].count(b"k") == bits.bit_count()
    assert len(names) <= 4096


def test_line_with_octets() -> None:
    [inner] = fetch.attributes([FetchAtt.UID, FetchAtt.FLAGS], [row(5)], NAMES)
    body = b"x" * 100
    pieces = fetch.line(3, inner, [(b"BODY[]", body), (b"BODY[2]", None), (b"BODY[3]", b""), (b"BINARY[4]", b"a\0")])
    assert any(piece is body for piece in pieces), "octets are not copied"
    [(number, items)] = read_fetches(b"".join(pieces))
    assert number == 3
    assert items == {
        b"UID": 5,
        b"FLAGS": [],
        b"BODY[]": body,
        b"BODY[2]": None,
        b"BODY[3]": b"",
        b"BINARY[4]": b"a\0",
    }


def test_line_with_octets_only() -> None:
    assert b"".join(fetch.line(1, b"", [(b"BODY[]", b"ab"), (b"BODY[1]", b"c")])) == (
        b"* 1 FETCH (BODY[] {2}\r\nab BODY[1] {1}\r\nc)\r\n"
    )
    assert b"".join(fetch.line(1, b"", [(b"BODY[]", None)])) == b"* 1 FETCH (BODY[] NIL)\r\n"


def test_octets_in_chunks() -> None:
    said = fetch.line_open(2, b"UID 9") + fetch.section_open(b"BODY[TEXT]<5>", 6) + b"abc" + b"def" + fetch.LINE_CLOSE
    assert read_fetches(said) == [(2, {b"UID": 9, b"BODY[TEXT]<5>": b"abcdef"})]
    said = fetch.line_open(2, b"") + fetch.section_open(b"BODY[]", 0, first=True) + fetch.LINE_CLOSE
    assert read_fetches(said) == [(2, {b"BODY[]": b""})]


@given(st.integers(-(2**40), 2**40), st.integers(-1439, 1439))
def test_date_time(at: int, offset: int) -> None:
    text = read_value(fetch.date_time(at, offset))
    assert len(text) == 26
    try:
        moment = datetime.fromtimestamp(at, timezone(timedelta(minutes=offset)))
    except (ValueError, OverflowError):
        return
    assert text.decode() == moment.strftime("%d-%b-") + f"{moment.year:04d}" + moment.strftime(" %H:%M:%S %z")


def test_date_time_is_what_the_parser_reads() -> None:
    assert fetch.date_time(int(datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC).timestamp()), 90) == (
        b'"01-Mar-2024 01:29:59 +0130"'
    )


def test_reader_is_strict() -> None:
    """The reader these tests lean on must be able to fail."""
    for wrong in (
        b"* 1 FETCH (UID 1\r\n",
        b"* 1 FETCH (UID  1)\r\n",
        b"* 1 FETCH (X {3}\r\nab)\r\n",
        b'* 1 FETCH (X "\xe9")\r\n',
    ):
        with pytest.raises((ReadError, ValueError)):
            read_fetches(wrong)


def test_cost() -> None:
    """Ten thousand FLAGS and UIDs: about 2.2 ms; the bound here only catches a loss of the fast way."""
    rows = [row(uid, uid % 4) for uid in range(1, 10_001)]
    best = 1.0
    for _ in range(5):
        start = time.process_time()
        fetch.rows([FetchAtt.UID, FetchAtt.FLAGS], range(1, 10_001), rows, NAMES)
        best = min(best, time.process_time() - start)
    assert best < 0.015


@pytest.mark.parametrize("items", [[FetchAtt.FLAGS], [FetchAtt.UID, FetchAtt.FLAGS], [FetchAtt.FLAGS, FetchAtt.UID]])
@pytest.mark.parametrize("name", [b"FETCH", b"UIDFETCH"])
@pytest.mark.parametrize("bits", [[0, 1, 17], [1, 1, 1], [0, 0, 4]])
def test_rows_of_flags_are_rows(items: list[FetchAtt], name: bytes, bits: list[int]) -> None:
    rows = [row(uid, one) for uid, one in zip((7, 9, 70_000), bits, strict=True)]
    expected = fetch.rows(items, [1, 2, 3], rows, NAMES, name=name)
    assert expected.startswith(b"* 1 " + name + b" (")
    assert expected.endswith(b")\r\n")
    assert fetch.flag_rows(items, [1, 2, 3], [7, 9, 70_000], bits, NAMES, name) == expected
    assert fetch.flag_rows(items, [], [], [], NAMES, name) == b""
