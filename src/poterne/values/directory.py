"""Who is served: domains, accounts, aliases."""

from dataclasses import dataclass
from enum import Enum

from poterne.values.ids import AccountId
from poterne.values.secret import Secret
from poterne.values.sending import SendingLimits


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
    limits: SendingLimits | None = None
    """Its own sending limits; None: those of the settings."""
    forwards: tuple[str, ...] = ()
    """Where its mail goes as well."""
    keeps: bool = True
    """False: forwarded mail is not kept here."""
    forwarders: tuple[str, ...] = ()
    """Domains whose servers forward mail to it: what they break does not count against a message."""
    quota_messages: int = 0
    """0: no limit."""
    used_messages: int = 0
    imap_without: tuple[str, ...] = ()
    """IMAP capabilities that its clients are not offered (`values.capabilities`)."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a password is checked against; `verifier` is an Argon2id PHC string."""

    account_id: AccountId
    verifier: Secret
    limits: SendingLimits | None = None
    """As the account's."""


class Posting(Enum):
    """Who may write to an alias or list."""

    ANYONE = "anyone"
    LOCAL = "local"
    """Whoever signed in to this server."""
    MEMBERS = "members"
    """Whoever gets what is written to it."""
    LISTED = "listed"
    """The addresses in `posters`."""


@dataclass(frozen=True, slots=True)
class Alias:
    """An address whose mail goes to others. `*@domain` is the domain's catch-all."""

    address: str
    targets: tuple[str, ...]
    """Addresses of local accounts."""
    created_at: int
    forwards: tuple[str, ...] = ()
    """Addresses elsewhere."""
    posting: Posting = Posting.ANYONE
    posters: tuple[str, ...] = ()
    """For `Posting.LISTED`: who may write, as `Address.key`."""


class RouteKind(Enum):
    """What RCPT TO finds."""

    ACCOUNTS = "accounts"
    """Somebody: accounts, addresses elsewhere that it is forwarded to, or both."""
    UNKNOWN_USER = "unknown user"
    NOT_LOCAL = "not local"


@dataclass(frozen=True, slots=True)
class Forward:
    """Mail that leaves again."""

    address: str
    """Where to."""
    via: str
    """The local address that forwards: what loops are recognised by, and whose domain rewrites the sender (SRS)."""
    owner: AccountId | None = None
    """The account whose mail it is, when it is one's own and not a list's."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where mail for one recipient address goes. Empty unless the kind is ACCOUNTS."""

    kind: RouteKind
    accounts: tuple[AccountId, ...] = ()
    forwards: tuple[Forward, ...] = ()
    posting: Posting = Posting.ANYONE
    posters: tuple[str, ...] = ()
    """Addresses that may write, when `posting` is MEMBERS (local accounts and forwards alike) or LISTED."""
    personal: bool = True
    """Whoever gets its mail may write as it: not so for catch-alls and lists (with forwards, or rules for posting)."""
    limited: tuple[AccountId, ...] = ()
    """Those of `accounts` that have a quota."""
