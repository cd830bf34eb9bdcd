"""Quotas by octets and by messages, and who has to be told, on every engine."""

import pytest

from poterne.store.errors import NotFoundError, OverQuotaError
from poterne.store.interface import Delivery
from poterne.values.ids import AccountId
from poterne.values.mailbox import UidRange
from poterne.values.retention import QuotaState
from poterne.values.secret import Secret
from tests.support.stores import ALL, AT, INBOX, World, content, event, only


async def used(world: World) -> tuple[int, int]:
    account = await world.store.account_by_id(world.alice)
    return account.used_bytes, account.used_messages


async def test_messages_are_counted_wherever_they_come_and_go(world: World) -> None:
    store, work = world.store, (await world.named("Work")).id
    for _ in range(4):
        await world.deliver(b"12345")
    assert await used(world) == (20, 4)
    await store.copy(world.alice, INBOX, only(1, 2), work, AT)
    assert await used(world) == (30, 6)
    await store.move(world.alice, INBOX, only(3), work, AT)
    assert await used(world) == (30, 6)
    await store.remove(world.alice, INBOX, only(1))
    assert await used(world) == (25, 5)
    await store.rename_mailbox(world.alice, INBOX, "Old", event())
    assert await used(world) == (25, 5)
    await store.delete_mailbox(world.alice, work, event())
    assert await used(world) == (10, 2)


async def test_a_quota_of_messages(world: World) -> None:
    store = world.store
    await store.set_account(world.alice, event(), quota_messages=2)
    await world.deliver()
    await world.deliver()
    with pytest.raises(OverQuotaError):
        await world.deliver()
    with pytest.raises(OverQuotaError):
        await store.copy(world.alice, INBOX, only(1), (await world.named("Work")).id, AT)
    await store.move(world.alice, INBOX, only(1), (await world.named("Work")).id, AT)
    await store.remove(world.alice, INBOX, ALL)
    await world.deliver()
    assert (await store.account_by_id(world.alice)).quota_messages == 2
    await store.set_account(world.alice, event(), quota_bytes=1_000)
    assert (await store.account_by_id(world.alice)).quota_messages == 2
    await store.set_account(world.alice, event(), quota_messages=0)
    await world.deliver()


async def test_a_new_account_has_its_quota(world: World) -> None:
    made = await world.store.add_account("ben@example.org", "", "en", Secret("x"), 70, [], event(), quota_messages=7)
    assert (made.quota_bytes, made.quota_messages, made.used_messages) == (70, 7, 0)
    assert world.store.quotas([made.id, AccountId(99)]) == [QuotaState(made.id, 70, 0, 7, 0)]


async def test_a_route_tells_who_has_a_quota(world: World) -> None:
    """So that of the others nobody asks at each RCPT."""
    store = world.store
    ben = await world.account("ben@example.org", 5)
    await store.add_alias("team@example.org", ["alice@example.org", "ben@example.org"], event())
    assert (await store.route("alice", "example.org")).limited == ()
    assert (await store.route("alice+tag", "example.org")).limited == ()
    assert (await store.route("ben", "example.org")).limited == (ben,)
    assert (await store.route("team", "example.org")).limited == (ben,)
    await store.set_account(world.alice, event(), quota_messages=9)
    assert (await store.route("alice", "example.org")).limited == (world.alice,)
    assert (await store.route("alice+tag", "example.org")).limited == (world.alice,)
    assert set((await store.route("team", "example.org")).limited) == {world.alice, ben}
    await store.set_account(world.alice, event(), quota_messages=0)
    assert (await store.route("alice", "example.org")).limited == ()


async def test_who_is_to_be_told(world: World) -> None:
    store = world.store
    assert await store.quotas_to_tell(80) == []
    await store.set_account(world.alice, event(), quota_bytes=100)
    await world.deliver(b"x" * 79)
    assert await store.quotas_to_tell(80) == []
    await world.deliver(b"x")
    (state,) = await store.quotas_to_tell(80)
    assert (state.percent, state.told) == (80, 0)
    await store.set_account(world.alice, event(), quota_bytes=0, quota_messages=2)
    (state,) = await store.quotas_to_tell(100)
    assert state.percent == 100
    notice = Delivery(world.alice, None, await content(store, b"you are full"), 0, AT, 0)
    await store.quota_told(world.alice, 95, notice, event("notice.quota"))
    assert await world.uids() == [1, 2, 3]  # there is always room for it
    assert await used(world) == (92, 3)
    await store.remove(world.alice, INBOX, [UidRange(1, None)])
    (state,) = await store.quotas_to_tell(80)  # told once: to be looked at again
    assert (state.percent, state.told) == (0, 95)
    await store.quota_told(world.alice, 0)
    assert await store.quotas_to_tell(80) == []
    assert len(await store.events(kind="notice.quota")) == 1
    with pytest.raises(NotFoundError):
        await store.quota_told(AccountId(99), 80)


@pytest.mark.parametrize(
    ("state", "size", "room"),
    [
        (QuotaState(AccountId(1), 0, 10**12, 0, 10**9), 10**9, True),
        (QuotaState(AccountId(1), 100, 90, 0, 3), 10, True),
        (QuotaState(AccountId(1), 100, 90, 0, 3), 11, False),
        (QuotaState(AccountId(1), 0, 90, 4, 3), 10**9, True),
        (QuotaState(AccountId(1), 0, 90, 4, 4), 0, False),
    ],
)
def test_room(state: QuotaState, size: int, room: bool) -> None:
    assert state.has_room(size) is room
