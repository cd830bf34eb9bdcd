"""Names, hierarchy, subscriptions, UIDVALIDITY."""

from collections.abc import Awaitable

import pytest

from poterne.store.errors import ConflictError, LimitError, NotFoundError
from poterne.values.ids import AccountId, MailboxId
from poterne.values.mailbox import NAMES, MailboxChanged, SpecialUse
from tests.support.stores import INBOX, World, event


async def names(world: World) -> list[str]:
    return [m.name + ("" if m.selectable else " -") for m in await world.store.mailboxes(world.alice)]


async def create(world: World, name: str) -> MailboxId:
    return (await world.store.create_mailbox(world.alice, name, None, event())).id


async def delete(world: World, name: str) -> None:
    await world.store.delete_mailbox(world.alice, (await world.named(name)).id, event())


async def test_create_makes_parents(world: World) -> None:
    made = await world.store.create_mailbox(world.alice, "a/b/c", SpecialUse.ARCHIVE, event("mailbox.created"))
    assert (made.name, made.special_use, made.messages, made.uid_next, made.recent_uid) == (
        "a/b/c",
        SpecialUse.ARCHIVE,
        0,
        1,
        1,
    )
    assert not made.subscribed
    assert await names(world) == ["INBOX", "Sent", "Work", "a", "a/b", "a/b/c"]
    assert await world.named("a/b/c") == made == await world.store.mailbox_by_id(world.alice, made.id)
    assert (await world.named("a/b")).special_use is None


async def test_inbox_in_any_case(world: World) -> None:
    assert (await world.named("inbox")).name == "INBOX"
    with pytest.raises(ConflictError):
        await create(world, "InBox")
    await create(world, "inbox/child")
    assert "INBOX/child" in await names(world)
    await create(world, "inboxes")
    assert "inboxes" in await names(world)


@pytest.mark.parametrize("name", ["", "/", "a//b", "/a", "x" * 513, "/".join("a" * 33)])
async def test_names_that_are_refused(world: World, name: str) -> None:
    with pytest.raises(LimitError):
        await create(world, name)


async def test_unknown_mailboxes_and_accounts(world: World) -> None:
    for call in (
        world.named("nope"),
        world.store.mailbox_by_id(world.alice, MailboxId(99)),
        world.store.mailbox_by_id(AccountId(99), INBOX),
        world.store.create_mailbox(AccountId(99), "x", None, event()),
        world.store.delete_mailbox(world.alice, MailboxId(99), event()),
        world.store.rename_mailbox(world.alice, MailboxId(99), "x", event()),
        world.store.claim_recent(world.alice, MailboxId(99)),
        world.store.uids(world.alice, MailboxId(99)),
        world.store.subscribe(AccountId(99), "x", True),
    ):
        with pytest.raises(NotFoundError):
            await call


async def test_one_account_does_not_see_anothers(world: World) -> None:
    bob = await world.account("bob@example.org")
    mine = await create(world, "mine")
    with pytest.raises(NotFoundError):
        await world.store.mailbox(bob, "mine")
    with pytest.raises(NotFoundError):
        await world.store.delete_mailbox(bob, mine, event())


async def test_delete(world: World) -> None:
    work = await world.named("Work")
    await world.deliver(to=work.id)
    await world.store.delete_mailbox(world.alice, work.id, event("mailbox.deleted"))
    assert await names(world) == ["INBOX", "Sent"]
    assert world.rows(work.id) == []
    assert (await world.store.account_by_id(world.alice)).used_bytes == 0
    with pytest.raises(ConflictError):
        await world.store.delete_mailbox(world.alice, INBOX, event())


async def test_delete_with_children(world: World) -> None:
    top = await create(world, "a")
    await create(world, "a/b/c")
    await world.deliver(to=top)
    await delete(world, "a")
    assert await names(world) == ["INBOX", "Sent", "Work", "a -", "a/b", "a/b/c"]
    await world.consistent()
    with pytest.raises(NotFoundError):
        await world.deliver(to=top)
    with pytest.raises(ConflictError):
        await delete(world, "a")
    await delete(world, "a/b/c")
    await delete(world, "a/b")
    assert await names(world) == ["INBOX", "Sent", "Work"]  # "a" was there for its children only


async def test_uid_validity_is_new_for_a_name_used_before(world: World) -> None:
    seen = set()
    for _ in range(3):
        await create(world, "again/child")
        for name in ("again", "again/child"):
            seen.add((name, (await world.named(name)).uid_validity))
        await delete(world, "again")
        await create(world, "again")  # was a parent only
        seen.add(("again", (await world.named("again")).uid_validity))
        await delete(world, "again/child")
        await delete(world, "again")
    assert len(seen) == 9


async def test_who_knows_a_mailbox_that_became_a_name_learns_that_it_is_gone(world: World) -> None:
    """Also when another one has the name: nobody takes its messages for those of the first."""
    await create(world, "a/b")
    first = await world.named("a")
    await world.deliver(to=first.id)
    since = (await world.named("a")).highest_modseq
    await delete(world, "a")
    with pytest.raises(NotFoundError):
        await world.store.changes(world.alice, first.id, since)
    assert not (await world.named("a")).selectable
    await world.deliver(to=await create(world, "a"))
    with pytest.raises(NotFoundError):
        await world.store.changes(world.alice, first.id, since)
    again = await world.named("a")
    assert (again.name, again.selectable, again.messages) == ("a", True, 1)
    assert again.uid_validity != first.uid_validity
    assert await names(world) == ["INBOX", "Sent", "Work", "a", "a/b"]
    await world.consistent()


async def test_rename_moves_children_and_keeps_identity(world: World) -> None:
    await create(world, "a/b")
    await create(world, "ab")
    before = await world.named("a/b")
    await world.deliver(to=before.id)
    await world.store.rename_mailbox(world.alice, (await world.named("a")).id, "x/y", event())
    assert await names(world) == ["INBOX", "Sent", "Work", "ab", "x", "x/y", "x/y/b"]
    after = await world.named("x/y/b")
    assert (after.id, after.uid_validity, after.uid_next, after.messages) == (before.id, before.uid_validity, 2, 1)


async def test_rename_conflicts(world: World) -> None:
    a = await create(world, "a")
    for name, error in (
        ("Sent", ConflictError),
        ("a", ConflictError),
        ("a/b", ConflictError),
        ("inbox", ConflictError),
        ("", LimitError),
    ):
        with pytest.raises(error):
            await world.store.rename_mailbox(world.alice, a, name, event())
    await create(world, "a/" + "y" * 300)
    with pytest.raises(LimitError):  # the child's name would be too long
        await world.store.rename_mailbox(world.alice, a, "x" * 300, event())
    assert "a" in await names(world)
    await world.store.rename_mailbox(world.alice, a, "ab", event())


async def test_rename_leaves_no_empty_parents(world: World) -> None:
    await create(world, "a/b")
    await delete(world, "a")
    await world.store.rename_mailbox(world.alice, (await world.named("a/b")).id, "c", event())
    assert await names(world) == ["INBOX", "Sent", "Work", "c"]


async def test_rename_inbox_moves_messages_only(world: World) -> None:
    await create(world, "INBOX/child")
    for _ in range(3):
        await world.deliver()
    inbox = await world.named("INBOX")
    await world.store.rename_mailbox(world.alice, INBOX, "old/mail", event())
    assert await names(world) == ["INBOX", "INBOX/child", "Sent", "Work", "old", "old/mail"]
    emptied = await world.named("INBOX")
    assert (emptied.id, emptied.uid_validity, emptied.uid_next, emptied.messages) == (INBOX, inbox.uid_validity, 4, 0)
    assert (await world.named("old/mail")).messages == 3
    await world.consistent()


async def test_subscriptions(world: World) -> None:
    await world.store.subscribe(world.alice, "not/there", True)
    await world.store.subscribe(world.alice, "not/there", True)
    await world.store.subscribe(world.alice, "inbox", True)
    await world.store.subscribe(world.alice, "Sent", False)
    await world.store.subscribe(world.alice, "never", False)
    assert await world.store.subscriptions(world.alice) == ["INBOX", "Work", "not/there"]
    assert not (await world.named("Sent")).subscribed
    assert (await world.named("Work")).subscribed
    assert not (await world.store.create_mailbox(world.alice, "not", None, event())).subscribed
    assert (await world.store.create_mailbox(world.alice, "not/there", None, event())).subscribed


async def test_recent_belongs_to_the_first_who_asks(world: World) -> None:
    assert await world.store.claim_recent(world.alice, INBOX) == 1
    await world.deliver()
    await world.deliver()
    assert (await world.named("INBOX")).recent_uid == 1
    assert await world.store.claim_recent(world.alice, INBOX) == 1
    assert await world.store.claim_recent(world.alice, INBOX) == 3
    await world.deliver()
    assert await world.store.claim_recent(world.alice, INBOX) == 3


async def test_names_and_subscriptions_are_told_of(world: World) -> None:
    """Whoever shows names hears that they changed, and when nothing did, nothing."""
    heard: list[MailboxChanged] = []
    store, alice = world.store, world.alice
    store.listen(lambda changes: heard.extend(change for change in changes if change.mailbox_id == NAMES))

    async def told(work: Awaitable[object]) -> bool:
        heard.clear()
        await work
        assert all(change.account_id == alice for change in heard)
        return bool(heard)

    made = await store.create_mailbox(alice, "told/of", None, event())
    assert heard
    assert await told(store.subscribe(alice, "told", True))
    assert not await told(store.subscribe(alice, "told", True))
    assert await told(store.subscribe(alice, "told", False))
    assert not await told(store.subscribe(alice, "told", False))
    assert await told(store.rename_mailbox(alice, made.id, "other", event()))
    assert not await told(store.claim_recent(alice, made.id))
    assert await told(store.delete_mailbox(alice, made.id, event()))
