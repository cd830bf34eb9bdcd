"""The envelope of a transaction: who sends, and where each recipient's copy goes."""

from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from poterne.proto.smtp.events import MailFrom
from poterne.values.directory import Forward, Posting
from poterne.values.ids import AccountId, TraceId
from poterne.values.origin import Origin
from poterne.values.queue import NewRecipient
from poterne.values.reports import ReportKind

TOLD_MOST: Final = 20
"""Recipients in the event of a message."""


@dataclass(slots=True)
class Envelope:
    """Sender and recipients that were answered 250."""

    mail: MailFrom
    trace: TraceId
    given: dict[str, NewRecipient] = field(default_factory=dict)
    """Every recipient once, by `Address.key`, as it would wait in the queue."""
    accounts: dict[AccountId, str] = field(default_factory=dict)
    """Local mailboxes, each once, with the address that led to them."""
    named: set[AccountId] = field(default_factory=set)
    """Of these mailboxes those that a recipient is for alone: not as one of several behind a list."""
    forwards: dict[str, Forward] = field(default_factory=dict)
    """Where it goes on to because an address of ours says so, by the address elsewhere."""
    elsewhere: dict[Origin, list[NewRecipient]] = field(default_factory=dict)
    """What leaves, by whose right it does."""
    away: dict[str, None] = field(default_factory=dict)
    """Of somebody who signed in: the addresses elsewhere that it will reach, beside those of `forwards`. Limits count them."""
    reports: dict[tuple[ReportKind, str], None] = field(default_factory=dict)
    """Addresses for reports of others, by kind and domain of ours."""
    unproven: dict[str, tuple[Posting, tuple[str, ...]]] = field(default_factory=dict)
    """An address that only some may write to, and who: whether the author is one of them is known at the end of the message."""
    recipients: int = 0
    tls_optional: bool = False
    """Its header says `TLS-Required: No`, and MAIL FROM does not say REQUIRETLS (RFC 8689 §4.1)."""

    @property
    def reverse_path(self) -> str:
        return self.mail.path.raw

    @property
    def told(self) -> str:
        """For the event: the first recipients as they were given, so that "who got it?" has an answer, and a bounded one."""
        return " ".join(one.forward_path for one in islice(self.given.values(), TOLD_MOST))
