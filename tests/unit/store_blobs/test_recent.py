"""What was used lately stays, within the limit."""

from hypothesis import given
from hypothesis import strategies as st

from poterne.store.recent import Recent

ENTRY = 200


def test_all_of_it_while_there_is_room() -> None:
    kept: Recent[int] = Recent(100 * (ENTRY + 10))
    for _ in range(3):  # again and again in the same order, the worst for what forgets the oldest
        found = [kept.get(key) for key in range(100)]
        for key, octets in enumerate(found):
            if octets is None:
                kept.put(key, b"%010d" % key)
    assert [kept.get(key) for key in range(100)] == [b"%010d" % key for key in range(100)]


def test_what_is_used_stays() -> None:
    kept: Recent[int] = Recent(100 * (ENTRY + 10))
    kept.put(-1, b"used")
    for key in range(1000):
        kept.put(key, b"%010d" % key)
        assert kept.get(-1) == b"used"
    assert kept.get(0) is None
    assert kept.get(999) is not None


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 400)), max_size=200))
def test_never_more_than_the_limit(steps: list[tuple[int, int]]) -> None:
    limit = 4_000
    kept: Recent[int] = Recent(limit)
    held: dict[int, bytes] = {}
    for key, size in steps:
        if kept.get(key) is None:
            held[key] = bytes([key]) * size
            kept.put(key, held[key])
        there = {key: octets for key in held if (octets := kept.get(key)) is not None}
        assert all(octets == held[key] for key, octets in there.items())
        assert sum(len(octets) + ENTRY for octets in there.values()) <= limit
