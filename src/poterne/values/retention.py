"""How long mail is kept: rules, legal holds, and what was expunged and can still come back."""

from dataclasses import dataclass
from enum import Enum

from poterne.values.ids import AccountId, BlobId, MailboxId, Uid

MAX_DAYS = 36_500
NEVER = 0
"""As the days of a rule: what it is for is kept, whatever a more general rule says."""


class What(Enum):
    """What a rule is for, the most particular first."""

    FOLDER = "folder"
    """A folder by its name, and those below it."""
    TRASH = "trash"
    JUNK = "junk"
    """The folder with this special use, and those below it."""
    EVERYTHING = "everything"
    FETCHED = "fetched"
    """What POP3 clients have fetched and left in INBOX; beside the rule of the folder."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Of an account, of a domain (its accounts), or, without either, of the whole server."""

    what: What
    days: int
    """NEVER: it is not deleted."""
    folder: str = ""
    """For What.FOLDER; "/" between levels."""
    domain: str = ""
    """A-labels in lower case; of an account's rule "" too."""
    account_id: AccountId | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing of this account, or of the accounts of this domain, is lost: not by a rule, not by its users."""

    reason: str
    since: int
    domain: str = ""
    account_id: AccountId | None = None


class AgeFrom(Enum):
    """Since when a message's age counts."""

    SAVED = "saved"
    """When it came into its folder (RFC 8514 SAVEDATE)."""
    RECEIVED = "received"
    """INTERNALDATE, or when it came into the folder if that was earlier: a date that a client gave makes it no younger."""
    FETCHED = "fetched"
    """When a POP3 client fetched it first."""


@dataclass(frozen=True, slots=True)
class Aged:
    """A question: messages of a mailbox older than this."""

    account_id: AccountId
    mailbox_id: MailboxId
    age_from: AgeFrom
    before: int
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class Found:
    """The answer."""

    messages: int
    size_bytes: int
    oldest_at: int
    """Unix seconds; 0: there are none."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that was expunged and can still come back. Its mailbox and UID name it: no UID is used twice."""

    account_id: AccountId
    mailbox_id: MailboxId
    uid: Uid
    gone_at: int
    flags: int
    internal_at: int
    size: int
    mailbox: str
    """Its name today; "" when it is gone too."""
    blob: BlobId
    header_size: int


class TraceKind(Enum):
    """Sorts of events, each kept for a time of its own."""

    AUTH = "auth"
    CHANGE = "change"
    """What administrators changed, and who did."""
    TRACE = "trace"
    """All others: what became of messages."""


@dataclass(frozen=True, slots=True)
class TracesBefore:
    """What is older goes; Unix seconds, 0: none of it goes."""

    auth: int
    change: int
    trace: int
    incidents: int
    """Closed incidents that hold nothing more, by when they were closed."""


@dataclass(frozen=True, slots=True)
class TracesGone:
    events: int = 0
    incidents: int = 0
    expunged: int = 0
    """Ranges of expunged UIDs."""


@dataclass(frozen=True, slots=True)
class QuotaState:
    """How full an account is. A quota of 0 is none."""

    account_id: AccountId
    quota_bytes: int
    used_bytes: int
    quota_messages: int
    used_messages: int
    told: int = 0
    """Percent of which its user was told."""

    @property
    def percent(self) -> int:
        """Of the fuller of the two, rounded down; 0 without a quota."""
        of_bytes = self.used_bytes * 100 // self.quota_bytes if self.quota_bytes else 0
        of_messages = self.used_messages * 100 // self.quota_messages if self.quota_messages else 0
        return max(of_bytes, of_messages)

    def has_room(self, size_bytes: int) -> bool:
        """For one message of this size."""
        return not (
            (self.quota_bytes and self.used_bytes + size_bytes > self.quota_bytes)
            or (self.quota_messages and self.used_messages >= self.quota_messages)
        )
