"""Mailboxes and messages as the store gives them, and what is asked of it.

What is made often is a msgspec struct: a `MessageRow` takes 0.1 µs, as a frozen dataclass 1.5 µs; a `Mailbox` 0.3 and 4 µs.
"""

from dataclasses import dataclass
from enum import Enum, IntFlag
from typing import NamedTuple

import msgspec

from poterne.values.ids import AccountId, BlobId, ContentId, MailboxId, ModSeq, ThreadId, Uid, UidValidity


class Flag(IntFlag):
    r"""System flags, and the bits of keywords. A message's flags are one integer.

    Bits 0–4 are the system flags of RFC 9051 §2.3.2 (\Recent is not stored: it belongs to a session); bits 8–62 are the
    account's keywords: bit `8 + i` means the i-th name of `Account.keywords`. A 56th keyword is refused ([LIMIT]).
    """

    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16


KEYWORD_SHIFT = 8
MAX_KEYWORDS = 55
KEYWORDS_OF_OTHERS = 40
"""Beyond so many, only the account's owner makes more: a keyword stays for ever, and each account has few."""


class SpecialUse(Enum):
    """RFC 6154 §2; the value is the attribute as IMAP shows it."""

    ALL = "\\All"
    ARCHIVE = "\\Archive"
    DRAFTS = "\\Drafts"
    FLAGGED = "\\Flagged"
    JUNK = "\\Junk"
    SENT = "\\Sent"
    TRASH = "\\Trash"


class Mailbox(msgspec.Struct, frozen=True, gc=False):
    """A mailbox row. Names are NFC Unicode with "/" between levels; "INBOX" is in capitals.

    The counters are kept in the row, inside each transaction, so that SELECT and STATUS never count messages.
    """

    account_id: AccountId
    id: MailboxId
    name: str
    uid_validity: UidValidity
    uid_next: Uid
    highest_modseq: ModSeq
    messages: int
    unseen: int
    deleted: int
    size_bytes: int
    recent_uid: Uid
    """Messages with a UID at or above this have not been shown as \\Recent to any read-write session."""
    subscribed: bool
    special_use: SpecialUse | None
    selectable: bool = True
    """False for a name that exists only as a parent (\\NoSelect after DELETE with children)."""


class MessageRow(msgspec.Struct, frozen=True, gc=False):
    """The narrow part of a message: what FETCH FLAGS, INTERNALDATE and RFC822.SIZE need."""

    uid: Uid
    flags: int
    modseq: ModSeq
    internal_at: int
    """INTERNALDATE as Unix seconds."""
    internal_offset: int
    """… and its zone, in minutes east of UTC."""
    size: int
    content_id: ContentId


class ContentRow(msgspec.Struct, frozen=True, gc=False):
    """The wide part: stored text that need not be parsed again. `envelope`, `structure` and `parsed` are opaque here."""

    uid: Uid
    envelope: bytes
    """The ENVELOPE text as IMAP sends it."""
    structure: bytes
    """The BODYSTRUCTURE text as IMAP sends it."""
    parsed: bytes
    """`values.mime.Part` of the root as MessagePack (offsets for sections)."""
    blob: BlobId
    header_size: int
    sent_at: int | None
    thread_id: ThreadId
    saved_at: int


@dataclass(frozen=True, slots=True)
class NewContent:
    """Everything about a message's bytes that the store keeps, made once by whoever received it."""

    blob: BlobId
    envelope: bytes
    structure: bytes
    parsed: bytes
    header_size: int
    sent_at: int | None
    references: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Appended:
    """Where a message went: the APPENDUID and COPYUID of RFC 4315, and the trace's "delivered"."""

    account_id: AccountId
    mailbox_id: MailboxId
    uid_validity: UidValidity
    uid: Uid
    modseq: ModSeq


@dataclass(frozen=True, slots=True)
class Copied:
    """Result of COPY or MOVE: source and destination UIDs pairwise, in ascending source order."""

    uid_validity: UidValidity
    source: tuple[Uid, ...]
    destination: tuple[Uid, ...]


class FlagChange(Enum):
    """RFC 9051 §6.4.6."""

    ADD = "+"
    REMOVE = "-"
    REPLACE = "="


class FlagsStored(NamedTuple):
    """What became of a STORE."""

    modseq: ModSeq
    """Of the change; the mailbox's own when nothing changed."""
    refused: list[Uid]
    """Messages that `unchanged_since` kept as they were (RFC 7162 §3.1.3)."""
    changed: int
    """How many messages really have other flags now."""
    rows: tuple[MessageRow, ...] | None
    """The named messages as they are now, when they are few: nobody has to read them again. None when they are many."""


class UidRange(msgspec.Struct, frozen=True, gc=False):
    """UIDs `first` … `last`, both included. `last` None means up to the highest."""

    first: int
    last: int | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened in a mailbox after a modseq: enough to bring a client's view up to date (RFC 7162)."""

    highest_modseq: ModSeq
    uid_next: Uid
    changed: tuple[MessageRow, ...]
    """New messages and messages whose flags changed, by ascending UID."""
    vanished: tuple[Uid, ...]
    """Expunged UIDs, ascending."""


NAMES = MailboxId(-1)
"""In a MailboxChanged, the place of no mailbox: names or subscriptions of the account changed; the modseq says nothing."""


EVERYBODY = AccountId(0)
"""In a MailboxChanged, the place of no account: with NAMES, an access list changed, and so what others may see."""


class MailboxChanged(msgspec.Struct, frozen=True, gc=False):
    """Told after a commit: this mailbox is at this modseq now. Carries no content; losing one only delays."""

    account_id: AccountId
    mailbox_id: MailboxId
    modseq: ModSeq
