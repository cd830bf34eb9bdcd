"""The view of a mailbox against a client that counts, over any order of changes and of what may be told."""

from array import array
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.proto.imap.sequence import SequenceSet
from poterne.session.notify import Subscriptions
from poterne.session.pending import View
from poterne.values.ids import AccountId, ContentId, MailboxId, ModSeq, Uid
from poterne.values.mailbox import Changes, MailboxChanged, MessageRow, UidRange


def row(uid: int, modseq: int = 1, flags: int = 0) -> MessageRow:
    return MessageRow(Uid(uid), flags, ModSeq(modseq), 0, 0, 1, ContentId(uid))


def view_of(*uids: int) -> View:
    return View(array("I", uids), ModSeq(1), (uids[-1] if uids else 0) + 1)


def test_new_messages_come_after_those_that_are_gone() -> None:
    view = view_of(1, 2, 3)
    update = view.merge(Changes(ModSeq(5), Uid(5), (row(4, 5),), (Uid(2),)), expunge=False)
    assert (update.expunged, update.exists) == ((), 4)
    assert list(view.uids) == [1, 2, 3, 4]
    assert view.release() == [2]
    assert list(view.uids) == [1, 3, 4]


def test_growing_is_merging_of_new_messages() -> None:
    grown, merged = view_of(1, 2, 5), view_of(1, 2, 5)
    shared = grown.uids
    grown.grow(2, ModSeq(3))
    merged.merge(Changes(ModSeq(3), Uid(8), (row(6, 2), row(7, 3)), ()), expunge=True)
    assert (list(grown.uids), grown.modseq, grown.uid_next) == (list(merged.uids), merged.modseq, merged.uid_next)
    assert list(shared) == [1, 2, 5]


def test_expunges_are_told_from_the_top() -> None:
    view = view_of(1, 2, 3, 4)
    update = view.merge(Changes(ModSeq(2), Uid(5), (), (Uid(1), Uid(3))), expunge=True)
    assert list(update.expunged) == [3, 1]
    assert list(view.uids) == [2, 4]


def test_what_came_and_went_unseen_is_not_told() -> None:
    view = view_of(1)
    update = view.merge(Changes(ModSeq(9), Uid(4), (), (Uid(2), Uid(3))), expunge=True)
    assert not update
    assert view.modseq == 9


def test_own_changes_are_passed_over() -> None:
    view = view_of(1, 2)
    update = view.merge(Changes(ModSeq(3), Uid(3), (row(1, 3), row(2, 3)), ()), expunge=True, told={1: 3, 2: 2})
    assert [number for number, _ in update.flags] == [2]


def test_shared_uids_are_never_changed_in_place() -> None:
    shared = array("I", [1, 2, 3])
    one, other = View(shared, ModSeq(1), 4), View(shared, ModSeq(1), 4)
    one.merge(Changes(ModSeq(2), Uid(6), (row(5, 2),), (Uid(1),)), expunge=True)
    assert list(other.uids) == [1, 2, 3]
    assert list(one.uids) == [2, 3, 5]


def test_ranges_are_exact() -> None:
    view = view_of(3, 7, 9, 20)
    spans = SequenceSet(((7, 19),)).uids(view.uids)
    assert view.ranges(spans) == [UidRange(7, 9)]
    assert view.spans_of([3, 8, 9, 20]) == [(0, 1), (2, 4)]
    assert view.numbers_of([row(7), row(20)], 1, 4) == [2, 4]
    assert list(view.numbers_of([row(7), row(9)], 1, 3)) == [2, 3]


def test_recent_ranges_join() -> None:
    view = view_of(1, 2, 3, 8, 9)
    view.claimed(2, 3)
    view.claimed(4, 8)
    assert view.recent == [(2, 8)]
    assert view.count_recent() == 3
    assert [view.is_recent(uid) for uid in (1, 2, 8, 9)] == [False, True, True, False]
    view.claimed(9, 8)
    assert view.recent == [(2, 8)]


@dataclass
class Truth:
    """A mailbox that remembers when what happened."""

    modseq: int = 1
    uid_next: int = 1
    rows: dict[int, int] = field(default_factory=dict)
    gone: dict[int, int] = field(default_factory=dict)

    def changes(self, since: int) -> Changes:
        changed = tuple(row(uid, modseq) for uid, modseq in sorted(self.rows.items()) if modseq > since)
        vanished = tuple(Uid(uid) for uid, modseq in sorted(self.gone.items()) if modseq > since)
        return Changes(ModSeq(self.modseq), Uid(self.uid_next), changed, vanished)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(1, 20)),
            st.tuples(st.sampled_from(["remove", "flag"]), st.lists(st.integers(0, 200), min_size=1, max_size=12)),
            st.tuples(st.sampled_from(["tell", "tell some"]), st.just(0)),
        ),
        max_size=40,
    )
)
def test_a_client_that_counts_has_the_same_picture(steps: list[tuple[str, int | list[int]]]) -> None:
    truth, view = Truth(), View(array("I"), ModSeq(1), 1)
    counted: list[int] = []
    flagged: dict[int, int] = {}

    def tell(*, expunge: bool) -> None:
        update = view.merge(truth.changes(view.modseq), expunge=expunge)
        for number in update.expunged:
            flagged.pop(counted.pop(number - 1), None)
        if update.exists is not None:
            counted.extend(view.uids[len(counted) : update.exists])
        assert expunge or not update.expunged
        for number, changed in update.flags:
            assert counted[number - 1] == changed.uid
            flagged[changed.uid] = changed.modseq
        assert counted == list(view.uids)

    for what, argument in steps:
        truth.modseq += 1
        if what == "add" and isinstance(argument, int):
            for _ in range(argument):
                truth.rows[truth.uid_next] = truth.modseq
                truth.uid_next += 1
        elif isinstance(argument, list):
            present = sorted(truth.rows)
            for pick in argument:
                if present:
                    uid = present[pick % len(present)]
                    if what == "flag" and uid in truth.rows:
                        truth.rows[uid] = truth.modseq
                    elif what == "remove" and truth.rows.pop(uid, None) is not None:
                        truth.gone[uid] = truth.modseq
        else:
            tell(expunge=what == "tell")
    tell(expunge=True)
    assert counted == sorted(truth.rows)
    assert not view.gone


def test_subscriptions() -> None:
    heard: list[int] = []
    subscriptions = Subscriptions()
    account, mailbox = AccountId(1), MailboxId(2)
    off = subscriptions.subscribe(account, mailbox, heard.append)
    off_too = subscriptions.subscribe(account, mailbox, heard.append)
    subscriptions.heard([MailboxChanged(account, mailbox, ModSeq(7)), MailboxChanged(account, MailboxId(3), ModSeq(8))])
    assert heard == [7, 7]
    off()
    off()
    subscriptions.wake_all()
    assert len(heard) == 3
    off_too()
    assert len(subscriptions) == 0
