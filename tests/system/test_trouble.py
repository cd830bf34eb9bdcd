"""Trouble with the disk under a whole running server: each client gets its protocol's own answer, and the server lives."""

import asyncio
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.crash.ledger import NONE, Box
from tests.crash.people import RefusedError
from tests.crash.server import Server
from tests.crash.wires import ImapClient, SmtpClient


def letter(name: str, size: int = 3_000) -> bytes:
    line = (name * 70)[:70].encode() + b"\r\n"
    head = f"X-Letter: {name}\r\nFrom: <s@example.net>\r\nSubject: {name}\r\n\r\n"
    return head.encode() + line * (size // 72)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "instance", {"server": {"workers": 1}})
    server.start()
    yield server
    server.kill_all()


async def deliver(server: Server, *letters: bytes) -> None:
    for octets in letters:
        client = await SmtpClient.open(server.smtp)
        try:
            await client.deliver(["ada"], octets)
        finally:
            client.close()


@asynccontextmanager
async def reader(server: Server) -> AsyncIterator[ImapClient]:
    client = await ImapClient.open(server.imap, server.tls(), "ada")
    try:
        await client.select(Box("ada", "INBOX"))
        yield client
    finally:
        client.close()
        await asyncio.sleep(0)


async def body(client: ImapClient, uid: int) -> bytes:
    untagged, _ = await client.ask(f"UID FETCH {uid} (FLAGS BODY.PEEK[])")
    return b"".join(untagged)


def command(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    run = "from poterne.cli.main import main; main()"
    arguments = [sys.executable, "-c", run, "-c", str(server.settings_path), *words]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=30, check=False)


def test_a_damaged_message_is_refused_and_the_others_are_served(server: Server) -> None:
    async def before() -> None:
        await deliver(server, letter("first"), letter("second"), letter("third"))

    async def after() -> None:
        async with reader(server) as client:
            for _ in range(2):  # the second time no otherwise, on the same connection
                with pytest.raises(RefusedError, match=r" NO \[UNAVAILABLE\]"):
                    await body(client, 2)
                assert b"first" in await body(client, 1)
                assert b"third" in await body(client, 3)
            await client.ask("UID STORE 2 +FLAGS (\\Deleted)")
            await client.ask("EXPUNGE")  # what can't be read can be got rid of
            await deliver(server, letter("fourth"))
            await client.ask("NOOP")
            assert b"fourth" in await body(client, 4)

    asyncio.run(before())
    (segment,) = [found for found in (server.data / "messages").glob("*.seg") if b"secondsecond" in found.read_bytes()]
    octets = segment.read_bytes()
    at = octets.index(b"secondsecond") + 500
    with segment.open("r+b") as file:
        file.seek(at)
        file.write(bytes([octets[at] ^ 0xFF]))
    checked = command(server, "store", "check", "--json")
    assert checked.returncode == 1, checked
    assert "damage" in checked.stdout
    assert "restore a backup" in checked.stdout
    asyncio.run(after())
    assert server.stop() == 0


@contextmanager
def full_disk(server: Server) -> Iterator[None]:
    """No process of the server can write a byte to any file, its log included."""
    pids = [server.steward, *server.workers]
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.mark.parametrize("size", [3_000, 1_500_000])
def test_a_full_disk_defers_mail_and_keeps_reading(server: Server, size: int) -> None:
    async def run() -> None:
        inbox = Box("ada", "INBOX")
        await deliver(server, letter("early"))
        async with reader(server) as client:
            with full_disk(server):
                with pytest.raises(RefusedError, match=r"^4\d\d "):
                    await deliver(server, letter("refused", size))
                with pytest.raises(RefusedError, match=r" NO \[UNAVAILABLE\]"):
                    await client.append(inbox, letter("refused", size), NONE)
                with pytest.raises(RefusedError, match=r" NO \[UNAVAILABLE\]"):
                    await client.create("ada", "Fresh")
                assert b"early" in await body(client, 1)
                async with reader(server) as other:  # who comes now is served too
                    assert b"early" in await body(other, 1)
            await asyncio.sleep(1.1)  # what failed is tried again after a second
            await deliver(server, letter("late", size))
            assert await client.append(inbox, letter("late", size), NONE) == 3
            untagged, _ = await client.ask('UID SEARCH SUBJECT "refused"')
            assert untagged == [b"* SEARCH\r\n"]

    asyncio.run(run())
    pids = server.children()
    assert pids == sorted([server.steward, *server.workers]), "a process died"
    assert command(server, "store", "check", "--json").stdout.strip() == "[]"
    assert server.stop() == 0


def test_a_damaged_database_is_a_start_that_fails_with_words(server: Server) -> None:
    assert server.stop() == 0
    database = server.data / "poterne.db"
    with database.open("r+b") as file:
        file.write(b"not a database at all" * 10)
    run = command(server, "serve", "--keep-root")
    assert run.returncode == 70, run
    assert "restore a backup" in run.stderr
    assert "Traceback" not in run.stderr
