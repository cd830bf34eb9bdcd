"""The pictures of a process; and those of accounts that watch mailboxes of others too.

A picture with mailboxes of others is made of the account's own one and of what its access to others gives, both read only
when they may have changed: an access list, or anything in an account of which a mailbox is seen. Without the right `l` a
mailbox is not in it; without `r` it is, as `denied` (RFC 5465 §5: events need both).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, final

from poterne.session.imap.foreign import Place
from poterne.session.imap.pictures import Bell, Picture, Watched, Watcher
from poterne.session.notify import Notifier, Unsubscribe
from poterne.store.interface import Store
from poterne.values.ids import AccountId, MailboxId
from poterne.values.mailbox import EVERYBODY, Mailbox, MailboxChanged
from poterne.values.sharing import Right

ReadOthers = Callable[[], Awaitable[Sequence[Place]]]
_SHIFT: Final = 32


def foreign_key(row: Mailbox) -> MailboxId:
    """The place of somebody else's mailbox in a picture: no mailbox of one's own has it."""
    return MailboxId(row.account_id << _SHIFT | row.id)


@final
class Wide:
    """An account that watches mailboxes of others."""

    __slots__ = ("_following", "_lock", "_notifier", "_own", "_own_picture", "_picture", "_places", "_stale", "bell")

    def __init__(self, notifier: Notifier, own: Watched) -> None:
        self._notifier = notifier
        self._own = own
        self._lock = asyncio.Lock()
        self._own_picture: Picture | None = None
        self._picture: Picture | None = None
        self._places: list[Place] = []
        self._stale = True
        self._following: dict[AccountId, Unsubscribe] = {}
        self.bell = Bell()
        self._follow({EVERYBODY})

    def stir(self) -> None:
        """`Watcher` of the account itself."""
        self.bell.ring()

    def close(self) -> None:
        self.bell.close()
        for unsubscribe in self._following.values():
            unsubscribe()

    def _heard(self, _change: MailboxChanged) -> None:
        self._stale = True
        self.bell.ring()

    def _follow(self, owners: set[AccountId]) -> None:
        for owner in self._following.keys() - owners:
            self._following.pop(owner)()
        for owner in owners - self._following.keys():
            self._following[owner] = self._notifier.subscribe_account(owner, self._heard)

    async def current(self, store: Store, read_others: ReadOthers) -> Picture:
        """The picture as of now. Raises StoreError."""
        async with self._lock:
            own = await self._own.current(store)
            places = await self._read(read_others) if self._stale else self._places
            before = self._picture
            if before is not None and own is self._own_picture and places == self._places:
                return before
            self._own_picture, self._places = own, places
            picture = self._picture = _composed(before, own, places)
            return picture

    async def _read(self, read_others: ReadOthers) -> list[Place]:
        self._stale = False  # before we ask, so that a wake-up meanwhile is kept
        try:
            found = [place for place in await read_others() if Right.LOOKUP in place.rights]
        except BaseException:
            self._stale = True
            raise
        self._follow({EVERYBODY, *(place.mailbox.account_id for place in found)})
        return found


def _composed(before: Picture | None, own: Picture, places: list[Place]) -> Picture:
    known = before.mailboxes if before is not None else {}
    mailboxes = dict(own.mailboxes)
    for place in places:
        key = foreign_key(place.mailbox)
        old = known.get(key)
        mailboxes[key] = old if old is not None and old == place.mailbox else place.mailbox
    denied = frozenset(foreign_key(place.mailbox) for place in places if Right.READ not in place.rights)
    # That names may have changed is enough: whoever compares looks at each.
    serial = 2 if before is None else before.serial + 2
    return Picture(mailboxes, own.subscribed, serial, serial, (), denied)


@final
class Pictures:
    """The accounts of a process that are watched. Nothing is kept of an account that nobody watches."""

    def __init__(self) -> None:
        self._watched: Final[dict[AccountId, Watched]] = {}
        self._wide: Final[dict[AccountId, Wide]] = {}

    def watch(self, notifier: Notifier, account_id: AccountId, watcher: Watcher) -> Watched:
        """From now on `watcher` is stirred when the account's mailboxes change; until `leave`."""
        self._leave_wide(account_id, watcher)
        watched = self._watched.get(account_id)
        if watched is None:
            watched = self._watched[account_id] = Watched(notifier, account_id)
        watched.bell.watchers.add(watcher)
        return watched

    def watch_wide(self, notifier: Notifier, account_id: AccountId, watcher: Watcher) -> Wide:
        """The same with the mailboxes of others that the account may see."""
        wide = self._wide.get(account_id)
        if wide is None:
            own = self._watched.get(account_id) or Watched(notifier, account_id)
            self._watched[account_id] = own
            wide = self._wide[account_id] = Wide(notifier, own)
            own.bell.watchers.add(wide)
        wide.bell.watchers.add(watcher)
        self._watched[account_id].bell.watchers.discard(watcher)
        return wide

    def leave(self, account_id: AccountId, watcher: Watcher) -> None:
        self._leave_wide(account_id, watcher)
        watched = self._watched.get(account_id)
        if watched is None:
            return
        watched.bell.watchers.discard(watcher)
        if not watched.bell.watchers:
            watched.close()
            del self._watched[account_id]

    def _leave_wide(self, account_id: AccountId, watcher: Watcher) -> None:
        wide = self._wide.get(account_id)
        if wide is None:
            return
        wide.bell.watchers.discard(watcher)
        if not wide.bell.watchers:
            wide.close()
            del self._wide[account_id]
            self.leave(account_id, wide)

    def __len__(self) -> int:
        return len(self._watched)
