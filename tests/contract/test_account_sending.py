"""What an account may send and where its mail goes as well."""

import pytest

from poterne.store.errors import NotFoundError
from poterne.values.directory import RouteKind
from poterne.values.ids import AccountId
from poterne.values.sending import SendingLimits
from tests.support.stores import World, event

LIMITS = SendingLimits(1, 2, 3, 4, 5, 6)


async def test_new_account_has_neither(world: World) -> None:
    alice = await world.store.account("alice@example.org")
    assert (alice.limits, alice.forwards, alice.keeps) == (None, (), True)


async def test_limits(world: World) -> None:
    bob = await world.account("bob@example.org")
    await world.store.set_limits(bob, LIMITS, event("account.limits"))
    assert (await world.store.account_by_id(bob)).limits == LIMITS
    assert [account.limits for account in await world.store.accounts()] == [None, LIMITS]
    assert (await world.store.events(limit=1))[0].kind == "account.limits"
    await world.store.set_limits(bob, None, event())
    assert (await world.store.account("bob@example.org")).limits is None


async def test_forwards(world: World) -> None:
    bob = await world.account("bob@example.org")
    wanted = ["b@one.example", "a@one.example", 'a "b,c"@one.example', "b@one.example"]
    await world.store.set_forwards(bob, wanted, False, event("account.forwards"))
    found = await world.store.account_by_id(bob)
    assert (sorted(found.forwards), found.keeps) == (sorted(set(wanted)), False)
    assert [(a.forwards, a.keeps) for a in await world.store.accounts()] == [((), True), (found.forwards, False)]
    assert (await world.store.events(limit=1))[0].kind == "account.forwards"
    await world.store.set_forwards(bob, ["c@one.example"], True, event())
    assert (await world.store.account("bob@example.org")).forwards == ("c@one.example",)
    await world.store.set_forwards(bob, [], False, event())
    found = await world.store.account("bob@example.org")
    assert (found.forwards, found.keeps) == ((), True)


async def test_what_cannot_be_set_changes_nothing(world: World) -> None:
    await world.store.set_forwards(world.alice, ["a@one.example"], False, event())
    before = await world.store.events(limit=1000), await world.store.account_by_id(world.alice)
    for wrong in ("nonsense", "", "@one.example", "a@"):
        with pytest.raises(NotFoundError):
            await world.store.set_forwards(world.alice, ["b@one.example", wrong], True, event())
    with pytest.raises(NotFoundError):
        await world.store.set_forwards(AccountId(999), ["b@one.example"], True, event())
    with pytest.raises(NotFoundError):
        await world.store.set_forwards(AccountId(999), [], True, event())
    with pytest.raises(NotFoundError):
        await world.store.set_limits(AccountId(999), LIMITS, event())
    assert (await world.store.events(limit=1000), await world.store.account_by_id(world.alice)) == before


async def test_next_account_of_the_address_begins_anew(world: World) -> None:
    bob = await world.account("bob@example.org")
    await world.store.set_limits(bob, LIMITS, event())
    await world.store.set_forwards(bob, ["b@one.example"], False, event())
    await world.store.remove_account(bob, event())
    again = await world.account("bob@example.org")
    found = await world.store.account_by_id(again)
    assert (found.limits, found.forwards, found.keeps) == (None, (), True)
    route = await world.store.route("bob", "example.org")
    assert (route.kind, route.accounts, route.forwards) == (RouteKind.ACCOUNTS, (again,), ())
