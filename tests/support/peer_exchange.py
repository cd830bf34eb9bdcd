"""Other people's mail servers with one domain each, that take mail for it and bring all other mail to us: Exim and Postfix.

Each believes this machine (what arrives from loopback may be relayed), speaks TLS both ways with a check of the certificate, and
offers all that it can: DSN, SMTPUTF8, 8BITMIME, CHUNKING. Mail is delivered into Maildirs of a scratch folder.
"""

import os
import pwd
import shutil
import smtplib
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.outbound import Authority
from tests.support.peer_postfix import BINARY as POSTFIX
from tests.support.peer_server import HOST, HOSTNAME, NAME, run
from tests.support.peer_tools import wait_until
from tests.support.server import free_port

_UNPACKED: Final = "/usr/local/lib/poterne-peers/exim/usr/sbin/exim4"
EXIM: Final = shutil.which("exim4") or (_UNPACKED if Path(_UNPACKED).exists() else None)
PEOPLE: Final = {"ann": "ann", "élodie": "elodie"}
"""Local parts and their folders."""
MOST_BYTES: Final = 40_000_000

_EXIM: Final = """\
exim_path = {exim}
primary_hostname = {name}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%s
log_selector = +smtp_confirmation +tls_cipher +tls_certificate_verified +received_recipients
pid_file_path = {folder}/pid
keep_environment =
never_users =
deliver_drop_privilege = true
daemon_smtp_ports = {port}
local_interfaces = {host}
tls_advertise_hosts = *
tls_certificate = {certificate}
tls_privatekey = {key}
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
chunking_advertise_hosts = *
message_size_limit = {most}
bounce_return_size_limit = 10K
acl_smtp_rcpt = rcpt
smtp_accept_max = 0
queue_run_max = 0
begin acl
rcpt:
  accept domains = {domain}
         verify = recipient
  deny   domains = {domain}
         message = no such person
  accept hosts = {host}
begin routers
here:
  driver = accept
  domains = {domain}
  condition = ${{if inlisti{{$local_part}}{{ann:élodie:root}}}}
  transport = maildir
elsewhere:
  driver = manualroute
  domains = ! {domain}
  route_list = * {host}
  self = send
  transport = out
begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = {folder}/mail/${{if eqi{{$local_part}}{{ann}}{{ann}}{{elodie}}}}
  user = Debian-exim
  group = Debian-exim
  create_directory
  delivery_date_add = false
  envelope_to_add = false
  return_path_add
out:
  driver = smtp
  port = {ours}
  hosts_require_tls = *
  tls_verify_certificates = {ca}
  tls_verify_hosts = *
  tls_verify_cert_hostnames = :
begin retry
* * F,1h,10m
"""
_POSTFIX: Final = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
maillog_file_prefixes = {folder}
maillog_file = {folder}/log
myhostname = {name}
myorigin = {domain}
mydestination =
mynetworks = {host}/32
inet_interfaces = {host}
inet_protocols = ipv4
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{ {{ann@{domain}=ann/}}, {{élodie@{domain}=elodie/}} }}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = {most}
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = reject_unlisted_recipient, permit
smtpd_tls_chain_files = {key}, {certificate}
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtpd_forbid_bare_newline = yes
smtputf8_enable = yes
strict_rfc821_envelopes = yes
relayhost = [{host}]:{ours}
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level = secure
smtp_tls_secure_cert_match = {hostname}
smtp_tls_CAfile = {ca}
smtp_tls_loglevel = 1
alias_maps =
alias_database =
in_flow_delay = 0
biff = no
"""
_MASTER: Final = """\
{host}:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
virtual unix - n n - - virtual
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True)
class Peer:
    """A running one."""

    kind: str
    folder: Path
    domain: str
    port: int
    ca: Path
    """Of its certificate, which is for `localhost`."""

    def address(self, local_part: str = "ann") -> str:
        return f"{local_part}@{self.domain}"

    def mails(self, local_part: str = "ann") -> list[bytes]:
        """What lies in a mailbox, oldest first, with CRLF line ends."""
        found = (self.folder / "mail" / PEOPLE[local_part] / "new").glob("*")
        return [each.read_bytes().replace(b"\n", b"\r\n") for each in sorted(found, key=_age)]

    def wait(self, count: int, local_part: str = "ann", limit_s: float = 15) -> bytes:
        """The newest, once there are so many."""
        wait_until(lambda: len(self.mails(local_part)) >= count, f"mail {count} of {local_part}:\n{self.log}", limit_s)
        return self.mails(local_part)[-1]

    @property
    def log(self) -> str:
        path = self.folder / "log" / "main" if self.kind == "exim" else self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def send(
        self, sender: str, to: Sequence[str], message: bytes, mail: Sequence[str] = (), rcpt: Sequence[str] = ()
    ) -> None:
        """Give it a message to deliver, over TLS; `mail` and `rcpt` are ESMTP parameters."""
        with smtplib.SMTP(NAME, self.port, timeout=30) as client:
            client.starttls(context=ssl.create_default_context(cafile=self.ca))
            assert client.sendmail(sender, to, message, mail, rcpt) == {}


def _age(path: Path) -> int:
    return path.stat().st_mtime_ns


@contextmanager
def exchange(kind: str, port: int, ours: int, ca: bytes) -> Iterator[Peer]:
    """ "exim" or "postfix" on that port; `ours`: our MX; `ca`: of our certificate. Needs root, as both do."""
    folder = Path(tempfile.mkdtemp(prefix=f"poterne-{kind}-both-"))
    folder.chmod(0o711)
    try:
        (folder / "tls").mkdir()
        authority = Authority(folder / "tls")
        authority.context(NAME)
        certificate, _, key = (folder / "tls" / f"{NAME}2.pem").read_text().partition("-----BEGIN PRIVATE")
        (folder / "chain.pem").write_text(certificate)
        (folder / "key.pem").write_text(f"-----BEGIN PRIVATE{key}")
        (folder / "ours.pem").write_bytes(ca)
        words = {
            "folder": folder, "host": HOST, "port": port, "ours": ours, "ca": folder / "ours.pem", "most": MOST_BYTES,
            "certificate": folder / "chain.pem", "key": folder / "key.pem", "hostname": HOSTNAME, "exim": EXIM,
            "domain": f"{kind}.test", "name": f"mx.{kind}.test",
        }  # fmt: skip
        peer = Peer(kind, folder, f"{kind}.test", port, authority.file)
        yield from (_exim if kind == "exim" else _postfix)(peer, words)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _exim(peer: Peer, words: dict[str, object]) -> Iterator[Peer]:
    for each in ("spool", "mail", "log"):
        (peer.folder / each).mkdir()
        shutil.chown(peer.folder / each, "Debian-exim", "Debian-exim")
    shutil.chown(peer.folder / "key.pem", "Debian-exim", "Debian-exim")
    configuration = peer.folder / "exim.conf"
    configuration.write_text(_EXIM.format(**words))
    daemon = subprocess.Popen(
        [str(EXIM), "-C", str(configuration), "-bdf", "-q1m"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: "daemon started" in peer.log, "Exim")
        yield peer
    finally:
        daemon.terminate()
        daemon.wait(15)


def _postfix(peer: Peer, words: dict[str, object]) -> Iterator[Peer]:
    for each in ("etc", "queue", "data", "mail"):
        (peer.folder / each).mkdir()
    os.chown(peer.folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
    os.chown(peer.folder / "mail", 65534, 65534)
    (peer.folder / "etc" / "main.cf").write_text(_POSTFIX.format(**words))
    (peer.folder / "etc" / "master.cf").write_text(_MASTER.format(**words))
    (peer.folder / "log").touch()
    run(POSTFIX, "-c", peer.folder / "etc", "check")
    master = subprocess.Popen(
        ["/usr/lib/postfix/sbin/master", "-c", str(peer.folder / "etc"), "-s"], stdin=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: "daemon started" in peer.log, "Postfix")
        yield peer
    finally:
        master.terminate()
        master.wait(15)


__all__ = ["EXIM", "POSTFIX", "Peer", "exchange", "free_port"]
