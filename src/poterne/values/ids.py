"""Identifiers. Each is an int or str of its own type, so that mypy refuses to mix them."""

from typing import NewType

import msgspec

AccountId = NewType("AccountId", int)
MailboxId = NewType("MailboxId", int)
"""Stable for the life of the mailbox, kept across RENAME; unique in the account."""
ContentId = NewType("ContentId", int)
"""A stored message's bytes and parsed structure; copies in several mailboxes share it. Unique in the account."""
ThreadId = NewType("ThreadId", int)
Uid = NewType("Uid", int)
"""RFC 9051 §2.3.1.1: 1 … 2**32-1, strictly ascending in a mailbox, never used again."""
UidValidity = NewType("UidValidity", int)
ModSeq = NewType("ModSeq", int)
"""RFC 7162 §3: 1 … 2**63-1. One counter per account, so that it is the account's change log as well."""
QueueId = NewType("QueueId", int)
"""One recipient of a queued message."""
QueueMessageId = NewType("QueueMessageId", int)
IncidentId = NewType("IncidentId", int)
"""What is held of one origin, to be decided upon as one."""
SenderId = NewType("SenderId", int)
TraceId = NewType("TraceId", str)
"""One per connection, or per message inside it; in every log line and event."""


class BlobId(msgspec.Struct, frozen=True, gc=False):
    """Where a blob's bytes are. Opaque outside `store`; `size` is the length of the bytes as they were given.

    `segment` and `offset` locate the record; the record itself says how it is coded and its checksum.
    """

    segment: int
    offset: int
    size: int
