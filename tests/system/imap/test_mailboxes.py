"""Names over the wire: LIST in its forms, STATUS, and what may be done to a mailbox."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from poterne.store.errors import NotFoundError
from tests.support.imap_world import Wire, World, message


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


@pytest.fixture
def wire(world: World) -> Iterator[Wire]:
    with world.client() as wire:
        yield wire


def names(untagged: list[bytes]) -> list[bytes]:
    return [line.rsplit(b" ", 1)[1].strip(b'"') for line in untagged if line.startswith((b"* LIST", b"* LSUB"))]


def test_create_list_delete(wire: Wire) -> None:
    wire.ok("CREATE Projects/2026/")
    assert names(wire.ok('LIST "" *')) == [b"INBOX", b"Projects", b"Projects/2026", b"Sent", b"Trash"]
    assert names(wire.ok('LIST "" %')) == [b"INBOX", b"Projects", b"Sent", b"Trash"]
    assert names(wire.ok('LIST "Projects/" %')) == [b"Projects/2026"]
    assert names(wire.ok('LIST "" P*6')) == [b"Projects/2026"]
    assert names(wire.ok('LIST "" inbox')) == [b"INBOX"]
    assert wire.ok('LIST "" ""') == [b'* LIST (\\Noselect) "/" ""']
    wire.ok("DELETE Projects/2026")
    assert b"[NONEXISTENT]" in wire.no("DELETE Projects/2026")


def test_children_are_shown(wire: Wire) -> None:
    wire.ok("CREATE a/b")
    shown = wire.ok('LIST "" a*')
    assert b"\\HasChildren" in shown[0]
    assert b"\\HasNoChildren" in shown[1]


@pytest.mark.parametrize("name", ['""', "a//b", "/a", '"a*"', '"a%"', "../x", "a/./b", "INBOX"])
def test_names_that_cannot_be(wire: Wire, name: str) -> None:
    untagged, tagged = wire.run(f"CREATE {name}")
    assert tagged.startswith((b"NO", b"BAD")), (untagged, tagged)


def test_created_twice(wire: Wire) -> None:
    wire.ok("CREATE one")
    assert b"[ALREADYEXISTS]" in wire.no("CREATE one")


def test_special_use(wire: Wire) -> None:
    wire.ok("CREATE Old (USE (\\Archive))")
    assert b"[USEATTR]" in wire.no("CREATE Older (USE (\\Archive))")
    assert b"\\Archive" in wire.ok('LIST "" Old')[0]
    assert names(wire.ok('LIST (SPECIAL-USE) "" *')) == [b"Old", b"Sent", b"Trash"]


def test_names_outside_ascii(wire: Wire) -> None:
    wire.ok("CREATE Entw&APw-rfe")
    assert names(wire.ok('LIST "" E*')) == [b"Entw&APw-rfe"]
    wire.ok("ENABLE IMAP4rev2")
    assert 'Entwürfe"'.encode() in wire.ok('LIST "" E*')[0]
    wire.ok('SELECT "Entwürfe"'.encode())


def test_rename_takes_children_along(wire: Wire) -> None:
    wire.ok("CREATE a/b")
    wire.ok("RENAME a c")
    assert names(wire.ok('LIST "" c*')) == [b"c", b"c/b"]
    assert b"[ALREADYEXISTS]" in wire.no("RENAME c Sent")
    assert b"[CANNOT]" in wire.no("RENAME c c/d")
    assert b"[NONEXISTENT]" in wire.no("RENAME nothing x")


def test_rename_of_inbox_moves_its_messages(world: World, wire: Wire) -> None:
    world.deliver(message())
    wire.ok("SELECT INBOX")
    untagged = wire.ok("RENAME INBOX old-mail")
    assert b"* 1 EXPUNGE" in untagged
    assert b"* STATUS old-mail (MESSAGES 1)" in wire.ok("STATUS old-mail (MESSAGES)")
    assert b"* STATUS INBOX (MESSAGES 0)" in wire.ok("STATUS INBOX (MESSAGES)")


def test_inbox_cannot_go(wire: Wire) -> None:
    assert b"[CANNOT]" in wire.no("DELETE INBOX")


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("children", [False, True])
def test_who_has_selected_what_is_deleted_does_not_go_on_in_another_one(
    world: World, *, children: bool, again: bool
) -> None:
    """With children its name stays; another one of the name has another UIDVALIDITY, and is not continued in."""
    with world.client() as one, world.client() as resync, world.client() as other:
        one.ok("CREATE a/b" if children else "CREATE a")
        one.append(message("first"), "a")
        one.ok("SELECT a")
        resync.ok("ENABLE QRESYNC")
        resync.ok("SELECT a")
        other.ok("DELETE a")
        if again:
            other.ok("CREATE a")
            other.append(message("second"), "a")
        for wire in (one, resync):
            wire.send(b"x1 NOOP\r\n")
            assert wire.response() == b"* BYE The selected mailbox was deleted"


def test_what_is_noted_at_a_name_stays_when_it_is_a_mailbox_again(wire: Wire) -> None:
    wire.ok("CREATE a/b")
    wire.ok("DELETE a")
    noted = b'* METADATA a (/private/comment "minutes")'
    wire.ok('SETMETADATA a (/private/comment "minutes")')
    assert wire.ok("GETMETADATA a /private/comment") == [noted]
    wire.ok("CREATE a")
    assert wire.ok("GETMETADATA a /private/comment") == [noted]


def test_deleting_a_parent_leaves_its_name(wire: Wire) -> None:
    wire.ok("CREATE a/b")
    wire.ok("DELETE a")
    assert b"\\Noselect" in wire.ok('LIST "" a')[0]
    wire.no("SELECT a")
    assert b"[HASCHILDREN]" in wire.no("DELETE a")


def test_deleting_the_selected_mailbox_closes_it(wire: Wire) -> None:
    wire.ok("CREATE here")
    wire.ok("SELECT here")
    assert any(b"[CLOSED]" in line for line in wire.ok("DELETE here"))
    wire.bad("FETCH 1 FLAGS")


def test_subscriptions(wire: Wire) -> None:
    wire.ok("UNSUBSCRIBE Trash")
    wire.ok("CREATE lists/python")
    wire.ok("SUBSCRIBE lists/python")
    assert b"lists/python" in names(wire.ok('LSUB "" *'))
    assert b"Trash" not in names(wire.ok('LSUB "" *'))
    shown = wire.ok('LSUB "" %')
    assert b'* LSUB (\\Noselect) "/" lists' in shown
    wire.ok("DELETE lists/python")
    assert any(b"\\NonExistent" in line and b"lists/python" in line for line in wire.ok('LIST (SUBSCRIBED) "" *'))
    assert b"[NONEXISTENT]" in wire.no("SUBSCRIBE lists/nothing")


def test_list_extended(wire: Wire) -> None:
    wire.ok("CREATE a/b/c")
    wire.ok("SUBSCRIBE a/b/c")
    shown = wire.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" a')
    assert shown == [b'* LIST (\\HasChildren) "/" a ("CHILDINFO" ("SUBSCRIBED"))']
    assert names(wire.ok('LIST "" ("a" "Sent")')) == [b"Sent", b"a"] or names(wire.ok('LIST "" ("a" "Sent")')) == [
        b"a",
        b"Sent",
    ]
    assert b"\\Subscribed" in wire.ok('LIST "" Sent RETURN (SUBSCRIBED)')[0]


def test_list_status(world: World, wire: Wire) -> None:
    world.deliver(message(), message("two"))
    untagged = wire.ok('LIST "" INBOX RETURN (STATUS (MESSAGES UNSEEN SIZE))')
    assert untagged[0].startswith(b"* LIST")
    assert untagged[1].startswith(b"* STATUS INBOX (MESSAGES 2 UNSEEN 2 SIZE ")


def test_status_of_nothing(wire: Wire) -> None:
    assert b"[NONEXISTENT]" in wire.no("STATUS nothing (MESSAGES)")


def test_select_of_nothing_deselects(wire: Wire) -> None:
    wire.ok("SELECT INBOX")
    wire.no("SELECT nothing")
    wire.bad("FETCH 1 FLAGS")


def test_namespace(wire: Wire) -> None:
    assert wire.ok("NAMESPACE") == [b'* NAMESPACE (("" "/")) (("Other Users/" "/")) NIL']


@pytest.mark.parametrize("seen", [0, 1])
def test_the_first_unseen_message_wherever_it_is(world: World, wire: Wire, seen: int) -> None:
    """Looked for from the oldest or from the newest, as it was last time; what is told is always the same."""
    choice = random.Random(seen)
    unseen = [not seen] * 12
    world.deliver(*[message() for _ in unseen], flags=seen)
    for _ in range(60):
        number = choice.randrange(len(unseen))
        unseen[number] = choice.random() < (0.2 if seen else 0.8)
        wire.ok("SELECT INBOX")
        wire.ok(f"STORE {number + 1} {'-' if unseen[number] else '+'}FLAGS (\\Seen)")
        said = [line for line in wire.ok("SELECT INBOX") if b"[UNSEEN" in line]
        if any(unseen):
            assert said == [b"* OK [UNSEEN %d] First unseen" % (unseen.index(True) + 1)]
        else:
            assert not said


def test_select_says_what_a_client_needs(world: World, wire: Wire) -> None:
    world.deliver(message(), flags=1)
    world.deliver(message("two"))
    said = wire.ok("SELECT INBOX")
    assert b"* 2 EXISTS" in said
    assert b"* 2 RECENT" in said
    assert any(b"[UNSEEN 2]" in line for line in said)
    assert any(b"[UIDNEXT 3]" in line for line in said)
    assert any(b"[PERMANENTFLAGS" in line and b"\\*" in line for line in said)
    again = wire.ok("SELECT INBOX")
    assert any(b"[CLOSED]" in line for line in again)
    assert b"* 0 RECENT" in again


def test_select_in_rev2(world: World, wire: Wire) -> None:
    world.deliver(message())
    assert wire.ok("ENABLE IMAP4rev2 NONSENSE") == [b"* ENABLED IMAP4rev2"]
    said = wire.ok("SELECT INBOX")
    assert not any(b"RECENT" in line or b"UNSEEN" in line for line in said)
    assert any(line.startswith(b"* LIST") and line.endswith(b"INBOX") for line in said)


def test_examine_changes_nothing(world: World, wire: Wire) -> None:
    world.deliver(message())
    untagged, tagged = wire.run("EXAMINE INBOX")
    assert tagged.startswith(b"OK [READ-ONLY]")
    assert any(b"[PERMANENTFLAGS ()]" in line for line in untagged)
    assert b"* 1 RECENT" in untagged
    wire.ok("FETCH 1 BODY[]")
    wire.no("STORE 1 +FLAGS (\\Deleted)")
    wire.no("EXPUNGE")
    wire.no("MOVE 1 Trash")
    wire.ok("CLOSE")
    assert b"* 1 RECENT" in wire.ok("SELECT INBOX")
    assert wire.ok("FETCH 1 FLAGS") == [b"* 1 FETCH (FLAGS (\\Recent))"]


@pytest.mark.parametrize("pattern", ["*" * 500, "%*" * 200 + "x", "a*" * 300, "*%" * 300])
def test_patterns_cannot_take_long(wire: Wire, pattern: str) -> None:
    wire.ok("CREATE " + "/".join(["a" * 40] * 6))
    wire.ok(f'LIST "" "{pattern}"')


def test_a_mailbox_that_could_not_be_opened_leaves_nothing_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted just then, or the disk does not answer."""

    async def gone(*_: object) -> None:
        raise NotFoundError("no such mailbox")

    with world.client() as wire:
        wire.ok("CREATE a")
        with monkeypatch.context() as patch:
            patch.setattr(world.store, "uids", gone)
            for _ in range(3):
                assert wire.no("SELECT a").startswith(b"NO [NONEXISTENT]")
        wire.ok("SELECT a")
        assert len(world.service.notifier) == 1  # type: ignore[arg-type]
        wire.ok("UNSELECT")
        assert len(world.service.notifier) == 0  # type: ignore[arg-type]
