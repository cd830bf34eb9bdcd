"""REPLACE: one message comes and another goes, in one transaction."""

import pytest

from poterne.store.errors import ConflictError, NotFoundError, OverQuotaError
from poterne.store.interface import Delivery
from poterne.values.ids import MailboxId, Uid
from poterne.values.mailbox import Appended
from tests.support.stores import AT, INBOX, World, content, event


async def replace(world: World, uid: int, body: bytes, to: MailboxId | None = None) -> Appended:
    delivery = Delivery(world.alice, to, await content(world.store, body, ()), 1, AT, 60)
    return await world.store.replace(delivery, INBOX, Uid(uid))


async def test_replace(world: World) -> None:
    for number in range(3):
        await world.deliver(b"%d" % number)
    before = (await world.named("INBOX")).highest_modseq
    appended = await replace(world, 2, b"new")
    assert (appended.uid, await world.uids()) == (4, [1, 3, 4])
    assert world.flags() == {1: 0, 3: 0, 4: 1}
    changes = await world.store.changes(world.alice, INBOX, before)
    assert ([row.uid for row in changes.changed], changes.vanished) == ([4], (2,))
    work = (await world.named("Work")).id
    assert (await replace(world, 4, b"newer", work)).uid == 1
    assert (await world.uids(), await world.uids(work)) == ([1, 3], [1])
    await world.consistent()


async def test_both_or_neither(world: World) -> None:
    await world.deliver(b"12345")
    await world.deliver(b"12345")
    await world.store.set_account(world.alice, event(), quota_bytes=12)
    before = (await world.named("INBOX")).highest_modseq
    with pytest.raises(OverQuotaError):
        await replace(world, 1, b"12345678")
    with pytest.raises(ConflictError):
        await replace(world, 9, b"1")
    with pytest.raises(NotFoundError):
        await replace(world, 1, b"1", MailboxId(99))
    assert (await world.uids(), (await world.named("INBOX")).highest_modseq) == ([1, 2], before)
    assert (await replace(world, 1, b"1234567")).uid == 3
    with pytest.raises(ConflictError):
        await replace(world, 1, b"1")
    assert (await world.store.account_by_id(world.alice)).used_bytes == 12
    await world.consistent()
