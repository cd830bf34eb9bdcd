"""A private Postfix that only sends, everything to one port: own configuration, queue and log in a scratch folder."""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.peer_server import HOST, HOSTNAME, PeerServer, run
from tests.support.peer_tools import wait_until

BINARY: Final = Path("/usr/sbin/postfix")
_MASTER_BINARY: Final = "/usr/lib/postfix/sbin/master"
_MAIN: Final = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
maillog_file_prefixes = {folder}
maillog_file = {folder}/log
myhostname = sender.elsewhere.test
myorigin = elsewhere.test
mydestination =
inet_interfaces = {host}
inet_protocols = ipv4
relayhost = [{host}]:{port}
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level = secure
smtp_tls_secure_cert_match = {hostname}
smtp_tls_CAfile = {ca}
smtp_tls_loglevel = 1
smtp_tls_session_cache_database =
alias_maps =
alias_database =
smtputf8_enable = yes
in_flow_delay = 0
queue_run_delay = 5s
biff = no
"""
_LMTP: Final = """\
relayhost =
default_transport = lmtp:inet:{host}:{port}
lmtp_tls_security_level = secure
lmtp_tls_secure_cert_match = {hostname}
lmtp_tls_CAfile = {ca}
lmtp_tls_loglevel = 1
"""
_MASTER: Final = """\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp -v
lmtp unix - - n - - lmtp -v
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
_DONE_LIMIT_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Postfix:
    """A running sender."""

    folder: Path

    def send(self, sender: str, recipients: Sequence[str], message: bytes, *options: str) -> str:
        """Queue it with sendmail and wait until Postfix is done with it; what it logged meanwhile."""
        log = self.folder / "log"
        before = len(log.read_bytes())
        command = ["/usr/sbin/sendmail", "-C", str(self.folder / "etc"), "-i", "-f", sender, *options, *recipients]
        run(*command, given=message.replace(b"\r\n", b"\n"), environment={"MAIL_CONFIG": str(self.folder / "etc")})
        deadline = time.monotonic() + _DONE_LIMIT_S
        while True:
            said = log.read_bytes()[before:].decode(errors="replace")
            # Its own queue id: notices of what was sent before may still be under way.
            mine = re.search(r"pickup\[\d+\]: (\w+): uid=", said)
            if mine is not None and re.search(rf"{mine[1]}: (removed|.*status=deferred)", said):
                return said
            assert time.monotonic() < deadline, f"not sent in {_DONE_LIMIT_S} s:\n{said}"
            time.sleep(0.05)


@contextmanager
def postfix(server: PeerServer, *, lmtp: bool = False) -> Iterator[Postfix]:
    """Runs until the context ends; `lmtp`: it delivers, to what it takes for our mailbox server. Needs root, as Postfix does; its folder is where the account "postfix" gets in."""
    folder = Path(tempfile.mkdtemp(prefix="poterne-postfix-"))
    folder.chmod(0o711)
    try:
        yield from _run(folder, server, lmtp=lmtp)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, server: PeerServer, *, lmtp: bool) -> Iterator[Postfix]:
    for each in ("etc", "queue", "data"):
        (folder / each).mkdir()
    os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
    ca = folder / "ca.pem"
    ca.write_bytes(server.ca.read_bytes())
    text = _MAIN.format(folder=folder, host=HOST, port=server.ports["mx"], ca=ca, hostname=HOSTNAME)
    if lmtp:
        text += _LMTP.format(host=HOST, port=server.ports["lmtp"], ca=ca, hostname=HOSTNAME)
    (folder / "etc" / "main.cf").write_text(text)
    (folder / "etc" / "master.cf").write_text(_MASTER)
    (folder / "log").touch()
    run(BINARY, "-c", folder / "etc", "check")
    master = subprocess.Popen([_MASTER_BINARY, "-c", str(folder / "etc"), "-s"], stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: b"daemon started" in (folder / "log").read_bytes(), "Postfix")
        yield Postfix(folder)
    finally:
        master.terminate()
        master.wait(15)
