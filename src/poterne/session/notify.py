"""Who wakes a session when its mailbox changes. The app gives the `Notifier`: commits of this process and bus messages of
others end in the same callbacks.

A wake-up carries no content and may be lost or come twice: whoever is woken asks the store what changed.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol, final

from poterne.values.ids import AccountId, MailboxId, ModSeq
from poterne.values.mailbox import NAMES, MailboxChanged

Unsubscribe = Callable[[], None]
Hear = Callable[[MailboxChanged], None]
"""Called with each change of an account. It must not block."""
Wake = Callable[[ModSeq], None]
"""Called with the mailbox's modseq, so that a session need not ask about what it did itself. It must not block."""

UNKNOWN: Final = ModSeq(2**63 - 1)
"""The modseq of a wake-up that does not know it."""


class Notifier(Protocol):
    """Calls `wake` on the event loop, soon after each change of the mailbox, until unsubscribed."""

    def subscribe(self, account_id: AccountId, mailbox_id: MailboxId, wake: Wake) -> Unsubscribe: ...

    def subscribe_account(self, account_id: AccountId, hear: Hear) -> Unsubscribe:
        """All its mailboxes, and their names (`values.mailbox.NAMES`)."""


@final
class Subscriptions:
    """The Notifier of a process. `heard` is for `Store.listen` and for what the bus brings."""

    def __init__(self) -> None:
        self._wakes: Final[dict[tuple[AccountId, MailboxId], dict[object, Wake]]] = {}
        self._accounts: Final[dict[AccountId, dict[object, Hear]]] = {}

    def subscribe(self, account_id: AccountId, mailbox_id: MailboxId, wake: Wake) -> Unsubscribe:
        key = (account_id, mailbox_id)
        mark = object()
        self._wakes.setdefault(key, {})[mark] = wake

        def unsubscribe() -> None:
            waiting = self._wakes.get(key, {})
            waiting.pop(mark, None)
            if not waiting:
                self._wakes.pop(key, None)

        return unsubscribe

    def subscribe_account(self, account_id: AccountId, hear: Hear) -> Unsubscribe:
        mark = object()
        self._accounts.setdefault(account_id, {})[mark] = hear

        def unsubscribe() -> None:
            hearing = self._accounts.get(account_id, {})
            hearing.pop(mark, None)
            if not hearing:
                self._accounts.pop(account_id, None)

        return unsubscribe

    def heard(self, changes: Sequence[MailboxChanged]) -> None:
        """Wake whoever watches these mailboxes."""
        for change in changes:
            for wake in tuple(self._wakes.get((change.account_id, change.mailbox_id), {}).values()):
                wake(change.modseq)
            if self._accounts and (hearing := self._accounts.get(change.account_id)):
                for hear in tuple(hearing.values()):
                    hear(change)

    def wake_all(self) -> None:
        """Messages of other processes may have been lost (the bus reconnected, or `Store.poll` said so)."""
        for waiting in tuple(self._wakes.values()):
            for wake in tuple(waiting.values()):
                wake(UNKNOWN)
        for account_id, hearing in tuple(self._accounts.items()):
            for hear in tuple(hearing.values()):
                hear(MailboxChanged(account_id, NAMES, UNKNOWN))

    def __len__(self) -> int:
        return len(self._wakes) + len(self._accounts)
