"""What is in the store of an account, read behind the server's back by one more process on the same folder."""

from dataclasses import dataclass

from poterne.store.interface import Store
from poterne.values.ids import ContentId, MailboxId
from poterne.values.mailbox import KEYWORD_SHIFT, Flag, UidRange
from tests.stress.ledger import DifferenceError
from tests.stress.letters import Facts, facts, number_of

_NAMES = {
    Flag.SEEN: b"\\Seen",
    Flag.ANSWERED: b"\\Answered",
    Flag.FLAGGED: b"\\Flagged",
    Flag.DELETED: b"\\Deleted",
    Flag.DRAFT: b"\\Draft",
}


@dataclass(frozen=True, slots=True)
class Message:
    uid: int
    flags: frozenset[bytes]
    modseq: int
    at: int
    size: int
    number: int

    @property
    def facts(self) -> Facts:
        return facts(self.number)


@dataclass(frozen=True, slots=True)
class Box:
    id: MailboxId
    name: str
    uid_validity: int
    uid_next: int
    highest: int
    messages: dict[int, Message]

    @property
    def uids(self) -> list[int]:
        return list(self.messages)

    @property
    def size(self) -> int:
        return sum(message.size for message in self.messages.values())

    def having(self, flag: bytes) -> list[int]:
        return [uid for uid, message in self.messages.items() if flag in message.flags]


class Truth:
    """Of one account. What is read of a message's octets is remembered: they never change."""

    def __init__(self, store: Store, address: str) -> None:
        self.store = store
        self.address = address
        self._numbers: dict[ContentId, int] = {}

    async def look(self) -> dict[str, Box]:
        """All mailboxes that can be selected, as they are at this moment if nobody writes."""
        account = await self.store.account(self.address)
        found = {}
        for row in await self.store.mailboxes(account.id):
            if not row.selectable:
                continue
            messages = {}
            for one in self.store.rows(account.id, row.id, [UidRange(1, None)]):
                number = self._numbers.get(one.content_id)
                if number is None:
                    (content,) = self.store.contents(account.id, row.id, [UidRange(one.uid, one.uid)])
                    number = self._numbers[one.content_id] = number_of(self.store.blobs.read(content.blob))
                messages[int(one.uid)] = Message(
                    one.uid, _named(one.flags, account.keywords), one.modseq, one.internal_at, one.size, number
                )
            box = Box(row.id, row.name, row.uid_validity, row.uid_next, row.highest_modseq, messages)
            counted = (
                len(messages),
                len(messages) - len(box.having(b"\\Seen")),
                len(box.having(b"\\Deleted")),
                box.size,
            )
            kept = (row.messages, row.unseen, row.deleted, row.size_bytes)
            if counted != kept and row == await self.store.mailbox(account.id, row.name):
                raise DifferenceError(f"counters of {row.name}: {kept}, counted: {counted}")
            found[row.name] = box
        return found


def _named(flags: int, keywords: tuple[str, ...]) -> frozenset[bytes]:
    names = {name for flag, name in _NAMES.items() if flags & flag}
    return frozenset(names | {name.encode() for bit, name in enumerate(keywords) if flags >> (KEYWORD_SHIFT + bit) & 1})
