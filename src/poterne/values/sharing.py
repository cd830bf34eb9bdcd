"""Mailboxes that several accounts use, and what each may do there (RFC 4314)."""

from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from poterne.values.mailbox import Mailbox

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


EVERY_RIGHT: Final = Right(2047)
"""What an owner has in each mailbox of one's own, whatever an access list says."""


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
