"""Access lists, and who sees what by them."""

import asyncio

import pytest

from poterne.store.errors import ConflictError, LimitError, NoGranteeError, NotFoundError
from poterne.store.interface_sharing import GRANTED_MOST
from poterne.store.sqlite import sharing
from poterne.values.ids import AccountId, MailboxId
from poterne.values.sharing import ANYONE, EVERY_RIGHT, NO_RIGHT, Granted, Right
from tests.support.stores import INBOX, World, event

READ = Right.LOOKUP | Right.READ
WRITE = READ | Right.SEEN | Right.WRITE


async def seen(world: World, reader: AccountId) -> list[tuple[str, str, Right]]:
    return [(shared.owner, shared.mailbox.name, shared.rights) for shared in await world.store.shared_with(reader)]


async def grant(world: World, name: str, identifier: str, rights: Right) -> None:
    box = await world.named(name)
    await world.store.grant(world.alice, box.id, identifier, rights, event("mailbox.shared", world.alice))


async def test_a_line_by_name(world: World) -> None:
    bob = await world.account("bob@example.org")
    work = await world.named("Work")
    assert await world.store.access(world.alice, work.id) == []
    assert await seen(world, bob) == []
    await grant(world, "Work", "Bob@Example.ORG", READ)
    assert await world.store.access(world.alice, work.id) == [Granted("bob@example.org", READ)]
    assert await seen(world, bob) == [("alice@example.org", "Work", READ)]
    assert await world.store.rights(bob, world.alice, work.id) == READ
    found = await world.store.shared_mailbox(bob, "ALICE@example.org", "Work")
    assert (found.mailbox, found.owner, found.rights) == (work, "alice@example.org", READ)
    await grant(world, "Work", "bob@example.org", EVERY_RIGHT)
    assert await world.store.rights(bob, world.alice, work.id) == EVERY_RIGHT
    await grant(world, "Work", "bob@example.org", Right(0))
    assert await world.store.access(world.alice, work.id) == []
    assert await seen(world, bob) == []
    assert not await world.store.rights(bob, world.alice, work.id)
    assert len(await world.store.events(kind="mailbox.shared")) == 3


async def test_anyone_is_the_domain_and_joins_what_is_given_by_name(world: World) -> None:
    bob = await world.account("bob@example.org")
    await world.store.add_domain("example.net", event())
    eve = await world.account("eve@example.net")
    await grant(world, "INBOX", ANYONE, READ)
    await grant(world, "INBOX", "bob@example.org", Right.INSERT)
    await grant(world, "Work", "eve@example.net", READ)
    assert await world.store.access(world.alice, INBOX) == [
        Granted(ANYONE, READ),
        Granted("bob@example.org", Right.INSERT),
    ]
    assert await seen(world, bob) == [("alice@example.org", "INBOX", READ | Right.INSERT)]
    assert await seen(world, eve) == [
        ("alice@example.org", "Work", READ)
    ]  # of another organisation: nothing of the first
    assert await seen(world, world.alice) == []
    assert not await world.store.rights(eve, world.alice, INBOX)
    with pytest.raises(NotFoundError):
        await world.store.shared_mailbox(eve, "alice@example.org", "INBOX")


async def test_what_cannot_be_granted(world: World) -> None:
    with pytest.raises(NoGranteeError):
        await grant(world, "Work", "nobody@example.org", READ)
    with pytest.raises(NoGranteeError):
        await grant(world, "Work", "bob", READ)
    with pytest.raises(ConflictError):
        await grant(world, "Work", "alice@example.org", READ)
    for identifier in (ANYONE, "nobody@example.org"):  # deleted meanwhile: that is told, whoever the other is
        with pytest.raises(NotFoundError) as told:
            await world.store.grant(world.alice, MailboxId(99), identifier, READ, event())
        assert not isinstance(told.value, NoGranteeError)
    assert await world.store.events(kind="mailbox.shared") == []


async def test_a_missing_mailbox_is_as_one_without_rights(world: World) -> None:
    bob = await world.account("bob@example.org")
    for owner, name in (
        ("alice@example.org", "Work"),
        ("alice@example.org", "None"),
        ("none@example.org", "Work"),
        ("alice", "Work"),
    ):
        with pytest.raises(NotFoundError):
            await world.store.shared_mailbox(bob, owner, name)
    assert not await world.store.rights(bob, world.alice, MailboxId(99))
    assert not await world.store.rights(AccountId(99), world.alice, INBOX)


async def test_a_bounded_number_of_lines(world: World) -> None:
    for number in range(GRANTED_MOST + 1):
        await world.account(f"u{number}@example.org")
    for number in range(GRANTED_MOST):
        await grant(world, "Work", f"u{number}@example.org", READ)
    with pytest.raises(LimitError):
        await grant(world, "Work", f"u{GRANTED_MOST}@example.org", READ)
    await grant(world, "Work", "u0@example.org", WRITE)  # in the place of what it had
    assert len(await world.store.access(world.alice, (await world.named("Work")).id)) == GRANTED_MOST


async def test_rights_go_with_the_mailbox_and_with_either_account(world: World) -> None:
    bob = await world.account("bob@example.org")
    await grant(world, "Work", "bob@example.org", READ)
    await grant(world, "Sent", "bob@example.org", READ)
    await world.store.delete_mailbox(world.alice, (await world.named("Work")).id, event())
    await world.store.create_mailbox(world.alice, "Work", None, event())
    assert await seen(world, bob) == [("alice@example.org", "Sent", READ)]
    carol = await world.account("carol@example.org")
    await world.store.grant(carol, INBOX, "bob@example.org", READ, event())
    await world.store.remove_account(carol, event())
    assert await seen(world, bob) == [("alice@example.org", "Sent", READ)]
    await world.store.remove_account(bob, event())
    assert await world.store.access(world.alice, (await world.named("Sent")).id) == []


async def test_a_name_that_stays_as_a_parent_is_shared_no_more(world: World) -> None:
    bob = await world.account("bob@example.org")
    await world.store.create_mailbox(world.alice, "Work/Old", None, event())
    work = await world.named("Work")
    await grant(world, "Work", "bob@example.org", READ)
    await world.store.delete_mailbox(world.alice, work.id, event())
    assert not (await world.named("Work")).selectable
    assert await seen(world, bob) == []
    with pytest.raises(NotFoundError):
        await grant(world, "Work", "bob@example.org", READ)


async def test_rename_keeps_rights_and_children_inherit_them(world: World) -> None:
    bob = await world.account("bob@example.org")
    await grant(world, "Work", "bob@example.org", READ)
    await grant(world, "Work", ANYONE, Right.LOOKUP)
    await world.store.create_mailbox(world.alice, "Work/New/Deep", None, event())
    assert [name for _, name, _ in await seen(world, bob)] == ["Work", "Work/New", "Work/New/Deep"]
    assert {rights for *_, rights in await seen(world, bob)} == {READ}
    await world.store.rename_mailbox(world.alice, (await world.named("Work")).id, "Play", event())
    assert [name for _, name, _ in await seen(world, bob)] == ["Play", "Play/New", "Play/New/Deep"]
    await grant(world, "INBOX", "bob@example.org", READ)
    await world.store.rename_mailbox(world.alice, INBOX, "Old", event())
    assert [name for _, name, _ in await seen(world, bob)] == ["INBOX", "Play", "Play/New", "Play/New/Deep"]


async def test_what_is_added_and_taken_at_the_same_moment(world: World) -> None:
    """Who may administer takes `r` away while another one grants `s`: neither brings back what the other has changed."""
    bob = await world.account("bob@example.org")
    work = await world.named("Work")
    await grant(world, "Work", "bob@example.org", READ | Right.WRITE)

    async def change(rights: Right, kept: Right) -> None:
        said = event("mailbox.shared", world.alice)
        await world.store.grant(world.alice, work.id, "bob@example.org", rights, said, kept=kept)

    await asyncio.gather(change(Right.SEEN, EVERY_RIGHT), change(NO_RIGHT, EVERY_RIGHT & ~Right.READ))
    assert await world.store.rights(bob, world.alice, work.id) == Right.LOOKUP | Right.WRITE | Right.SEEN
    told = [one.detail["rights"] for one in await world.store.events(kind="mailbox.shared") if "rights" in one.detail]
    assert "lsw" in told, "the event has what it may do now"
    await change(NO_RIGHT, NO_RIGHT)
    assert await world.store.access(world.alice, work.id) == []


async def test_one_account_cannot_fill_the_lists_of_its_domain(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "ANYONE_MOST", 3)
    monkeypatch.setattr(sharing, "LINES_MOST", 6)
    await world.account("bob@example.org")
    await grant(world, "Work", ANYONE, READ)
    await world.store.create_mailbox(world.alice, "Work/a", None, event())
    await world.store.create_mailbox(world.alice, "Work/b", None, event())
    with pytest.raises(LimitError):
        await world.store.create_mailbox(world.alice, "Work/c", None, event())
    with pytest.raises(NotFoundError):
        await world.store.mailbox(world.alice, "Work/c")
    with pytest.raises(LimitError):
        await grant(world, "INBOX", ANYONE, READ)
    await grant(world, "Work", ANYONE, READ | Right.SEEN)  # which was there
    for name in ("INBOX", "Work", "Work/a"):
        await grant(world, name, "bob@example.org", READ)
    with pytest.raises(LimitError):
        await grant(world, "Work/b", "bob@example.org", READ)


async def test_one_account_cannot_fill_the_list_of_another(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "NAMED_MOST", 2)
    for name in ("bob", "carol"):
        await world.account(f"{name}@example.org")
        for mailbox in ("INBOX", "Work"):
            await grant(world, mailbox, f"{name}@example.org", READ)
    with pytest.raises(LimitError):
        await grant(world, "Sent", "bob@example.org", READ)
    with pytest.raises(LimitError):
        await world.store.create_mailbox(world.alice, "Work/below", None, event())
    await grant(world, "Work", "bob@example.org", NO_RIGHT)
    await grant(world, "Sent", "bob@example.org", READ)


async def test_others_have_their_turns_while_thousands_are_read(world: World) -> None:
    bob = await world.account("bob@example.org")
    await grant(world, "Work", "bob@example.org", READ)
    for number in range(2 * sharing.PAGE_ROWS):
        await world.store.create_mailbox(world.alice, f"Work/{number}", None, event())
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    assert len(await world.store.shared_with(bob)) == 2 * sharing.PAGE_ROWS + 1
    counting.cancel()
    assert turns >= 1
