from hypothesis import given
from hypothesis import strategies as st

from poterne.queue.wire import _LineMeter

_PIECES = st.lists(st.sampled_from([b"\r\n", b"\r", b"x", b"y" * 300, b"z" * 996, b"z" * 997, b"z" * 998, b"z" * 999]))


@given(_PIECES, st.integers(1, 1200))
def test_a_line_over_998_octets_is_found_however_it_comes(pieces: list[bytes], step: int) -> None:
    text = b"".join(pieces).replace(b"\r\n", b"\n").replace(b"\r", b"").replace(b"\n", b"\r\n")
    expected = any(len(line) > 998 for line in text.split(b"\r\n"))
    whole, pieced = _LineMeter(), _LineMeter()
    whole.feed(text)
    for at in range(0, len(text), step):
        pieced.feed(text[at : at + step])
    assert whole.too_long is expected
    assert pieced.too_long is expected
