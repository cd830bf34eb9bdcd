"""What the SMTP server core tells the session: one event per command, plus the message's bytes.

Every event but `DataChunk` is answered before the next one is asked for; how many replies, and which, is in each docstring.
Events are msgspec structs because several are made for each message and a struct costs a tenth of a dataclass.
"""

from enum import Enum, StrEnum
from typing import TypeAlias

import msgspec

from poterne.proto.smtp.path import Path
from poterne.proto.smtp.replies import Reply
from poterne.values.address import AddressLiteral
from poterne.values.secret import Secret


class Connect(msgspec.Struct, frozen=True, gc=False):
    """First event of every connection. Answer: the greeting, `Reply(220, "", "mail.example.org ESMTP")`, or 421/554."""


class HelloKind(StrEnum):
    EHLO = "EHLO"
    HELO = "HELO"
    LHLO = "LHLO"


class Hello(msgspec.Struct, frozen=True, gc=False):
    """EHLO, HELO or LHLO. Answer: 250 with the greeting line; the core adds what is offered. Any transaction is gone.

    `name` holds only letters, digits and `-._:[]`, so that it can stand in a header; it is not verified further.
    """

    kind: HelloKind
    name: str
    literal: AddressLiteral | None = None
    """The name as an address, when it was a well-formed address literal."""


class Body(StrEnum):
    """RFC 6152."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT = "8BITMIME"


class Ret(StrEnum):
    """RFC 3461 §4.3."""

    FULL = "FULL"
    HEADERS = "HDRS"


class Notify(Enum):
    """RFC 3461 §4.1."""

    NEVER = "NEVER"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


class MailFrom(msgspec.Struct, frozen=True, gc=False):
    """MAIL FROM. Answer: one reply; the transaction is open after a 2xx and only then."""

    path: Path
    size: int | None = None
    """As announced (RFC 1870), already known to be within the offer; never trusted."""
    body: Body | None = None
    smtputf8: bool = False
    requiretls: bool = False
    """RFC 8689; only accepted inside TLS."""
    ret: Ret | None = None
    envid: str | None = None
    """Decoded from xtext; printable ASCII."""
    auth: str | None = None
    """AUTH= of RFC 4954 §5, decoded; "<>" for an unknown sender. A claim, to be believed of nobody."""


class RcptTo(msgspec.Struct, frozen=True, gc=False):
    """RCPT TO. Answer: one reply; the recipient counts after a 2xx and only then."""

    path: Path
    notify: frozenset[Notify] = frozenset()
    """Empty when not given."""
    orcpt: tuple[str, str] | None = None
    """Address type in lower case and the decoded address (printable ASCII, or UTF-8 for type utf-8)."""


class DataStart(msgspec.Struct, frozen=True, gc=False):
    """The message begins, by DATA or the first BDAT. Answer: `replies.START_DATA` (354), or a refusal.

    The same answer serves both: with BDAT the 354 is not written, and a refusal is written once the chunk is swallowed.
    """

    chunking: bool = False


class DataChunk(msgspec.Struct, frozen=True, gc=False):
    """Some of the message, dot-unstuffed, lines ending in CRLF (the last one, with BDAT, perhaps unfinished). No answer."""

    data: bytes


class DataFault(StrEnum):
    """Why a message that was received whole must be refused. In this order when several apply."""

    BARE_LF = "bare-lf"
    BARE_CR = "bare-cr"
    NUL = "nul"
    TOO_BIG = "too-big"


class ChunkEnd(msgspec.Struct, frozen=True, gc=False):
    """A BDAT chunk without LAST is complete (RFC 3030 §2). Answer: 250, or a refusal that ends the transaction.

    Chunks inside which a fault was found are answered here as well: `refusal` is then not None and must be sent (or another
    refusal).
    """

    size: int
    """Octets of the message so far."""
    refusal: Reply | None = None


class DataEnd(msgspec.Struct, frozen=True, gc=False):
    """The message is complete. Answer: one reply (LMTP: one per accepted recipient, in their order). Then no transaction is open.

    With a `fault` chunks were withheld: whatever came is to be thrown away, and a 2xx reply is a RuntimeError.
    """

    size: int
    """Octets of the message, unstuffed; with a fault, of what was counted."""
    fault: DataFault | None = None
    refusal: Reply | None = None
    """The reply that fits the fault."""
    long_line: bool = False
    """A line was longer than `Limits.text_line` (RFC 5321 §4.5.3.1.6)."""
    eight_bit: bool = False
    """An octet above 127 occurred."""
    chunking: bool = False


class Rset(msgspec.Struct, frozen=True, gc=False):
    """Any transaction is gone already. Answer: 250."""


class Noop(msgspec.Struct, frozen=True, gc=False):
    """Answer: 250."""


class Vrfy(msgspec.Struct, frozen=True, gc=False):
    """Answer: 252 (RFC 5321 §7.3)."""

    text: str


class Help(msgspec.Struct, frozen=True, gc=False):
    """Answer: 214."""

    text: str


class Quit(msgspec.Struct, frozen=True, gc=False):
    """Answer: 221; then the core is CLOSED."""


class StartTls(msgspec.Struct, frozen=True, gc=False):
    """Answer: 220, after which the core signals START_TLS; or 454."""


class AuthStart(msgspec.Struct, frozen=True, gc=False):
    """AUTH with an offered mechanism, inside TLS, outside a transaction. Answer: `Challenge`, 235, or 4xx/5xx."""

    mechanism: str
    """In upper case."""
    initial: Secret | None = None
    """Decoded; None when no initial response came, empty for "="."""


class AuthResponse(msgspec.Struct, frozen=True, gc=False):
    """The client's line, decoded. Answer: `Challenge`, 235, or 4xx/5xx."""

    data: Secret


class AuthCancel(msgspec.Struct, frozen=True, gc=False):
    """The client sent "*". Answer: 501 (`replies.AUTH_CANCELLED`); the exchange is over."""


class Bad(msgspec.Struct, frozen=True, gc=False):
    """A command that cannot be obeyed. Answer: `reply`, which fits; a session that has had enough sends 421 instead."""

    code: str
    """Short stable word for counting: "unknown-command", "out-of-order", "percent-hack", … see `grammar` and `path`."""
    reply: Reply
    verb: str = ""
    """In upper case, when it was a known one."""


Event: TypeAlias = (
    Connect
    | Hello
    | MailFrom
    | RcptTo
    | DataStart
    | DataChunk
    | ChunkEnd
    | DataEnd
    | Rset
    | Noop
    | Vrfy
    | Help
    | Quit
    | StartTls
    | AuthStart
    | AuthResponse
    | AuthCancel
    | Bad
)
