"""Disks fail: what cannot be read is said so, and the rest goes on."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from poterne.store.errors import UnavailableError
from tests.support.imap_world import World, message


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


def damage(world: World, marker: bytes) -> None:
    """Change one octet in the place where these stand on the disk."""
    for path in (world.folder / "data" / "messages").rglob("*"):
        if path.is_file() and (at := path.read_bytes().find(marker)) >= 0:
            with path.open("r+b") as file:
                file.seek(at)
                file.write(b"#")
            return
    raise AssertionError("not found")


def noise(size: int) -> bytes:
    """Does not compress, so that it can be found on the disk."""
    return os.urandom(size // 2).hex().encode()


def test_a_damaged_message_does_not_take_others_along(world: World) -> None:
    bad = noise(8000)
    with world.client(select="INBOX") as wire:
        wire.append(message("fine"))
        wire.append(message("bad", bad))
        wire.append(message("fine too"))
        os.sync()
        damage(world, bad[2000:2050])
        untagged, tagged = wire.run("FETCH 1:3 (BODY.PEEK[])")
        assert tagged.startswith(b"NO [UNAVAILABLE]"), tagged
        assert [line.split()[1] for line in untagged] == [b"1", b"3"]
        # What the index knows needs no message.
        assert len(wire.ok("FETCH 1:3 (FLAGS ENVELOPE BODYSTRUCTURE RFC822.SIZE)")) == 3
        assert any(line[1] == "imap.unreadable" for line in world.log.lines)
        assert wire.ok("SEARCH BODY you") == [b"* SEARCH 1 3"]


def test_damage_in_the_middle_of_a_literal_ends_the_connection(world: World) -> None:
    bad = noise(3_000_000)
    with world.client(select="INBOX") as wire:
        wire.append(message("bad", bad))
        os.sync()
        damage(world, bad[-1000:-950])
        with pytest.raises((EOFError, OSError)):
            wire.run("FETCH 1 (BODY.PEEK[])")
    with world.client(select="INBOX") as wire:
        wire.ok("FETCH 1 (ENVELOPE)")


def test_a_store_that_cannot_write_answers_no(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with world.client(select="INBOX") as wire:
        wire.append(message())

        async def full(*_: object, **__: object) -> None:
            raise UnavailableError("disk full")

        for name in ("store_flags", "deliver", "copy", "move", "expunge", "create_mailbox", "subscribe"):
            monkeypatch.setattr(world.store, name, full)
        for command in (
            "STORE 1 +FLAGS (\\Seen)",
            "FETCH 1 (BODY[])",
            "COPY 1 Sent",
            "MOVE 1 Sent",
            "EXPUNGE",
            "CREATE x",
            "UNSUBSCRIBE Sent",
        ):
            assert b"[UNAVAILABLE]" in wire.no(command), command
        assert b"[UNAVAILABLE]" in wire.no("APPEND INBOX {}", message("two"))
        monkeypatch.undo()
        wire.append(message("two"))
        assert wire.ok("FETCH 1:* UID") == [b"* 1 FETCH (UID 1)", b"* 2 FETCH (UID 2)"]
        assert not any(b"disk full" in repr(line).encode() for line in wire.ok("NOOP"))
