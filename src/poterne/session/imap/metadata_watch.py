"""What others change of the annotations that a client may see (RFC 5464 §4.4.2).

Theory of operation. A watch remembers when each entry was last set, as far as its client has been told. A change wakes it
without saying which: then the marks are read again, and those that differ are told. So nothing is lost when a wake-up is,
nothing is told twice, and what the client changed itself is not told at all.
"""

from collections.abc import Callable, Mapping
from typing import Final, final

from poterne.session.notify import Notifier, Unsubscribe
from poterne.store.interface import Store
from poterne.store.interface_sharing import ANNOTATED
from poterne.values.ids import AccountId, MailboxId, ModSeq

Marks = dict[tuple[MailboxId | None, str], ModSeq]


@final
class MetadataWatch:
    """Of one account's annotations, for one reader. Call `begin` once."""

    __slots__ = ("_account_id", "_marks", "_reader_id", "_unsubscribe")

    def __init__(self, account_id: AccountId, reader_id: AccountId) -> None:
        self._account_id: Final = account_id
        self._reader_id: Final = reader_id
        self._marks: Marks = {}
        self._unsubscribe: Unsubscribe | None = None

    async def begin(self, store: Store, notifier: Notifier, wake: Callable[[], None]) -> None:
        """From now on `wake` is called when something may have changed. Raises StoreError."""
        self._unsubscribe = notifier.subscribe(self._account_id, ANNOTATED, lambda _: wake())
        try:
            self._marks = await store.annotation_marks(self._account_id, self._reader_id)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
        self._unsubscribe = None

    def changed_here(self, mailbox_id: MailboxId | None, values: Mapping[str, bytes | None], mark: ModSeq) -> None:
        """The client itself did this."""
        for entry, value in values.items():
            if value is None:
                self._marks.pop((mailbox_id, entry), None)
            else:
                self._marks[mailbox_id, entry] = mark

    async def changed(self, store: Store) -> dict[MailboxId | None, list[str]]:
        """Entries by mailbox (None is the account as a whole) that others set or removed since the last time. StoreError."""
        now = await store.annotation_marks(self._account_id, self._reader_id)
        before = self._marks
        found: dict[MailboxId | None, list[str]] = {}
        if now != before:
            for mailbox_id, entry in now.keys() | before.keys():
                if now.get((mailbox_id, entry)) != before.get((mailbox_id, entry)):
                    found.setdefault(mailbox_id, []).append(entry)
            self._marks = now
        return found

    async def changes(self, store: Store) -> list[tuple[str, list[str]]]:
        """The same with names; "" is the server. Raises StoreError."""
        changed = await self.changed(store)
        if not changed:
            return []
        names: dict[MailboxId | None, str] = {None: ""}
        for mailbox in await store.mailboxes(self._account_id):
            names[mailbox.id] = mailbox.name
        # A mailbox that is gone has no annotations that could be told of.
        return sorted((names[one], sorted(entries)) for one, entries in changed.items() if one in names)
