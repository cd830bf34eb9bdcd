"""curl as an IMAP, POP3 and SMTP client."""

import re
from pathlib import Path

import pytest

from tests.support.peer_server import HOST, PASSWORD, PeerServer, run
from tests.support.peer_tools import ACCENTS, AMPERSAND, WIRE_NAMES, awkward_letters, letter, needs, written_by

pytestmark = needs("curl")

LOGIN_DENIED = 67


class Curl:
    """curl, signed in to one account."""

    def __init__(self, server: PeerServer, account: str, folder: Path) -> None:
        self._server, self._account = server, account
        self._got = folder / "got"

    def get(self, service: str, path: str, *options: str | Path) -> bytes:
        url = f"{service}://{HOST}:{self._server.ports[service]}/{path}"
        common = ["-sS", "--ssl-reqd", "--cacert", str(self._server.ca), "-u", f"{self._account}:{PASSWORD}"]
        self._got.unlink(missing_ok=True)
        run("curl", *common, "-o", self._got, *options, url)
        return self._got.read_bytes() if self._got.exists() else b""

    def imap(self, path: str, command: str = "") -> list[bytes]:
        """The untagged responses to a command in a folder."""
        options = ["-X", command] if command else []
        return self.get("imaps", path, *options).splitlines()


@pytest.fixture
def curl(server: PeerServer, account: str, tmp_path: Path) -> Curl:
    return Curl(server, account, tmp_path)


@pytest.mark.parametrize("service", ["imaps", "imap"], ids=["implicit", "starttls"])
def test_imap_messages_are_kept(server: PeerServer, account: str, curl: Curl, service: str) -> None:
    letters = list(awkward_letters().values())
    server.store.deliver(account, *letters)
    for number, wanted in enumerate(letters, 1):
        assert curl.get(service, f"INBOX;MAILINDEX={number}") == wanted
        assert curl.get(service, f"INBOX;UID={number}") == wanted
    head, _, body = letters[2].partition(b"\r\n\r\n")
    assert curl.get(service, "INBOX;UID=3;SECTION=TEXT") == body
    assert curl.get(service, "INBOX;UID=3;SECTION=HEADER") == head + b"\r\n\r\n"
    assert curl.get(service, "INBOX;UID=3;SECTION=TEXT;PARTIAL=5.10") == body[5:15]


def test_imap_list_search_store(server: PeerServer, account: str, curl: Curl) -> None:
    for name in (ACCENTS, AMPERSAND):
        server.store.create(account, name)
    listed = curl.imap("")
    assert b'* LIST (\\HasNoChildren) "/" INBOX' in listed
    assert b'* LIST (\\HasNoChildren \\Sent) "/" Sent' in listed
    for wire in WIRE_NAMES.values():
        assert f'* LIST (\\HasNoChildren) "/" "{wire}"'.encode() in listed
    server.store.deliver(account, *(letter(f"number {n}") for n in range(1, 6)))
    assert curl.imap("INBOX", 'SEARCH SUBJECT "number 3"') == [b"* SEARCH 3"]
    assert curl.imap("INBOX?SUBJECT%20%22number%204%22") == [b"* SEARCH 4"]
    assert curl.imap("INBOX", "STORE 2:3 +FLAGS (\\Flagged $Important)") == [
        b"* 2 FETCH (FLAGS (\\Flagged $Important))",
        b"* 3 FETCH (FLAGS (\\Flagged $Important))",
    ]
    assert [each.flags for each in server.store.messages(account)].count(frozenset({"\\Flagged", "$Important"})) == 2
    curl.imap("INBOX", "STORE 1 +FLAGS.SILENT \\Deleted")
    assert curl.imap("INBOX", "EXPUNGE") == [b"* 1 EXPUNGE"]
    curl.imap("INBOX", "MOVE 1 Archive")
    assert len(server.store.messages(account, "Archive")) == 1
    status = curl.imap("", "STATUS INBOX (MESSAGES UIDNEXT UNSEEN)")
    assert status == [b"* STATUS INBOX (MESSAGES 3 UIDNEXT 6 UNSEEN 3)"]


def test_imap_upload(server: PeerServer, account: str, curl: Curl, tmp_path: Path) -> None:
    letters = awkward_letters()
    for name, message in letters.items():
        (tmp_path / name).write_bytes(message)
        curl.get("imaps", "Drafts", "-T", tmp_path / name)
    found = server.store.messages(account, "Drafts")
    assert [each.raw for each in found] == list(letters.values())
    assert {each.flags for each in found} == {frozenset({"\\Seen"})}


@pytest.mark.parametrize("service", ["pop3s", "pop3"], ids=["implicit", "stls"])
def test_pop3(server: PeerServer, account: str, curl: Curl, service: str) -> None:
    letters = list(awkward_letters().values())
    server.store.deliver(account, *letters)
    sizes = [f"{number} {len(each)}".encode() for number, each in enumerate(letters, 1)]
    assert curl.get(service, "").splitlines() == sizes
    names = [line.split() for line in curl.get(service, "", "-X", "UIDL").splitlines()]
    assert [number for number, _ in names] == [b"%d" % n for n in range(1, len(letters) + 1)]
    assert len({name for _, name in names}) == len(letters)
    for number, wanted in enumerate(letters, 1):
        assert curl.get(service, str(number)) == wanted
    head, _, body = letters[5].partition(b"\r\n\r\n")
    top = curl.get(service, "", "-X", "TOP 6 2")
    assert top == head + b"\r\n\r\n" + b"\r\n".join(body.split(b"\r\n")[:2]) + b"\r\n"
    curl.get(service, "2", "-X", "DELE", "-I")
    assert len(server.store.messages(account)) == len(letters) - 1
    assert [line.split()[1] for line in curl.get(service, "", "-X", "UIDL").splitlines()] == [
        name for number, name in names if number != b"2"
    ]


@pytest.mark.parametrize("service", ["imaps", "pop3s"])
def test_wrong_password(server: PeerServer, account: str, service: str) -> None:
    url = f"{service}://{HOST}:{server.ports[service]}/"
    source = "127.0.0.23" if service == "imaps" else "127.0.0.24"
    options = ["-sSv", "--interface", source, "--cacert", str(server.ca), "-u", f"{account}:a guess"]
    said = run("curl", *options, url, expect=LOGIN_DENIED).all
    wanted = r"< A00\d NO \[AUTHENTICATIONFAILED\] " if service == "imaps" else r"< -ERR \[AUTH\] "
    assert re.search(wanted + "(Address|User name) or password is wrong", said), said


def test_submission(server: PeerServer, account: str, tmp_path: Path) -> None:
    letters = {name: written_by(account, message) for name, message in awkward_letters().items()}
    for name, message in letters.items():
        (tmp_path / name).write_bytes(message)
        url = f"smtps://{HOST}:{server.ports['submissions']}/client.elsewhere.test"
        options = [
            "--cacert",
            str(server.ca),
            "-u",
            f"{account}:{PASSWORD}",
            "--mail-from",
            account,
            "--mail-rcpt",
            account,
        ]
        run("curl", "-sS", *options, "-T", tmp_path / name, url)
    assert [each.sent for each in server.store.messages(account)] == list(letters.values())


def test_smtputf8(server: PeerServer, account: str, tmp_path: Path) -> None:
    """curl announces SMTPUTF8 by itself where an address needs it."""
    message = letter("Früh")
    (tmp_path / "message").write_bytes(message)
    url = f"smtp://{HOST}:{server.ports['mx']}/client.elsewhere.test"
    options = ["--ssl-reqd", "--cacert", str(server.ca), "--mail-from", "jürgen@elsewhere.test", "--mail-rcpt", account]
    said = run("curl", "-sSv", *options, "-T", tmp_path / "message", url).all
    assert re.search(r"> MAIL FROM:<jürgen@elsewhere\.test> SIZE=\d+ SMTPUTF8", said), said
    (found,) = server.store.messages(account)
    assert found.raw.startswith("Return-Path: <jürgen@elsewhere.test>\r\n".encode())
    assert re.search(rb"with\s+UTF8SMTPS", found.raw)
    assert found.sent == message
