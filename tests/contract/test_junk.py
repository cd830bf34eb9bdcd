"""What people move into Junk and out of it is told; special uses are one folder's each."""

import pytest

from poterne.store.errors import NotFoundError
from poterne.values.ids import MailboxId
from poterne.values.mailbox import SpecialUse
from tests.support.stores import ALL, AT, INBOX, World, event, only


async def made(world: World, name: str, use: SpecialUse) -> MailboxId:
    return (await world.store.create_mailbox(world.alice, name, use, event())).id


async def told(world: World) -> list[tuple[str, object, object]]:
    found = [*await world.store.events(kind="message.junk"), *await world.store.events(kind="message.not-junk")]
    assert all(one.account_id == world.alice for one in found)
    return [(one.kind, one.detail["mailbox"], one.detail["uids"]) for one in found]


async def test_into_junk_and_out_of_it(world: World) -> None:
    store, work = world.store, (await world.named("Work")).id
    junk = await made(world, "Indésirables", SpecialUse.JUNK)
    for _ in range(5):
        await world.deliver()
    await store.move(world.alice, INBOX, only(2, 4, 5), junk, AT)
    assert await told(world) == [("message.junk", junk, "1:3")]
    await store.copy(world.alice, INBOX, only(1), junk, AT)  # as programs do that know no MOVE
    assert (await told(world))[0] == ("message.junk", junk, "4")
    await store.move(world.alice, junk, only(1, 3), work, AT)
    assert (await told(world))[2:] == [("message.not-junk", work, "1:2")]
    (event_,) = await store.events(kind="message.not-junk")
    assert event_.detail["messages"] == 2


async def test_what_says_nothing(world: World) -> None:
    store, work = world.store, (await world.named("Work")).id
    junk, trash = await made(world, "Junk", SpecialUse.JUNK), await made(world, "Trash", SpecialUse.TRASH)
    await world.deliver(to=junk)  # the server's own opinion
    await world.deliver()
    await store.move(world.alice, INBOX, ALL, work, AT)
    await store.move(world.alice, work, ALL, trash, AT)
    await store.move(world.alice, junk, ALL, junk, AT)
    await store.move(world.alice, junk, ALL, trash, AT)  # thrown away
    await store.move(world.alice, junk, ALL, work, AT)  # there is nothing left
    with pytest.raises(NotFoundError):
        await store.move(world.alice, MailboxId(99), ALL, junk, AT)
    assert await told(world) == []
    await store.move(world.alice, trash, only(1), junk, AT)
    assert [kind for kind, _, _ in await told(world)] == ["message.junk"]


async def test_an_event_is_of_bounded_size(world: World) -> None:
    junk = await made(world, "Junk", SpecialUse.JUNK)
    for _ in range(300):
        await world.deliver()
    await world.store.move(world.alice, INBOX, ALL, junk, AT)
    assert (await told(world)) == [("message.junk", junk, "1:300")]
    await world.store.remove(world.alice, junk, only(*range(1, 300, 2)))
    await world.store.move(world.alice, junk, ALL, INBOX, AT)
    assert (await told(world))[1] == ("message.not-junk", INBOX, "301:450")  # new UIDs have no gaps


async def test_a_use_is_one_folder_s(world: World) -> None:
    store = world.store
    sent, work = await world.named("Sent"), await world.named("Work")
    heard: list[MailboxId] = []
    store.listen(lambda changes: heard.extend(change.mailbox_id for change in changes))
    await store.set_special_use(world.alice, work.id, SpecialUse.SENT, event("account.folder"))
    uses = {box.name: box.special_use for box in await store.mailboxes(world.alice)}
    assert uses == {"INBOX": None, "Sent": None, "Work": SpecialUse.SENT}
    assert set(heard) == {sent.id, work.id}
    await store.set_special_use(world.alice, work.id, None, event("account.folder"))
    assert (await world.named("Work")).special_use is None
    with pytest.raises(NotFoundError):
        await store.set_special_use(world.alice, MailboxId(99), SpecialUse.SENT, event("account.folder"))
    assert len(await store.events(kind="account.folder")) == 2
    await world.consistent()
