"""A private Dovecot to move away from: IMAP inside TLS, one user with a Maildir, in a scratch folder."""

import datetime as dt
import os
import pwd
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from poterne.admin import local_ca
from tests.support.moved import Message
from tests.support.peer_server import HOST, NAME, free_ports

BINARY: Final = Path("/usr/sbin/dovecot")
USER: Final = "marie"
PASSWORD: Final = 'pass "word" é'
MASTER: Final = "chief"
_LETTERS: Final = {"\\Seen": "S", "\\Answered": "R", "\\Flagged": "F", "\\Deleted": "T", "\\Draft": "D", "$Work": "a"}
_CONFIG: Final = """\
base_dir = {folder}/run
state_dir = {folder}/state
instance_name = poterne-moving
protocols = imap
listen = {host}
log_path = {folder}/log
ssl = required
ssl_cert = <{certificate}
ssl_key = <{key}
auth_mechanisms = plain
auth_failure_delay = 0
auth_master_user_separator = *
mail_location = maildir:~/Maildir
mail_fsync = never
first_valid_uid = 1
first_valid_gid = 1
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/masters
  master = yes
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
  separator = .
  prefix = INBOX.
  mailbox Sent {{
    special_use = \\Sent
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 20
}}
"""


@dataclass(frozen=True, slots=True)
class Dovecot:
    folder: Path
    ca: Path
    imap: int
    imaps: int

    @property
    def maildir(self) -> Path:
        return self.folder / "home" / "Maildir"

    def doveadm(self, *words: str) -> None:
        command = ["doveadm", "-c", str(self.folder / "dovecot.conf"), *words]
        subprocess.run(command, check=True, capture_output=True, timeout=60)


def put(folder: Path, messages: Sequence[Message]) -> None:
    """As Dovecot delivers into a Maildir: LF, sizes in the name, the date as the file's time."""
    for part in ("cur", "new", "tmp"):
        (folder / part).mkdir(parents=True)
    (folder / "dovecot-keywords").write_text("0 $Work\n")
    for number, message in enumerate(messages):
        text = message.body.replace(b"\r\n", b"\n")
        letters = "".join(sorted(_LETTERS[flag] for flag in message.flags))
        name = f"{1_600_000_000 + number}.M{number}P1.host,S={len(text)},W={len(message.body)}:2,{letters}"
        file = folder / "cur" / name
        file.write_bytes(text)
        os.utime(file, (message.at, message.at))


@contextmanager
def running(inbox: Sequence[Message], sent: Sequence[Message]) -> Iterator[Dovecot]:
    """It serves until the context ends; users' mail is there from the start."""
    with tempfile.TemporaryDirectory(prefix="poterne-dovecot-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        user = pwd.getpwnam("mail")
        imap, imaps = free_ports(2)
        issued = local_ca.ensure(folder / "tls", [NAME, HOST], dt.datetime.now(dt.UTC))
        (folder / "state").mkdir()
        (folder / "users").write_text(f"{USER}:{PASSWORD}\n")
        (folder / "masters").write_text(f"{MASTER}:{PASSWORD}\n")
        put(folder / "home" / "Maildir", inbox)
        put(folder / "home" / "Maildir" / ".Sent", sent)
        put(folder / "home" / "Maildir" / ".Travaux.&AMk-t&AOk-", sent[:3])
        (folder / "home" / "Maildir" / "subscriptions").write_text("V\t2\n\nINBOX\nINBOX\tSent\n")
        subprocess.run(["chown", "-R", f"{user.pw_uid}:{user.pw_gid}", str(folder / "home")], check=True)
        config = folder / "dovecot.conf"
        config.write_text(
            _CONFIG.format(
                folder=folder, host=HOST, certificate=issued.chain, key=issued.key, uid=user.pw_uid,
                gid=user.pw_gid, imap=imap, imaps=imaps,
            )
        )  # fmt: skip
        with (folder / "out").open("wb") as out:
            process = subprocess.Popen([str(BINARY), "-F", "-c", str(config)], stdout=out, stderr=out)
        try:
            _wait(folder, process)
            yield Dovecot(folder, folder / "tls" / "ca.pem", imap, imaps)
        finally:
            process.terminate()
            process.wait(20)


def _wait(folder: Path, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 20
    while not (folder / "run" / "login" / "imap").exists():
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"Dovecot does not start:\n{(folder / 'out').read_text()}")
        time.sleep(0.05)
