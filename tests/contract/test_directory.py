"""Domains, accounts, aliases, credentials, routes."""

from dataclasses import replace

import pytest

from poterne.store.errors import ConflictError, NotFoundError
from poterne.values.directory import Domain, RouteKind
from poterne.values.ids import AccountId
from poterne.values.mailbox import SpecialUse
from poterne.values.secret import Secret
from poterne.values.sending import SendingLimits
from tests.support.stores import AT, World, event


async def test_domains(world: World) -> None:
    await world.store.add_domain("b.example", event("domain.added"))
    assert await world.store.domains() == [Domain("b.example", AT), Domain("example.org", AT)]
    with pytest.raises(ConflictError):
        await world.store.add_domain("B.example", event())
    await world.store.remove_domain("b.example", event())
    with pytest.raises(NotFoundError):
        await world.store.remove_domain("b.example", event())
    with pytest.raises(ConflictError):
        await world.store.remove_domain("example.org", event())


async def test_domain_with_only_an_alias_stays(world: World) -> None:
    await world.store.add_domain("b.example", event())
    await world.store.add_alias("info@b.example", ["alice@example.org"], event())
    with pytest.raises(ConflictError):
        await world.store.remove_domain("b.example", event())
    await world.store.remove_alias("info@b.example", event())
    await world.store.remove_domain("b.example", event())


async def test_account(world: World) -> None:
    bob = await world.store.add_account(
        "Bob@Example.org",
        "Bob",
        "fr",
        Secret("hash"),
        1000,
        [("Sent", SpecialUse.SENT), ("A/B", None)],
        event("account.added"),
    )
    assert (bob.address, bob.name, bob.language, bob.quota_bytes, bob.used_bytes) == (
        "bob@example.org",
        "Bob",
        "fr",
        1000,
        0,
    )
    assert not bob.disabled
    assert await world.store.account("BOB@example.org") == bob == await world.store.account_by_id(bob.id)
    assert [a.address for a in await world.store.accounts("example.org")] == ["alice@example.org", "bob@example.org"]
    assert await world.store.accounts("other.example") == []
    found = await world.store.mailboxes(bob.id)
    assert [(m.name, m.special_use) for m in found] == [
        ("INBOX", None),
        ("A", None),
        ("A/B", None),
        ("Sent", SpecialUse.SENT),
    ]
    assert await world.store.subscriptions(bob.id) == ["INBOX", "A/B", "Sent"]
    assert (await world.store.events(limit=1))[0].kind == "account.added"


async def test_account_address_conflicts(world: World) -> None:
    await world.store.add_alias("info@example.org", ["alice@example.org"], event())
    for taken in ("Alice@example.org", "info@example.org"):
        with pytest.raises(ConflictError):
            await world.account(taken)
    with pytest.raises(ConflictError):
        await world.store.add_alias("alice@example.org", ["alice@example.org"], event())
    for wrong in ("a@unknown.example", "nonsense", "@example.org"):
        with pytest.raises(NotFoundError):
            await world.account(wrong)


async def test_failed_operation_leaves_no_event_and_no_rows(world: World) -> None:
    before = await world.store.events(limit=1000)
    with pytest.raises(NotFoundError):  # fails after the alias row was written
        await world.store.add_alias(
            "new@example.org", ["alice@example.org", "nobody@example.org"], event("alias.added")
        )
    assert await world.store.events(limit=1000) == before
    assert await world.store.aliases() == []


async def test_set_account_and_password(world: World) -> None:
    changed = await world.store.set_account(
        world.alice, event("account.changed"), disabled=True, quota_bytes=7, name="A", language="fr"
    )
    assert (changed.disabled, changed.quota_bytes, changed.name, changed.language) == (True, 7, "A", "fr")
    with pytest.raises(NotFoundError):
        await world.store.credential("alice@example.org")
    with pytest.raises(NotFoundError):
        await world.store.credential_of(world.alice)
    again = await world.store.set_account(world.alice, event(), disabled=False)
    assert (again.disabled, again.quota_bytes, again.name) == (False, 7, "A")
    await world.store.set_password(world.alice, Secret("new"), event())
    credential = await world.store.credential("ALICE@example.org")
    assert credential.account_id == world.alice
    assert credential.verifier.reveal() == b"new"
    assert credential.limits is None
    limits = SendingLimits(1, 2, 3, 4)
    await world.store.set_limits(world.alice, limits, event())
    assert await world.store.credential_of(world.alice) == replace(credential, limits=limits)
    assert await world.store.credential("alice@example.org") == replace(credential, limits=limits)
    with pytest.raises(NotFoundError):
        await world.store.credential_of(AccountId(999))
    for wrong in ("nobody@example.org", "alice", ""):
        with pytest.raises(NotFoundError):
            await world.store.credential(wrong)
    with pytest.raises(NotFoundError):
        await world.store.set_password(AccountId(999), Secret("new"), event())
    with pytest.raises(NotFoundError):
        await world.store.set_account(AccountId(999), event())


async def test_remove_account(world: World) -> None:
    await world.deliver()
    await world.account("bob@example.org")
    await world.store.add_alias("both@example.org", ["alice@example.org", "bob@example.org"], event())
    await world.store.add_alias("hers@example.org", ["alice@example.org"], event())
    (inbox, *_) = await world.store.mailboxes(world.alice)
    await world.store.remove_account(world.alice, event())
    assert [(a.address, a.targets) for a in await world.store.aliases()] == [("both@example.org", ("bob@example.org",))]
    for call in (
        world.store.account_by_id(world.alice),
        world.store.mailboxes(world.alice),
        world.store.remove_account(world.alice, event()),
    ):
        with pytest.raises(NotFoundError):
            await call
    with pytest.raises(NotFoundError):
        await world.deliver()
    again = await world.account("alice@example.org")
    assert again != world.alice
    assert (await world.store.mailbox(again, "INBOX")).uid_validity > inbox.uid_validity
    assert world.store.rows(again, inbox.id, ()) == []
    assert await world.store.compact() >= 0
    world.alice = again
    await world.consistent()


async def test_route(world: World) -> None:
    bob = await world.account("bob+x@example.org")
    carl = await world.account("carl@example.org")
    await world.store.add_alias(
        "team@example.org", ["alice@example.org", "carl@example.org", "alice@example.org"], event()
    )

    async def route(local_part: str, domain: str = "example.org") -> tuple[RouteKind, set[int]]:
        found = await world.store.route(local_part, domain)
        assert len(found.accounts) == len(set(found.accounts))
        return found.kind, set(found.accounts)

    for _ in range(2):  # the second time from memory
        assert await route("ALICE", "Example.ORG") == (RouteKind.ACCOUNTS, {world.alice})
        assert await route("alice+tag+more") == (RouteKind.ACCOUNTS, {world.alice})
        assert await route("bob+x") == (RouteKind.ACCOUNTS, {bob})
        assert await route("bob+y") == (RouteKind.UNKNOWN_USER, set())
        assert await route("+tag") == (RouteKind.UNKNOWN_USER, set())
        assert await route("team+tag") == (RouteKind.ACCOUNTS, {world.alice, carl})
        assert await route("alice", "example.com") == (RouteKind.NOT_LOCAL, set())
        assert await route("Postmaster") == (RouteKind.ACCOUNTS, {world.alice})
        assert await route("postmaster", "") == (RouteKind.ACCOUNTS, {world.alice})
    await world.store.add_alias("postmaster@example.org", ["carl@example.org"], event())
    assert await route("postmaster") == (RouteKind.ACCOUNTS, {carl})
    await world.store.remove_alias("team@example.org", event())
    assert await route("team") == (RouteKind.UNKNOWN_USER, set())
    await world.store.remove_account(carl, event())
    assert await route("carl") == (RouteKind.UNKNOWN_USER, set())
    assert await route("postmaster") == (RouteKind.ACCOUNTS, {world.alice})


async def test_aliases(world: World) -> None:
    await world.account("bob@example.org")
    await world.store.add_alias("B@example.org", ["bob@example.org", "Alice@example.org"], event())
    await world.store.add_domain("b.example", event())
    (alias,) = await world.store.aliases("example.org")
    assert (alias.address, alias.targets, alias.created_at) == (
        "b@example.org",
        ("alice@example.org", "bob@example.org"),
        AT,
    )
    assert await world.store.aliases("b.example") == []
    with pytest.raises(ConflictError):
        await world.store.add_alias("b@example.org", ["bob@example.org"], event())
    with pytest.raises(NotFoundError):
        await world.store.add_alias("c@example.org", [], event())
    await world.store.remove_alias("b@example.org", event())
    with pytest.raises(NotFoundError):
        await world.store.remove_alias("b@example.org", event())


async def test_capabilities_that_clients_are_not_offered(world: World) -> None:
    assert (await world.store.account_by_id(world.alice)).imap_without == ()
    changed = await world.store.set_account(world.alice, event(), imap_without=("IDLE", "SORT"))
    assert changed.imap_without == ("IDLE", "SORT")
    assert (await world.store.set_account(world.alice, event(), name="Al")).imap_without == ("IDLE", "SORT")
    assert (await world.store.set_account(world.alice, event(), imap_without=())).imap_without == ()
    assert (await world.store.account_by_id(world.alice)).imap_without == ()
