"""Clients that are cut off at any moment and resync (RFC 7162 §6): what they then know is the truth, by what they were told alone."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.imap_world import Wire, World, message


@pytest.fixture(params=["one process", "two processes"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[World, World]]:
    with World(tmp_path) as first:
        if request.param == "one process":
            yield first, first
            return
        with World(tmp_path) as second:
            yield first, second


def members(text: bytes) -> list[int]:
    found: list[int] = []
    for part in text.split(b","):
        first, _, last = part.partition(b":")
        found += range(int(first), int(last or first) + 1)
    return found


class Resyncing:
    """A client as RFC 7162 §6 wants it: it keeps flags by UID, and the modseq up to which it knows everything."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.flags: dict[int, frozenset[bytes]] = {}
        self.uids: list[int | None] = []
        self.modseq = 1
        self.validity = 1
        self.wire = self.connect()

    def connect(self) -> Wire:
        wire = self.wire = self.world.client()
        wire.ok("ENABLE QRESYNC")
        untagged, tagged = wire.run(f"SELECT INBOX (QRESYNC ({self.validity} {self.modseq}))")
        assert tagged.startswith(b"OK")
        before = set(self.flags)
        self.uids = []
        self.take(untagged)
        # What was known and did not vanish is in its place, in front of what is new.
        known = sorted(before & set(self.flags))
        assert len(known) <= len(self.uids)
        for index, uid in enumerate(known):
            assert self.uids[index] in {None, uid}, (known, self.uids)
            self.uids[index] = uid
        self.learned(untagged, tagged)
        self.learn()
        return wire

    def cut(self) -> None:
        """The connection is lost. Messages behind one that was never looked at are as unknown as that one."""
        self.wire.socket.close()
        if None in self.uids:
            for uid in self.uids[self.uids.index(None) :]:
                self.flags.pop(uid or 0, None)
        self.connect()

    def learn(self) -> None:
        """RFC 7162 §6: new messages are the client's to look for."""
        if None in self.uids:
            before = self.uids[: self.uids.index(None)]
            self.run(f"UID FETCH {(before[-1] or 0) + 1 if before else 1}:* (UID FLAGS)")

    def take(self, untagged: list[bytes]) -> None:
        for line in untagged:
            word = line.split()
            if word[2:3] == [b"EXISTS"]:
                count = int(word[1])
                assert count >= len(self.uids), (line, self.uids)
                self.uids += [None] * (count - len(self.uids))
            elif word[1:3] == [b"VANISHED", b"(EARLIER)"]:
                for uid in members(word[3]):
                    assert uid not in self.uids
                    self.flags.pop(uid, None)
            elif word[1:2] == [b"VANISHED"]:
                for uid in members(word[2]):
                    if uid in self.uids:
                        self.uids.remove(uid)
                    else:  # it came, and was not looked at
                        behind = [i for i, known in enumerate(self.uids) if known is not None and known < uid]
                        unknown = self.uids.index(None, behind[-1] + 1 if behind else 0)
                        assert all(known is None or known > uid for known in self.uids[unknown:])
                        del self.uids[unknown]
                    self.flags.pop(uid, None)
            elif word[2:3] == [b"FETCH"]:
                index = int(word[1]) - 1
                uid_told = re.search(rb"UID (\d+)", line)
                assert uid_told, line
                uid = int(uid_told[1])
                assert self.uids[index] in {None, uid}, (line, self.uids)
                flags = re.search(rb"FLAGS \(([^)]*)\)", line)
                if flags:
                    self.uids[index] = uid
                    self.flags[uid] = frozenset(flags[1].split()) - {b"\\Recent"}
            assert word[2:3] != [b"EXPUNGE"]

    def learned(self, untagged: list[bytes], tagged: bytes) -> None:
        """RFC 7162 §6: HIGHESTMODSEQ counts if it was told, else the highest MODSEQ."""
        codes = [
            int(number) for line in [*untagged, tagged] for number in re.findall(rb"\[HIGHESTMODSEQ (\d+)\]", line)
        ]
        seen = [int(number) for line in untagged for number in re.findall(rb"MODSEQ \((\d+)\)", line)]
        self.modseq = codes[-1] if codes else max([self.modseq, *seen])

    def run(self, command: str, *literals: bytes) -> None:
        untagged, tagged = self.wire.run(command, *literals)
        self.take(untagged)
        self.learned(untagged, tagged)
        assert tagged.startswith((b"OK", b"NO [EXPUNGEISSUED]", b"BAD No message")), (command, tagged)


def act(client: Resyncing, dice: random.Random) -> None:
    count = len(client.uids)
    number = dice.randint(1, count) if count else 1
    last = dice.randint(number, max(number, count))
    flag = dice.choice(["\\Seen", "\\Flagged", "\\Answered", "\\Deleted"])
    sign = dice.choice("+-")
    commands = {
        f"FETCH {number}:{last} (UID FLAGS MODSEQ)": 4,
        f"FETCH {number} (UID MODSEQ)": 2,
        f"STORE {number}:{last} {sign}FLAGS ({flag})": 8,
        "NOOP": 1,
        "EXPUNGE": 2,
        f"MOVE {number} INBOX": 2,
        f"COPY {number} INBOX": 1,
        f"SEARCH {number}": 2,
        f"UID SEARCH {number}": 2,
        "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 5 VANISHED)": 2,
        f"FETCH {number} (UID BODY[TEXT])": 2,
    }
    if dice.random() < 0.1:
        client.run("APPEND INBOX {}", message(str(dice.random())))
    elif dice.random() < 0.2:
        client.cut()
    else:
        client.run(dice.choices(list(commands), list(commands.values()))[0])
        if dice.random() < 0.7:
            client.learn()


@pytest.mark.parametrize("seed", range(5))
def test_a_lost_connection_loses_nothing(pair: tuple[World, World], seed: int) -> None:
    dice = random.Random(seed)
    one, other = pair
    one.deliver(*(message(str(n)) for n in range(8)))
    clients = [Resyncing(one), Resyncing(other), Resyncing(other)]
    for _ in range(90):
        act(dice.choice(clients), dice)
    with one.client(select="INBOX") as judge:
        lines = judge.ok("FETCH 1:* (UID FLAGS)")
    truth = {}
    for line in lines:
        uid, flags = re.search(rb"UID (\d+) FLAGS \(([^)]*)\)", line).groups()  # type: ignore[union-attr]
        truth[int(uid)] = frozenset(flags.split()) - {b"\\Recent"}
    for client in clients:
        client.cut()
        assert client.uids == list(truth)
        assert client.flags == truth
        client.wire.socket.close()


def test_many_changes(tmp_path: Path) -> None:
    """More runs of messages than are asked for one by one, in the set and in what changed."""
    with World(tmp_path) as world:
        world.deliver(*[message()] * 5)
        with world.client(select="INBOX") as wire:
            for _ in range(9):
                wire.ok("COPY 1:* INBOX")
            wire.ok("ENABLE QRESYNC")
            modseq = int(wire.ok("STATUS INBOX (HIGHESTMODSEQ)")[0].split()[-1].strip(b")"))
            count = 5 << 9
            odd = ",".join(map(str, range(1, count, 2)))
            wire.ok(f"STORE {odd} +FLAGS.SILENT (\\Flagged)")
            said = wire.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")
            assert [int(line.split()[1]) for line in said] == list(range(1, count, 2))
            said = wire.ok(f"UID FETCH 3:5,8:* (FLAGS) (CHANGEDSINCE {modseq})")
            assert [int(line.split()[1]) for line in said] == [3, 5, *range(9, count, 2)]
            wire.ok(f"STORE {odd} +FLAGS.SILENT (\\Deleted)")
            assert wire.ok("EXPUNGE") == [b"* VANISHED " + odd.encode()]
            said = wire.ok(f"UID FETCH 2:7 (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")
            assert said == [b"* VANISHED (EARLIER) 3,5,7"]
