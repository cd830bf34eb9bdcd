"""Debian's Exim sends to us, with CHUNKING (BDAT), which it prefers where it is offered."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.peer_server import DOMAIN, HOST, PeerServer, run
from tests.support.peer_tools import NewAccount, awkward_letters, letter

_UNPACKED = "/usr/local/lib/poterne-peers/exim/usr/sbin/exim4"
"""Where .ci/peers puts it beside Postfix, which excludes its package."""
EXIM = shutil.which("exim4") or (_UNPACKED if Path(_UNPACKED).exists() else None)

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(EXIM is None, reason="exim4 is not installed (see .ci/peers)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Exim takes a configuration of one's own from root only"),
]

CONFIGURATION = """\
exim_path = {exim}
primary_hostname = sender.elsewhere.test
spool_directory = {folder}/spool
log_file_path = {folder}/log/%s
log_selector = +smtp_confirmation +tls_cipher +tls_certificate_verified
keep_environment =
smtputf8_advertise_hosts =
begin routers
all:
  driver = manualroute
  route_list = * {host}
  self = send
  transport = out
begin transports
out:
  driver = smtp
  port = {port}
  hosts_require_tls = *
  tls_verify_certificates = {folder}/ca.pem
  tls_verify_hosts = *
  tls_verify_cert_hostnames = :
"""


class Exim:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, sender: str, recipients: list[str], message: bytes) -> str:
        """Send it now; what Exim logged."""
        log = self._folder / "log" / "main"
        before = len(log.read_bytes()) if log.exists() else 0
        command = [str(EXIM), "-C", str(self._folder / "exim.conf"), "-odf", "-i", "-f", sender, *recipients]
        run(*command, given=message.replace(b"\r\n", b"\n"))
        return log.read_bytes()[before:].decode(errors="replace")


@pytest.fixture(scope="module")
def sender(server: PeerServer) -> Iterator[Exim]:
    folder = Path(tempfile.mkdtemp(prefix="poterne-exim-"))
    try:
        folder.chmod(0o755)
        for each in ("spool", "log"):
            (folder / each).mkdir()
            shutil.chown(folder / each, "Debian-exim", "Debian-exim")
        (folder / "ca.pem").write_bytes(server.ca.read_bytes())
        text = CONFIGURATION.format(exim=EXIM, folder=folder, host=HOST, port=server.ports["mx"])
        (folder / "exim.conf").write_text(text)
        yield Exim(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("name", [*awkward_letters()])
def test_bytes_are_kept(server: PeerServer, account: str, sender: Exim, name: str) -> None:
    wanted = awkward_letters()[name]
    said = sender.send("carol@elsewhere.test", [account], wanted)
    assert re.search(r' => .* X=TLS1\.3:\S+ CV=yes K C="250 2\.0\.0 Accepted as \w+"', said), said
    (found,) = server.store.messages(account)
    received, _, rest = found.sent.partition(b"\r\nDate: ")
    assert received.startswith(b"Received: from root by sender.elsewhere.test with local (Exim")
    assert b"Date: " + rest == wanted


def test_several_recipients_one_unknown(server: PeerServer, new_account: NewAccount, sender: Exim) -> None:
    ada, bob = new_account("ada"), new_account("bob")
    said = sender.send("carol@elsewhere.test", [ada, f"nobody@{DOMAIN}", bob], letter("to all"))
    assert len(server.store.messages(ada)) == len(server.store.messages(bob)) == 1
    assert re.search(rf"\*\* nobody@{DOMAIN} .*: 550 5\.1\.1 No such recipient here: check the address", said), said


def test_many_chunks(server: PeerServer, account: str, sender: Exim) -> None:
    message = letter("many chunks", b"".join(b"%07d %s\r\n" % (n, b"." * (n % 60)) for n in range(15_000)))
    sender.send("carol@elsewhere.test", [account], message)
    (found,) = server.store.messages(account)
    assert found.sent.endswith(message.partition(b"\r\nTo:")[2])
