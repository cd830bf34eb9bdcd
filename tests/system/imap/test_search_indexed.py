"""SEARCH with the index finds what it finds without, over the wire."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.corpus import BODY_NEEDLE, SUBJECT_NEEDLE, mixed_corpus
from poterne.app.searching import Indexing
from poterne.config.search import Search
from poterne.store.sqlite.search_file import SEARCH_NAME
from tests.support.imap_world import Wire, World, message
from tests.support.lines import Lines

CORPUS = sorted((Path(__file__).parents[2] / "corpus").glob("*.eml"))
STRINGS = (
    BODY_NEEDLE,
    SUBJECT_NEEDLE,
    "budget",
    "BUDGET review",
    "ee",
    "e",
    "x y",
    "straße",
    "STRASSE",
    "žluťoučký",
    "東京",
    "réunion",
    "reunion",
    "person13@example.net",
    "Chloé Lefèvre",
    "lefevre",
    "mixed-7@",
    "dkim-signature",
    "application/pdf",
    "boundary",
    "rapport annuel é",
    "nowhere at all",
    "</html>",
    "the",
    "<br>",
)
FIELDS = ("SUBJECT", "FROM", "TO", "CC", "HEADER Message-ID", "HEADER X-Mailer", "HEADER Received", "BODY", "TEXT")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("indexed")) as world:
        world.deliver(*mixed_corpus(120, mean_bytes=6_000), *(path.read_bytes() for path in CORPUS))
        yield world


def search(wire: Wire, key: str, string: str) -> bytes:
    (found,) = wire.ok(f"SEARCH CHARSET UTF-8 {key} {{}}".encode(), string.encode())
    return found


def index(world: World) -> int:
    indexing = Indexing(world.store, Search(cpu_percent=100), Lines())
    return world.call(indexing.once())


def test_it_is_the_same(world: World) -> None:
    with world.client(select="INBOX") as wire:
        before = {(key, string): search(wire, key, string) for key in FIELDS for string in STRINGS}
        assert not (world.folder / "data" / SEARCH_NAME).exists()
        assert index(world) == 120 + len(CORPUS)
        after = {(key, string): search(wire, key, string) for key in FIELDS for string in STRINGS}
        assert after == before
        assert sum(found != b"* SEARCH" for found in before.values()) > 50
        assert search(wire, "NOT BODY", BODY_NEEDLE) != b"* SEARCH"
        both = wire.ok(f"SEARCH OR BODY {BODY_NEEDLE} SUBJECT {SUBJECT_NEEDLE}")
        assert both != [b"* SEARCH"]


def test_new_copied_and_expunged_messages(world: World) -> None:
    with world.client(select="INBOX") as wire:
        index(world)
        uid = world.deliver(message("Fresh", b"something pristine\r\n"))[0]
        wire.ok("NOOP")
        assert b"* SEARCH %d" % uid in wire.ok("UID SEARCH BODY pristine")
        wire.ok(f"UID COPY {uid} Sent")
        world.deliver(*(message(f"More {n}", b"of the same\r\n") for n in range(40)))
        assert index(world) == 41
        wire.ok("NOOP")
        assert b"* SEARCH %d" % uid in wire.ok("UID SEARCH BODY pristine")
        wire.ok(f"UID STORE {uid} +FLAGS.SILENT (\\Deleted)")
        wire.ok("EXPUNGE")
        assert wire.ok("UID SEARCH BODY pristine") == [b"* SEARCH"]
        wire.ok("SELECT Sent")
        assert wire.ok("UID SEARCH TEXT pristine") == [b"* SEARCH 1"]
