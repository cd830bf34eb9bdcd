"""The columns of header fields say what the envelopes do."""

from hypothesis import given
from hypothesis import strategies as st

from poterne.proto.imap import render
from poterne.session.imap import envelope
from poterne.session.imap.header_columns import Days, HeaderColumns, Texts, folded, values
from poterne.session.imap.texts import Needle
from poterne.values.ids import AccountId, MailboxId, UidValidity
from poterne.values.mime import Envelope, MailAddress

text = st.none() | st.sampled_from(
    [b"", b"a", b"Re: x", b'q"q', b"back\\slash", b"NIL", b"(", b") (", b"\xc3\xa9", b"=?utf-8?q?=C3=89?= A", b"<i@d>"]
)
addresses = st.lists(st.builds(MailAddress, text, text, text, text), max_size=3).map(tuple)
envelopes = st.builds(
    Envelope, text, text, addresses, addresses, addresses, addresses, addresses, addresses, text, text
)


@given(envelopes)
def test_quick_is_as_parsed(value: Envelope) -> None:
    stored = render.envelope(value)
    for field in envelope.FIELDS:
        assert values(stored, field) == envelope.texts(stored, field)


@given(st.lists(envelopes, max_size=8), st.sampled_from(["", "a", "É", "x", "@", "=?", "<i", "nil", "\u00e9 a", "zz"]))
def test_a_column_finds_what_the_messages_hold(several: list[Envelope], wanted: str) -> None:
    needle = Needle(wanted)
    for field in envelope.FIELDS:
        column = Texts()
        expected: list[int] = []
        for uid, value in enumerate(several, 5):
            stored = render.envelope(value)
            found = envelope.texts(stored, field)
            if (found and not wanted) or (wanted and any(needle.is_in_header(one) for one in found)):
                expected.append(uid)
            column.add(uid, folded(stored, field))
        assert column.holding(needle.octets) == expected


def test_nothing_is_found_across_messages() -> None:
    column = Texts()
    for uid, subject in ((1, b"ab"), (2, None), (4, b"cd"), (9, b"ab")):
        column.add(uid, folded(render.envelope(Envelope(None, subject)), "subject"))
    assert column.holding(b"bc") == []
    assert column.holding(b"ab") == [1, 9]
    assert column.holding(b"") == [1, 4, 9]


def test_days() -> None:
    column = Days()
    for uid, day in ((1, 100), (3, 101), (4, 100)):
        column.add(uid, day)
    assert column.fitting(lambda day: day == 100) == [1, 4]


def test_the_ones_not_used_go_first() -> None:
    kept = HeaderColumns(max_bytes=50)
    keys = [(AccountId(1), MailboxId(number), UidValidity(1), "from") for number in (1, 2, 3)]
    for key in keys[:2]:
        column = Texts()
        column.add(1, b"0123456\0")
        kept.keep(key, column)
    assert kept.texts(keys[0], 1) is not None  # used now
    column = Texts()
    for uid in (1, 2):
        column.add(uid, b"0\0")
    kept.keep(keys[2], column)
    assert [kept.texts(key, 1) is not None for key in keys] == [True, False, True]
    column.add(3, b"0" * 20)
    kept.keep(keys[2], column)  # it has grown
    assert [kept.texts(key, 1) is not None for key in keys] == [False, False, True]


def test_what_is_mostly_gone_is_made_anew() -> None:
    kept, key = HeaderColumns(), (AccountId(1), MailboxId(1), UidValidity(1), "from")
    column = Texts()
    for uid in range(1, 1200):
        column.add(uid, b"")
    kept.keep(key, column)
    assert kept.texts(key, 600) is column
    assert kept.texts(key, 90) is None
    assert kept.days(key, 600) is None
