"""A private Postfix as an organisation has it: mailboxes of its own, everything else through a relay host."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.outbound import Authority
from tests.support.peer_postfix import BINARY, Postfix
from tests.support.peer_server import HOST, run
from tests.support.peer_tools import wait_until

NAME: Final = "mail.office.test"
DOMAIN: Final = "office.test"
_MASTER_BINARY: Final = "/usr/lib/postfix/sbin/master"
_NOBODY: Final = 65534
_MAIN: Final = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
maillog_file_prefixes = {folder}
maillog_file = {folder}/log
myhostname = mail.office.test
myorigin = office.test
mydestination =
mynetworks =
inet_interfaces = {host}
inet_protocols = ipv4
virtual_mailbox_domains = office.test
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{ {{ada@office.test=ada/}}, {{bob@office.test=bob/}}, {{postmaster@office.test=ada/}} }}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = reject_unauth_pipelining, reject_unlisted_recipient
smtpd_tls_chain_files = {certificate}
smtpd_tls_security_level = encrypt
smtpd_tls_received_header = yes
smtpd_tls_loglevel = 1
smtpd_forbid_bare_newline = yes
relayhost = [{host}]:{relay_port}
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level = secure
smtp_tls_secure_cert_match = {relay_name}
smtp_tls_CAfile = {relay_ca}
smtp_tls_loglevel = 1
alias_maps =
alias_database =
strict_rfc821_envelopes = yes
in_flow_delay = 0
biff = no
"""
_MASTER: Final = """\
{host}:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
virtual unix - n n - - virtual
smtp unix - - n - - smtp
relay unix - - n - - smtp
tlsmgr unix - - n 1000? 1 tlsmgr
error unix - - n - - error
retry unix - - n - - error
showq unix n - n - - showq
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass
class Office:
    """Stopped until `start`; `folder` is where the account "postfix" gets in."""

    folder: Path
    port: int
    authority: Authority
    sender: Postfix
    relay_ca: Path
    """Read at the start."""
    _master: "subprocess.Popen[bytes] | None" = field(default=None)
    _starts: int = 0

    def start(self) -> None:
        (self.folder / "relay-ca.pem").write_bytes(self.relay_ca.read_bytes())
        self._master = subprocess.Popen(
            [_MASTER_BINARY, "-c", str(self.folder / "etc"), "-s"], stdin=subprocess.DEVNULL
        )
        self._starts += 1
        wait_until(lambda: self.log.count("daemon started") == self._starts, "Postfix")

    def stop(self) -> None:
        if self._master is not None:
            self._master.terminate()
            self._master.wait(15)
            self._master = None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def mails(self, name: str) -> list[bytes]:
        """What lies in a mailbox."""
        found = sorted((self.folder / "mail" / name / "new").glob("*"))
        return [each.read_bytes().replace(b"\n", b"\r\n") for each in found]

    def arrived(self, name: str, text: bytes) -> bytes:
        """The mail with these words, once it is there."""
        wait_until(lambda: any(text in each for each in self.mails(name)), f"mail with {text!r}")
        (only,) = (each for each in self.mails(name) if text in each)
        return only


@contextmanager
def office(port: int, *, relay_port: int, relay_name: str, relay_ca: Path) -> Iterator[Office]:
    """Made, and not started. Needs root, as Postfix does."""
    folder = Path(tempfile.mkdtemp(prefix="poterne-postfix-office-"))
    folder.chmod(0o711)
    try:
        made = _made(folder, port, relay_port, relay_name, relay_ca)
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _made(folder: Path, port: int, relay_port: int, relay_name: str, relay_ca: Path) -> Office:
    for each in ("etc", "queue", "data", "mail", "tls"):
        (folder / each).mkdir()
    os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
    os.chown(folder / "mail", _NOBODY, _NOBODY)
    authority = Authority(folder / "tls")
    authority.context(NAME, "localhost")
    chain = folder / "tls" / "chain.pem"
    # Postfix wants the key first.
    certificate, _, key = (folder / "tls" / f"{NAME}2.pem").read_text().partition("-----BEGIN PRIVATE")
    chain.write_text(f"-----BEGIN PRIVATE{key}{certificate}")
    ca = folder / "relay-ca.pem"
    (folder / "etc" / "main.cf").write_text(
        _MAIN.format(
            folder=folder, host=HOST, certificate=chain, relay_port=relay_port, relay_name=relay_name, relay_ca=ca
        )
    )
    (folder / "etc" / "master.cf").write_text(_MASTER.format(host=HOST, port=port))
    (folder / "log").touch()
    run(BINARY, "-c", folder / "etc", "check")
    return Office(folder, port, authority, Postfix(folder), relay_ca)
