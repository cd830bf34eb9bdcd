"""Stores to test with: engine factories, and a small world in one."""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from poterne.store.interface import Delivery, Store, Uids
from poterne.store.sqlite.engine import open_store
from poterne.values.event import Event
from poterne.values.ids import AccountId, BlobId, MailboxId, ModSeq, TraceId, Uid
from poterne.values.mailbox import Appended, Mailbox, MessageRow, NewContent, SpecialUse, UidRange
from poterne.values.queue import NewQueued
from poterne.values.secret import Secret

AT = 1_790_000_000
INBOX = MailboxId(1)
ALL: Uids = (UidRange(1, None),)


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = float(AT)

    def __call__(self) -> float:
        return self.now


Factory = Callable[[Path, Clock], Store]


def sqlite(folder: Path, clock: Clock) -> Store:
    return open_store(folder, clock=clock, segment_bytes=1_048_576, grace_s=100)


ENGINES: dict[str, Factory] = {"sqlite": sqlite}


def event(kind: str = "test.happened", account_id: AccountId | None = None, **detail: str | int) -> Event:
    return Event(AT, kind, TraceId("trace-1"), account_id, "192.0.2.1", "because", dict(detail))


def only(*uids: int) -> Uids:
    return tuple(UidRange(uid, uid) for uid in uids)


async def blob(store: Store, body: bytes) -> BlobId:
    writer = store.blobs.writer()
    for at in range(0, len(body), 65_536):
        writer.write(body[at : at + 65_536])
        await writer.drain()
    return await writer.finish()


async def content(
    store: Store, body: bytes = b"Subject: x\r\n\r\nbody\r\n", references: tuple[int, ...] = ()
) -> NewContent:
    return NewContent(await blob(store, body), b"(envelope)", b"(structure)", b"parsed", 14, AT - 5, references)


@dataclass
class World:
    """A domain with the account alice@example.org, who has INBOX, Sent and Work."""

    store: Store
    folder: Path
    clock: Clock
    alice: AccountId = field(default=AccountId(0))

    async def settle(self, quota_bytes: int = 0) -> None:
        await self.store.add_domain("example.org", event("domain.added"))
        self.alice = await self.account("alice@example.org", quota_bytes)

    async def account(self, address: str, quota_bytes: int = 0) -> AccountId:
        made = await self.store.add_account(
            address,
            address,
            "en",
            Secret("$argon2id$x"),
            quota_bytes,
            [("Sent", SpecialUse.SENT), ("Work", None)],
            event(),
        )
        return made.id

    async def deliver(
        self,
        body: bytes = b"Subject: x\r\n\r\nbody\r\n",
        *,
        to: MailboxId | None = None,
        flags: int = 0,
        references: tuple[int, ...] = (),
        queue: Sequence[NewQueued] = (),
    ) -> Appended:
        delivery = Delivery(self.alice, to, await content(self.store, body, references), flags, AT, 60)
        (appended,) = await self.store.deliver([delivery], queue, [event("message.delivered", self.alice)])
        return appended

    async def named(self, name: str) -> Mailbox:
        return await self.store.mailbox(self.alice, name)

    def rows(self, mailbox: MailboxId = INBOX, uids: Uids = ALL) -> list[MessageRow]:
        return self.store.rows(self.alice, mailbox, uids)

    def flags(self, mailbox: MailboxId = INBOX) -> dict[int, int]:
        return {row.uid: row.flags for row in self.rows(mailbox)}

    async def uids(self, mailbox: MailboxId = INBOX) -> list[int]:
        _, found = await self.store.uids(self.alice, mailbox)
        return list(array("I", found))

    async def consistent(self) -> None:
        """Counters are what the rows say, in each mailbox and in the account."""
        used = 0
        for mailbox in await self.store.mailboxes(self.alice):
            rows = self.rows(mailbox.id)
            assert mailbox.messages == len(rows), mailbox
            assert mailbox.unseen == sum(not row.flags & 1 for row in rows), mailbox
            assert mailbox.deleted == sum(bool(row.flags & 8) for row in rows), mailbox
            assert mailbox.size_bytes == sum(row.size for row in rows), mailbox
            assert all(row.uid < mailbox.uid_next and row.modseq <= mailbox.highest_modseq for row in rows), mailbox
            assert await self.uids(mailbox.id) == [row.uid for row in rows] == sorted({row.uid for row in rows})
            used += mailbox.size_bytes
        assert (await self.store.account_by_id(self.alice)).used_bytes == used


def modseq(number: int) -> ModSeq:
    return ModSeq(number)


def uid(number: int) -> Uid:
    return Uid(number)
