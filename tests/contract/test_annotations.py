"""Annotations: whose they are, how many there may be, what becomes of them when mailboxes and accounts come and go."""

import pytest

from poterne.store.errors import LimitError, NotFoundError
from poterne.store.interface_sharing import ANNOTATED
from poterne.store.sqlite.engine import open_store
from poterne.store.sqlite.transaction import Limits
from poterne.values.ids import AccountId, MailboxId
from poterne.values.mailbox import MailboxChanged
from tests.support.stores import INBOX, World, event

SHARED, PRIVATE = "/shared/comment", "/private/comment"
COLOUR = "/private/vendor/x/colour"


async def test_shared_ones_are_everybodys_private_ones_the_readers(world: World) -> None:
    store, alice = world.store, world.alice
    bob = await world.account("bob@example.org")
    first = await store.annotate(alice, INBOX, alice, {SHARED: b"ours", PRIVATE: b"mine"})
    second = await store.annotate(alice, INBOX, bob, {SHARED: b"\0binary", PRIVATE: b""}, (event("test.annotated"),))
    assert second > first
    assert await store.annotations(alice, INBOX, alice) == {PRIVATE: b"mine", SHARED: b"\0binary"}
    assert await store.annotations(alice, INBOX, bob) == {PRIVATE: b"", SHARED: b"\0binary"}
    assert await store.annotations(bob, INBOX, bob) == {}
    assert await store.annotation_marks(alice, alice) == {(INBOX, PRIVATE): first, (INBOX, SHARED): second}
    assert len(await store.events(kind="test.annotated")) == 1
    await store.annotate(alice, INBOX, alice, {PRIVATE: None, "/private/never": None})
    assert await store.annotations(alice, INBOX, alice) == {SHARED: b"\0binary"}


async def test_those_of_the_account_are_of_no_mailbox(world: World) -> None:
    store, alice = world.store, world.alice
    mark = await store.annotate(alice, None, alice, {COLOUR: b"red"})
    assert await store.annotations(alice, None, alice) == {COLOUR: b"red"}
    assert await store.annotations(alice, INBOX, alice) == {}
    assert await store.annotation_marks(alice, alice) == {(None, COLOUR): mark}


async def test_changes_are_told(world: World) -> None:
    heard: list[MailboxChanged] = []
    world.store.listen(heard.extend)
    inbox = await world.named("INBOX")
    mark = await world.store.annotate(world.alice, INBOX, world.alice, {SHARED: b"x"})
    assert heard == [MailboxChanged(world.alice, ANNOTATED, mark)]
    assert await world.named("INBOX") == inbox  # no client has to look at its messages


async def test_who_is_not_there(world: World) -> None:
    store, alice = world.store, world.alice
    for account, mailbox in ((alice, MailboxId(99)), (alice, ANNOTATED), (AccountId(99), None), (AccountId(99), INBOX)):
        with pytest.raises(NotFoundError):
            await store.annotate(account, mailbox, alice, {SHARED: b"x"})
    assert await store.annotations(alice, MailboxId(99), alice) == {}
    assert await store.annotation_marks(AccountId(99), alice) == {}


async def test_too_many_and_nothing_of_it_is_kept(world: World) -> None:
    await world.store.close()
    world.store = store = open_store(world.folder, clock=world.clock, limits=Limits(annotations=3))
    alice = world.alice
    bob = await world.account("bob@example.org")
    await store.annotate(alice, INBOX, alice, {f"/private/{n}": b"x" for n in range(3)})
    with pytest.raises(LimitError):
        await store.annotate(alice, None, alice, {"/private/0": b"y", SHARED: b"y"})
    assert await store.annotations(alice, None, alice) == {}
    # Others are counted apart, and what is there may change or go.
    await store.annotate(alice, INBOX, bob, {"/private/0": b"x", SHARED: b"x"})
    await store.annotate(alice, INBOX, alice, {"/private/0": b"z", "/private/1": None})
    await store.annotate(alice, None, alice, {"/private/1": b"x"})
    await store.close()
    world.store = store = open_store(world.folder, clock=world.clock, limits=Limits(annotations=1))
    await store.annotate(alice, INBOX, alice, {"/private/0": b"still"})
    with pytest.raises(LimitError):
        await store.annotate(alice, INBOX, alice, {"/private/new": b"x"})
    # A renamed INBOX gets no copy that is beyond the limit, and keeps its own.
    await store.rename_mailbox(alice, INBOX, "Old", event())
    assert sorted(await store.annotations(alice, INBOX, alice)) == ["/private/0", "/private/2", SHARED]
    assert await store.annotations(alice, (await store.mailbox(alice, "Old")).id, alice) == {}


async def test_they_go_with_their_mailbox_and_stay_when_it_is_renamed(world: World) -> None:
    store, alice = world.store, world.alice
    made = await store.create_mailbox(alice, "a/b", None, event())
    parent = await world.named("a")
    for mailbox in (made, parent):
        await store.annotate(alice, mailbox.id, alice, {SHARED: mailbox.name.encode()})
    await store.rename_mailbox(alice, parent.id, "c", event())
    assert await store.annotations(alice, made.id, alice) == {SHARED: b"a/b"}
    assert (await world.named("c/b")).id == made.id
    await store.delete_mailbox(alice, parent.id, event())  # it stays as a name, and may be annotated again
    assert await store.annotations(alice, parent.id, alice) == {}
    await store.annotate(alice, parent.id, alice, {SHARED: b"a name"})
    await store.delete_mailbox(alice, made.id, event())  # the name goes too
    assert await store.annotation_marks(alice, alice) == {}


async def test_inbox_keeps_its_own_when_it_is_renamed(world: World) -> None:
    store, alice = world.store, world.alice
    await store.annotate(alice, INBOX, alice, {SHARED: b"x", PRIVATE: b"y"})
    await store.rename_mailbox(alice, INBOX, "Old", event())
    old = await world.named("Old")
    assert await store.annotations(alice, old.id, alice) == {SHARED: b"x", PRIVATE: b"y"}
    assert await store.annotations(alice, INBOX, alice) == {SHARED: b"x", PRIVATE: b"y"}


async def test_they_go_with_accounts(world: World) -> None:
    store, alice = world.store, world.alice
    bob = await world.account("bob@example.org")
    carol = await world.account("carol@example.org")
    await store.annotate(alice, INBOX, bob, {PRIVATE: b"bob's", SHARED: b"all"})
    await store.annotate(alice, INBOX, carol, {PRIVATE: b"carol's"})
    await store.annotate(bob, INBOX, carol, {PRIVATE: b"carol's"})
    await store.remove_account(bob, event())
    assert await store.annotation_marks(bob, carol) == {}
    assert await store.annotations(alice, INBOX, bob) == {SHARED: b"all"}
    assert await store.annotations(alice, INBOX, carol) == {PRIVATE: b"carol's", SHARED: b"all"}
    assert await store.check() == []


async def test_what_one_reader_keeps_everywhere_is_bounded(world: World) -> None:
    """Not once for each account that shares something."""
    store, alice = world.store, world.alice
    bob, carol = await world.account("bob@example.org"), await world.account("carol@example.org")
    for owner in (alice, carol):
        await store.annotate(owner, INBOX, bob, {f"/private/{number}": b"" for number in range(500)})
    with pytest.raises(LimitError):
        await store.annotate(alice, INBOX, bob, {"/private/more": b""})
    await store.annotate(alice, INBOX, bob, {"/shared/more": b""})
    await store.annotate(alice, INBOX, carol, {"/private/more": b""})


async def test_some_values_and_their_sizes(world: World) -> None:
    store, alice = world.store, world.alice
    await store.annotate(alice, INBOX, alice, {PRIVATE: b"mine", SHARED: b"\0binary", COLOUR: b""})
    assert await store.annotation_sizes(alice, INBOX, alice) == {PRIVATE: 4, SHARED: 7, COLOUR: 0}
    assert await store.annotations(alice, INBOX, alice, [SHARED, "/private/none"]) == {SHARED: b"\0binary"}
    assert await store.annotations(alice, INBOX, alice, []) == {}
