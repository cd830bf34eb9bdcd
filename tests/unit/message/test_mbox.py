"""mbox files in their dialects, and the line ends of messages in files."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.message import mbox
from poterne.message.line_ends import ToCrlf, is_clean

FROM = b"From a@example.test Mon Nov 23 06:11:00 2026\n"


def read(data: bytes) -> list[tuple[bytes, tuple[str, ...]]]:
    """Each message as it is kept, and its flags."""
    found = []
    for entry in mbox.entries(data):
        head, start = mbox.head(data, entry)
        crlf = ToCrlf()
        text = b"".join([crlf.feed(head.text), *(crlf.feed(piece) for piece in mbox.rest(data, entry, start))])
        if not head.gone:
            found.append((text, head.flags))
    return found


def test_messages_are_told_apart_by_from_lines() -> None:
    data = FROM + b"Subject: 1\n\nFrom here on\nfrom\n\n" + FROM + b"Subject: 2\n\nx\n\n" + FROM + b"Subject: 3\n\n"
    assert [text for text, _ in read(data)] == [
        b"Subject: 1\r\n\r\nFrom here on\r\nfrom\r\n",
        b"Subject: 2\r\n\r\nx\r\n",
        b"Subject: 3\r\n",
    ]


def test_quoted_lines() -> None:
    data = FROM + b"Subject: 1\n\n>From a\n>>From b\n> From c\n\n"
    assert read(data)[0][0] == b"Subject: 1\r\n\r\nFrom a\r\n>From b\r\n> From c\r\n"


def test_content_length_that_is_right_counts() -> None:
    body = b"a\n" + FROM + b">From x\n"
    data = FROM + b"Subject: 1\nContent-Length: %d\n\n" % len(body) + body + b"\n" + FROM + b"Subject: 2\n\n"
    assert [text for text, _ in read(data)] == [
        b"Subject: 1\r\n\r\n" + body.replace(b"\n", b"\r\n"),
        b"Subject: 2\r\n",
    ]


@pytest.mark.parametrize("length", [0, 3, 5, 999_999])
def test_content_length_that_is_wrong_does_not(length: int) -> None:
    data = FROM + b"Subject: 1\nContent-Length: %d\n\nabc\n\n" % length + FROM + b"Subject: 2\n\n"
    assert [len(text) for text, _ in read(data)] == [len(b"Subject: 1rnContent-Length: %drnrnabcrn" % length), 12]


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        (b"Status: RO\n", ("\\Seen",)),
        (b"Status: O\nX-Status: AFDT\n", ("\\Answered", "\\Flagged", "\\Deleted", "\\Draft")),
        (b"X-Keywords: $Label1 work   \n  more\nX-UID: 17\n", ("$Label1", "work", "more")),
        (b"X-Mozilla-Status: 1007\nX-Mozilla-Status2: 00000000\n", ("\\Seen", "\\Answered", "\\Flagged", "$Forwarded")),
        (b"X-Mozilla-Keys: $label1            \nX-Mozilla-Status: zz\n", ("$label1",)),
    ],
)
def test_status(fields: bytes, flags: tuple[str, ...]) -> None:
    [(text, found)] = read(FROM + fields + b"Subject: x\n\nStatus: RO\n\n")
    assert (text, found) == (b"Subject: x\r\n\r\nStatus: RO\r\n", flags)


def test_what_is_no_message_any_more() -> None:
    pine = b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\ninternal\n\n"
    gone = b"X-Mozilla-Status: 0009\nSubject: x\n\n\n"
    assert read(FROM + pine + FROM + gone) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"From a@b Mon Nov 23 06:11:00 2026\n", dt.datetime(2026, 11, 23, 6, 11)),  # noqa: DTZ001
        (b"From - Mon Nov  2 06:11 2026\r\n", dt.datetime(2026, 11, 2, 6, 11)),  # noqa: DTZ001
        (b"From a Mon Nov 23 06:11:00 +0100 2026\n", dt.datetime(2026, 11, 23, 5, 11, tzinfo=dt.UTC)),
        (b"From a Mon Nov 23 06:11:00 2026 -0130\n", dt.datetime(2026, 11, 23, 7, 41, tzinfo=dt.UTC)),
        (b"From 17@xxx Mon Nov 23 06:11:00 +0000 2026\n", dt.datetime(2026, 11, 23, 6, 11, tzinfo=dt.UTC)),
        (b"From a Mon Feb 31 06:11:00 2026\n", None),
        (b"From \n", None),
    ],
)
def test_dates(line: bytes, expected: dt.datetime | None) -> None:
    [entry] = mbox.entries(line + b"Subject: x\n\n")
    assert entry.date == expected


def test_no_mbox() -> None:
    with pytest.raises(mbox.NoMboxError):
        list(mbox.entries(b"Subject: x\n\n"))
    assert list(mbox.entries(b"\n\n")) == []


_LINES = st.lists(
    st.sampled_from([b"", b"From ", b">From x", b">>From y", b"text", b"From a@b Mon Nov 23 06:11:00 2026", b"\xff\0"]),
    max_size=12,
)


@given(
    st.lists(st.tuples(_LINES, st.sets(st.sampled_from(["\\Seen", "\\Flagged", "\\Draft"])), st.booleans()), max_size=5)
)
def test_what_is_written_comes_back(messages: list[tuple[list[bytes], set[str], bool]]) -> None:
    """`export` and `import`: LF where nothing is lost, else as it is."""
    data, expected = b"", []
    for lines, flags, odd in messages:
        whole = (
            b"Subject: x\r\n\r\n" + b"".join(line + b"\r\n" for line in lines) + (b"bare\nlf\rcr\r\n" if odd else b"")
        )
        clean = is_clean(whole)
        text = whole.replace(b"\r\n", b"\n") if clean else whole
        data += mbox.from_line("a b", 1_700_000_000, 90) + mbox.status_fields(frozenset(flags), ("k",), crlf=not clean)
        data += mbox.quote(text) + b"\n"
        expected.append((whole, {*flags, "k"}))
    assert [(text, set(flags)) for text, flags in read(data)] == expected
    dates = {entry.date for entry in mbox.entries(data)}
    assert all(date is not None and date.timestamp() == 1_700_000_000 for date in dates)


@given(st.binary(max_size=200))
def test_whatever_a_file_holds(noise: bytes) -> None:
    read(FROM + noise)
    read(FROM + b"Content-Length: 5\n" + noise + FROM + noise)


@given(st.binary(max_size=60).map(lambda text: text.replace(b"a", b"\r\n").replace(b"b", b"\n").replace(b"c", b"\r")), st.lists(st.integers(1, 9)))  # fmt: skip
def test_line_ends_in_any_pieces(text: bytes, sizes: list[int]) -> None:
    whole = ToCrlf(as_is=False).feed(text)
    assert whole == text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    crlf, at, found = ToCrlf(as_is=False), 0, b""
    for size in [*sizes, len(text)]:
        found += crlf.feed(text[at : at + size])
        at += size
    assert found == whole
    assert is_clean(text) == (text.replace(b"\r\n", b"").find(b"\n") < 0 and text.replace(b"\r\n", b"").find(b"\r") < 0)
