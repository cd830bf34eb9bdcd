"""What became of a recipient in one attempt, for those who settle it."""

from dataclasses import dataclass

from poterne.queue.outcome import RecipientOutcome, TlsOutcome
from poterne.values.queue import QueuedRecipient

NO_TLS = TlsOutcome()


@dataclass(frozen=True, slots=True)
class Fate:
    """`host`: the server that said it, or that was tried when it is a finding of ours; "" when none was."""

    recipient: QueuedRecipient
    outcome: RecipientOutcome
    host: str = ""
    address: str = ""
    """Numeric, of that server."""
    tls: TlsOutcome = NO_TLS
    tls_policy: str = ""
    """What it went by: "tlsa", "sts"; "" without a policy."""
    promises: bool = False
    """Who took it promises the notices that were asked for (DSN)."""
    mailbox: bool = False
    """It was delivered to a mailbox here."""
    not_before: int = 0
    """The destination is being left alone until then."""


def wants(recipient: QueuedRecipient, keyword: str) -> bool:
    """Is this kind of notice ("SUCCESS", "FAILURE", "DELAY") wanted (RFC 3461 §4.1)? Without NOTIFY: failure and delay."""
    if not recipient.notify:
        return keyword != "SUCCESS"
    return keyword in recipient.notify.upper().split(",")
