"""A DKIM-Signature field, meticulously (RFC 6376 §3.5, §6.1.1): any doubt, and it is no signature.

Names come out as A-labels in lower case and nothing else: what a signer writes in d= and s= is asked of DNS and is written into
Authentication-Results, so that a NUL, a quote or a parenthesis in it would speak for somebody else.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from poterne.mailauth.dkim import tags
from poterne.mailauth.dkim.canonical import Canonical
from poterne.mailauth.dkim.outcome import Reason
from poterne.mailauth.dkim.record import KeyType
from poterne.values.address import AddressError, domain_name

VALUE_BYTES_MOST: Final = 16 * 1024
"""Of a field. An honest one has 0.5 to 1 KiB; with z= some."""
FIELDS_MOST: Final = 256
"""In h=."""
_REQUIRED: Final = (b"a", b"b", b"bh", b"d", b"h", b"s")
_TYPES: Final = {kind.algorithm.encode(): kind for kind in KeyType}
_FORMS: Final = {form.value.encode(): form for form in Canonical}
_SELECTOR: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")
"""Underscores are no part of RFC 6376's grammar, but of the selectors of many."""
_FIELD_NAME: Final = re.compile(rb"[!-9;-~]+")
_B_TAG: Final = re.compile(rb";[ \t\r\n]*b[ \t\r\n]*=")
_B_FIRST: Final = re.compile(rb"[ \t\r\n]*b[ \t\r\n]*=")
_LOCAL_PART: Final = re.compile(
    r"""(?:[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.\u0080-\U0010ffff-]|"(?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*")*+"""
)
_NAME_MOST: Final = 253
_LABEL_MOST: Final = 63
_DIGEST_BYTES: Final = 32
_USUAL_BYTES: Final = 512
_KEPT: Final = 512
"""What the same signer says again and again is read once: its h= up to _USUAL_BYTES, its names."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a signer says; nothing of it is proven."""

    type: KeyType
    header_form: Canonical
    body_form: Canonical
    domain: str
    selector: str
    identity: str
    body_hash: bytes
    signature: bytes
    fields: tuple[bytes, ...]
    """h=, in lower case, in its order."""
    length: int | None
    """l=: octets of the canonical body."""
    signed_s: int | None
    expires_s: int | None

    @property
    def key_name(self) -> str:
        """Where its key is (RFC 6376 §3.6.2.1)."""
        return key_name(self.selector, self.domain)

    @property
    def identity_domain(self) -> str:
        return self.identity.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """No signature, and why; with the names that could be read before that."""

    reason: Reason
    domain: str = ""
    selector: str = ""


class _ReadError(Exception):
    """Stops reading; never leaves this module."""

    def __init__(self, reason: Reason) -> None:
        self.reason: Final = reason


def key_name(selector: str, domain: str) -> str:
    return f"{selector}._domainkey.{domain}"


def unsigned(value: bytes) -> bytes:
    """The field's value as it is hashed: what b= says, with all white space around it, is cut out (RFC 6376 §3.7)."""
    found = _B_FIRST.match(value) or _B_TAG.search(value)
    if found is None:
        return value
    end = value.find(b";", found.end())
    return value[: found.end()] + (value[end:] if end >= 0 else b"")


def parse(value: bytes) -> Signature | Unreadable:
    """The signature that a field's value says, folds and last CRLF included. Never raises; time grows with the length only."""
    if len(value) > VALUE_BYTES_MOST:
        return Unreadable(Reason.TOO_LONG)
    found = tags.read(value.removesuffix(b"\r\n"))
    if found is None:
        return Unreadable(Reason.SYNTAX)
    version = found.get(b"v")
    if version is None:
        return Unreadable(Reason.MISSING_TAG)
    if version != b"1":
        return Unreadable(Reason.VERSION if version.isdigit() else Reason.SYNTAX)
    return from_tags(found)


def from_tags(found: dict[bytes, bytes]) -> Signature | Unreadable:
    """The signature that the tags say, whatever they say of the version (RFC 8617 has signatures without). Never raises."""
    domain = selector = ""
    try:
        domain = _domain(found.get(b"d"))
        selector = _selector(found.get(b"s"), domain)
        return _signature(found, domain, selector)
    except _ReadError as error:
        return Unreadable(error.reason, domain, selector)


def _signature(found: dict[bytes, bytes], domain: str, selector: str) -> Signature:
    if not all(name in found for name in _REQUIRED):
        raise _ReadError(Reason.MISSING_TAG)
    kind = _TYPES.get(found[b"a"])
    if kind is None:
        raise _ReadError(Reason.SHA1 if found[b"a"] == b"rsa-sha1" else Reason.ALGORITHM)
    header_form, body_form = _forms(found.get(b"c", b"simple"))
    if b"q" in found and b"dns/txt" not in tags.words(found[b"q"]):
        raise _ReadError(Reason.QUERY)
    signature, body_hash = tags.base64(found[b"b"]), tags.base64(found[b"bh"])
    if not signature or body_hash is None or len(body_hash) != _DIGEST_BYTES:
        raise _ReadError(Reason.SYNTAX)
    signed_s, expires_s = _number(found, b"t", 12), _number(found, b"x", 12)
    if signed_s is not None and expires_s is not None and expires_s <= signed_s:
        raise _ReadError(Reason.SYNTAX)
    return Signature(
        kind, header_form, body_form, domain, selector, _identity(found.get(b"i"), domain), body_hash, signature,
        _fields(found[b"h"]), _number(found, b"l", 76), signed_s, expires_s,
    )  # fmt: skip


def _number(found: dict[bytes, bytes], tag: bytes, most_digits: int) -> int | None:
    if tag not in found:
        return None
    number = tags.number(found[tag], most_digits)
    if number is None:
        raise _ReadError(Reason.SYNTAX)
    return number


def _text(value: bytes, reason: Reason) -> str:
    """U-labels and local parts are UTF-8 (RFC 8616 §5)."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise _ReadError(reason) from None


def _name(text: str, reason: Reason) -> str:
    try:
        return domain_name(text)
    except AddressError:
        raise _ReadError(reason) from None


def _domain(value: bytes | None) -> str:
    if value is None:
        raise _ReadError(Reason.MISSING_TAG)
    return _usual_domain(value) if len(value) <= _NAME_MOST else _read_domain(value)


def _read_domain(value: bytes) -> str:
    name = _name(_text(value, Reason.DOMAIN), Reason.DOMAIN)
    if "." not in name:  # a top-level domain signs for nobody (RFC 6376 §3.5 wants two labels)
        raise _ReadError(Reason.DOMAIN)
    return name


_usual_domain: Final = lru_cache(maxsize=_KEPT)(_read_domain)


def _selector(value: bytes | None, domain: str) -> str:
    if value is None:
        raise _ReadError(Reason.MISSING_TAG)
    return _usual_selector(value, domain) if len(value) <= _NAME_MOST else _read_selector(value, domain)


def _read_selector(value: bytes, domain: str) -> str:
    text = _text(value, Reason.SELECTOR)
    name = text.lower() if text.isascii() else _name(text, Reason.SELECTOR)
    if len(key_name(name, domain)) > _NAME_MOST or _SELECTOR.fullmatch(name) is None:
        raise _ReadError(Reason.SELECTOR)
    if len(name) > _LABEL_MOST and max(map(len, name.split("."))) > _LABEL_MOST:
        raise _ReadError(Reason.SELECTOR)
    return name


_usual_selector: Final = lru_cache(maxsize=_KEPT)(_read_selector)


def _forms(value: bytes) -> tuple[Canonical, Canonical]:
    header, slash, body = value.partition(b"/")
    forms = _FORMS.get(header), _FORMS.get(body if slash else b"simple")
    if forms[0] is None or forms[1] is None:
        raise _ReadError(Reason.CANONICALIZATION)
    return forms[0], forms[1]


def _identity(value: bytes | None, domain: str) -> str:
    if value is None:
        return "@" + domain
    decoded = tags.quoted_printable(value)
    if decoded is None:
        raise _ReadError(Reason.IDENTITY)
    local_part, at, name = _text(decoded, Reason.IDENTITY).rpartition("@")
    if not at or _LOCAL_PART.fullmatch(local_part) is None or not local_part.isprintable():
        raise _ReadError(Reason.IDENTITY)
    name = _name(name, Reason.IDENTITY)
    if name != domain and not name.endswith("." + domain):
        raise _ReadError(Reason.IDENTITY_DOMAIN)
    return f"{local_part}@{name}"


def _fields(value: bytes) -> tuple[bytes, ...]:
    names = _usual_names(value) if len(value) <= _USUAL_BYTES else _names(value)
    if isinstance(names, Reason):
        raise _ReadError(names)
    return names


def _names(value: bytes) -> tuple[bytes, ...] | Reason:
    names = tuple(tags.words(value.lower()))
    if len(names) > FIELDS_MOST:
        return Reason.TOO_LONG
    if any(_FIELD_NAME.fullmatch(name) is None for name in names):
        return Reason.SYNTAX
    return names if b"from" in names else Reason.FROM_UNSIGNED


_usual_names: Final = lru_cache(maxsize=_KEPT)(_names)
