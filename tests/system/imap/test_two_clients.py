"""Several clients on one mailbox: in one process, where commits wake others, and in two, where only the store is shared."""

import random
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from poterne.store.sqlite import uidset
from tests.support.imap_world import Wire, World, message


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


@pytest.fixture(params=["one process", "two processes"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[World, World]]:
    with World(tmp_path) as first:
        if request.param == "one process":
            yield first, first
            return
        with World(tmp_path) as second:
            yield first, second


def test_flags_and_mail_are_seen_by_the_other(pair: tuple[World, World]) -> None:
    one, other = pair
    one.deliver(message(), message("two"))
    with one.client(select="INBOX") as ada, other.client(select="INBOX") as eve:
        ada.ok("STORE 1 +FLAGS.SILENT (\\Seen $Label1)")
        said = eve.ok("NOOP")
        assert any(line.startswith(b"* FLAGS") and b"$Label1" in line for line in said)
        assert any(line.startswith(b"* 1 FETCH (FLAGS (\\Seen") and b"$Label1" in line for line in said)
        assert eve.ok("NOOP") == []
        eve.append(message("three"))
        assert b"* 3 EXISTS" in ada.ok("NOOP")
        assert ada.ok("NOOP") == []


def test_expunge_is_held_back_from_fetch(pair: tuple[World, World]) -> None:
    one, other = pair
    one.deliver(*(message(f"n{i}") for i in range(5)))
    with one.client(select="INBOX") as ada, other.client(select="INBOX") as eve:
        ada.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
        ada.ok("EXPUNGE")
        # Numbers must not move under a FETCH, STORE or SEARCH by number (RFC 9051 §7.5.1).
        for command in ("FETCH 4 UID", "SEARCH 3", "STORE 5 +FLAGS.SILENT (\\Flagged)"):
            assert not any(b"EXPUNGE" in line for line in eve.ok(command)), command
        assert eve.ok("FETCH 4 UID")[-1] == b"* 4 FETCH (UID 4)"
        untagged, tagged = eve.run("FETCH 1:3 UID")
        assert tagged.startswith(b"NO [EXPUNGEISSUED]")
        assert [line for line in untagged if b"UID" in line] == [b"* 1 FETCH (UID 1)", b"* 3 FETCH (UID 3)"]
        # UID commands may tell it.
        said = eve.ok("UID FETCH 5 UID")
        if b"* 2 EXPUNGE" not in said:
            assert b"* 2 EXPUNGE" in eve.ok("NOOP")
        assert eve.ok("FETCH 1:* UID") == [b"* %d FETCH (UID %d)" % pair for pair in enumerate([1, 3, 4, 5], 1)]


def test_gone_messages_in_store_copy_move_search(world: World) -> None:
    world.deliver(*(message(f"n{i}") for i in range(4)))
    with world.client(select="INBOX") as ada, world.client(select="INBOX") as eve:
        ada.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
        ada.ok("EXPUNGE")
        assert b"[EXPUNGEISSUED]" in eve.no("STORE 1:2 +FLAGS.SILENT (\\Flagged)")
        assert eve.ok("SEARCH ALL")[-1] == b"* SEARCH 1 3 4"
        assert eve.ok("SEARCH NOT FLAGGED")[-1] == b"* SEARCH 3 4"
        untagged, tagged = eve.run("COPY 1:3 Sent")
        assert re.fullmatch(rb"OK \[COPYUID \d+ 1,3 1:2\] Copied", tagged)
        assert b"* 2 EXPUNGE" in untagged


def test_exists_before_a_held_back_expunge(world: World) -> None:
    """A new message's number counts those that are gone and not told."""
    world.deliver(message("1"), message("2"))
    with world.client(select="INBOX") as ada, world.client(select="INBOX") as eve:
        ada.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        ada.ok("EXPUNGE")
        world.deliver(message("3"))
        said = eve.ok("FETCH 2 UID")
        assert b"* 3 EXISTS" in said
        assert eve.ok("FETCH 2:3 UID") == [b"* 2 FETCH (UID 2)", b"* 3 FETCH (UID 3)"]
        assert eve.ok("NOOP") == [b"* 1 EXPUNGE"]


def test_silent_store_still_tells_the_other_ones_change(pair: tuple[World, World]) -> None:
    one, other = pair
    one.deliver(message())
    with one.client(select="INBOX") as ada, other.client(select="INBOX") as eve:
        ada.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
        said = eve.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
        shown = b" ".join(said + eve.ok("NOOP"))
        assert b"\\Flagged" in shown
        assert b"\\Flagged" in eve.ok("FETCH 1 FLAGS")[0]
        assert b"\\Seen" in eve.ok("FETCH 1 FLAGS")[0]


def test_own_change_is_told_once(world: World) -> None:
    world.deliver(message())
    with world.client(select="INBOX") as ada, world.client(select="INBOX"):
        assert ada.ok("STORE 1 +FLAGS.SILENT (\\Flagged)") == []
        assert ada.ok("NOOP") == []
        assert len(ada.ok("STORE 1 -FLAGS (\\Flagged)")) == 1
        assert ada.ok("NOOP") == []


def test_a_store_that_changes_nothing_does_not_hide_the_others_change(pair: tuple[World, World]) -> None:
    one, other = pair
    one.deliver(message("1"), message("2"))
    with one.client(select="INBOX") as ada, other.client(select="INBOX") as eve:
        ada.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
        said = eve.ok("STORE 2 -FLAGS.SILENT (\\Flagged)") + eve.ok("NOOP")
        assert any(line.startswith(b"* 1 FETCH (FLAGS (\\Flagged") for line in said)


def test_idle_tells_at_once(world: World) -> None:
    with world.client(select="INBOX") as ada:
        ada.send(b"i IDLE\r\n")
        assert ada.response().startswith(b"+")
        took = []
        for n in range(1, 6):
            began = time.monotonic()
            world.deliver(message(str(n)))
            assert ada.response() == b"* %d EXISTS" % n
            took.append(time.monotonic() - began)
            assert ada.response().endswith(b"RECENT")
        assert sorted(took)[2] < 0.5
        with world.client(select="INBOX") as eve:
            eve.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
            assert ada.response().startswith(b"* 1 FETCH (FLAGS (\\Deleted")
            assert ada.response().startswith(b"* 2 FETCH (FLAGS (\\Deleted")
            eve.ok("EXPUNGE")
            assert ada.response() == b"* 2 EXPUNGE"
            assert ada.response() == b"* 1 EXPUNGE"
        ada.send(b"DONE\r\n")
        assert ada.collect(b"i")[1].startswith(b"OK")
        assert len(ada.ok("FETCH 1:* UID")) == 3


def test_idle_starts_with_what_happened_before(pair: tuple[World, World]) -> None:
    one, other = pair
    with one.client(select="INBOX") as ada:
        other.deliver(message())
        ada.send(b"i IDLE\r\n")
        assert ada.response().startswith(b"+")
        assert ada.response() == b"* 1 EXISTS"
        ada.send(b"DONE\r\n")
        ada.collect(b"i")


def test_idle_without_a_mailbox(world: World) -> None:
    with world.client() as ada:
        ada.send(b"i IDLE\r\n")
        assert ada.response().startswith(b"+")
        ada.send(b"DONE\r\n")
        assert ada.collect(b"i") == ([], b"OK Idle ended")


def test_something_else_than_done(world: World) -> None:
    with world.client(select="INBOX") as ada:
        ada.send(b"i IDLE\r\n")
        ada.response()
        ada.send(b"x NOOP\r\n")
        assert b" BAD" in ada.response()
        world.deliver(message())
        assert b"* 1 EXISTS" in ada.ok("NOOP")


def test_recent_belongs_to_one(world: World) -> None:
    world.deliver(message())
    with world.client(select="INBOX") as ada, world.client(select="INBOX") as eve:
        assert b"\\Recent" in ada.ok("FETCH 1 FLAGS")[0]
        assert b"\\Recent" not in eve.ok("FETCH 1 FLAGS")[0]
        world.deliver(message("2"))
        assert b"* 1 RECENT" in eve.ok("NOOP")
        assert b"* 1 RECENT" in ada.ok("NOOP")
        assert eve.ok("SEARCH RECENT") == [b"* SEARCH 2"]
        assert ada.ok("SEARCH NEW") == [b"* SEARCH 1"]
    with world.client(select="INBOX") as eve:
        assert b"\\Recent" not in b"".join(eve.ok("FETCH 1:2 FLAGS"))


@pytest.mark.parametrize("many", [False, True])
def test_recent_of_some(world: World, monkeypatch: pytest.MonkeyPatch, *, many: bool) -> None:
    """Whatever way an answer is made, the same messages are \\Recent: those that this session was told of first."""
    if many:
        monkeypatch.setattr(uidset, "few", lambda *_: False)
    world.deliver(*(message(str(n)) for n in range(40)))
    with world.client(select="INBOX"), world.client(select="INBOX") as eve:
        world.deliver(*(message(str(n)) for n in range(30)))
        assert b"* 30 RECENT" in eve.ok("NOOP")  # 41 to 70
        eve.ok("STORE 5,50,60 +FLAGS.SILENT (\\Flagged)")
        for again in range(3):  # what does not change is kept, and not read the third time
            for items in (
                "FLAGS",
                "UID FLAGS",
                "FLAGS UID",
                "FLAGS RFC822.SIZE",
                "FLAGS INTERNALDATE",
                "FLAGS ENVELOPE",
            ):
                lines = eve.ok(f"FETCH 1:* ({items})")
                assert numbers_with(b"\\Recent", lines) == list(range(41, 71)), (items, again)
                assert numbers_with(b"\\Flagged", lines) == [5, 50, 60], items
            assert numbers_with(b"\\Recent", eve.ok("FETCH 30:45 (FLAGS)")) == [41, 42, 43, 44, 45]
            assert numbers_with(b"\\Recent", eve.ok("FETCH 45:50 (FLAGS)")) == [45, 46, 47, 48, 49, 50]
            assert numbers_with(b"\\Recent", eve.ok("FETCH 1:40 (FLAGS)")) == []
        for spans in ("1:*", "30:*", "50:*", "1:20,40,60:*"):
            for sign, having in (("+", True), ("-", False), ("", True), ("-", False)):
                lines = eve.ok(f"STORE {spans} {sign}FLAGS (\\Answered)")
                told = numbers_with(b"FETCH", lines)
                assert numbers_with(b"\\Recent", lines) == [n for n in told if n > 40]
                assert numbers_with(b"\\Answered", lines) == (told if having else [])
        lines = eve.ok("FETCH 1:* (FLAGS MODSEQ)")
        assert numbers_with(b"\\Recent", lines) == list(range(41, 71))


def numbers_with(word: bytes, lines: list[bytes]) -> list[int]:
    return [int(line.split()[1]) for line in lines if word in line]


def test_mailbox_deleted_under_a_client(world: World) -> None:
    with world.client() as ada, world.client() as eve:
        ada.ok("CREATE here")
        eve.ok("SELECT here")
        ada.ok("DELETE here")
        eve.send(b"x NOOP\r\n")
        assert eve.response().startswith(b"* BYE")
        with pytest.raises(EOFError):
            eve.response()


def test_renamed_under_a_client(world: World) -> None:
    with world.client() as ada, world.client() as eve:
        ada.ok("CREATE here")
        eve.ok("SELECT here")
        ada.ok("RENAME here there")
        world.deliver(message(), mailbox="there")
        assert b"* 1 EXISTS" in eve.ok("NOOP")


def test_shutdown_says_bye(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        ada = world.client(select="INBOX")
        ada.send(b"i IDLE\r\n")
        ada.response()
    assert ada.response().startswith(b"* BYE")
    ada.socket.close()


class Counting:
    """A client that keeps count, as a real one must: its list of UIDs follows from what it was told, and from nothing else."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.flags: dict[int, frozenset[bytes]] = {}
        self.uids: list[int | None] = []
        self.take(wire.ok("SELECT INBOX"))
        self.learn()

    def take(self, untagged: list[bytes]) -> None:
        for line in untagged:
            word = line.split()
            if word[2:3] == [b"EXISTS"]:
                count = int(word[1])
                assert count >= len(self.uids), (line, self.uids)
                self.uids += [None] * (count - len(self.uids))
            elif word[2:3] == [b"EXPUNGE"]:
                uid = self.uids.pop(int(word[1]) - 1)
                self.flags.pop(uid or 0, None)
            elif word[2:3] == [b"FETCH"]:
                index = int(word[1]) - 1
                assert index < len(self.uids), (line, self.uids)
                uid_told = re.search(rb"UID (\d+)", line)
                if uid_told:
                    uid = int(uid_told[1])
                    assert self.uids[index] in {None, uid}, (line, self.uids)
                    self.uids[index] = uid
                flags = re.search(rb"FLAGS \(([^)]*)\)", line)
                known = self.uids[index]
                if flags and known is not None:
                    self.flags[known] = frozenset(flags[1].split()) - {b"\\Recent"}

    def run(self, command: str) -> None:
        untagged, tagged = self.wire.run(command)
        self.take(untagged)
        assert tagged.startswith((b"OK", b"NO [EXPUNGEISSUED]", b"BAD No message")), (command, tagged)

    def learn(self) -> None:
        if None in self.uids:
            before = self.uids[: self.uids.index(None)]
            self.run(f"UID FETCH {(before[-1] or 0) + 1 if before else 1}:* (UID FLAGS)")


def act(client: Counting, dice: random.Random) -> None:
    count = len(client.uids)
    number = dice.randint(1, count) if count else 1
    last = dice.randint(number, max(number, count))
    flag = dice.choice(["\\Seen", "\\Flagged", "\\Answered", "\\Deleted"])
    sign = dice.choice("+-")
    # SILENT: the client itself is to know what it did, so the model does not use it.
    choices = [
        f"FETCH {number}:{last} (UID FLAGS)",
        f"STORE {number}:{last} {sign}FLAGS ({flag})",
        f"UID FETCH {(client.uids[number - 1] if count else None) or 1} (FLAGS)",
        "NOOP",
        "EXPUNGE",
        f"MOVE {number} INBOX",
        f"COPY {number} INBOX",
        f"SEARCH {(sign == '+' and 'SEEN') or 'UNSEEN'}",
        f"FETCH {number} (UID BODY[TEXT])",
    ]
    command = dice.choices(choices, [4, 8, 2, 2, 2, 2, 2, 1, 2])[0]
    if dice.random() < 0.15:
        untagged, tagged = client.wire.run("APPEND INBOX {}", message(str(dice.random())))
        assert tagged.startswith(b"OK")
        client.take(untagged)
    else:
        client.run(command)
    if dice.random() < 0.5:
        client.learn()


@pytest.mark.parametrize("seed", range(6))
def test_what_each_client_counts_is_what_is_there(pair: tuple[World, World], seed: int) -> None:
    """Three clients at random; each one's picture, made only of what it was told, is the truth in the end."""
    dice = random.Random(seed)
    one, other = pair
    one.deliver(*(message(str(n)) for n in range(8)))
    with one.client() as a, other.client() as b, other.client() as c:
        clients = [Counting(a), Counting(b), Counting(c)]
        for client in clients:
            client.run("FETCH 1:* (UID FLAGS)")
        for _ in range(80):
            act(dice.choice(clients), dice)
        with one.client(select="INBOX") as judge:
            lines = judge.ok("FETCH 1:* (UID FLAGS)") if judge.ok("STATUS INBOX (MESSAGES)") else []
        truth = {}
        for line in lines:
            uid, flags = re.search(rb"UID (\d+) FLAGS \(([^)]*)\)", line).groups()  # type: ignore[union-attr]
            truth[int(uid)] = frozenset(flags.split()) - {b"\\Recent"}
        for client in clients:
            client.run("NOOP")
            client.learn()
            assert client.uids == list(truth)
            assert client.flags == truth


def test_many_clients_at_the_same_time(world: World) -> None:
    """Nothing is lost or counted twice when all write at once."""
    world.deliver(*(message(str(n)) for n in range(20)))
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            dice = random.Random(seed)
            with world.client() as wire:
                client = Counting(wire)
                for _ in range(25):
                    act(client, dice)
                client.run("NOOP")
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
    with world.client() as wire:
        client = Counting(wire)
        status = wire.ok("STATUS INBOX (MESSAGES)")[0]
        assert status == b"* STATUS INBOX (MESSAGES %d)" % len(client.uids)


def test_append_goes_where_the_name_is_now(pair: tuple[World, World]) -> None:
    """A connection remembers which mailbox a name was: when that is renamed, deleted or made anew, it must not go by it."""
    one, other = pair

    def count(wire: Wire, name: str) -> int:
        return int(re.findall(rb"MESSAGES (\d+)", b"".join(wire.ok(f"STATUS {name} (MESSAGES)")))[0])

    with one.client() as ada, other.client() as eve:
        for selected in (False, True):
            ada.ok("CREATE Lists")
            if selected:
                ada.ok("SELECT Lists")
            ada.append(message(), "Lists")
            ada.append(message(), "Lists")
            eve.ok("RENAME Lists Old")
            assert b"[TRYCREATE]" in ada.no("APPEND Lists {}", message())
            eve.ok("CREATE Lists")
            tagged = ada.append(message("three"), "Lists")
            assert (count(eve, "Old"), count(eve, "Lists")) == (2, 1)
            validity = re.findall(rb"UIDVALIDITY (\d+)", b"".join(eve.ok("STATUS Lists (UIDVALIDITY)")))[0]
            assert b"[APPENDUID %b 1]" % validity in tagged
            eve.ok("DELETE Lists")
            eve.ok("CREATE Lists")
            ada.append(message("four"), "Lists")
            assert (count(eve, "Old"), count(eve, "Lists")) == (2, 1)
            eve.ok("DELETE Lists")
            eve.ok("DELETE Old")


def test_own_messages_are_told_as_others_are(pair: tuple[World, World]) -> None:
    one, other = pair
    with one.client(select="INBOX") as ada, other.client(select="INBOX") as eve:
        for number in range(1, 4):
            untagged, _ = ada.run("APPEND INBOX {}", message())
            assert untagged == [b"* %d EXISTS" % number, b"* %d RECENT" % number]
        assert b"* 3 EXISTS" in eve.ok("NOOP")
        eve.append(message())
        untagged, _ = ada.run("APPEND INBOX {}", message())  # something else happened: the store is asked
        assert untagged[0] == b"* 5 EXISTS"
        ada.ok("STORE 1,2 +FLAGS.SILENT (\\Deleted)")
        eve.ok("EXPUNGE")
        untagged, _ = ada.run("APPEND INBOX {}", message())
        assert b"* 4 EXISTS" in untagged
        assert [line for line in untagged if b"EXPUNGE" in line] == [b"* 2 EXPUNGE", b"* 1 EXPUNGE"]
        ada.ok("ENABLE IMAP4rev2")
        untagged, _ = ada.run("APPEND INBOX {}", message())
        assert untagged == [b"* 5 EXISTS"]
        assert len(ada.ok("FETCH 1:* (UID)")) == 5
