"""People on a bare store, and what is seen of it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from poterne.store.errors import StoreError
from poterne.store.interface import Delivery, Store
from poterne.values.ids import AccountId, MailboxId
from poterne.values.mailbox import FlagChange, MessageRow, UidRange
from tests.crash.ledger import Box, Flags, Ledger, SeenBox
from tests.crash.people import DELETED, FLAGS, LostError
from tests.support.stores import ALL, AT, content, event, only

T = TypeVar("T")
_BITS = {"\\Seen": 1, "\\Answered": 2, "\\Flagged": 4, DELETED: 8, "\\Draft": 16}
KEYWORDS = [name for name in FLAGS if name.startswith("$")]


class StoreMail:
    """`Mail` over the store's interface. `is_dead` tells whether an error is an accident or a defect."""

    def __init__(self, store: Store, account: AccountId, bits: dict[str, int], is_dead: Callable[[], bool]) -> None:
        self.store = store
        self.atomic = True
        self.account = account
        self.bits = bits
        self.is_dead = is_dead

    async def _answered(self, work: Awaitable[T]) -> T:
        try:
            return await work
        except StoreError as error:
            if self.is_dead():
                raise LostError(str(error)) from error
            raise

    async def _id(self, box: Box) -> MailboxId:
        found = await self._answered(self.store.mailbox(self.account, box.name))
        assert box.uid_validity in {0, found.uid_validity}, f"{box}: UIDVALIDITY changed"
        box.uid_validity = found.uid_validity
        return found.id

    def mask(self, flags: Flags) -> int:
        return sum(self.bits[flag] for flag in flags)

    async def append(self, box: Box, octets: bytes, flags: Flags) -> int:
        mailbox = await self._id(box)
        new = await self._answered(content(self.store, octets))
        delivery = Delivery(self.account, mailbox, new, self.mask(flags), AT, 0)
        (appended,) = await self._answered(self.store.deliver([delivery], (), [event()]))
        assert appended.uid_validity == box.uid_validity
        return appended.uid

    async def change_flags(self, box: Box, uids: Sequence[int], flags: Flags, *, add: bool) -> None:
        change = FlagChange.ADD if add else FlagChange.REMOVE
        mailbox = await self._id(box)
        await self._answered(self.store.store_flags(self.account, mailbox, only(*uids), change, self.mask(flags)))

    async def copy(self, box: Box, uids: Sequence[int], to: Box, *, move: bool) -> dict[int, int]:
        source, destination = await self._id(box), await self._id(to)
        carry = self.store.move if move else self.store.copy
        copied = await self._answered(carry(self.account, source, only(*uids), destination, AT))
        return {int(old): int(new) for old, new in zip(copied.source, copied.destination, strict=True)}

    async def expunge(self, box: Box, uids: Sequence[int]) -> None:
        mailbox = await self._id(box)
        gone = await self._answered(self.store.expunge(self.account, mailbox, only(*uids)))
        assert [int(uid) for uid in gone] == list(uids)

    async def create(self, account: str, name: str) -> None:
        await self._answered(self.store.create_mailbox(self.account, name, None, event()))

    async def delete(self, box: Box) -> None:
        mailbox = await self._id(box)
        await self._answered(self.store.delete_mailbox(self.account, mailbox, event()))

    async def rename(self, box: Box, name: str) -> None:
        mailbox = await self._id(box)
        await self._answered(self.store.rename_mailbox(self.account, mailbox, name, event()))


async def look(
    store: Store, ledger: Ledger, accounts: dict[str, AccountId]
) -> tuple[dict[tuple[str, str], SeenBox], list[str]]:
    """Everything that is there, read through the store, and what is wrong with the octets of it."""
    seen: dict[tuple[str, str], SeenBox] = {}
    wrong: list[str] = []
    for name, account in accounts.items():
        names = {bit: flag for flag, bit in (_BITS | await store.keyword_bits(account, KEYWORDS)).items()}
        for mailbox in await store.mailboxes(account):
            messages: dict[int, tuple[str, Flags]] = {}
            rows = store.rows(account, mailbox.id, ALL)
            idents = _idents(store, ledger, account, mailbox.id, rows, wrong)
            for row in rows:
                flags = frozenset(flag for bit, flag in names.items() if row.flags & bit)
                messages[row.uid] = (idents.get(row.uid, "no content"), flags)
            seen[name, mailbox.name] = SeenBox(mailbox.uid_validity, mailbox.uid_next, messages)
    return seen, wrong


def _idents(
    store: Store, ledger: Ledger, account: AccountId, mailbox: MailboxId, rows: Sequence[MessageRow], wrong: list[str]
) -> dict[int, str]:
    idents: dict[int, str] = {}
    for start in range(0, len(rows), 500):
        page = rows[start : start + 500]
        for found in store.contents(account, mailbox, [UidRange(page[0].uid, page[-1].uid)], parsed=False):
            try:
                octets = store.blobs.read(found.blob)
            except StoreError as error:
                wrong.append(f"UID {found.uid} of mailbox {mailbox}: {error}")
                continue
            ident = ident_of(octets)
            idents[found.uid] = ident
            letter = ledger.letters.get(ident)
            if letter is not None and not letter.is_intact(octets):
                wrong.append(f"{ident}: octets differ ({len(octets)} of {letter.size})")
    return idents


def ident_of(octets: bytes) -> str:
    """The name a letter carries in its header."""
    at = octets.find(b"X-Letter: ", 0, 4096)
    return (
        octets[at + 10 : octets.find(b"\r\n", at)].decode("ascii", "replace") if at >= 0 else f"unknown {octets[:40]!r}"
    )


def bits_of(found: dict[str, int]) -> dict[str, int]:
    """Masks of all flags, the account's keywords included."""
    return _BITS | found
