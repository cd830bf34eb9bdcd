"""Renames told in order: a client that moves children along ends with the right names, or is told of gone and made."""

from hypothesis import given
from hypothesis import strategies as st

from poterne.session.imap.name_notices import MOST_RENAMES, in_order, renamed, without_children

LEVELS = st.sampled_from("abc")
NAME = st.lists(LEVELS, min_size=1, max_size=3).map("/".join)
RENAMES = st.dictionaries(NAME, NAME, max_size=6).map(
    lambda found: [(old, new) for old, new in found.items() if old != new and list(found.values()).count(new) == 1]
)


def final(name: str, renames: list[tuple[str, str]]) -> str:
    """Where the client believes a mailbox of this name to be after all of them."""
    for old, new in renames:
        (name,) = renamed({name}, old, new)
    return name


def test_children_that_moved_along_are_left_out() -> None:
    moved = [("a/x", "b/x"), ("a", "b"), ("a/y", "c"), ("a/x/deep", "b/x/deep"), ("a/x/far", "b/far")]
    assert without_children(moved) == [("a", "b"), ("a/x/far", "b/far"), ("a/y", "c")]


def test_one_after_the_other() -> None:
    assert in_order([("a", "b"), ("b", "c")]) == [("b", "c"), ("a", "b")]
    assert in_order([("a", "b"), ("a/y", "c")]) == [("a/y", "c"), ("a", "b")]
    assert in_order([("a", "b/x"), ("b", "c")]) == [("b", "c"), ("a", "b/x")]


def test_what_no_order_can_say() -> None:
    assert in_order([("a", "b"), ("b", "a")]) == []
    assert in_order([("a", "b"), ("b", "a"), ("c", "d")]) == [("c", "d")]
    assert in_order([(f"a{i}", f"b{i}") for i in range(MOST_RENAMES + 1)]) == []


@given(RENAMES)
def test_each_rename_that_is_told_means_what_it_says(moved: list[tuple[str, str]]) -> None:
    told = in_order(without_children(moved))
    for old, new in told:
        assert final(old, told) == new


@given(RENAMES, st.sets(NAME, max_size=6))
def test_who_has_not_moved_is_where_it_was(moved: list[tuple[str, str]], names: set[str]) -> None:
    told = in_order(moved)
    above = {old for old, _ in moved}
    for name in names:
        if not any(name == old or name.startswith(old + "/") for old in above):
            assert final(name, told) == name
