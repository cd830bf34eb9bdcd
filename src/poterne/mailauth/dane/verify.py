"""Is the server that answers the one that the TLSA records name?

Theory of operation. DANE-EE(3) compares the server's own certificate, or its key, and nothing else: names and dates are not
looked at (RFC 7672 §3.1.1). DANE-TA(2) looks for an authority among the certificates that the server presented that a record
names, and for a way from the server's certificate to it: each certificate signed by the next, all valid now, each issuer
allowed to issue, and the server's certificate for one of the reference names (§3.2.2). What an issuer restricts and we can't
judge (name constraints of other kinds, unknown critical extensions) is a failure: never is something taken for proven
because it was not understood.

All of it is bounded: at most PRESENTED_MOST certificates, ways of at most DEPTH_MOST steps, SIGNATURES_MOST signatures.
"""

import datetime as dt
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256, sha512
from typing import Final, final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from poterne.mailauth.dane.records import CERTIFICATE, DANE_EE, DANE_TA, FULL, SHA256
from poterne.values.dns import Tlsa

PRESENTED_MOST: Final = 10
DEPTH_MOST: Final = 8
SIGNATURES_MOST: Final = 40
_WEAK: Final = frozenset({"md5", "sha1"})
_UNDERSTOOD: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
    }
)
"""Critical extensions that are judged here, or that restrict nothing that we ask for."""


class Verdict(Enum):
    """The value is the stable word."""

    MATCH = "match"
    MISMATCH = "tlsa-mismatch"
    """No record names what was presented."""
    NAME = "name"
    """An authority that a record names vouches for it, but for another name."""
    EXPIRED = "expired"
    """The same, and a certificate on the way is not valid now."""
    UNREADABLE = "unreadable"
    """There was no certificate, or not one that can be read."""


@dataclass(frozen=True, slots=True)
class _Certificate:
    der: bytes
    parsed: x509.Certificate
    key: bytes


def verify(records: Sequence[Tlsa], chain: Sequence[bytes], names: Sequence[str], now: dt.datetime) -> Verdict:
    """Hold the presented chain (DER, the server's certificate first) against usable records. Never raises.

    `names`: reference identifiers for DANE-TA, the TLSA base domain and the next-hop domain. `now` has a time zone.
    """
    if not chain:
        return Verdict.UNREADABLE
    with warnings.catch_warnings():  # the library warns of odd certificates; each is a stranger's, and judged here
        warnings.simplefilter("ignore")
        return _verify(records, chain, names, now)


def _verify(records: Sequence[Tlsa], chain: Sequence[bytes], names: Sequence[str], now: dt.datetime) -> Verdict:
    key = _key(chain[0])
    if any(record.usage == DANE_EE and _matches(record, chain[0], key) for record in records):
        return Verdict.MATCH
    if not key:
        return Verdict.UNREADABLE
    anchors = [record for record in records if record.usage == DANE_TA]
    leaf = _read(chain[0])
    if not anchors or leaf is None:
        return Verdict.MISMATCH
    # A record may hold the authority itself.
    in_dns = [one.data for one in anchors if one.selector == CERTIFICATE and one.matching == FULL]
    others = [found for der in (*chain[1:PRESENTED_MOST], *in_dns) if (found := _read(der)) is not None]
    return _Search(anchors, others, now).verdict(leaf, names)


_UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def _key(der: bytes) -> bytes:
    """The certificate's key (SubjectPublicKeyInfo); b"" when it can't be read."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except _UNREADABLE:
        return b""


def _read(der: bytes) -> _Certificate | None:
    """All that is looked at later is parsed here, for the library does it late, and raises then."""
    try:
        parsed = x509.load_der_x509_certificate(der)
        _ = parsed.issuer, parsed.subject, parsed.not_valid_before_utc, parsed.not_valid_after_utc
        _ = list(parsed.extensions), parsed.signature_hash_algorithm
    except _UNREADABLE:
        return None
    key = _key(der)
    return _Certificate(der, parsed, key) if key else None


def _matches(record: Tlsa, der: bytes, key: bytes) -> bool:
    data = der if record.selector == CERTIFICATE else key
    if not data:
        return False
    if record.matching == FULL:
        return data == record.data
    digest = sha256(data) if record.matching == SHA256 else sha512(data)
    return digest.digest() == record.data


@final
class _Search:
    """For a way from the server's certificate to an authority that a record names."""

    def __init__(self, anchors: Sequence[Tlsa], pool: Sequence[_Certificate], now: dt.datetime) -> None:
        self._anchors = anchors
        self._pool = pool
        self._now = now
        self._signatures = 0
        self._worst = Verdict.MISMATCH

    def verdict(self, leaf: _Certificate, names: Sequence[str]) -> Verdict:
        if not _for_servers(leaf.parsed) or not _understood(leaf.parsed):
            return Verdict.MISMATCH
        return self._from([leaf], names)

    def _from(self, way: list[_Certificate], names: Sequence[str]) -> Verdict:
        last = way[-1]
        for issuer in self._pool:
            if issuer in way or len(way) > DEPTH_MOST or not self._issued(last, issuer):
                continue
            longer = [*way, issuer]
            if not _may_issue(issuer.parsed, below=len(way) - 1):
                continue
            if any(_matches(record, issuer.der, issuer.key) for record in self._anchors):
                found = self._judged(longer, names)
                if found is Verdict.MATCH:
                    return found
                self._worst = found
            if self._from(longer, names) is Verdict.MATCH:
                return Verdict.MATCH
        return self._worst

    def _issued(self, certificate: _Certificate, issuer: _Certificate) -> bool:
        if certificate.parsed.issuer != issuer.parsed.subject or self._signatures >= SIGNATURES_MOST:
            return False
        self._signatures += 1
        try:
            algorithm = certificate.parsed.signature_hash_algorithm
            if algorithm is not None and algorithm.name in _WEAK:
                return False
            certificate.parsed.verify_directly_issued_by(issuer.parsed)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            return False
        return True

    def _judged(self, way: Sequence[_Certificate], names: Sequence[str]) -> Verdict:
        leaf = way[0].parsed
        covered = dns_names(leaf)
        if not all(_constraints_allow(issuer.parsed, leaf, covered) for issuer in way[1:]):
            return Verdict.MISMATCH
        if not any(covers(covered, name) for name in names):
            return Verdict.NAME
        for each in way:
            if not each.parsed.not_valid_before_utc <= self._now <= each.parsed.not_valid_after_utc:
                return Verdict.EXPIRED
        return Verdict.MATCH


# -- what a certificate says -------------------------------------------------------------------------------------------


def dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names that it is for: subjectAltName only (RFC 9525 §6.3)."""
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(name.lower().rstrip(".") for name in alternative.get_values_for_type(x509.DNSName))


def covers(patterns: Sequence[str], name: str) -> bool:
    """A wildcard is the whole left-most label, stands for one label, and not right under a top-level domain."""
    wanted = name.lower().rstrip(".")
    _, _, parent = wanted.partition(".")
    return wanted in patterns or ("." in parent and f"*.{parent}" in patterns)


def _understood(certificate: x509.Certificate) -> bool:
    return all(not extension.critical or extension.oid in _UNDERSTOOD for extension in certificate.extensions)


def _for_servers(certificate: x509.Certificate) -> bool:
    try:
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.SERVER_AUTH in uses or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in uses


def _may_issue(certificate: x509.Certificate, *, below: int) -> bool:
    """RFC 5280 §4.2.1.9, §4.2.1.3. `below`: certificates of issuers between it and the server's."""
    extensions = certificate.extensions
    try:
        basic = extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    if not basic.ca or (basic.path_length is not None and basic.path_length < below):
        return False
    try:
        if not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign:
            return False
    except x509.ExtensionNotFound:
        pass
    return _understood(certificate) and _for_servers(certificate)


def _constraints_allow(issuer: x509.Certificate, leaf: x509.Certificate, covered: Sequence[str]) -> bool:
    """RFC 5280 §4.2.1.10 for DNS names; constraints of the subject's own name are refused when it has one."""
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return True
    permitted, excluded = constraints.permitted_subtrees or [], constraints.excluded_subtrees or []
    if any(isinstance(name, x509.DirectoryName) for name in (*permitted, *excluded)) and list(leaf.subject):
        return False
    inside = [name.value for name in permitted if isinstance(name, x509.DNSName)]
    outside = [name.value for name in excluded if isinstance(name, x509.DNSName)]
    return all((not inside or _under(name, inside)) and not _touches(name, outside) for name in covered)


def _under(name: str, subtrees: Sequence[str]) -> bool:
    bare = name.removeprefix("*.")
    return any(_is_below(bare, subtree.lower().strip(".")) for subtree in subtrees)


def _touches(name: str, subtrees: Sequence[str]) -> bool:
    """Is the name in one of them; or, of a wildcard, could it stand for a name in one?"""
    bare = name.removeprefix("*.")
    for subtree in subtrees:
        tree = subtree.lower().strip(".")
        if _is_below(bare, tree) or (name != bare and tree.partition(".")[2] == bare):
            return True
    return False


def _is_below(name: str, tree: str) -> bool:
    return not tree or name == tree or name.endswith("." + tree)
