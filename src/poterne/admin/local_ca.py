"""The instance's own certificate authority: encrypted from the first minute, before any public certificate exists.

The CA's key stays in the instance's folder, readable by its user only. It may issue no further CAs.
"""

import datetime as dt
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS = 3650
LEAF_DAYS = 397
RENEW_BEFORE_DAYS = 30


@dataclass(frozen=True, slots=True)
class Issued:
    """Where the files of a certificate are: PEM chain and PEM key, and the CA that clients must trust."""

    chain: Path
    key: Path
    ca: Path


class DamagedError(Exception):
    """The CA's own files can't be used; the text says what to do."""


def ensure(folder: Path, names: Sequence[str], now: dt.datetime) -> Issued:
    """A valid certificate for `names` (host names or IP addresses) from the CA in `folder`; both are made where missing.

    Renewed when it has less than 30 days left or the names changed. The CA itself is made anew when a certificate would
    outlive it. Raises OSError when the folder can't be written, DamagedError when the CA's files can't be read.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    issued = Issued(folder / "server.pem", folder / "server.key", folder / "ca.pem")
    if not (issued.ca.exists() and (folder / "ca.key").exists()):
        _make_ca(folder, now)
    if not _still_good(issued, names, now):
        ca, key = _ca(folder)
        if ca.not_valid_after_utc < now + dt.timedelta(days=LEAF_DAYS):
            _make_ca(folder, now)
            ca, key = _ca(folder)
        _issue(issued, ca, key, names, now)
    return issued


def _ca(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    damaged = DamagedError(
        "the local CA (ca.pem, ca.key) is damaged: get both files from a backup, or remove both and a new CA is made, "
        "which clients have to trust anew"
    )
    try:
        ca = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
        key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    except (ValueError, TypeError):
        raise damaged from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != ca.public_key():
        raise damaged
    return ca, key


def _write(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all: a crash never leaves half a key."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _make_ca(folder: Path, now: dt.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Poterne local CA {now:%Y-%m-%d}")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(folder / "ca.key", _pem_key(key), 0o600)
    _write(folder / "ca.pem", certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _issue(
    issued: Issued, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, names: Sequence[str], now: dt.datetime
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=LEAF_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    _write(issued.key, _pem_key(key), 0o600)
    _write(issued.chain, pem + issued.ca.read_bytes(), 0o644)


def _still_good(issued: Issued, names: Sequence[str], now: dt.datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(issued.chain.read_bytes())
        key = serialization.load_pem_private_key(issued.key.read_bytes(), None)
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        ca = x509.load_pem_x509_certificate(issued.ca.read_bytes())
        certificate.verify_directly_issued_by(ca)
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound, x509.InvalidVersion):
        return False
    pair = key.public_key() == certificate.public_key()
    fresh = certificate.not_valid_after_utc - now > dt.timedelta(days=RENEW_BEFORE_DAYS)
    return pair and fresh and set(alternatives) == {_alternative(name) for name in names}
