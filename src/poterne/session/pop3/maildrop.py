"""The messages of an INBOX as they were at sign-in: numbers stay what they are until QUIT (RFC 1939 §5).

Other clients may work on the mailbox meanwhile: what they remove is found missing when it is asked for, and what arrives
waits for the next session. Only UIDs and sizes are held, 8 octets a message.
"""

from array import array
from collections.abc import Iterator
from typing import Final, Self, final

from poterne.store.errors import NotFoundError
from poterne.store.interface import Store
from poterne.values.ids import AccountId, Uid
from poterne.values.mailbox import ContentRow, Mailbox, UidRange

_PAGE: Final = 1000
_AHEAD: Final = 50
"""Rows read at once while a client fetches one message after the other."""


def ranges(uids: list[int]) -> list[UidRange]:
    """Ascending UIDs as disjoint ranges."""
    found: list[UidRange] = []
    first = last = 0
    for uid in uids:
        if uid != last + 1 or not first:
            if first:
                found.append(UidRange(first, last))
            first = uid
        last = uid
    if first:
        found.append(UidRange(first, last))
    return found


@final
class Maildrop:
    """One session's view. Message numbers count from 1; `NotFoundError` for one that is not there (any more)."""

    def __init__(
        self, store: Store, account: AccountId, mailbox: Mailbox, uids: "array[int]", sizes: "array[int]"
    ) -> None:
        self._store: Final = store
        self._account: Final = account
        self._mailbox: Final = mailbox
        self._uids: Final = uids
        self._sizes: Final = sizes
        self._deleted: Final[set[int]] = set()
        self._retrieved: Final[set[int]] = set()
        self._ahead: dict[int, ContentRow] = {}

    @classmethod
    async def open(cls, store: Store, account: AccountId) -> Self:
        """A snapshot of the account's INBOX. Raises StoreError."""
        inbox = await store.mailbox(account, "INBOX")
        mailbox, packed = await store.uids(account, inbox.id)
        wanted = array("I", packed)
        uids, sizes = array("I"), array("I")
        for start in range(0, len(wanted), _PAGE):
            page = wanted[start : start + _PAGE]
            for row in store.rows(account, inbox.id, [UidRange(page[0], page[-1])]):
                uids.append(row.uid)
                sizes.append(row.size)
        return cls(store, account, mailbox, uids, sizes)

    def _index(self, number: int) -> int:
        if not 1 <= number <= len(self._uids) or number in self._deleted:
            raise NotFoundError
        return number - 1

    @property
    def count(self) -> int:
        return len(self._uids) - len(self._deleted)

    @property
    def octets(self) -> int:
        return sum(self._sizes) - sum(self._sizes[number - 1] for number in self._deleted)

    def size(self, number: int) -> int:
        return self._sizes[self._index(number)]

    def unique_id(self, number: int) -> str:
        """RFC 1939 §7, UIDL: never given to another message, the same in every session."""
        return f"{self._mailbox.uid_validity:08x}{self._uids[self._index(number)]:08x}"

    def sizes(self) -> Iterator[bytes]:
        deleted = self._deleted
        return (b"%d %d" % (n, size) for n, size in enumerate(self._sizes, 1) if n not in deleted)

    def unique_ids(self) -> Iterator[bytes]:
        deleted, validity = self._deleted, self._mailbox.uid_validity
        return (b"%d %08x%08x" % (n, validity, uid) for n, uid in enumerate(self._uids, 1) if n not in deleted)

    def content(self, number: int) -> ContentRow:
        """Where the bytes of a message are."""
        index = self._index(number)
        uid = self._uids[index]
        if uid not in self._ahead:
            last = self._uids[min(index + _AHEAD, len(self._uids)) - 1]
            rows = self._store.contents(
                self._account, self._mailbox.id, [UidRange(uid, last)], envelope=False, structure=False, parsed=False
            )
            self._ahead = {row.uid: row for row in rows}
        try:
            return self._ahead[uid]
        except KeyError:
            raise NotFoundError from None

    def mark_retrieved(self, number: int) -> None:
        self._retrieved.add(self._uids[self._index(number)])

    def mark_deleted(self, number: int) -> None:
        self._index(number)
        self._deleted.add(number)

    def unmark(self) -> None:
        self._deleted.clear()

    @property
    def to_remove(self) -> list[Uid]:
        return [Uid(self._uids[number - 1]) for number in sorted(self._deleted)]

    @property
    def to_flag_seen(self) -> list[int]:
        return sorted(self._retrieved - set(self.to_remove))

    @property
    def fetched_and_left(self) -> list[Uid]:
        return [Uid(uid) for uid in self.to_flag_seen]

    @property
    def mailbox(self) -> Mailbox:
        return self._mailbox
