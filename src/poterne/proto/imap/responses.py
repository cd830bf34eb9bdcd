"""What the server says. Replies that move the core are dataclasses; untagged data are bytes made by the functions here.

`Untagged` is whole response lines, or chunks of one that together are whole (a literal in pieces). The core copies none of
it. Text is ours, ASCII, without CR or LF: nothing of the client's goes into it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NewType

from poterne.proto.imap.items import StatusItem

Untagged = NewType("Untagged", bytes)
Code = NewType("Code", bytes)
"""The inside of a response code's brackets, e.g. b"READ-ONLY"."""


class Condition(Enum):
    OK = b"OK"
    NO = b"NO"
    BAD = b"BAD"


@dataclass(frozen=True, slots=True)
class Completed:
    """The tagged status response that ends the command under way; the core knows the tag."""

    condition: Condition
    text: bytes
    code: Code | None = None


@dataclass(frozen=True, slots=True)
class Greeting:
    """The first thing said. `capabilities` go into its response code."""

    text: bytes
    capabilities: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Continue:
    """Go on: to AppendStart (send the message) and to Idle."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """A SASL challenge, not yet in base64; it may be empty."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Bye:
    """Untagged BYE. In answer to Logout a Completed follows; at any other time the connection closes after it."""

    text: bytes
    code: Code | None = None


Reply = Untagged | Completed | Greeting | Continue | Challenge | Bye


def ok(text: bytes, code: Code | None = None) -> Completed: ...
def no(text: bytes, code: Code | None = None) -> Completed: ...
def bad(text: bytes, code: Code | None = None) -> Completed: ...


# Response codes (RFC 9051 §7.1, RFC 5530, RFC 4315, RFC 7162)

ALERT = Code(b"ALERT")
ALREADYEXISTS = Code(b"ALREADYEXISTS")
AUTHENTICATIONFAILED = Code(b"AUTHENTICATIONFAILED")
AUTHORIZATIONFAILED = Code(b"AUTHORIZATIONFAILED")
CANNOT = Code(b"CANNOT")
CLIENTBUG = Code(b"CLIENTBUG")
CLOSED = Code(b"CLOSED")
CONTACTADMIN = Code(b"CONTACTADMIN")
CORRUPTION = Code(b"CORRUPTION")
EXPIRED = Code(b"EXPIRED")
EXPUNGEISSUED = Code(b"EXPUNGEISSUED")
HASCHILDREN = Code(b"HASCHILDREN")
INUSE = Code(b"INUSE")
LIMIT = Code(b"LIMIT")
NOMODSEQ = Code(b"NOMODSEQ")
NONEXISTENT = Code(b"NONEXISTENT")
NOPERM = Code(b"NOPERM")
NOTSAVED = Code(b"NOTSAVED")
OVERQUOTA = Code(b"OVERQUOTA")
PARSE = Code(b"PARSE")
PRIVACYREQUIRED = Code(b"PRIVACYREQUIRED")
READ_ONLY = Code(b"READ-ONLY")
READ_WRITE = Code(b"READ-WRITE")
SERVERBUG = Code(b"SERVERBUG")
TOOBIG = Code(b"TOOBIG")
TRYCREATE = Code(b"TRYCREATE")
UIDNOTSTICKY = Code(b"UIDNOTSTICKY")
UNAVAILABLE = Code(b"UNAVAILABLE")
UNKNOWN_CTE = Code(b"UNKNOWN-CTE")
USEATTR = Code(b"USEATTR")


def code_capability(names: Iterable[bytes]) -> Code: ...
def code_badcharset(charsets: Iterable[bytes]) -> Code: ...
def code_permanentflags(flags: bytes) -> Code:
    """`flags` with its parentheses, from `fetch.flag_list`."""


def code_uidnext(uid: int) -> Code: ...
def code_uidvalidity(value: int) -> Code: ...
def code_unseen(number: int) -> Code: ...
def code_highestmodseq(modseq: int) -> Code: ...
def code_modified(numbers: Iterable[int]) -> Code:
    """UIDs or sequence numbers, ascending, as the command had them (RFC 7162 §3.1.3)."""


def code_appenduid(uid_validity: int, uids: Iterable[int]) -> Code: ...
def code_copyuid(uid_validity: int, source: Sequence[int], destination: Sequence[int]) -> Code:
    """Pairwise and ascending both, as `values.mailbox.Copied`."""


def code_mailboxid(mailbox_id: bytes) -> Code: ...


# Untagged responses


def status_line(condition: Condition, text: bytes, code: Code | None = None) -> Untagged:
    """`* OK [code] text`."""


def capability(names: Iterable[bytes]) -> Untagged: ...
def enabled(names: Iterable[bytes]) -> Untagged: ...
def flags(flag_list: bytes) -> Untagged:
    """`* FLAGS (…)`; `flag_list` with its parentheses."""


def exists(count: int) -> Untagged: ...
def recent(count: int) -> Untagged: ...
def expunge(number: int) -> Untagged: ...
def expunges(numbers: Iterable[int]) -> Untagged:
    """One line each, in the order given: numbers shift with each one, so give them descending or already shifted."""


def vanished(uids: Iterable[int], *, earlier: bool = False) -> Untagged:
    """RFC 7162 §3.2.10. `uids` ascending, at least one."""


def list_mailbox(
    name: str,
    attributes: Iterable[bytes],
    *,
    utf8: bool,
    child_info: Iterable[bytes] = (),
    old_name: str | None = None,
    word: bytes = b"LIST",
) -> Untagged:
    r"""`* LIST (\HasNoChildren) "/" name`. `utf8`: the client enabled IMAP4rev2 or UTF8=ACCEPT (`core.utf8`).

    `child_info` are the selection options of CHILDINFO; `old_name` is RFC 9051's OLDNAME; `word` b"LSUB" for LSUB.
    """


def list_delimiter(word: bytes = b"LIST") -> Untagged:
    """The answer to LIST "" ""."""


def namespace() -> Untagged:
    """Personal mailboxes without prefix, "/" as delimiter, no others."""


def status(name: str, values: Mapping[StatusItem, int], *, utf8: bool) -> Untagged: ...
def search(numbers: Iterable[int], modseq: int | None = None) -> Untagged:
    """RFC 3501 §7.2.5, with the highest modseq of RFC 7162 §3.1.5 if the search had MODSEQ."""


def esearch(
    tag: bytes,
    *,
    uid: bool,
    lowest: int | None = None,
    highest: int | None = None,
    everything: Sequence[int] | None = None,
    count: int | None = None,
    modseq: int | None = None,
) -> Untagged:
    """RFC 4731 §3.2: MIN, MAX, ALL, COUNT as far as given; MIN, MAX and ALL are left out when nothing was found."""


def server_id(params: Sequence[tuple[bytes, bytes | None]] | None) -> Untagged:
    """`* ID (…)`, RFC 2971; None gives NIL."""


def bye(text: bytes, code: Code | None = None) -> Untagged: ...
