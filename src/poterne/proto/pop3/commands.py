"""What the POP3 server core tells the session. Each event is answered before the next one is asked for.

Unless said otherwise the answer is one `Ok` or `Err` of `replies`. Message numbers are syntactically fine (1 or more) and no
more: whether such a message exists, or was deleted in this session, the session knows.
"""

from typing import TypeAlias

import msgspec

from poterne.proto.pop3.replies import Err
from poterne.values.secret import Secret


class Connect(msgspec.Struct, frozen=True, gc=False):
    """First event of every connection. Answer: `Ok` with the greeting, or `Err` (then the connection ends)."""


class User(msgspec.Struct, frozen=True, gc=False):
    """USER. Answer `Ok` whether or not the name exists (RFC 1939 §7). The core gives the name again with `Pass`."""

    name: str


class Pass(msgspec.Struct, frozen=True, gc=False):
    """PASS after an accepted USER. `Ok` enters the transaction state; after `Err` USER is needed again."""

    name: str
    password: Secret


class AuthStart(msgspec.Struct, frozen=True, gc=False):
    """AUTH with an offered mechanism (RFC 5034). Answer: `Challenge`, `Ok` (signed in) or `Err`."""

    mechanism: str
    """In upper case."""
    initial: Secret | None = None
    """Decoded; None when no initial response came, empty for "="."""


class AuthResponse(msgspec.Struct, frozen=True, gc=False):
    """The client's line, decoded. Answer: `Challenge`, `Ok` or `Err`."""

    data: Secret


class AuthCancel(msgspec.Struct, frozen=True, gc=False):
    """The client sent "*". Answer: `Err`; the exchange is over."""


class Stls(msgspec.Struct, frozen=True, gc=False):
    """Answer: `Ok`, after which the core signals START_TLS; or `Err`."""


class Capa(msgspec.Struct, frozen=True, gc=False):
    """Answer: `Ok`, or `Capabilities` with more; the core adds those that it knows itself."""


class Utf8(msgspec.Struct, frozen=True, gc=False):
    """UTF8 (RFC 6856 §2). After `Ok` headers may be sent with text that is not ASCII (`Server.utf8`)."""


class Lang(msgspec.Struct, frozen=True, gc=False):
    """LANG (RFC 6856 §3). Without a language `Listing` of those there are; else call `Server.speak`, then `Ok`; or `Err`."""

    language: str | None = None
    """A language range, or "*": the server's choice for this user."""


class Stat(msgspec.Struct, frozen=True, gc=False):
    """Answer: `Ok("count octets")`, see `replies.stat`."""


class List(msgspec.Struct, frozen=True, gc=False):
    """LIST. With a number: `Ok("number octets")`; without: `Listing` of `b"number octets"`."""

    number: int | None = None


class Uidl(msgspec.Struct, frozen=True, gc=False):
    """UIDL. With a number: `Ok("number id")`; without: `Listing` of `b"number id"`."""

    number: int | None = None


class Retr(msgspec.Struct, frozen=True, gc=False):
    """Answer: `Err`, or `BodyStart`, any number of `BodyChunk`, `BodyEnd`."""

    number: int


class Top(msgspec.Struct, frozen=True, gc=False):
    """Answer as for `Retr`; the core cuts after the header and `lines` lines: stop when `Server.body_complete` is True."""

    number: int
    lines: int


class Dele(msgspec.Struct, frozen=True, gc=False):
    number: int


class Rset(msgspec.Struct, frozen=True, gc=False):
    """Unmark deleted messages."""


class Noop(msgspec.Struct, frozen=True, gc=False):
    pass


class Quit(msgspec.Struct, frozen=True, gc=False):
    """After the answer the core is CLOSED. With `update` the marked messages are to be removed first (UPDATE state)."""

    update: bool


class Bad(msgspec.Struct, frozen=True, gc=False):
    """A command that cannot be obeyed. Answer: `reply`, or `Err(…, close=True)` when there were too many."""

    code: str
    reply: Err
    verb: str = ""


Event: TypeAlias = (
    Connect
    | User
    | Pass
    | AuthStart
    | AuthResponse
    | AuthCancel
    | Stls
    | Capa
    | Utf8
    | Lang
    | Stat
    | List
    | Uidl
    | Retr
    | Top
    | Dele
    | Rset
    | Noop
    | Quit
    | Bad
)
