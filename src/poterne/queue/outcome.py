"""Where an attempt goes, and what comes of it: values only."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, TypeAlias

from poterne.values.dns import Tlsa
from poterne.values.ids import QueueId
from poterne.values.secret import Secret
from poterne.values.tls import AppliedPolicy, TlsFailure
from poterne.values.tls import TlsDemand as TlsDemand  # noqa: PLC0414  (part of what this module gives)

SMTP_PORT: Final = 25


@dataclass(frozen=True, slots=True)
class Login:
    """What a smart host wants to know. Said inside TLS only."""

    user: str
    password: Secret


@dataclass(frozen=True, slots=True)
class HopTimeouts:
    """How long each answer may take, in seconds (RFC 5321 §4.5.3.2), and the whole."""

    connect_s: float = 30.0
    tls_s: float = 60.0
    """The handshake."""
    greeting_s: float = 300.0
    command_s: float = 300.0
    """EHLO, STARTTLS, AUTH, MAIL, and each RCPT."""
    data_s: float = 120.0
    """The 354."""
    block_s: float = 180.0
    """For the server to take 48 KiB of the message."""
    final_s: float = 600.0
    """The answer to the final dot."""
    total_s: float = 3600.0
    """One message with all its recipients, connecting included, until the final dot is written."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One server to connect to, and on what terms.

    `helo` is what we call ourselves. With `ca_file` only that file's authorities count, for internal servers.
    """

    address: str
    """Numeric."""
    port: int
    name: str
    """The server's, as the MX record or the route has it: SNI, certificate and log go by it."""
    helo: str
    implicit_tls: bool = False
    lmtp: bool = False
    tls: TlsDemand = TlsDemand.OPPORTUNISTIC
    names: tuple[str, ...] = ()
    """VERIFIED: the certificate must be for one of them; empty: for `name`. DANE: the TLSA base domain first, and the others
    that a certificate of an authority may be for (RFC 7672 §3.2.2)."""
    ca_file: Path | None = None
    tlsa: tuple[Tlsa, ...] = ()
    """DANE: usable records, one at least."""
    fallback: TlsDemand | None = None
    """When `tls` is not met: connect again on these terms, and tell in `TlsOutcome.problem` what was wrong."""
    applied: AppliedPolicy | None = None
    """What reports say that the conversation went by; None: it is not reported."""
    known_failures: tuple[TlsFailure, ...] = ()
    """What is wrong before anybody connects, for the report."""
    login: Login | None = None
    source: str | None = None
    """The local address to connect from."""
    timeouts: HopTimeouts = HopTimeouts()

    @property
    def key(self) -> tuple[object, ...]:
        """What connections are cached by: hops with the same key and equal logins can use the same connection."""
        login = self.login.user if self.login is not None else None
        how = (self.helo, self.implicit_tls, self.lmtp, self.tls, self.names, self.ca_file, self.tlsa, self.fallback)
        return (self.address, self.port, self.name, self.source, login, *how)

    def __str__(self) -> str:
        """For logs and notices: `name[address]:port`."""
        return f"{self.name}[{self.address}]:{self.port}"


class Stage(Enum):
    """How far a conversation came; the value is the stable word."""

    CONNECT = "connect"
    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    """The command."""
    TLS = "tls"
    """The handshake, and whether its result is what was demanded."""
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    """DATA and the message."""
    FINAL = "final"
    """The answer to the message."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The server took it, and answers for it now."""

    reply: str
    """What the server said, on one line: code, enhanced code, text; printable, at most 500 characters."""
    code: int = 250
    enhanced: str = "2.0.0"


@dataclass(frozen=True, slots=True)
class Transient:
    """Not now."""

    reply: str
    code: int
    """450 when nobody said one."""
    enhanced: str
    """RFC 3463; `4.0.0` when nobody said one."""
    local: bool = False
    """We found it, no server said it: in a notice the diagnostic code is not of type smtp (RFC 3464 §2.3.6)."""
    soon: bool = False
    """Only this transaction was full (452, RFC 5321 §4.5.3.1.10): due at once, and no failed attempt."""


@dataclass(frozen=True, slots=True)
class Permanent:
    """Not ever."""

    reply: str
    code: int
    enhanced: str
    local: bool = False


RecipientOutcome: TypeAlias = Delivered | Transient | Permanent


@dataclass(frozen=True, slots=True)
class TlsOutcome:
    """How TLS went. All empty: nobody tried, for the conversation failed earlier."""

    version: str = ""
    """"TLSv1.3"; "" in cleartext."""
    cipher: str = ""
    verified: bool = False
    """Encrypted, and with the server that was meant."""
    certificate: str = ""
    """SHA-256 of the server's certificate, in hexadecimal."""
    problem: str = ""
    """Why not encrypted or not verified, in one stable word: "not-offered", "refused", "injection", "timeout", "closed",
    "handshake", "certificate", "name", of DANE "tlsa-mismatch", "expired", "unreadable"; "" when there was nothing wrong, or
    nothing was to be verified."""
    detail: str = ""
    """More of it, for the log."""
    source: str = ""
    """The address that we connected from."""


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """What became of one message at one server. Each recipient that was given has an outcome."""

    hop: Hop
    outcomes: Mapping[QueueId, RecipientOutcome]
    tls: TlsOutcome = TlsOutcome()
    failed_at: Stage | None = None
    """Where the conversation as a whole ended; None: it went to its end, whatever the answers were."""
    try_next: bool = False
    """The connection failed, not the mail: another server of the same destination should be tried now."""
    unsure: bool = False
    """The message and its final dot were written and the answer was never read: it may have been delivered.

    The outcomes are transient then, and trying again may deliver twice (RFC 1047); another server is not to be tried."""
    dsn: bool = False
    """The server offers DSN: who asked to hear of success will hear from it, or from who comes after it."""
    reused: bool = False
    """On a connection that had carried mail before."""
