"""What a POP3 session sends. A text is ours but may quote the peer: whatever is not printable is shown as "?"."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from poterne.proto.pop3.texts import DEFAULT, said


class Code(StrEnum):
    """Response codes (RFC 2449 §8, RFC 3206)."""

    AUTH = "AUTH"
    """The credentials are the problem."""
    SYS_TEMP = "SYS/TEMP"
    SYS_PERM = "SYS/PERM"
    IN_USE = "IN-USE"
    LOGIN_DELAY = "LOGIN-DELAY"
    UTF8 = "UTF8"


@dataclass(frozen=True, slots=True)
class Ok:
    text: str = ""


@dataclass(frozen=True, slots=True)
class Err:
    """`close` ends the connection after it. When no answer is owed, it only closes (RFC 1939 §3: without a word)."""

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
class Capabilities:
    """`+OK`, the capabilities that the core knows, and more (RFC 2449 §6)."""

    text: str
    expire_days: int | None = None
    """How long messages are kept at least; None: for ever (EXPIRE NEVER)."""
    expire_differs: bool = False
    """It depends on who signs in."""
    login_delay_s: int = 0
    implementation: str = ""


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


Sent: TypeAlias = Ok | Err | Challenge | Listing | Capabilities | BodyStart | BodyChunk | BodyEnd
"""What `Server.send` takes."""

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MOST: Final = 120
"""Characters of text, so that a line stays within the 512 octets of RFC 1939 §3 in UTF-8 too."""


def line(reply: Ok | Err | BodyStart | Listing | Capabilities, language: str = DEFAULT) -> bytes:
    """The status line."""
    text = _UNPRINTABLE.sub("?", said(reply.text, language)[:_MOST])
    head = "+OK"
    if isinstance(reply, Err):
        head = f"-ERR [{reply.code.value}]" if reply.code is not None else "-ERR"
    return f"{head} {text}\r\n".encode(errors="replace") if text else f"{head}\r\n".encode()


def capabilities(more: Capabilities, *, signed_in: bool) -> list[bytes]:
    """The lines (RFC 2449 §6.5, §6.7, §6.9)."""
    days = "NEVER" if more.expire_days is None else str(more.expire_days)
    differs = " USER" if more.expire_differs and not signed_in else ""
    lines = [f"EXPIRE {days}{differs}".encode()]
    if more.login_delay_s:
        lines.append(b"LOGIN-DELAY %d" % more.login_delay_s)
    if more.implementation and signed_in:  # strangers need not know
        lines.append(b"IMPLEMENTATION " + more.implementation.encode("ascii", "replace"))
    return lines


def stat(count: int, octets: int) -> Ok:
    """The answer to STAT, RFC 1939 §5."""
    return Ok(f"{count} {octets}")


AUTH_FAILED: Final = Err("User name or password is wrong", Code.AUTH)
AUTH_UNAVAILABLE: Final = Err("Cannot check passwords for now, try again later", Code.SYS_TEMP)
AUTH_CANCELLED: Final = Err("Authentication cancelled")
LOCAL_ERROR: Final = Err("Something failed here, try again later", Code.SYS_TEMP)
NO_SUCH_MESSAGE: Final = Err("No such message")
SHUTTING_DOWN: Final = Err("Shutting down, try again later", Code.SYS_TEMP, close=True)
TOO_MANY_ERRORS: Final = Err("Too many errors", close=True)
