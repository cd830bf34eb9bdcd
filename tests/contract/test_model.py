"""Any sequence of operations against a model of dictionaries."""

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from poterne.values.ids import MailboxId, ModSeq
from poterne.values.mailbox import FlagChange, UidRange
from tests.support.stores import AT, ENGINES, Clock, World

T = TypeVar("T")

UIDS = st.lists(st.integers(1, 12), min_size=1, max_size=4, unique=True).map(sorted)
FLAGS = st.sampled_from([0, 1, 4, 8, 9, 13, 1 << 8, (1 << 8) | 1, 1 << 62])


def ranges(uids: list[int], open_end: bool) -> tuple[UidRange, ...]:
    made = [UidRange(uid, uid) for uid in uids]
    if open_end:
        made[-1] = UidRange(uids[-1], None)
    return tuple(made)


def among(uids: list[int], open_end: bool, there: dict[int, tuple[int, bytes]]) -> list[int]:
    return sorted(uid for uid in there if uid in uids or (open_end and uid >= uids[-1]))


class View:
    """What a client knows of a mailbox, kept up to date by `changes` only."""

    def __init__(self) -> None:
        self.since = ModSeq(0)
        self.flags: dict[int, int] = {}


class Mailboxes(RuleBasedStateMachine):
    engine = ""

    @initialize()
    def open(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.scratch = tempfile.TemporaryDirectory()
        folder = Path(self.scratch.name)
        clock = Clock()
        self.world = World(ENGINES[self.engine](folder, clock), folder, clock)
        self.run(self.world.settle())
        self.model: list[dict[int, tuple[int, bytes]]] = [{}, {}]
        self.next = [1, 1]
        self.views = [View(), View()]
        self.ids = [MailboxId(1), self.run(self.world.named("Work")).id]
        self.highest = 0
        self.number = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @rule(box=st.integers(0, 1), flags=FLAGS)
    def deliver(self, box: int, flags: int) -> None:
        self.number += 1
        body = b"message %d" % self.number
        appended = self.run(self.world.deliver(body, to=self.ids[box], flags=flags))
        assert appended.uid == self.next[box]
        self.model[box][self.next[box]] = (flags, body)
        self.next[box] += 1

    @rule(box=st.integers(0, 1), uids=UIDS, open_end=st.booleans(), change=st.sampled_from(FlagChange), flags=FLAGS)
    def store(self, box: int, uids: list[int], open_end: bool, change: FlagChange, flags: int) -> None:
        self.run(self.world.store.store_flags(self.world.alice, self.ids[box], ranges(uids, open_end), change, flags))
        for uid in among(uids, open_end, self.model[box]):
            old, body = self.model[box][uid]
            new = {FlagChange.ADD: old | flags, FlagChange.REMOVE: old & ~flags, FlagChange.REPLACE: flags}[change]
            self.model[box][uid] = (new, body)

    @rule(
        source=st.integers(0, 1), destination=st.integers(0, 1), uids=UIDS, open_end=st.booleans(), moving=st.booleans()
    )
    def copy_or_move(self, source: int, destination: int, uids: list[int], open_end: bool, moving: bool) -> None:
        call = self.world.store.move if moving else self.world.store.copy
        found = self.run(call(self.world.alice, self.ids[source], ranges(uids, open_end), self.ids[destination], AT))
        wanted = among(uids, open_end, self.model[source])
        placed = list(range(self.next[destination], self.next[destination] + len(wanted)))
        assert (list(found.source), list(found.destination)) == (wanted, placed)
        for uid, new in zip(wanted, placed, strict=True):
            self.model[destination][new] = self.model[source][uid]
            if moving:
                del self.model[source][uid]
        self.next[destination] += len(wanted)

    @rule(box=st.integers(0, 1), uids=UIDS, open_end=st.booleans(), everything=st.booleans())
    def expunge(self, box: int, uids: list[int], open_end: bool, everything: bool) -> None:
        asked = None if everything else ranges(uids, open_end)
        gone = self.run(self.world.store.expunge(self.world.alice, self.ids[box], asked))
        candidates = sorted(self.model[box]) if everything else among(uids, open_end, self.model[box])
        assert gone == [uid for uid in candidates if self.model[box][uid][0] & 8]
        for uid in gone:
            del self.model[box][uid]

    @rule(box=st.integers(0, 1))
    def look(self, box: int) -> None:
        """A client that was away for some time catches up."""
        view = self.views[box]
        found = self.run(self.world.store.changes(self.world.alice, self.ids[box], view.since))
        for uid in found.vanished:
            view.flags.pop(uid, None)
        for row in found.changed:
            assert row.modseq > view.since
            view.flags[row.uid] = row.flags
        view.since = found.highest_modseq
        assert view.flags == {uid: flags for uid, (flags, _) in self.model[box].items()}
        assert found.uid_next == self.next[box]

    @rule()
    def compact(self) -> None:
        self.world.clock.now += 1000
        self.run(self.world.store.compact())

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def as_in_the_model(self) -> None:
        self.run(self.world.consistent())
        for box, there in enumerate(self.model):
            wide = self.world.store.contents(self.world.alice, self.ids[box], (UidRange(1, None),))
            found = {
                row.uid: (flags, self.world.store.blobs.read(row.blob))
                for row, flags in zip(wide, self.world.flags(self.ids[box]).values(), strict=True)
            }
            assert found == there
        highest = max(box.highest_modseq for box in self.run(self.world.store.mailboxes(self.world.alice)))
        assert highest >= self.highest
        self.highest = highest

    def teardown(self) -> None:
        if hasattr(self, "world"):
            assert self.run(self.world.store.check()) == []
            self.run(self.world.store.close())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
            self.scratch.cleanup()


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_mailboxes_as_a_model(engine: str) -> None:
    machine = type("Machine", (Mailboxes,), {"engine": engine})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
