"""FETCH of what was fetched before says the same as the first time, whatever happened in between."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.imap_world import World, message

COUNT = 150
ITEMS = (
    "UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Subject Nothing)]",
    "BODY.PEEK[HEADER.FIELDS (Subject)]",
    "BODYSTRUCTURE",
    "UID ENVELOPE",
    "UID PREVIEW",
    "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE",
    "EMAILID THREADID SAVEDATE BODY FLAGS",
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        world.deliver(*[message(f"s{number}", b"b" * (number + 1) + b"\r\n") for number in range(COUNT)])
        yield world


def unkept(world: World, command: str, *, first: str = "SELECT INBOX") -> tuple[list[bytes], bytes]:
    """The same in a process that has nothing."""
    with World(world.folder) as other, other.client() as wire:
        wire.ok(first)
        return wire.run(command)


def closed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object, **__: object) -> None:
        raise AssertionError("read again")

    for name in ("contents", "texts", "rows"):
        monkeypatch.setattr(world.store, name, read)


def test_the_same_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with world.client(select="INBOX"):
        pass  # has \Recent
    with world.client(select="INBOX") as wire:
        before = {items: wire.ok(f"FETCH 1:* ({items})") for items in ITEMS}
        assert before == {items: wire.ok(f"FETCH 1:* ({items})") for items in ITEMS}
        assert [len(lines) for lines in before.values()] == [COUNT] * len(ITEMS)
        for number in (0, 77, COUNT - 1):
            assert b"Subject: s%d\r\n" % number in before[ITEMS[0]][number]
            assert before[ITEMS[0]][number].startswith(b"* %d FETCH (UID %d RFC822.SIZE " % (number + 1, number + 1))
        closed(world, monkeypatch)
        for items in ITEMS:
            assert wire.ok(f"FETCH 1:* ({items})") == before[items]
            assert wire.ok(f"FETCH 140 ({items})") == before[items][139:140]
        # Another order of the fields is what the client hears, and costs nothing.
        turned = wire.ok("UID FETCH 1:* (FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (nothing SUBJECT From to)])")
        assert b" FLAGS () RFC822.SIZE " in turned[0]
        assert turned[0].partition(b"}")[2] == before[ITEMS[0]][0].partition(b"}")[2]


@pytest.mark.parametrize("items", ITEMS)
def test_flags_of_others(world: World, items: str) -> None:
    with world.client(select="INBOX") as wire, world.client(select="INBOX") as other:
        for _ in range(2):
            wire.ok(f"FETCH 1:* ({items})")
        other.ok("STORE 3 +FLAGS (\\Flagged fresh)")
        lines = wire.ok(f"FETCH 1:* ({items})")
        assert any(line.startswith(b"* 3 FETCH") and b"\\Flagged " in line and b" fresh)" in line for line in lines)


@pytest.mark.parametrize("items", ITEMS)
def test_gone_and_new(world: World, items: str) -> None:
    with world.client(select="INBOX") as wire, world.client(select="INBOX") as other:
        for _ in range(2):
            wire.ok(f"FETCH 1:* ({items})")
        other.ok("STORE 2,70 +FLAGS.SILENT (\\Deleted)")
        other.ok("EXPUNGE")
        lines, tagged = wire.run(f"FETCH 1:* ({items})")
        assert tagged.startswith((b"OK [EXPUNGEISSUED]", b"NO [EXPUNGEISSUED]")), tagged
        assert sum(b" FETCH (" in line for line in lines) >= COUNT - 2
        assert not any(line.startswith((b"* 2 FETCH", b"* 70 FETCH")) for line in lines)
        wire.ok("NOOP")
        world.deliver(message("new"))
        wire.ok("NOOP")
        assert wire.ok(f"FETCH 1:* ({items})") == wire.ok(f"FETCH 1:* ({items})")
        again = [line for line in wire.ok(f"FETCH 1:* ({items})") if b" FETCH (" in line]
        assert len(again) == COUNT - 1
        # Without \Recent, which the first session has.
        fresh, _ = unkept(world, f"FETCH 1:* ({items})", first="SELECT INBOX")
        assert [line.replace(b"\\Recent", b"") for line in fresh] == [line.replace(b"\\Recent", b"") for line in again]


def test_by_uid_only(world: World) -> None:
    with world.client() as wire:
        wire.ok("ENABLE IMAP4rev2 UIDONLY")
        wire.ok("SELECT INBOX")
        for items in ITEMS:
            lines = wire.ok(f"UID FETCH 1:* ({items})")
            assert lines[COUNT - 1].startswith(b"* %d UIDFETCH (" % COUNT)
            assert wire.ok(f"UID FETCH 1:* ({items})") == lines
            assert wire.ok(f"UID FETCH 1:* ({items})") == lines


def test_each_account_has_its_own(world: World) -> None:
    world.deliver(*[message(f"eve{number}") for number in range(COUNT)], address="eve@example.org")
    for _ in range(3):
        for address, subject in (("ada@example.org", b"s"), ("eve@example.org", b"eve")):
            with world.client(select="INBOX", address=address) as wire:
                for items in (ITEMS[0], ITEMS[3]):
                    lines = wire.ok(f"FETCH 1:* ({items})")
                    assert all(subject + b"%d" % number in line for number, line in enumerate(lines))


def test_seen_is_told(world: World) -> None:
    with world.client(select="INBOX") as wire:
        for _ in range(2):
            wire.ok("FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (Subject)])")
        lines = wire.ok("FETCH 1:* (UID BODY[HEADER.FIELDS (Subject)])")
        assert len(lines) == COUNT
        assert all(b"\\Seen" in line for line in lines)


def test_what_could_not_be_read_is_not_kept(world: World) -> None:
    marker = os.urandom(20).hex()
    world.deliver(message("bad", more=[f"X-Marker: {marker}"]))
    with world.client(select="INBOX") as wire:
        command = "FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (Subject)])"
        os.sync()
        path, at = next(
            (path, at)
            for path in (world.folder / "data" / "messages").rglob("*")
            if path.is_file() and (at := path.read_bytes().find(marker.encode())) >= 0
        )
        with path.open("r+b") as file:
            file.seek(at)
            file.write(b"#")
        for _ in range(3):
            lines, tagged = wire.run(command)
            assert tagged.startswith(b"NO [UNAVAILABLE]"), tagged
            assert len(lines) == COUNT
