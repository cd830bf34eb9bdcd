"""COPY and MOVE between accounts."""

from pathlib import Path

import pytest

from poterne.store.errors import LimitError, NotFoundError, OverQuotaError, UnavailableError
from poterne.store.failing import Fails, FailurePlan, failing
from poterne.store.sqlite import copying_across
from poterne.store.sqlite.engine import open_store
from poterne.store.sqlite.transaction import Limits
from poterne.values.ids import AccountId, MailboxId
from poterne.values.mailbox import KEYWORDS_OF_OTHERS, Flag, FlagChange, SpecialUse
from poterne.values.retention import Hold
from tests.support.stores import ALL, AT, INBOX, Clock, World, event, only

COPIES_KEEP_NOTHING = 0


def bodies(world: World, account: AccountId, mailbox: MailboxId = INBOX) -> list[bytes]:
    return [world.store.blobs.read(wide.blob) for wide in world.store.contents(account, mailbox, ALL)]


async def consistent(world: World, *accounts: AccountId) -> None:
    mine = world.alice
    for account in (mine, *accounts):
        world.alice = account
        await world.consistent()
    world.alice = mine
    assert await world.store.check() == []


async def test_copy(world: World) -> None:
    bob = await world.account("bob@example.org")
    for number in range(4):
        await world.deliver(b"%d" % number)
    await world.store.store_flags(world.alice, INBOX, only(2), FlagChange.ADD, Flag.SEEN | Flag.DELETED)
    copied = await world.store.copy_to(world.alice, INBOX, only(2, 4, 9), bob, INBOX, AT + 9)
    assert (copied.source, copied.destination) == ((2, 4), (1, 2))
    assert copied.uid_validity == (await world.store.mailbox(bob, "INBOX")).uid_validity
    assert bodies(world, bob) == [b"1", b"3"]
    assert [row.flags for row in world.store.rows(bob, INBOX, ALL)] == [Flag.SEEN | Flag.DELETED, 0]
    assert {wide.saved_at for wide in world.store.contents(bob, INBOX, ALL)} == {AT + 9}
    theirs = {row.content_id for row in world.store.rows(bob, INBOX, ALL)}
    assert not theirs & {row.content_id for row in world.rows()}
    assert await world.uids() == [1, 2, 3, 4]
    await world.store.remove_account(world.alice, event())  # the copies are nobody else's any more
    while await world.store.compact():
        pass
    assert bodies(world, bob) == [b"1", b"3"]
    assert await world.store.check() == []


async def test_keywords_keep_their_names(world: World) -> None:
    bob = await world.account("bob@example.org")
    await world.store.keyword_bits(bob, ["Other", "$Work"])
    mine = await world.store.keyword_bits(world.alice, ["$work", "Later", "unused"])
    await world.deliver(flags=Flag.FLAGGED | mine["$work"] | mine["Later"])
    await world.deliver(flags=mine["Later"])
    await world.store.copy_to(world.alice, INBOX, ALL, bob, INBOX, AT)
    keywords = (await world.store.account_by_id(bob)).keywords
    assert keywords == ("Other", "$Work", "Later")  # "unused" is on no message
    there = [row.flags for row in world.store.rows(bob, INBOX, ALL)]
    assert there == [Flag.FLAGGED | 1 << 9 | 1 << 10, 1 << 10]


async def test_keywords_without_room_are_left_out(world: World) -> None:
    bob = await world.account("bob@example.org")
    await world.store.keyword_bits(bob, [f"k{number}" for number in range(KEYWORDS_OF_OTHERS - 1)])
    mine = await world.store.keyword_bits(world.alice, ["one", "two"])
    await world.deliver(flags=mine["one"] | mine["two"] | Flag.SEEN)
    await world.store.copy_to(world.alice, INBOX, ALL, bob, INBOX, AT)
    assert (await world.store.account_by_id(bob)).keywords[KEYWORDS_OF_OTHERS - 1 :] == ("one",)
    assert [row.flags for row in world.store.rows(bob, INBOX, ALL)] == [Flag.SEEN | 1 << 7 + KEYWORDS_OF_OTHERS]


async def test_flags_that_may_not_be_kept(world: World) -> None:
    bob = await world.account("bob@example.org")
    mine = await world.store.keyword_bits(world.alice, ["kept"])
    await world.deliver(flags=Flag.SEEN | Flag.DELETED | Flag.DRAFT | mine["kept"])
    await world.store.copy_to(world.alice, INBOX, ALL, bob, INBOX, AT, flags_kept=Flag.SEEN)
    assert (await world.store.account_by_id(bob)).keywords == ()
    await world.store.copy_to(world.alice, INBOX, ALL, bob, INBOX, AT, flags_kept=~int(Flag.SEEN | Flag.DELETED))
    assert [row.flags for row in world.store.rows(bob, INBOX, ALL)] == [Flag.SEEN, Flag.DRAFT | 1 << 8]
    work = (await world.named("Work")).id  # the same within an account
    for move in (False, True):
        await world.store.copy_to(
            world.alice, INBOX, ALL, world.alice, work, AT, flags_kept=COPIES_KEEP_NOTHING, move=move
        )
    assert world.flags(work) == {1: 0, 2: 0}
    assert world.flags() == {}
    await consistent(world, bob)


async def test_move_takes_it_from_the_first_and_charges_the_second(world: World) -> None:
    bob = await world.account("bob@example.org")
    for number in range(3):
        await world.deliver(b"%d" % number)
    before = await world.named("INBOX")
    moved = await world.store.copy_to(world.alice, INBOX, only(1, 3), bob, INBOX, AT, move=True)
    assert (moved.source, moved.destination) == ((1, 3), (1, 2))
    changes = await world.store.changes(world.alice, INBOX, before.highest_modseq)
    assert (changes.changed, changes.vanished) == ((), (1, 3))
    assert await world.uids() == [2]
    assert (await world.store.account_by_id(world.alice)).used_messages == 1
    assert (await world.store.account_by_id(bob)).used_messages == 2
    assert bodies(world, bob) == [b"0", b"2"]
    world.clock.now += 10_000
    while await world.store.compact():
        pass
    assert bodies(world, bob) == [b"0", b"2"]
    await consistent(world, bob)


async def test_what_is_moved_away_can_come_back_where_that_is_so(tmp_path: Path) -> None:
    clock = Clock()
    world = World(open_store(tmp_path / "d", clock=clock, limits=Limits(undelete_s=3600)), tmp_path / "d", clock)
    await world.settle()
    bob = await world.account("bob@example.org")
    await world.deliver(b"precious")
    await world.store.copy_to(world.alice, INBOX, ALL, bob, INBOX, AT, move=True)
    kept = await world.store.kept_messages(world.alice)
    assert await world.store.undelete(kept, INBOX, event()) == 1
    assert bodies(world, world.alice) == bodies(world, bob) == [b"precious"]
    await consistent(world, bob)
    await world.store.close()


async def test_a_held_account_keeps_what_is_moved_away(world: World) -> None:
    bob = await world.account("bob@example.org")
    await world.store.set_legal_hold(Hold("court", AT, "", world.alice), event())
    await world.deliver(b"evidence")
    await world.store.copy_to(world.alice, INBOX, ALL, bob, INBOX, AT, move=True)
    assert len(await world.store.kept_messages(world.alice)) == 1


async def test_quota_of_the_second_account_counts(world: World) -> None:
    bob = await world.account("bob@example.org", 25)
    await world.deliver(b"0123456789")
    await world.deliver(b"0123456789")
    await world.deliver(b"0123456789")
    for move in (False, True):
        with pytest.raises(OverQuotaError):
            await world.store.copy_to(world.alice, INBOX, ALL, bob, INBOX, AT, move=move)
    assert await world.uids() == [1, 2, 3]
    assert bodies(world, bob) == []
    await world.store.copy_to(world.alice, INBOX, only(1, 2), bob, INBOX, AT)
    await world.store.set_account(bob, event(), quota_bytes=0, quota_messages=2)
    with pytest.raises(OverQuotaError):
        await world.store.copy_to(world.alice, INBOX, only(3), bob, INBOX, AT)
    await consistent(world, bob)


async def test_threads_are_the_same_in_the_other_account(world: World) -> None:
    bob = await world.account("bob@example.org")
    await world.deliver(references=(1,))
    await world.deliver(references=(2, 1))
    await world.deliver(references=(9,))
    await world.deliver()
    await world.store.copy_to(world.alice, INBOX, only(2), bob, INBOX, AT)
    await world.store.copy_to(world.alice, INBOX, only(1, 3, 4), bob, INBOX, AT)
    reply, first, other, alone = [wide.thread_id for wide in world.store.contents(bob, INBOX, ALL)]
    assert reply == first
    assert len({first, other, alone}) == 3
    mine = world.alice
    world.alice = bob
    await world.deliver(references=(3, 1))
    assert world.store.contents(bob, INBOX, ALL)[-1].thread_id == first
    world.alice = mine


async def test_into_junk_of_another_account(world: World) -> None:
    bob = await world.account("bob@example.org")
    junk = await world.store.create_mailbox(bob, "Junk", SpecialUse.JUNK, event())
    await world.deliver()
    await world.store.copy_to(world.alice, INBOX, ALL, bob, junk.id, AT, move=True)
    (told,) = await world.store.events(kind="message.junk")
    assert (told.account_id, told.detail["mailbox"]) == (bob, junk.id)


async def test_unknown_mailboxes(world: World) -> None:
    bob = await world.account("bob@example.org")
    await world.deliver()
    for source, account, destination in ((INBOX, bob, 99), (MailboxId(99), bob, INBOX), (INBOX, 99, INBOX)):
        with pytest.raises(NotFoundError):
            await world.store.copy_to(
                world.alice, source, ALL, AccountId(account), MailboxId(destination), AT, move=True
            )
    assert await world.uids() == [1]
    none = await world.store.copy_to(world.alice, INBOX, only(77), bob, INBOX, AT)
    assert (none.source, none.destination) == ((), ())


@pytest.mark.parametrize("fails", Fails)
async def test_all_or_nothing(world: World, fails: Fails) -> None:
    bob = await world.account("bob@example.org")
    await world.deliver(b"x", references=(1,))
    breaking = failing(world.store, FailurePlan(1, fails))
    with pytest.raises(UnavailableError):
        await breaking.copy_to(world.alice, INBOX, ALL, bob, INBOX, AT, move=True)
    there = bodies(world, bob)
    assert len(there) + len(await world.uids()) == 1
    await consistent(world, bob)


async def test_not_everything_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else could write meanwhile."""
    monkeypatch.setattr(copying_across, "ACROSS_MOST", 2)
    bob = await world.account("bob@example.org")
    for _ in range(3):
        await world.deliver()
    with pytest.raises(LimitError):
        await world.store.copy_to(world.alice, INBOX, ALL, bob, INBOX, 1)
    with pytest.raises(LimitError):
        await world.store.copy_to(world.alice, INBOX, only(1, 3, 2), bob, INBOX, 1, move=True)
    copied = await world.store.copy_to(world.alice, INBOX, only(1, 3), bob, INBOX, 1)
    assert list(copied.source) == [1, 3]
