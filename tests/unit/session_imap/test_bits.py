from hypothesis import given
from hypothesis import strategies as st

from poterne.session.imap import bits


@given(st.sets(st.integers(0, 300)))
def test_there_and_back(wanted: set[int]) -> None:
    positions = sorted(wanted)
    found = bits.of_positions(positions, 301)
    assert bits.positions(found) == positions
    assert bits.of_spans(bits.spans(positions), 301) == found
    assert found.bit_count() == len(positions)


def test_nothing() -> None:
    assert bits.of_positions([], 0) == bits.of_spans([], 0) == 0
    assert bits.positions(0) == []
    assert bits.spans([]) == []
