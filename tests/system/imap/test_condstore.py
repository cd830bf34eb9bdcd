"""Which commands enable CONDSTORE, and what is told from then on (RFC 7162 §3.1, §3.2.4)."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.imap_world import Wire, World, message


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        world.deliver(message("1"), message("2"))
        yield world


def is_enabled(ada: Wire, world: World) -> bool:
    """Does it hear of another one's change with MODSEQ?"""
    with world.client(select="INBOX") as eve:
        eve.ok("STORE 1 +FLAGS (\\Answered)")
    (told,) = [line for line in ada.ok("NOOP") if b"FETCH" in line]
    return b"MODSEQ (" in told and b"UID 1 " in told


@pytest.mark.parametrize(
    ("command", "enables"),
    [
        ("NOOP", False),
        ("FETCH 1 (UID FLAGS)", False),
        ("STATUS INBOX (MESSAGES MAILBOXID)", False),
        ("STATUS INBOX (HIGHESTMODSEQ)", True),
        ("FETCH 1 MODSEQ", True),
        ("FETCH 1 FLAGS (CHANGEDSINCE 1)", True),
        ("SEARCH MODSEQ 1", True),
        ("STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)", True),
        ("SELECT INBOX (CONDSTORE)", True),
        ("ENABLE CONDSTORE", True),
    ],
)
def test_what_enables_it(world: World, command: str, enables: bool) -> None:
    with world.client(select="INBOX") as ada:
        ada.ok(command)
        assert is_enabled(ada, world) is enables


def test_a_store_that_is_refused_enables_it_too(world: World) -> None:
    with world.client() as ada:
        ada.ok("EXAMINE INBOX")
        ada.no("STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)")
        assert is_enabled(ada, world)


@pytest.mark.parametrize("items", ["BODY[TEXT]", "(FLAGS BODY[TEXT])", "(UID FLAGS BODY[TEXT])", "(UID BODY[TEXT])"])
def test_seen_by_a_fetch_is_told_with_uid_and_modseq(world: World, items: str) -> None:
    with world.client(select="INBOX") as ada:
        ada.ok("ENABLE CONDSTORE")
        (told,) = ada.ok(f"FETCH 1 {items}")
        for item in (b"UID 1", b"FLAGS (\\Seen", b"MODSEQ ("):
            assert told.count(item) == 1
        (again,) = ada.ok(f"FETCH 1 {items}")
        assert b"MODSEQ" not in again


def modseq_of(world: World, item: str) -> bytes:
    with world.client(select="INBOX") as eve:
        found = re.search(rb"MODSEQ \(?(\d+)\)", b"".join(eve.ok(item)))
        assert found is not None
        return found[1]


def test_the_first_enabling_command_tells_where_the_mailbox_is(world: World) -> None:
    """RFC 7162 §3.1."""
    told = b"* OK [HIGHESTMODSEQ %b] Highest" % modseq_of(world, "STATUS INBOX (HIGHESTMODSEQ)")
    with world.client(select="INBOX") as ada:
        assert told in ada.ok("FETCH 1 MODSEQ")
        assert not any(b"HIGHESTMODSEQ" in line for line in ada.ok("FETCH 2 MODSEQ"))
    with world.client(select="INBOX") as ada:
        assert told in ada.ok("ENABLE CONDSTORE")


def test_sort_by_modseq_tells_the_highest(world: World) -> None:
    """RFC 7162 §3.1.9."""
    with world.client(select="INBOX") as ada:
        ada.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
        one, two = (modseq_of(world, f"FETCH {number} MODSEQ") for number in (1, 2))
        assert ada.ok("SORT (SUBJECT) UTF-8 MODSEQ 1")[-1] == b"* SORT 1 2 (MODSEQ %b)" % one
        assert ada.ok("UID SORT (SUBJECT) UTF-8 MODSEQ 1 UID 2")[-1] == b"* SORT 2 (MODSEQ %b)" % two
        assert ada.ok("SORT (ARRIVAL) UTF-8 MODSEQ 99") == [b"* SORT"]
        assert ada.ok("SORT (SUBJECT) UTF-8 ALL") == [b"* SORT 1 2"]


def test_search_leaves_out_what_is_gone(world: World) -> None:
    with world.client(select="INBOX") as ada, world.client(select="INBOX") as eve:
        ada.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        ada.ok("EXPUNGE")
        assert eve.ok("SEARCH NOT BODY xyzzy")[-1] == b"* SEARCH 2"
