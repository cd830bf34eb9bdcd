"""An IMAP server on loopback over TLS, with a real store, in a thread of its own; and a client that says what it is told."""

import asyncio
import datetime as dt
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from poterne.admin import local_ca, passwords
from poterne.config.imap import Imap
from poterne.config.settings import SignIn
from poterne.net.drive import drive
from poterne.net.limits import Gate, Limits
from poterne.net.link import Link, TlsSetup
from poterne.net.listen import Listener, bind_socket
from poterne.net.notice import Kind, Notice
from poterne.net.tls import CertificateFiles, Certificates
from poterne.proto.core import Core
from poterne.proto.imap import commands
from poterne.proto.imap import limits as imap_limits
from poterne.proto.imap.responses import Reply
from poterne.proto.imap.server import ServerCore
from poterne.session.authenticate import Authenticator
from poterne.session.imap.client import Service
from poterne.session.imap.session import LAST_WORDS, ImapSession
from poterne.session.ingest import Ingest
from poterne.session.notify import Subscriptions
from poterne.session.pending import Snapshots
from poterne.store.interface import Delivery, Store
from poterne.store.sqlite.engine import SqliteStore, open_store
from poterne.store.sqlite.transaction import Limits as StoreLimits
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.mailbox import SpecialUse
from poterne.values.secret import Secret
from tests.support.lines import Lines

T = TypeVar("T")
ADDRESS = "ada@example.org"
USERS = (ADDRESS, "eve@example.org")
PASSWORD = "correct horse"
_VERIFIER = passwords.hash_password(Secret(PASSWORD))
_MAILBOXES = (("Sent", SpecialUse.SENT), ("Trash", SpecialUse.TRASH))


def certificate(folder: Path) -> local_ca.Issued:
    return local_ca.ensure(folder, ["localhost", "127.0.0.1"], dt.datetime.now(dt.UTC))


class World:
    """One process's worth of IMAP service. Two of them on one folder are two workers without a bus."""

    def __init__(
        self,
        folder: Path,
        *,
        implicit_tls: bool = True,
        settings: Imap | None = None,
        sign_in: SignIn | None = None,
        wrap: Callable[[SqliteStore], Store] | None = None,
    ) -> None:
        self.folder = folder
        self.implicit_tls = implicit_tls
        self.settings = settings or Imap()
        self.sign_in = sign_in or SignIn()
        self.wrap = wrap
        """What sessions get in the place of the store: to see, or do, something between its operations."""
        self.log = Lines()
        self.notices: list[Notice] = []
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._end: asyncio.Event
        self._failure: BaseException | None = None
        self.store: SqliteStore
        self.issued = certificate(folder / "tls")

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(20)
        assert not self._thread.is_alive()
        bugs = [notice for notice in self.notices if notice.kind is Kind.BUG]
        if bugs and bugs[0].error is not None and kind is None:
            raise bugs[0].error

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001
            self._failure = error
            self._ready.set()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        self.store = store = open_store(
            self.folder / "data", limits=StoreLimits(annotations=self.settings.metadata_entries)
        )
        if not await store.domains():
            event = Event(0, "test", TraceId("t"))
            await store.add_domain("example.org", event)
            for address in USERS:
                await store.add_account(address, "", "en", _VERIFIER, 0, _MAILBOXES, event)
        notifier = Subscriptions()
        store.listen(notifier.heard)
        authenticator = Authenticator(store, self.sign_in)
        self.service = service = Service(
            self.wrap(store) if self.wrap else store,
            authenticator,
            notifier,
            Snapshots(store),
            self.settings,
            time.time,
            self.log,
        )
        sock = bind_socket("127.0.0.1", 0)
        self.port = sock.getsockname()[1]
        certificates = Certificates([CertificateFiles(self.issued.chain, self.issued.key)], ["imap"])
        limits = imap_limits.Limits(
            append_bytes=self.settings.max_append_bytes, metadata_value_bytes=self.settings.metadata_value_bytes
        )

        def serve(link: Link) -> Coroutine[object, object, None]:
            server = ServerCore(limits, tls=self.implicit_tls)
            core: Core[commands.Event, Reply] = server
            return drive(
                core, ImapSession(server, link, service), link, last_words=LAST_WORDS, observe=self.notices.append
            )

        listener = Listener(
            "imap",
            [sock],
            serve,
            gate=Gate(Limits(10_000, 10_000)),
            observe=self.notices.append,
            tls=TlsSetup(lambda: certificates.context("imap"), "imap"),
            implicit_tls=self.implicit_tls,
        )
        listener.start()
        self._ready.set()
        await self._end.wait()
        await listener.drain(2)
        authenticator.close()
        await store.close()

    # What tests do behind the client's back

    def deliver(self, *messages: bytes, mailbox: str = "INBOX", flags: int = 0, address: str = ADDRESS) -> list[int]:
        async def work() -> list[int]:
            account = await self.store.account(address)
            box = await self.store.mailbox(account.id, mailbox)
            found = []
            for message in messages:
                ingest = Ingest(self.store.blobs)
                ingest.feed(message)
                content = (await ingest.finish()).content
                done = await self.store.deliver(
                    [Delivery(account.id, box.id, content, flags, 1_700_000_000, 60)], (), ()
                )
                found.append(int(done[0].uid))
            return found

        return self.call(work())

    def account(self, address: str) -> None:
        """One more, with a domain of its own if that is new."""

        async def work() -> None:
            event = Event(0, "test", TraceId("t"))
            domain = address.rpartition("@")[2]
            if domain not in {one.name for one in await self.store.domains()}:
                await self.store.add_domain(domain, event)
            await self.store.add_account(address, "", "en", _VERIFIER, 0, _MAILBOXES, event)

        self.call(work())

    def client(self, *, login: bool = True, select: str | None = None, address: str = ADDRESS) -> "Wire":
        wire = Wire(self.port, self.issued.ca if self.implicit_tls else None)
        if login:
            wire.ok(f'LOGIN "{address}" "{PASSWORD}"')
        if select is not None:
            wire.ok(f"SELECT {select}")
        return wire


class Wire:
    """Says what it is told and shows what it hears. Responses are whole, literals included, without the last CRLF."""

    def __init__(self, port: int, ca: Path | None, *, timeout_s: float = 15) -> None:
        raw = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket: socket.socket = raw
        if ca is not None:
            self.start_tls(ca)
        self._tag = 0
        self._buffer = b""
        self.greeting = self.response()

    def start_tls(self, ca: Path) -> None:
        self.socket = ssl.create_default_context(cafile=ca).wrap_socket(self.socket, server_hostname="localhost")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(self._buffer)
        self._buffer += data

    def line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._more()
        line, self._buffer = self._buffer[: end + 2], self._buffer[end + 2 :]
        return line

    def octets(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def response(self) -> bytes:
        whole = self.line()
        while (literal := re.search(rb"\{(\d+)\}\r\n\Z", whole)) is not None:
            whole += self.octets(int(literal[1])) + self.line()
        return whole.removesuffix(b"\r\n")

    def run(self, command: str | bytes, *literals: bytes) -> tuple[list[bytes], bytes]:
        """Untagged responses, and the tagged one without its tag. `{}` in the command stand for the literals."""
        self._tag += 1
        tag = b"t%d" % self._tag
        text = command.encode() if isinstance(command, str) else command
        for literal in literals:
            before, _, text = text.partition(b"{}")
            self.send((tag + b" " if tag else b"") + before + b"{%d}\r\n" % len(literal))
            tag = b""
            answer = self.response()
            if not answer.startswith(b"+"):
                return [], answer.split(b" ", 1)[1]
            self.send(literal)
        self.send((tag + b" " if tag else b"") + text + b"\r\n")
        return self.collect(b"t%d" % self._tag)

    def collect(self, tag: bytes) -> tuple[list[bytes], bytes]:
        untagged: list[bytes] = []
        while True:
            response = self.response()
            if response.startswith(tag + b" "):
                return untagged, response.split(b" ", 1)[1]
            untagged.append(response)

    def ok(self, command: str | bytes, *literals: bytes) -> list[bytes]:
        untagged, tagged = self.run(command, *literals)
        assert tagged.startswith(b"OK"), (command, untagged, tagged)
        return untagged

    def no(self, command: str | bytes, *literals: bytes) -> bytes:
        untagged, tagged = self.run(command, *literals)
        assert tagged.startswith(b"NO"), (command, untagged, tagged)
        return tagged

    def bad(self, command: str | bytes) -> bytes:
        untagged, tagged = self.run(command)
        assert tagged.startswith(b"BAD"), (command, untagged, tagged)
        return tagged

    def append(self, message: bytes, mailbox: str = "INBOX", flags: str = "") -> bytes:
        untagged, tagged = self.run(f"APPEND {mailbox} {f'({flags}) ' if flags else ''}{{}}", message)
        assert tagged.startswith(b"OK"), (untagged, tagged)
        return tagged


def message(subject: str = "Hello", body: bytes = b"How are you?\r\n", more: Sequence[str] = ()) -> bytes:
    fields = [
        "From: Grace <grace@example.net>",
        f"To: {ADDRESS}",
        f"Subject: {subject}",
        "Date: Tue, 14 Nov 2023 22:13:20 +0100",
        f"Message-ID: <{abs(hash((subject, body)))}@example.net>",
        *more,
    ]
    return "\r\n".join(fields).encode() + b"\r\n\r\n" + body
