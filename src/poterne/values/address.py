"""A mail address, parsed strictly (RFC 5321 §4.1.2, RFC 6531 §3.3).

What other software might read in two ways is refused with a code of its own, so that a log tells probing from typing errors:

- "source-route", "two-at-signs", "no-domain", "local-part-syntax", "domain-syntax", "quote-syntax", "control-character";
- "empty-local-part", "local-part-too-long" (64 octets), "domain-too-long" (255), "address-too-long" (254), "label-too-long" (63);
- "trailing-dot", "numeric-domain" (what `inet_aton` takes for an IP address: 127.1, 0x7f000001), "literal-syntax";
- "utf8-not-announced", "domain-mapping" (a domain that IDNA would silently turn into another one: full-width letters and dots,
  soft hyphens), "domain-idna", "local-part-character" (invisible or unassigned), "confusable-local-part" (holds a look-alike of
  "@", "%"…);
- "encoded-word" (RFC 2047 text where none belongs).

`routing_fault` adds what is refused in a recipient only: "percent-hack", "bang-path", "quoted-at-sign".
"""

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import idna

_ATEXT: Final = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_LABEL: Final = r"[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*"
_PLAIN: Final = re.compile(rf"([{_ATEXT}]+(?:\.[{_ATEXT}]+)*)@({_LABEL}(?:\.{_LABEL})*)")
_LOCAL: Final = re.compile(rf"[{_ATEXT}\u0080-\U0010ffff]+(?:\.[{_ATEXT}\u0080-\U0010ffff]+)*")
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# RFC 5321 QcontentSMTP with the UTF-8 of RFC 6531; VCHAR and space only.
_QUOTED: Final = re.compile(r'"((?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*)"')
_PAIR: Final = re.compile(r"\\(.)")
_DOT_ATOM: Final = re.compile(rf"[{_ATEXT}\u0080-\U0010ffff]+(?:\.[{_ATEXT}\u0080-\U0010ffff]+)*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# The "ends in a number" rule of the URL standard: such a host is an IPv4 address to somebody.
_NUMERIC: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)")
_ENCODED_WORD: Final = re.compile(r"=\?[^?]*\?[BbQq]\?")
_SPECIALS: Final = frozenset('@%!<>"\\,;:()[] .')
# Cc, Cf (invisible), Cn (unassigned), Co, Cs, Zl, Zp, Zs.
_INVISIBLE: Final = frozenset("CZ")

MAX_LOCAL_PART: Final = 64
MAX_DOMAIN: Final = 255
MAX_ADDRESS: Final = 254
"""RFC 5321 §4.5.3.1, RFC 3696 erratum 1690; octets."""


class AddressError(ValueError):
    """Not an address we accept. `code` is one of the words above."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class AddressLiteral:
    """`[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3). General address literals are refused."""

    ip: IPv4Address | IPv6Address

    @classmethod
    def parse(cls, text: str) -> "AddressLiteral":
        """With its brackets. AddressError "literal-syntax"."""
        inner = text[1:-1]
        if text[:1] != "[" or text[-1:] != "]" or len(text) > 60 or "%" in inner:
            raise AddressError("literal-syntax")
        try:
            return cls(IPv6Address(inner[5:]) if inner[:5].upper() == "IPV6:" else IPv4Address(inner))
        except ValueError:
            raise AddressError("literal-syntax") from None

    def __str__(self) -> str:
        return f"[IPv6:{self.ip}]" if self.ip.version == 6 else f"[{self.ip}]"


@dataclass(frozen=True, slots=True)
class Address:
    """`local_part` is its meaning (unquoted, case kept); `domain` is lower-case A-labels, or an address literal as text.

    Two addresses that mean the same compare equal: `"u"@Example.ORG` and `u@example.org`. Case of the local part counts
    (RFC 5321 §2.4) except in `key`.
    """

    local_part: str
    domain: str

    @classmethod
    def parse(cls, text: str, *, smtputf8: bool = True) -> "Address":
        """From `local-part@domain` without angle brackets. Raises AddressError and nothing else."""
        plain = _PLAIN.fullmatch(text)
        if plain is None or "=?" in text:
            return _parse_slowly(text, smtputf8=smtputf8)
        local_part, domain = plain.groups()
        _check_lengths(local_part, domain)
        if domain[-1].isdigit() or domain[-1] in "abcdefABCDEFxX":
            _check_numeric(domain)
        return cls(local_part, domain.lower())

    @property
    def key(self) -> str:
        """For looking up local mailboxes: the local part in lower case and NFC, `@`, the domain."""
        return f"{unicodedata.normalize('NFC', self.local_part.lower())}@{self.domain}"

    @property
    def is_ascii(self) -> bool:
        """It needs no SMTPUTF8."""
        return self.local_part.isascii()

    @property
    def literal(self) -> AddressLiteral | None:
        """The domain as an IP address, when it is a literal."""
        return AddressLiteral.parse(self.domain) if self.domain[:1] == "[" else None

    def __str__(self) -> str:
        """As it goes on the wire, quoted where it must be."""
        if _DOT_ATOM.fullmatch(self.local_part):
            return f"{self.local_part}@{self.domain}"
        quoted = re.sub(r'(["\\])', r"\\\1", self.local_part)
        return f'"{quoted}"@{self.domain}'


def routing_fault(address: Address) -> str | None:
    """Why this address must not be a recipient: its local part asks for routing, which relays have fallen for."""
    local_part = address.local_part
    if "@" in local_part:
        return "quoted-at-sign"
    if "%" in local_part:
        return "percent-hack"
    if "!" in local_part:
        return "bang-path"
    return None


def domain_name(text: str) -> str:
    """A domain as lower-case A-labels (RFC 5890), from A-labels or U-labels in any case. Raises AddressError."""
    if _CONTROL.search(text):
        raise AddressError("control-character")
    if text.endswith("."):
        raise AddressError("trailing-dot" if not text.endswith("..") else "domain-syntax")
    name = text if text.isascii() else _a_labels(text)
    if not _DOMAIN.fullmatch(name):
        raise AddressError("domain-syntax")
    _check_domain(name)
    _check_numeric(name)
    return name.lower()


def _parse_slowly(text: str, *, smtputf8: bool) -> Address:
    if _CONTROL.search(text):
        raise AddressError("control-character")
    if not (smtputf8 or text.isascii()):
        raise AddressError("utf8-not-announced")
    if text[:1] == "@":
        raise AddressError("source-route" if ":" in text else "empty-local-part")
    if text[:1] == '"':
        quoted = _QUOTED.match(text)
        if quoted is None:
            raise AddressError("quote-syntax")
        local_part, rest = _PAIR.sub(r"\1", quoted[1]), text[quoted.end() :]
        if rest[:1] not in ("", "@"):
            raise AddressError("quote-syntax")
    else:
        local_part, at, rest = text.partition("@")
        rest = at + rest
        if not local_part:
            raise AddressError("empty-local-part")
        if not _LOCAL.fullmatch(local_part):
            raise AddressError("local-part-syntax")
    if not rest:
        raise AddressError("no-domain")
    if "@" in rest[1:]:
        raise AddressError("two-at-signs")
    _check_local_part(local_part)
    domain = str(AddressLiteral.parse(rest[1:])) if rest[1:2] == "[" else domain_name(rest[1:])
    _check_lengths(local_part, domain)
    return Address(local_part, domain)


def _check_local_part(local_part: str) -> None:
    if not local_part:
        raise AddressError("empty-local-part")
    if _ENCODED_WORD.search(local_part):
        raise AddressError("encoded-word")
    if local_part.isascii():
        return
    if any(not c.isascii() and unicodedata.category(c)[0] in _INVISIBLE for c in local_part):
        raise AddressError("local-part-character")
    shown = unicodedata.normalize("NFKC", local_part)
    if any(shown.count(c) != local_part.count(c) for c in _SPECIALS):
        raise AddressError("confusable-local-part")


def _a_labels(text: str) -> str:
    if len(text) > MAX_DOMAIN:  # before idna, whose work grows with the square of the length
        raise AddressError("domain-too-long")
    folded = unicodedata.normalize("NFC", text.lower())
    try:
        # UTS 46 non-transitional, but only for what it does to case: a domain that it would turn into another is refused.
        if idna.uts46_remap(folded, std3_rules=True, transitional=False) != folded:
            raise AddressError("domain-mapping")
        return idna.encode(folded, strict=True, std3_rules=True).decode("ascii")
    except idna.IDNAError:
        raise AddressError("domain-idna") from None
    except UnicodeError:
        raise AddressError("domain-idna") from None


def _check_lengths(local_part: str, domain: str) -> None:
    octets = len(local_part) if local_part.isascii() else len(local_part.encode(errors="replace"))
    if octets > MAX_LOCAL_PART:
        raise AddressError("local-part-too-long")
    if octets + len(domain) >= 63:
        _check_domain(domain)
        if octets + 1 + len(domain) > MAX_ADDRESS:
            raise AddressError("address-too-long")


def _check_domain(domain: str) -> None:
    if len(domain) > MAX_DOMAIN:
        raise AddressError("domain-too-long")
    if domain[:1] != "[" and len(domain) > 63 and max(map(len, domain.split("."))) > 63:
        raise AddressError("label-too-long")


def _check_numeric(domain: str) -> None:
    if _NUMERIC.fullmatch(domain):
        raise AddressError("numeric-domain")
