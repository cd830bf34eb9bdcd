"""mutt and neomutt, keys pressed by script: what they do to a mailbox shows on the server."""

import imaplib
import re
import shutil
import ssl
from pathlib import Path

import pytest

from tests.support.peer_server import NAME, PASSWORD, PeerServer
from tests.support.peer_terminal import run_in_terminal
from tests.support.peer_tools import ACCENTS, letter

pytestmark = pytest.mark.peers

READERS = [
    pytest.param(
        name, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed (see .ci/peers)")
    )
    for name in ("neomutt", "mutt")
]


def press(server: PeerServer, account: str, folder: Path, reader: str, keys: str, more: str = "") -> str:
    """Open INBOX, press these keys, write and quit."""
    rc = folder / "muttrc"
    rc.write_text(
        f"""
set ssl_force_tls=yes ssl_ca_certificates_file="{server.ca}"
set imap_user="{account}" imap_pass="{PASSWORD}"
set folder="imaps://{NAME}:{server.ports["imaps"]}/" spoolfile="+INBOX" record="+Sent" postponed="+Drafts"
set sort=mailbox-order resolve=no wait_key=no quit=yes delete=yes move=no confirmappend=no confirmcreate=no
set from="{account}" realname="Ada" edit_headers=no autoedit=yes fast_reply=yes editor="true" crypt_use_gpgme=no
set smtp_url="smtps://{account.replace("@", "%40")}@{NAME}:{server.ports["submissions"]}/" smtp_pass="{PASSWORD}"
set charset=utf-8 sleep_time=0 abort_unmodified=no abort_nosubject=no
{more}
"""
    )
    url = f"imaps://{NAME}:{server.ports['imaps']}/INBOX"
    command = [reader, "-n", "-F", str(rc), "-f", url, "-e", f'push "{keys}<sync-mailbox><quit>"']
    return run_in_terminal(command, {"HOME": str(folder)})


@pytest.mark.parametrize("reader", READERS)
def test_read_flag_delete_save(server: PeerServer, account: str, tmp_path: Path, reader: str) -> None:
    server.store.create(account, ACCENTS)
    letters = {name: letter(name) for name in ("flagged", "read", "deleted", "saved", "copied", "untouched")}
    server.store.deliver(account, *letters.values())
    typed = ACCENTS.replace(" ", "^V ")  # a bare space means "the next folder" there
    press(
        server,
        account,
        tmp_path,
        reader,
        "<first-entry><flag-message>"
        "<next-entry><display-message><exit>"
        "<next-entry><delete-message>"
        "<next-entry><save-message>^U=Archive<enter>"
        f"<next-entry><copy-message>^U={typed}<enter>",
    )
    found = {each.raw: each.flags for each in server.store.messages(account)}
    assert set(found) == {letters[name] for name in ("flagged", "read", "copied", "untouched")}
    assert found[letters["flagged"]] >= {"\\Flagged"}
    assert found[letters["read"]] >= {"\\Seen"}
    assert "\\Seen" not in found[letters["untouched"]]
    assert [each.raw for each in server.store.messages(account, "Archive")] == [letters["saved"]]
    assert [each.raw for each in server.store.messages(account, ACCENTS)] == [letters["copied"]]


@pytest.mark.skipif(shutil.which("mutt") is None, reason="mutt is not installed (see .ci/peers)")
def test_mutt_compresses(server: PeerServer, account: str, tmp_path: Path) -> None:
    """COMPRESS=DEFLATE with mutt's own use of zlib (neomutt of Debian 12 has none)."""
    letters = [letter(f"number {n}", b"body %d, said again and again\r\n" % n * 300) for n in range(20)]
    server.store.deliver(account, *letters)
    before = len(re.findall("imap.compressed", server.log.read_text()))
    press(
        server,
        account,
        tmp_path,
        "mutt",
        "<first-entry><display-message><exit><next-entry><save-message>^U=Archive<enter>y"
        "<last-entry><copy-message>^U=Archive<enter>",
        "set imap_deflate=yes",
    )
    kept, saved = server.store.messages(account), server.store.messages(account, "Archive")
    assert {each.raw for each in kept} == set(letters) - {letters[1]}
    assert [each.raw for each in saved] == [letters[1], letters[-1]]
    assert "\\Seen" in next(each.flags for each in kept if each.raw == letters[0])
    assert len(re.findall("imap.compressed", server.log.read_text())) > before


@pytest.mark.parametrize("reader", READERS)
def test_create_search_and_tag(server: PeerServer, account: str, tmp_path: Path, reader: str) -> None:
    server.store.deliver(account, *(letter(f"number {n}", b"body %d needle\r\n" % (n % 2)) for n in range(10)))
    press(
        server,
        account,
        tmp_path,
        reader,
        # =b: the server searches the text; a folder that is new is made on the way
        "<tag-pattern>=b 'body 1 needle'<enter><tag-prefix><save-message>^U=Projets/Été<enter>",
    )
    moved = server.store.messages(account, "Projets/Été")
    assert [re.findall(rb"Subject: number (\d)", each.raw) for each in moved] == [[b"%d" % n] for n in (1, 3, 5, 7, 9)]
    assert len(server.store.messages(account)) == 5


@pytest.mark.parametrize("reader", READERS)
def test_write_and_send(server: PeerServer, account: str, tmp_path: Path, reader: str) -> None:
    server.store.deliver(account, letter("x"))  # in an empty folder they forget the keys
    press(server, account, tmp_path, reader, f"<mail>{account}<enter>Bonjour été<enter>y")
    (_, received) = server.store.messages(account)
    assert re.search(rb"^Subject: Bonjour =\?[\w-]+\?B\?", received.sent, re.MULTILINE)
    (kept,) = server.store.messages(account, "Sent")
    assert kept.flags == frozenset({"\\Seen"})


@pytest.mark.parametrize("modes", ["imap_condstore=yes imap_qresync=no", "imap_condstore=yes imap_qresync=yes"])
@pytest.mark.parametrize("reader", READERS)
def test_what_it_remembers_is_brought_up_to_date(
    server: PeerServer, account: str, tmp_path: Path, reader: str, modes: str
) -> None:
    """It keeps headers, flags and the modseq on disk, and asks only for what happened since (RFC 7162)."""
    more = f"set {modes} header_cache={tmp_path / 'cache'}"
    (tmp_path / "cache").mkdir()
    letters = [letter(f"number {n}") for n in range(8)]
    server.store.deliver(account, *letters)
    press(server, account, tmp_path, reader, "<first-entry><flag-message>", more)
    assert any((tmp_path / "cache").rglob("*")), "nothing is kept"
    with imaplib.IMAP4_SSL(
        NAME, server.ports["imaps"], ssl_context=ssl.create_default_context(cafile=server.ca)
    ) as other:
        other.login(account, PASSWORD)
        other.select("INBOX")
        other.store("3", "+FLAGS", "\\Seen")
        other.store("2,5", "+FLAGS", "\\Deleted")
        other.expunge()
    server.store.deliver(account, letter("later"))
    press(
        server,
        account,
        tmp_path,
        reader,
        "<tag-pattern>~R<enter><tag-prefix><copy-message>^U=Read<enter>"
        "<untag-pattern>~A<enter><tag-pattern>~F<enter><tag-prefix><copy-message>^U=Flagged<enter>"
        "<untag-pattern>~A<enter><tag-pattern>~A<enter><tag-prefix><save-message>^U=All<enter>",
        more,
    )
    left = [n for n in range(8) if n not in {1, 4}]
    found = {
        name: [_number(each.raw) for each in server.store.messages(account, name)]
        for name in ("Read", "Flagged", "All")
    }
    assert found == {
        "Read": [b"number 2"],
        "Flagged": [b"number 0"],
        "All": [*(b"number %d" % n for n in left), b"later"],
    }
    assert server.store.messages(account) == []


def _number(raw: bytes) -> bytes:
    found = re.search(rb"Subject: ([^\r]*)", raw)
    return found[1] if found else b""
