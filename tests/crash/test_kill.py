"""Processes of a running server are killed at random moments, under load, over real sockets.

`ROUNDS` is how often (200); `SEED` repeats the choices of a run. Every client keeps a ledger; every few rounds, and at the
end, the server and its store are compared with it.
"""

import asyncio
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from poterne.store.sqlite.backup import restore
from tests.crash.bare_store import look
from tests.crash.ledger import NONE, Ledger
from tests.crash.people import LostError, Person, RefusedError
from tests.crash.server import ACCOUNTS, DOMAIN, Server
from tests.crash.wires import ImapClient, SmtpClient

pytestmark = [pytest.mark.crash, pytest.mark.timeout(3600)]

ROUNDS = int(os.environ.get("ROUNDS", "200"))
JUDGE_EVERY = 5
STORE_EVERY = 20
PEOPLE, SENDERS = 6, 3
SERVICE_LIMIT_S = 2.0
"""Until a new client is served again, whatever was killed: in the median. A busy machine may need longer once."""
SUCCESSOR_LIMIT_S = 2.0
"""Until the killed process has a successor that serves: likewise."""
LONGEST_S = 8.0
KILLS_PER_SLOT = 2
"""Of one process until the supervisor itself is next: a third death in a row would be answered with a pause, by design."""


@dataclass(slots=True)
class Figures:
    """What a run has seen."""

    service_s: dict[str, list[float]] = field(default_factory=dict)
    successor_s: dict[str, list[float]] = field(default_factory=dict)
    orphans_s: list[float] = field(default_factory=list)
    backups: int = 0

    def report(self, ledger: Ledger, rounds: int, took_s: float) -> str:
        lines = [
            (
                f"{rounds} rounds in {took_s:.0f} s: {ledger.acknowledged} operations acknowledged, {ledger.unanswered}"
                f" unanswered, {len(ledger.refusals)} refused, {len(ledger.letters)} letters, {self.backups} backups"
            )
        ]
        for what, table in (("served again", self.service_s), ("successor ready", self.successor_s)):
            lines += [
                f"{what} after {victim} was killed ({len(times)}): median {statistics.median(times):.3f} s, most {max(times):.3f} s"
                for victim, times in sorted(table.items())
            ]
        if self.orphans_s:
            lines.append(f"orphans ended after at most {max(self.orphans_s):.3f} s")
        return "\n".join(lines)


def _size(chance: random.Random) -> int:
    return 2_200_000 if chance.random() < 0.01 else round(2 ** chance.uniform(10, 17.6))


class Load:
    """Everybody who uses the server. Each does one thing at a time, and keeps the connection for as long as it lives."""

    def __init__(self, server: Server, ledger: Ledger, chance: random.Random, figures: Figures) -> None:
        self.server = server
        self.ledger = ledger
        self.figures = figures
        self.on = False
        self.context = server.tls()
        for account in ACCOUNTS:
            for box in ("INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"):
                ledger.box(account, box)
        self.people = [
            Person(ledger, ACCOUNTS[n % 2], n, random.Random(chance.random()), lambda: _size(chance))
            for n in range(PEOPLE)
        ]
        self.chance = chance
        self.imap: dict[int, ImapClient] = {}
        self.smtp: dict[int, SmtpClient] = {}

    async def run(self) -> None:
        """Until `on` is false and everybody has an answer, or none will come."""
        self.on = True
        await asyncio.gather(*map(self._read, range(PEOPLE)), *map(self._send, range(SENDERS)))

    async def _read(self, number: int) -> None:
        person = self.people[number]
        while self.on:
            try:
                if number not in self.imap:
                    self.imap[number] = await ImapClient.open(self.server.imap, self.context, person.account)
                await person.step(self.imap[number])
            except LostError:
                if number in self.imap:
                    self.imap.pop(number).close()
                await asyncio.sleep(0.01)

    async def _send(self, number: int) -> None:
        while self.on:
            try:
                if number not in self.smtp:
                    self.smtp[number] = await SmtpClient.open(self.server.smtp)
                await self._deliver(self.smtp[number])
            except (LostError, RefusedError):
                if number in self.smtp:
                    self.smtp.pop(number).close()
                await asyncio.sleep(0.01)

    async def _deliver(self, client: SmtpClient) -> None:
        to = self.chance.choice([ACCOUNTS[:1], ACCOUNTS[1:], ACCOUNTS])
        owner = self.chance.choice([n for n in range(PEOPLE) if ACCOUNTS[n % 2] in to])
        letter, octets = self.ledger.write_letter(to[0], owner, _size(self.chance))
        after = {letter: {(self.ledger.box(name, "INBOX"), 0): NONE for name in to}}
        operation = self.ledger.begin(f"deliver {letter.ident} to {to}", after)
        try:
            await client.deliver(to, octets)
        except RefusedError as error:
            self.ledger.not_done(operation, str(error))
            raise
        self.ledger.done(operation)

    def close(self) -> None:
        for reader in self.imap.values():
            reader.close()
        for sender in self.smtp.values():
            sender.close()
        self.imap.clear()
        self.smtp.clear()


class Rounds:
    """One run: rounds of load and death, and the judging between them."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server = server
        self.chance = random.Random(seed)
        self.ledger = Ledger(seed)
        self.figures = Figures()
        self.load = Load(server, self.ledger, self.chance, self.figures)
        self.killed: dict[int, int] = {}
        self.backup: subprocess.Popen[bytes] | None = None

    async def one(self) -> None:
        """Load, a death, and service again."""
        victim, pid = self._victim()
        self._maybe_back_up()
        load = asyncio.create_task(self.load.run())
        await asyncio.sleep(self.chance.uniform(0.05, 0.4))
        if victim == "supervisor":
            await self._lose_supervisor(load)
            return
        slot = self._slot(pid)
        self.killed[slot] = self.killed.get(slot, 0) + 1
        self.server.kill_child(pid)
        began = time.monotonic()
        service = asyncio.create_task(self._served())
        await asyncio.sleep(self.chance.uniform(0.0, 0.1))  # some go on while the successor starts
        self.load.on = False
        await load
        self.figures.service_s.setdefault(victim, []).append(await service - began)
        await asyncio.to_thread(self.server.await_replacement, pid)
        self.figures.successor_s.setdefault(victim, []).append(time.monotonic() - began)

    def _slot(self, pid: int) -> int:
        return 0 if pid == self.server.steward else 1 + self.server.workers.index(pid)

    def _victim(self) -> tuple[str, int]:
        server = self.server
        (victim,) = self.chance.choices(["worker", "steward", "supervisor"], [6, 2, 1])
        pid = {"worker": self.chance.choice(server.workers), "steward": server.steward, "supervisor": server.pid}[
            victim
        ]
        if victim != "supervisor" and self.killed.get(self._slot(pid), 0) >= KILLS_PER_SLOT:
            return "supervisor", server.pid
        return victim, pid

    async def _lose_supervisor(self, load: "asyncio.Task[None]") -> None:
        """The orphans drain and end by themselves; half of the time the next server does not wait for that."""
        orphans = asyncio.create_task(asyncio.to_thread(self.server.kill_supervisor))
        if self.chance.random() < 0.5:
            await orphans
        else:
            await asyncio.sleep(0.02)
        self.load.on = False
        began = time.monotonic()
        await asyncio.to_thread(self.server.start)
        served = await self._served()
        self.figures.orphans_s.append(await orphans)
        await load
        self.figures.service_s.setdefault("supervisor", []).append(served - began)
        self.killed.clear()

    async def _served(self) -> float:
        """When a new client of each protocol was served."""
        while True:
            try:
                (await SmtpClient.open(self.server.smtp)).close()
                (await ImapClient.open(self.server.imap, self.load.context, ACCOUNTS[0])).close()
            except LostError:
                await asyncio.sleep(0.01)
            else:
                return time.monotonic()

    def _maybe_back_up(self) -> None:
        """The command runs beside the server; it is killed too, whenever another one is due."""
        if self.backup is not None and self.backup.poll() is None:
            if self.chance.random() < 0.3:
                self.backup.kill()
            return
        if self.backup is not None:
            self.figures.backups += self.backup.wait() == 0
            self.backup = None
        if self.chance.random() < 0.08:
            run = "from poterne.cli.main import main; main()"
            command = [sys.executable, "-c", run, "-c", str(self.server.settings_path), "backup", str(self.folder)]
            self.backup = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    @property
    def folder(self) -> Path:
        return self.server.folder / "backup"

    async def judge(self, *, thoroughly: bool) -> list[str]:
        """Compare what is there, over IMAP, with what clients know; thoroughly: octets of all, and the store itself."""
        seen = {}
        wrong: list[str] = []
        for account in ACCOUNTS:
            client = await ImapClient.open(self.server.imap, self.load.context, account)
            here, octets = await client.look(self.ledger, all_octets=thoroughly)
            client.close()
            seen.update(here)
            wrong += octets
        wrong += self.ledger.verify(seen)
        return wrong

    async def check_store(self) -> list[str]:
        store = self.server.open_store()
        try:
            wrong = [f"check: {finding}" for finding in await store.check()]
            accounts = {name: (await store.account(f"{name}@{DOMAIN}")).id for name in ACCOUNTS}
            seen, octets = await look(store, self.ledger, accounts)
            return wrong + octets + self.ledger.verify(seen)
        finally:
            await store.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "instance")
    yield server
    server.kill_all()


def test_processes_are_killed_at_any_moment(server: Server, tell: Callable[[str], None]) -> None:
    seed = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1 << 30)
    tell(f"SEED={seed} ROUNDS={ROUNDS}")
    began = time.monotonic()
    server.start()
    rounds = Rounds(server, seed)
    asyncio.run(_all_rounds(rounds, seed))
    figures, ledger = rounds.figures, rounds.ledger
    tell(figures.report(ledger, ROUNDS, time.monotonic() - began))
    assert ledger.acknowledged > 5 * ROUNDS
    assert [text for text in ledger.refusals if "421 4.3.2 Shutting down" not in text] == []
    for limit_s, table in ((SERVICE_LIMIT_S, figures.service_s), (SUCCESSOR_LIMIT_S, figures.successor_s)):
        for victim, times in table.items():
            assert statistics.median(times) < limit_s, (victim, times)
            assert max(times) < LONGEST_S, (victim, times)
    assert server.stop() == 0


async def _all_rounds(rounds: Rounds, seed: int) -> None:
    number = 0
    try:
        for number in range(1, ROUNDS + 1):
            await rounds.one()
            last = number == ROUNDS
            wrong: list[str] = []
            if number % JUDGE_EVERY == 0 or last:
                wrong += await rounds.judge(thoroughly=last)
            if number % STORE_EVERY == 0 or last:
                wrong += await rounds.check_store()
            _fail_if(wrong, rounds, seed, number)
    except AssertionError as error:
        raise AssertionError(f"SEED={seed}, round {number}: {error}") from error
    finally:
        rounds.load.close()
    if rounds.backup is not None:
        rounds.figures.backups += rounds.backup.wait(60) == 0
    if (rounds.folder / "backup.json").exists():
        _fail_if(
            [str(found) for found in restore(rounds.folder, rounds.server.folder / "restored")], rounds, seed, number
        )


def _fail_if(wrong: list[str], rounds: Rounds, seed: int, number: int) -> None:
    if wrong:
        told = "\n".join(wrong[:30])
        pytest.fail(f"SEED={seed}, round {number}:\n{told}\n--- server log\n{rounds.server.log_tail()}")
