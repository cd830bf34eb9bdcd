"""The folders of an account: all there, in its language, found by what they are for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.admin import folders, people
from poterne.admin.people import Acting, AdminError
from poterne.values.folders import FOLDERS, folder_name
from poterne.values.ids import TraceId
from poterne.values.mailbox import Mailbox, SpecialUse
from poterne.values.secret import Secret
from tests.support.stores import AT, Clock, World, event, sqlite

ACTING = Acting("test", AT, TraceId("t"))
ZOE = "zoe@example.org"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Zoé's account is French."""
    clock = Clock()
    made = World(sqlite(tmp_path / "data", clock), tmp_path / "data", clock)
    await made.settle()
    account = (
        await people.add_account(made.store, ZOE, ACTING, password=Secret("correct-horse"), language="fr")
    ).account
    made.alice = account.id
    yield made
    assert await made.store.check() == []
    await made.store.close()


async def by_name(world: World) -> dict[str, Mailbox]:
    return {box.name: box for box in await world.store.mailboxes(world.alice)}


async def test_a_new_account_has_them_in_its_language(world: World) -> None:
    found = await by_name(world)
    assert {name: box.special_use for name, box in found.items()} == {"INBOX": None, **dict(FOLDERS["fr"])}
    assert all(box.subscribed for box in found.values())


def test_every_language_has_the_same_ones() -> None:
    for language, names in FOLDERS.items():
        assert [use for _, use in names] == [use for _, use in FOLDERS["en"]]
        assert len({name for name, _ in names}) == len(names)
        assert all(folder_name(use, language) == name for name, use in names)
    assert folder_name(SpecialUse.TRASH, "xx") == "Trash"
    assert folder_name(SpecialUse.ALL, "en") == ""
    assert set(FOLDERS) == set(people.LANGUAGES)


async def test_one_that_is_needed_and_gone_is_made_in_the_language(world: World) -> None:
    store = world.store
    junk = (await by_name(world))["Indésirables"]
    assert await folders.own_folder(store, world.alice, SpecialUse.JUNK, TraceId("t"), AT) == junk.id
    await store.subscribe(world.alice, junk.name, False)
    await store.delete_mailbox(world.alice, junk.id, event())
    made = await folders.own_folder(store, world.alice, SpecialUse.JUNK, TraceId("t"), AT)
    found = (await by_name(world))["Indésirables"]
    assert (found.id, found.special_use, found.subscribed) == (made, SpecialUse.JUNK, True)
    assert await folders.own_folder(store, world.alice, SpecialUse.JUNK, TraceId("t"), AT) == made


async def test_an_owner_s_folder_of_that_name_is_taken_as_it_is(world: World) -> None:
    store = world.store
    junk = (await by_name(world))["Indésirables"]
    await store.set_special_use(world.alice, junk.id, None, event())
    assert await folders.own_folder(store, world.alice, SpecialUse.JUNK, TraceId("t"), AT) == junk.id
    assert (await by_name(world))["Indésirables"].special_use is None  # or its rule of Junk would empty it


async def test_repair(world: World) -> None:
    store = world.store
    found = await by_name(world)
    await store.delete_mailbox(world.alice, found["Corbeille"].id, event())
    await store.set_special_use(world.alice, found["Envoyés"].id, None, event())
    await store.rename_mailbox(world.alice, found["Archives"].id, "Vieux", event())
    await store.subscribe(world.alice, "Brouillons", False)
    done = await folders.repair(store, ZOE, ACTING)
    assert (done.made, done.given, done.subscribed) == (("Corbeille",), ("Envoyés",), ("Brouillons", "Vieux"))
    now = await by_name(world)
    assert {box.special_use for box in now.values()} == {None, *(use for _, use in FOLDERS["fr"])}
    assert now["Vieux"].special_use is SpecialUse.ARCHIVE
    assert now["Corbeille"].subscribed
    again = await folders.repair(store, ZOE, ACTING)
    assert again == folders.Repair((), (), ())


async def test_uses(world: World) -> None:
    store = world.store
    await store.create_mailbox(world.alice, "Poubelle", None, event())
    await folders.set_use(store, ZOE, "Poubelle", "trash", ACTING)
    found = await by_name(world)
    assert (found["Poubelle"].special_use, found["Corbeille"].special_use) == (SpecialUse.TRASH, None)
    await folders.set_use(store, ZOE, "Poubelle", "none", ACTING)
    assert (await by_name(world))["Poubelle"].special_use is None
    for folder, use, says in (
        ("Poubelle", "all", "none of archive, drafts, junk, sent, trash and none"),
        ("Rien", "trash", "has no folder Rien"),
        ("INBOX", "trash", "no special use"),
    ):
        with pytest.raises(AdminError, match=says):
            await folders.set_use(store, ZOE, folder, use, ACTING)


async def test_language(world: World) -> None:
    store = world.store
    await store.rename_mailbox(world.alice, (await by_name(world))["Archives"].id, "Vieux", event())
    await store.create_mailbox(world.alice, "Drafts", None, event())
    await store.subscribe(world.alice, "Envoyés", False)
    changed, renamed = await folders.set_language(store, ZOE, "en", ACTING, rename=False)
    assert (changed.language, renamed) == ("en", {})
    assert "Corbeille" in await by_name(world)
    _, renamed = await folders.set_language(store, ZOE, "en", ACTING, rename=True)
    assert renamed == {
        "Envoyés": "Sent",
        "Indésirables": "Junk",
        "Corbeille": "Trash",
    }  # Drafts was taken, Vieux is hers
    found = await by_name(world)
    assert (found["Trash"].special_use, found["Trash"].subscribed, found["Sent"].subscribed) == (
        SpecialUse.TRASH,
        True,
        False,
    )
    assert set(await store.subscriptions(world.alice)) == {"INBOX", "Brouillons", "Junk", "Trash", "Archives"}
    with pytest.raises(AdminError, match="choose one of en, fr"):
        await folders.set_language(store, ZOE, "de", ACTING, rename=True)
