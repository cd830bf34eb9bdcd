"""What the way to another mail server must be, on whose word, and how that went: what DANE, MTA-STS and reports share."""

from dataclasses import dataclass
from enum import Enum


class TlsDemand(Enum):
    """What the way to the next server must be; the value is the stable word."""

    OPPORTUNISTIC = "opportunistic"
    """STARTTLS when offered, whoever answers (RFC 7435); else, or when the handshake fails, cleartext."""
    REQUIRED = "required"
    """Encrypted or nothing, whoever answers."""
    VERIFIED = "verified"
    """Encrypted, with a certificate for one of `Hop.names` from the system's roots or from `Hop.ca_file`; or nothing."""
    DANE = "dane"
    """Encrypted, with a certificate that the TLSA records name (RFC 7672); or nothing."""


class PolicyKind(Enum):
    """RFC 8460 §4.4, policy-type."""

    TLSA = "tlsa"
    STS = "sts"
    NONE = "no-policy-found"


@dataclass(frozen=True, slots=True)
class AppliedPolicy:
    """The policy that a session went by, as it stands in a report (RFC 8460 §4.4)."""

    kind: PolicyKind
    domain: str
    """The recipient's domain; of DANE the TLSA base domain (RFC 8460 §1.1)."""
    strings: tuple[str, ...] = ()
    """TLSA records in presentation format, or the lines of an MTA-STS policy (RFC 8460 §4.5)."""
    mx: tuple[str, ...] = ()
    """The patterns of an MTA-STS policy."""


class TlsResult(Enum):
    """RFC 8460 §4.3: what was wrong."""

    STARTTLS_NOT_SUPPORTED = "starttls-not-supported"
    HOST_MISMATCH = "certificate-host-mismatch"
    EXPIRED = "certificate-expired"
    NOT_TRUSTED = "certificate-not-trusted"
    VALIDATION_FAILURE = "validation-failure"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    DANE_REQUIRED = "dane-required"
    STS_FETCH_ERROR = "sts-policy-fetch-error"
    STS_INVALID = "sts-policy-invalid"
    STS_WEBPKI_INVALID = "sts-webpki-invalid"


@dataclass(frozen=True, slots=True)
class TlsFailure:
    """One reason why a session failed its policy. Names and addresses may be empty: nobody was connected to."""

    result: TlsResult
    reason: str = ""
    """A short code or OpenSSL's words."""
    mx: str = ""
    address: str = ""
    source: str = ""
    """Our address."""


@dataclass(frozen=True, slots=True)
class TlsCount:
    """Sessions of one UTC day (days since 1970) with the servers of one domain, under one policy."""

    day: int
    domain: str
    """The recipient's: who asks for the report."""
    policy: AppliedPolicy
    succeeded: int = 0
    failed: int = 0
    failures: tuple[tuple[TlsFailure, int], ...] = ()


@dataclass(frozen=True, slots=True)
class KeptPolicy:
    """An MTA-STS policy as it was fetched (RFC 8461 §3.3). Times are Unix seconds."""

    domain: str
    id: str
    text: bytes
    fetched_at: int
    expires_at: int
    checked_at: int
    """When somebody last tried to fetch it anew."""
