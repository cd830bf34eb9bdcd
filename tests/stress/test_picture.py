"""The model itself: it must notice each thing that a server may not say."""

import pytest

from tests.stress.ledger import DifferenceError, Ledger
from tests.stress.letters import letter
from tests.stress.oracle import Change, Effect, verify
from tests.stress.picture import Doing, Picture
from tests.stress.truth import Box, Message

BOX = 7
NOOP = Doing(b"a1", b"NOOP", holds=False)
FETCH = Doing(b"a2", b"FETCH 1 FLAGS", holds=True, asks_flags=True)


def picture(*, condstore: bool = False, qresync: bool = False, rev2: bool = False, uid_only: bool = False) -> Picture:
    """Three messages, UIDs 2, 4, 6."""
    made = Picture(Ledger(1), 1, condstore=condstore, qresync=qresync, rev2=rev2, uid_only=uid_only)
    for line in (b"* OK [UIDVALIDITY 7] x", b"* OK [UIDNEXT 9] x", b"* 3 EXISTS"):
        made.hear(line, [NOOP])
    for number in (1, 2, 3):
        told = b"%d UIDFETCH (" % (number * 2) if uid_only else b"%d FETCH (UID %d " % (number, number * 2)
        made.hear(b"* %bFLAGS () MODSEQ (5))" % told, [FETCH])
    return made


@pytest.mark.parametrize(
    ("line", "doing"),
    [
        (b"* 2 EXISTS", NOOP),
        (b"* 1 EXPUNGE", FETCH),
        (b"* 1 EXPUNGE", None),
        (b"* 4 EXPUNGE", NOOP),
        (b"* 0 EXPUNGE", NOOP),
        (b"* VANISHED 2", NOOP),
        (b"* 4 FETCH (FLAGS ())", NOOP),
        (b"* 2 FETCH (UID 5 FLAGS ())", FETCH),
        (b"* 2 FETCH (UID 4 FLAGS (\\Seen \\Seen))", FETCH),
        (b"* 2 FETCH (UID 4 FLAGS () MODSEQ (4))", FETCH),
        (b"* 2 FETCH (UID 4 FLAGS (\\Seen) MODSEQ (5))", FETCH),
        (b"* 4 RECENT", NOOP),
    ],
)
def test_what_may_not_be_said(line: bytes, doing: Doing | None) -> None:
    with pytest.raises(DifferenceError):
        picture().hear(line, [doing] if doing is not None else [])


@pytest.mark.parametrize(
    ("line", "doing"),
    [(b"* 1 EXPUNGE", NOOP), (b"* VANISHED 3", NOOP), (b"* VANISHED 2", FETCH), (b"* VANISHED (EARLIER) 1", None)],
)
def test_what_may_not_be_said_with_qresync(line: bytes, doing: Doing | None) -> None:
    with pytest.raises(DifferenceError):
        picture(qresync=True).hear(line, [doing] if doing is not None else [])


@pytest.mark.parametrize(
    "line",
    [
        b"* 1 EXPUNGE",
        b"* 2 FETCH (UID 4 FLAGS ())",
        b"* 2 EXISTS",
        b"* VANISHED 3",
        b"* 3 UIDFETCH (FLAGS ())",
        b"* 2 UIDFETCH (FLAGS (\\Seen) MODSEQ (5))",
        b"* OK [UNSEEN 1] x",
    ],
)
def test_what_may_not_be_said_with_uidonly(line: bytes) -> None:
    with pytest.raises(DifferenceError):
        picture(uid_only=True).hear(line, [NOOP])


def test_messages_go_at_any_moment_with_selected_only() -> None:
    client = picture()
    client.at_once = True
    client.hear(b"* 1 EXPUNGE", [])
    assert client.uids == [4, 6]
    with pytest.raises(DifferenceError):
        client.hear(b"* 1 EXPUNGE", [FETCH])


def test_what_is_not_known_has_no_place_with_uidonly() -> None:
    client = picture(uid_only=True)
    for line in (b"* 6 EXISTS", b"* 9 UIDFETCH (FLAGS ())", b"* 8 UIDFETCH (FLAGS ())", b"* VANISHED 4,7"):
        client.hear(line, [NOOP])
    assert client.uids == [2, 6, 8, 9]


@pytest.mark.parametrize("items", [b"FLAGS (\\Seen)", b"UID 4 FLAGS (\\Seen)", b"FLAGS (\\Seen) MODSEQ (6)"])
def test_flags_come_with_uid_and_modseq_after_condstore(items: bytes) -> None:
    with pytest.raises(DifferenceError):
        picture(condstore=True).hear(b"* 2 FETCH (%b)" % items, [NOOP])


def test_recent_is_for_one_session_and_stays() -> None:
    one = picture()
    one.hear(b"* 1 FETCH (UID 2 FLAGS (\\Recent))", [FETCH])
    with pytest.raises(DifferenceError):
        one.hear(b"* 1 FETCH (UID 2 FLAGS ())", [FETCH])
    with pytest.raises(DifferenceError):
        picture(rev2=True).hear(b"* 1 FETCH (UID 2 FLAGS (\\Recent))", [FETCH])
    ledger = Ledger(1)
    ledger.is_recent(BOX, 2, 1)
    with pytest.raises(DifferenceError):
        ledger.is_recent(BOX, 2, 2)


def test_another_message_under_the_same_uid() -> None:
    one = picture()
    line = b"* 2 FETCH (UID 4 BODY[HEADER.FIELDS (MESSAGE-ID)] {31}\r\nMessage-ID: <%d@stress.test>\r\n\r\n)"
    one.hear(line % 1, [FETCH])
    with pytest.raises(DifferenceError):
        one.hear(line % 2, [FETCH])


def test_positions_after_expunges() -> None:
    one = picture()
    one.hear(b"* 2 EXPUNGE", [NOOP])
    assert one.uids == [2, 6]
    one.hear(b"* 4 EXISTS", [])
    one.hear(b"* 4 FETCH (UID 12)", [NOOP])
    assert one.uids == [2, 6, 0, 12]
    with pytest.raises(DifferenceError):
        one.hear(b"* 3 FETCH (UID 13)", [NOOP])


def test_vanished_of_what_was_never_named() -> None:
    one = picture(qresync=True)
    one.hear(b"* 5 EXISTS", [])
    one.hear(b"* VANISHED 8", [NOOP])
    assert one.uids == [2, 4, 6, 0]


def box(*messages: Message, uid_next: int = 9, highest: int = 5) -> dict[int, Box]:
    return {BOX: Box(1, "INBOX", BOX, uid_next, highest, {each.uid: each for each in messages})}  # type: ignore[arg-type]


def message(uid: int, *flags: bytes, modseq: int = 5) -> Message:
    return Message(uid, frozenset(flags), modseq, 0, len(letter(uid)), uid)


SEEN = Effect({BOX: Change(flags={2: frozenset({b"\\Seen"})})})


@pytest.mark.parametrize(
    ("effect", "after"),
    [
        (Effect(), box(message(2, b"\\Seen", modseq=6), highest=6)),
        (Effect(), box()),
        (Effect(), box(message(2), message(9), uid_next=10)),
        (Effect(), box(message(2), uid_next=10)),
        (Effect(), box(message(2, modseq=6), highest=6)),
        (SEEN, box(message(2))),
        (SEEN, box(message(2, b"\\Seen"))),
        (SEEN, box(message(2, b"\\Seen", modseq=6))),
        (Effect({BOX: Change(removed={2})}), box()),
        (Effect({BOX: Change(added=[(9, frozenset())])}), box(message(2), message(9), uid_next=10, highest=6)),
    ],
)
def test_what_a_command_may_not_have_done(effect: Effect, after: dict[int, Box]) -> None:
    with pytest.raises(DifferenceError):
        verify(box(message(2)), effect, after)


def test_what_it_may_have_done() -> None:
    verify(box(message(2)), Effect(), box(message(2)))
    verify(box(message(2)), SEEN, box(message(2, b"\\Seen", modseq=6), highest=6))
    verify(box(message(2)), Effect({BOX: Change(removed={2})}), box(highest=6))
