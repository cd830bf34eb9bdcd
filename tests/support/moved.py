"""Mail of an account as a migration must keep it: octets, flags, dates."""

from collections.abc import Sequence
from dataclasses import dataclass

from poterne.moving.flags import FlagBits
from poterne.moving.told import Summary
from poterne.session.ingest import Ingest
from poterne.store.errors import NotFoundError
from poterne.store.interface import Delivery, Store
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.mailbox import KEYWORD_SHIFT, Flag, UidRange

_SYSTEM = {
    Flag.SEEN: "\\Seen",
    Flag.ANSWERED: "\\Answered",
    Flag.FLAGGED: "\\Flagged",
    Flag.DELETED: "\\Deleted",
    Flag.DRAFT: "\\Draft",
}


@dataclass(frozen=True)
class Message:
    body: bytes
    flags: tuple[str, ...] = ()
    at: int = 1_700_000_000
    offset: int = 0

    def __repr__(self) -> str:
        return f"Message({self.body[:40]!r}…{len(self.body)}, {self.flags}, {self.at}, {self.offset})"


async def fill(store: Store, who: str, folder: str, messages: Sequence[Message]) -> None:
    account = await store.account(who)
    try:
        box = await store.mailbox(account.id, folder)
    except NotFoundError:
        box = await store.create_mailbox(account.id, folder, None, Event(1, "test", TraceId("t")))
    bits = FlagBits(store, account.id, Summary())
    deliveries = []
    for message in messages:
        ingest = Ingest(store.blobs)
        ingest.feed(message.body)
        content = (await ingest.finish()).content
        flags = await bits.bits(message.flags)
        deliveries.append(Delivery(account.id, box.id, content, flags, message.at, message.offset))
    for start in range(0, len(deliveries), 100):
        await store.deliver(deliveries[start : start + 100], (), ())


async def messages_of(store: Store, who: str) -> dict[str, list[Message]]:
    """All folders, by UID; flags in order of their names."""
    account = await store.account(who)
    found = {}
    for box in await store.mailboxes(account.id):
        everything = [UidRange(1, None)]
        rows = store.rows(account.id, box.id, everything)
        contents = store.contents(account.id, box.id, everything, envelope=False, structure=False, parsed=False)
        found[box.name] = [
            Message(
                store.blobs.read(content.blob), names(row.flags, account.keywords), row.internal_at, row.internal_offset
            )
            for row, content in zip(rows, contents, strict=True)
        ]
    return found


def names(flags: int, keywords: Sequence[str]) -> tuple[str, ...]:
    system = [name for flag, name in _SYSTEM.items() if flags & flag]
    return tuple(sorted([*system, *(name for bit, name in enumerate(keywords) if flags >> (KEYWORD_SHIFT + bit) & 1)]))
