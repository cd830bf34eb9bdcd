from pathlib import Path

import pytest

from poterne.net.tls import CertificateFiles, Certificates
from tests.unit.net.toy import make_certificate


@pytest.fixture(scope="session")
def certificate_files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return make_certificate(tmp_path_factory.mktemp("certificates"), "mail.example.org")


@pytest.fixture
def certificates(certificate_files: CertificateFiles) -> Certificates:
    return Certificates([certificate_files], ["imap", "smtp"])


@pytest.fixture
def ca_file(certificate_files: CertificateFiles) -> Path:
    return certificate_files.chain
