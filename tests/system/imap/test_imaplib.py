"""The standard library's client, which nobody here wrote."""

import imaplib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.imap_world import ADDRESS, PASSWORD, World, message


@pytest.fixture
def client(tmp_path: Path) -> Iterator[imaplib.IMAP4]:
    with World(tmp_path) as world:
        context = ssl.create_default_context(cafile=world.issued.ca)
        client = imaplib.IMAP4_SSL("localhost", world.port, ssl_context=context, timeout=20)
        client.login(ADDRESS, PASSWORD)
        yield client
        client.logout()


def test_a_day_in_the_life(client: imaplib.IMAP4) -> None:
    assert client.create("Work")[0] == "OK"
    assert client.append("Work", r"(\Seen)", '"17-Jul-1996 02:44:25 -0700"', message("Plans"))[0] == "OK"
    assert client.select("Work") == ("OK", [b"1"])
    status, found = client.search(None, "SUBJECT", '"plans"')
    assert (status, found) == ("OK", [b"1"])
    status, parts = client.fetch("1", "(FLAGS BODY.PEEK[])")
    assert isinstance(parts[0], tuple)
    assert parts[0][1] == message("Plans")
    assert client.store("1", "+FLAGS", r"(\Flagged)")[0] == "OK"
    assert client.copy("1", "Trash")[0] == "OK"
    assert client.uid("MOVE", "1", "Sent")[0] == "OK"
    assert client.status("Trash", "(MESSAGES UNSEEN)") == ("OK", [b"Trash (MESSAGES 1 UNSEEN 0)"])
    assert client.list()[0] == "OK"
    assert client.close()[0] == "OK"
    assert client.rename("Work", "Play")[0] == "OK"
    assert client.delete("Play")[0] == "OK"
    assert client.enable("IMAP4rev2")[0] == "OK"


def test_authenticate(tmp_path: Path) -> None:
    with World(tmp_path, implicit_tls=False) as world:
        client = imaplib.IMAP4("localhost", world.port, timeout=20)
        client.starttls(ssl.create_default_context(cafile=world.issued.ca))
        client.authenticate("PLAIN", lambda _: f"\0{ADDRESS}\0{PASSWORD}".encode())
        assert client.select()[0] == "OK"
        client.logout()


def test_a_mailbox_is_shared(client: imaplib.IMAP4) -> None:
    assert client.create("Work")[0] == "OK"
    assert client.setacl("Work", "eve@example.org", "lrs")[0] == "OK"
    assert client.getacl("Work") == ("OK", [b"Work ada@example.org lrswipkxteacd eve@example.org lrs"])
    assert client.myrights("Work") == ("OK", [b"Work lrswipkxteacd"])
    assert client.deleteacl("Work", "eve@example.org")[0] == "OK"
    assert client.getacl("Work") == ("OK", [b"Work ada@example.org lrswipkxteacd"])
