"""What became of one signature, in the words of RFC 8601 §2.7.1."""

import base64
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Result(Enum):
    """The value is the word of Authentication-Results. A message without signature has `none`, which is nobody's outcome."""

    PASS = "pass"  # noqa: S105  (the word of RFC 8601)
    FAIL = "fail"
    """The signature can be accepted as such, and does not match the message."""
    POLICY = "policy"
    """There is something about it that we don't accept, be it correct or not."""
    NEUTRAL = "neutral"
    """It can't be read, or needs what we don't know."""
    TEMPERROR = "temperror"
    """Its key can't be had now. Never to be taken for any of the others."""
    PERMERROR = "permerror"


class Reason(Enum):
    """Why; the value is the stable word."""

    VERIFIED = "verified"
    BODY_HASH = "body-hash"
    """The body is not the one that was signed."""
    BODY_SHORT = "body-short"
    """There is less body than l= says (RFC 6376 §3.5)."""
    SIGNATURE = "signature"
    """The signed fields are not those that were signed, or another key signed."""
    UNSIGNED_BODY = "unsigned-body"
    """Correct, but there is more body than l= covers: anybody may have added it (RFC 6376 §8.2)."""
    LENGTH = "length"
    """Correct, and l= covers all of the body; but whoever signs so lets others add to it, on the way or to this very message."""
    DUPLICATE_FIELD = "duplicate-field"
    """Correct, but a field that may stand once stands again unsigned: readers may see that one (RFC 6376 §8.15)."""
    SHA1 = "sha1"
    """RFC 8301 §3.1."""
    KEY_SMALL = "key-small"
    """RSA below 1024 bits (RFC 8301 §3.2)."""
    KEY_BIG = "key-big"
    """An RSA key that costs more than we give to a stranger."""
    EXPIRED = "expired"
    FUTURE = "future"
    """Signed later than now, beyond what clocks err."""
    SYNTAX = "syntax"
    TOO_LONG = "too-long"
    MISSING_TAG = "missing-tag"
    VERSION = "version"
    ALGORITHM = "algorithm"
    CANONICALIZATION = "canonicalization"
    QUERY = "query"
    """No q= method that we know."""
    DOMAIN = "domain"
    """d= is no domain name of two labels or more."""
    SELECTOR = "selector"
    """s= is no DNS name."""
    IDENTITY = "identity"
    """i= is no address."""
    IDENTITY_DOMAIN = "identity-domain"
    """i= is not within d= (RFC 6376 §6.1.1), or not d= itself where the key demands that (t=s)."""
    FROM_UNSIGNED = "from-unsigned"
    NO_KEY = "no-key"
    KEY_SYNTAX = "key-syntax"
    KEY_REVOKED = "key-revoked"
    KEY_TYPE = "key-type"
    """The key is of another type than the signature, or one that we don't know."""
    KEY_HASH = "key-hash"
    """The key is not to be used with SHA-256."""
    KEY_SERVICE = "key-service"
    """The key is not for mail."""
    KEY_UNAVAILABLE = "key-unavailable"

    __hash__ = object.__hash__  # each is one object; the hash of an Enum takes as long as a look into ten tables

    @property
    def result(self) -> Result:
        return _RESULTS[self]


_BY_RESULT: Final = {
    Result.PASS: (Reason.VERIFIED,),
    Result.FAIL: (Reason.BODY_HASH, Reason.BODY_SHORT, Reason.SIGNATURE),
    Result.POLICY: (
        Reason.UNSIGNED_BODY, Reason.LENGTH, Reason.DUPLICATE_FIELD, Reason.SHA1, Reason.KEY_SMALL, Reason.KEY_BIG,
        Reason.EXPIRED, Reason.FUTURE,
    ),
    Result.NEUTRAL: (
        Reason.SYNTAX, Reason.TOO_LONG, Reason.VERSION, Reason.ALGORITHM, Reason.CANONICALIZATION, Reason.QUERY,
    ),
    Result.TEMPERROR: (Reason.KEY_UNAVAILABLE,),
    Result.PERMERROR: (
        Reason.MISSING_TAG, Reason.DOMAIN, Reason.SELECTOR, Reason.IDENTITY, Reason.IDENTITY_DOMAIN, Reason.FROM_UNSIGNED,
        Reason.NO_KEY, Reason.KEY_SYNTAX, Reason.KEY_REVOKED, Reason.KEY_TYPE, Reason.KEY_HASH, Reason.KEY_SERVICE,
    ),
}  # fmt: skip
_RESULTS: Final = {reason: result for result, reasons in _BY_RESULT.items() for reason in reasons}
_WEAK_BELOW_BITS: Final = 2048


@dataclass(frozen=True, slots=True)
class Outcome:
    """One signature. Its names were checked: they are A-labels in lower case, or empty when they could not be read."""

    reason: Reason
    domain: str = ""
    """d=, the only name that a pass proves anything about."""
    selector: str = ""
    identity: str = ""
    """i=, or "@" and d=. Its local part is whatever the signer wrote: without controls, but not to be trusted."""
    algorithm: str = ""
    """`rsa-sha256` or `ed25519-sha256`."""
    signature: bytes = b""
    """b=, decoded. The same again is the same message again (RFC 6376 §8.6)."""
    key_bits: int = 0
    """0: the key was not read."""
    testing: bool = False
    """The key says t=y."""
    signed_s: int | None = None
    expires_s: int | None = None
    unsigned_body_bytes: int = 0
    """Of the canonical body, behind l=."""
    unsigned: tuple[str, ...] = ()
    """Fields that readers see or that say how to read, which are there and which it does not cover, in lower case."""
    extendable: tuple[str, ...] = ()
    """Such fields that somebody may add one of without breaking the signature: they are not oversigned (RFC 6376 §8.15)."""

    @property
    def result(self) -> Result:
        return self.reason.result

    @property
    def authenticates(self) -> bool:
        """The domain answers for all of this message, and means it: t=y is as good as unsigned (RFC 6376 §3.6.1)."""
        return self.reason is Reason.VERIFIED and not self.testing

    @property
    def weak(self) -> bool:
        """The key is accepted, but shorter than RFC 8301 §3.2 wants."""
        return self.algorithm == "rsa-sha256" and 0 < self.key_bits < _WEAK_BELOW_BITS

    @property
    def header_b(self) -> str:
        """What tells it from the others of a message (header.b of RFC 6008)."""
        return base64.b64encode(self.signature[:6]).decode("ascii")
