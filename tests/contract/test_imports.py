"""What comes from elsewhere comes once, on every engine."""

import pytest

from poterne.store.errors import NotFoundError, OverQuotaError
from poterne.store.interface import Delivery
from poterne.store.interface_imports import Arrival
from poterne.values.ids import MailboxId, Uid
from poterne.values.imports import Brought, ImportSourceId
from poterne.values.mailbox import Flag
from tests.support.stores import ALL, AT, INBOX, World, content, event, only


async def arrival(world: World, item: str, body: bytes = b"Subject: x\r\n\r\nbody\r\n", flags: int = 0) -> Arrival:
    delivery = Delivery(world.alice, None, await content(world.store, body), flags, AT - 500, 60)
    return Arrival(delivery, item, item.encode().ljust(16, b"."))


async def source(world: World, name: str = "imap:one") -> ImportSourceId:
    return await world.store.import_source(world.alice, name)


async def test_a_source_keeps_its_number(world: World) -> None:
    first, second = await source(world), await source(world, "imap:two")
    assert first != second
    assert await source(world) == first


async def test_brought_once(world: World) -> None:
    number = await source(world)
    some = [await arrival(world, "1", flags=int(Flag.SEEN)), await arrival(world, "2")]
    first = await world.store.bring(world.alice, number, some)
    assert [one.uid for one in first if one is not None] == [1, 2]
    again = await world.store.bring(world.alice, number, [*some, await arrival(world, "3")])
    assert [None if one is None else one.uid for one in again] == [None, None, 3]
    assert [(row.uid, row.flags, row.internal_at, row.internal_offset) for row in world.rows()][:2] == [
        (1, int(Flag.SEEN), AT - 500, 60),
        (2, 0, AT - 500, 60),
    ]
    known = await world.store.brought(world.alice, number)
    assert [(one.item, one.mailbox_id, one.uid, one.flags) for one in known] == [
        ("1", INBOX, 1, int(Flag.SEEN)),
        ("2", INBOX, 2, 0),
        ("3", INBOX, 3, 0),
    ]
    assert [one.item for one in await world.store.brought(world.alice, number, "1", 1)] == ["2"]


async def test_all_or_nothing(world: World) -> None:
    await world.store.set_account(world.alice, event(), quota_bytes=30)
    number = await source(world)
    with pytest.raises(OverQuotaError):
        await world.store.bring(world.alice, number, [await arrival(world, "1"), await arrival(world, "2")])
    assert world.rows() == []
    assert await world.store.brought(world.alice, number) == []
    gone = Arrival((await arrival(world, "1")).delivery, "1", b"h" * 16)
    elsewhere = Delivery(world.alice, MailboxId(99), gone.delivery.content, 0, AT, 0)
    with pytest.raises(NotFoundError):
        await world.store.bring(world.alice, number, [Arrival(elsewhere, "9", b"h" * 16)])


async def test_hashes_of_other_sources(world: World) -> None:
    one, two = await source(world), await source(world, "mbox:two")
    await world.store.bring(world.alice, one, [await arrival(world, "1"), await arrival(world, "2")])
    assert await world.store.brought_hashes(world.alice, INBOX, one) == []
    hashes = await world.store.brought_hashes(world.alice, INBOX, two)
    assert sorted(hashes) == [(b"1".ljust(16, b"."), 1), (b"2".ljust(16, b"."), 2)]
    await world.store.note_brought(world.alice, two, [Brought("a", INBOX, Uid(1), 0, b"1".ljust(16, b"."))])
    third = await source(world, "mbox:three")
    assert len(await world.store.brought_hashes(world.alice, INBOX, third)) == 2, "one for each message"
    await world.store.remove(world.alice, INBOX, only(2))
    assert [uid for _, uid in await world.store.brought_hashes(world.alice, INBOX, third)] == [1]


async def test_forgetting(world: World) -> None:
    number = await source(world)
    await world.store.bring(world.alice, number, [await arrival(world, "1"), await arrival(world, "2")])
    await world.store.forget_brought(world.alice, number, ["1"])
    assert [one.item for one in await world.store.brought(world.alice, number)] == ["2"]
    assert await world.store.forget_imports(world.alice) == 1
    assert await world.store.forget_imports(world.alice) == 0
    assert await world.store.brought(world.alice, await source(world)) == []
    assert len(world.rows(uids=ALL)) == 2


async def test_a_removed_account_takes_it_along(world: World) -> None:
    number = await source(world)
    await world.store.bring(world.alice, number, [await arrival(world, "1")])
    await world.store.remove_account(world.alice, event())
    world.clock.now += 1000
    await world.store.compact()
    assert await world.store.brought(world.alice, number) == []
