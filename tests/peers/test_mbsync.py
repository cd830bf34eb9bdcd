"""mbsync keeps a Maildir and a mailbox alike, in both directions."""

import re
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import peer_maildir as maildir
from tests.support.peer_server import FOLDERS, HOST, NAME, PASSWORD, PeerServer, run
from tests.support.peer_tools import ACCENTS, AMPERSAND, WIRE_NAMES, awkward_letters, letter, needs

pytestmark = needs("mbsync")


class Near:
    """The Maildir side of a synchronised account."""

    def __init__(self, server: PeerServer, account: str, folder: Path) -> None:
        self._server, self._account = server, account
        self.mail = folder / "mail"
        self.mail.mkdir()
        self._rc = folder / "mbsyncrc"
        self._rc.write_text(
            f"""
IMAPAccount us
Host {NAME}
Port {server.ports["imaps"]}
User {account}
Pass "{PASSWORD}"
SSLType IMAPS
CertificateFile {server.ca}

IMAPStore far
Account us

MaildirStore near
Path {self.mail}/
Inbox {self.mail}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
CopyArrivalDate yes
SyncState *
"""
        )

    def sync(self, *options: str, after_kill: bool = False) -> str:
        """What mbsync says, which must not be a complaint."""
        done = run("mbsync", "-c", self._rc, "-V", *options, "-a")
        said = done.all
        if after_kill:  # what it wrote into its journal and then did not do: it does it now
            said = re.sub(r"Warning: lost track of \d+ (pulled|pushed) message\(s\)", "", said)
        assert not re.search(r"error|warn|unexpected|ignor", said, re.IGNORECASE), done.all
        return done.all

    def sync_for(self, seconds: float) -> None:
        """Killed after that time, if it is not done before."""
        process = subprocess.Popen(
            ["mbsync", "-c", self._rc, "-a"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
        process.wait()

    def sync_for_nothing(self) -> None:
        """Once more: nothing is done on either side."""
        before = self._everything()
        self.sync()
        assert self._everything() == before

    def _everything(self) -> tuple[dict[str, int], set[Path]]:
        files = {path for path in self.mail.rglob("*") if path.parent.name in {"cur", "new", "tmp"}}
        return self._server.store.modseqs(self._account), files

    def copies(self, name: str = "INBOX") -> list[maildir.Copy]:
        return maildir.copies(self.mail / WIRE_NAMES.get(name, name))


@pytest.fixture
def near(server: PeerServer, account: str, tmp_path: Path) -> Near:
    return Near(server, account, tmp_path)


def by_content(found: list[maildir.Copy]) -> dict[bytes, frozenset[str]]:
    return {copy.raw: copy.flags for copy in found}


def test_first_and_later_pull(server: PeerServer, account: str, near: Near) -> None:
    letters = list(awkward_letters().values())
    server.store.deliver(account, *letters)
    near.sync()
    assert by_content(near.copies()) == dict.fromkeys(letters, frozenset())
    assert {path.name for path in near.mail.iterdir()} == {"INBOX", *FOLDERS}
    server.store.deliver(account, letter("one more"))
    near.sync()
    assert len(near.copies()) == len(letters) + 1
    near.sync_for_nothing()


def test_flags_both_ways(server: PeerServer, account: str, near: Near) -> None:
    server.store.deliver(account, *(letter(str(n)) for n in range(6)))
    near.sync()
    here = near.copies()
    here[0].flag("S")
    here[1].flag("FRS")
    here[2].flag("D")
    near.sync()
    assert by_content(near.copies()) == {each.raw: each.flags for each in server.store.messages(account)}
    assert sorted(map(sorted, (each.flags for each in server.store.messages(account)))) == [
        [],
        [],
        [],
        ["\\Answered", "\\Flagged", "\\Seen"],
        ["\\Draft"],
        ["\\Seen"],
    ]
    curl(server, account, "STORE 1:6 FLAGS (\\Answered)")
    near.sync()
    assert {copy.flags for copy in near.copies()} == {frozenset({"\\Answered"})}
    near.sync_for_nothing()


def curl(server: PeerServer, account: str, command: str) -> str:
    url = f"imaps://{HOST}:{server.ports['imaps']}/INBOX"
    return run("curl", "-sS", "--cacert", server.ca, "-u", f"{account}:{PASSWORD}", url, "-X", command).out


def test_deletions_both_ways(server: PeerServer, account: str, near: Near) -> None:
    letters = [letter(str(n)) for n in range(6)]
    server.store.deliver(account, *letters)
    near.sync()
    curl(server, account, "STORE 2,4 +FLAGS.SILENT (\\Deleted)")
    curl(server, account, "EXPUNGE")
    near.sync()
    assert set(by_content(near.copies())) == {letters[n] for n in (0, 2, 3, 4, 5)} - {letters[3]}
    for copy in near.copies()[:2]:
        copy.flag("ST")
    near.sync()
    assert len(near.copies()) == 2
    assert {each.raw for each in server.store.messages(account)} == set(by_content(near.copies()))
    near.sync_for_nothing()


def test_upload(server: PeerServer, account: str, near: Near) -> None:
    """APPEND with UIDPLUS: the copy is paired by its UID, so the next run does not fetch it again."""
    near.sync()
    letters = awkward_letters()
    for name, message in letters.items():
        maildir.add(near.mail / "INBOX", f"1.{name}.mine", message, None if name == "plain" else "S")
    near.sync()
    found = server.store.messages(account)
    uploaded = {re.sub(rb"X-TUID: [^\r]*\r\n", b"", each.raw) for each in found}
    assert uploaded == set(letters.values())
    assert [each.flags for each in found].count(frozenset({"\\Seen"})) == len(letters) - 1
    near.sync_for_nothing()
    assert len(near.copies()) == len(letters)


def test_folders_both_ways(server: PeerServer, account: str, near: Near) -> None:
    near.sync()
    names = {ACCENTS, "Work", f"Work/{AMPERSAND}", "Work/2026"}
    for name in sorted(names - {"Work"}):  # parents come by themselves
        server.store.create(account, name)
        server.store.deliver(account, letter(name), folder=name)
    near.sync()
    assert [copy.raw.count(b"Subject: Work/2026") for copy in near.copies("Work/2026")] == [1]
    assert len(near.copies(ACCENTS)) == 1
    assert len(near.copies(f"Work/{WIRE_NAMES[AMPERSAND]}")) == 1
    mine = {"Privé & più": "Priv&AOk- &- pi&APk-", "déjà/vu ~1": "d&AOk-j&AOA-/vu ~1"}
    for name, wire in mine.items():
        maildir.make(near.mail / wire)
        maildir.add(near.mail / wire, "1.mine", letter(name))
    near.sync()
    made = {"Privé & più", "déjà/vu ~1"}
    assert server.store.folders(account) >= FOLDERS | names | made | {"INBOX"}
    for name in made:
        assert len(server.store.messages(account, name)) == 1
    near.sync_for_nothing()


def test_500_messages(server: PeerServer, account: str, near: Near) -> None:
    letters = [letter(str(n), b"line\r\n" * (n % 40)) for n in range(500)]
    server.store.deliver(account, *letters)
    near.sync()
    assert set(by_content(near.copies())) == set(letters)
    for copy in near.copies()[::2]:
        copy.flag("S")
    near.sync()
    assert sum("\\Seen" in each.flags for each in server.store.messages(account)) == 250
    near.sync_for_nothing()


def test_both_changed_the_same(server: PeerServer, account: str, near: Near) -> None:
    """Flags set on both sides come together; what one side deleted is gone, whatever the other did to its flags."""
    letters = [letter(str(n)) for n in range(4)]
    server.store.deliver(account, *letters)
    near.sync()
    here = {copy.raw: copy for copy in near.copies()}
    here[letters[0]].flag("S")
    curl(server, account, "STORE 1 +FLAGS.SILENT (\\Flagged)")
    here[letters[1]].flag("ST")
    curl(server, account, "STORE 2 +FLAGS.SILENT (\\Answered)")
    here[letters[2]].flag("R")
    curl(server, account, "STORE 3 +FLAGS.SILENT (\\Deleted)")
    curl(server, account, "EXPUNGE")
    server.store.deliver(account, letter("theirs"))
    maildir.add(near.mail / "INBOX", "1.ours", letter("ours"))
    near.sync()
    there = {re.sub(rb"X-TUID: [^\r]*\r\n", b"", each.raw): each.flags for each in server.store.messages(account)}
    assert there[letters[0]] == {"\\Seen", "\\Flagged"}
    assert letters[1] not in there
    assert letters[2] not in there
    assert by_content(near.copies()) == there
    assert len(there) == 4
    near.sync_for_nothing()


def test_killed_again_and_again(server: PeerServer, account: str, near: Near) -> None:
    """Whenever it dies, in the end both sides have each message once."""
    far = [letter(f"far {n}", b"line\r\n" * 50) for n in range(120)]
    server.store.deliver(account, *far)
    ours = [letter(f"ours {n}", b"line\r\n" * 50) for n in range(40)]
    maildir.make(near.mail / "INBOX")
    for number, message in enumerate(ours):
        maildir.add(near.mail / "INBOX", f"1.{number}.mine", message, "S")
    for milliseconds in (60, 90, 130, 180, 250):
        near.sync_for(milliseconds / 1000)
    near.sync(after_kill=True)
    there = [re.sub(rb"X-TUID: [^\r]*\r\n", b"", each.raw) for each in server.store.messages(account)]
    assert sorted(there) == sorted(far + ours)
    assert sorted(copy.raw for copy in near.copies()) == sorted(far + ours)
    near.sync_for_nothing()


def test_a_large_one(server: PeerServer, account: str, near: Near) -> None:
    large = letter("large", b"x" * 70 + b"\r\n" + (b"y" * 76 + b"\r\n") * 12_000)
    near.sync()
    maildir.add(near.mail / "INBOX", "1.large", large, "S")
    server.store.deliver(account, large.replace(b"Subject: large", b"Subject: theirs"))
    near.sync()
    there = {re.sub(rb"X-TUID: [^\r]*\r\n", b"", each.raw) for each in server.store.messages(account)}
    assert there == {large, large.replace(b"Subject: large", b"Subject: theirs")}
    assert {copy.raw for copy in near.copies()} == there
    near.sync_for_nothing()
