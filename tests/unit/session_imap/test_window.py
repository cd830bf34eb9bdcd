from hypothesis import given
from hypothesis import strategies as st

from poterne.proto.imap.items import Window
from poterne.session.imap.positions import part_of

ends = st.integers(1, 30)


@given(ends, ends, st.booleans(), st.integers(0, 25))
def test_within(first: int, last: int, from_the_end: bool, count: int) -> None:
    sign = -1 if from_the_end else 1
    results = list(range(1, count + 1))
    named = {n for n in range(min(first, last), max(first, last) + 1) if n <= count}
    start, stop = Window(sign * first, sign * last).within(count)
    assert set(results[start:stop]) == ({count + 1 - n for n in named} if from_the_end else named)
    assert 0 <= start <= count


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), max_size=5), ends, ends, st.booleans())
def test_part_of_spans(gaps: list[tuple[int, int]], first: int, last: int, from_the_end: bool) -> None:
    spans, at = [], 0
    for gap, length in gaps:
        spans.append((at + gap, at + gap + length))
        at += gap + length
    positions = [i for low, high in spans for i in range(low, high)]
    window = Window(-first, -last) if from_the_end else Window(first, last)
    start, stop = window.within(len(positions))
    assert [i for low, high in part_of(spans, window) for i in range(low, high)] == positions[start:stop]
