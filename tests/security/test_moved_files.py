"""Import and export run as the owner of everybody's mail: whoever may write into the place that is named gets nothing by it."""

import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.admin.people import Acting
from poterne.message import mbox
from poterne.moving import mbox_import
from poterne.moving.folders import Choice
from poterne.moving.maildir_export import MaildirExport
from poterne.moving.maildir_import import MaildirImport
from poterne.moving.mbox_export import MboxExport
from poterne.moving.mbox_import import MboxImport, files_of
from poterne.moving.told import MovingError, Silent, Summary
from poterne.values.ids import TraceId
from tests.support.moved import Message, fill, messages_of
from tests.support.stores import AT, Clock, World, sqlite

ACTING = Acting("test", AT, TraceId("t"))
SECRET = b"From bob Mon Jan  1 00:00:00 2024\nSubject: for bob's eyes\n\n0 secret\n"
OWN = b"Subject: mine\n\nx\n"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = Clock()
    made = World(sqlite(tmp_path / "data", clock), tmp_path / "data", clock)
    await made.settle()
    yield made
    await made.store.close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """What the owner of the data may read, and who made the Maildir may not."""
    file = tmp_path / "other" / "cur" / "secret"
    file.parent.mkdir(parents=True)
    file.write_bytes(SECRET)
    return file


def maildir(place: Path) -> Path:
    for part in ("cur", "new", "tmp"):
        (place / part).mkdir(parents=True)
    (place / "cur" / "1.a.b:2,S").write_bytes(OWN)
    return place


async def bring_maildir(world: World, place: Path, choice: Choice | None = None) -> Summary:
    account = await world.store.account_by_id(world.alice)
    return await MaildirImport(world.store, account, place, choice or Choice(), ACTING, Silent()).run()


async def bring_mbox(world: World, *places: Path) -> Summary:
    account = await world.store.account_by_id(world.alice)
    return await MboxImport(world.store, account, files_of(places), Choice(), ACTING, Silent()).run()


async def bodies(world: World) -> list[bytes]:
    account = await world.store.account_by_id(world.alice)
    found = await messages_of(world.store, account.address)
    return [one.body for messages in found.values() for one in messages]


async def test_a_link_in_a_maildir_brings_nobody_elses_mail(world: World, secret: Path, tmp_path: Path) -> None:
    place = maildir(tmp_path / "Maildir")
    (place / "cur" / "2.a.b:2,").symlink_to(secret)
    (place / "cur" / "3.a.b:2,").symlink_to("/dev/zero")
    maildir(place / ".Work")
    (place / ".Work" / "new").rmdir()
    (place / ".Work" / "new").symlink_to(secret.parent)
    summary = await bring_maildir(world, place)
    assert summary.messages == 2
    assert [one.why for one in summary.failures] == ["it is a link, and links are not followed here"] * 3
    assert not [body for body in await bodies(world) if b"secret" in body]


async def test_a_folder_that_becomes_a_link_while_it_is_read(world: World, secret: Path, tmp_path: Path) -> None:
    place = maildir(tmp_path / "Maildir")
    (place / "cur" / "secret").write_bytes(OWN)
    account = await world.store.account_by_id(world.alice)

    class Swapping(Silent):
        def folder(self, theirs: str, ours: str, messages: int, size_bytes: int) -> None:
            (place / "cur").rename(place / "was")
            (place / "cur").symlink_to(secret.parent)

    summary = await MaildirImport(world.store, account, place, Choice(), ACTING, Swapping()).run()
    assert (summary.messages, summary.failed) == (0, 2)


async def test_pipes_hold_nobody_up(world: World, tmp_path: Path) -> None:
    place = maildir(tmp_path / "Maildir")
    for name in ("cur/4.a.b:2,", "dovecot-uidlist", "dovecot-keywords", "poterne-index", "subscriptions"):
        os.mkfifo(place / name)
    freeing = threading.Timer(
        5, lambda: [os.open(place / "subscriptions", os.O_RDWR) for _ in "x"]
    )  # else it never ends
    freeing.start()
    summary = await bring_maildir(world, place)
    freeing.cancel()
    assert [(one.item, one.why) for one in summary.failures] == [("4.a.b", "it is no file")]
    assert summary.messages == 1


async def test_what_stands_beside_is_no_link_either(world: World, tmp_path: Path) -> None:
    place = maildir(tmp_path / "Maildir")
    (place / "cur" / "5.a.b:2,a").write_bytes(OWN)
    (tmp_path / "keys").write_bytes(b"0 hunter2\n")
    (place / "dovecot-keywords").symlink_to(tmp_path / "keys")
    await bring_maildir(world, place)
    assert "hunter2" not in (await world.store.account_by_id(world.alice)).keywords


async def test_names_that_are_no_text(world: World, tmp_path: Path) -> None:
    place = maildir(tmp_path / os.fsdecode(b"Mail\xff"))
    name = os.fsencode(place / "cur") + b"/6.\xff\xfe\n\x1b[31m:2,F"
    with open(name, "wb") as file:  # noqa: ASYNC230, PTH123  (a name in octets)
        file.write(OWN)
    summary = await bring_maildir(world, place)
    assert (summary.messages, summary.failed) == (2, 0)
    again = await bring_maildir(world, place)
    assert (again.messages, again.known) == (0, 2)


@pytest.mark.parametrize("line", ["9" * 30 + "\t0", f"{AT}\t{10**9}", "-" + "9" * 18 + "\t0"])
async def test_an_index_that_was_tampered_with(world: World, tmp_path: Path, line: str) -> None:
    place = maildir(tmp_path / "Maildir")
    (place / "poterne-index").write_text(f"1.a.b\t{line}\tlf\t\n")
    assert (await bring_maildir(world, place)).messages == 1
    account = await world.store.account_by_id(world.alice)
    [message] = (await messages_of(world.store, account.address))["INBOX"]
    assert abs(message.offset) < 24 * 60


async def test_mbox_files_that_are_links_or_pipes(world: World, secret: Path, tmp_path: Path) -> None:
    place = tmp_path / "mail"
    place.mkdir()
    (place / "good.mbox").write_bytes(SECRET.replace(b"secret", b"known").replace(b"bob", b"all"))
    (place / "linked.mbox").symlink_to(secret)
    (place / "within").symlink_to(secret.parent)
    os.mkfifo(place / "pipe.mbox")
    summary = await bring_mbox(world, place)
    assert {one.folder: one.why for one in summary.failures} == {
        "linked": "it is a link, and links are not followed here",
        "pipe": "it is no file",
    }
    assert summary.messages == 1
    assert (await bring_mbox(world, place / "linked.mbox")).failed == 1  # as the shell gives it for /home/*/mbox
    assert not [body for body in await bodies(world) if b"secret" in body]


@pytest.mark.parametrize("year", ["0001", "9999"])
async def test_dates_at_the_ends_of_time(world: World, tmp_path: Path, year: str) -> None:
    file = tmp_path / "old.mbox"
    for day in ("Jan  1", "Dec 31"):
        file.write_bytes(
            b"From x Mon %b 23:00:00 %b\nSubject: old\n\n%b\n" % (day.encode(), year.encode(), day.encode())
        )
        assert (await bring_mbox(world, file)).messages == 1
    account = await world.store.account_by_id(world.alice)
    extremes = [(-62_135_640_000, 720), (253_402_387_139, -1439), (2**50, 0), (-(2**50), 0)]
    await fill(world.store, account.address, "INBOX", [Message(b"a: b\r\n\r\n", (), *one) for one in extremes])
    boxes = [box for box in await world.store.mailboxes(account.id) if box.messages]
    target = tmp_path / "out"
    target.mkdir(mode=0o700)
    out = MboxExport(world.store, account, target, boxes, Silent())
    assert (await out.run()).messages == 6


async def test_more_messages_than_can_be_held(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mbox_import, "MESSAGES_MOST", 1000)
    (tmp_path / "many").write_bytes(b"From\n\n" * 1001)
    with pytest.raises(MovingError, match="more than 1,000 messages"):
        await bring_mbox(world, tmp_path / "many")


async def test_a_file_that_is_cut_while_it_is_read(world: World, tmp_path: Path) -> None:
    """What is mapped and gone would be the end of the process."""
    file = tmp_path / "inbox"
    file.write_bytes(
        b"".join(b"From x Mon Jan  1 00:00:%02d 2024\nSubject: %d\n\nx\n\n" % (n % 60, n) for n in range(1000))
    )
    account = await world.store.account_by_id(world.alice)

    class Cutting(Silent):
        def folder(self, theirs: str, ours: str, messages: int, size_bytes: int) -> None:
            os.truncate(file, 100)

    run = MboxImport(world.store, account, files_of([file]), Choice(), ACTING, Cutting())
    with pytest.raises(MovingError, match="was cut while it was read"):
        await run.run()


def test_a_line_without_end_comes_in_pieces() -> None:
    line = b"x" * 300_000 + b">From x" + b"y" * 3_000_000
    data = b"From x Mon Jan  1 00:00:00 2024\n\n>From a\n" + line + b"\n>>From b\n" + line + b">From c\n>From d\n"
    [entry] = mbox.entries(data)
    head, start = mbox.head(data, entry)
    pieces = list(mbox.rest(data, entry, start))
    assert max(map(len, pieces)) <= 2 * mbox.PIECE_BYTES
    assert head.text + b"".join(pieces) == b"\nFrom a\n" + line + b"\n>From b\n" + line + b">From c\nFrom d\n"


async def _boxes(world: World, *names: str) -> tuple[str, int]:
    account = await world.store.account_by_id(world.alice)
    for name in names:
        await fill(world.store, account.address, name, [Message(b"Subject: x\r\n\r\nx\r\n")])
    return account.address, len(names)


async def export(world: World, kind: "type[MboxExport | MaildirExport]", target: Path) -> Summary:
    account = await world.store.account_by_id(world.alice)
    boxes = [box for box in await world.store.mailboxes(account.id) if box.messages]
    return await kind(world.store, account, target, boxes, Silent()).run()


def _outside(place: Path, target: Path) -> set[Path]:
    return {path for path in place.rglob("*") if target not in path.parents and "data" not in path.parts}


def _modes(target: Path) -> dict[str, int]:
    """What others may do with each file."""
    return {path.name: path.stat().st_mode & 0o077 for path in target.rglob("*") if path.is_file()}


NAMES = ("..", "../../up", "a/../b", ".hidden", "cur", "new/tmp", "e\u0301", "x.mbox.part", "C:\\x", "~root", "$(id)")


@pytest.mark.parametrize("kind", [MboxExport, MaildirExport])
async def test_no_name_of_a_folder_leads_out(
    world: World, tmp_path: Path, kind: "type[MboxExport | MaildirExport]"
) -> None:
    await _boxes(world, *NAMES)
    target = tmp_path / "deep" / "in" / "out"
    target.mkdir(parents=True, mode=0o700)
    before = _outside(tmp_path, target)
    previous = os.umask(0o022)
    try:
        summary = await export(world, kind, target)
    finally:
        os.umask(previous)
    assert (summary.failed, summary.messages) == (0, len(NAMES))
    assert _outside(tmp_path, target) == before
    modes = _modes(target)
    assert modes
    assert not [name for name, mode in modes.items() if mode]


@pytest.mark.parametrize("kind", [MboxExport, MaildirExport])
async def test_one_name_that_no_file_can_have(
    world: World, tmp_path: Path, kind: "type[MboxExport | MaildirExport]"
) -> None:
    """Nobody keeps the administrator from exporting the rest."""
    await _boxes(world, "Ж" * 120, "ok")
    target = tmp_path / "out"
    target.mkdir(mode=0o700)
    summary = await export(world, kind, target)
    assert (summary.messages, summary.failed) == (1, 1)
    assert "name" in summary.failures[0].why


@pytest.mark.parametrize(
    ("kind", "planted"),
    [
        (MboxExport, "INBOX.mbox.part"),
        (MboxExport, "INBOX.mbox"),
        (MaildirExport, "subscriptions.new"),
        (MaildirExport, "poterne-index.new"),
        (MaildirExport, "dovecot-keywords.new"),
    ],
)
async def test_a_link_where_is_written_to_overwrites_nothing(
    world: World, tmp_path: Path, kind: "type[MboxExport | MaildirExport]", planted: str
) -> None:
    await _boxes(world, "INBOX")
    target = tmp_path / "out"
    target.mkdir(mode=0o700)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (target / planted).symlink_to(victim)
    assert (await export(world, kind, target)).messages == 1
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("planted", ["cur", "tmp", ".Work"])
async def test_a_directory_that_is_a_link(world: World, tmp_path: Path, planted: str) -> None:
    await _boxes(world, "INBOX", "Work")
    target = tmp_path / "out"
    target.mkdir(mode=0o700)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (target / planted).symlink_to(elsewhere)
    with pytest.raises(MovingError, match="is a link"):
        await export(world, MaildirExport, target)
    assert not [path for path in elsewhere.rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", [MboxExport, MaildirExport])
async def test_where_everybody_may_write_nothing_is_written(
    world: World, tmp_path: Path, kind: "type[MboxExport | MaildirExport]"
) -> None:
    await _boxes(world, "INBOX")
    target = tmp_path / "out"
    target.mkdir()
    target.chmod(0o1777)
    with pytest.raises(MovingError, match="others may write"):
        await export(world, kind, target)
    assert not list(target.iterdir())


def test_the_terminal_is_not_steered(capsys: pytest.CaptureFixture[str]) -> None:
    import click

    from poterne.cli.common import fail

    with pytest.raises(click.exceptions.Exit):
        fail("\x1b]0;owned\x07\x9b31m\u202e.mbox is no mbox file:\nsecond line")
    shown = capsys.readouterr().err
    assert not set("\x07\x9b\u202e") & set(shown)
    assert "]0;owned" in shown
    assert "\x1b]" not in shown
    assert "\nsecond line" in shown
