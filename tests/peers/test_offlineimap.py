"""offlineimap keeps a Maildir and a mailbox alike, in both directions."""

import imaplib
import re
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import peer_maildir as maildir
from tests.support.peer_server import FOLDERS, NAME, PASSWORD, PeerServer, run
from tests.support.peer_tools import ACCENTS, AMPERSAND, WIRE_NAMES, awkward_letters, letter, needs

pytestmark = needs("offlineimap")


class Near:
    """The Maildir side of a synchronised account."""

    def __init__(self, server: PeerServer, account: str, folder: Path) -> None:
        self.mail = folder / "mail"
        self.mail.mkdir()
        self._rc = folder / "offlineimaprc"
        self._rc.write_text(
            f"""
[general]
accounts = us
metadata = {folder / "state"}
socktimeout = 20
[Account us]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {self.mail}
sep = /
[Repository far]
type = IMAP
ssl = yes
remotehost = {NAME}
remoteport = {server.ports["imaps"]}
sslcacertfile = {server.ca}
remoteuser = {account}
remotepass = {PASSWORD}
expunge = yes
createfolders = True
"""
        )

    def sync(self) -> str:
        said = run("offlineimap", "-c", self._rc, "-o", "-u", "basic").all
        assert not re.search(r"error|warn|traceback", said, re.IGNORECASE), said
        return said

    def sync_for(self, seconds: float) -> None:
        """Killed after that time, if it is not done before."""
        command = ["offlineimap", "-c", str(self._rc), "-o", "-u", "basic"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
        process.wait()

    def copies(self, name: str = "INBOX") -> list[maildir.Copy]:
        return maildir.copies(self.mail / WIRE_NAMES.get(name, name))


@pytest.fixture
def near(server: PeerServer, account: str, tmp_path: Path) -> Near:
    return Near(server, account, tmp_path)


def test_messages_and_flags_both_ways(server: PeerServer, account: str, near: Near) -> None:
    letters = awkward_letters()
    server.store.deliver(account, *letters.values())
    near.sync()
    # Python's email package, through which offlineimap passes them, puts a space into an empty field.
    assert {copy.raw.replace(b"X-Empty: \r\n", b"X-Empty:\r\n") for copy in near.copies()} == set(letters.values())
    assert {path.name for path in near.mail.iterdir()} == {"INBOX", *FOLDERS}
    near.copies()[0].flag("FS")
    near.copies()[-1].path.unlink()
    maildir.add(near.mail / "INBOX", "1.mine", letter("mine"), "S")
    near.sync()
    found = server.store.messages(account)
    assert len(found) == len(letters)
    assert sorted(len(each.flags) for each in found)[-3:] == [0, 1, 2]
    assert [b"Subject: mine" in each.raw for each in found].count(True) == 1
    before = server.store.modseqs(account)
    said = near.sync()
    assert server.store.modseqs(account) == before
    assert "Copy message" not in said


def test_folders_both_ways(server: PeerServer, account: str, near: Near) -> None:
    for name in (ACCENTS, f"Work/{AMPERSAND}"):
        server.store.create(account, name)
        server.store.deliver(account, letter("x"), folder=name)
    near.sync()
    assert len(near.copies(ACCENTS)) == 1
    assert len(near.copies(f"Work/{WIRE_NAMES[AMPERSAND]}")) == 1
    maildir.make(near.mail / "Priv&AOk- &- pi&APk-")
    maildir.add(near.mail / "Priv&AOk- &- pi&APk-", "1.mine", letter("mine"))
    near.sync()
    assert len(server.store.messages(account, "Privé & più")) == 1


def test_both_changed_the_same(server: PeerServer, account: str, near: Near) -> None:
    letters = [letter(str(n)) for n in range(4)]
    server.store.deliver(account, *letters)
    near.sync()
    here = {copy.raw: copy for copy in near.copies()}
    here[letters[0]].flag("S")
    here[letters[1]].path.unlink()
    here[letters[2]].flag("R")
    with imaplib.IMAP4_SSL(
        NAME, server.ports["imaps"], ssl_context=ssl.create_default_context(cafile=server.ca)
    ) as other:
        other.login(account, PASSWORD)
        other.select("INBOX")
        other.store("1,2", "+FLAGS", "\\Flagged")
        other.store("3", "+FLAGS", "\\Deleted")
        other.expunge()
    maildir.add(near.mail / "INBOX", "1.ours", letter("ours"))
    near.sync()
    near.sync()
    there = {each.raw: each.flags for each in server.store.messages(account)}
    assert there[letters[0]] == {"\\Seen", "\\Flagged"}
    assert letters[1] not in there
    assert letters[2] not in there
    assert {copy.raw: copy.flags for copy in near.copies()} == there
    assert len(there) == 3


def test_killed_and_begun_again(server: PeerServer, account: str, near: Near) -> None:
    letters = [letter(str(n), b"line\r\n" * 50) for n in range(80)]
    server.store.deliver(account, *letters)
    for seconds in (0.5, 0.7, 0.9):
        near.sync_for(seconds)
    near.sync()
    assert sorted(copy.raw for copy in near.copies()) == sorted(letters)
    assert len(server.store.messages(account)) == len(letters)
