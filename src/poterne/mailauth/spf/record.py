"""A record (RFC 7208 §12), read whole: one error anywhere, and nothing of it is evaluated (§4.6).

Records are kept by their text, so that a usual one is read once; what a stranger can make us keep is bounded by the two caches.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

from poterne.mailauth.spf import macro
from poterne.mailauth.spf.macro import DomainSpec
from poterne.mailauth.spf.outcome import Reason, Result

RECORD_BYTES_MOST: Final = 8192
"""RFC 7208 §3.4 wants less than 450; the longest that are really in use list some hundred networks."""
_SMALL_BYTES: Final = 1024
_SMALL_KEPT: Final = 1024
_BIG_KEPT: Final = 64
_TERM_SHOWN: Final = 80

_VERSION: Final = b"v=spf1"
_VISIBLE: Final = re.compile(rb"[ -~]*")
_MODIFIER: Final = re.compile(r"([A-Za-z][A-Za-z0-9._-]*)=(.*)")
_DIRECTIVE: Final = re.compile(r"([+?~-]?)([A-Za-z][A-Za-z0-9]*)(.*)")
_LENGTH: Final = r"0|[1-9][0-9]{0,2}"
_WITH_LENGTHS: Final = re.compile(rf"(.*?)(?:/({_LENGTH}))?(?://({_LENGTH}))?")
_WITH_LENGTH: Final = re.compile(rf":([^/]*)(?:/({_LENGTH}))?")
_IP4: Final = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}")
_IP6: Final = re.compile(r"[0-9A-Fa-f:.]{2,45}")


class Mechanism(Enum):
    """RFC 7208 §5; the value is its word."""

    ALL = "all"
    INCLUDE = "include"
    A = "a"
    MX = "mx"
    PTR = "ptr"
    IP4 = "ip4"
    IP6 = "ip6"
    EXISTS = "exists"


_RESULTS: Final = {"": Result.PASS, "+": Result.PASS, "-": Result.FAIL, "~": Result.SOFTFAIL, "?": Result.NEUTRAL}
_MECHANISMS: Final = {mechanism.value: mechanism for mechanism in Mechanism}


@dataclass(frozen=True, slots=True)
class Directive:
    """A mechanism, and what it says when it matches."""

    mechanism: Mechanism
    result: Result
    text: str
    """As published."""
    domain: DomainSpec | None = None
    """None: the domain whose record it is."""
    version: int = 0
    """Of ip4 and ip6: 4 and 6; else 0."""
    network: int = 0
    host_bits_4: int = 0
    """Bits of an IPv4 address that don't count."""
    host_bits_6: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """Correct, and without what never has an effect: terms behind `all`, a redirect beside it, unknown modifiers."""

    directives: tuple[Directive, ...]
    redirect: DomainSpec | None = None
    redirect_text: str = ""
    explanation: DomainSpec | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """No record that can be used, and why. `term`: printable ASCII, shortened."""

    reason: Reason
    term: str = ""


class _SyntaxError(Exception):
    """Stops reading; never leaves this module."""


def select(texts: Iterable[bytes]) -> list[bytes]:
    """Those of a domain's TXT records that are SPF records (RFC 7208 §4.5); more than one is an error of theirs."""
    return [text for text in texts if text[:6].lower() == _VERSION and text[6:7] in {b"", b" "}]


def read(text: bytes) -> Record | Malformed:
    """The record that a TXT record is (its strings joined, RFC 7208 §3.3). Never raises."""
    return _read_small(text) if len(text) <= _SMALL_BYTES else _read_big(text)


@lru_cache(maxsize=_SMALL_KEPT)
def _read_small(text: bytes) -> Record | Malformed:
    return _read(text)


@lru_cache(maxsize=_BIG_KEPT)
def _read_big(text: bytes) -> Record | Malformed:
    return _read(text) if len(text) <= RECORD_BYTES_MOST else Malformed(Reason.TOO_LONG)


def _read(text: bytes) -> Record | Malformed:
    if not _VISIBLE.fullmatch(text) or not select((text,)):
        return Malformed(Reason.SYNTAX, _shown(text.decode("latin-1")))
    directives: list[Directive] = []
    modifiers: dict[str, tuple[str, DomainSpec]] = {}
    closed = False
    for term in text[6:].decode("ascii").split(" "):
        if not term:
            continue
        try:
            modifier = _MODIFIER.fullmatch(term)
            if modifier is not None:
                _add_modifier(modifiers, modifier[1].lower(), term, modifier[2])
                continue
            directive = _directive(term)
        except _SyntaxError:
            return Malformed(Reason.SYNTAX, _shown(term))
        if not closed:  # RFC 7208 §5.1: the others must be correct, and are ignored
            directives.append(directive)
            closed = directive.mechanism is Mechanism.ALL
    redirect_text, redirect = modifiers.get("redirect", ("", None))
    if closed:
        redirect_text, redirect = "", None
    return Record(tuple(directives), redirect, redirect_text, modifiers.get("exp", ("", None))[1])


def _add_modifier(modifiers: dict[str, tuple[str, DomainSpec]], word: str, term: str, value: str) -> None:
    if word not in {"redirect", "exp"}:
        if macro.read(value) is None:
            raise _SyntaxError
        return
    if word in modifiers:  # RFC 7208 §6
        raise _SyntaxError
    modifiers[word] = term, _domain(value)


def _directive(term: str) -> Directive:
    found = _DIRECTIVE.fullmatch(term)
    mechanism = found and _MECHANISMS.get(found[2].lower())
    if found is None or mechanism is None:
        raise _SyntaxError
    result, rest = _RESULTS[found[1]], found[3]
    match mechanism:
        case Mechanism.ALL:
            if rest:
                raise _SyntaxError
            return Directive(mechanism, result, term)
        case Mechanism.INCLUDE | Mechanism.EXISTS:
            if rest[:1] != ":":
                raise _SyntaxError
            return Directive(mechanism, result, term, _domain(rest[1:]))
        case Mechanism.PTR:
            if rest and rest[0] != ":":
                raise _SyntaxError
            return Directive(mechanism, result, term, _domain(rest[1:]) if rest else None)
        case Mechanism.A | Mechanism.MX:
            return _addresses(mechanism, result, term, rest)
        case Mechanism.IP4 | Mechanism.IP6:
            return _network(mechanism, result, term, rest)


def _addresses(mechanism: Mechanism, result: Result, term: str, rest: str) -> Directive:
    found = _WITH_LENGTHS.fullmatch(rest)
    if found is None:
        raise _SyntaxError
    before, length_4, length_6 = found.groups()
    if before and before[0] != ":":
        raise _SyntaxError
    domain = _domain(before[1:]) if before else None
    return Directive(mechanism, result, term, domain, 0, 0, _host_bits(length_4, 32), _host_bits(length_6, 128))


def _network(mechanism: Mechanism, result: Result, term: str, rest: str) -> Directive:
    found = _WITH_LENGTH.fullmatch(rest)
    if found is None:
        raise _SyntaxError
    text, length = found.groups()
    if mechanism is Mechanism.IP4:
        if _IP4.fullmatch(text) is None:
            raise _SyntaxError
        return Directive(mechanism, result, term, None, 4, int(ipaddress.IPv4Address(text)), _host_bits(length, 32))
    if _IP6.fullmatch(text) is None:
        raise _SyntaxError
    try:
        number = int(ipaddress.IPv6Address(text))
    except ValueError:
        raise _SyntaxError from None
    return Directive(mechanism, result, term, None, 6, number, 0, _host_bits(length, 128))


def _host_bits(length: str | None, bits: int) -> int:
    if length is None:
        return 0
    if int(length) > bits:
        raise _SyntaxError
    return bits - int(length)


def _domain(text: str) -> DomainSpec:
    found = macro.read_domain(text)
    if found is None:
        raise _SyntaxError
    return found


def _shown(term: str) -> str:
    shown = macro.one_line(term[: _TERM_SHOWN + 1])
    return shown if len(shown) <= _TERM_SHOWN else shown[: _TERM_SHOWN - 3] + "..."
