"""SEARCH of whole mailboxes looks into columns: it finds what it finds message by message."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.corpus import SUBJECT_NEEDLE, mixed_corpus
from tests.support.imap_world import Wire, World, message

CORPUS = sorted((Path(__file__).parents[2] / "corpus").glob("*.eml"))
STRINGS = (
    "",
    SUBJECT_NEEDLE,
    "budget",
    "straße",
    "STRASSE",
    "東京",
    "person13@example.net",
    "lefevre",
    "Lefèvre",
    "mixed-7@",
    "<",
    "é",
)
FIELDS = (
    "SUBJECT",
    "FROM",
    "TO",
    "CC",
    "BCC",
    "HEADER Sender",
    "HEADER Reply-To",
    "HEADER Date",
    "HEADER In-Reply-To",
    "HEADER Message-ID",
)
DAYS = ("SENTON 14-Nov-2023", "SENTBEFORE 15-Nov-2023", "SENTSINCE 15-Nov-2023", "NOT SENTSINCE 1-Jan-2020")
FEW = 30


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("columns")) as world:
        undated = b"From: a@example.org\r\nSubject: undated\r\n\r\nx\r\n"
        world.deliver(*mixed_corpus(120, mean_bytes=1_000), *(path.read_bytes() for path in CORPUS), undated)
        yield world


def ask(wire: Wire, key: str, *strings: str) -> set[bytes]:
    lines = wire.ok(f"UID SEARCH CHARSET UTF-8 {key}{' {}' * len(strings)}".encode(), *(s.encode() for s in strings))
    (found,) = [line for line in lines if line.startswith(b"* SEARCH")]
    return set(found.split()[2:])


def in_parts(wire: Wire, key: str, *strings: str) -> set[bytes]:
    """So few at once that each message is read."""
    count = int(next(line for line in wire.ok("STATUS INBOX (MESSAGES)")).split()[-1].rstrip(b")"))
    found: set[bytes] = set()
    for first in range(1, count + 1, FEW):
        found |= ask(wire, f"{first}:{min(first + FEW - 1, count)} {key}", *strings)
    return found


def test_texts(world: World) -> None:
    with world.client(select="INBOX") as wire:
        hits = 0
        for field in FIELDS:
            for string in STRINGS:
                found = ask(wire, field, string)
                assert found == in_parts(wire, field, string), (field, string)
                hits += bool(found)
        assert hits > 30


def test_days(world: World) -> None:
    with world.client(select="INBOX") as wire:
        for key in DAYS:
            found = ask(wire, key)
            assert found == in_parts(wire, key), key
            assert found or key.startswith("NOT")


def test_what_comes_and_what_goes(world: World) -> None:
    with world.client(select="INBOX") as wire, world.client(select="INBOX") as other:
        assert not ask(wire, "SUBJECT pristine")
        uid = b"%d" % world.deliver(message("So pristine", b"x\r\n"))[0]
        wire.ok("NOOP")
        other.ok("NOOP")
        assert ask(wire, "SUBJECT pristine") == {uid}
        assert ask(other, "SUBJECT pristine") == {uid}
        other.ok(f"UID STORE {uid.decode()} +FLAGS.SILENT (\\Deleted)")
        other.ok("EXPUNGE")
        assert ask(wire, "NOT SUBJECT zzz SUBJECT pristine") == set()
        assert ask(wire, "SUBJECT pristine") == set()


def test_flags_found_are_those_of_now(world: World) -> None:
    with world.client(select="INBOX") as wire, world.client(select="INBOX") as other:
        before = ask(wire, "FLAGGED")
        assert ask(wire, "FLAGGED") == before
        other.ok("STORE 2,4:6 +FLAGS.SILENT (\\Flagged)")
        assert ask(wire, "FLAGGED") == before | {b"2", b"4", b"5", b"6"} == ask(other, "FLAGGED")
        assert len(ask(wire, "UNFLAGGED")) + len(ask(wire, "FLAGGED")) == len(ask(wire, "ALL"))
        other.ok("STORE 4 -FLAGS.SILENT (\\Flagged)")
        assert ask(wire, "FLAGGED") == before | {b"2", b"5", b"6"}
