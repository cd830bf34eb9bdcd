"""The transaction in progress: sender, recipients, the message as it comes, and its acceptance.

A message is parsed, hashed and written in one pass while it comes. It is accepted when one store operation has delivered it
to all its local recipients and queued it for the others, durably: then, and not before, the session answers 250.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from poterne.message.compose import Hop, received, return_path
from poterne.proto.smtp.events import MailFrom
from poterne.session.ingest import Ingest, Ingested
from poterne.session.smtp.services import Services
from poterne.store.interface import Delivery, NewQueued
from poterne.values.event import Event
from poterne.values.ids import AccountId, TraceId

WANTED_FIELDS = frozenset({b"received"})


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


@dataclass(slots=True)
class Incoming:
    """A message that is being received."""

    envelope: Envelope
    ingest: Ingest
    begun: bool = False
    folded: bool = False
    """It begins with white space: its first line would become part of our own last field."""

    def feed(self, chunk: bytes) -> None:
        if not self.begun:
            self.begun = True
            self.folded = chunk.startswith((b" ", b"\t"))
        self.ingest.feed(chunk)


def begin(services: Services, envelope: Envelope, hop: Hop) -> Incoming:
    """Start to receive: our trace fields come first, so that they are part of the stored message."""
    trace_fields = return_path(envelope.reverse_path) + received(hop)
    return Incoming(envelope, Ingest(services.store.blobs, first=trace_fields, wanted=WANTED_FIELDS))


def looping(ingested: Ingested, max_received: int) -> bool:
    """More Received fields than a message gathers in honest travel (RFC 5321 §6.3); one of them is ours."""
    return sum(1 for name, _ in ingested.scanned.fields if name == b"received") > max_received


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
