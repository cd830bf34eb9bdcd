"""Moving away from a real Dovecot: 10,000 messages by IMAP, by Maildir and by mbox; killed once; and out again."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.corpus import mixed_corpus
from tests.support import peer_dovecot
from tests.support.moved import Message, messages_of
from tests.support.peer_server import HOST, PeerServer
from tests.support.peer_tools import NewAccount

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]

COUNT = 10_000
AT = 1_600_000_000
FLAGS = (("\\Seen",), (), ("\\Seen", "\\Answered"), ("\\Flagged", "\\Seen"), ("$Work", "\\Seen"), ("\\Draft",))


@pytest.fixture(scope="module")
def mail() -> list[Message]:
    bodies = mixed_corpus(COUNT, mean_bytes=2_000)
    return [Message(body, FLAGS[n % len(FLAGS)], AT + 61 * n) for n, body in enumerate(bodies)]


@pytest.fixture(scope="module")
def dovecot(mail: list[Message]) -> Iterator[peer_dovecot.Dovecot]:
    with peer_dovecot.running(mail[:-200], mail[-200:]) as running:
        yield running


def poterne(server: PeerServer, *words: str, kill_after_lines: int = 0) -> dict[str, int]:
    """The command, with --json; its last line. Or it is killed behind so many lines."""
    command = [sys.executable, "-m", "poterne", "-c", str(server.log.parent / "poterne.toml"), *words, "--json"]
    environment = {**os.environ, "POTERNE_IMPORT_PASSWORD": peer_dovecot.PASSWORD}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        if kill_after_lines:
            for _ in range(kill_after_lines):
                assert process.stdout.readline()
            process.kill()
            return {}
        lines = process.stdout.read().splitlines()
    assert process.returncode == 0, lines[-1:]
    last: dict[str, int] = json.loads(lines[-1])
    return last


def ours(server: PeerServer, account: str) -> dict[str, list[Message]]:
    found = server.store.call(messages_of(server.store.opened, account))
    return {name: messages for name, messages in found.items() if messages}


def instants(messages: list[Message]) -> list[tuple[bytes, tuple[str, ...], int]]:
    """A Maildir's dates have no zone; the order is Dovecot's."""
    return [(each.body, tuple(sorted(each.flags)), each.at) for each in messages]


def is_all_there(found: dict[str, list[Message]], mail: list[Message]) -> None:
    assert {name: len(messages) for name, messages in found.items()} == {
        "INBOX": COUNT - 200,
        "Sent": 200,
        "Travaux/Été": 3,
    }
    assert Counter(instants(found["INBOX"])) == Counter(instants(mail[:-200]))
    assert Counter(instants(found["Sent"])) == Counter(instants(mail[-200:]))


def from_imap(dovecot: peer_dovecot.Dovecot, account: str) -> list[str]:
    place = f"{HOST}:{dovecot.imaps}"
    return ["import", "imap", account, "--from", place, "--user", peer_dovecot.USER, "--ca", str(dovecot.ca)]


def test_by_imap_and_out_again(
    server: PeerServer, new_account: NewAccount, dovecot: peer_dovecot.Dovecot, mail: list[Message], tmp_path: Path
) -> None:
    account = new_account()
    poterne(server, *from_imap(dovecot, account), kill_after_lines=5)
    some = len(ours(server, account)["INBOX"])
    assert 0 < some < COUNT - 200, "killed in the middle"
    done = poterne(server, *from_imap(dovecot, account))
    assert done["messages"] + done["known"] >= COUNT
    assert done["known"] >= some - 200
    is_all_there(ours(server, account), mail)
    assert poterne(server, *from_imap(dovecot, account))["messages"] == 0

    out = tmp_path / "Maildir"
    poterne(server, "export", account, "--to", str(out))
    back = new_account("back")
    poterne(server, "import", "maildir", back, str(out))
    assert ours(server, back) == ours(server, account)


def test_starttls_and_a_master_user(server: PeerServer, account: str, dovecot: peer_dovecot.Dovecot) -> None:
    words = [word.replace(str(dovecot.imaps), str(dovecot.imap)) for word in from_imap(dovecot, account)]
    poterne(server, *words, "--tls", "starttls", "--master-user", peer_dovecot.MASTER, "--folder", "Sent")
    assert [(name, len(found)) for name, found in ours(server, account).items()] == [("Sent", 200)]


def test_by_maildir(server: PeerServer, account: str, dovecot: peer_dovecot.Dovecot, mail: list[Message]) -> None:
    poterne(server, "import", "maildir", account, str(dovecot.maildir), kill_after_lines=3)
    poterne(server, "import", "maildir", account, str(dovecot.maildir))
    is_all_there(ours(server, account), mail)


def test_by_mbox(
    server: PeerServer, account: str, dovecot: peer_dovecot.Dovecot, mail: list[Message], tmp_path: Path
) -> None:
    """As Dovecot itself writes it."""
    place = dovecot.folder / "home" / "mbox"
    location = f"mbox:{place}:INBOX={place}/inbox"
    dovecot.doveadm("-o", "mail_fsync=never", "backup", "-u", peer_dovecot.USER, location)
    assert (place / "inbox").exists()
    poterne(server, "import", "mbox", account, str(place / "inbox"), kill_after_lines=3)
    poterne(server, "import", "mbox", account, str(place / "inbox"))
    found = ours(server, account)["INBOX"]
    assert Counter(instants(found)) == Counter(instants(mail[:-200]))
