"""STORE, keywords, searching by flags."""

import pytest

from poterne.store.errors import LimitError, NotFoundError
from poterne.values.ids import AccountId, MailboxId
from poterne.values.mailbox import Flag, FlagChange, UidRange
from tests.support.stores import ALL, INBOX, World, event, modseq, only

ADD, REMOVE, REPLACE = FlagChange.ADD, FlagChange.REMOVE, FlagChange.REPLACE


async def fill(world: World, *flags: int) -> None:
    for mask in flags:
        await world.deliver(flags=mask)


@pytest.mark.parametrize("before", [0, 1, 8, 25])
async def test_each_change_on_each_state(world: World, before: int) -> None:
    await fill(world, before, 31 - before, 0)
    for change in FlagChange:
        for mask in (1, 8, 9, 4, 0, 31, 1 << 8, 1 << 62):
            await world.store.store_flags(world.alice, INBOX, ALL, REPLACE, before)
            await world.store.store_flags(world.alice, INBOX, only(3), REPLACE, 31 - before)
            await world.store.store_flags(world.alice, INBOX, ALL, change, mask)
            wanted = [
                {ADD: old | mask, REMOVE: old & ~mask, REPLACE: mask}[change] for old in (before, before, 31 - before)
            ]
            assert list(world.flags().values()) == wanted
        await world.consistent()


async def test_meanwhile_something_else(world: World) -> None:
    await fill(world, 0, 0, 0)
    seen: list[list[int]] = []

    def meanwhile() -> None:
        seen.append(list(world.flags().values()))

    await world.store.store_flags(world.alice, INBOX, ALL, ADD, Flag.SEEN, None, meanwhile)
    assert seen in ([[0, 0, 0]], [[1, 1, 1]], [])  # before it or after it, once, or it was done at once
    await world.store.store_flags(world.alice, INBOX, only(2), REPLACE, Flag.FLAGGED, modseq(0), meanwhile)
    assert len(seen) <= 2
    assert list(world.flags().values()) == [1, 1, 1]


async def test_modseq_grows_only_for_rows_that_change(world: World) -> None:
    await fill(world, 0, Flag.SEEN, 0)
    first = world.rows()
    new, refused, *_ = await world.store.store_flags(world.alice, INBOX, ALL, ADD, Flag.SEEN)
    assert refused == []
    assert new > first[2].modseq
    assert [row.modseq for row in world.rows()] == [new, first[1].modseq, new]
    assert (await world.named("INBOX")).highest_modseq == new
    same, _, *_ = await world.store.store_flags(world.alice, INBOX, ALL, ADD, Flag.SEEN)
    assert same == new == (await world.named("INBOX")).highest_modseq
    after = await world.deliver()
    assert after.modseq == new + 1  # nothing was spent on what changed nothing


async def test_unchanged_since(world: World) -> None:
    await fill(world, 0, 0, 0, 0)
    limit = world.rows()[1].modseq
    new, refused, *_ = await world.store.store_flags(world.alice, INBOX, ALL, ADD, Flag.FLAGGED, limit)
    assert refused == [3, 4]
    assert world.flags() == {1: 4, 2: 4, 3: 0, 4: 0}
    again, refused, *_ = await world.store.store_flags(world.alice, INBOX, only(1, 3), REMOVE, Flag.FLAGGED, modseq(0))
    assert (again, refused) == (new, [1, 3])
    assert (await world.store.store_flags(world.alice, INBOX, only(1, 9), REMOVE, Flag.FLAGGED, new))[1] == []
    await world.consistent()


async def test_flags_alone_are_those_of_the_rows(world: World) -> None:
    await fill(world, 0, 1, 8, 25, 0, 1 << 62, *[1] * 90)
    await world.store.remove(world.alice, INBOX, only(2, 50))
    scattered = [UidRange(uid, uid) for uid in range(1, 70, 3)] + [UidRange(80, None)]
    for uids in (ALL, only(6), only(2), scattered):
        rows = world.rows(INBOX, uids)
        newest = max([row.modseq for row in rows], default=0)
        expected = [row.uid for row in rows], [row.flags for row in rows], newest
        assert world.store.flags(world.alice, INBOX, uids) == expected
        known = expected[0]
        assert world.store.flags(world.alice, INBOX, uids, known) == expected
        assert (
            world.store.flags(world.alice, INBOX, uids, [*known, 2**32 - 1]) == expected
        )  # that is not there any more
        assert world.store.flags(world.alice, INBOX, only(2), [2]) == ([], [], 0)


async def test_texts_alone_are_those_of_the_contents(world: World) -> None:
    await fill(world, *[0] * 90)
    await world.store.remove(world.alice, INBOX, only(2, 50))
    scattered = [UidRange(uid, uid) for uid in range(1, 70, 3)] + [UidRange(80, None)]
    for uids in (ALL, only(6), only(2), scattered):
        contents = world.store.contents(world.alice, INBOX, uids)
        for structure in (False, True):
            expected = [(row.uid, row.structure if structure else row.envelope) for row in contents]
            assert world.store.texts(world.alice, INBOX, uids, structure=structure) == expected


async def test_ranges(world: World) -> None:
    await fill(world, *[0] * 40)
    await world.store.remove(world.alice, INBOX, only(4, 20))
    some = (UidRange(2, 5), UidRange(7, 7), UidRange(20, 21), UidRange(38, None))
    await world.store.store_flags(world.alice, INBOX, some, ADD, Flag.SEEN | Flag.DELETED)
    assert [uid for uid, flags in world.flags().items() if flags == 9] == [2, 3, 5, 7, 21, 38, 39, 40]
    scattered = only(*range(1, 41, 2))
    await world.store.store_flags(world.alice, INBOX, scattered, REPLACE, Flag.DRAFT)
    assert [uid for uid, flags in world.flags().items() if flags == 16] == list(range(1, 41, 2))
    await world.store.store_flags(world.alice, INBOX, (), ADD, Flag.SEEN)
    await world.consistent()


async def test_flagged(world: World) -> None:
    await fill(world, 0, 1, 8, 9, 1 | 4, 1 << 8)
    for flags_set in (0, 1, 8, 9, 4, 1 << 8):
        for flags_clear in (0, 1, 8, 9, 1 << 8):
            found = await world.store.flagged(world.alice, INBOX, flags_set, flags_clear)
            assert found == [
                uid
                for uid, flags in world.flags().items()
                if flags & flags_set == flags_set and not flags & flags_clear
            ], (flags_set, flags_clear)
            assert found[:1] == await world.store.flagged(world.alice, INBOX, flags_set, flags_clear, lowest=True)
    with pytest.raises(NotFoundError):
        await world.store.flagged(world.alice, MailboxId(99), 0, 0)


async def test_unknown_mailbox(world: World) -> None:
    with pytest.raises(NotFoundError):
        await world.store.store_flags(world.alice, MailboxId(99), ALL, ADD, Flag.SEEN)


async def test_keywords(world: World) -> None:
    bits = await world.store.keyword_bits(world.alice, ["$Forwarded", "Work", "$forwarded"])
    assert bits == {"$Forwarded": 1 << 8, "Work": 1 << 9, "$forwarded": 1 << 8}
    assert await world.store.keyword_bits(world.alice, ["WORK"]) == {"WORK": 1 << 9}
    assert (await world.store.account_by_id(world.alice)).keywords == ("$Forwarded", "Work")
    assert await world.store.keyword_bits(world.alice, []) == {}
    many = [f"k{number}" for number in range(53)]
    assert (await world.store.keyword_bits(world.alice, many))["k52"] == 1 << 62
    with pytest.raises(LimitError):
        await world.store.keyword_bits(world.alice, ["k1", "one-more"])
    assert len((await world.store.account_by_id(world.alice)).keywords) == 55
    bob = await world.account("bob@example.org")
    assert await world.store.keyword_bits(bob, ["Work"]) == {"Work": 1 << 8}
    with pytest.raises(NotFoundError):
        await world.store.keyword_bits(AccountId(99), ["x"])
    with pytest.raises(LimitError):
        await world.store.keyword_bits(bob, ["x" * 1000])


async def test_the_highest_keyword_bit(world: World) -> None:
    await fill(world, 1 << 62)
    await world.store.store_flags(world.alice, INBOX, ALL, ADD, 1 << 61)
    assert world.flags() == {1: 3 << 61}
    assert (await world.store.account_by_id(world.alice)).keywords == ()
    await world.store.record([event()])


async def test_the_highest_modseq_grows_with_each_change(world: World) -> None:
    def highest() -> int:
        return world.store.highest_modseq(world.alice, INBOX)

    await fill(world, 2)
    before = highest()
    assert before == (await world.store.mailbox_by_id(world.alice, INBOX)).highest_modseq
    await fill(world, 1)
    delivered = highest()
    assert delivered > before
    assert world.store.highest_modseq(world.alice, MailboxId(999)) == 0
