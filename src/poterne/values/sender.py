"""Scripts that send mail: a credential without a mailbox, which may do what it was approved for and nothing else."""

from dataclasses import dataclass
from enum import Enum

from poterne.values.ids import AccountId, SenderId
from poterne.values.secret import Secret

ANYONE = "*"
"""As a recipient: anybody."""


class SenderState(Enum):
    PENDING = "pending"
    """Made, and not approved yet: what it sends is refused."""
    ACTIVE = "active"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class SenderScope:
    """What a sender may do."""

    from_addresses: tuple[str, ...]
    """`Address.key`s, in the envelope and in every identity field of the header. At least one."""
    recipients: tuple[str, ...]
    """Addresses, `@domain` for all of a domain, or `ANYONE`. At least one."""
    networks: tuple[str, ...] = ()
    """Where it may connect from; empty: anywhere that the listener allows, with its password."""
    uids: tuple[int, ...] = ()
    """Local Unix users who need no password on the submission socket (SO_PEERCRED)."""
    per_hour: int = 100
    """Recipients."""
    per_day: int = 1000
    same_per_hour: int = 20
    """The same content to the same recipient; beyond it the script is in a loop."""
    answers_per_hour: int = 10
    """Answers (In-Reply-To) to the same recipient; beyond it two programs talk to each other."""
    max_bytes: int = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sender:
    """A script's credential. `name` is its login name: it has no "@", so that it is never an account's."""

    id: SenderId
    name: str
    owner: AccountId
    """Who gets its bounces and answers for it."""
    owner_address: str
    state: SenderState
    scope: SenderScope
    has_password: bool
    created_at: int
    expires_at: int = 0
    """0: never."""
    last_used_at: int = 0
    """0: never."""
    last_peer: str = ""


@dataclass(frozen=True, slots=True)
class SenderCredential:
    """What a sender's password is checked against."""

    sender: Sender
    verifier: Secret
