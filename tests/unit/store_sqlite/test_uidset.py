from itertools import pairwise

import apsw
from hypothesis import given
from hypothesis import strategies as st

from poterne.store.sqlite import uidset
from poterne.values.ids import Uid
from poterne.values.mailbox import UidRange

there = sorted({*range(1, 60), *range(100, 300, 3), *range(1000, 1200)})
connection = apsw.Connection(":memory:")
connection.execute("CREATE TABLE message (uid INTEGER PRIMARY KEY)")
connection.executemany("INSERT INTO message VALUES (?)", [(uid,) for uid in there])


@st.composite
def sets(draw: st.DrawFn) -> list[UidRange]:
    edges = sorted(draw(st.lists(st.integers(1, 1300), unique=True, max_size=80)))
    made: list[UidRange] = []
    choices: list[bool] = draw(st.lists(st.booleans(), min_size=160, max_size=160))
    while edges:
        first = edges.pop(0)
        last = edges.pop(0) if edges and choices.pop() else first
        made.append(UidRange(first, None if not edges and choices.pop() else last))
    return made


@given(sets())
def test_conditions_are_the_set_in_order(uids: list[UidRange]) -> None:
    found = [
        uid
        for condition, args in uidset.conditions(uids)
        for (uid,) in connection.execute(f"SELECT uid FROM message WHERE {condition} ORDER BY uid", args)
    ]
    wanted = [uid for uid in there if any(part.first <= uid <= (part.last or uidset.MAX_UID) for part in uids)]
    assert found == wanted


@given(st.sets(st.integers(1, 60), min_size=1).map(sorted))
def test_runs_and_listed(numbers: list[int]) -> None:
    uids = [Uid(number) for number in numbers]
    runs = uidset.runs(uids)
    assert [uid for first, last in runs for uid in range(first, last + 1)] == uids
    assert all(after[0] > before[1] + 1 for before, after in pairwise(runs))
    condition, args = uidset.listed(uids)
    found = connection.execute(f"SELECT uid FROM message WHERE {condition} ORDER BY uid", args).fetchall()
    assert [uid for (uid,) in found] == [uid for uid in uids if uid in there]


def test_no_runs() -> None:
    assert uidset.runs([]) == []
