"""A running server keeps its index of texts: the steward writes it, the workers use it."""

import imaplib
from email.message import EmailMessage
from pathlib import Path

from poterne.store.interface import Store
from poterne.store.sqlite.search_file import SEARCH_NAME
from poterne.values.ids import AccountId
from tests.support.server import DOMAIN, Instance, wait_for

FEW = 35


def letter(number: int) -> bytes:
    message = EmailMessage()
    message["From"] = f"bob@{DOMAIN}"
    message["Subject"] = f"Number {number}"
    message.set_content(f"the text of number{number}, très long\r\n", cte="quoted-printable")
    return message.as_bytes().replace(b"\n", b"\r\n")


def found(client: imaplib.IMAP4_SSL, key: str, text: str) -> list[bytes]:
    client.literal = text.encode()  # type: ignore[assignment]  # how imaplib sends one
    _, (numbers,) = client.search("UTF-8", key)
    return list(numbers.split())


def test_the_steward_indexes_and_workers_search(tmp_path: Path) -> None:
    server = Instance(tmp_path / "instance", accounts=("alice",), chosen={"search": {"every_s": 1}})
    server.start()
    try:
        with server.imap() as client:
            for number in range(FEW):
                assert client.append("INBOX", None, None, letter(number))[0] == "OK"
            client.select()
            assert found(client, "BODY", "number7, très") == [b"8"]
            file = next(server.folder.glob("**/poterne.db")).with_name(SEARCH_NAME)
            wait_for(file.exists)
            wait_for(lambda: server.with_store(_waiting) == {}, text="some is not in the index")
            assert found(client, "BODY", "number7, TRÈS") == [b"8"]
            assert found(client, "TEXT", "très") == [str(n).encode() for n in range(1, FEW + 1)]
            server.poterne("store", "reindex")
            assert found(client, "SUBJECT", "number 12") == [b"13"]
            file.unlink()
            assert found(client, "BODY", "number7, TRÈS") == [b"8"]
    finally:
        assert server.stop() == 0
    assert not server.events("bug")


async def _waiting(store: Store) -> dict[AccountId, int]:
    writer = store.search_writer()
    try:
        return dict(writer.waiting())
    finally:
        writer.close()
