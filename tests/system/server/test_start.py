"""Starting: what goes wrong is said in words with a remedy; what goes right takes place without root."""

import datetime as dt
import os
import poplib
import pwd
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from poterne.admin import local_ca
from tests.support.server import ADDRESS, DOMAIN, PASSWORD, WAIT_S, Instance, letter, wait_for

ALICE = f"alice@{DOMAIN}"
ROOT = os.geteuid() == 0
NOBODY = "nobody"


def refusal(own: Instance, status: int, *options: str) -> str:
    """What the server says when it does not start."""
    own.spawn(*options)
    assert own.wait() == status, own.log.read_text()
    return own.log.read_text()


def test_bad_settings_are_all_told_with_status_78(own: Instance) -> None:
    own.rewrite("workers = 2", "wrokers = 2\nlanguage = 3")
    said = refusal(own, 78)
    assert 'server.wrokers: unknown setting\n    → did you mean "workers"?' in said
    assert "server.language: is a whole number, not a string" in said
    assert f"{own.settings}:" in said


def test_a_missing_file_names_the_remedy(own: Instance) -> None:
    own.settings = own.folder / "none.toml"
    assert "does not exist\n    → make an instance with: poterne setup DOMAIN" in refusal(own, 78)


def test_a_taken_port_is_told(own: Instance) -> None:
    with socket.create_server((ADDRESS, own.ports["imaps"])):
        said = refusal(own, 70)
    assert (
        f"[listener.imaps] can't listen on {ADDRESS} port {own.ports['imaps']}: the port is taken. Stop the program"
        in said
    )


def test_an_address_of_another_machine_is_told(own: Instance) -> None:
    own.rewrite('addresses = ["127.0.0.1"]', 'addresses = ["192.0.2.1"]')
    own.process = subprocess.Popen(
        [sys.executable, "-m", "poterne", "-c", str(own.settings), "serve"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    _, said = own.process.communicate(timeout=WAIT_S)
    assert own.process.returncode == 70
    wanted = "there is no system user" if ROOT else "this machine has no such address"
    assert wanted in said.decode()
    if ROOT:
        assert "--keep-root is for loopback and high ports only" in refusal(own, 70)


def test_a_second_server_on_the_same_folder_is_refused(own: Instance) -> None:
    own.start()
    second = subprocess.run(
        [sys.executable, "-m", "poterne", "-c", str(own.settings), "serve", "--keep-root"],
        capture_output=True,
        timeout=WAIT_S,
        check=False,
    )
    assert second.returncode == 70
    assert f"another server is running on {own.folder}/data: stop it first" in second.stderr.decode()
    own.deliver()


def test_certificates_that_cannot_be_used_are_told(own: Instance) -> None:
    text = own.settings.read_text()
    own.settings.write_text(text + '[certificate.public]\nchain = "chain.pem"\nkey = "key.pem"\n')
    assert "chain.pem: No such file or directory" in refusal(own, 70)
    shutil.copy(own.folder / "data/tls/server.pem", own.folder / "chain.pem")
    shutil.copy(own.folder / "data/tls/ca.key", own.folder / "key.pem")
    assert "the key does not belong to the certificate" in refusal(own, 70)
    shutil.copy(own.folder / "data/tls/server.key", own.folder / "key.pem")
    own.log.unlink()
    own.start()
    own.deliver()


def test_a_damaged_local_ca_is_told_by_the_steward(own: Instance) -> None:
    (own.folder / "data/tls/ca.key").write_text("damaged")
    (own.folder / "data/tls/server.pem").unlink()
    assert "the local CA (ca.pem, ca.key) is damaged" in refusal(own, 70)


def test_a_damaged_database_is_told(own: Instance) -> None:
    for path in (own.folder / "data").glob("poterne.db*"):
        path.unlink()
    (own.folder / "data/poterne.db").write_bytes(b"this is no database" * 1000)
    assert "process.failed" in refusal(own, 70)
    assert "poterne.db" in own.events("process.failed")[0]["problem"]


def test_the_metrics_port_may_be_taken_for_a_while(own: Instance) -> None:
    with socket.create_server((ADDRESS, own.metrics_port)):
        own.start()
        assert own.wait_event("metrics.off")["port"] == own.metrics_port
    wait_for(lambda: _page(own), timeout_s=10)
    assert "poterne_queued_recipients" in own.metrics()


def _page(own: Instance) -> bool:
    try:
        return bool(own.metrics())
    except OSError:
        return False


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_both_event_loops_serve(tmp_path: Path, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    own = Instance(tmp_path / "instance", chosen={"server": {"loop": loop, "workers": 1}})
    own.start()
    try:
        own.deliver(letter(ALICE, "over both"))
        with own.smtp("submission") as client:
            client.login(ALICE, PASSWORD)
            client.sendmail(ALICE, [ALICE], f"From: {ALICE}\r\nSubject: x\r\n\r\nx\r\n")
        imap = own.imap()
        assert imap.select("INBOX")[1] == [b"2"]
        imap.logout()
        pop = poplib.POP3_SSL(ADDRESS, own.ports["pop3s"], context=own.context(), timeout=20)
        pop.user(ALICE)
        pop.pass_(PASSWORD)
        assert pop.stat()[0] == 2
        pop.quit()
    finally:
        assert own.stop() == 0
    assert not own.events("bug")
    assert not own.events("library")


def test_several_certificates_are_chosen_by_name_and_tls_13_can_be_required(tmp_path: Path) -> None:
    own = Instance(tmp_path / "instance")
    text = own.settings.read_text()
    for name in ("one", "two"):
        local_ca.ensure(own.folder / name, [f"mail.{name}.test"], dt.datetime.now(dt.UTC))
        text += f'[certificate.{name}]\nchain = "{name}/server.pem"\nkey = "{name}/server.key"\n'
    own.settings.write_text(text.replace('# minimum_version = "1.2"', 'minimum_version = "1.3"'))
    own.start()
    try:
        for name in ("one", "two"):
            context = ssl.create_default_context(cafile=str(own.folder / name / "ca.pem"))
            with (
                socket.create_connection((ADDRESS, own.ports["imaps"]), timeout=10) as plain,
                context.wrap_socket(plain, server_hostname=f"mail.{name}.test") as tls,
            ):
                assert tls.version() == "TLSv1.3"
        old = ssl._create_unverified_context()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection((ADDRESS, own.ports["imaps"]), timeout=10) as plain, pytest.raises(ssl.SSLError):
            old.wrap_socket(plain)
    finally:
        own.stop()


# -- root --------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not ROOT, reason="only root can give up root")
def test_root_without_a_user_is_refused(own: Instance) -> None:
    own.rewrite('# user = ""', 'user = "no-such-user-here"')
    own.process = subprocess.Popen(
        [sys.executable, "-m", "poterne", "-c", str(own.settings), "serve"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    _, said = own.process.communicate(timeout=WAIT_S)
    assert own.process.returncode == 70
    assert 'there is no system user "no-such-user-here" to become' in said.decode()
    assert "useradd --system" in said.decode()


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that every user can enter, which pytest's is not."""
    folder = Path("/var/tmp") / f"poterne-test-{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir()
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.skipif(not ROOT, reason="only root can give up root")
def test_root_is_given_up_for_good(reachable: Path) -> None:
    nobody = pwd.getpwnam(NOBODY)
    own = Instance(reachable / "instance", chosen={"server": {"user": NOBODY, "drain_s": 1}})
    command = [sys.executable, "-m", "poterne", "-c", str(own.settings), "serve"]
    refused = subprocess.run(command, capture_output=True, timeout=WAIT_S, check=False)
    assert refused.returncode == 70
    assert f"does not belong to nobody: chown -R nobody: {own.folder}/data" in refused.stderr.decode()
    for path in (own.folder / "data", *(own.folder / "data").rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    with own.log.open("ab") as log:
        own.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        own.wait_event("server.ready")
        for pid in (own.pid, *own.children()):
            status = dict(
                line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
            )
            assert set(status["Uid"].split()) == {str(nobody.pw_uid)}
            assert set(status["Gid"].split()) == {str(nobody.pw_gid)}
            assert set(map(int, status["Groups"].split())) <= set(os.getgrouplist(NOBODY, nobody.pw_gid))
            assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
            assert status["NoNewPrivs"] == "1"
        own.deliver()
        assert {p.stat().st_uid for p in (own.folder / "data").rglob("*")} == {nobody.pw_uid}
        own.poterne("account", "add", f"root-made@{DOMAIN}")  # by root, who becomes the owner of the data
        assert {p.stat().st_uid for p in (own.folder / "data").rglob("*")} == {nobody.pw_uid}
        assert not [
            p
            for p in (own.folder / "data").rglob("*")
            if p.is_file() and "metrics" in p.parts and p.stat().st_mode & 0o077
        ]
    finally:
        own.process.send_signal(signal.SIGTERM)
        assert own.wait() == 0


def gone(pid: int) -> None:
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), 5)


def test_stopping_right_after_the_start_leaves_nothing_behind(own: Instance) -> None:
    for pause in (0.0, 0.3, 0.6):
        own.spawn()
        time.sleep(pause)
        children = own.children()
        own.signal(signal.SIGTERM)
        assert own.wait() in {0, -signal.SIGTERM}
        for child in children:
            gone(child)
    own.start()
    with smtplib.SMTP(ADDRESS, own.ports["mx"], timeout=10) as client:
        assert client.noop()[0] == 250
