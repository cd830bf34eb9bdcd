"""Profiles are signed with the certificate for the server's name, as it is now."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from poterne.admin.profile_signature import ProfileSigner
from poterne.net.tls import CertificateFiles
from tests.support.outbound import Authority

HOST = "mail.d.test"
PROFILE = b"<?xml version='1.0'?>\r\n<plist>\xc3\xa9\n</plist>\n"


def pair(folder: Path, name: str) -> CertificateFiles:
    return CertificateFiles(folder / f"{name}2.pem", folder / f"{name}2.pem")


def test_the_signature_holds(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    for name in ("other.test", HOST):
        authority.context(name)
    signer = ProfileSigner(HOST, [pair(tmp_path, "other.test"), pair(tmp_path, HOST)])
    assert signer.signs
    signed = signer(PROFILE)
    assert PROFILE in signed
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    file = tmp_path / "signed"
    file.write_bytes(signed)
    command = [
        "openssl",
        "cms",
        "-verify",
        "-binary",
        "-inform",
        "DER",
        "-in",
        str(file),
        "-CAfile",
        str(authority.file),
        "-purpose",
        "any",
    ]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == PROFILE


def test_a_new_certificate_is_taken_when_it_comes(tmp_path: Path) -> None:
    authority, files = Authority(tmp_path), pair(tmp_path, HOST)
    signer = ProfileSigner(HOST, [files])
    assert signer(PROFILE) == PROFILE  # there is none yet
    authority.context(HOST)
    first = signer(PROFILE)
    assert first != PROFILE
    authority.context(HOST)
    os.utime(files.chain, ns=(1, 1))
    assert signer(PROFILE)[:200] != first[:200]  # another serial number
    files.chain.unlink()
    assert signer(PROFILE) != PROFILE  # it is being replaced: the earlier one counts
    files.chain.write_text("nothing")
    assert signer(PROFILE) == PROFILE


def test_what_does_not_sign(tmp_path: Path) -> None:
    assert not ProfileSigner(HOST, []).signs
    Authority(tmp_path).context(HOST)
    assert not ProfileSigner("mail.e.test", [pair(tmp_path, HOST)]).signs
    for name, key in (("ed", ed25519.Ed25519PrivateKey.generate()), ("rsa", rsa.generate_private_key(65537, 2048))):
        file = tmp_path / name
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        assert not ProfileSigner(
            HOST, [CertificateFiles(pair(tmp_path, HOST).chain, file)]
        ).signs  # of another certificate
