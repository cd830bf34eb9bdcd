"""What one asks of the SMTP client core, and what it answers."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeAlias

from poterne.proto.smtp.events import Body, Notify, Ret
from poterne.values.secret import Secret


@dataclass(frozen=True, slots=True)
class Greet:
    """EHLO, and HELO when the server knows no EHLO (LHLO in LMTP mode). `name`: our domain or address literal."""

    name: str


@dataclass(frozen=True, slots=True)
class StartTls:
    """STARTTLS. After a 220 the core signals START_TLS; greet again afterwards."""


@dataclass(frozen=True, slots=True)
class Auth:
    """AUTH PLAIN or LOGIN as `mechanism` says; None takes PLAIN when offered, else LOGIN. Refused locally without TLS."""

    user: str
    password: Secret
    mechanism: str | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """MAIL FROM. `reverse_path` without angle brackets, "" for the null path.

    Extensions the server lacks: SIZE, DSN parameters and an unneeded BODY are left out; what the message needs
    (`eight_bit`, `smtputf8`, `requiretls`, a size above the server's limit) makes a local refusal instead.
    """

    reverse_path: str
    size: int | None = None
    body: Body | None = None
    smtputf8: bool = False
    requiretls: bool = False
    ret: Ret | None = None
    envid: str | None = None


@dataclass(frozen=True, slots=True)
class Rcpt:
    """RCPT TO. `forward_path` without angle brackets."""

    forward_path: str
    notify: AbstractSet[Notify] = frozenset()
    orcpt: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Data:
    """DATA. Send it right after the last `Rcpt`: it is pipelined when the server allows. On 354 send `Content`."""


@dataclass(frozen=True, slots=True)
class Content:
    """Some of the message, lines ending in CRLF; dot-stuffed here. ContentError for a bare CR, bare LF or NUL."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ContentEnd:
    """The message is complete. An unfinished last line is ended. Its answer (LMTP: answers) decide about the message."""


@dataclass(frozen=True, slots=True)
class Rset:
    pass


@dataclass(frozen=True, slots=True)
class Noop:
    pass


@dataclass(frozen=True, slots=True)
class Quit:
    """After its answer the core is CLOSED."""


Command: TypeAlias = Greet | StartTls | Auth | Mail | Rcpt | Data | Content | ContentEnd | Rset | Noop | Quit
"""What `Client.send` takes."""


@dataclass(frozen=True, slots=True)
class ServerReply:
    """A reply as it was read. `lines` are text without code and enhanced code; unprintable octets are shown as "?"."""

    code: int
    enhanced: str
    lines: tuple[str, ...]
    local: bool = False
    """Made by the core: the command was never sent."""

    @property
    def positive(self) -> bool:
        """2xx."""
        return 200 <= self.code < 300

    @property
    def text(self) -> str:
        """All on one line, with code, as a bounce quotes it."""
        return " ".join(filter(None, (str(self.code), self.enhanced, *self.lines)))


@dataclass(frozen=True, slots=True)
class Greeting:
    """The server's first reply. Send `Greet` on 220."""

    reply: ServerReply


@dataclass(frozen=True, slots=True)
class Answer:
    """The final reply to a command, in the order of the commands. `recipient`: in LMTP, whose reply to `ContentEnd` this is."""

    command: Command
    reply: ServerReply
    recipient: Rcpt | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """End of file, an unsolicited 421, or a 4xx or 5xx while content was awaited: these commands (oldest first) will not
    be answered. Then CLOSED.

    A `ContentEnd` among them: whether the message was taken is not known.
    """

    commands: tuple[Command, ...]
    reply: ServerReply | None = None


ClientEvent: TypeAlias = Greeting | Answer | Lost


class ContentError(ValueError):
    """The message cannot be sent as text: `code` is "bare-cr", "bare-lf" or "nul". The connection must be given up."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
