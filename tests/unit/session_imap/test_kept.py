"""What is kept of FETCH is given out for exactly the messages that it is of, within its bound."""

from array import array

import pytest

from poterne.proto.imap.items import BodySection, FetchAtt, FetchItem, SectionText
from poterne.session.imap.kept import Kept, Key, is_whole, marks_of, stretches
from poterne.values.ids import AccountId, MailboxId, UidValidity

KEY: Key = (AccountId(1), MailboxId(1), UidValidity(7))
MARK = FetchAtt.ENVELOPE


def uids(*numbers: int) -> "array[int]":
    return array("I", numbers)


def texts(*numbers: int) -> list[bytes]:
    return [b"%d" % number for number in numbers]


def fields(*names: bytes, path: tuple[int, ...] = ()) -> BodySection:
    return BodySection(path, SectionText.FIELDS, names, None, True, b"BODY[...]")


def twice(kept: Kept, shift: int, known: "array[int]", values: list[bytes]) -> None:
    for _ in range(2):
        kept.keep(KEY, [MARK], shift, known, [values])


@pytest.fixture
def kept() -> Kept:
    kept = Kept()
    twice(kept, 3, uids(8, 9, 11, 12), texts(8, 9, 11, 12))
    return kept


def test_not_the_first_time() -> None:
    kept = Kept()
    kept.keep(KEY, [MARK], 3, uids(8, 9), [texts(8, 9)])
    assert kept.find(KEY, [MARK], 3, uids(8, 9)) is None
    kept.keep(KEY, [MARK, frozenset({b"to"})], 3, uids(8, 9), [texts(8, 9), texts(8, 9)])
    assert kept.find(KEY, [MARK], 3, uids(8, 9)) == [texts(8, 9)]
    assert kept.find(KEY, [frozenset({b"to"})], 3, uids(8, 9)) is None


@pytest.mark.parametrize("asked", [(8, 9, 11, 12), (8,), (12,), (9, 11), (8, 9, 11)])
def test_all_or_a_part(kept: Kept, asked: tuple[int, ...]) -> None:
    assert kept.find(KEY, [MARK], 3, uids(*asked)) == [texts(*asked)]


@pytest.mark.parametrize(
    "asked", [(10,), (8, 9, 10), (8, 11), (8, 9, 10, 11, 12), (8, 9, 11, 12, 13), (13,), (9, 12), (16,), (7,), (12, 17)]
)
def test_no_other_messages(kept: Kept, asked: tuple[int, ...]) -> None:
    assert kept.find(KEY, [MARK], 3, uids(*asked)) is None


def test_nobody_else_and_nothing_else(kept: Kept) -> None:
    whole = uids(8, 9, 11, 12)
    for key in (
        (AccountId(2), MailboxId(1), UidValidity(7)),
        (AccountId(1), MailboxId(2), UidValidity(7)),
        (AccountId(1), MailboxId(1), UidValidity(8)),
    ):
        assert kept.find(key, [MARK], 3, whole) is None
    assert kept.find(KEY, [FetchAtt.BODYSTRUCTURE], 3, whole) is None
    assert kept.find(KEY, [MARK, frozenset({b"to"})], 3, whole) is None
    assert kept.find(KEY, [MARK], 2, whole) is None


def test_read_anew_takes_the_place(kept: Kept) -> None:
    kept.keep(KEY, [MARK], 3, uids(8, 9, 13), [texts(8, 9, 13)])
    assert kept.find(KEY, [MARK], 3, uids(8, 9, 13)) == [texts(8, 9, 13)]
    assert kept.find(KEY, [MARK], 3, uids(11)) is None


def test_the_bound_and_who_goes_first() -> None:
    kept = Kept(10_000)

    def there() -> list[int]:
        return [number for number in range(1, 8) if kept.find(KEY, [MARK], 0, uids(number)) is not None]

    for number in range(4):
        twice(kept, 0, uids(number + 1), [b"x" * 2000])
    assert kept.find(KEY, [MARK], 0, uids(1)) is not None
    twice(kept, 0, uids(5), [b"x" * 2000])
    assert there() == [1, 3, 4, 5]
    twice(kept, 0, uids(6), [b"x" * 8_000])
    assert there() == [1, 3, 4, 5]  # a monster pushes nobody out
    kept.keep(KEY, [MARK], 0, uids(4), [[b"x" * 8_000]])
    assert there() == [1, 3, 5]
    twice(kept, 0, uids(7), [b"x"])
    assert there() == [1, 3, 5, 7]


@pytest.mark.parametrize(
    ("items", "marks"),
    [
        ((FetchAtt.UID, FetchAtt.FLAGS, FetchAtt.SIZE), ()),
        ((FetchAtt.UID, FetchAtt.BODYSTRUCTURE), (FetchAtt.BODYSTRUCTURE,)),
        ((FetchAtt.MODSEQ, FetchAtt.BODYSTRUCTURE), ()),
        ((FetchAtt.SIZE, FetchAtt.FLAGS, fields(b"to", b"cc")), (FetchAtt.SIZE, frozenset({b"to", b"cc"}))),
        ((fields(b"to"), fields(b"cc")), ()),
        ((fields(b"to"), FetchAtt.SIZE), (FetchAtt.SIZE, frozenset({b"to"}))),
        ((fields(b"to", path=(1,)),), ()),
        ((fields(*(b"x%d" % number for number in range(41))),), ()),
        ((fields(b"x" * 1025),), ()),
        ((BodySection((), SectionText.ALL, (), None, True, b"BODY[]"),), ()),
    ],
)
def test_what_is_kept(items: tuple[FetchItem, ...], marks: tuple[object, ...]) -> None:
    assert marks_of(items) == marks


def test_stretches_hold_uids_of_one_only() -> None:
    known = uids(1, 2, 3, 8, 9, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24)
    parts = list(stretches(known, 1, 15, 3, 8))
    assert parts == [(1, 3), (3, 6), (6, 14), (14, 15)]
    assert [is_whole(known, *part, 3) for part in parts] == [False, True, True, False]
    assert not is_whole(known, 3, 5, 3)
    assert not is_whole(known, 4, 6, 3)


def test_sparse_ones_are_read_by_the_page() -> None:
    known = array("I", range(100, 100_000, 100))
    assert list(stretches(known, 0, 999, 3, 500)) == [(0, 500), (500, 999)]
