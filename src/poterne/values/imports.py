"""What was brought from elsewhere, and what it is called there."""

from typing import NewType

import msgspec

from poterne.values.ids import MailboxId, Uid

ImportSourceId = NewType("ImportSourceId", int)
"""A folder of another server, a file: whatever names its messages for itself. Unique in the account."""


class Brought(msgspec.Struct, frozen=True, gc=False):
    """One message that came from a source, and where it went. It may be elsewhere, or gone, by now."""

    item: str
    """Its name at the source: never used for another message there."""
    mailbox_id: MailboxId
    uid: Uid
    flags: int
    """As the source had them, in bits of the account."""
    hash: bytes
    """Of its octets as they are stored."""
