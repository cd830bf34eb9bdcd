"""FETCH and STORE: what they ask for is read once and kept, which nobody may notice."""

from dataclasses import replace

import pytest

from poterne.proto.imap.cursor import CommandError, Cursor
from poterne.proto.imap.items import FetchAtt, FlagSet
from poterne.proto.imap.limits import Limits
from poterne.proto.imap.parse_message import fetch, store
from poterne.proto.imap.sequence import SequenceSet
from poterne.values.mailbox import Flag, FlagChange

WIDE = Limits()
NARROW = replace(WIDE, list_items=1)


def _cursor(text: bytes, limits: Limits = WIDE, *, utf8: bool = False) -> Cursor:
    return Cursor(text, 0, limits, utf8=utf8)


def test_what_is_asked_again_is_the_same() -> None:
    first = store(_cursor(b" 1 +FLAGS.SILENT (\\Seen $Junk)"), b"a", uid=False)
    again = store(_cursor(b" 2:4 +FLAGS.SILENT (\\Seen $Junk)"), b"b", uid=True)
    assert (first.change, first.flags, first.silent) == (FlagChange.ADD, FlagSet(Flag.SEEN, ("$Junk",)), True)
    assert (again.change, again.flags, again.silent) == (first.change, first.flags, first.silent)
    assert (again.tag, again.uid, again.messages) == (b"b", True, SequenceSet(((2, 4),)))
    assert store(_cursor(b" 1 FLAGS ()"), b"a", uid=False).change is FlagChange.REPLACE


def test_each_way_to_ask_is_kept_apart() -> None:
    asked = b" 1 (FLAGS)"
    assert fetch(_cursor(asked), b"a", uid=False).items == (FetchAtt.FLAGS,)
    assert fetch(_cursor(asked), b"a", uid=True).items == (FetchAtt.UID, FetchAtt.FLAGS)
    assert fetch(_cursor(asked), b"a", uid=True, shows_uid=False).items == (FetchAtt.FLAGS,)
    since = fetch(_cursor(b" 1 (FLAGS) (CHANGEDSINCE 7)"), b"a", uid=True)
    assert (since.changed_since, since.items) == (7, (FetchAtt.UID, FetchAtt.FLAGS, FetchAtt.MODSEQ))


@pytest.mark.parametrize("text", [b" 1 +FLAGS (\\Seen \\Draft \\Flagged)", b" 1 +FLAGS \\Seen \\Draft \\Flagged"])
def test_limits_count_for_what_others_were_allowed(text: bytes) -> None:
    store(_cursor(text), b"a", uid=False)
    with pytest.raises(CommandError):
        store(_cursor(text, NARROW), b"a", uid=False)
    with pytest.raises(CommandError):
        fetch(_cursor(b" 1 (FLAGS UID RFC822.SIZE)", NARROW), b"a", uid=False)
    fetch(_cursor(b" 1 (FLAGS UID RFC822.SIZE)"), b"a", uid=False)


def test_what_is_wrong_stays_wrong() -> None:
    for _ in range(2):
        for text in (b" 1 FLAGS (\\Nothing)", b" 1 FLAGS", b" 1 FLAGS (\\Seen) x", b" 1 FLAGSX (\\Seen)"):
            with pytest.raises(CommandError):
                store(_cursor(text), b"a", uid=False)
        with pytest.raises(CommandError):
            fetch(_cursor(b" 1 (FLAGS) (PARTIAL 1:2)"), b"a", uid=False)
    assert fetch(_cursor(b" 1 (FLAGS) (PARTIAL 1:2)"), b"a", uid=True).window is not None


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (b"1", ((1, 1),)),
        (b"999999999", ((999_999_999, 999_999_999),)),
        (b"4294967295", ((4_294_967_295, 4_294_967_295),)),
        (b"4294967296", None),
        (b"0", None),
        (b"01", None),
        (b"1,", None),
    ],
)
def test_one_number(text: bytes, parts: tuple[tuple[int, int], ...] | None) -> None:
    if parts is None:
        with pytest.raises(CommandError):
            _cursor(text).sequence_set()
    else:
        assert _cursor(text).sequence_set() == SequenceSet(parts)
