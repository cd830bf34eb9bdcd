"""Our signing keys: made, read back, and what is published of them.

Two per domain: RSA of 2048 bits, which everybody verifies, and Ed25519 (RFC 8463). A selector names one key for ever; the next
key has another one (RFC 6376 §3.1). The only place here that draws randomness: the library does, when it makes a key.
"""

import base64
import datetime as dt
from collections.abc import Container
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from poterne.mailauth.dkim.parse import key_name
from poterne.mailauth.dkim.record import KeyType
from poterne.values.secret import Secret

RSA_BITS: Final = 2048
"""More does not fit where DNS goes over UDP, nor with many who verify."""
_RSA_BITS_MOST: Final = 4096
"""What all must verify (RFC 8301 §3.2)."""
_STRING_MOST: Final = 255
_PROBE: Final = b"probe"


class UnusableKeyError(ValueError):
    """A signing key can't be used. Its text is for the log and holds nothing of the key."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key and the name it is published under. `domain` and `selector` are A-labels in lower case."""

    domain: str
    selector: str
    private: RSAPrivateKey | Ed25519PrivateKey

    @property
    def type(self) -> KeyType:
        return KeyType.RSA if isinstance(self.private, RSAPrivateKey) else KeyType.ED25519

    @property
    def name(self) -> str:
        """The name of its TXT record."""
        return key_name(self.selector, self.domain)

    def __repr__(self) -> str:
        return f"SigningKey({self.name}, {self.type.value})"


def generate(kind: KeyType) -> Secret:
    """A new private key as PEM (PKCS #8). RSA takes some 100 ms of CPU."""
    private: RSAPrivateKey | Ed25519PrivateKey
    private = generate_private_key(65537, RSA_BITS) if kind is KeyType.RSA else Ed25519PrivateKey.generate()
    return Secret(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def load(pem: Secret, domain: str, selector: str) -> SigningKey:
    """The key that a PEM holds. Raises UnusableKeyError when it is none, is of another type, or is no key that all accept.

    That an RSA key is whole is seen from a signature that it makes, in a millisecond: to prove its primes takes a hundred times
    as long, and it was made here.
    """
    try:
        private = load_pem_private_key(pem.reveal(), password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKeyError("not a private key in PEM without a passphrase") from None
    if isinstance(private, RSAPrivateKey):
        if not RSA_BITS <= private.key_size <= _RSA_BITS_MOST:
            raise UnusableKeyError(f"an RSA key of {private.key_size} bits: it takes {RSA_BITS} to {_RSA_BITS_MOST}")
        if not _whole(private):
            raise UnusableKeyError("a damaged RSA key: what it signs does not verify")
    elif not isinstance(private, Ed25519PrivateKey):
        raise UnusableKeyError("neither an RSA nor an Ed25519 key")
    return SigningKey(domain, selector, private)


def _whole(private: RSAPrivateKey) -> bool:
    try:
        made = private.sign(_PROBE, PKCS1v15(), SHA256())
        private.public_key().verify(made, _PROBE, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def new_selector(kind: KeyType, unix_s: int, taken: Container[str] = ()) -> str:
    """A name that no key of the domain had, of the day and the type: `p20261122-rsa`, then `p20261122-rsa-2`.

    `taken`: all selectors that the domain ever had.
    """
    day = dt.datetime.fromtimestamp(unix_s, dt.UTC)
    first = selector = f"p{day:%Y%m%d}-{kind.value}"
    number = 1
    while selector in taken:
        number += 1
        selector = f"{first}-{number}"
    return selector


def record_text(key: SigningKey) -> str:
    """The TXT record to publish at `key.name`.

    With h=sha256, for nothing else is ever signed, and t=s, for each domain signs for itself only (RFC 6376 §3.6.1).
    """
    public = key.private.public_key()
    if isinstance(key.private, RSAPrivateKey):
        data = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        data = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"v=DKIM1; k={key.type.value}; h=sha256; t=s; p={base64.b64encode(data).decode('ascii')}"


def record_strings(text: str) -> tuple[str, ...]:
    """The text as the strings of a TXT record, 255 octets each at most (RFC 6376 §3.6.2.2, RFC 1035 §3.3)."""
    return tuple(text[at : at + _STRING_MOST] for at in range(0, len(text), _STRING_MOST))
