"""Forwards that failed for good: the mail is in its owner's mailbox, and whoever forwards hears of it.

Theory of operation. Nobody outside hears of a forward that failed: whoever wrote the mail may be a stranger, and a notice
backscatter. So that nothing vanishes all the same:

- An account's own forward: where the account keeps no copy, the message is delivered to its mailbox in the transaction that
  gives up. The owner gets a notice beside it, straight into the mailbox (by way of the address it would be forwarded, too).
- A list's forward (an alias): whoever else is on the list has the mail. The postmaster of the list's domain gets a notice.

Once a day and address at most: a forward that is broken is broken for every mail, spam included. What was told when is kept in
memory only; after a restart a notice may come once more.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, final

from poterne.message.compose import Mailbox, message_id, return_path
from poterne.message.forward_notice import ForwardNotice, Kept, render
from poterne.observe import Log
from poterne.queue.bounce import SYSTEM
from poterne.queue.content import for_mailbox, letter_of_ours, scanned_blob, written
from poterne.queue.domains import LocalDomains
from poterne.queue.fate import Fate
from poterne.queue.outcome import Permanent, Transient
from poterne.store.errors import NotFoundError, StoreError
from poterne.store.interface import Delivery, Store
from poterne.values.address import Address
from poterne.values.directory import Account
from poterne.values.event import Event
from poterne.values.ids import AccountId
from poterne.values.mailbox import NewContent
from poterne.values.origin import OriginKind
from poterne.values.queue import NewQueued, NewRecipient, QueuedMessage

DAY_S: Final = 86_400
TOLD_MOST: Final = 10_000
"""Forwards that are remembered as told of."""
_POSTMASTER: Final = "postmaster"


@dataclass(slots=True)
class Rescue:
    """What goes into the transaction that gives forwards up."""

    deliveries: list[Delivery] = field(default_factory=list)
    notices: list[NewQueued] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)
    """For `done`: what whoever forwards hears of."""


@final
class FailedForwards:
    """Says what to keep and whom to tell; `done` once that is committed."""

    def __init__(
        self,
        store: Store,
        hostname: str,
        language: str,
        domains: LocalDomains,
        clock: Callable[[], float],
        log: Log,
    ) -> None:
        self._store: Final = store
        self._hostname: Final = hostname
        self._language: Final = language
        self._domains: Final = domains
        self._clock: Final = clock
        self._log: Final = log
        self._told: Final[OrderedDict[tuple[str, str], int]] = OrderedDict()

    async def rescue(self, message: QueuedMessage, failed: Sequence[Fate], *, mailbox: bool = True) -> Rescue:
        """For recipients of a forward that are given up. `mailbox` False: the owner's could not take it. Raises StoreError."""
        found = Rescue()
        owner = await self._owner(message.origin.account_id)
        if mailbox and owner is not None and not owner.keeps:
            try:
                content = await self._as_it_came(message)
            except StoreError as error:  # that it can't be read may be why it failed
                self._log.error("forward.unreadable", trace=message.trace_id, problem=str(error))
                mailbox = False
            else:
                now = int(self._clock())
                found.deliveries.append(Delivery(owner.id, None, content, 0, now, 0))
                detail: dict[str, str | int | bool | None] = {"origin": message.origin.key, "to": owner.address}
                found.events.append(Event(now, "forward.kept", message.trace_id, owner.id, detail=detail))
        for fate in failed:
            await self._tell(found, message, fate, owner, mailbox=mailbox)
        return found

    async def _as_it_came(self, message: QueuedMessage) -> NewContent:
        """What is stored begins with the Return-Path that it came with; only the envelope was rewritten."""
        blobs = self._store.blobs
        if message.start and blobs.read(message.blob, 0, message.start).startswith(b"Return-Path: "):
            return await scanned_blob(blobs, message.blob)
        return await for_mailbox(blobs, message)

    def done(self, rescue: Rescue) -> None:
        """It is committed: these are told of for a day."""
        now = int(self._clock())
        for key in rescue.told:
            self._told[key] = now
            self._told.move_to_end(key)
        while len(self._told) > TOLD_MOST:
            self._told.popitem(last=False)

    async def keeps_nothing(self, message: QueuedMessage) -> bool:
        """Is the forward's copy the only one that its owner has?"""
        owner = await self._owner(message.origin.account_id)
        return owner is not None and not owner.keeps

    async def _owner(self, account_id: AccountId | None) -> Account | None:
        if account_id is None:
            return None
        try:
            return await self._store.account_by_id(account_id)
        except NotFoundError:
            return None

    async def _tell(
        self, found: Rescue, message: QueuedMessage, fate: Fate, owner: Account | None, *, mailbox: bool
    ) -> None:
        via = message.origin.name
        key = (via, fate.recipient.forward_path.lower())
        now = int(self._clock())
        if now - self._told.get(key, now - DAY_S) < DAY_S or key in found.told:
            return
        kept = Kept.LIST if owner is None else Kept.MAILBOX if mailbox or owner.keeps else Kept.NOWHERE
        if kept is Kept.MAILBOX and not mailbox:  # the mail is there already, and there is no room for a notice
            return
        if kept is Kept.MAILBOX and owner is not None:
            octets = self._written(message, fate, kept, owner.address, owner.language, now)
            content = await written(self._store.blobs, return_path("") + octets)
            found.deliveries.append(Delivery(owner.id, None, content, 0, now, 0))
        else:
            postmaster = await self._postmaster(via)
            if postmaster is None:
                return
            octets = self._written(message, fate, kept, str(postmaster), self._language, now)
            found.notices.append(await self._queued(message, octets, postmaster, now))
        found.told.append(key)

    async def _postmaster(self, via: str) -> Address | None:
        """None: nobody is left who could hear of it."""
        local_part, _, domain = via.rpartition("@")
        if domain not in await self._domains.names():
            first = await self._domains.first()
            return None if first is None else Address(_POSTMASTER, first)
        return None if local_part.lower() == _POSTMASTER else Address(_POSTMASTER, domain)

    def _written(self, message: QueuedMessage, fate: Fate, kept: Kept, to: str, language: str, now: int) -> bytes:
        outcome = fate.outcome
        local = not fate.host or (isinstance(outcome, Permanent | Transient) and outcome.local)
        return render(
            ForwardNotice(
                hostname=self._hostname,
                sender=Mailbox(f"{_POSTMASTER}@{to.rpartition('@')[2]}"),
                to=Mailbox(to),
                language=language,
                message_id=message_id(f"{message.trace_id}.{fate.recipient.id}.{now}.forward", self._hostname),
                unix_s=now,
                via=message.origin.name,
                address=fate.recipient.forward_path,
                kept=kept,
                said=outcome.reply,
                remote="" if local else fate.host,
                trace=message.trace_id,
            )
        )

    async def _queued(self, message: QueuedMessage, octets: bytes, to: Address, now: int) -> NewQueued:
        blob, start = await letter_of_ours(self._store.blobs, octets)
        return NewQueued(
            origin=SYSTEM,
            trace_id=message.trace_id,
            reverse_path="",
            blob=blob,
            recipients=(NewRecipient(str(to), to.domain, notify="NEVER"),),
            due_at=now,
            start=start,
            tls_optional=message.tls_optional,
        )


def forwarded(message: QueuedMessage) -> bool:
    """Did one of our addresses forward it? A notice that goes back to a rewritten sender belongs to no address (`srs:domain`).

    When that can't be delivered either, nobody is told: strangers invent such senders, and could write to the postmaster by it.
    """
    return message.origin.kind is OriginKind.FORWARD and "@" in message.origin.name


__all__ = ["FailedForwards", "Rescue", "forwarded"]
