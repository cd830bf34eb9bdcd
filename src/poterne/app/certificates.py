"""Which certificate files the listeners use: those of the settings, else the one of the instance's own local CA."""

import datetime as dt
from pathlib import Path

from cryptography import x509

from poterne.admin import local_ca
from poterne.admin.instance import TLS, certificate_names
from poterne.admin.profile_signature import ProfileSigner
from poterne.config import offered
from poterne.config.settings import Settings
from poterne.net.tls import CertificateError, CertificateFiles, Certificates


def files(config: Path, data: Path, settings: Settings) -> list[CertificateFiles]:
    """Chain and key of each certificate, with the names that it is for (clients choose by SNI); the first is the default.

    Paths in the settings are relative to the settings file. Raises CertificateError for a file that can't be read.
    """
    if not settings.certificate:
        return [CertificateFiles(data / TLS / "server.pem", data / TLS / "server.key")]
    pairs = [(config.parent / c.chain, config.parent / c.key) for c in settings.certificate.values()]
    if len(pairs) == 1:
        return [CertificateFiles(*pairs[0])]
    return [CertificateFiles(chain, key, _names(chain)) for chain, key in pairs]


def public_chains(config: Path, settings: Settings) -> list[Path]:
    """The chains of the certificates that the settings name: what others can be told of. The local CA's changes by itself."""
    return [config.parent / one.chain for one in settings.certificate.values()]


def profile_signer(config: Path, settings: Settings) -> ProfileSigner:
    """Signs with the certificate of the settings that is for the name that mail programs connect to, where there is one."""
    pairs = [CertificateFiles(config.parent / c.chain, config.parent / c.key) for c in settings.certificate.values()]
    return ProfileSigner(offered.hostname(settings), pairs)


def _names(chain: Path) -> tuple[str, ...]:
    try:
        leaf = x509.load_pem_x509_certificate(chain.read_bytes())
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except OSError as error:
        raise CertificateError(chain, error.strerror or "can't be read") from None
    except (ValueError, x509.ExtensionNotFound):
        raise CertificateError(chain, "is no PEM certificate with the names that it is for") from None
    return tuple(sorted(name.lower() for name in names.get_values_for_type(x509.DNSName)))


def require_usable(config: Path, data: Path, settings: Settings) -> None:
    """Raises CertificateError unless all files named in the settings can be used. The local CA's are made where missing."""
    if settings.certificate:
        Certificates(files(config, data, settings), ["check"])


def renew_local(data: Path, settings: Settings, now: dt.datetime) -> bool:
    """Make or renew the local CA's certificate where it is the one in use; True when the file changed.

    Raises OSError, and CertificateError when the CA itself is damaged.
    """
    if settings.certificate:
        return False
    chain = data / TLS / "server.pem"
    before = chain.read_bytes() if chain.exists() else b""
    try:
        local_ca.ensure(data / TLS, certificate_names(settings.server.hostname), now)
    except local_ca.DamagedError as error:
        raise CertificateError(data / TLS, str(error)) from None
    return chain.read_bytes() != before
