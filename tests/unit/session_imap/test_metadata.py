"""Which entries GETMETADATA means."""

import time

from hypothesis import given
from hypothesis import strategies as st

from poterne.proto.imap.items import DEPTH_INFINITY, Metadata
from poterne.session.imap.metadata import _chosen

names = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(lambda parts: "/private/" + "/".join(parts))


@given(
    st.dictionaries(names, st.binary(max_size=3), max_size=20),
    st.lists(names | st.sampled_from(["/private", "/shared"]), min_size=1, max_size=6, unique=True),
    st.sampled_from([0, 1, DEPTH_INFINITY]),
)
def test_each_entry_and_what_is_below_it(values: dict[str, bytes], asked: list[str], depth: int) -> None:
    chosen = _chosen(values, Metadata(tuple(asked), None, depth))
    meant = {
        entry: value
        for entry, value in values.items()
        for one in asked
        if entry == one or (entry.startswith(one + "/") and entry.count("/") - one.count("/") <= depth)
    }
    found = {entry: value for entry, value in chosen.items() if value is not None}
    assert found == meant
    missing = {entry for entry, value in chosen.items() if value is None}
    assert missing == (set(asked) - set(meant) if not depth or not meant else set())
    assert chosen


def test_many_deep_names_in_little_time() -> None:
    deep = "/private" + "/a" * 120
    values = {f"{deep}/{n}": b"x" for n in range(2_000)}
    asked = tuple(f"/private/b{n}" for n in range(900)) + tuple(deep[: 8 + 2 * n] for n in range(100))
    begin = time.process_time()
    assert len(_chosen(values, Metadata(asked, None, DEPTH_INFINITY))) == 2_000
    assert time.process_time() - begin < 1
