"""Certificates of the lab's remote organisations: good ones, and ones that are not.

Their authority is kept, so that a second lab in the same folder does not take it away from the first; they are new each time.
"""

import datetime as dt
import hashlib
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CA_FILE: Final = "ca.pem"
CA_DAYS: Final = 3_650
DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Credential:
    """What a server shows. `tlsa`: the data of a record `3 1 1` for it (RFC 6698, RFC 7671 §5.1)."""

    context: ssl.SSLContext
    tlsa: str


@final
class Authority:
    """Its certificate is in `file`; whoever trusts that trusts the lab's remote organisations, and nobody else."""

    def __init__(self, folder: Path, now: dt.datetime) -> None:
        """Raises OSError."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.file: Final = folder / CA_FILE
        self._key_file: Final = folder / "ca.key"
        self._leaf: Final = folder / f"leaf-{os.getpid()}.pem"
        self._now: Final = now
        self._name: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Poterne lab: remote organisations")])
        self._key: Final = self._kept() or self._made()

    def _kept(self) -> ec.EllipticCurvePrivateKey | None:
        """None when it is missing, damaged, or about to expire."""
        try:
            key = serialization.load_pem_private_key(self._key_file.read_bytes(), None)
            certificate = x509.load_pem_x509_certificate(self.file.read_bytes())
        except (FileNotFoundError, ValueError, TypeError):
            return None
        good = certificate.not_valid_after_utc > self._now + dt.timedelta(days=DAYS)
        same = isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == certificate.public_key()
        return key if good and same and isinstance(key, ec.EllipticCurvePrivateKey) else None

    def _made(self) -> ec.EllipticCurvePrivateKey:
        key = ec.generate_private_key(ec.SECP256R1())
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        certificate = (
            self._builder(self._name, key.public_key(), self._now + dt.timedelta(days=CA_DAYS))
            .add_extension(constraints, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(MAY_SIGN, critical=True)
            .sign(key, hashes.SHA256())
        )
        _write_private(self._key_file, _pem(key))
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return key

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, until: dt.datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - dt.timedelta(days=DAYS))
            .not_valid_after(until)
        )

    def issue(self, names: Sequence[str], *, expired: bool = False) -> Credential:
        """For these host names; `expired`: since yesterday. Raises OSError."""
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key()
        until = self._now + dt.timedelta(days=-1 if expired else DAYS)
        certificate = (
            self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]), public, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem = _pem(key) + certificate.public_bytes(serialization.Encoding.PEM)
        spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return Credential(self._context(pem), f"3 1 1 {hashlib.sha256(spki).hexdigest()}")

    def _context(self, pem: bytes) -> ssl.SSLContext:
        """By way of a file: the standard library reads keys from nothing else."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            _write_private(self._leaf, pem)
            context.load_cert_chain(self._leaf)
        finally:
            self._leaf.unlink(missing_ok=True)
        return context


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_private(path: Path, pem: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(pem)


MAY_SIGN: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
