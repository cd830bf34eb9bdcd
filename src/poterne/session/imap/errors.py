"""The one table from what can go wrong in the store to what an IMAP client is told."""

from typing import Final

from poterne.proto.imap import responses
from poterne.proto.imap.responses import Completed, no
from poterne.store.errors import (
    ConflictError,
    LimitError,
    NotFoundError,
    OverQuotaError,
    StoreError,
    UnavailableError,
)


class NotPermittedError(StoreError):
    """Somebody else's mailbox is there, and may be seen, but this may not be done in it."""


_REPLIES: Final[dict[type[StoreError], Completed]] = {
    NotFoundError: no(b"No such mailbox", responses.NONEXISTENT),
    ConflictError: no(b"It exists already, or has just been changed", responses.ALREADYEXISTS),
    NotPermittedError: no(b"You may not do this in somebody else's mailbox", responses.NOPERM),
    OverQuotaError: no(b"The account has no space left", responses.OVERQUOTA),
    LimitError: no(b"A limit of this server was reached", responses.LIMIT),
    UnavailableError: no(b"Not possible just now; try again later", responses.UNAVAILABLE),
}
UNAVAILABLE: Final = _REPLIES[UnavailableError]
NONEXISTENT: Final = _REPLIES[NotFoundError]
NOPERM: Final = _REPLIES[NotPermittedError]
TRYCREATE: Final = no(b"No such mailbox", responses.TRYCREATE)


def reply(error: StoreError) -> Completed:
    """The tagged NO for this error. Anything unforeseen is temporary."""
    return _REPLIES.get(type(error), UNAVAILABLE)
