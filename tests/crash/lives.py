"""One life of a store: opened, compared with the ledger, used by many at once, and ended at any moment.

Each life is a forked process, so that an end is an end: no thread, lock, descriptor or cache of it is left. What its
clients know comes back through a pipe.
"""

import asyncio
import os
import pickle
import random
import signal
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from poterne.store.blobs.segments import BlobLimits, SegmentBlobs
from poterne.store.errors import StoreError
from poterne.store.interface import Delivery
from poterne.store.sqlite import migrate
from poterne.store.sqlite.engine import SqliteStore, open_store
from poterne.values.mailbox import NewContent
from poterne.values.queue import NewQueued
from poterne.values.secret import Secret
from tests.crash.bare_store import KEYWORDS, StoreMail, bits_of, look
from tests.crash.ledger import NONE, Ledger, Seen
from tests.crash.people import LostError, Person
from tests.crash.power import PoweredFiles, PoweredVFS
from tests.support.queueing import message
from tests.support.stores import AT, content, event
from tests.support.verifying import suspicious

LIMITS = BlobLimits(segment_bytes=40_000, spill_bytes=20_000, held_bytes=16_384, open_segments=3, retry_s=0)
SIZES = (200, 900, 3_000, 4_100, 9_000, 30_000)
ACCOUNTS = ("ada", "ben")
LIFE_LIMIT_S = 60
_NOBODY = 100
"""Owner of letters that no person handles."""
_MIGRATION = """
CREATE TABLE test_{0} (account_id INTEGER NOT NULL, content_id INTEGER NOT NULL) STRICT;
INSERT INTO test_{0} SELECT account_id, content_id FROM message;
ALTER TABLE mailbox ADD COLUMN test_{0} INTEGER NOT NULL DEFAULT 0;
UPDATE mailbox SET test_{0} = 1;
"""


@dataclass(slots=True)
class Plan:
    """How a life goes. `opening` and `working`: changes of the disk until the power is cut."""

    seed: int
    days: int
    opening: int | None = None
    working: int | None = None
    lost_power: bool = False
    migrations: int = 0
    """How many more than this version ships: opening the store applies what is new."""
    compact: bool = False
    alone: bool = False
    """Only upkeep works: the power is cut in the middle of it, and not of all the rest."""
    backup: bool = False
    close: bool = False


@dataclass(slots=True)
class Outcome:
    """What is known after a life."""

    ledger: Ledger
    wrong: list[str] = field(default_factory=list)
    judged: bool = False
    cut: bool = False
    changes: int = 0
    freed_bytes: int = 0


_SHIPPED = migrate.shipped()


def ship(count: int) -> None:
    """From now on this process has so many migrations more than it ships."""
    more = [migrate.Migration(900 + n, f"test_{n}", _MIGRATION.format(n)) for n in range(count)]
    migrate.shipped = lambda: [*_SHIPPED, *more]


def live(home: Path, ledger: Ledger, plan: Plan) -> Outcome:
    """Fork, live, and tell."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        signal.alarm(LIFE_LIMIT_S)
        try:
            outcome = asyncio.run(_Life(home, ledger, plan).run())
        except BaseException:  # noqa: BLE001  # nothing may return into the test
            outcome = Outcome(ledger, [traceback.format_exc()])
        with os.fdopen(write, "wb") as out:
            pickle.dump(outcome, out)
            out.flush()
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as told:
        data = told.read()
    os.waitpid(pid, 0)
    if not data:
        return Outcome(ledger, [f"the process hung or died: {plan}"])
    outcome = pickle.loads(data)
    assert isinstance(outcome, Outcome)
    return outcome


class _Life:
    def __init__(self, home: Path, ledger: Ledger, plan: Plan) -> None:
        self.home = home
        self.data = home / "data"
        self.plan = plan
        self.chance = random.Random(plan.seed)
        self.outcome = Outcome(ledger)
        self.ledger = ledger
        self.now = time.time() + plan.days * 86_400  # files have the real time
        self.files = PoweredFiles(self.data, home / "shadow")
        self.vfs = PoweredVFS("powered", self.files)
        ship(plan.migrations)

    def _open(self) -> SqliteStore:
        blobs = SegmentBlobs(str(self.data / "messages"), files=self.files, limits=LIMITS, clock=lambda: self.now)
        return open_store(self.data, vfs="powered", blobs=blobs, clock=lambda: self.now, grace_s=3_600, wait_limit_s=10)

    async def run(self) -> Outcome:
        outcome, files = self.outcome, self.files
        if self.plan.opening is not None:
            files.left = self.plan.opening
        try:
            self.stores = [self._open(), self._open()]
            await self._settle()
            await self._judge()
        except (StoreError, OSError):
            if not files.is_off:
                raise
            outcome.cut = True
            return outcome
        files.used = 0
        if self.plan.working is not None:
            files.left = self.plan.working
        await self._work()
        outcome.cut = files.is_off
        if self.plan.close and not files.is_off:
            for store in self.stores:
                await store.close()
        outcome.changes = files.used
        return outcome

    async def _settle(self) -> None:
        store = self.stores[0]
        if not await store.domains():
            await store.add_domain("example.org", event())
        there = {account.address for account in await store.accounts()}
        for name in ACCOUNTS:
            if f"{name}@example.org" not in there:
                boxes = [("Sent", None), ("Archive", None)]
                await store.add_account(f"{name}@example.org", name, "en", Secret("$x"), 0, boxes, event())
            for box in ("INBOX", "Sent", "Archive"):
                self.ledger.box(name, box)
        self.accounts = {name: (await store.account(f"{name}@example.org")).id for name in ACCOUNTS}
        self.bits = {n: bits_of(await store.keyword_bits(a, KEYWORDS)) for n, a in self.accounts.items()}

    async def _judge(self) -> None:
        """Compare with what clients know: through the second store, which did not do the first one's recovery."""
        store, wrong = self.stores[1], self.outcome.wrong
        seen, octets = await look(store, self.ledger, self.accounts)
        wrong += octets
        wrong += self.ledger.verify(seen, lost_power=self.plan.lost_power)
        wrong += [f"check: {finding}" for finding in await store.check()]
        queued = sorted(recipient.forward_path for recipient in await store.queued(10_000))
        expected = sorted(
            f"{letter.ident}@example.net"
            for letter in self.ledger.letters.values()
            if letter.arrived and letter.owner < 0
        )
        if queued != expected:
            wrong.append(f"queue: {set(queued) ^ set(expected)}")
        wrong += await self._judge_quarantine(store, seen)
        self.outcome.judged = True

    async def _judge_quarantine(self, store: SqliteStore, seen: Seen) -> list[str]:
        """What was kept is there whole, or in the mailbox: never in both, or nowhere."""
        delivered = {ident for box in seen.values() for ident, _ in box.messages.values()}
        wrong, there = [], set()
        for row in await store.quarantined(10_000):
            there.add(row.header_from)
            if not self.ledger.letters[row.header_from].is_intact(store.blobs.read(row.content.blob)):
                wrong.append(f"quarantine: {row.header_from} has other octets")
        for ident, kept in self.ledger.kept.items():
            if kept is not None and kept != (ident in there):
                wrong.append(f"quarantine: {ident} is {'not ' * kept}there")
            if ident in there & delivered:
                wrong.append(f"quarantine: {ident} was delivered too")
            self.ledger.kept[ident] = ident in there
        return wrong

    async def _work(self) -> None:
        quiet = self.plan.compact  # a real compaction leaves what is new alone; here a day passes in no time
        if quiet:
            self.now += 2 * 86_400.0
        busy: list[Awaitable[None]] = []
        for number in range(0 if self.plan.alone else 6):
            account = ACCOUNTS[number % 2]
            person = Person(self.ledger, account, number, random.Random(self.plan.seed + number), self._size)
            mail = StoreMail(
                self.stores[number % 3 % 2], self.accounts[account], self.bits[account], lambda: self.files.is_off
            )
            busy.append(self._repeat(25, lambda p=person, m=mail: p.step(m, quiet=quiet)))  # type: ignore[misc]
        if not quiet and not self.plan.alone:
            busy += [self._repeat(15, lambda s=store: self._deliver(s)) for store in self.stores]  # type: ignore[misc]
            busy += [self._repeat(5, lambda s=store: self._keep(s)) for store in self.stores]  # type: ignore[misc]
        if not self.plan.alone:
            busy.append(self._repeat(6, lambda: self._release(self.stores[1])))
        busy.append(self._repeat(3, self.stores[0].checkpoint))
        if self.plan.compact:
            busy += [self._repeat(2, self._compact), self._repeat(1, self._compact)]
        if self.plan.backup:
            busy.append(self._repeat(3, self._back_up))
        await asyncio.gather(*busy)

    def _size(self) -> int:
        return self.chance.choice(SIZES)

    async def _repeat(self, times: int, work: Callable[[], Awaitable[object]]) -> None:
        for _ in range(times):
            try:
                await work()
            except LostError:
                return
            except (StoreError, OSError):
                if self.files.is_off:
                    return
                raise

    async def _deliver(self, store: SqliteStore) -> None:
        """As SMTP does it: to one or both, in one transaction, sometimes with a recipient elsewhere."""
        to = self.chance.choice([("ada",), ("ben",), ACCOUNTS])
        owner = self.chance.randrange(6)
        elsewhere = self.chance.random() < 0.3
        letter, octets = self.ledger.write_letter(to[0], -1 if elsewhere else owner, self._size())
        after = {letter: {(self.ledger.box(name, "INBOX"), 0): NONE for name in to}}
        operation = self.ledger.begin(f"deliver {letter.ident} to {to}", after)
        new = await self._content(store, octets)
        queue: list[NewQueued] = []
        if elsewhere:
            queue = [message(new.blob, f"{letter.ident}@example.net")]
        deliveries = [Delivery(self.accounts[name], None, new, 0, AT, 0) for name in to]
        await store.deliver(deliveries, queue, [event("message.accepted")])
        self.ledger.done(operation)

    async def _keep(self, store: SqliteStore) -> None:
        """One in quarantine."""
        name = self.chance.choice(ACCOUNTS)
        letter, octets = self.ledger.write_letter(name, _NOBODY, self._size())
        new = await suspicious(store, self.accounts[name])
        new = replace(new, content=await self._content(store, octets), header_from=letter.ident)
        self.ledger.kept[letter.ident] = None
        await store.deliver([], [], [event("message.quarantined")], quarantined=[new])
        self.ledger.kept[letter.ident] = True

    async def _release(self, store: SqliteStore) -> None:
        waiting = [row for row in await store.quarantined() if self.ledger.kept[row.header_from]]
        if not waiting:
            return
        row = self.chance.choice(waiting)
        letter = self.ledger.letters[row.header_from]
        operation = self.ledger.begin(
            f"release {letter.ident}", {letter: {(self.ledger.box(letter.account, "INBOX"), 0): NONE}}
        )
        self.ledger.kept[letter.ident] = None
        await store.release_quarantined(row.id, AT, event("message.released"))
        self.ledger.kept[letter.ident] = False
        self.ledger.done(operation)

    async def _content(self, store: SqliteStore, octets: bytes) -> NewContent:
        """Some with a head that is known only at the end."""
        head = self.chance.choice((0, 0, 100))
        writer = store.blobs.writer()
        if head:
            writer.write_head(head)
        for at in range(head, len(octets), 8_192):
            writer.write(octets[at : min(at + 8_192, len(octets))])
            await writer.drain()
        if head:
            writer.set_head(octets[:head])
        return replace(await content(store), blob=await writer.finish())

    async def _compact(self) -> None:
        self.outcome.freed_bytes += await self.stores[self.chance.randrange(2)].compact()

    async def _back_up(self) -> None:
        await self.stores[0].backup(str(self.home / "backup"))
