"""A new instance: made whole or not at all; its local CA is renewed and never silently replaced."""

import datetime as dt
import os
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from poterne.admin import local_ca
from poterne.admin.instance import InstanceError, Plan, give_to, make, standard_listeners
from poterne.config.load import ConfigError, load

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
NAMES = ["mail.example.org", "localhost", "127.0.0.1", "::1"]


def serial(issued: local_ca.Issued) -> int:
    return x509.load_pem_x509_certificate(issued.chain.read_bytes()).serial_number


def test_an_instance_answers_on_loopback_only_and_its_files_are_its_own(tmp_path: Path) -> None:
    path = make(Plan(tmp_path / "mail", "mail.example.org"), NOW)
    settings = load(path)
    assert {n: (li.service, li.port, li.tls) for n, li in settings.listener.items()} == {
        "mx": ("mx", 25, "starttls"),
        "submission": ("submission", 587, "starttls"),
        "submissions": ("submission", 465, "implicit"),
        "imaps": ("imap", 993, "implicit"),
        "pop3s": ("pop3", 995, "implicit"),
    }
    assert all(li.addresses == ["127.0.0.1", "::1"] for li in settings.listener.values())
    assert stat.S_IMODE((path.parent / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) & 0o027 == 0
    for key in ("ca.key", "server.key"):
        assert stat.S_IMODE((path.parent / "data/tls" / key).stat().st_mode) == 0o600


def test_what_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a full host name"):
        make(Plan(tmp_path / "bad", "mail"), NOW)
    assert not (tmp_path / "bad").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(InstanceError, match=r"can't be written \(Not a directory\): choose another folder"):
        make(Plan(tmp_path / "file", "mail.example.org"), NOW)
    make(Plan(tmp_path / "mail", "mail.example.org", standard_listeners(offset=1000)), NOW)
    with pytest.raises(InstanceError, match="exists already: choose another folder, or edit that file"):
        make(Plan(tmp_path / "mail", "mail.example.org"), NOW)
    assert load(tmp_path / "mail/poterne.toml").listener["mx"].port == 1025


def test_the_certificate_is_renewed_in_time_and_for_new_names_only(tmp_path: Path) -> None:
    issued = local_ca.ensure(tmp_path, NAMES, NOW)
    first, ca = serial(issued), issued.ca.read_bytes()
    assert serial(local_ca.ensure(tmp_path, NAMES, NOW + dt.timedelta(days=366))) == first
    late = NOW + dt.timedelta(days=local_ca.LEAF_DAYS - local_ca.RENEW_BEFORE_DAYS + 1)
    second = serial(local_ca.ensure(tmp_path, NAMES, late))
    assert second != first
    assert serial(local_ca.ensure(tmp_path, ["other.example.org"], late)) != second
    assert issued.ca.read_bytes() == ca
    ssl.create_default_context(cafile=str(issued.ca)).load_cert_chain(issued.chain, issued.key)


def test_a_damaged_leaf_is_made_anew_and_a_damaged_ca_is_told(tmp_path: Path) -> None:
    issued = local_ca.ensure(tmp_path, NAMES, NOW)
    first = serial(issued)
    for path in (issued.chain, issued.key):
        path.write_text("damaged")
        local_ca.ensure(tmp_path, NAMES, NOW)
        assert serial(issued) != first
    for name in ("ca.key", "ca.pem"):
        good = (tmp_path / name).read_bytes()
        (tmp_path / name).write_text("damaged")
        issued.chain.unlink(missing_ok=True)
        with pytest.raises(local_ca.DamagedError, match="get both files from a backup"):
            local_ca.ensure(tmp_path, NAMES, NOW)
        (tmp_path / name).write_bytes(good)
    (tmp_path / "ca.key").write_bytes((tmp_path / "server.key").read_bytes())  # a key, but not the CA's
    with pytest.raises(local_ca.DamagedError):
        local_ca.ensure(tmp_path, NAMES, NOW)


def test_the_ca_is_replaced_before_a_certificate_would_outlive_it(tmp_path: Path) -> None:
    issued = local_ca.ensure(tmp_path, NAMES, NOW)
    ca = issued.ca.read_bytes()
    local_ca.ensure(tmp_path, NAMES, NOW + dt.timedelta(days=local_ca.CA_DAYS - 10))
    assert issued.ca.read_bytes() != ca
    assert x509.load_pem_x509_certificate(issued.ca.read_bytes()).not_valid_after_utc > NOW + dt.timedelta(days=4000)


def test_the_ca_may_sign_servers_and_nothing_more(tmp_path: Path) -> None:
    issued = local_ca.ensure(tmp_path, NAMES, NOW)
    ca = x509.load_pem_x509_certificate(issued.ca.read_bytes())
    leaf = x509.load_pem_x509_certificate(issued.chain.read_bytes())
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not leaf.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    assert leaf.not_valid_after_utc < ca.not_valid_after_utc
    assert os.access(issued.ca, os.R_OK)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755])
def test_the_servers_user_can_enter_what_root_made(tmp_path: Path, mode: int) -> None:
    """A restored folder was closed to it: the server did not start, nor did any command."""
    folder = tmp_path / "mail"
    folder.mkdir(mode=mode)
    folder.chmod(mode)
    path = make(Plan(folder, "mail.example.org"), NOW)
    give_to(folder, 65_534, 65_534)
    assert stat.S_IMODE(folder.stat().st_mode) == mode | 0o055
    assert folder.stat().st_uid == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert (folder / "data/tls/ca.key").stat().st_uid == 65_534
