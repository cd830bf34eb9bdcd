"""mbsync keeps a Maildir and our mailboxes alike, in both directions."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.imap_world import ADDRESS, PASSWORD, World, message

pytestmark = [pytest.mark.peers, pytest.mark.skipif(shutil.which("mbsync") is None, reason="mbsync is not installed")]


def config(world: World, folder: Path) -> Path:
    path = folder / "mbsyncrc"
    path.write_text(
        f"""
IMAPAccount us
Host localhost
Port {world.port}
User {ADDRESS}
Pass "{PASSWORD}"
SSLType IMAPS
CertificateFile {world.issued.ca}

IMAPStore far
Account us

MaildirStore near
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
"""
    )
    return path


def sync(path: Path) -> None:
    done = subprocess.run(["mbsync", "-c", str(path), "-a"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


def test_both_directions(tmp_path: Path) -> None:
    with World(tmp_path / "server") as world:
        (tmp_path / "mail").mkdir()
        world.deliver(*(message(str(n)) for n in range(20)))
        rc = config(world, tmp_path)
        sync(rc)
        inbox = tmp_path / "mail" / "INBOX"
        files = [*inbox.glob("cur/*"), *inbox.glob("new/*")]
        assert len(files) == 20
        assert {file.read_bytes().split(b"Message-ID")[0] for file in files} <= {
            message(str(n)).replace(b"\r\n", b"\n").split(b"Message-ID")[0] for n in range(20)
        } | {file.read_bytes().split(b"Message-ID")[0] for file in files if b"X-TUID" in file.read_bytes()}
        (inbox / "new" / "1.mine").write_bytes(message("mine").replace(b"\r\n", b"\n"))
        with world.client(select="INBOX") as wire:
            wire.ok("STORE 1:5 +FLAGS.SILENT (\\Seen \\Flagged)")
            wire.ok("STORE 20 +FLAGS.SILENT (\\Deleted)")
            wire.ok("EXPUNGE")
        sync(rc)
        assert len(list(inbox.glob("cur/*FS"))) == 5
        with world.client(select="INBOX") as wire:
            assert b"* 20 EXISTS" in wire.ok("SELECT INBOX")
            assert wire.ok("SEARCH SUBJECT mine") == [b"* SEARCH 20"]
        sync(rc)
        assert len([*inbox.glob("cur/*"), *inbox.glob("new/*")]) == 20
