from array import array

from hypothesis import given
from hypothesis import strategies as st

from poterne.session.imap import columns
from poterne.session.imap.columns import Column, Columns, Key, Value
from poterne.values.ids import AccountId, MailboxId, UidValidity


@given(st.lists(st.sampled_from(["a", "b", "B", "", "é"]), max_size=12))
def test_ranks_sort_as_values_do(values: list[str | None]) -> None:
    column = Column(array("I", range(len(values))), values)
    positions = list(range(len(values)))
    assert column.order == sorted(positions, key=lambda i: values[i] or "")
    for reverse in (False, True):
        by_rank = sorted(positions, key=column.ranks.__getitem__, reverse=reverse)
        assert by_rank == sorted(positions, key=lambda i: values[i] or "", reverse=reverse)
    assert column.complete


def test_memory_is_bounded() -> None:
    def key(n: int) -> Key:
        return AccountId(1), MailboxId(n), UidValidity(1), "SUBJECT"

    kept = Columns()
    most = columns.MAX_VALUES // 10
    values: list[Value | None] = ["x"] * most
    for n in range(10):
        kept.keep(key(n), Column(array("I"), values))
    kept.keep(key(0), Column(array("I"), values))
    assert kept.get(key(1)) is not None
    kept.keep(key(99), Column(array("I"), values))
    assert kept.get(key(2)) is None
    assert [n for n in range(10) if kept.get(key(n)) is None] == [2]
    kept.keep(key(100), Column(array("I"), values * 11))
    assert all(kept.get(key(n)) is None for n in range(200))
    kept.keep(key(1), Column(array("I"), values))
    assert kept.get(key(1)) is not None
