"""Leased recipients out of nothing, for the plan."""

import itertools

from poterne.values.ids import BlobId, QueueId, QueueMessageId, TraceId
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import QueuedMessage, QueuedRecipient, QueueState

_ids = itertools.count(1)


def message(origin: str = "a", reverse_path: str = "a@example.org") -> QueuedMessage:
    number = next(_ids)
    return QueuedMessage(
        id=QueueMessageId(number),
        origin=Origin(OriginKind.ACCOUNT, origin),
        trace_id=TraceId(f"t{number}"),
        reverse_path=reverse_path,
        blob=BlobId(0, number, 1),
        start=0,
        queued_at=0,
        eight_bit=False,
        smtputf8=False,
        requiretls=False,
        ret="",
        envid="",
    )


def recipient(of: QueuedMessage, domain: str = "d", attempts: int = 0) -> QueuedRecipient:
    number = next(_ids)
    return QueuedRecipient(
        id=QueueId(number),
        message=of,
        forward_path=f"u{number}@{domain}",
        domain=domain,
        notify="",
        orcpt="",
        state=QueueState.LEASED,
        attempts=attempts,
        due_at=0,
        last_reply="",
    )


def mails(origin: str, domain: str, count: int) -> list[tuple[QueuedRecipient, str]]:
    """As many messages with one recipient each."""
    return [(recipient(message(origin), domain), domain) for _ in range(count)]
