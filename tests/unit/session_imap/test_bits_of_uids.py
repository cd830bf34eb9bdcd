"""Positions of UIDs, with gaps and without."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from poterne.session.imap import bits

uids = st.sets(st.integers(1, 60), max_size=40).map(sorted) | st.tuples(st.integers(1, 9), st.integers(0, 40)).map(
    lambda ends: list(range(ends[0], ends[0] + ends[1]))
)


@given(uids, st.sets(st.integers(1, 70)).map(sorted))
def test_of_uids(known: list[int], found: list[int]) -> None:
    expected = [position for position, uid in enumerate(known) if uid in found]
    made = bits.of_uids(array("I", known), found)
    assert made == bits.of_positions(expected, len(known))
    assert bits.positions(made) == expected
