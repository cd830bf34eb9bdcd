"""The transaction in progress: sender, recipients, the message as it comes, and its acceptance.

A message is parsed, hashed and written in one pass while it comes. It is accepted when one store operation has delivered it
to all its local recipients and queued it for the others, durably: then, and not before, the session answers 250.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, final

from poterne.message.compose import Hop, received, return_path
from poterne.proto.smtp import replies
from poterne.proto.smtp.events import MailFrom
from poterne.session.ingest import Ingest, Ingested
from poterne.session.smtp.header import Held, Refused, judge
from poterne.session.smtp.services import Services
from poterne.store.errors import StoreError
from poterne.store.interface import Delivery, NewQueued
from poterne.values.directory import Account
from poterne.values.event import Event
from poterne.values.ids import AccountId, TraceId


@dataclass(slots=True)
class Envelope:
    """Sender and recipients that were answered 250."""

    mail: MailFrom
    trace: TraceId
    accounts: dict[AccountId, str] = field(default_factory=dict)
    """Local recipients, each once, with the address that led to them."""
    remote: list[str] = field(default_factory=list)
    """Recipients elsewhere; only from authenticated senders."""
    recipients: int = 0

    @property
    def reverse_path(self) -> str:
        return self.mail.path.raw


@final
class Incoming:
    """A message that is being received. `feed` it, then `finish`; or `abort`."""

    __slots__ = ("_account", "_first", "_held", "_ingest", "_services", "envelope", "refused")

    def __init__(self, services: Services, envelope: Envelope, account: Account | None, first: bytes) -> None:
        self.envelope: Final = envelope
        self.refused: Refused | None = None
        self._services: Final = services
        self._account: Final = account
        self._first: Final = first
        self._held: Held | None = Held(services.settings.max_header_bytes)
        """None once the header was judged."""
        self._ingest: Final = Ingest(services.store.blobs)

    async def feed(self, chunk: bytes) -> None:
        """The next octets. Never raises: `finish` tells of failure."""
        held, ingest = self._held, self._ingest
        if held is not None:
            begun = held.feed(chunk)
            if begun is not None:
                await self._begin(begun)
        elif self.refused is None:
            ingest.feed(chunk)
        if ingest.must_drain:
            await ingest.drain()

    async def _begin(self, begun: bytes | Refused) -> None:
        """The header is known: our trace fields come before it, so that they are part of the stored message."""
        self._held = None
        if isinstance(begun, bytes):
            begun = await self._judged(begun)
        if isinstance(begun, bytes):
            self._ingest.feed(self._first + begun)
        else:
            self.refused = begun
            self._ingest.abort()

    async def _judged(self, begun: bytes) -> bytes | Refused:
        services, envelope = self._services, self.envelope
        try:
            return await judge(services, self._account, envelope.trace, begun, smtputf8=envelope.mail.smtputf8)
        except StoreError as error:
            services.log.error("header.unavailable", trace=envelope.trace, error=str(error))
            return Refused("unavailable", replies.LOCAL_ERROR)

    async def finish(self) -> Ingested | Refused:
        """The message is complete. Raises StoreError."""
        if self._held is not None:  # a header without an end is all of the message
            await self._begin(self._held.finish())
        return self.refused or await self._ingest.finish()

    def abort(self) -> None:
        """Forget it. Safe at any time."""
        self._held = None
        self._ingest.abort()


def begin(services: Services, envelope: Envelope, account: Account | None, hop: Hop) -> Incoming:
    """Start to receive; `account` has signed in."""
    return Incoming(services, envelope, account, return_path(envelope.reverse_path) + received(hop))


async def accept(
    services: Services, incoming: Incoming, ingested: Ingested, sender: AccountId | None, peer: str, now: int
) -> None:
    """Deliver and queue, in one durable operation with its event. Raises StoreError."""
    envelope = incoming.envelope
    deliveries = [Delivery(account, None, ingested.content, 0, now, 0) for account in envelope.accounts]
    await services.store.deliver(
        deliveries,
        list(_queued(envelope, ingested, sender, now)),
        [
            Event(
                now,
                "message.accepted",
                envelope.trace,
                sender,
                peer,
                detail={
                    "service": services.service.value,
                    "from": envelope.reverse_path,
                    "local": len(envelope.accounts),
                    "queued": len(envelope.remote),
                    "size": ingested.scanned.size,
                    "message_id": (ingested.scanned.envelope.message_id or b"").decode("utf-8", "replace")[:250],
                },
            )
        ],
    )


def _queued(envelope: Envelope, ingested: Ingested, sender: AccountId | None, now: int) -> Iterator[NewQueued]:
    if sender is None:
        return  # nobody relays without having signed in; `remote` is empty then
    for path in envelope.remote:
        yield NewQueued(
            sender,
            envelope.trace,
            envelope.reverse_path,
            path,
            ingested.content.blob,
            now,
            eight_bit=ingested.scanned.eight_bit,
            smtputf8=envelope.mail.smtputf8,
        )
