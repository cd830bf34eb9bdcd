"""What a POP3 session sends. A text is ours but may quote the peer: whatever is not printable is shown as "?"."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Code(StrEnum):
    """Response codes (RFC 2449 §8, RFC 3206)."""

    AUTH = "AUTH"
    """The credentials are the problem."""
    SYS_TEMP = "SYS/TEMP"
    SYS_PERM = "SYS/PERM"
    IN_USE = "IN-USE"
    LOGIN_DELAY = "LOGIN-DELAY"


@dataclass(frozen=True, slots=True)
class Ok:
    text: str = ""


@dataclass(frozen=True, slots=True)
class Err:
    """`close` ends the connection after it."""

    text: str
    code: Code | None = None
    close: bool = False


@dataclass(frozen=True, slots=True)
class Challenge:
    """`+ ` with these octets in base64."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Listing:
    """A multi-line answer whose lines (without CRLF, ASCII) are short: LIST and UIDL."""

    text: str
    lines: Iterable[bytes]


@dataclass(frozen=True, slots=True)
class BodyStart:
    """`+OK` before a message."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class BodyChunk:
    """Some of the message, as stored; the core dot-stuffs it across chunk borders."""

    data: bytes


@dataclass(frozen=True, slots=True)
class BodyEnd:
    """The message is complete; the core ends an unfinished last line and writes the final dot."""


Sent: TypeAlias = Ok | Err | Challenge | Listing | BodyStart | BodyChunk | BodyEnd
"""What `Server.send` takes."""
