"""Rights as letters, and what they let one change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.values.mailbox import KEYWORD_SHIFT, Flag
from poterne.values.sharing import EVERY_RIGHT, LETTERS, VIRTUAL, Right, changeable, letters, parse_rights

_SETS = st.integers(0, int(EVERY_RIGHT)).map(Right)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", Right(0)),
        ("lr", Right.LOOKUP | Right.READ),
        ("rrl", Right.LOOKUP | Right.READ),
        ("c", Right.CREATE | Right.DELETE_MAILBOX),
        ("d", Right.DELETE_MESSAGES | Right.EXPUNGE),
        ("lrswipkxtea", EVERY_RIGHT),
        ("lrswipcda", EVERY_RIGHT),
        ("L", None),
        ("l0", None),
        ("l r", None),
        ("é", None),
    ],
)
def test_parse(text: str, found: Right | None) -> None:
    assert parse_rights(text) == found


@given(_SETS)
def test_letters_come_back(rights: Right) -> None:
    assert parse_rights(letters(rights)) == rights
    shown = letters(rights, virtual=True)
    assert len(set(shown)) == len(shown)
    for letter, members in VIRTUAL.items():  # RFC 4314 §2.1.1: shown when any of its members is there
        assert (letter in shown) is bool(rights & members)
    assert {letter for letter in shown if letter in LETTERS} == set(letters(rights))


@given(_SETS)
def test_each_flag_needs_its_right(rights: Right) -> None:
    mask = changeable(rights)
    assert type(mask) is int  # the complement of an IntFlag would forget the keywords
    assert bool(mask & Flag.SEEN) is (Right.SEEN in rights)
    assert bool(mask & Flag.DELETED) is (Right.DELETE_MESSAGES in rights)
    for other in (Flag.FLAGGED, Flag.ANSWERED, Flag.DRAFT, 1 << KEYWORD_SHIFT, 1 << 62):
        assert bool(mask & other) is (Right.WRITE in rights)
