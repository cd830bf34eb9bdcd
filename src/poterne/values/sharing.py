"""Mailboxes that several accounts use, and what each may do there (RFC 4314)."""

from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from poterne.values.mailbox import Flag, Mailbox

ANYONE: Final = "anyone"
"""The identifier of every account of the owner's domain."""


class Right(IntFlag):
    """RFC 4314 §2.1. A set of rights is one integer."""

    LOOKUP = 1
    READ = 2
    SEEN = 4
    WRITE = 8
    INSERT = 16
    POST = 32
    CREATE = 64
    DELETE_MAILBOX = 128
    DELETE_MESSAGES = 256
    EXPUNGE = 512
    ADMINISTER = 1024


NO_RIGHT: Final = Right(0)
EVERY_RIGHT: Final = Right(2047)
"""What an owner has in each mailbox of one's own, whatever an access list says."""


CHANGING: Final = Right.INSERT | Right.EXPUNGE | Right.SEEN | Right.WRITE | Right.DELETE_MESSAGES
"""With none of these a mailbox is read-only (RFC 4314 §5.2)."""
LETTERS: Final = {
    "l": Right.LOOKUP,
    "r": Right.READ,
    "s": Right.SEEN,
    "w": Right.WRITE,
    "i": Right.INSERT,
    "p": Right.POST,
    "k": Right.CREATE,
    "x": Right.DELETE_MAILBOX,
    "t": Right.DELETE_MESSAGES,
    "e": Right.EXPUNGE,
    "a": Right.ADMINISTER,
}
VIRTUAL: Final = {
    "c": Right.CREATE | Right.DELETE_MAILBOX,
    "d": Right.DELETE_MESSAGES | Right.EXPUNGE,
}
"""What was one right in RFC 2086 (RFC 4314 §2.1.1). DELETE is of "c", as most servers had it."""


def parse_rights(letters: str) -> Right | None:
    """The set that these letters name, in any order; None when one of them is no right."""
    found = Right(0)
    for letter in letters:
        right = LETTERS.get(letter) or VIRTUAL.get(letter)
        if right is None:
            return None
        found |= right
    return found


def letters(rights: Right, *, virtual: bool = False) -> str:
    """As letters; with `virtual`, the old "c" and "d" as well where any of theirs is there, as IMAP has to show them."""
    found = "".join([letter for letter, right in LETTERS.items() if rights & right])
    if virtual:
        found += "".join([letter for letter, members in VIRTUAL.items() if rights & members])
    return found


def changeable(rights: Right) -> int:
    r"""The flags that these rights let one change, as a mask (RFC 4314 §4): \Seen, \Deleted, and all others."""
    if rights == EVERY_RIGHT:  # one's own mailbox: nearly always
        return -1
    system = int(Flag.SEEN) | int(Flag.DELETED)  # numbers: the complement of an `IntFlag` knows no keywords
    mask = ~system if Right.WRITE in rights else 0
    if Right.SEEN in rights:
        mask |= int(Flag.SEEN)
    if Right.DELETE_MESSAGES in rights:
        mask |= int(Flag.DELETED)
    return mask


@dataclass(frozen=True, slots=True)
class Granted:
    """A line of a mailbox's access list."""

    identifier: str
    """An account's address, or `ANYONE`."""
    rights: Right


@dataclass(frozen=True, slots=True)
class Shared:
    """A mailbox of somebody else that an account may use."""

    mailbox: Mailbox
    owner: str
    """The address of the account that it belongs to."""
    rights: Right
    """Of the asking account: its own line and that of `ANYONE` together."""
