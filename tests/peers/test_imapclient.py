"""imapclient, the library of many scripts and sync tools: a day of a client that knows most extensions."""

import ssl
import time
from collections.abc import Iterator

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from tests.support.peer_server import FOLDERS, HOST, PASSWORD, PeerServer
from tests.support.peer_tools import ACCENTS, AMPERSAND, NewAccount, awkward_letters, letter

pytestmark = pytest.mark.peers


def connect(server: PeerServer, account: str) -> IMAPClient:
    client = IMAPClient(
        HOST, server.ports["imaps"], ssl_context=ssl.create_default_context(cafile=server.ca), timeout=20
    )
    client.login(account, PASSWORD)
    return client


@pytest.fixture
def client(server: PeerServer, account: str) -> Iterator[IMAPClient]:
    client = connect(server, account)
    yield client
    client.logout()


def test_folders(server: PeerServer, account: str, client: IMAPClient) -> None:
    for name in (ACCENTS, f"Work/{AMPERSAND}"):
        client.create_folder(name)
        client.subscribe_folder(name)
    assert {name for _, _, name in client.list_folders()} >= {"INBOX", ACCENTS, f"Work/{AMPERSAND}", *FOLDERS}
    assert server.store.folders(account) >= {ACCENTS, f"Work/{AMPERSAND}"}
    assert client.find_special_folder(b"\\Trash") in FOLDERS
    client.rename_folder(ACCENTS, "Élan")
    client.delete_folder(f"Work/{AMPERSAND}")
    assert client.folder_exists("Élan")
    assert not client.folder_exists(ACCENTS)
    with pytest.raises(IMAPClientError):
        client.select_folder(ACCENTS)
    assert client.namespace().personal == (("", "/"),)


def test_letters_come_back_as_they_were(server: PeerServer, account: str, client: IMAPClient) -> None:
    letters = awkward_letters()
    for message in letters.values():
        client.append("INBOX", message, flags=(b"\\Seen", b"$Label1"))
    # (Without flags, its MULTIAPPEND has two spaces before the second literal, which is no IMAP.)
    client.multiappend("INBOX", [{"msg": letter(name), "flags": (b"\\Draft",)} for name in ("one", "two")])
    assert client.select_folder("INBOX")[b"EXISTS"] == len(letters) + 2
    found = client.fetch(
        client.search(), ["BODY.PEEK[]", "FLAGS", "ENVELOPE", "BODYSTRUCTURE", "RFC822.SIZE", "INTERNALDATE"]
    )
    assert [each[b"BODY[]"] for each in found.values()][: len(letters)] == list(letters.values())
    for each in found.values():
        assert each[b"RFC822.SIZE"] == len(each[b"BODY[]"])
        assert each[b"ENVELOPE"].from_[0].mailbox == b"ada"
    assert [message.raw for message in server.store.messages(account)][: len(letters)] == list(letters.values())


def test_flags_search_copy_move_expunge(server: PeerServer, account: str, client: IMAPClient) -> None:
    server.store.deliver(account, *(letter(f"number {n}", b"needle\r\n" if n % 3 else b"hay\r\n") for n in range(9)))
    client.select_folder("INBOX")
    assert client.search(["BODY", "needle"]) == [2, 3, 5, 6, 8, 9]
    assert client.search(["SUBJECT", "number 4"]) == [5]
    assert client.sort("REVERSE SUBJECT", ["UID", "1:3"]) == [3, 2, 1]
    assert len(client.thread("REFERENCES")) == 9
    assert set(client.add_flags([1, 2], [b"\\Flagged", "$Work"])) == {1, 2}
    assert client.get_flags([1])[1] >= (b"\\Flagged",)
    client.copy([1, 2], "Archive")
    client.move([3, 4], "Archive")
    client.delete_messages([5, 6])
    client.uid_expunge([5])
    left = {message.uid: message.flags for message in server.store.messages(account)}
    assert set(left) == {1, 2, 6, 7, 8, 9}
    assert left[1] == {"\\Flagged", "$Work"}
    assert left[6] == {"\\Deleted"}
    assert [message.flags for message in server.store.messages(account, "Archive")] == [left[1], left[2], set(), set()]
    client.close_folder()
    assert {message.uid for message in server.store.messages(account)} == {1, 2, 7, 8, 9}
    status = client.folder_status("Archive", ["MESSAGES", "UIDNEXT", "UNSEEN", "HIGHESTMODSEQ"])
    assert (status[b"MESSAGES"], status[b"UIDNEXT"], status[b"UNSEEN"]) == (4, 5, 4)


def test_idle_hears_the_other(server: PeerServer, account: str, client: IMAPClient) -> None:
    server.store.deliver(account, letter("x"))
    other = connect(server, account)
    client.select_folder("INBOX")
    other.select_folder("INBOX")
    client.idle()
    other.add_flags([1], [b"\\Flagged"])
    other.append("INBOX", letter("y"))
    heard: list[object] = []
    until = time.monotonic() + 10
    while time.monotonic() < until and not {b"EXISTS", b"FETCH"} <= {each[1] for each in heard}:  # type: ignore[index]
        heard += client.idle_check(timeout=1)
    client.idle_done()
    assert (2, b"EXISTS") in heard
    other.logout()


def test_condstore_finds_what_changed(server: PeerServer, account: str, client: IMAPClient) -> None:
    server.store.deliver(account, *(letter(str(n)) for n in range(5)))
    client.enable("CONDSTORE")
    before = client.select_folder("INBOX")[b"HIGHESTMODSEQ"]
    client.add_flags([2, 4], [b"\\Seen"])
    changed = client.fetch(range(1, 6), ["FLAGS"], [f"CHANGEDSINCE {before}"])
    assert set(changed) == {2, 4}
    assert all(b"\\Seen" in each[b"FLAGS"] for each in changed.values())
    assert all(each[b"MODSEQ"][0] > before for each in changed.values())


def test_quota_and_id(client: IMAPClient) -> None:
    assert b"Poterne" in repr(client.id_({"name": "imapclient"})).encode()
    root, _ = client.get_quota_root("INBOX")
    assert root.mailbox == "INBOX"


def test_nobody_sees_another_ones_mail(server: PeerServer, new_account: NewAccount) -> None:
    one, other = new_account("one"), new_account("other")
    server.store.deliver(one, letter("secret"))
    client = connect(server, other)
    assert client.select_folder("INBOX")[b"EXISTS"] == 0
    client.logout()
