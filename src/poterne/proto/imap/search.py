"""The tree of a SEARCH. Its meaning is RFC 9051 §6.4.4 and RFC 3501 §6.4.4; it is evaluated by the session.

Keys that are short for others are written out by the parser: NEW is And(Recent, not Seen), OLD is Not(Recent), UNSEEN is
FlagIs(SEEN, False), FROM is HeaderHolds("from", …). Strings are already decoded from the command's CHARSET.
"""

from dataclasses import dataclass
from datetime import date
from enum import Enum

from poterne.proto.imap.sequence import SequenceSet
from poterne.values.mailbox import Flag


@dataclass(frozen=True, slots=True)
class And:
    """All of them; empty means every message (ALL)."""

    keys: tuple["SearchKey", ...]


@dataclass(frozen=True, slots=True)
class Or:
    left: "SearchKey"
    right: "SearchKey"


@dataclass(frozen=True, slots=True)
class Not:
    key: "SearchKey"


@dataclass(frozen=True, slots=True)
class FlagIs:
    """The system flag is set, or is clear."""

    flag: Flag
    is_set: bool


@dataclass(frozen=True, slots=True)
class KeywordIs:
    """The keyword (compared without case) is set, or is clear."""

    name: str
    is_set: bool


@dataclass(frozen=True, slots=True)
class Recent:
    r"""The message is \Recent to this session (RFC 3501 only)."""


@dataclass(frozen=True, slots=True)
class InSequence:
    """The message number is in the set (or the message is in the saved result, for "$")."""

    messages: SequenceSet


@dataclass(frozen=True, slots=True)
class InUids:
    """UID is in the set."""

    uids: SequenceSet


class DateOf(Enum):
    """Which date of a message is meant."""

    INTERNAL = "internal"
    """INTERNALDATE: BEFORE, ON, SINCE; time and zone are disregarded (RFC 9051 §6.4.4)."""
    SENT = "sent"
    """The Date field: SENTBEFORE, SENTON, SENTSINCE."""
    SAVED = "saved"
    """When it came into this mailbox: SAVEDBEFORE … (RFC 8514)."""


class DateIs(Enum):
    BEFORE = "before"
    ON = "on"
    SINCE = "since"
    """On this day or later."""


@dataclass(frozen=True, slots=True)
class DateKey:
    of: DateOf
    compare: DateIs
    day: date


@dataclass(frozen=True, slots=True)
class Age:
    """YOUNGER and OLDER, RFC 5032: INTERNALDATE within the last `seconds`, or at least that long ago."""

    seconds: int
    younger: bool


@dataclass(frozen=True, slots=True)
class SizeIs:
    """LARGER (more octets than) or SMALLER (fewer octets than)."""

    octets: int
    larger: bool


@dataclass(frozen=True, slots=True)
class HeaderHolds:
    """The field's text, decoded, holds the string, without regard to case. Empty `text`: the field is present.

    `name` is in lower case. From BCC, CC, FROM, SUBJECT, TO, HEADER.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class BodyHolds:
    """The string is in the body of the message (BODY)."""

    text: str


@dataclass(frozen=True, slots=True)
class TextHolds:
    """The string is in the header or the body (TEXT)."""

    text: str


@dataclass(frozen=True, slots=True)
class ModSeqAtLeast:
    """MODSEQ (RFC 7162 §3.1.5). Entry names are accepted and make no difference: all flags share one modseq."""

    modseq: int


@dataclass(frozen=True, slots=True)
class EmailIs:
    """EMAILID (RFC 8474 §6). As the client wrote it: an identifier that was never ours matches nothing."""

    id: str


@dataclass(frozen=True, slots=True)
class ThreadIs:
    """THREADID, likewise."""

    id: str


SearchKey = (
    And
    | Or
    | Not
    | FlagIs
    | KeywordIs
    | Recent
    | InSequence
    | InUids
    | DateKey
    | Age
    | SizeIs
    | HeaderHolds
    | BodyHolds
    | TextHolds
    | ModSeqAtLeast
    | EmailIs
    | ThreadIs
)


class SortKey(Enum):
    """RFC 5256 §3, RFC 5957 §4."""

    ARRIVAL = b"ARRIVAL"
    CC = b"CC"
    DATE = b"DATE"
    FROM = b"FROM"
    SIZE = b"SIZE"
    SUBJECT = b"SUBJECT"
    TO = b"TO"
    DISPLAYFROM = b"DISPLAYFROM"
    DISPLAYTO = b"DISPLAYTO"


@dataclass(frozen=True, slots=True)
class SortBy:
    key: SortKey
    reverse: bool


class Threading(Enum):
    """Algorithms of THREAD, RFC 5256 §3."""

    ORDEREDSUBJECT = b"ORDEREDSUBJECT"
    REFERENCES = b"REFERENCES"


class SearchReturn(Enum):
    """RETURN options, RFC 4731 §3.1 and RFC 9051 §6.4.4."""

    MIN = b"MIN"
    MAX = b"MAX"
    ALL = b"ALL"
    COUNT = b"COUNT"
    PARTIAL = b"PARTIAL"
    SAVE = b"SAVE"


def has_numbers(key: SearchKey) -> bool:
    """Are there message numbers in it, which nothing may move while it is answered?"""
    match key:
        case And(keys):
            return any(has_numbers(part) for part in keys)
        case Or(left, right):
            return has_numbers(left) or has_numbers(right)
        case Not(inner):
            return has_numbers(inner)
        case _:
            return isinstance(key, InSequence) and not key.messages.saved
