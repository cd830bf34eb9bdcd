"""The reader of a message against a slow, plain one written from RFC 5321 §4.5.2."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.proto.smtp.data import ChunkReader, Content, DataReader
from poterne.proto.smtp.events import DataFault

TEXT = st.text("a.\r\n\0é", max_size=60).map(lambda t: t.encode("latin-1"))
LINES = st.lists(
    st.sampled_from([b"\r\n", b"\r\n.", b".", b"..", b"ab", b"\r", b"\n", b"", b"\xff", b"abcdefgh"]), max_size=25
).map(b"".join)


def plain(data: bytes) -> tuple[bytes, bytes] | None:
    """The message and what follows it; None when it does not end. Octet by octet."""
    message, line, at = b"", b"", 0
    while at < len(data):
        if data[at : at + 2] == b"\r\n":
            at += 2
            if line == b".":
                return message, data[at:]
            message += (line[1:] if line[:1] == b"." else line) + b"\r\n"
            line = b""
        else:
            line += data[at : at + 1]
            at += 1
    return None


def plain_fault(data: bytes, limit: int) -> DataFault | None:
    rest = data.replace(b"\r\n", b"")
    if b"\n" in rest and any(data[i] == 10 and data[i - 1 : i] != b"\r" for i in range(len(data))):
        return DataFault.BARE_LF
    if any(data[i] == 13 and data[i + 1 : i + 2] != b"\n" for i in range(len(data))):
        return DataFault.BARE_CR
    if b"\0" in data:
        return DataFault.NUL
    return DataFault.TOO_BIG if len(data) > limit else None


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(c % (len(data) + 1) for c in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


@settings(max_examples=400, deadline=None)
@given(TEXT | LINES, st.lists(st.integers(0, 1000), max_size=8), st.booleans())
def test_data(body: bytes, cuts: list[int], ended: bool) -> None:
    data = body + (b"\r\n.\r\nMAIL FROM:<a@b>\r\n" if ended else b"")
    reader = DataReader(Content(max_size=20, line_limit=6))
    out, rest, pieces = b"", b"", cut(data, cuts)
    for index, piece in enumerate(pieces):
        out += reader.feed(piece)
        if reader.complete:
            rest = reader.rest + b"".join(pieces[index + 1 :])
            break
    expected = plain(data)
    assert reader.complete == (expected is not None)
    if expected is None:
        return
    message, after = expected
    assert rest == after
    content = reader.content
    assert content.size == len(message)
    assert content.fault == plain_fault(message, 20)
    assert content.eight_bit == any(octet > 127 for octet in message)
    if content.fault is None:
        assert out == message
    if content.fault in {None, DataFault.TOO_BIG, DataFault.NUL}:
        assert content.long_line == any(len(line) + 2 > 6 for line in message.split(b"\r\n")[:-1])


@settings(max_examples=300, deadline=None)
@given(TEXT | LINES, st.lists(st.integers(0, 1000), max_size=8))
def test_chunks(body: bytes, cuts: list[int]) -> None:
    reader = ChunkReader(Content(max_size=20, line_limit=6))
    out = b"".join(reader.feed(piece) for piece in cut(body, cuts))
    assert reader.size == len(body)
    out += reader.finish()
    assert reader.content.fault == plain_fault(body, 20)
    if reader.content.fault is None:
        assert out == body


def test_a_long_message_in_every_chunk_size() -> None:
    line = b"." + b"x" * 70 + b"\r\n"
    message = line * 300 + b"y" * 998 + b"\r\n" + b".\r\n" * 5
    data = message.replace(b"\r\n.", b"\r\n..").replace(b".", b"..", 1) + b".\r\n"
    for size in (*range(1, 80), 997, 998, 999, 1000, 4096, 65536):
        reader = DataReader(Content(max_size=10**6, line_limit=1000))
        out = b"".join(reader.feed(data[i : i + size]) for i in range(0, len(data), size))
        assert reader.complete
        assert out == message
        assert reader.content.fault is None
        assert not reader.content.long_line


def test_a_line_of_1001_octets_is_long_wherever_it_is_cut() -> None:
    data = b"a\r\n" + b"y" * 999 + b"\r\n.\r\n"
    for size in (1, 7, 500, 1000, 1003, 5000):
        reader = DataReader(Content(max_size=10**6, line_limit=1000))
        for i in range(0, len(data), size):
            reader.feed(data[i : i + size])
        assert reader.complete
        assert reader.content.long_line


def test_nothing_is_held_of_a_message_that_is_withheld() -> None:
    reader = DataReader(Content(max_size=100, line_limit=1000))
    given_out = sum(len(reader.feed(b"x" * 1000 + b"\r\n")) for _ in range(2000))
    assert given_out <= 100
    assert reader.content.size == 2000 * 1002 - 2
