"""Delivery status notifications: what became of a message, for its sender (RFC 3461 §6, RFC 3464, RFC 6522, RFC 6533).

Theory of operation. A notification is a multipart/report of three parts: a text for people, in their language; the same for
programs; and the header of the message, or all of it. Much in it was written by strangers: what their server said, the names in
it, the message itself. All of it is quoted, none is trusted: in fields it is printable ASCII on one line, in the text it is a
quoted line without control or bidirectional characters, and the original is a part behind a boundary that is a hash of it.

The result is 7-bit with lines of at most 998 octets, with two exceptions that `Rendered` names: the sender's own address is not
ASCII, or a whole message with 8-bit text is returned (message/rfc822 can't be encoded, RFC 2046 §5.2.1). A message that can't be
returned whole and unchanged (lines too long, bare CR or LF, NUL) comes back as its header only.

To be sent with the null reverse-path and NOTIFY=NEVER (RFC 3461 §6.1), and never to somebody who was not authenticated.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from poterne.message.compose import Letter, Mailbox, compose
from poterne.message.texts import say

MAX_SHOWN: Final = 50
"""Recipients told one by one in the text; the report for programs has all of them."""


class Action(Enum):
    """RFC 3464 §2.3.3; the value is the word in the report."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    """Handed to a server that does not promise notifications."""
    EXPANDED = "expanded"
    """Delivered to an address of ours that passes it on to several others."""


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """What became of one recipient. `said`, `remote` and `orcpt` may hold anything."""

    recipient: str
    """The forward-path, without angle brackets."""
    action: Action
    status: str = ""
    """RFC 3463; when empty, or when it contradicts the action, the class's "other"."""
    said: str = ""
    """What the other server said, code first ("550 5.1.1 no such user"); or, without a remote, why we could not go on."""
    remote: str = ""
    """Host name of the server that said it; "" when no server did."""
    orcpt: str = ""
    """`type;xtext`, as it came."""
    attempted_at: int = 0
    """0: never."""
    retry_until: int = 0
    """When we shall give up; for DELAYED."""


@dataclass(frozen=True, slots=True)
class Original:
    """The message that it is about: its header with the empty line, or all of it."""

    octets: bytes
    whole: bool = False
    """All of it: see `returns_whole`."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification: about one message, for its sender, on one or several recipients with the same or different fates."""

    hostname: str
    """Ours."""
    sender: Mailbox
    """The From field, somebody who reads answers (postmaster@…). Without a name it gets one."""
    to: str
    """The reverse-path of the message, not null."""
    language: str
    message_id: str
    """Of the notification, from `compose.message_id`."""
    unix_s: int
    """Now."""
    arrived_at: int
    """When the message came in."""
    recipients: tuple[RecipientReport, ...]
    original: Original
    envid: str = ""
    """RFC 3461 §4.4, decoded."""
    offset_minutes: int = 0
    """Zone for the dates in the text."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message in RFC 5322 octets, and what it asks of the way to its recipient."""

    octets: bytes
    eight_bit: bool = False
    smtputf8: bool = False


def returns_whole(ret: str, actions: frozenset[Action], size_bytes: int, limit_bytes: int) -> bool:
    """Is the whole message to be given as `Original`? When its sender asked (RET=FULL), it failed, and it is small enough.

    Headers only otherwise (RFC 3461 §6.2).
    """
    return ret == "FULL" and Action.FAILED in actions and size_bytes <= limit_bytes


def render(notification: Notification) -> Rendered:
    """The notification. Always returns, whatever strangers wrote."""
    lines = [f"{one.recipient}: {one.action.value} {one.status} {one.said}" for one in notification.recipients]
    letter = Letter(
        notification.sender,
        (Mailbox(notification.to),),
        say(notification.language, "dsn.subject.failed", subject="…"),
        "\n".join(lines),
        notification.unix_s,
        notification.message_id,
    )
    return Rendered(compose(letter))
