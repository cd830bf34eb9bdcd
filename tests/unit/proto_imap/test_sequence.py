from array import array
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.proto.imap.sequence import SAVED, STAR, SequenceSet, indexes, number_runs, render_set

UIDS = array("I", [3, 5, 6, 7, 100, 4294967295])


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([(1, 4)], [(0, 1)]),
        ([(5, 7)], [(1, 4)]),
        ([(7, 5)], [(1, 4)]),
        ([(5, 5), (6, 6), (7, 7)], [(1, 4)]),
        ([(5, 5), (7, 7)], [(1, 2), (3, 4)]),
        ([(STAR, STAR)], [(5, 6)]),
        ([(50, STAR)], [(4, 6)]),
        ([(1, STAR)], [(0, 6)]),
        ([(8, 99)], []),
        ([(100, 100), (3, 3)], [(0, 1), (4, 5)]),
        ([], []),
    ],
)
def test_uids(parts: list[tuple[int, int]], found: list[tuple[int, int]]) -> None:
    assert SequenceSet(tuple(parts)).uids(UIDS) == found


def test_star_is_the_last_uid_even_below_the_range() -> None:
    # RFC 9051 §9 seq-range: 3291:* includes the last message even if its UID is less.
    assert SequenceSet(((3291, STAR),)).uids(array("I", [1, 2])) == [(1, 2)]


def test_empty_mailbox() -> None:
    assert SequenceSet(((1, STAR),)).uids(array("I")) == []
    assert SequenceSet(((1, STAR),)).numbers(0) == []
    assert SequenceSet(((STAR, STAR),)).numbers(0) == []
    assert SequenceSet(((1, 1),)).numbers(0) is None
    assert SequenceSet(((1, STAR),)).ranges(0) == []


def test_numbers() -> None:
    # RFC 9051 §9 sequence-set: 2,4:7,9,12:* of 15 messages.
    found = SequenceSet(((2, 2), (4, 7), (9, 9), (12, STAR))).numbers(15)
    assert found is not None
    assert [index + 1 for index in indexes(found)] == [2, 4, 5, 6, 7, 9, 12, 13, 14, 15]
    assert SequenceSet(((STAR, 4), (5, 7))).numbers(10) == [(3, 10)]
    assert SequenceSet(((1, 11),)).numbers(10) is None
    assert SequenceSet(((11, 11),)).numbers(10) is None
    assert SequenceSet(((11, STAR),)).numbers(10) == [(9, 10)]
    assert SAVED.numbers(10) == []


numbers = st.integers(0, 40)
sets = st.lists(st.tuples(numbers, numbers), max_size=8).map(lambda parts: SequenceSet(tuple(parts)))


@given(sets, st.sets(st.integers(1, 45)))
def test_resolving_agrees_with_membership(chosen: SequenceSet, uids: set[int]) -> None:
    ordered = array("I", sorted(uids))
    ranges = chosen.uids(ordered)
    assert [ordered[i] for i in indexes(ranges)] == [u for u in ordered if chosen.holds(u, ordered[-1])]
    assert all(a < b for a, b in ranges)
    assert all(first[1] < second[0] for first, second in pairwise(ranges))


@given(sets, st.integers(1, 45))
def test_ranges_are_merged(chosen: SequenceSet, highest: int) -> None:
    ranges = chosen.ranges(highest)
    members = [n for low, high in ranges for n in range(low, high + 1)]
    assert members == [n for n in range(1, 46) if chosen.holds(n, highest)]
    assert all(first[1] + 1 < second[0] for first, second in pairwise(ranges))


@given(st.sets(st.integers(1, 60)))
def test_render_set(members: set[int]) -> None:
    runs = number_runs(sorted(members))
    assert [n for low, high in runs for n in range(low, high + 1)] == sorted(members)
    text = render_set(sorted(members))
    back = set()
    for part in text.split(b",") if text else []:
        low, _, high = part.partition(b":")
        back |= set(range(int(low), int(high or low) + 1))
    assert back == members


def test_render_set_examples() -> None:
    assert render_set([1, 2, 3, 7, 9, 10]) == b"1:3,7,9:10"
    assert render_set([]) == b""
