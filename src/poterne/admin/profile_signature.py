"""Signs configuration profiles with the server's own certificate, so that devices show who made them (CMS, RFC 5652).

Only a certificate of the settings signs: what the local CA vouches for, no device knows. Without one that is for the host, or
when its files can't be read now, a profile stays unsigned, which devices say and accept.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs7

from poterne.mailauth.dane.verify import covers, dns_names
from poterne.net.tls import CertificateFiles

_PEM_MOST: Final = 256 * 1024

_Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@final
class ProfileSigner:
    """Reads the files again when they changed."""

    def __init__(self, host: str, files: Sequence[CertificateFiles]) -> None:
        self._host: Final = host
        self._files: Final = tuple(files)
        self._seen: tuple[int, ...] | None = None
        self._pair: tuple[list[x509.Certificate], _Key] | None = None

    @property
    def signs(self) -> bool:
        """Is there a certificate for it now?"""
        self._refresh()
        return self._pair is not None

    def __call__(self, profile: bytes) -> bytes:
        """The profile inside its signature (DER), or as it is."""
        self._refresh()
        if self._pair is None:
            return profile
        (leaf, *more), key = self._pair
        builder = pkcs7.PKCS7SignatureBuilder().set_data(profile).add_signer(leaf, key, hashes.SHA256())
        for certificate in more:
            builder = builder.add_certificate(certificate)
        return builder.sign(Encoding.DER, [pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCapabilities])

    def _refresh(self) -> None:
        try:
            seen = tuple(path.stat().st_mtime_ns for pair in self._files for path in (pair.chain, pair.key))
        except OSError:
            return  # being replaced: what was read counts
        if seen != self._seen:
            self._seen = seen
            self._pair = next(filter(None, (_pair(files, self._host) for files in self._files)), None)


def _pair(files: CertificateFiles, host: str) -> tuple[list[x509.Certificate], _Key] | None:
    try:
        chain = x509.load_pem_x509_certificates(_read(files.chain))
        if not covers(dns_names(chain[0]), host):
            return None
        key = load_pem_private_key(_read(files.key), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) or key.public_key() != chain[0].public_key():
        return None
    return chain, key


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_PEM_MOST)
