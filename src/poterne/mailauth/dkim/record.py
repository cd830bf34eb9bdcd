"""The key in DNS (RFC 6376 §3.6.1, RFC 8463 §4.2), read once and kept by its text."""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from poterne.mailauth.dkim import tags
from poterne.mailauth.dkim.outcome import Reason

RECORD_BYTES_MOST: Final = 4096
"""A key of 8192 bits needs 1.5 KiB."""
RSA_BITS_LEAST: Final = 1024
RSA_BITS_MOST: Final = 8192
"""RFC 8301 §3.2 asks for 4096; one with 8192 bits takes 0.5 ms to verify, and from there it grows with the square."""
_EXPONENT_BITS_MOST: Final = 64
"""A long exponent makes verifying as slow as signing."""
_KEPT: Final = 1024


class KeyType(Enum):
    """The value is the word of k= and the first of a=."""

    RSA = "rsa"
    ED25519 = "ed25519"

    @property
    def algorithm(self) -> str:
        return f"{self.value}-sha256"


@dataclass(frozen=True, slots=True)
class Key:
    """A key that may verify signatures of its type with SHA-256 on mail."""

    type: KeyType
    public: RSAPublicKey | Ed25519PublicKey
    bits: int
    testing: bool
    """t=y: not to be treated other than no signature (RFC 6376 §3.6.1)."""
    strict: bool
    """t=s: i= must have the domain d= itself."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """A record that gives no key, and why."""

    reason: Reason
    bits: int = 0
    testing: bool = False


@lru_cache(maxsize=_KEPT)
def read(record: bytes) -> Key | Unusable:
    """The key that a TXT record gives, or why it gives none. Never raises.

    Tags that nobody knows, `n` and the historic `g` are passed over. Records of other kinds are KEY_SYNTAX.
    """
    if len(record) > RECORD_BYTES_MOST or not record.isascii():
        return Unusable(Reason.KEY_SYNTAX)
    found = tags.read(record)
    if found is None or b"p" not in found:
        return Unusable(Reason.KEY_SYNTAX)
    if b"v" in found and (next(iter(found)) != b"v" or found[b"v"] != b"DKIM1"):
        return Unusable(Reason.KEY_SYNTAX)
    flags = tags.words(found.get(b"t", b""))
    testing = b"y" in flags
    reason = _purpose(found)
    if reason is not None:
        return Unusable(reason, testing=testing)
    data = tags.base64(found[b"p"])
    if data is None:
        return Unusable(Reason.KEY_SYNTAX, testing=testing)
    if found.get(b"k", b"rsa") == b"rsa":
        return _rsa(data, testing=testing, strict=b"s" in flags)
    return _ed25519(data, testing=testing, strict=b"s" in flags)


def _purpose(found: dict[bytes, bytes]) -> Reason | None:
    """Why the key is not for us, in the order of RFC 6376 §6.1.2."""
    if b"h" in found and b"sha256" not in tags.words(found[b"h"]):
        return Reason.KEY_HASH
    if b"s" in found and not {b"*", b"email"}.intersection(tags.words(found[b"s"])):
        return Reason.KEY_SERVICE
    if found.get(b"k", b"rsa") not in {b"rsa", b"ed25519"}:
        return Reason.KEY_TYPE
    return None if found[b"p"] else Reason.KEY_REVOKED


def _rsa(data: bytes, *, testing: bool, strict: bool) -> Key | Unusable:
    """Of a SubjectPublicKeyInfo, as everybody publishes, or the RSAPublicKey that RFC 6376 names (erratum 3017)."""
    try:
        public = load_der_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        return Unusable(Reason.KEY_SYNTAX, testing=testing)
    if not isinstance(public, RSAPublicKey):
        return Unusable(Reason.KEY_TYPE, testing=testing)
    bits = public.key_size
    if bits < RSA_BITS_LEAST:
        return Unusable(Reason.KEY_SMALL, bits, testing)
    if bits > RSA_BITS_MOST or public.public_numbers().e.bit_length() > _EXPONENT_BITS_MOST:
        return Unusable(Reason.KEY_BIG, bits, testing)
    return Key(KeyType.RSA, public, bits, testing, strict)


def _ed25519(data: bytes, *, testing: bool, strict: bool) -> Key | Unusable:
    try:
        public = Ed25519PublicKey.from_public_bytes(data)
    except (ValueError, UnsupportedAlgorithm):
        return Unusable(Reason.KEY_SYNTAX, testing=testing)
    return Key(KeyType.ED25519, public, 256, testing, strict)
