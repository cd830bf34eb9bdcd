"""Which certificate files the listeners use: those of the settings, else the one of the instance's own local CA."""

import datetime as dt
from pathlib import Path

from poterne.admin import local_ca
from poterne.admin.instance import TLS, certificate_names
from poterne.config.settings import Settings
from poterne.net.tls import CertificateFiles


def files(config: Path, data: Path, settings: Settings) -> list[CertificateFiles]:
    """Chain and key of each certificate; paths in the settings are relative to the settings file."""
    if settings.certificate:
        folder = config.parent
        return [CertificateFiles(folder / c.chain, folder / c.key) for c in settings.certificate.values()]
    return [CertificateFiles(data / TLS / "server.pem", data / TLS / "server.key")]


def renew_local(data: Path, settings: Settings, now: dt.datetime) -> bool:
    """Make or renew the local CA's certificate where it is the one in use; True when the file changed. Raises OSError."""
    if settings.certificate:
        return False
    chain = data / TLS / "server.pem"
    before = chain.read_bytes() if chain.exists() else b""
    local_ca.ensure(data / TLS, certificate_names(settings.server.hostname), now)
    return chain.read_bytes() != before
