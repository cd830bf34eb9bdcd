import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.message.header import (
    Fact,
    Malformation,
    _fields,
    _regular_fields,
    header_end,
    index,
    select,
    select_not,
    unfold,
)

BLOCK = b"Received: a;\r\n\tb\r\nFROM: A\r\nX-From: no\r\nfrom: B\r\n C\r\nSubject:x\r\n\r\n"


def test_fields_and_lookup() -> None:
    found = index(BLOCK + b"From: body\r\n\r\n")
    assert found.end == len(BLOCK)
    assert [one.name for one in found.fields] == [b"received", b"from", b"x-from", b"from", b"subject"]
    assert found.raw(found.fields[0]) == b"Received: a;\r\n\tb\r\n"
    assert found.value(b"received") == b"a;\tb"
    assert found.values(b"from") == [b"A", b"B C"]
    assert found.value(b"subject") == b"x"
    assert found.value(b"to") is None
    assert len(found.find(b"from")) == 2
    assert found.duplicates == (b"from",)
    assert found.facts == ()


@pytest.mark.parametrize(
    ("data", "kind", "at"),
    [
        (b" From: a\r\n\r\n", Malformation.LEADING_SPACE, 0),
        (b"A: b\r\njunk\r\n\r\n", Malformation.NO_COLON, 6),
        (b": b\r\n\r\n", Malformation.EMPTY_NAME, 0),
        (b"\xc3\xa9: b\r\n\r\n", Malformation.BAD_NAME, 0),
        (b"A B: b\r\n\r\n", Malformation.BAD_NAME, 0),
        (b"From : b\r\n\r\n", Malformation.SPACE_BEFORE_COLON, 4),
        (b"A: b\r\n \t\r\n\r\n", Malformation.BLANK_FOLD, 6),
        (b"A: " + b"b" * 996 + b"\r\n\r\n", Malformation.LONG_LINE, 0),
        (b"A: b\rc\r\n\r\n", Malformation.BARE_CR, 4),
        (b"A: b\nc\r\n\r\n", Malformation.BARE_LF, 4),
        (b"A: b\0\r\n\r\n", Malformation.NUL, 4),
        (b"A: b\r\n", Malformation.NO_END, 6),
    ],
)
def test_each_malformation_is_a_fact(data: bytes, kind: Malformation, at: int) -> None:
    found = index(data)
    assert [(fact.kind, fact.at) for fact in found.facts] == [(kind, at)]
    assert found.has(kind)


def test_longest_line_and_trailing_space_are_no_facts() -> None:
    assert index(b"A: " + b"b" * 995 + b"\r\nB: c \r\n" + b"C: d\r\n x\r\n" * 500 + b"\r\n").facts == ()


def test_space_before_the_colon_hides_no_field() -> None:
    found = index(b"From : K\r\nFrom: L\r\n\r\n")
    assert found.values(b"from") == [b"K", b"L"]
    assert found.duplicates == (b"from",)


def test_bare_line_ends_hide_no_field_and_make_none() -> None:
    found = index(b"A: b\nFrom: x\r\nB: c\rFrom: y\r\n\r\n")
    assert found.find(b"from") == ()
    assert {fact.kind for fact in found.facts} == {Malformation.BARE_LF, Malformation.BARE_CR}


def test_continuation_of_a_line_that_is_no_field() -> None:
    found = index(b"A: b\r\njunk\r\n more: x\r\nC: d\r\n\r\n")
    assert [one.name for one in found.fields] == [b"a", b"c"]
    assert found.value(b"a") == b"b"


def test_facts_are_bounded() -> None:
    assert len(index(b"junk\r\n" * 10_000).facts) == 100


@pytest.mark.parametrize(
    ("data", "end"), [(b"", -1), (b"\r\nx", 2), (b"A: b\r\n\r\nx", 8), (b"A: b\r\n", -1), (b"A\n\nb", -1)]
)
def test_header_end(data: bytes, end: int) -> None:
    assert header_end(data) == end


def test_unfold() -> None:
    assert unfold(b" a\r\n b\r\n\tc \r\n") == b"a b\tc"
    assert unfold(b"\r\n a\r\n") == b"a"
    assert unfold(b"a\nb") == b"a\nb"


@pytest.mark.parametrize(
    ("names", "chosen", "rest"),
    [
        ({b"from"}, b"FROM: A\r\nfrom: B\r\n C\r\n\r\n", b"Received: a;\r\n\tb\r\nX-From: no\r\nSubject:x\r\n\r\n"),
        ({b"subject", b"received"}, b"Received: a;\r\n\tb\r\nSubject:x\r\n\r\n", b"FROM: A\r\nX-From: no\r\nfrom: B\r\n C\r\n\r\n"),
        ({b"fro", b"f.om"}, b"\r\n", BLOCK),
        (set(), b"\r\n", BLOCK),
        ({b"from", b"subject", b"received", b"x-from"}, BLOCK, b"\r\n"),
    ],
)  # fmt: skip
def test_selection(names: set[bytes], chosen: bytes, rest: bytes) -> None:
    assert select(BLOCK, frozenset(names)) == chosen
    assert select_not(BLOCK, frozenset(names)) == rest


def test_selection_without_empty_line_adds_none() -> None:
    """RFC 9051 §6.4.5.1: a message without body and empty line has none in its header either."""
    assert select(b"A: b\r\nC: d\r\n", frozenset({b"a"})) == b"A: b\r\n"
    assert select(b"A: b\r\nC: d", frozenset({b"a"})) == b"A: b\r\n"
    assert select(b"A: b\r\n", frozenset({b"c"})) == b""
    assert select(b"", frozenset({b"c"})) == b""
    assert select(b"\r\n", frozenset({b"c"})) == b"\r\n"
    assert select_not(b"\r\n", frozenset({b"c"})) == b"\r\n"
    assert select_not(b"A: b\r\nC: d\r\n", frozenset({b"a"})) == b"C: d\r\n"


def test_selection_keeps_odd_octets() -> None:
    block = b"A: x\ry\nC: no\r\n\xe9: junk\r\nC: yes\r\n\r\n"
    assert select(block, frozenset({b"c"})) == b"C: yes\r\n\r\n"
    assert select(block, frozenset({b"a"})) == b"A: x\ry\nC: no\r\n\r\n"
    assert select_not(block, frozenset({b"c"})) == b"A: x\ry\nC: no\r\n\xe9: junk\r\n\r\n"


@given(
    st.lists(
        st.sampled_from([b"A: b", b"\r\n", b"\r\n x", b"\r\n ", b" :", b"c", b"\r", b"\n", b":", b"d" * 999]),
        max_size=12,
    ).map(b"".join)
)
def test_the_fast_reading_is_the_strict_one(text: bytes) -> None:
    text = text.removesuffix(b"\r\n")
    fast = _regular_fields(text + b"\r\n")
    facts: list[Fact] = []
    if fast is not None:
        assert fast == _fields(text, facts)
        assert facts == []
