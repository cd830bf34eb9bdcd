"""Aliases with targets here and elsewhere, and who may write to them."""

import pytest

from poterne.store.errors import ConflictError, NotFoundError
from poterne.values.directory import Alias, Posting
from tests.support.stores import AT, World, event


async def test_all_that_an_alias_is(world: World) -> None:
    await world.account("bob@example.org")
    await world.store.add_alias(
        "Team@Example.org",
        ["bob@example.org", "Alice@example.org", "bob@example.org"],
        event("alias.added"),
        forwards=["x@one.example", 'a "quoted\\ one"@two.example', "x@one.example"],
        posting=Posting.LISTED,
        posters=["boss@example.org", 'with space and ","@one.example'],
    )
    assert await world.store.aliases() == [
        Alias(
            "team@example.org",
            ("alice@example.org", "bob@example.org"),
            AT,
            ('a "quoted\\ one"@two.example', "x@one.example"),
            Posting.LISTED,
            ("boss@example.org", 'with space and ","@one.example'),
        )
    ]
    assert (await world.store.events(limit=1))[0].kind == "alias.added"


async def test_aliases_of_forwards_only_are_listed(world: World) -> None:
    await world.store.add_alias("b@example.org", [], event(), forwards=["x@one.example"])
    await world.store.add_alias("*@example.org", ["alice@example.org"], event())
    await world.store.add_alias("é@example.org", [], event(), forwards=["ü@one.example"], posting=Posting.LOCAL)
    assert await world.store.aliases("EXAMPLE.org") == [
        Alias("*@example.org", ("alice@example.org",), AT),
        Alias("b@example.org", (), AT, ("x@one.example",)),
        Alias("é@example.org", (), AT, ("ü@one.example",), Posting.LOCAL),
    ]


async def test_what_is_no_alias(world: World) -> None:
    before = await world.store.events(limit=1000)
    for targets, forwards, posters in (
        ([], [], []),
        ([], [], ["x@one.example"]),
        (["alice@example.org"], ["nonsense"], []),
        (["alice@example.org"], ["@one.example"], []),
        (["alice@example.org"], ["x@"], []),
        (["alice@example.org"], [], ["nonsense"]),
        (["nobody@example.org"], ["x@one.example"], []),
        (["x@one.example"], [], []),
    ):
        with pytest.raises(NotFoundError):
            await world.store.add_alias("a@example.org", targets, event(), forwards=forwards, posters=posters)
    with pytest.raises(NotFoundError):
        await world.store.add_alias("a@other.example", [], event(), forwards=["x@one.example"])
    assert await world.store.aliases() == []
    assert await world.store.events(limit=1000) == before


async def test_only_one_catch_all_and_no_account_of_that_name(world: World) -> None:
    with pytest.raises(ConflictError):
        await world.account("*@example.org")
    await world.store.add_alias("*@example.org", ["alice@example.org"], event())
    with pytest.raises(ConflictError):
        await world.store.add_alias("*@example.org", [], event(), forwards=["x@one.example"])
    with pytest.raises(ConflictError):
        await world.store.remove_domain("example.org", event())


async def test_removed_alias_leaves_nothing(world: World) -> None:
    await world.store.add_alias(
        "team@example.org", ["alice@example.org"], event(), forwards=["x@one.example"], posting=Posting.MEMBERS
    )
    await world.store.remove_alias("TEAM@example.org", event("alias.removed"))
    assert (await world.store.events(limit=1))[0].kind == "alias.removed"
    assert await world.store.aliases() == []
    await world.store.add_alias("team@example.org", [], event(), forwards=["y@one.example"])
    assert await world.store.aliases() == [Alias("team@example.org", (), AT, ("y@one.example",))]


async def test_account_that_goes_leaves_lists_and_the_right_to_write(world: World) -> None:
    bob = await world.account('bob"b@example.org')
    await world.store.add_alias("his@example.org", ['bob"b@example.org'], event())
    await world.store.add_alias("out@example.org", ['bob"b@example.org'], event(), forwards=["x@one.example"])
    await world.store.add_alias(
        "team@example.org",
        ["alice@example.org", 'bob"b@example.org'],
        event(),
        posting=Posting.LISTED,
        posters=['bob"b@example.org', "alice@example.org"],
    )
    await world.store.remove_account(bob, event())
    assert await world.store.aliases() == [
        Alias("out@example.org", (), AT, ("x@one.example",)),
        Alias("team@example.org", ("alice@example.org",), AT, (), Posting.LISTED, ("alice@example.org",)),
    ]
