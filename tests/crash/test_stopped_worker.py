"""A worker is stopped while it holds the writers' lock, as a debugger or a frozen container does it."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from poterne.store.sqlite.layout import WRITERS_LOCK
from poterne.store.sqlite.lock import FileLock
from tests.crash.ledger import NONE, Box
from tests.crash.people import LostError, RefusedError
from tests.crash.server import Server
from tests.crash.wires import ImapClient, SmtpClient

pytestmark = [pytest.mark.crash, pytest.mark.timeout(180)]

WAIT_S = 30.0
"""`wait_limit_s` of the store: how long an operation may wait to be begun."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "instance")
    server.start()
    yield server
    for pid in server.workers:
        server.signal(pid, signal.SIGCONT)
    server.kill_all()


def letter(number: int) -> bytes:
    return f"X-Letter: s{number}\r\nFrom: <s@example.net>\r\nSubject: s{number}\r\n\r\nbody\r\n".encode()


async def _send_until(server: Server, stop: asyncio.Event, accepted: list[int]) -> None:
    client: SmtpClient | None = None
    while not stop.is_set():
        try:
            client = client or await SmtpClient.open(server.smtp)
            await client.deliver(["ada"], letter(len(accepted)))
            accepted.append(1)
        except (LostError, RefusedError):
            client = None
    if client is not None:
        client.close()


async def _stop_one_with_the_lock(server: Server) -> int:
    """Stop workers at random until one is stopped inside its transaction; nobody else can have the lock then."""
    lock = FileLock(server.data / WRITERS_LOCK)
    for attempt in range(400):
        pid = server.workers[attempt % 2]
        os.kill(pid, signal.SIGSTOP)
        until = time.monotonic() + 0.5  # the other one gives it up in a moment
        while not lock.acquire(wait=False):
            if time.monotonic() > until:
                lock.close()
                return pid
            await asyncio.sleep(0.005)
        lock.release()
        os.kill(pid, signal.SIGCONT)
        await asyncio.sleep(0.01 + attempt % 7 / 1000)
    raise AssertionError("no worker was caught with the lock")


def test_a_stopped_worker_does_not_stop_the_others(server: Server) -> None:
    async def run() -> None:
        stop, accepted = asyncio.Event(), list[int]()
        senders = [asyncio.create_task(_send_until(server, stop, accepted)) for _ in range(6)]
        stopped = await _stop_one_with_the_lock(server)
        stop.set()
        began = time.monotonic()
        # Only the other worker accepts now.
        smtp = await SmtpClient.open(server.smtp)
        imap = await ImapClient.open(server.imap, server.tls(), "ada")
        inbox = Box("ada", "INBOX")
        await imap.select(Box("ada", "Sent"))
        assert (await imap.ask("STATUS INBOX (MESSAGES)"))[0], "reading needs no lock"
        answers = await asyncio.gather(
            smtp.deliver(["ada"], letter(9_001)), imap.append(inbox, letter(9_002), NONE), return_exceptions=True
        )
        waited = time.monotonic() - began
        assert [type(answer) for answer in answers] == [RefusedError, RefusedError], answers
        assert str(answers[0]).startswith("4"), answers
        assert "NO [UNAVAILABLE]" in str(answers[1]), answers
        assert WAIT_S * 0.9 < waited < WAIT_S * 1.5, waited
        os.kill(stopped, signal.SIGCONT)
        again = await SmtpClient.open(server.smtp)
        await again.deliver(["ada"], letter(9_003))
        assert await imap.append(inbox, letter(9_004), NONE) > 0
        await asyncio.gather(*senders)
        await imap.select(inbox)
        refused, _ = await imap.ask('UID SEARCH OR SUBJECT "s9001" SUBJECT "s9002"')
        assert refused == [b"* SEARCH\r\n"]
        for client in (smtp, imap, again):
            client.close()
        await asyncio.sleep(0)

    asyncio.run(run())
    assert sorted([server.steward, *server.workers]) == server.children(), "a process died"
    store = server.open_store()

    async def check() -> None:
        assert await store.check() == []
        await store.close()

    asyncio.run(check())
    assert server.stop() == 0
