"""CPU per store operation, in microseconds: `python -m bench.micro_store [FOLDER]`. Takes some ten seconds.

The figures are of the whole process (event loop and writer thread), medians of some rounds; syncs are real.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from poterne.store.interface import Delivery
from poterne.store.sqlite.engine import SqliteStore, open_store
from poterne.values.event import Event
from poterne.values.ids import AccountId, MailboxId, ModSeq, TraceId
from poterne.values.mailbox import Flag, FlagChange, Mailbox, NewContent, SpecialUse, UidRange
from poterne.values.secret import Secret

_AT = 1_790_000_000
_INBOX = MailboxId(1)
_BODY = b"From: a@example.org\r\nSubject: x\r\n\r\n" + b"0123456789abcdef" * 254 + b"\r\n"
_ALL = (UidRange(1, None),)


def _event(kind: str, account: AccountId | None = None) -> Event:
    return Event(_AT, kind, TraceId("0123456789abcdef"), account, "192.0.2.1", "accepted", {"bytes": 4096})


async def _content(store: SqliteStore, number: int) -> NewContent:
    writer = store.blobs.writer()
    writer.write(_BODY)
    await writer.drain()
    blob = await writer.finish()
    return NewContent(blob, b"e" * 350, b"s" * 180, b"p" * 220, 500, _AT, (number * 7919,))


class Bench:
    def __init__(self, store: SqliteStore, account: AccountId, other: Mailbox) -> None:
        self.store = store
        self.account = account
        self.other = other
        self.number = 0

    async def deliver(self) -> None:
        self.number += 1
        content = await _content(self.store, self.number)
        delivery = Delivery(self.account, None, content, 0, _AT, 60)
        await self.store.deliver([delivery], [], [_event("message.delivered", self.account)])

    async def fill(self, count: int) -> None:
        for _ in range(count // 250):
            await asyncio.gather(*[self.deliver() for _ in range(250)])

    async def clients(self, count: int, each: int) -> None:
        async def client() -> None:
            for _ in range(each):
                await self.deliver()

        await asyncio.gather(*[client() for _ in range(count)])

    async def toggle(self, uids: Sequence[UidRange], flag: Flag) -> None:
        for change in (FlagChange.ADD, FlagChange.REMOVE):
            await self.store.store_flags(self.account, _INBOX, uids, change, flag)

    async def uids_cold(self) -> None:
        self.store._uids._known.clear()  # noqa: SLF001  # what a first SELECT costs
        await self.store.uids(self.account, _INBOX)

    async def rows(self) -> None:
        for first in range(1, 10_001, 2_000):
            self.store.rows(self.account, _INBOX, (UidRange(first, first + 1_999),))

    async def contents(self) -> None:
        for first in range(1, 10_001, 500):
            asked = (UidRange(first, first + 499),)
            self.store.contents(self.account, _INBOX, asked, structure=False, parsed=False)


async def _measure(label: str, work: Callable[[], Awaitable[object]], operations: int = 1, rounds: int = 9) -> None:
    await work()
    cpu: list[float] = []
    wall: list[float] = []
    for _ in range(rounds):
        began, began_cpu = time.perf_counter(), time.process_time()
        await work()
        cpu.append((time.process_time() - began_cpu) / operations)
        wall.append((time.perf_counter() - began) / operations)
    print(f"{label:44} {statistics.median(cpu) * 1e6:10.1f} us CPU {statistics.median(wall) * 1e6:10.1f} us wall")


async def _many(work: Callable[[], Awaitable[object]], count: int) -> None:
    for _ in range(count):
        await work()


async def _run(folder: Path) -> None:
    store = open_store(folder)
    await store.add_domain("example.org", _event("domain.added"))
    account = await store.add_account(
        "a@example.org", "A", "en", Secret("v"), 0, [("Trash", SpecialUse.TRASH)], _event("account.added")
    )
    here = (account.id, _INBOX)
    bench = Bench(store, account.id, await store.mailbox(account.id, "Trash"))
    await bench.fill(10_000)
    reading: list[tuple[str, Callable[[], Awaitable[object]]]] = [
        ("mailbox row", lambda: store.mailbox(account.id, "INBOX")),
        ("uids, known", lambda: store.uids(*here)),
        ("route", lambda: store.route("a", "example.org")),
        ("changes, none", lambda: store.changes(*here, ModSeq(10_003))),
        ("flagged UNSEEN, all of 10,000", lambda: store.flagged(*here, 0, Flag.SEEN)),
        ("uids of 10,000, cold", bench.uids_cold),
        ("rows of 10,000", bench.rows),
        ("contents of 10,000, envelopes", bench.contents),
    ]
    for label, work in reading:
        count = 200 if label.startswith(("mailbox", "uids, k", "route", "changes")) else 1
        await _measure(label, lambda work=work, count=count: _many(work, count), count)  # type: ignore[misc]
    one = (UidRange(77, 77),)
    await _measure("STORE one", lambda: _many(lambda: bench.toggle(one, Flag.FLAGGED), 50), 100)
    await _measure("STORE 1:10000, one flag", lambda: bench.toggle(_ALL, Flag.SEEN), 2)
    await _measure("STORE 1:10000, two flags", lambda: bench.toggle(_ALL, Flag.SEEN | Flag.FLAGGED), 2)
    some = (UidRange(1, 1_000),)
    await _measure("COPY 1:1000", lambda: store.copy(account.id, _INBOX, some, bench.other.id, _AT))

    async def move() -> None:
        moved = await store.move(account.id, _INBOX, _ALL, bench.other.id, _AT)
        await store.move(account.id, bench.other.id, (UidRange(moved.destination[0], None),), _INBOX, _AT)

    await _measure("MOVE, per message", move, 20_000, rounds=3)

    async def expunge() -> None:
        trash = bench.other.id
        await store.copy(account.id, _INBOX, (UidRange(1, None),), trash, _AT)
        await store.store_flags(account.id, trash, _ALL, FlagChange.ADD, Flag.DELETED)
        await store.expunge(account.id, trash, None)

    await _measure("COPY + STORE + EXPUNGE, per message", expunge, 10_000, rounds=3)
    await store.checkpoint()
    await _measure("deliver 4 KiB, 1 client", lambda: bench.clients(1, 100), 100)
    for clients in (4, 16, 64):
        groups, done = store._writer.groups, store._writer.operations  # noqa: SLF001  # the size of groups
        await _measure(f"deliver 4 KiB, {clients} clients", lambda n=clients: bench.clients(n, 50), 50 * clients)  # type: ignore[misc]
        groups, done = store._writer.groups - groups, store._writer.operations - done  # noqa: SLF001
        print(f"{'':44} {done / groups:10.1f} operations a group")
    await store.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(_run(Path(sys.argv[1])))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            asyncio.run(_run(Path(scratch)))
