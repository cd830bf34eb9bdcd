"""fetchmail over POP3 and IMAP, handing mail to a program that writes it to files."""

import re
from pathlib import Path

import pytest

from tests.support.peer_server import NAME, PASSWORD, PeerServer, run
from tests.support.peer_tools import awkward_letters, letter, needs

pytestmark = needs("fetchmail")

NOTHING_NEW = 1
"""fetchmail's exit status when there was no mail to fetch."""


class Fetchmail:
    def __init__(self, server: PeerServer, account: str, folder: Path) -> None:
        self._got = folder / "got"
        self._got.mkdir()
        self._folder = folder
        self._server, self._account = server, account
        self._rc = folder / "fetchmailrc"
        self.said = ""

    def fetch(self, protocol: str, options: str, *, expect: int = 0) -> list[bytes]:
        """What arrived in this run, without the fields that fetchmail puts before it."""
        port = self._server.ports["pop3s" if protocol == "POP3" else "imaps"]
        self._rc.write_text(
            f'set idfile "{self._folder / "ids"}"\nset postmaster "root"\nset no bouncemail\n'
            f"poll {NAME} service {port} protocol {protocol}{' uidl' if protocol == 'POP3' else ''}\n"
            f' user "{self._account}" password "{PASSWORD}" is root here\n'
            f' ssl sslproto "TLS1.2+" sslcertfile "{self._server.ca}" sslcertck {options}\n'
            f' mda "cat >$(mktemp {self._got}/XXXXXXXX)"\n'
        )
        self._rc.chmod(0o600)
        for old in self._got.iterdir():
            old.unlink()
        home = {"FETCHMAILHOME": str(self._folder)}
        self.said = run(
            "fetchmail", "--nosyslog", "--invisible", "-v", "-f", self._rc, environment=home, expect=expect
        ).all
        assert "warning" not in re.sub("WARNING: Running as root", "", self.said), self.said
        return [
            _plain(path.read_bytes()) for path in sorted(self._got.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        ]


def _plain(raw: bytes) -> bytes:
    return raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@pytest.fixture
def fetchmail(server: PeerServer, account: str, tmp_path: Path) -> Fetchmail:
    return Fetchmail(server, account, tmp_path)


@pytest.mark.parametrize("protocol", ["POP3", "IMAP"])
def test_everything_arrives_once(server: PeerServer, account: str, fetchmail: Fetchmail, protocol: str) -> None:
    letters = list(awkward_letters().values())
    server.store.deliver(account, *letters)
    assert sorted(fetchmail.fetch(protocol, "keep")) == sorted(letters)
    assert len(server.store.messages(account)) == len(letters), "keep"
    assert fetchmail.fetch(protocol, "keep", expect=NOTHING_NEW) == []
    server.store.deliver(account, letter("later"))
    assert len(fetchmail.fetch(protocol, "keep")) == 1
    assert fetchmail.fetch(protocol, "keep", expect=NOTHING_NEW) == []


@pytest.mark.parametrize("protocol", ["POP3", "IMAP"])
def test_fetch_and_delete(server: PeerServer, account: str, fetchmail: Fetchmail, protocol: str) -> None:
    letters = list(awkward_letters().values())
    server.store.deliver(account, *letters)
    assert sorted(fetchmail.fetch(protocol, "no keep fetchall")) == sorted(letters)
    assert server.store.messages(account) == []
    assert fetchmail.fetch(protocol, "no keep", expect=NOTHING_NEW) == []
