"""A whole server as its users run it, for software that nobody here wrote: `python -m poterne serve`, two workers, local CA.

Tests also look behind the server's back: `Store` is one more process on the same folder, as a worker is.
"""

import asyncio
import dataclasses
import datetime as dt
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from poterne.admin import instance, people
from poterne.admin.passwords import hash_password
from poterne.app.stores import open_instance_store
from poterne.config.load import load
from poterne.config.settings import Listener
from poterne.session.ingest import Ingest
from poterne.store import interface as store_interface
from poterne.values import folders
from poterne.values.ids import AccountId, TraceId
from poterne.values.mailbox import KEYWORD_SHIFT, Flag, UidRange
from poterne.values.queue import QueuedRecipient
from poterne.values.secret import Secret

T = TypeVar("T")
HOST: Final = "127.0.0.1"
NO_DNS: Final = ["127.0.0.1:1"]
"""Nobody answers there: what a test queues for elsewhere stays, and no query leaves this machine."""
NAME: Final = "localhost"
"""The server, for tools that check a certificate for names only."""
HOSTNAME: Final = "mx.peers.test"
DOMAIN: Final = "peers.test"
PASSWORD: Final = "one horse, two carts & 3 wheels"
"""Has what tools quote wrongly: spaces, a comma, an ampersand."""
MAX_MESSAGE_BYTES: Final = 1_000_000
FOLDERS: Final = {name for name, _ in folders.FOLDERS["en"]}
_SERVICES: Final = {
    "mx": ("mx", "starttls"),
    "submission": ("submission", "starttls"),
    "submissions": ("submission", "implicit"),
    "lmtp": ("lmtp", "starttls"),
    "imaps": ("imap", "implicit"),
    "imap": ("imap", "starttls"),
    "pop3s": ("pop3", "implicit"),
    "pop3": ("pop3", "starttls"),
}
_START_LIMIT_S: Final = 30.0
_STOP_LIMIT_S: Final = 20.0
_FLAGS: Final = {
    Flag.SEEN: "\\Seen",
    Flag.ANSWERED: "\\Answered",
    Flag.FLAGGED: "\\Flagged",
    Flag.DELETED: "\\Deleted",
    Flag.DRAFT: "\\Draft",
}


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as the store has it."""

    uid: int
    flags: frozenset[str]
    raw: bytes

    @property
    def sent(self) -> bytes:
        """What its sender gave us: without the trace fields that we put before it, if there are any."""
        if not self.raw.startswith(b"Return-Path:"):
            return self.raw
        lines = iter(self.raw.splitlines(keepends=True))
        length = len(next(lines)) + len(next(lines))
        for line in lines:
            if not line.startswith((b" ", b"\t")):
                break
            length += len(line)
        return self.raw[length:]


class Store:
    """The server's store, opened once more, in a thread of its own."""

    def __init__(self, settings_file: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        settings = load(settings_file)
        data = (settings_file.parent / settings.server.data).resolve()
        self._acting = people.Acting("tests", int(time.time()), TraceId("tests"))
        self._verifier = hash_password(Secret(PASSWORD))

        async def opened() -> store_interface.Store:
            return open_instance_store(data, settings)

        self._store = self.call(opened())

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def close(self) -> None:
        self.call(self._store.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def opened(self) -> store_interface.Store:
        return self._store

    def check(self) -> list[store_interface.Finding]:
        return self.call(self._store.check())

    def add_domain(self, name: str) -> None:
        self.call(people.add_domain(self._store, name, self._acting))

    def add_account(self, name: str, *, later_s: int = 0) -> str:
        """`later_s`: made in the future, so that its UIDVALIDITY values are no other account's."""
        address = f"{name}@{DOMAIN}"
        acting = dataclasses.replace(self._acting, now=self._acting.now + later_s)
        event = acting.event("account.added", address=address)
        self.call(self._store.add_account(address, name, "en", self._verifier, 0, folders.FOLDERS["en"], event))
        return address

    def add_alias(self, alias: str, *targets: str) -> None:
        self.call(people.add_alias(self._store, alias, list(targets), self._acting))

    def _account(self, address: str) -> AccountId:
        return self.call(self._store.account(address)).id

    def folders(self, address: str) -> set[str]:
        return {box.name for box in self.call(self._store.mailboxes(self._account(address))) if box.selectable}

    def modseqs(self, address: str) -> dict[str, int]:
        """Grows with every change of a mailbox."""
        boxes = self.call(self._store.mailboxes(self._account(address)))
        return {box.name: int(box.highest_modseq) for box in boxes}

    def create(self, address: str, name: str) -> None:
        event = self._acting.event("mailbox.created")
        self.call(self._store.create_mailbox(self._account(address), name, None, event))
        self.call(self._store.subscribe(self._account(address), name, subscribed=True))

    def delete(self, address: str, name: str) -> None:
        account = self._account(address)
        box = self.call(self._store.mailbox(account, name))
        self.call(self._store.delete_mailbox(account, box.id, self._acting.event("mailbox.deleted")))

    def deliver(self, address: str, *messages: bytes, folder: str = "INBOX") -> None:
        """Put these messages there, each as it is; durable, but no server process is told otherwise than by the store."""

        async def work() -> None:
            account = await self._store.account(address)
            box = await self._store.mailbox(account.id, folder)
            now = int(time.time())
            ready = []
            for message in messages:
                ingest = Ingest(self._store.blobs)
                ingest.feed(message)
                ready.append(store_interface.Delivery(account.id, box.id, (await ingest.finish()).content, 0, now, 0))
            await self._store.deliver(ready, (), ())

        self.call(work())

    def messages(self, address: str, folder: str = "INBOX") -> list[Stored]:
        async def work() -> list[Stored]:
            account = await self._store.account(address)
            box = await self._store.mailbox(account.id, folder)
            everything = [UidRange(1, None)]
            rows = self._store.rows(account.id, box.id, everything)
            contents = self._store.contents(account.id, box.id, everything)
            return [
                Stored(int(row.uid), _named(row.flags, account.keywords), self._store.blobs.read(content.blob))
                for row, content in zip(rows, contents, strict=True)
            ]

        return self.call(work())

    def queued(self) -> list[tuple[QueuedRecipient, bytes]]:
        rows = self.call(self._store.queued())
        return [(row, self._store.blobs.read(row.message.blob)) for row in rows]


def _named(flags: int, keywords: Sequence[str]) -> frozenset[str]:
    names = {name for flag, name in _FLAGS.items() if flags & flag}
    return frozenset(names | {name for bit, name in enumerate(keywords) if flags >> (KEYWORD_SHIFT + bit) & 1})


@dataclass(frozen=True, slots=True)
class PeerServer:
    """A running server: its ports by listener name, its CA, its store."""

    ports: Mapping[str, int]
    ca: Path
    store: Store
    process: int
    """The supervisor's pid; the workers are its children."""
    log: Path

    def mx(self) -> str:
        return f"{HOST}:{self.ports['mx']}"


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@contextmanager
def serve(folder: Path, chosen: Mapping[str, Mapping[str, Any]] | None = None, more: str = "") -> Iterator[PeerServer]:
    """A server in an empty folder, until the context ends; it must then stop by itself and have logged no bug.

    `more`: tables with names of their own, as TOML.
    """
    ports = dict(zip(_SERVICES, free_ports(len(_SERVICES)), strict=True))
    listeners = {
        name: Listener(
            service=service,
            addresses=[HOST],
            port=ports[name],
            tls=tls,
            max_per_minute=0,
            allow=[HOST] if service == "lmtp" else [],
        )
        for name, (service, tls) in _SERVICES.items()
    }
    settings: dict[str, Mapping[str, Any]] = {
        "dns": {"servers": NO_DNS},
        "inbound": {"verify": False},
        "server": {"workers": 2, "drain_s": 2},
        "smtp": {"max_message_bytes": MAX_MESSAGE_BYTES},
        **(chosen or {}),
    }
    settings_file = instance.make(instance.Plan(folder, HOSTNAME, listeners, settings), dt.datetime.now(dt.UTC))
    with settings_file.open("a") as file:
        file.write(more)
    store = Store(settings_file)
    store.add_domain(DOMAIN)
    log = folder / "server.log"
    command = [sys.executable, "-m", "poterne", "-c", str(settings_file), "serve", "--keep-root"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        _wait_for(process, list(ports.values()), log)
        yield PeerServer(ports, folder / instance.DATA / instance.TLS / "ca.pem", store, process.pid, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        finally:
            store.close()


def _wait_for(process: "subprocess.Popen[bytes]", ports: Sequence[int], log: Path) -> None:
    deadline = time.monotonic() + _START_LIMIT_S
    for port in ports:
        while True:
            try:
                socket.create_connection((HOST, port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the server does not listen; it said:\n{log.read_text()}") from None
                time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a tool did."""

    status: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return f"{self.out}\n{self.err}"


def run(
    *command: str | Path,
    given: str | bytes = b"",
    timeout_s: float = 60,
    environment: Mapping[str, str] | None = None,
    expect: int | None = 0,
) -> Ran:
    """Run a tool in the C locale; fails with everything it said unless it ends with status `expect` (None: any)."""
    done = subprocess.run(
        [str(part) for part in command],
        input=given.encode() if isinstance(given, str) else given,
        capture_output=True,
        timeout=timeout_s,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
    )
    ran = Ran(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
    assert expect is None or ran.status == expect, f"{command[0]} ended with {ran.status}\n{ran.out}\n{ran.err}"
    return ran
