"""Mail that was taken and is kept from its mailbox until somebody decides, or its time is over."""

from dataclasses import dataclass
from typing import Final, NewType

from poterne.values.ids import AccountId, TraceId
from poterne.values.mailbox import NewContent

QuarantineId = NewType("QuarantineId", int)
KEPT_MOST: Final = 5_000
"""Messages in quarantine of one account."""
KEPT_BYTES_MOST: Final = 1024 * 1024 * 1024
"""The octets of these messages, which no quota counts: strangers must not fill the disk with what nobody sees."""


@dataclass(frozen=True, slots=True)
class NewQuarantined:
    """One message kept from one account. Texts are decoded, printable, at most 250 characters; strangers wrote them."""

    account_id: AccountId
    trace_id: TraceId
    content: NewContent
    at: int
    expires_at: int
    reason: str
    """The stable word of `policy.inbound`."""
    recipient: str
    reverse_path: str
    header_from: str
    subject: str
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """The same as it is kept."""

    id: QuarantineId
    account_id: AccountId
    account: str
    """Its address."""
    trace_id: TraceId
    content: NewContent
    at: int
    expires_at: int
    reason: str
    recipient: str
    reverse_path: str
    header_from: str
    subject: str
    peer: str
