"""Which mailboxes a command means (RFC 5465 §6, RFC 7377 §2.2), and what a client wants to hear of them."""

from dataclasses import dataclass
from enum import Enum

from poterne.proto.imap.items import FetchItem


class FilterKind(Enum):
    """`filter-mailboxes`. The value is the word of the grammar."""

    SELECTED = b"SELECTED"
    SELECTED_DELAYED = b"SELECTED-DELAYED"
    INBOXES = b"INBOXES"
    PERSONAL = b"PERSONAL"
    SUBSCRIBED = b"SUBSCRIBED"
    SUBTREE = b"SUBTREE"
    SUBTREE_ONE = b"SUBTREE-ONE"
    """The mailbox and its children, not theirs: of RFC 7377 only."""
    MAILBOXES = b"MAILBOXES"


@dataclass(frozen=True, slots=True)
class Filter:
    """One of them. `names` for SUBTREE, SUBTREE_ONE and MAILBOXES: exactly these, wildcards mean nothing."""

    kind: FilterKind
    names: tuple[str, ...] = ()

    @property
    def is_selected(self) -> bool:
        """It means the selected mailbox, whichever that is."""
        return self.kind is FilterKind.SELECTED or self.kind is FilterKind.SELECTED_DELAYED


class EventKind(Enum):
    """What can be told of a mailbox (RFC 5465 §5). The value is the name as BADEVENT lists it."""

    MESSAGE_NEW = b"MessageNew"
    MESSAGE_EXPUNGE = b"MessageExpunge"
    FLAG_CHANGE = b"FlagChange"
    MAILBOX_NAME = b"MailboxName"
    SUBSCRIPTION_CHANGE = b"SubscriptionChange"
    MAILBOX_METADATA_CHANGE = b"MailboxMetadataChange"
    SERVER_METADATA_CHANGE = b"ServerMetadataChange"


MESSAGE_EVENTS = frozenset({EventKind.MESSAGE_NEW, EventKind.MESSAGE_EXPUNGE, EventKind.FLAG_CHANGE})


@dataclass(frozen=True, slots=True)
class EventGroup:
    """`event-group`. No `events` means NONE: nothing is told of these mailboxes, whatever other groups say."""

    filter: Filter
    events: frozenset[EventKind]
    items: tuple[FetchItem, ...] = ()
    """With MESSAGE_NEW of the selected mailbox: what to tell of each new message."""
