"""What a POP3 server offers its clients, and the limits it holds them to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Offer:
    stls: bool = False
    """RFC 2595 §4; shown and accepted while the link is not encrypted."""
    user: bool = True
    """USER and PASS; shown and accepted inside TLS only."""
    auth: tuple[str, ...] = ()
    """SASL mechanisms in upper case (RFC 5034); shown and accepted inside TLS only."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Octets, CRLF included."""

    command_line: int = 512
    """RFC 2449 §4 says 255; long user names and passwords are worth more."""
    auth_line: int = 12288 + 2
    """RFC 5034 §4, for AUTH itself and for responses."""
    skipped_line: int = 65536
    """An over-long line is skipped up to here; beyond, the connection ends."""
