"""What an SMTP server offers its clients, and the limits it holds them to. Both are fixed for a listener."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Offer:
    """The extensions of the EHLO reply. PIPELINING, 8BITMIME and ENHANCEDSTATUSCODES are always offered."""

    size_bytes: int = 50 * 1024 * 1024
    """RFC 1870. The largest message; enforced while it comes, whatever was announced. Above 0."""
    starttls: bool = False
    """RFC 3207; shown and accepted while the link is not encrypted."""
    auth: tuple[str, ...] = ()
    """SASL mechanisms in upper case (RFC 4954); shown and accepted inside TLS only."""
    chunking: bool = True
    """RFC 3030 BDAT (without BINARYMIME)."""
    smtputf8: bool = True
    """RFC 6531."""
    dsn: bool = True
    """RFC 3461."""
    requiretls: bool = False
    """RFC 8689; shown and accepted inside TLS only."""
    recipients: int = 1000
    """RCPT accepted in one transaction (RFC 9422 RCPTMAX); the next is answered 452. RFC 5321 §4.5.3.1.8: at least 100."""
    transactions: int | None = None
    """MAILMAX of RFC 9422, only shown; the session counts."""
    lmtp: bool = False
    """RFC 2033: LHLO instead of EHLO and HELO, one reply per recipient after the message."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Octets, CRLF included."""

    command_line: int = 2048
    """RFC 5321 §4.5.3.1.4 asks for 512; its extensions add to it (DSN 500, AUTH 500, SIZE 26, SMTPUTF8 10)."""
    auth_line: int = 12288 + 2
    """RFC 4954 §4, for AUTH itself and for responses."""
    skipped_line: int = 65536
    """An over-long line is skipped up to here; beyond, the connection ends."""
    text_line: int = 1000
    """RFC 5321 §4.5.3.1.6. Longer lines of a message are reported (`DataEnd.long_line`), not refused."""
