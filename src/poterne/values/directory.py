"""Who is served: domains, accounts, aliases; and the outgoing queue's rows."""

from dataclasses import dataclass
from enum import Enum

from poterne.values.ids import AccountId, BlobId, QueueId, TraceId
from poterne.values.secret import Secret


@dataclass(frozen=True, slots=True)
class Domain:
    """A local domain: mail for it is delivered here. `name` is lower-case A-label (RFC 5890)."""

    name: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Account:
    """A person or role with a mailbox. `address` is the login name: local part and domain in lower case."""

    id: AccountId
    address: str
    name: str
    language: str
    disabled: bool
    quota_bytes: int
    """0: no limit."""
    used_bytes: int
    created_at: int
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Credential:
    """What a password is checked against; `verifier` is an Argon2id PHC string."""

    account_id: AccountId
    verifier: Secret


@dataclass(frozen=True, slots=True)
class Alias:
    """An address whose mail goes to accounts (and, with the issue on forwarding, elsewhere)."""

    address: str
    targets: tuple[str, ...]
    created_at: int


class RouteKind(Enum):
    """What RCPT TO finds."""

    ACCOUNTS = "accounts"
    UNKNOWN_USER = "unknown user"
    NOT_LOCAL = "not local"


@dataclass(frozen=True, slots=True)
class Route:
    """Where mail for one recipient address goes. `accounts` is empty unless the kind is ACCOUNTS."""

    kind: RouteKind
    accounts: tuple[AccountId, ...] = ()


class QueueState(Enum):
    WAITING = "waiting"
    LEASED = "leased"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    """One recipient that mail must still reach."""

    id: QueueId
    account_id: AccountId
    trace_id: TraceId
    reverse_path: str
    forward_path: str
    blob: BlobId
    state: QueueState
    attempts: int
    due_at: int
    queued_at: int
    last_reply: str
    eight_bit: bool = False
    smtputf8: bool = False
