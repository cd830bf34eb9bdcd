"""COPY, MOVE, EXPUNGE, and what `changes` tells of them."""

import pytest

from poterne.store.errors import NotFoundError
from poterne.values.ids import MailboxId
from poterne.values.mailbox import Flag, FlagChange, UidRange
from tests.support.stores import ALL, AT, INBOX, World, event, modseq, only


async def fill(world: World, count: int) -> None:
    for number in range(count):
        await world.deliver(b"%d" % number)


def bodies(world: World, mailbox: MailboxId) -> list[bytes]:
    return [world.store.blobs.read(wide.blob) for wide in world.store.contents(world.alice, mailbox, ALL)]


async def test_copy(world: World) -> None:
    await fill(world, 5)
    await world.store.store_flags(world.alice, INBOX, only(2), FlagChange.ADD, Flag.SEEN | Flag.DELETED | 1 << 9)
    work = (await world.named("Work")).id
    copied = await world.store.copy(world.alice, INBOX, (UidRange(2, 3), UidRange(5, 9)), work, AT + 9)
    assert (copied.source, copied.destination) == ((2, 3, 5), (1, 2, 3))
    assert copied.uid_validity == (await world.named("Work")).uid_validity
    assert bodies(world, work) == [b"1", b"2", b"4"]
    assert world.flags(work) == {1: 1 | 8 | 1 << 9, 2: 0, 3: 0}
    assert {wide.saved_at for wide in world.store.contents(world.alice, work, ALL)} == {AT + 9}
    assert [row.internal_at for row in world.rows(work)] == [AT] * 3
    assert await world.uids() == [1, 2, 3, 4, 5]
    again = await world.store.copy(world.alice, INBOX, ALL, work, AT)
    assert again.destination == (4, 5, 6, 7, 8)
    none = await world.store.copy(world.alice, INBOX, only(77), work, AT)
    assert (none.source, none.destination) == ((), ())
    await world.consistent()


async def test_copy_within_a_mailbox(world: World) -> None:
    await fill(world, 2)
    assert (await world.store.copy(world.alice, INBOX, ALL, INBOX, AT)).destination == (3, 4)
    assert (await world.store.copy(world.alice, INBOX, ALL, INBOX, AT)).destination == (5, 6, 7, 8)
    assert bodies(world, INBOX) == [b"0", b"1"] * 4
    assert await world.store.remove(world.alice, INBOX, only(1, 2, 3)) == [1, 2, 3]
    assert bodies(world, INBOX) == [b"1", b"0", b"1", b"0", b"1"]
    await world.consistent()


async def test_move(world: World) -> None:
    await fill(world, 5)
    work = (await world.named("Work")).id
    before = await world.named("INBOX")
    moved = await world.store.move(world.alice, INBOX, only(1, 4, 6), work, AT)
    assert (moved.source, moved.destination) == ((1, 4), (1, 2))
    assert await world.uids() == [2, 3, 5]
    assert bodies(world, work) == [b"0", b"3"]
    changes = await world.store.changes(world.alice, INBOX, before.highest_modseq)
    assert (changes.changed, changes.vanished) == ((), (1, 4))
    within = await world.store.move(world.alice, INBOX, only(2, 5), INBOX, AT)
    assert (within.source, within.destination) == ((2, 5), (6, 7))
    assert bodies(world, INBOX) == [b"2", b"1", b"4"]
    await world.consistent()


async def test_unknown_mailboxes(world: World) -> None:
    await fill(world, 1)
    nowhere = MailboxId(99)
    for call in (
        world.store.copy(world.alice, INBOX, ALL, nowhere, AT),
        world.store.copy(world.alice, nowhere, ALL, INBOX, AT),
        world.store.move(world.alice, INBOX, ALL, nowhere, AT),
        world.store.move(world.alice, nowhere, ALL, INBOX, AT),
        world.store.expunge(world.alice, nowhere, None),
        world.store.remove(world.alice, nowhere, ALL),
        world.store.changes(world.alice, nowhere, modseq(0)),
    ):
        with pytest.raises(NotFoundError):
            await call
    assert await world.uids() == [1]


async def test_expunge_takes_only_what_is_deleted(world: World) -> None:
    await fill(world, 6)
    await world.store.store_flags(world.alice, INBOX, only(2, 3, 6), FlagChange.ADD, Flag.DELETED)
    assert await world.store.expunge(world.alice, INBOX, (UidRange(1, 3),), [event("message.expunged")]) == [2, 3]
    assert await world.store.expunge(world.alice, INBOX, only(1, 2)) == []
    assert await world.store.expunge(world.alice, INBOX, None) == [6]
    assert await world.store.expunge(world.alice, INBOX, None) == []
    assert await world.uids() == [1, 4, 5]
    assert (await world.deliver()).uid == 7
    assert len(await world.store.events(kind="message.expunged")) == 1
    await world.consistent()


async def test_remove_does_not_ask_for_the_flag(world: World) -> None:
    await fill(world, 3)
    assert await world.store.remove(world.alice, INBOX, (UidRange(2, None),), [event("message.removed")]) == [2, 3]
    assert (await world.deliver()).uid == 4
    await world.consistent()


async def test_a_copy_outlives_its_source(world: World) -> None:
    await fill(world, 3)
    work = (await world.named("Work")).id
    await world.store.copy(world.alice, INBOX, ALL, work, AT)
    await world.store.remove(world.alice, INBOX, ALL)
    world.clock.now += 1_000_000
    await world.store.compact()
    assert bodies(world, work) == [b"0", b"1", b"2"]
    await world.store.delete_mailbox(world.alice, work, event())
    world.clock.now += 1_000_000
    await world.store.compact()
    assert await world.store.check() == []


async def test_changes(world: World) -> None:
    await fill(world, 4)
    start = (await world.named("INBOX")).highest_modseq
    assert (await world.store.changes(world.alice, INBOX, start)).changed == ()
    await world.store.store_flags(world.alice, INBOX, only(2), FlagChange.ADD, Flag.SEEN)
    middle = (await world.named("INBOX")).highest_modseq
    await fill(world, 1)
    await world.store.remove(world.alice, INBOX, only(1, 3))
    found = await world.store.changes(world.alice, INBOX, start)
    assert [(row.uid, row.flags) for row in found.changed] == [(2, 1), (5, 0)]
    assert found.vanished == (1, 3)
    inbox = await world.named("INBOX")
    assert (found.highest_modseq, found.uid_next) == (inbox.highest_modseq, 6)
    later = await world.store.changes(world.alice, INBOX, middle)
    assert [row.uid for row in later.changed] == [5]
    all_of_it = await world.store.changes(world.alice, INBOX, modseq(0))
    assert [row.uid for row in all_of_it.changed] == [2, 4, 5]


async def test_uids_follow_every_kind_of_change(world: World) -> None:
    assert await world.uids() == []
    await fill(world, 3)
    assert await world.uids() == [1, 2, 3]
    await world.store.store_flags(world.alice, INBOX, ALL, FlagChange.ADD, Flag.DELETED)
    assert await world.uids() == [1, 2, 3]
    await world.store.expunge(world.alice, INBOX, only(2))
    await fill(world, 1)
    assert await world.uids() == [1, 3, 4]
    work = (await world.named("Work")).id
    assert await world.uids(work) == []
    await world.store.copy(world.alice, INBOX, ALL, work, AT)
    await world.store.move(world.alice, work, only(2), work, AT)
    assert await world.uids(work) == [1, 3, 4]
