"""A mail exchanger that keeps what it takes, and behaves as badly as its `Manner` says.

It is somebody else's server, for our client to meet: it speaks just enough SMTP (RFC 5321, STARTTLS, PIPELINING), lists no
mailboxes and trusts nobody. What it holds is bounded: lines, messages, recipients, connections, time.
"""

import asyncio
import contextlib
import re
import socket
import ssl
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Final, final

from poterne.lab.taken import Shelf

LINE_MOST: Final = 4_096
MESSAGE_MOST: Final = 8 * 1024 * 1024
RECIPIENTS_MOST: Final = 1_000
CONNECTIONS_MOST: Final = 50
REMEMBERED_MOST: Final = 1_000
"""Pairs of sender and recipient that greylisting knows."""
IDLE_S: Final = 300.0
READ_OCTETS: Final = 65_536
EXTENSIONS: Final = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
SEVEN_BIT: Final = ("PIPELINING", "ENHANCEDSTATUSCODES")
_PATH: Final = re.compile(r"[^<]*<([^>]*)>")
_BAD_ORDER: Final = "503 5.5.1 not now"


@dataclass(frozen=True, slots=True)
class Manner:
    """How it behaves. `replies`: instead of the usual ones, by command word. `grey_s`: how long a new pair is sent away."""

    extensions: tuple[str, ...] = EXTENSIONS
    replies: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    """Before each answer."""
    grey_s: float = 0.0
    silent: bool = False
    """It never greets."""
    reset_at_end: bool = False
    """It takes the message, and breaks the connection instead of saying so."""


class _GoneError(Exception):
    """The conversation is over."""


@final
class Sink:
    """One exchanger. With `context` it offers STARTTLS."""

    def __init__(
        self,
        hostname: str,
        manner: Manner,
        shelf: Shelf,
        context: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.hostname: Final = hostname
        self.manner: Final = manner
        self.shelf: Final = shelf
        self.context: Final = context
        self._clock: Final = clock
        self._first_seen: Final[dict[tuple[str, str], float]] = {}
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, address: str, port: int) -> None:
        """Raises OSError when it can't listen there."""
        self._server = await asyncio.start_server(self._accepted, address, port)

    async def close(self) -> None:
        """End all conversations."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def too_soon(self, reverse_path: str, recipient: str) -> bool:
        """Is this pair new, or back before its time?"""
        if not self.manner.grey_s:
            return False
        now, pair = self._clock(), (reverse_path, recipient)
        first = self._first_seen.setdefault(pair, now)
        if len(self._first_seen) > REMEMBERED_MOST:
            del self._first_seen[next(iter(self._first_seen))]
        return now - first < self.manner.grey_s

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  (a server's callback is one)
        self._tasks.add(task)
        try:
            if len(self._tasks) > CONNECTIONS_MOST:
                writer.write(b"421 4.3.2 too many of you\r\n")
                return
            await _Conversation(self, reader, writer).run()
        except (_GoneError, OSError, TimeoutError, ssl.SSLError, asyncio.CancelledError):
            pass  # also when the lab closes: the task ends here, and the standard library would complain of a cancelled one
        finally:
            self._tasks.discard(task)
            with contextlib.suppress(OSError):
                writer.close()


@final
class _Conversation:
    def __init__(self, sink: Sink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._sink: Final = sink
        self._manner: Final = sink.manner
        self._reader: Final = reader
        self._writer: Final = writer
        self._pending: Final = bytearray()
        self._helo = ""
        self._tls = ""
        self._reverse_path: str | None = None
        self._recipients: list[str] = []
        self._commands: Final[Mapping[str, Callable[[str], Awaitable[None]]]] = {
            "HELO": self._hello,
            "EHLO": self._hello,
            "STARTTLS": self._starttls,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
        }

    async def run(self) -> None:
        if self._manner.silent:
            while True:
                await self._more()
        await self._say(f"220 {self._sink.hostname} ESMTP")
        while True:
            line = await self._line()
            word = line.split(" ", 1)[0].upper()
            if word == "QUIT":
                await self._say("221 2.0.0 bye")
                return
            if (reply := self._manner.replies.get(word)) is not None:
                await self._say(reply)
            elif (command := self._commands.get(word)) is not None:
                await command(line)
            elif word in {"RSET", "NOOP"}:
                if word == "RSET":
                    self._forget()
                await self._say("250 2.0.0 ok")
            else:
                await self._say("500 5.5.2 what?")

    # -- the wire ------------------------------------------------------------------------------------------------------

    async def _more(self) -> None:
        async with asyncio.timeout(IDLE_S):
            data = await self._reader.read(READ_OCTETS)
        if not data:
            raise _GoneError
        if not self._manner.silent:
            self._pending.extend(data)

    async def _line(self) -> str:
        while (end := self._pending.find(b"\r\n")) < 0:
            if len(self._pending) > LINE_MOST:
                await self._say("500 5.5.2 line too long")
                raise _GoneError
            await self._more()
        line = self._pending[:end].decode("utf-8", "replace")
        del self._pending[: end + 2]
        return line

    async def _say(self, reply: str) -> None:
        if self._manner.delay_s:
            await asyncio.sleep(self._manner.delay_s)
        self._writer.write(reply.encode() + b"\r\n")
        async with asyncio.timeout(IDLE_S):
            await self._writer.drain()

    # -- commands ------------------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        self._reverse_path, self._recipients = None, []

    async def _hello(self, line: str) -> None:
        self._helo = line[5:]
        self._forget()
        said = [self._sink.hostname]
        if line[:4].upper() == "EHLO":
            said += [*self._manner.extensions, f"SIZE {MESSAGE_MOST}"]
            if self._sink.context is not None and not self._tls:
                said.append("STARTTLS")
            if self._tls:
                said.append("REQUIRETLS")  # kept without effort: nothing goes on from here (RFC 8689 §4.4)
        await self._say("\r\n".join(f"250{' ' if each is said[-1] else '-'}{each}" for each in said))

    async def _starttls(self, _line: str) -> None:
        context = self._sink.context
        if context is None or self._tls:
            await self._say("502 5.5.1 no")
            return
        if self._pending:  # put in before the encryption by somebody on the way, perhaps
            raise _GoneError
        await self._say("220 2.0.0 go ahead")
        await self._writer.start_tls(context)
        self._tls = self._writer.get_extra_info("ssl_object").version() or "TLS"
        self._helo = ""
        self._forget()

    async def _mail(self, line: str) -> None:
        found = _PATH.match(line)
        if found is None or self._reverse_path is not None:
            await self._say(_BAD_ORDER if found else "501 5.1.7 what sender?")
            return
        parameters = line[found.end() :].upper().split()
        taken = self._manner.extensions
        if ("SMTPUTF8" in parameters and "SMTPUTF8" not in taken) or (
            "BODY=8BITMIME" in parameters and "8BITMIME" not in taken
        ):
            await self._say("555 5.5.4 that was not offered")
            return
        self._reverse_path = found[1]
        await self._say("250 2.1.0 sender ok")

    async def _rcpt(self, line: str) -> None:
        found = _PATH.match(line)
        if found is None or self._reverse_path is None:
            await self._say(_BAD_ORDER if found else "501 5.1.3 what recipient?")
        elif len(self._recipients) >= RECIPIENTS_MOST:
            await self._say("452 4.5.3 too many recipients")
        elif self._sink.too_soon(self._reverse_path, found[1]):
            await self._say("451 4.7.1 greylisted: come back in a while")
        else:
            self._recipients.append(found[1])
            await self._say("250 2.1.5 recipient ok")

    async def _data(self, _line: str) -> None:
        if self._reverse_path is None or not self._recipients:
            await self._say(_BAD_ORDER)
            return
        await self._say("354 go ahead")
        text = await self._message()
        if "8BITMIME" not in self._manner.extensions and not text.isascii():
            await self._say("554 5.6.3 eight bits were not offered")
        else:
            number = self._sink.shelf.put(self._reverse_path, self._recipients, self._tls, (self._trace(), text))
            if self._manner.reset_at_end:
                self._reset()
            await self._say(f"250 2.0.0 taken as {number}")
        self._forget()

    async def _message(self) -> bytes:
        """With its dots unstuffed. The end is searched over the CRLF before the first line too: a message may be empty."""
        self._pending[:0] = b"\r\n"
        start = 0
        while (end := self._pending.find(b"\r\n.\r\n", start)) < 0:
            if len(self._pending) > MESSAGE_MOST:
                await self._say("552 5.3.4 too large")
                raise _GoneError
            start = max(0, len(self._pending) - 4)
            await self._more()
        text = bytes(self._pending[: end + 2])
        del self._pending[: end + 5]
        return text.replace(b"\r\n.", b"\r\n")[2:]

    def _trace(self) -> bytes:
        """The envelope, as final delivery notes it (RFC 5321 §4.4)."""
        how = f"with ESMTPS ({self._tls})" if self._tls else "with ESMTP (not encrypted)"
        lines = [
            f"Return-Path: <{self._reverse_path}>",
            *(f"Delivered-To: {recipient}" for recipient in self._recipients),
            f"Received: from {self._helo} by {self._sink.hostname} {how}; {formatdate()}",
        ]
        return "".join(re.sub(r"[\x00-\x1f\x7f]", "?", line) + "\r\n" for line in lines).encode()

    def _reset(self) -> None:
        connection: socket.socket = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        raise _GoneError
