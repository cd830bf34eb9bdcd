"""What FETCH and STATUS can ask for, how flags are written, options of LIST and SELECT."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from poterne.proto.imap.sequence import SequenceSet


class FetchAtt(Enum):
    """Items without arguments. The value is the name as the response shows it."""

    UID = b"UID"
    FLAGS = b"FLAGS"
    INTERNALDATE = b"INTERNALDATE"
    SIZE = b"RFC822.SIZE"
    MODSEQ = b"MODSEQ"
    ENVELOPE = b"ENVELOPE"
    BODY = b"BODY"
    """The structure without extension data."""
    BODYSTRUCTURE = b"BODYSTRUCTURE"
    EMAILID = b"EMAILID"
    """RFC 8474 §5."""
    THREADID = b"THREADID"
    SAVEDATE = b"SAVEDATE"
    """RFC 8514 §4.2."""
    PREVIEW = b"PREVIEW"
    """RFC 8970; with (LAZY) or without."""


class SectionText(Enum):
    """The end of a section specification, RFC 9051 §6.4.5.1."""

    ALL = b""
    HEADER = b"HEADER"
    FIELDS = b"HEADER.FIELDS"
    FIELDS_NOT = b"HEADER.FIELDS.NOT"
    TEXT = b"TEXT"
    MIME = b"MIME"


@dataclass(frozen=True, slots=True)
class Partial:
    """`<offset.count>`: octets from `offset`, at most `count` (≥ 1)."""

    offset: int
    count: int


@dataclass(frozen=True, slots=True)
class BodySection:
    r"""BODY[…], BODY.PEEK[…], and RFC822, RFC822.HEADER, RFC822.TEXT as what they mean.

    `path` are the part numbers (empty: the message). `fields` are header names in lower case, for FIELDS and FIELDS_NOT.
    `label` is the item's name in the response, with the section and, for partials, `<offset>`. `peek` False sets \Seen.
    """

    path: tuple[int, ...]
    text: SectionText
    fields: tuple[bytes, ...]
    partial: Partial | None
    peek: bool
    label: bytes


@dataclass(frozen=True, slots=True)
class Binary:
    """BINARY[…] and BINARY.PEEK[…] (RFC 3516): the part with its transfer encoding removed."""

    path: tuple[int, ...]
    partial: Partial | None
    peek: bool
    label: bytes


@dataclass(frozen=True, slots=True)
class BinarySize:
    """BINARY.SIZE[…]: octets that BINARY would give."""

    path: tuple[int, ...]
    label: bytes


FetchItem = FetchAtt | BodySection | Binary | BinarySize


class StatusItem(Enum):
    """RFC 9051 §6.3.11, RFC 7162 §3.1.7; RECENT is RFC 3501's."""

    MESSAGES = b"MESSAGES"
    UIDNEXT = b"UIDNEXT"
    UIDVALIDITY = b"UIDVALIDITY"
    UNSEEN = b"UNSEEN"
    DELETED = b"DELETED"
    SIZE = b"SIZE"
    RECENT = b"RECENT"
    HIGHESTMODSEQ = b"HIGHESTMODSEQ"
    APPENDLIMIT = b"APPENDLIMIT"
    """RFC 7889 §3.2."""
    DELETED_STORAGE = b"DELETED-STORAGE"
    """RFC 9208 §4.1.4."""
    MAILBOXID = b"MAILBOXID"
    """RFC 8474 §4.3."""


@dataclass(frozen=True, slots=True)
class FlagSet:
    """Flags as a client named them: bits of `values.mailbox.Flag`, and keywords as written, without doubles."""

    system: int
    keywords: tuple[str, ...]


class ListSelect(Enum):
    """Selection options of LIST, RFC 5258 §3.1, RFC 6154 §2."""

    SUBSCRIBED = b"SUBSCRIBED"
    REMOTE = b"REMOTE"
    RECURSIVEMATCH = b"RECURSIVEMATCH"
    SPECIAL_USE = b"SPECIAL-USE"


class ListReturn(Enum):
    """Return options of LIST, RFC 5258 §3.2, RFC 6154 §2. STATUS (RFC 5819) is `List.status`."""

    SUBSCRIBED = b"SUBSCRIBED"
    CHILDREN = b"CHILDREN"
    SPECIAL_USE = b"SPECIAL-USE"
    MYRIGHTS = b"MYRIGHTS"
    """RFC 8440."""


@dataclass(frozen=True, slots=True)
class Window:
    """PARTIAL of SEARCH and UID FETCH (RFC 9394): results `first` to `last`, 1 being the first one, or -1 the last one."""

    first: int
    last: int

    def within(self, count: int) -> tuple[int, int]:
        """The results [start, stop) of so many."""
        low, high = sorted((abs(self.first), abs(self.last)))
        if self.first > 0:
            return min(low - 1, count), min(high, count)
        return max(count - high, 0), max(count - low + 1, 0)


@dataclass(frozen=True, slots=True)
class QResync:
    """SELECT … (QRESYNC (…)), RFC 7162 §3.2.5. None stands for what was left out."""

    uid_validity: int
    modseq: int
    known_uids: SequenceSet | None
    known_numbers: SequenceSet | None
    """Message numbers, pairwise with `known_number_uids`."""
    known_number_uids: SequenceSet | None


DEPTH_INFINITY: Final = 2**31


@dataclass(frozen=True, slots=True)
class Metadata:
    """Entries to be told (RFC 5464 §4.2). Names are in lower case, each once; "/private" and "/shared" alone may be there."""

    entries: tuple[str, ...]
    max_size: int | None = None
    """Octets: values that are larger are left out."""
    depth: int = 0
    """How far below an entry others are told with it: 0, 1 or `DEPTH_INFINITY`."""
