"""Recipients of ours in the queue (released mail, notices, bounces that came back): delivered, or sent on as they forward.

Each recipient is delivered in the same transaction as it is settled, so a crash neither loses it nor delivers it twice. Its
address is looked up now: who it belongs to may have changed while it waited.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol, final

from poterne.message.forwarded import loops
from poterne.message.header import index
from poterne.queue.content import copied, for_mailbox
from poterne.queue.domains import LocalDomains
from poterne.queue.fate import Fate
from poterne.queue.outcome import Delivered, Permanent, RecipientOutcome, Transient
from poterne.queue.settle import Settler
from poterne.queue.wire import passed
from poterne.store.errors import LimitError, NotFoundError, OverQuotaError
from poterne.store.interface import Delivery, Store
from poterne.values.address import Address, AddressError
from poterne.values.directory import Forward, RouteKind
from poterne.values.directory import Route as Mailboxes
from poterne.values.ids import AccountId
from poterne.values.mailbox import NewContent
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import NewQueued, NewRecipient, QueuedMessage, QueuedRecipient

HEADER_MOST: Final = 256 * 1024


class Rewrite(Protocol):
    """The reverse-path that mail leaves with which the address `via` of ours forwards (SRS). `local`: its domain is ours."""

    def __call__(self, reverse_path: str, via: str, now: int, /, *, local: bool = False) -> str: ...


_DELIVERED: Final = Delivered("250 2.0.0 Delivered to a mailbox of this server")
_UNKNOWN: Final = Permanent("There is no such mailbox here", 550, "5.1.1", local=True)
_NOT_SERVED: Final = Transient("This domain is not served here any more", 450, "4.3.5", local=True)
_FULL: Final = Transient("The mailbox is full", 452, "4.2.2", local=True)
_GONE: Final = Transient("The mailbox is not there just now", 450, "4.2.1", local=True)
_LOOP: Final = Permanent("This address forwards in a circle", 554, "5.4.6", local=True)
_NO_FORWARDS: Final = Transient("This server can't forward just now", 450, "4.3.5", local=True)


@final
class LocalDelivery:
    """For all local recipients. Without `rewrite` nothing that has a sender elsewhere is forwarded."""

    def __init__(
        self,
        store: Store,
        settler: Settler,
        rewrite: Rewrite | None,
        clock: Callable[[], float],
        domains: LocalDomains,
    ) -> None:
        self._store: Final = store
        self._domains: Final = domains
        self._settler: Final = settler
        self._rewrite: Final = rewrite
        self._clock: Final = clock

    async def deliver(self, message: QueuedMessage, recipients: Sequence[QueuedRecipient]) -> None:
        """End the leases of these recipients of one message, all local. Raises StoreError."""
        content: NewContent | None = None
        given: set[AccountId] = set()
        sent: set[str] = set()
        for recipient in recipients:
            route = await self._route(recipient)
            if not isinstance(route, Mailboxes):
                await self._settler.settle(message, [Fate(recipient, route)])
                continue
            # One copy for everybody: in mailboxes, and elsewhere.
            forwards = [forward for forward in route.forwards if forward.address not in sent]
            onward, kept = await self._onward(message, forwards) if forwards else ([], ())
            if not isinstance(onward, list):
                if not route.accounts:
                    await self._settler.settle(message, [Fate(recipient, onward)])
                    continue
                onward = []  # it stays in the mailbox
            wanted = dict.fromkeys((*route.accounts, *kept))
            accounts = [account for account in wanted if account not in given]
            if accounts and content is None:
                content = await for_mailbox(self._store.blobs, message)
            await self._one(message, recipient, content, accounts, onward)
            given.update(accounts)
            sent.update(forward.address for forward in forwards)

    async def _route(self, recipient: QueuedRecipient) -> Mailboxes | RecipientOutcome:
        try:
            address = Address.parse(recipient.forward_path)
        except AddressError:
            return _UNKNOWN
        route = await self._store.route(address.local_part, address.domain)
        if route.kind is RouteKind.ACCOUNTS:
            return route
        return _UNKNOWN if route.kind is RouteKind.UNKNOWN_USER else _NOT_SERVED

    async def _one(
        self,
        message: QueuedMessage,
        recipient: QueuedRecipient,
        content: NewContent | None,
        accounts: Sequence[AccountId],
        onward: Sequence[NewQueued],
    ) -> None:
        deliveries: list[Delivery] = []
        if content is not None:
            now = int(self._clock())
            deliveries = [Delivery(account, None, content, 0, now, 0) for account in accounts]
        try:
            try:
                await self._settler.settle(message, [Fate(recipient, _DELIVERED, mailbox=True)], deliveries, onward)
            except OverQuotaError:
                if len(deliveries) < 2:
                    raise
                room, later = await self._apart(message, deliveries)
                await self._settler.settle(
                    message, [Fate(recipient, _DELIVERED, mailbox=True)], room, [*onward, *later]
                )
        except OverQuotaError:
            await self._settler.settle(message, [Fate(recipient, _FULL)])
        except (NotFoundError, LimitError):  # removed between the look-up and now, or out of UIDs
            await self._settler.settle(message, [Fate(recipient, _GONE)])

    async def _apart(
        self, message: QueuedMessage, deliveries: Sequence[Delivery]
    ) -> tuple[list[Delivery], list[NewQueued]]:
        """Members of a list with room in their mailbox, and the others: they wait by themselves, in their own name."""
        room: list[Delivery] = []
        later: list[NewQueued] = []
        for delivery in deliveries:
            size_bytes = delivery.content.blob.size
            if not all(state.has_room(size_bytes) for state in self._store.quotas((delivery.account_id,))):
                account = await self._store.account_by_id(delivery.account_id)
                mine = [Forward(account.address, account.address, account.id)]
                later.append(await self._new(message, message.reverse_path, account.address, mine))
            else:
                room.append(delivery)
        return room, later

    async def _onward(
        self, message: QueuedMessage, forwards: Sequence[Forward]
    ) -> tuple[list[NewQueued] | RecipientOutcome, Sequence[AccountId]]:
        """What goes out again, a message for each address that forwards, or why nothing does; and in whose mailbox it stays.

        What comes round again stays with whoever forwards it; when it is nobody's, the others of a list get it all the same.
        """
        most = min(message.blob.size, message.start + HEADER_MOST)
        header = index(passed(message) + self._store.blobs.read(message.blob, message.start, most))
        ours = message.reverse_path.rpartition("@")[2].lower() in await self._domains.names()
        made: list[NewQueued] = []
        kept: list[AccountId] = []
        for via in dict.fromkeys(forward.via for forward in forwards):
            mine = [forward for forward in forwards if forward.via == via]
            owner = mine[0].owner
            if not loops(header, via):
                sender = self._sender(message.reverse_path, via, ours=ours)
                if sender is None:
                    return _NO_FORWARDS, ()
                made.append(await self._new(message, sender, via, mine))
            elif owner is not None:
                kept.append(owner)
        return (made, kept) if made or kept else (_LOOP, ())

    def _sender(self, reverse_path: str, via: str, *, ours: bool) -> str | None:
        """The reverse-path that it leaves with; None: nobody can rewrite it."""
        if self._rewrite is not None:
            return self._rewrite(reverse_path, via, int(self._clock()), local=ours)
        return reverse_path if ours or not reverse_path else None

    async def _new(self, message: QueuedMessage, sender: str, via: str, mine: Sequence[Forward]) -> NewQueued:
        """The same octets, for one address that forwards. Raises StoreError."""
        now = int(self._clock())
        blob, start = message.blob, message.start
        if before := passed(
            message
        ):  # a second forward: the first one's mark stays, and only one is written on the way
            content, _ = await copied(self._store.blobs, blob, start, before)
            blob, start = content.blob, 0
        return NewQueued(
            origin=Origin(OriginKind.FORWARD, via, mine[0].owner),
            trace_id=message.trace_id,
            reverse_path=sender,
            blob=blob,
            recipients=tuple(_recipient(one.address) for one in mine),
            due_at=now,
            start=start,
            eight_bit=message.eight_bit,
            smtputf8=message.smtputf8,
            requiretls=message.requiretls,
            tls_optional=message.tls_optional,
        )


def _recipient(key: str) -> NewRecipient:
    """From an `Address.key`, which has no quotes."""
    local_part, _, domain = key.rpartition("@")
    return NewRecipient(str(Address(local_part, domain)), domain)
