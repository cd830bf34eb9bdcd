import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.proto.core import PeerError
from poterne.proto.lines import LineBuffer, LineFault


def drain(buffer: LineBuffer, limit: int) -> list[bytes | LineFault | str]:
    found: list[bytes | LineFault | str] = []
    try:
        while (line := buffer.take(limit, b"LONG ", 20)) is not None:
            found.append(line)
    except PeerError as error:
        found.append(error.code)
    return found


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a\r\n\r\nb\r\n", [b"a", b"", b"b"]),
        (b"a\nb\r\n", ["bare-lf"]),
        (b"\n", ["bare-lf"]),
        (b"\n\r\n", ["bare-lf"]),
        (b"a\rb\r\n", ["bare-cr"]),
        (b"a\r\r\n", ["bare-cr"]),
        (b"a\0\r\nb\r\n", [LineFault.NUL, b"b"]),
        (b"12345678\r\n", [b"12345678"]),
        (b"123456789\r\nx\r\n", [LineFault.TOO_LONG, b"x"]),
        (b"123456789012345678\r\nx\r\n", [LineFault.TOO_LONG, b"x"]),
        (b"1234567890123456789\r\nx\r\n", [LineFault.TOO_LONG, "line-too-long"]),
        (b"1234567890\n\r\r\nx\r\n", [LineFault.TOO_LONG, b"x"]),
        (b"123456789\r", [LineFault.TOO_LONG]),
        (b"long 6789012345678\r\nx\r\n", [b"long 6789012345678", b"x"]),
        (b"long 67890123456789\r\nx\r\n", [LineFault.TOO_LONG, "line-too-long"]),
        (b"a\r", []),
    ],
)
def test_lines(data: bytes, expected: list[bytes | LineFault | str]) -> None:
    buffer = LineBuffer(skip_limit=20)
    buffer.feed(data)
    assert drain(buffer, 10) == expected


@settings(deadline=None)
@given(st.lists(st.text("aL\r\n\0 ", max_size=30).map(str.encode), max_size=10), st.integers(2, 12))
def test_whole_is_bytewise_and_memory_is_bounded(pieces: list[bytes], limit: int) -> None:
    data = b"".join(pieces)
    whole = LineBuffer(skip_limit=20)
    whole.feed(data)
    expected = drain(whole, limit)
    buffer = LineBuffer(skip_limit=20)
    found: list[bytes | LineFault | str] = []
    for octet in data:
        buffer.feed(bytes((octet,)))
        found += drain(buffer, limit)
        assert len(buffer) <= 20
        if found and isinstance(found[-1], str):
            break
    assert found == expected


def test_what_follows_lines_is_taken_as_it_is() -> None:
    buffer = LineBuffer(skip_limit=20)
    buffer.feed(b"a\r\nrest\n\r\0more")
    assert buffer.take(10) == b"a"
    assert buffer.take_some(5) == b"rest\n"
    assert len(buffer) == 6
    assert buffer.take_all() == b"\r\0more"
    assert buffer.take_all() == b""
