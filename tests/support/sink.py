"""An SMTP server for our client to meet, in a thread of its own: it takes mail, and does every bad thing that it is told to."""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeAlias

EXTENSIONS = ("PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")


@dataclass(frozen=True)
class Drop:
    """Say this, and hang up; `reset`: with a TCP reset."""

    say: bytes = b""
    reset: bool = False


@dataclass(frozen=True)
class Hang:
    """Say this, then nothing more, until the client goes."""

    say: bytes = b""


@dataclass(frozen=True)
class Repeat:
    """Say this for ever, until the client goes."""

    say: bytes
    every_s: float = 0.0


@dataclass(frozen=True)
class Stall:
    """Say this, and read nothing more."""

    say: bytes = b""


Act: TypeAlias = bytes | Drop | Hang | Repeat | Stall
Rule: TypeAlias = Act | Sequence[Act] | Callable[[str], Act]
"""An act, acts in turn (the last one stays), or what to do by the line."""

DEFAULTS: Mapping[str, Rule] = {
    "greeting": b"220 sink.test ESMTP\r\n",
    "HELO": b"250 sink.test\r\n",
    "STARTTLS": b"220 2.0.0 go ahead\r\n",
    "AUTH": b"235 2.7.0 welcome\r\n",
    "MAIL": b"250 2.1.0 sender ok\r\n",
    "RCPT": b"250 2.1.5 recipient ok\r\n",
    "DATA": b"354 go ahead\r\n",
    ".": b"250 2.0.0 taken as 1\r\n",
    "RSET": b"250 2.0.0 ok\r\n",
    "NOOP": b"250 2.0.0 ok\r\n",
    "QUIT": b"221 2.0.0 bye\r\n",
}


@dataclass
class Taken:
    """A message that came whole, whatever the sink answered."""

    mail: str
    rcpts: list[str]
    text: bytes
    """With its dots unstuffed."""
    tls: bool


class _GoneError(Exception):
    pass


@dataclass
class Sink:
    """`rules` by command word ("greeting", "EHLO", "." for the end of a message, "during" once 100 kB of one came)."""

    rules: Mapping[str, Rule] = field(default_factory=dict)
    extensions: Sequence[str] = EXTENSIONS
    certificate: ssl.SSLContext | None = None
    """With it STARTTLS is offered."""
    implicit_tls: bool = False
    lmtp: bool = False
    address: str = "127.0.0.1"
    taken: list[Taken] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    """All commands of all connections."""
    connections: int = 0
    resumed: int = 0
    """TLS handshakes that resumed an earlier session."""
    ended: int = 0
    """Connections that are over."""
    troubles: list[BaseException] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Self:
        self._used: dict[str, int] = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()
        assert not self.troubles, self.troubles

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        server = await asyncio.start_server(
            self._accepted, self.address, 0, limit=1 << 20, ssl=self.certificate if self.implicit_tls else None
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        for writer in self._open:
            writer.transport.abort()
        for _ in range(5):  # a transport closes its socket some callbacks later
            await asyncio.sleep(0)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            await _Session(self, reader, writer).run()
        except (_GoneError, OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except BaseException as error:  # noqa: BLE001  # told at the end of the test
            self.troubles.append(error)
        finally:
            self.ended += 1
            with contextlib.suppress(OSError):
                writer.close()
                await writer.wait_closed()
            self._open.discard(writer)

    def act(self, word: str, line: str) -> Act:
        rule = self.rules.get(word, DEFAULTS.get(word, b"500 5.5.2 what?\r\n"))
        if callable(rule):
            return rule(line)
        if isinstance(rule, bytes | Drop | Hang | Repeat | Stall):
            return rule
        at = self._used.get(word, 0)
        self._used[word] = at + 1
        return rule[min(at, len(rule) - 1)]


class _Session:
    def __init__(self, sink: Sink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sink, self.reader, self.writer = sink, reader, writer
        self.tls = sink.implicit_tls
        self.mail = ""
        self.rcpts: list[str] = []

    async def run(self) -> None:
        self._note_tls()
        await self.do("greeting")
        while True:
            line = (await self.reader.readuntil(b"\r\n"))[:-2].decode()
            self.sink.lines.append(line)
            word = line.split(" ")[0].upper()
            await self.command(word, line)
            if word == "QUIT":
                return

    def _note_tls(self) -> None:
        tls = self.writer.get_extra_info("ssl_object")
        if tls is not None:
            self.sink.resumed += tls.session_reused

    async def command(self, word: str, line: str) -> None:
        if word in {"EHLO", "LHLO"} and word not in self.sink.rules:
            offered = list(self.sink.extensions)
            if self.sink.certificate is not None and not self.tls:
                offered.append("STARTTLS")
            lines = ["sink.test", *offered]
            reply = "".join(f"250{'-' if at + 1 < len(lines) else ' '}{each}\r\n" for at, each in enumerate(lines))
            await self.say(reply.encode())
            return
        said = await self.do(word, line)
        good = said[:1] in {b"2", b"3"}
        if word == "STARTTLS" and good:
            assert self.sink.certificate is not None
            await self.writer.start_tls(self.sink.certificate)
            self.tls = True
            self._note_tls()
        elif word == "MAIL" and good:
            self.mail, self.rcpts = line, []
        elif word == "RCPT" and good:
            self.rcpts.append(line)
        elif word == "RSET":
            self.mail, self.rcpts = "", []
        elif word == "DATA" and good:
            await self.message()

    async def message(self) -> None:
        text = bytearray(b"\r\n")
        while not text.endswith(b"\r\n.\r\n"):
            piece = await self.reader.read(65536)
            if not piece:
                raise _GoneError
            text += piece
            if len(text) > 100_000 and "during" in self.sink.rules:
                await self.do("during")
        unstuffed = bytes(text[2:-3]).replace(b"\r\n..", b"\r\n.").removeprefix(b".")
        self.sink.taken.append(Taken(self.mail, self.rcpts, unstuffed, self.tls))
        for line in self.rcpts if self.sink.lmtp else [""]:
            await self.do(".", line)
        self.mail, self.rcpts = "", []

    async def do(self, word: str, line: str = "") -> bytes:
        act = self.sink.act(word, line)
        if isinstance(act, bytes):
            await self.say(act)
            return act
        await self.say(act.say)
        if isinstance(act, Drop):
            if act.reset:
                sock: socket.socket = self.writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.writer.transport.abort()
            raise _GoneError
        if isinstance(act, Stall):
            await asyncio.Event().wait()
        gone = asyncio.ensure_future(self._until_gone())
        if isinstance(act, Repeat):
            while not gone.done():
                await self.say(act.say)
                await asyncio.sleep(act.every_s)
        await gone
        raise _GoneError

    async def _until_gone(self) -> None:
        with contextlib.suppress(OSError):
            while await self.reader.read(65536):
                pass

    async def say(self, words: bytes) -> None:
        if words:
            self.writer.write(words)
            await self.writer.drain()
