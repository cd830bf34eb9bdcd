"""A private Postfix that only receives, into Maildirs of a scratch folder: everything strict that it can be told to be."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.outbound import Authority
from tests.support.peer_postfix import BINARY
from tests.support.peer_server import HOST, run
from tests.support.peer_tools import wait_until
from tests.support.server import free_port

NAME: Final = "mx.peers.test"
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
myhostname = mx.peers.test
myorigin = peers.test
mydestination =
mynetworks =
inet_interfaces = {host}
inet_protocols = ipv4
virtual_mailbox_domains = peers.test
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{ {{ada@peers.test=ada/}}, {{bob@peers.test=bob/}}, {{élodie@peers.test=elodie/}} }}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = 40000000
smtpd_relay_restrictions = reject_unauth_destination
smtpd_tls_chain_files = {certificate}
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtpd_tls_loglevel = 1
smtpd_data_restrictions = reject_unauth_pipelining
smtpd_forbid_bare_newline = yes
smtp_dns_support_level = disabled
alias_maps =
alias_database =
smtputf8_enable = yes
strict_rfc821_envelopes = yes
in_flow_delay = 0
biff = no
"""
_MASTER: Final = """\
{host}:{new} inet n - n - - smtpd
{host}:{old} inet n - n - - smtpd
  -o smtpd_discard_ehlo_keywords=8bitmime,smtputf8,dsn,pipelining,size,starttls
{host}:{implicit} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
virtual unix - n n - - virtual
tlsmgr unix - - n 1000? 1 tlsmgr
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True)
class Receiver:
    """Ports by kind: "new" offers everything, "old" hardly anything, "implicit" is TLS from the first byte."""

    folder: Path
    ports: dict[str, int]
    authority: Authority

    def mails(self, name: str) -> list[bytes]:
        """What lies in a mailbox, oldest first, with CRLF line ends."""
        found = sorted((self.folder / "mail" / name / "new").glob("*"), key=lambda each: each.stat().st_mtime_ns)
        return [each.read_bytes().replace(b"\n", b"\r\n") for each in found]

    def wait(self, name: str, count: int) -> bytes:
        """The newest, once there are so many."""
        wait_until(lambda: len(self.mails(name)) >= count, f"mail {count} of {name}")
        return self.mails(name)[-1]

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Runs until the context ends. Needs root, as Postfix does."""
    folder = Path(tempfile.mkdtemp(prefix="poterne-postfix-in-"))
    folder.chmod(0o711)
    try:
        yield from _run(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path) -> Iterator[Receiver]:
    for each in ("etc", "queue", "data", "mail", "tls"):
        (folder / each).mkdir()
    os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
    os.chown(folder / "mail", _NOBODY, _NOBODY)
    authority = Authority(folder / "tls")
    authority.context(NAME)
    ports = {kind: free_port() for kind in ("new", "old", "implicit")}
    chain = folder / "tls" / "chain.pem"
    # Postfix wants the key first.
    certificate, _, key = (folder / "tls" / f"{NAME}2.pem").read_text().partition("-----BEGIN PRIVATE")
    chain.write_text(f"-----BEGIN PRIVATE{key}{certificate}")
    (folder / "etc" / "main.cf").write_text(_MAIN.format(folder=folder, host=HOST, certificate=chain))
    (folder / "etc" / "master.cf").write_text(_MASTER.format(host=HOST, **ports))
    (folder / "log").touch()
    run(BINARY, "-c", folder / "etc", "check")
    master = subprocess.Popen([_MASTER_BINARY, "-c", str(folder / "etc"), "-s"], stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: b"daemon started" in (folder / "log").read_bytes(), "Postfix")
        yield Receiver(folder, ports, authority)
    finally:
        master.terminate()
        master.wait(15)
