"""getmail over POP3 and IMAP, handing mail to a program that writes it to files (as root it writes none itself)."""

import re
from pathlib import Path

import pytest

from tests.support.peer_server import HOST, PASSWORD, PeerServer, run
from tests.support.peer_tools import awkward_letters, letter, needs

pytestmark = needs("getmail")

RETRIEVERS = ["SimplePOP3SSLRetriever", "MultidropPOP3SSLRetriever", "SimpleIMAPSSLRetriever"]
_ADDED = re.compile(rb"^(?:Return-Path: <unknown>|X-getmail-retrieved-from-mailbox: INBOX)\n|\r", re.MULTILINE)


class Getmail:
    def __init__(self, server: PeerServer, account: str, folder: Path) -> None:
        self._server, self._account, self._folder = server, account, folder
        self._mail = folder / "mail"
        self._mail.mkdir()

    def fetch(self, retriever: str, *, delete: bool) -> int:
        """How many messages were fetched in this run."""
        port = self._server.ports["imaps" if "IMAP" in retriever else "pop3s"]
        extra = "envelope_recipient = X-Envelope:1\n" if "Multidrop" in retriever else ""
        extra += 'mailboxes = ("INBOX",)\n' if "IMAP" in retriever else ""
        rc = self._folder / "getmailrc"
        rc.write_text(
            f"[retriever]\ntype = {retriever}\nserver = {HOST}\nport = {port}\nusername = {self._account}\n"
            f"password = {PASSWORD}\nca_certs = {self._server.ca}\n{extra}"
            f"[destination]\ntype = MDA_external\npath = /bin/sh\nallow_root_commands = true\n"
            f'arguments = ("-c", "cat >$(mktemp {self._mail}/XXXXXXXX)")\n'
            f"[options]\ndelete = {delete}\nread_all = false\ndelivered_to = false\nreceived = false\nverbose = 2\n"
        )
        said = run("getmail", f"--getmaildir={self._folder}", f"--rcfile={rc.name}").all
        assert not re.search(r"warning|error|traceback|fail", said, re.IGNORECASE), said
        return len(re.findall(r"^  msg .* delivered", said, re.MULTILINE))

    def letters(self) -> list[bytes]:
        """What was fetched, in no order."""
        found = [_ADDED.sub(b"", path.read_bytes()).replace(b"\n", b"\r\n") for path in self._mail.iterdir()]
        # Python's email package, through which getmail passes them, puts a space into an empty field.
        return [each.replace(b"X-Empty: \r\n", b"X-Empty:\r\n") for each in found]


@pytest.fixture
def getmail(server: PeerServer, account: str, tmp_path: Path) -> Getmail:
    return Getmail(server, account, tmp_path)


def enveloped(letters: list[bytes], account: str) -> list[bytes]:
    """With the field that tells a multidrop retriever for whom each is."""
    return [f"X-Envelope: {account}\r\n".encode() + each for each in letters]


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_everything_arrives_once(server: PeerServer, account: str, getmail: Getmail, retriever: str) -> None:
    letters = enveloped(list(awkward_letters().values()), account)
    server.store.deliver(account, *letters)
    assert getmail.fetch(retriever, delete=False) == len(letters)
    assert sorted(getmail.letters()) == sorted(letters)
    assert getmail.fetch(retriever, delete=False) == 0, "UIDs are the same the second time"
    server.store.deliver(account, *enveloped([letter("later")], account))
    assert getmail.fetch(retriever, delete=False) == 1
    assert len(server.store.messages(account)) == len(letters) + 1


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_fetch_and_delete(server: PeerServer, account: str, getmail: Getmail, retriever: str) -> None:
    letters = enveloped(list(awkward_letters().values()), account)
    server.store.deliver(account, *letters)
    assert getmail.fetch(retriever, delete=True) == len(letters)
    assert sorted(getmail.letters()) == sorted(letters)
    assert server.store.messages(account) == []
    assert getmail.fetch(retriever, delete=True) == 0
