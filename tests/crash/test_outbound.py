"""A server is killed at random moments while it sends: nothing that it acknowledged is lost, and nothing comes twice in vain.

`ROUNDS` is how often (20 here, for each may wait for a new steward); `SEED` repeats the choices of a run.
"""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.people import LostError
from tests.crash.relaying import Mailbag, Relay, Senders, Sink, Submitter
from tests.crash.server import ACCOUNTS

pytestmark = [pytest.mark.crash, pytest.mark.timeout(3600)]

ROUNDS = int(os.environ.get("ROUNDS", "20"))
JUDGE_EVERY = 5
SENDERS = 4
SETTLE_S = 1.0
"""An answer that was read is written down within it, on a busy machine."""
ARRIVAL_S = 60.0
"""What was acknowledged has arrived, once nobody is killed any more."""
KILLS_PER_SLOT = 2
"""Of one process until the supervisor itself is next: a third death in a row would be answered with a pause, by design."""


class Rounds:
    """One run: rounds of mail and death, and the judging between them."""

    def __init__(self, server: Relay, seed: int) -> None:
        self.server = server
        self.chance = random.Random(seed)
        self.bag = Mailbag()
        self.senders = Senders(server, self.bag, random.Random(seed + 1), SENDERS)
        self.killed: Counter[int] = Counter()
        self.victims: Counter[str] = Counter()

    async def one(self) -> None:
        """Mail, a death, and service again."""
        load = asyncio.create_task(self.senders.run())
        await asyncio.sleep(self.chance.uniform(0.05, 0.6))
        victim, pid = self._victim()
        self.victims[victim] += 1
        if victim == "supervisor":
            await self._lose_supervisor()
        else:
            if victim == "steward":
                self.bag.deaths.append(time.monotonic())
            self.killed[pid] += 1
            self.server.kill_child(pid)
            await asyncio.sleep(self.chance.uniform(0.0, 0.3))
            await asyncio.to_thread(self.server.await_replacement, pid)
            self._inherit(pid)
        self.senders.on = False
        await load

    def _inherit(self, pid: int) -> None:
        """The successor stands where the killed one did."""
        (fresh,) = {self.server.steward, *self.server.workers} - set(self._alive)
        self.killed[fresh] = self.killed.pop(pid)

    def _victim(self) -> tuple[str, int]:
        server = self.server
        self._alive = (server.steward, *server.workers)
        (victim,) = self.chance.choices(["steward", "worker", "supervisor"], [6, 2, 1])
        pid = server.steward if victim == "steward" else self.chance.choice(server.workers)
        if victim == "supervisor" or self.killed[pid] >= KILLS_PER_SLOT:
            return "supervisor", server.pid
        return victim, pid

    async def _lose_supervisor(self) -> None:
        """Its children end by themselves, in order; half of the time they are killed as well, as when all power goes."""
        server = self.server
        if self.chance.random() < 0.5:
            self.bag.deaths.append(time.monotonic())
            children = [server.steward, *server.workers]
            await asyncio.to_thread(server.kill_all)
            await asyncio.to_thread(server.wait, lambda: not any(map(server.is_alive, children)), 15, "their end")
        else:
            orphans = asyncio.create_task(asyncio.to_thread(server.kill_supervisor))
            await asyncio.sleep(0.05)
            steward = server.steward
            await asyncio.to_thread(server.start)
            # What it could not finish in the time that it gave itself was given up, and is sent again.
            await orphans
            assert not server.is_alive(steward)
            self.bag.deaths.append(time.monotonic())
            self.killed.clear()
            return
        await asyncio.to_thread(server.start)
        self.killed.clear()

    async def judge(self) -> list[str]:
        """When all that was acknowledged has arrived, or will not, and the queue is empty."""
        until = time.monotonic() + ARRIVAL_S
        while time.monotonic() < until and (self.bag.missing() or await self._waiting()):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        wrong = self.bag.judge(SETTLE_S)
        waiting = await self._waiting()
        if waiting:
            wrong.append(f"{waiting} recipients still wait")
        return wrong

    async def _waiting(self) -> int:
        store = self.server.open_store()
        try:
            return await store.queue_depth()
        finally:
            await store.close()

    async def check_store(self) -> list[str]:
        store = self.server.open_store()
        try:
            return [f"check: {finding}" for finding in await store.check()]
        finally:
            await store.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Relay]:
    server = Relay(tmp_path / "instance")
    yield server
    server.kill_all()


def test_senders_are_killed_between_connect_and_the_last_answer(server: Relay, tell: Callable[[str], None]) -> None:
    seed = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1 << 30)
    tell(f"SEED={seed} ROUNDS={ROUNDS}")
    began = time.monotonic()
    server.start()
    rounds = Rounds(server, seed)
    asyncio.run(_all_rounds(rounds, seed))
    bag = rounds.bag
    acknowledged = sum(letter.acknowledged for letter in bag.letters.values())
    tell(
        f"{ROUNDS} rounds in {time.monotonic() - began:.0f} s, killed: {dict(rounds.victims)}; {len(bag.letters)} letters,"
        f" {acknowledged} acknowledged, none lost; {bag.duplicates} came twice, {bag.unheard} answers not heard, of which"
        f" {bag.thrown_away} messages thrown away"
    )
    assert acknowledged > 5 * ROUNDS
    assert [text for text in rounds.senders.refusals if "421 4.3.2 Shutting down" not in text] == []
    assert server.stop() == 0


async def _all_rounds(rounds: Rounds, seed: int) -> None:
    async with Sink(rounds.server.sink, rounds.bag, random.Random(seed + 2)) as sink:
        await _served(rounds.server)
        for number in range(1, ROUNDS + 1):
            await rounds.one()
            wrong = [repr(trouble) for trouble in sink.troubles]
            if number % JUDGE_EVERY == 0 or number == ROUNDS:
                wrong += await rounds.judge()
            if number == ROUNDS:
                wrong += await rounds.check_store()
            if wrong:
                told = "\n".join(wrong[:30])
                pytest.fail(f"SEED={seed}, round {number}:\n{told}\n--- server log\n{rounds.server.log_tail()}")


async def _served(server: Relay) -> None:
    """Somebody can sign in."""
    while True:
        try:
            (await Submitter.open(server.submissions, server.tls(), ACCOUNTS[0])).close()
        except LostError:
            await asyncio.sleep(0.01)
        else:
            return
