"""Mail that waits to go out: one message with its recipients, each of which has its own fate."""

from dataclasses import dataclass
from enum import Enum

from poterne.values.ids import BlobId, IncidentId, QueueId, QueueMessageId, TraceId
from poterne.values.origin import Origin


class QueueState(Enum):
    WAITING = "waiting"
    """To be tried when `due_at` has come."""
    LEASED = "leased"
    """Somebody tries it now; after `lease_until` it counts as waiting again."""
    HELD = "held"
    """Not tried until somebody releases it (an incident, or an administrator)."""


class QueueChange(Enum):
    """What somebody may do to recipients that wait."""

    RETRY = "retry"
    """Due at once."""
    HOLD = "hold"
    RELEASE = "release"
    """Held ones wait again, due at once; those of an open incident stay held."""
    REMOVE = "remove"
    """Gone, and nobody is told."""


@dataclass(frozen=True, slots=True)
class NewRecipient:
    """One recipient to be queued. `domain` is a lower-case A-label or an address literal; local ones may wait here too."""

    forward_path: str
    """As it is to be written in RCPT TO, without angle brackets."""
    domain: str
    notify: str = ""
    """RFC 3461 §4.1: "NEVER", or some of "SUCCESS,FAILURE,DELAY"; "" when not given."""
    orcpt: str = ""
    """RFC 3461 §4.2: `type;xtext`, as it is to be sent on; "" when not given."""


@dataclass(frozen=True, slots=True)
class NewQueued:
    """One message for the recipients that it must still reach."""

    origin: Origin
    trace_id: TraceId
    reverse_path: str
    """Without angle brackets; "" is the null path."""
    blob: BlobId
    recipients: tuple[NewRecipient, ...]
    due_at: int
    start: int = 0
    """Octets of the blob that do not leave: the Return-Path field that only final delivery shows (RFC 5321 §4.4)."""
    eight_bit: bool = False
    smtputf8: bool = False
    requiretls: bool = False
    """RFC 8689."""
    ret: str = ""
    """RFC 3461 §4.3: "FULL", "HDRS" or ""."""
    envid: str = ""
    """RFC 3461 §4.4, decoded."""
    tls_optional: bool = False
    """Its sender would rather have it arrive than be sure of TLS (RFC 8689 §4, `TLS-Required: No`)."""


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message in the queue. `open_recipients`: how many still wait."""

    id: QueueMessageId
    origin: Origin
    trace_id: TraceId
    reverse_path: str
    blob: BlobId
    start: int
    queued_at: int
    eight_bit: bool
    smtputf8: bool
    requiretls: bool
    ret: str
    envid: str
    incident_id: IncidentId | None = None
    tls_optional: bool = False


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    """One recipient that mail must still reach."""

    id: QueueId
    message: QueuedMessage
    forward_path: str
    domain: str
    notify: str
    orcpt: str
    state: QueueState
    attempts: int
    due_at: int
    last_reply: str
    """What the peer, or we, said at the last attempt; printable, at most 500 characters."""
    delay_told: bool = False
    """Its sender heard that it is late."""


class PauseKind(Enum):
    """Which mail a standing pause is about; the value is the stable word."""

    ALL = "all"
    DOMAIN = "domain"
    """All recipients of a domain."""
    ORIGIN = "origin"
    """All mail of one origin (`Origin.key`)."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Mail that is not tried for now, and what comes meanwhile neither. Nothing else changes: it waits, and it grows old."""

    kind: PauseKind
    name: str
    """The domain, or the origin; "" for ALL."""
    since: int
    until: int = 0
    """When it ends by itself; 0: when somebody ends it."""

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name}".rstrip()
