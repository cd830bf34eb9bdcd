"""Messages on their way into one mailbox: each comes once.

Theory of operation. An item that the source had in an earlier run is known by its name and not even read. What is read is hashed
as it is written; octets that another source brought into the same mailbox before (the same server under another name, a folder
whose UIDVALIDITY changed, an mbox file that was imported first) are only noted. The rest is stored some hundred at a time: one
transaction each, short enough that nobody who reads or sends mail meanwhile notices. While one is committed, the next gathers.

Flags: those that the source has are remembered as they came. When they differ in a later run, that difference is applied here,
so that what was changed here in the meantime stays.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final, final

from poterne.moving.told import MovingError, Summary, Teller
from poterne.session.ingest import Ingest
from poterne.store.errors import NotFoundError, OverQuotaError
from poterne.store.interface import Delivery, Store
from poterne.store.interface_imports import Arrival
from poterne.values.ids import AccountId, MailboxId, Uid
from poterne.values.imports import Brought, ImportSourceId
from poterne.values.mailbox import Appended, FlagChange, NewContent, UidRange

BATCH_MESSAGES: Final = 200
BATCH_BYTES: Final = 16 * 1024 * 1024
HASH_BYTES: Final = 16
PAGE: Final = 10_000


def digest() -> "blake2b":
    """What tells messages apart."""
    return blake2b(digest_size=HASH_BYTES)


@final
class Incoming:
    """One message while it comes."""

    __slots__ = ("_hash", "_ingest")

    def __init__(self, store: Store) -> None:
        self._ingest: Final = Ingest(store.blobs)
        self._hash: Final = digest()

    @property
    def size(self) -> int:
        return self._ingest.size

    async def feed(self, data: bytes) -> None:
        """Raises StoreError."""
        self._ingest.feed(data)
        self._hash.update(data)
        if self._ingest.must_drain:
            await self._ingest.drain()

    def hash(self) -> bytes:
        return self._hash.digest()

    async def finish(self) -> NewContent:
        return (await self._ingest.finish()).content

    def abort(self) -> None:
        self._ingest.abort()


@final
class Arrivals:
    """Into one mailbox, from one source. `open` first, `close` at the end."""

    def __init__(
        self, store: Store, account_id: AccountId, mailbox_id: MailboxId, summary: Summary, teller: Teller
    ) -> None:
        self._store: Final = store
        self._account_id: Final = account_id
        self._mailbox_id: Final = mailbox_id
        self._summary: Final = summary
        self._teller: Final = teller
        self._source: ImportSourceId | None = None
        self._known: dict[str, Brought] = {}
        self._elsewhere: dict[bytes, list[Uid]] = {}
        self._pending: list[Arrival] = []
        self._pending_bytes = 0
        self._notes: list[Brought] = []
        self._writing: asyncio.Task[None] | None = None

    async def open(self, source: str) -> None:
        """`source`: names where they come from, for ever. Raises StoreError."""
        store, account_id = self._store, self._account_id
        self._source = number = await store.import_source(account_id, source)
        after = ""
        while page := await store.brought(account_id, number, after, PAGE):
            self._known.update((one.item, one) for one in page)
            after = page[-1].item
        mine = {one.uid for one in self._known.values() if one.mailbox_id == self._mailbox_id}
        for hash_, uid in await store.brought_hashes(account_id, self._mailbox_id, number):
            if uid not in mine:
                self._elsewhere.setdefault(hash_, []).append(uid)

    def known(self, item: str) -> bool:
        return item in self._known

    @property
    def items(self) -> Iterable[str]:
        return self._known.keys()

    def begin(self) -> Incoming:
        return Incoming(self._store)

    async def add(self, incoming: Incoming, item: str, flags: int, at: int, offset: int) -> None:
        """The message is complete. Raises StoreError, MovingError."""
        same = self._elsewhere.get(incoming.hash())
        if same:
            uid = same.pop(0)
            incoming.abort()
            self._notes.append(Brought(item, self._mailbox_id, uid, flags, incoming.hash()))
            self._summary.same += 1
            return
        content = await incoming.finish()
        delivery = Delivery(self._account_id, self._mailbox_id, content, flags, at, offset)
        self._pending.append(Arrival(delivery, item, incoming.hash()))
        self._pending_bytes += incoming.size
        if len(self._pending) >= BATCH_MESSAGES or self._pending_bytes >= BATCH_BYTES:
            await self._hand_over()

    async def _hand_over(self) -> None:
        """Begin to write what has gathered; the group before it is written by then."""
        await self._written()
        if not self._pending:
            return
        group, self._pending = self._pending, []
        self._pending_bytes = 0
        self._writing = asyncio.create_task(self._write(group))

    async def _written(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            await writing

    async def _write(self, group: Sequence[Arrival]) -> None:
        assert self._source is not None  # noqa: S101  (open came first)
        try:
            appended = await self._store.bring(self._account_id, self._source, group)
        except OverQuotaError:
            await self._write_singly(group)
            return
        except NotFoundError:
            raise MovingError("the folder was removed here meanwhile: run the command again") from None
        self._count(group, appended)

    def _count(self, group: Sequence[Arrival], appended: Sequence[Appended | None]) -> None:
        sizes = [
            arrival.delivery.content.blob.size for arrival, one in zip(group, appended, strict=True) if one is not None
        ]
        self._summary.messages += len(sizes)
        self._summary.size_bytes += sum(sizes)
        self._teller.moved(len(sizes), sum(sizes))

    async def _write_singly(self, group: Sequence[Arrival]) -> None:
        """Not all of them fit: as many as do."""
        assert self._source is not None  # noqa: S101  (as above)
        for arrival in group:
            try:
                self._count([arrival], await self._store.bring(self._account_id, self._source, [arrival]))
            except OverQuotaError:
                raise MovingError(
                    "the account is full: raise its quota (poterne account quota) and run the same command again, it goes on"
                ) from None

    async def flush(self) -> None:
        """All that was added is durable. Raises StoreError, MovingError."""
        await self._hand_over()
        await self._written()
        if self._notes and self._source is not None:
            notes, self._notes = self._notes, []
            await self._store.note_brought(self._account_id, self._source, notes)

    async def drop(self) -> None:
        """Forget what is not written; a group that is being written ends first."""
        self._pending.clear()
        self._pending_bytes = 0
        writing, self._writing = self._writing, None
        if writing is not None:
            await asyncio.gather(writing, return_exceptions=True)

    async def update_flags(self, now: Iterable[tuple[str, int]]) -> None:
        """What the source says of items that are known; differences since they came are applied. Raises StoreError."""
        changes: dict[tuple[int, int], list[Brought]] = defaultdict(list)
        for item, flags in now:
            before = self._known.get(item)
            if before is not None and before.flags != flags:
                changes[flags & ~before.flags, before.flags & ~flags].append(before)
        for (added, taken), those in changes.items():
            by_mailbox: dict[MailboxId, list[int]] = defaultdict(list)
            for one in those:
                by_mailbox[one.mailbox_id].append(one.uid)
            for mailbox_id, uids in by_mailbox.items():
                ranges = as_ranges(sorted(uids))
                for start in range(0, len(ranges), 500):
                    await self._change(mailbox_id, ranges[start : start + 500], added, taken)
            self._summary.flagged += len(those)
            notes = [Brought(b.item, b.mailbox_id, b.uid, (b.flags | added) & ~taken, b.hash) for b in those]
            if self._source is not None:
                await self._store.note_brought(self._account_id, self._source, notes)

    async def _change(self, mailbox_id: MailboxId, ranges: Sequence[UidRange], added: int, taken: int) -> None:
        store, account_id = self._store, self._account_id
        try:
            if added:
                await store.store_flags(account_id, mailbox_id, ranges, FlagChange.ADD, added)
            if taken:
                await store.store_flags(account_id, mailbox_id, ranges, FlagChange.REMOVE, taken)
        except NotFoundError:  # its folder is gone here
            return

    async def remove_gone(self, there: set[str]) -> None:
        """What came from the source and is there no more goes here too, wherever it was put into. Raises StoreError."""
        gone: dict[MailboxId, list[Brought]] = defaultdict(list)
        for one in self._known.values():
            if one.item not in there:
                gone[one.mailbox_id].append(one)
        for mailbox_id, those in gone.items():
            ranges = as_ranges(sorted(one.uid for one in those))
            for start in range(0, len(ranges), 500):
                try:
                    removed = await self._store.remove(self._account_id, mailbox_id, ranges[start : start + 500])
                except NotFoundError:
                    continue
                self._summary.removed += len(removed)
            if self._source is not None:
                await self._store.forget_brought(self._account_id, self._source, [one.item for one in those])


def as_ranges(uids: Sequence[int]) -> list[UidRange]:
    """Ascending numbers as ranges."""
    ranges: list[UidRange] = []
    start = 0
    for at in range(1, len(uids) + 1):
        if at == len(uids) or uids[at] != uids[at - 1] + 1:
            ranges.append(UidRange(uids[start], uids[at - 1]))
            start = at
    return ranges
