"""Recipients of ours in the queue (released mail, notices, bounces that came back): delivered, or sent on as they forward.

Each recipient is delivered in the same transaction as it is settled, so a crash neither loses it nor delivers it twice. Its
address is looked up now: who it belongs to may have changed while it waited.
"""

from collections.abc import Callable, Sequence
from typing import Final, final

from poterne.message.compose import return_path
from poterne.message.forwarded import delivered_to, loops
from poterne.message.header import index
from poterne.queue.content import copied, scanned_blob
from poterne.queue.fate import Fate
from poterne.queue.outcome import Delivered, Permanent, RecipientOutcome, Transient
from poterne.queue.settle import Settler
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

Rewrite = Callable[[str, str, int], str]
"""Reverse-path, forwarding address, now: the reverse-path that forwarded mail leaves with (SRS)."""

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

    def __init__(self, store: Store, settler: Settler, rewrite: Rewrite | None, clock: Callable[[], float]) -> None:
        self._store: Final = store
        self._settler: Final = settler
        self._rewrite: Final = rewrite
        self._clock: Final = clock

    async def deliver(self, message: QueuedMessage, recipients: Sequence[QueuedRecipient]) -> None:
        """End the leases of these recipients of one message, all local. Raises StoreError."""
        content: NewContent | None = None
        given: set[AccountId] = set()
        for recipient in recipients:
            route = await self._route(recipient)
            if not isinstance(route, Mailboxes):
                await self._settler.settle(message, [Fate(recipient, route)])
                continue
            accounts = [account for account in route.accounts if account not in given]  # one copy for everybody
            if accounts and content is None:
                content = await self._content(message)
            await self._one(message, recipient, content, accounts, route.forwards)
            given.update(accounts)

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
        forwards: Sequence[Forward],
    ) -> None:
        onward: list[NewQueued] = []
        if forwards:
            found = await self._onward(message, forwards)
            if not isinstance(found, list):
                if not accounts:
                    await self._settler.settle(message, [Fate(recipient, found)])
                    return
                found = []  # it stays in the mailbox
            onward = found
        deliveries: list[Delivery] = []
        if content is not None:
            now = int(self._clock())
            deliveries = [Delivery(account, None, content, 0, now, 0) for account in accounts]
        try:
            await self._settler.settle(message, [Fate(recipient, _DELIVERED, mailbox=True)], deliveries, onward)
        except OverQuotaError:
            await self._settler.settle(message, [Fate(recipient, _FULL)])
        except (NotFoundError, LimitError):  # removed between the look-up and now, or out of UIDs
            await self._settler.settle(message, [Fate(recipient, _GONE)])

    async def _content(self, message: QueuedMessage) -> NewContent:
        """What is delivered begins with the Return-Path; the stored message mostly does already."""
        first = return_path(message.reverse_path)
        if message.start == len(first) and self._store.blobs.read(message.blob, 0, message.start) == first:
            return await scanned_blob(self._store.blobs, message.blob)
        content, _ = await copied(self._store.blobs, message.blob, message.start, first)
        return content

    async def _onward(self, message: QueuedMessage, forwards: Sequence[Forward]) -> list[NewQueued] | RecipientOutcome:
        """What goes out again, a message for each address that forwards; or why nothing does."""
        blobs = self._store.blobs
        most = min(message.blob.size, message.start + HEADER_MOST)
        header = index(blobs.read(message.blob, message.start, most))
        made: list[NewQueued] = []
        now = int(self._clock())
        for via in dict.fromkeys(forward.via for forward in forwards):
            if loops(header, via):
                return _LOOP
            if message.reverse_path and self._rewrite is None:
                return _NO_FORWARDS
            sender = self._rewrite(message.reverse_path, via, now) if self._rewrite is not None else ""
            first = return_path(sender)
            content, scanned = await copied(blobs, message.blob, message.start, first + delivered_to(via))
            mine = [forward for forward in forwards if forward.via == via]
            made.append(
                NewQueued(
                    origin=Origin(OriginKind.FORWARD, via, mine[0].owner),
                    trace_id=message.trace_id,
                    reverse_path=sender,
                    blob=content.blob,
                    recipients=tuple(NewRecipient(one.address, one.address.rpartition("@")[2]) for one in mine),
                    due_at=now,
                    start=len(first),
                    eight_bit=scanned.eight_bit,
                    smtputf8=message.smtputf8,
                    requiretls=message.requiretls,
                )
            )
        return made
