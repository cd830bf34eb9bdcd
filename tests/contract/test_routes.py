"""Where mail for an address goes: accounts, forwards, lists, catch-alls, and in which order they are asked."""

from collections.abc import AsyncIterator

import pytest

from poterne.store.interface import Store
from poterne.values.directory import Forward, Posting, Route, RouteKind
from poterne.values.ids import AccountId
from tests.support.stores import Factory, World, event

UNKNOWN = Route(RouteKind.UNKNOWN_USER)


@pytest.fixture
async def other(world: World, engine: Factory) -> AsyncIterator[Store]:
    """The same store as another process has it: with routes of its own that it remembers."""
    store = engine(world.folder, world.clock)
    yield store
    await store.close()


def accounts(*found: AccountId) -> Route:
    return Route(RouteKind.ACCOUNTS, found)


async def route(world: World, address: str) -> Route:
    """Asked twice: the second time it is remembered."""
    local_part, _, domain = address.rpartition("@")
    first = await world.store.route(local_part, domain)
    assert await world.store.route(local_part, domain) == first
    return first


async def forward(world: World, account_id: AccountId, *addresses: str, keeps: bool = True) -> None:
    await world.store.set_forwards(account_id, addresses, keeps, event())


async def test_account_that_forwards(world: World) -> None:
    await forward(world, world.alice, "a@one.example", "b@two.example")
    via_alice = tuple(
        Forward(address, "alice@example.org", world.alice) for address in ("a@one.example", "b@two.example")
    )
    assert await route(world, "Alice@example.org") == Route(RouteKind.ACCOUNTS, (world.alice,), via_alice)
    assert await route(world, "alice+tag@example.org") == Route(RouteKind.ACCOUNTS, (world.alice,), via_alice)
    assert await route(world, "postmaster@example.org") == Route(RouteKind.ACCOUNTS, (world.alice,), via_alice)
    await forward(world, world.alice, "a@one.example", keeps=False)
    assert await route(world, "alice@example.org") == Route(RouteKind.ACCOUNTS, (), via_alice[:1])
    assert await route(world, "Postmaster@") == Route(RouteKind.ACCOUNTS, (), via_alice[:1])
    await forward(world, world.alice)
    assert await route(world, "alice@example.org") == accounts(world.alice)


async def test_mail_is_never_taken_for_nobody(world: World) -> None:
    await forward(world, world.alice, keeps=False)
    assert await route(world, "alice@example.org") == accounts(world.alice)


async def test_alias_of_accounts_and_addresses_elsewhere(world: World) -> None:
    bob = await world.account("bob@example.org")
    await world.store.add_alias(
        "info@example.org",
        ["bob@example.org", "alice@example.org"],
        event(),
        forwards=["z@one.example", "a@two.example"],
    )
    found = await route(world, "INFO+tag@example.org")
    assert (found.kind, set(found.accounts), set(found.forwards)) == (
        RouteKind.ACCOUNTS,
        {world.alice, bob},
        {Forward("z@one.example", "info@example.org"), Forward("a@two.example", "info@example.org")},
    )
    assert (len(found.accounts), len(found.forwards)) == (2, 2)
    assert (found.posting, found.posters) == (Posting.ANYONE, ())


async def test_alias_of_forwards_only(world: World) -> None:
    await world.store.add_alias("out@example.org", [], event(), forwards=["x@one.example"])
    assert await route(world, "out@example.org") == Route(
        RouteKind.ACCOUNTS, (), (Forward("x@one.example", "out@example.org"),), personal=False
    )


async def test_forwards_of_an_alias_member_are_followed_once(world: World) -> None:
    bob = await world.account("bob@example.org")
    await forward(world, world.alice, "alice@one.example", "shared@one.example", keeps=False)
    await forward(world, bob, "bob@one.example")
    await world.store.add_alias(
        "team@example.org",
        ["alice@example.org", "bob@example.org"],
        event(),
        forwards=["shared@one.example"],
    )
    found = await route(world, "team@example.org")
    assert found.accounts == (bob,)
    assert len(found.forwards) == 3  # an address elsewhere gets it once, whoever forwards to it
    assert set(found.forwards) == {
        Forward("shared@one.example", "team@example.org"),
        Forward("alice@one.example", "alice@example.org", world.alice),
        Forward("bob@one.example", "bob@example.org", bob),
    }


async def test_forward_to_a_local_address_is_not_looked_up(world: World) -> None:
    bob = await world.account("bob@example.org")
    await forward(world, world.alice, "bob@example.org")
    await forward(world, bob, "alice@example.org")
    assert await route(world, "alice@example.org") == Route(
        RouteKind.ACCOUNTS, (world.alice,), (Forward("bob@example.org", "alice@example.org", world.alice),)
    )


async def test_who_may_write(world: World) -> None:
    await world.account("bob@example.org")
    await forward(world, world.alice, "away@one.example", keeps=False)

    async def posters(posting: Posting) -> tuple[Posting, set[str]]:
        name = f"{posting.value}@example.org"
        await world.store.add_alias(
            name,
            ["alice@example.org", "bob@example.org"],
            event(),
            forwards=["c@one.example"],
            posting=posting,
            posters=["boss@example.org", "d@two.example"],
        )
        found = await route(world, name)
        assert len(found.posters) == len(set(found.posters))
        return found.posting, set(found.posters)

    assert await posters(Posting.ANYONE) == (Posting.ANYONE, set())
    assert await posters(Posting.LOCAL) == (Posting.LOCAL, set())
    assert await posters(Posting.LISTED) == (Posting.LISTED, {"boss@example.org", "d@two.example"})
    # Who only receives elsewhere is a member under the name that the list has.
    assert await posters(Posting.MEMBERS) == (
        Posting.MEMBERS,
        {"alice@example.org", "bob@example.org", "c@one.example"},
    )


async def test_whose_name_it_is(world: World) -> None:
    """Who gets an account's or an alias' mail may write as it; a list or a catch-all makes nobody its author."""
    await forward(world, world.alice, "away@one.example")
    await world.store.add_alias("info@example.org", ["alice@example.org"], event())
    for address in ("alice+tag@example.org", "info@example.org", "info+tag@example.org", "postmaster@example.org"):
        assert (await route(world, address)).personal, address
    await world.store.add_alias("out@example.org", ["alice@example.org"], event(), forwards=["x@one.example"])
    for posting in (Posting.LOCAL, Posting.MEMBERS, Posting.LISTED):
        await world.store.add_alias(
            f"{posting.value}@example.org",
            ["alice@example.org"],
            event(),
            posting=posting,
            posters=["alice@example.org"],
        )
    await world.store.add_alias("*@example.org", ["alice@example.org"], event())
    for name in ("out", "out+tag", "local", "members", "listed", "nobody", "nobody+tag", "*"):
        found = await route(world, f"{name}@example.org")
        assert (found.accounts, found.personal) == ((world.alice,), False), name


async def test_catch_all_comes_last(world: World) -> None:
    bob = await world.account("bob@example.org")
    await world.store.add_alias("info@example.org", ["alice@example.org"], event())
    assert await route(world, "nobody@example.org") == UNKNOWN
    await world.store.add_alias("*@example.org", ["bob@example.org"], event(), forwards=["all@one.example"])
    caught = Route(RouteKind.ACCOUNTS, (bob,), (Forward("all@one.example", "*@example.org"),), personal=False)
    for address in ("nobody@example.org", "nobody+tag@example.org", "+tag@example.org", "*@example.org"):
        assert await route(world, address) == caught
    for address in ("alice@example.org", "alice+tag@example.org", "info+tag@example.org", "Postmaster@example.org"):
        assert await route(world, address) == accounts(world.alice)
    assert await route(world, "nobody@example.com") == Route(RouteKind.NOT_LOCAL)
    await world.store.add_domain("b.example", event())
    assert await route(world, "nobody@b.example") == UNKNOWN
    await world.store.remove_alias("*@example.org", event())
    assert await route(world, "nobody@example.org") == UNKNOWN


async def test_postmaster_of_a_domain_without_accounts(world: World) -> None:
    await world.store.add_domain("b.example", event())
    assert await route(world, "postmaster@b.example") == UNKNOWN
    await world.store.add_alias("*@b.example", ["alice@example.org"], event())
    assert await route(world, "postmaster@b.example") == Route(RouteKind.ACCOUNTS, (world.alice,), personal=False)


async def test_every_change_reaches_what_others_remember(world: World, other: Store) -> None:
    bob = await world.account("bob@example.org")
    seen: list[Route] = []

    async def changed(local_part: str) -> Route:
        """Both stores say the same, and not what was said before."""
        found = await other.route(local_part, "example.org")
        assert await world.store.route(local_part, "example.org") == found
        assert not seen or seen[-1] != found
        seen.append(found)
        return found

    assert await changed("bob") == accounts(bob)
    await forward(world, bob, "b@one.example")
    assert (await changed("bob")).forwards == (Forward("b@one.example", "bob@example.org", bob),)
    await forward(world, bob, "b@one.example", keeps=False)
    assert (await changed("bob")).accounts == ()
    await world.store.remove_account(bob, event())
    assert await changed("bob") == UNKNOWN
    await world.store.add_alias("bob@example.org", ["alice@example.org"], event())
    assert await changed("bob") == accounts(world.alice)
    await world.store.remove_alias("bob@example.org", event())
    assert await changed("bob") == UNKNOWN
    await world.store.add_alias("*@example.org", ["alice@example.org"], event())
    assert await changed("bob") == Route(RouteKind.ACCOUNTS, (world.alice,), personal=False)
    again = await world.account("bob@example.org")
    assert await changed("bob") == accounts(again)
    await world.store.remove_account(again, event())
    await world.store.remove_alias("*@example.org", event())
    assert await changed("bob") == UNKNOWN
    await world.store.add_domain("b.example", event())
    assert (await other.route("bob", "b.example")).kind is RouteKind.UNKNOWN_USER
    await world.store.remove_domain("b.example", event())
    assert (await other.route("bob", "b.example")).kind is RouteKind.NOT_LOCAL


async def test_a_domain_elsewhere_becomes_ours_and_goes_again(world: World, other: Store) -> None:
    for store in (world.store, other):
        for _ in range(2):
            assert (await store.route("a", "new.example")).kind is RouteKind.NOT_LOCAL
            assert (await store.route("postmaster", "")).kind is RouteKind.ACCOUNTS
            assert (await store.route("nobody", "")).kind is RouteKind.NOT_LOCAL
            assert (await store.route("postmaster", "")).kind is RouteKind.ACCOUNTS
    await world.store.add_domain("new.example", event())
    for store in (world.store, other):
        assert (await store.route("a", "new.example")).kind is RouteKind.UNKNOWN_USER
        assert (await store.route("a", "other.example")).kind is RouteKind.NOT_LOCAL
    account = await world.account("a@new.example")
    for store in (world.store, other):
        assert await store.route("a+tag", "new.example") == accounts(account)
    await world.store.remove_account(account, event())
    await world.store.remove_domain("new.example", event())
    for store in (world.store, other):
        assert (await store.route("a", "new.example")).kind is RouteKind.NOT_LOCAL
