"""A mail address, parsed strictly (RFC 5321 §4.1.2, RFC 6531 §3.3)."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address


@dataclass(frozen=True, slots=True)
class AddressLiteral:
    """`[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3). General address literals are refused."""

    ip: IPv4Address | IPv6Address

    def __str__(self) -> str:
        return f"[IPv6:{self.ip}]" if self.ip.version == 6 else f"[{self.ip}]"


class AddressError(ValueError):
    """Not an address we accept. `code` is a short stable word: "percent-hack", "source-route", "local-part-too-long"…"""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Address:
    """`local_part` is the meaning of it (unquoted, case kept), `domain` lower-case A-label or an address literal as text."""

    local_part: str
    domain: str

    @classmethod
    def parse(cls, text: str, *, smtputf8: bool = True) -> "Address":
        """From `local-part@domain` without angle brackets. Raises AddressError."""
        raise NotImplementedError

    @property
    def key(self) -> str:
        """For looking up local mailboxes: local part case-folded to lower case (NFC), `@`, domain."""
        raise NotImplementedError

    @property
    def is_ascii(self) -> bool:
        """Needs no SMTPUTF8."""
        return self.local_part.isascii()

    @property
    def literal(self) -> AddressLiteral | None:
        """The domain as an address, when it is a literal."""
        raise NotImplementedError
