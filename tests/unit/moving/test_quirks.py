"""What servers do wrong, or in their own way, while mail is brought from them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.admin.people import Acting
from poterne.moving import imap_import
from poterne.moving.folders import Choice, Folder, clean, guessed_use, place, wanted
from poterne.moving.imap_import import Batch, ImapImport, batches
from poterne.moving.told import Silent, Summary
from poterne.values.ids import TraceId
from poterne.values.mailbox import SpecialUse, UidRange
from tests.support.imap_source import Letter, Toy, serving
from tests.support.moved import messages_of
from tests.support.stores import AT, Clock, World, sqlite

BODY = b"Subject: x\r\n\r\nbody %d\r\n"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = Clock()
    made = World(sqlite(tmp_path / "data", clock), tmp_path / "data", clock)
    await made.settle()
    yield made
    await made.store.close()


async def bring(world: World, toy: Toy, folder: Path, choice: Choice | None = None) -> Summary:
    account = await world.store.account_by_id(world.alice)
    acting = Acting("test", AT, TraceId("t"))
    async with serving(toy, folder / "tls") as server:
        return await ImapImport(world.store, account, server, choice or Choice(), acting, Silent()).run()


async def bodies(world: World) -> dict[str, list[bytes]]:
    account = await world.store.account_by_id(world.alice)
    found = await messages_of(world.store, account.address)
    return {name: [each.body for each in messages] for name, messages in found.items() if messages}


def letters(count: int) -> dict[int, Letter]:
    return {uid: Letter(BODY % uid) for uid in range(1, count + 1)}


async def test_what_can_not_be_had_costs_itself_only(world: World, tmp_path: Path) -> None:
    box = letters(30)
    box[7] = Letter(None)
    box[11].refused = True
    box[13] = Letter(b"")
    box[17].quoted = True
    box[17].body = b"Subject: one line"
    box[19].size = 3
    box[23].flags = "\\Seen \\Recent \\Strange $Good bad\xe9"
    toy = Toy({"INBOX": box}, vanish={29})
    summary = await bring(world, toy, tmp_path)
    assert sorted((one.item, one.why.split(":")[0]) for one in summary.failures) == [
        ("UID 11", "the server does not give it"),
        ("UID 13", "it is empty"),
        ("UID 7", "the server has no content for it"),
    ]
    assert (summary.messages, summary.vanished, summary.failed) == (26, 1, 3)
    assert set((await bodies(world))["INBOX"]) == {box[uid].body for uid in box if uid not in {7, 11, 13, 29}}


async def test_a_lost_connection_is_gone_on_with(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_import, "PAUSE_S", 0.01)
    monkeypatch.setattr(imap_import, "BATCH_MESSAGES", 10)
    toy = Toy({"INBOX": letters(50)}, drop_after=25)
    summary = await bring(world, toy, tmp_path)
    assert toy.connections == 2
    assert (summary.messages, summary.known, summary.failed) == (50, 0, 0)
    assert (await bodies(world))["INBOX"] == [BODY % uid for uid in range(1, 51)]


async def test_another_uidvalidity_doubles_nothing(world: World, tmp_path: Path) -> None:
    box = {uid: Letter(BODY % (uid // 2)) for uid in range(1, 11)}  # some are there twice
    await bring(world, Toy({"INBOX": box}), tmp_path)
    summary = await bring(
        world, Toy({"INBOX": {**{uid + 5: box[uid] for uid in box}, 99: Letter(BODY % 99)}}, validity=8), tmp_path
    )
    assert (summary.messages, summary.same) == (1, 10)
    assert len((await bodies(world))["INBOX"]) == 11


async def test_what_was_deleted_here_stays_so(world: World, tmp_path: Path) -> None:
    toy = Toy({"INBOX": letters(3)})
    await bring(world, toy, tmp_path)
    box = await world.store.mailbox(world.alice, "INBOX")
    await world.store.remove(world.alice, box.id, [UidRange(1, None)])
    toy.folders["INBOX"][4] = Letter(BODY % 4)
    assert (await bring(world, toy, tmp_path)).messages == 1
    assert await bodies(world) == {"INBOX": [BODY % 4]}


async def test_gmail(world: World, tmp_path: Path) -> None:
    def letter(number: int) -> Letter:
        return Letter(BODY % number, google_id=1000 + number)

    toy = Toy(
        {
            "INBOX": {1: letter(1)},
            "[Gmail]/All Mail": {1: letter(1), 2: letter(2), 3: letter(3)},
            "[Gmail]/Starred": {1: letter(2)},
            "[Gmail]/Sent Mail": {1: letter(3)},
        },
        {"[Gmail]/All Mail": "\\All", "[Gmail]/Starred": "\\Flagged", "[Gmail]/Sent Mail": "\\Sent"},
        capabilities="IMAP4rev1 AUTH=PLAIN SASL-IR X-GM-EXT-1 SPECIAL-USE",
    )
    summary = await bring(world, toy, tmp_path)
    assert await bodies(world) == {"INBOX": [BODY % 1], "Sent": [BODY % 3], "Archive": [BODY % 2]}
    assert any("Starred" in note for note in summary.notes)


async def test_a_prefix_and_dots(world: World, tmp_path: Path) -> None:
    toy = Toy(
        {
            "INBOX": {},
            "INBOX.Envoy&AOk-s": {1: Letter(BODY % 1)},
            "INBOX.a/b.c": {1: Letter(BODY % 2)},
            "user.bob.x": {1: Letter(BODY % 3)},
        },
        separator=".",
        capabilities="IMAP4rev1 AUTH=PLAIN NAMESPACE",
        namespace='(("INBOX." ".")) (("user." ".")) NIL',
    )
    await bring(world, toy, tmp_path)
    assert await bodies(world) == {"Sent": [BODY % 1], "a_b/c": [BODY % 2]}


async def test_a_name_that_can_not_be(world: World, tmp_path: Path) -> None:
    toy = Toy({"/".join(["deep"] * 60): letters(1), "good": letters(1)})
    summary = await bring(world, toy, tmp_path)
    assert summary.failed == 1
    assert "--map" in summary.failures[0].why
    assert await bodies(world) == {"good": [BODY % 1]}


@pytest.mark.parametrize(
    ("name", "separator", "expected"),
    [
        ("inbox", "/", "INBOX"),
        ("Inbox/x", "/", "INBOX/x"),
        ("a.b/c", ".", "a/b_c"),
        ("//a// /b", "/", "a/b"),
        ("e\u0301te\u0301\x07", "/", "été_"),
    ],
)
def test_clean(name: str, separator: str, expected: str) -> None:
    assert clean(name, separator) == expected


def test_placing() -> None:
    sent, more, other = (
        Folder(b"", "Sent Items", SpecialUse.SENT),
        Folder(b"", "Sent Items/2020"),
        Folder(b"", "Sent", SpecialUse.SENT),
    )
    placed = place([sent, more, other, Folder(b"", "Old/x")], Choice(maps={"Old": "New"}))
    assert [(one.name, one.use, one.rest) for one in placed] == [
        ("Sent Items", SpecialUse.SENT, ""),
        ("Sent Items/2020", SpecialUse.SENT, "/2020"),
        ("Sent", None, ""),
        ("New/x", None, ""),
    ]
    assert guessed_use("Éléments supprimés") is SpecialUse.TRASH
    assert guessed_use("Projects") is None


def test_wanted() -> None:
    junk, work = Folder(b"", "Spam", SpecialUse.JUNK), Folder(b"", "Work/2020")
    assert not wanted(junk, Choice(skip=("junk",)))
    assert wanted(work, Choice(folders=("Work",)))
    assert wanted(work, Choice(folders=("W*0",)))
    assert not wanted(work, Choice(folders=("Wor",)))
    assert not wanted(work, Choice(folders=("Work",), skip=("Work/2020",)))


def test_batches_are_short_to_say() -> None:
    listed = list(range(1, 20_001, 3))
    [*found] = batches([(uid, 10) for uid in listed], listed)
    assert found[0] == Batch(listed[:2000], b"1:%d" % listed[1999])
    every_other = [(uid, 10) for uid in listed[::2]]
    pieces = list(batches(every_other, listed))
    assert [uid for piece in pieces for uid in piece.uids] == listed[::2]
    assert max(len(piece.set) for piece in pieces) < 8_000
    assert len(list(batches([(1, 2**30), (2, 2**30)], [1, 2]))) == 2
