"""NOTIFY between workers: what happens in one process is told by the other, at once, and in hundreds of sessions under load."""

import imaplib
import random
import re
import selectors
import ssl
import statistics
import threading
import time
from collections import defaultdict
from pathlib import Path

from poterne.store.interface import Store
from poterne.values.event import Event
from poterne.values.ids import TraceId
from tests.support.server import DOMAIN, Instance, letter
from tests.system.server.test_serving import ALICE, BOB, watchers_in_both

EVENTS = "(personal (MailboxName SubscriptionChange MessageNew MessageExpunge FlagChange))"
SESSIONS = 60
ACCOUNTS = 6
LOAD_S = 2.0


def said(client: imaplib.IMAP4_SSL, fragment: bytes, seen: list[bytes] | None = None) -> bytes:
    """The next line with this in it."""
    while True:
        line = client.readline()
        assert line, "the connection ended"
        if seen is not None:
            seen.append(line)
        if fragment in line:
            return line


def tell(client: imaplib.IMAP4_SSL, command: bytes) -> None:
    """Say it; the answer is heard up to its OK."""
    client.send(b"x1 " + command + b"\r\n")
    assert b"OK" in said(client, b"x1 ")


def test_names_and_mail_of_another_worker_are_told(server: Instance) -> None:
    clients, workers = watchers_in_both(server)
    actor = clients[0]
    others = [client for client, worker in zip(clients, workers, strict=True) if worker != workers[0]]
    for client in clients[1:]:
        tell(client, b"NOTIFY SET " + EVENTS.encode())
    began = time.monotonic()
    tell(actor, b"CREATE theirs")
    for client in clients[1:]:
        assert said(client, b"theirs") == b'* LIST (\\HasNoChildren) "/" theirs\r\n'
    tell(actor, b"SUBSCRIBE theirs")
    for client in clients[1:]:
        assert b"\\Subscribed" in said(client, b"theirs")
    tell(actor, b"RENAME theirs ours")
    for client in clients[1:]:
        assert b'("OLDNAME" (theirs))' in said(client, b"ours")
    server.deliver(letter(ALICE, "news"))
    for client in clients[1:]:
        assert b"MESSAGES 1" in said(client, b"* STATUS INBOX")
    tell(actor, b"DELETE ours")
    for client in others:
        assert b"\\NonExistent" in said(client, b"ours")
    assert others
    assert time.monotonic() - began < 5
    for client in clients:
        client.logout()


def test_what_another_program_does_is_told(server: Instance) -> None:
    """A process that is not on the bus makes a mailbox: it is found by asking the store."""
    client = server.imap("bob")
    tell(client, b"NOTIFY SET (personal (MailboxName))")

    async def make(store: Store) -> None:
        account = await store.account(BOB)
        await store.create_mailbox(account.id, "by-hand", None, Event(0, "test", TraceId("t")))

    server.with_store(make)
    client.sock.settimeout(15)
    assert b"by-hand" in said(client, b"LIST")
    client.logout()


def lags_of(server: Instance, sessions: int, accounts: int, load_s: float) -> tuple[list[float], int]:
    """Seconds from each message's 250 to the STATUS that has it, in each session that watches; and how many messages."""
    watching: dict[imaplib.IMAP4_SSL, int] = {}
    for number in range(sessions):
        client = server.imap(f"user{number % accounts}")
        tell(client, b"NOTIFY SET " + EVENTS.encode())
        client.sock.setblocking(False)
        watching[client] = number % accounts
    acknowledged: dict[int, list[float]] = defaultdict(list)
    lags: list[float] = []
    over = threading.Event()

    def load() -> None:
        rng = random.Random(1)
        with server.smtp() as sender:
            until = time.monotonic() + load_s
            while time.monotonic() < until:
                to = rng.randrange(accounts)
                address = f"user{to}@{DOMAIN}"
                sender.send_message(letter(address), "carol@elsewhere.test", [address])
                acknowledged[to].append(time.perf_counter())
        over.set()

    heard = dict.fromkeys(watching, 0)
    buffers = dict.fromkeys(watching, b"")
    with selectors.DefaultSelector() as selector:
        for client in watching:
            selector.register(client.sock, selectors.EVENT_READ, client)
        thread = threading.Thread(target=load)
        thread.start()
        while selector_ready(selector, over):
            for key, _ in selector.select(0.5):
                client = key.data
                try:
                    buffers[client] += client.sock.recv(65_536)
                except (BlockingIOError, ssl.SSLWantReadError):
                    continue
                now = time.perf_counter()
                counts = [int(count) for count in re.findall(rb"MESSAGES (\d+)", buffers[client])]
                buffers[client] = buffers[client].rpartition(b"\n")[2]
                times = acknowledged[watching[client]]
                # The notice may be faster than the 250 on its way to us.
                lags += [
                    max(0.0, now - times[number]) if number < len(times) else 0.0
                    for number in range(heard[client], max(counts, default=0))
                ]
                heard[client] = max(counts, default=heard[client])
        thread.join()
    for client, account in watching.items():
        assert heard[client] == len(acknowledged[account])
        client.shutdown()
    return sorted(lags), sum(map(len, acknowledged.values()))


def selector_ready(selector: selectors.BaseSelector, over: threading.Event) -> bool:
    """Is the load still on, or something still to be read?"""
    return not over.is_set() or bool(selector.select(0.5))


def test_notices_are_out_in_time_under_load(tmp_path: Path) -> None:
    """The goal is 100 ms for all but one in a hundred; a machine that tests share is forgiven a little."""
    instance = Instance(tmp_path / "instance", accounts=tuple(f"user{i}" for i in range(ACCOUNTS)))
    instance.start()
    try:
        lags, count = lags_of(instance, SESSIONS, ACCOUNTS, LOAD_S)
    finally:
        assert instance.stop() == 0
    assert not instance.events("bug")
    assert count > 50
    assert statistics.median(lags) < 0.08
    assert lags[int(len(lags) * 0.99)] < 0.4
