"""Delivery status notifications as others write them, read back: who was told of which recipient, what.

Anybody can write one, so nothing may be believed for what it says: it is a hint for counters and for people, never a reason to
stop a message or to take an address for dead.
"""

import re
from dataclasses import dataclass
from typing import Final

from poterne.message.causes import is_status
from poterne.message.decode import transfer_decoded
from poterne.message.dsn import Action
from poterne.message.encoded import decode_charset
from poterne.message.header import unfold
from poterne.message.params import without_comments
from poterne.values.mime import Part

MAX_RECIPIENTS: Final = 1000
MAX_BYTES: Final = 1024 * 1024
"""Of the part for programs; what follows is not read."""
_STATUS_PARTS: Final = frozenset({b"delivery-status", b"global-delivery-status"})
_GROUP: Final = re.compile(rb"(?:\r\n|\n)(?:[ \t]*+(?:\r\n|\n))++")
_FIELD_END: Final = re.compile(rb"\r?\n(?![ \t])")
_ACTIONS: Final = {action.value: action for action in Action}


@dataclass(frozen=True, slots=True)
class Told:
    """What a notification says of one recipient. Texts are as they stand, without their type."""

    recipient: str
    """Final-Recipient."""
    original: str
    """Original-Recipient; "" when absent."""
    action: Action
    status: str
    """"" when it is none of RFC 3463."""
    diagnostic: str
    remote: str


@dataclass(frozen=True, slots=True)
class Read:
    reporting: str
    """Reporting-MTA."""
    envid: str
    told: tuple[Told, ...]
    """Those with a recipient and an action that is known."""


def status_part(root: Part) -> Part | None:
    """The part for programs, when the message is a notification: multipart/report with one (RFC 6522 §3)."""
    if root.type != b"multipart" or root.subtype != b"report":
        return None
    for part in root.children:
        if part.type == b"message" and part.subtype in _STATUS_PARTS:
            return part
    return None


def read(body: bytes, part: Part) -> Read:
    """What that part says; `body` is `[part.body_start, part.body_end)`, or a beginning of it. Always returns."""
    octets = transfer_decoded(body[:MAX_BYTES], part.encoding, MAX_BYTES)
    groups = _GROUP.split(octets.strip(b"\r\n"), MAX_RECIPIENTS + 1)
    first = _fields(groups[0])
    told = [one for one in map(_told, groups[1 : MAX_RECIPIENTS + 1]) if one is not None]
    return Read(_typed(first.get(b"reporting-mta")), _text(first.get(b"original-envelope-id")), tuple(told))


def _told(group: bytes) -> Told | None:
    fields = _fields(group)
    action = _ACTIONS.get(_text(_plain(fields.get(b"action"))).lower())
    recipient = _typed(fields.get(b"final-recipient"))
    if action is None or not recipient:
        return None
    status = _text(_plain(fields.get(b"status")))
    return Told(
        recipient=recipient,
        original=_typed(fields.get(b"original-recipient")),
        action=action,
        status=status if is_status(status) else "",
        diagnostic=_typed(fields.get(b"diagnostic-code")),
        remote=_typed(fields.get(b"remote-mta")),
    )


def _fields(group: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for line in _FIELD_END.split(group):
        name, colon, value = line.partition(b":")
        if colon:
            found.setdefault(name.strip().lower(), unfold(value))
    return found


def _plain(value: bytes | None) -> bytes | None:
    return without_comments(value) if value is not None and b"(" in value else value


def _typed(value: bytes | None) -> str:
    """`type; text` without its type (RFC 3464 §2.1.2); the whole when it has none."""
    kind, semicolon, text = (value or b"").partition(b";")
    return _text(text if semicolon else kind)


def _text(value: bytes | None) -> str:
    return " ".join(decode_charset(value or b"").split())
