"""Forward and reverse paths (RFC 5321 §4.1.2), and the reply for each way in which one can be wrong."""

import re
from dataclasses import dataclass
from typing import Final

from poterne.proto.smtp.replies import Reply
from poterne.values.address import Address, AddressError, routing_fault

# Between "<" and ">": quoted strings may hold either. Each branch begins with a character of its own: no backtracking.
PATH: Final = re.compile(rb'<((?:[^"<>]|"(?:[^"\\]|\\.)*")*)>', re.DOTALL)

MAX_PATH: Final = 256
"""RFC 5321 §4.5.3.1.3, with the brackets."""

_TEXTS: Final = {
    "source-route": "Source routes are not accepted, give the address alone",
    "percent-hack": "Routing by % is not accepted, give the address alone",
    "bang-path": "Routing by ! is not accepted, give the address alone",
    "quoted-at-sign": "A quoted @ is not accepted, give the address alone",
    "two-at-signs": "An address has one @",
    "no-domain": "Give the domain as well",
    "empty-local-part": "Nothing stands before the @",
    "local-part-syntax": "What stands before the @ breaks RFC 5321 section 4.1.2",
    "local-part-character": "What stands before the @ holds a character that cannot be seen",
    "confusable-local-part": "What stands before the @ holds a look-alike of a special character",
    "local-part-too-long": "What stands before the @ is longer than 64 octets",
    "encoded-word": "Encoded words have no place in an address",
    "quote-syntax": "The quoted string breaks RFC 5321 section 4.1.2",
    "control-character": "An address holds no control characters",
    "domain-syntax": "The domain breaks RFC 5321 section 4.1.2",
    "domain-too-long": "The domain is longer than 255 octets",
    "domain-mapping": "Give the domain in its canonical form",
    "domain-idna": "The domain breaks RFC 5891",
    "label-too-long": "A part of the domain is longer than 63 octets",
    "address-too-long": "The address is longer than 254 octets",
    "path-too-long": "The path is longer than 256 octets",
    "trailing-dot": "The domain ends in a dot",
    "numeric-domain": "The domain is a number; an address literal has brackets",
    "literal-syntax": "The address literal breaks RFC 5321 section 4.1.3",
    "null-path": "The null path is for senders only",
    "not-utf8": "The address is not UTF-8",
}
_UTF8: Final = Reply(553, "5.6.7", "Say SMTPUTF8 with MAIL to use such an address")
FORWARD_REPLIES: Final = {code: Reply(553, "5.1.3", text) for code, text in _TEXTS.items()} | {
    "utf8-not-announced": _UTF8
}
REVERSE_REPLIES: Final = {code: Reply(553, "5.1.7", text) for code, text in _TEXTS.items()} | {
    "utf8-not-announced": _UTF8
}


@dataclass(frozen=True, slots=True)
class Path:
    """What stood between "<" and ">". `address` is None for the null reverse path and for `<postmaster>`."""

    raw: str
    address: Address | None

    @property
    def is_null(self) -> bool:
        """`<>`, in MAIL only."""
        return not self.raw

    @property
    def is_postmaster(self) -> bool:
        """`<postmaster>` without a domain, in RCPT only (RFC 5321 §4.1.1.3)."""
        return self.address is None and bool(self.raw)

    def __str__(self) -> str:
        return self.raw


NULL: Final = Path("", None)


def reverse_path(octets: bytes, *, smtputf8: bool) -> Path:
    """From what stood between the brackets of MAIL. AddressError with one of the codes of REVERSE_REPLIES."""
    if not octets:
        return NULL
    text = _text(octets)
    return Path(text, Address.parse(text, smtputf8=smtputf8))


def forward_path(octets: bytes, *, smtputf8: bool) -> Path:
    """From what stood between the brackets of RCPT. AddressError with one of the codes of FORWARD_REPLIES."""
    if not octets:
        raise AddressError("null-path")
    text = _text(octets)
    if len(text) == 10 and text.lower() == "postmaster":
        return Path(text, None)
    address = Address.parse(text, smtputf8=smtputf8)
    fault = routing_fault(address)
    if fault is not None:
        raise AddressError(fault)
    return Path(text, address)


def _text(octets: bytes) -> str:
    if len(octets) > MAX_PATH - 2:
        raise AddressError("path-too-long")
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise AddressError("not-utf8") from None
