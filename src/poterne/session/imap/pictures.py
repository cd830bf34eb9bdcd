"""All mailboxes of an account as they are now, for the sessions that watch it (NOTIFY).

Theory of operation. A `Picture` is immutable and shared: each session remembers only which picture it told its client last, and
what has to be told is the difference to the newest one. So a session's state does not grow with what happens, a burst of
changes is one notice, and nothing is lost when a wake-up is: the next picture has it.

A change marks what is stale. After the first one everybody who watches is poked at once, then at most every GAP_S; the first
who asks reads the store, only the mailboxes that changed where they are few, and all others get what was read.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol, final

from poterne.session.notify import Notifier, Unsubscribe
from poterne.store.errors import NotFoundError
from poterne.store.interface import Store
from poterne.store.interface_sharing import ANNOTATED
from poterne.values.ids import AccountId, MailboxId
from poterne.values.mailbox import NAMES, Mailbox, MailboxChanged

GAP_S: Final = 0.04
"""Between two readings of an account. With what the bus takes, a notice is out within 100 ms."""
FEW: Final = 8
"""So many mailboxes are read one by one; of more, all are."""
MANY: Final = 200
"""After so many were read, others get a turn."""


class Watcher(Protocol):
    """Who wants to hear that there is a new picture."""

    def stir(self) -> None: ...


@final
class Picture:
    """Mailboxes by id, and the subscribed names, of one moment."""

    __slots__ = ("denied", "mailboxes", "names_at", "serial", "subscribed", "touched")

    def __init__(
        self,
        mailboxes: Mapping[MailboxId, Mailbox],
        subscribed: frozenset[str],
        serial: int,
        names_at: int,
        touched: Sequence[MailboxId] = (),
        denied: frozenset[MailboxId] = frozenset(),
    ) -> None:
        self.mailboxes: Final = mailboxes
        self.subscribed: Final = subscribed
        self.serial: Final = serial
        self.names_at: Final = names_at
        """The picture with which names or subscriptions last changed."""
        self.denied: Final = denied
        """Mailboxes of others that may be seen but not read."""
        self.touched: Final = touched
        """What differs from the picture before it; only if `serial` is one more."""

    def changed_since(self, before: "Picture") -> Sequence[MailboxId]:
        """Mailboxes that are not what they were; also those that were not there."""
        if self.serial == before.serial + 1 and self.touched:
            return self.touched
        old = before.mailboxes
        return [key for key, row in self.mailboxes.items() if old.get(key) is not row]


@final
class Bell:
    """Stirs all watchers: at once, then at most every GAP_S."""

    __slots__ = ("_loop", "_rung_at", "_timer", "watchers")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rung_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.watchers: set[Watcher] = set()

    def ring(self) -> None:
        if self._timer is not None:
            return
        wait_s = self._rung_at + GAP_S - self._loop.time()
        if wait_s <= 0:
            self._gap_over()
        else:
            self._timer = self._loop.call_later(wait_s, self._gap_over)

    def _gap_over(self) -> None:
        self._timer = None
        self._rung_at = self._loop.time()
        for watcher in tuple(self.watchers):
            watcher.stir()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


@final
class Watched:
    """An account that somebody watches."""

    __slots__ = ("_account_id", "_lock", "_picture", "_stale", "_stale_names", "_unsubscribe", "bell")

    def __init__(self, notifier: Notifier, account_id: AccountId) -> None:
        self._account_id = account_id
        self._lock = asyncio.Lock()
        self._picture: Picture | None = None
        self._stale: set[MailboxId] = set()
        self._stale_names = True
        self.bell = Bell()
        self._unsubscribe: Unsubscribe = notifier.subscribe_account(account_id, self._heard)

    def close(self) -> None:
        self._unsubscribe()
        self.bell.close()

    def _heard(self, change: MailboxChanged) -> None:
        if change.mailbox_id == NAMES:
            self._stale_names = True
        elif change.mailbox_id == ANNOTATED:
            return
        else:
            self._stale.add(change.mailbox_id)
        self.bell.ring()

    async def current(self, store: Store) -> Picture:
        """The picture as of now. Raises StoreError."""
        if self._picture is not None and not (self._stale or self._stale_names):
            return self._picture
        async with self._lock:
            picture = self._picture
            if picture is None or self._stale_names or len(self._stale) > FEW:
                picture = await self._read(store, picture)
            elif self._stale:
                picture = await self._read_some(store, picture)
            self._picture = picture
            return picture

    async def _read(self, store: Store, before: Picture | None) -> Picture:
        stale, self._stale, self._stale_names = self._stale, set(), False
        try:
            rows = await store.mailboxes(self._account_id)
            subscribed = frozenset(await store.subscriptions(self._account_id))
            if len(rows) > MANY:
                await asyncio.sleep(0)  # a client may ask for it again and again
        except BaseException:
            self._stale |= stale
            self._stale_names = True
            raise
        if before is None:
            return Picture({row.id: row for row in rows}, subscribed, 1, 1)
        known = before.mailboxes
        mailboxes = {row.id: old if (old := known.get(row.id)) == row else row for row in rows}
        same_names = subscribed == before.subscribed and _names(known) == _names(mailboxes)
        if same_names and all(known[key] is row for key, row in mailboxes.items()):
            return before
        serial = before.serial + 1
        return Picture(
            mailboxes,
            before.subscribed if same_names else subscribed,
            serial,
            before.names_at if same_names else serial,
        )

    async def _read_some(self, store: Store, before: Picture) -> Picture:
        stale, self._stale = self._stale, set()
        known = before.mailboxes
        found: dict[MailboxId, Mailbox] = {}
        try:
            for key in stale:
                row = await store.mailbox_by_id(self._account_id, key)
                old = known.get(key)
                if old is None or (old.name, old.selectable) != (row.name, row.selectable):
                    self._stale_names = True  # told of apart; whichever comes first
                    break
                if old != row:
                    found[key] = row
        except NotFoundError:
            self._stale_names = True
        except BaseException:
            self._stale |= stale
            raise
        if self._stale_names:
            self._stale |= stale
            return await self._read(store, before)
        if not found:
            return before
        return Picture({**known, **found}, before.subscribed, before.serial + 1, before.names_at, tuple(found))


def _names(mailboxes: Mapping[MailboxId, Mailbox]) -> dict[MailboxId, tuple[str, bool]]:
    return {key: (row.name, row.selectable) for key, row in mailboxes.items()}
