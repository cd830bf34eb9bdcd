"""The generator's IMAP client. Tags are chosen so that they occur in no message, so the end of an answer is one search."""

import re
import ssl
from collections.abc import Iterator

from bench.sut import DOMAIN, PASSWORD
from bench.wire import RefusedError, Skimmed, Stop, Wire, connect, line_stop

_STATUS_MESSAGES = re.compile(rb"MESSAGES (\d+)")
_EXISTS = re.compile(rb"^\* (\d+) EXISTS\r\n", re.MULTILINE)
_COUNTER_BASE = 1000  # so that all tags have the same length for a long time


def tagged_stop(tag: bytes) -> Stop:
    """The end of the line that starts with `tag` and a space."""
    first = tag + b" "
    later = b"\r\n" + first

    def stop(buffer: bytearray, start: int) -> int:
        at = 0 if start == 0 and buffer.startswith(first) else buffer.find(later, start)
        if at < 0:
            return -1
        end = buffer.find(b"\r\n", at + 2)
        return -1 if end < 0 else end + 2

    return stop


def _continuation_stop(buffer: bytearray, start: int) -> int:
    """The end of a `+` line. Used where the server has nothing else to say."""
    return line_stop(buffer, start) if buffer.startswith(b"+") else -1


class ImapClient:
    """One IMAP connection, logged in."""

    __slots__ = ("_tags", "literal_plus", "wire")

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.literal_plus = False
        self._tags = _tag_names()

    @classmethod
    async def open(cls, port: int, context: ssl.SSLContext | None, user: str) -> "ImapClient":
        """Connect, inside TLS if a context is given, and log in."""
        client = cls(await connect(port, context))
        with client.wire.closed_on_error():
            greeting = await client.wire.keep(line_stop)
            if not greeting.startswith(b"* OK"):
                raise RefusedError(greeting.decode("ascii", "replace"))
            answer = await client.ask(f"LOGIN {user}@{DOMAIN} {PASSWORD}".encode("ascii"))
            if b"CAPABILITY" not in answer:
                answer = await client.ask(b"CAPABILITY")
            client.literal_plus = b"LITERAL+" in answer.upper()
        return client

    async def ask(self, command: bytes) -> bytes:
        """The whole answer to one command. Raises `RefusedError` unless it is OK."""
        tag = next(self._tags)
        self.wire.write(tag + b" " + command + b"\r\n")
        answer = await self.wire.keep(tagged_stop(tag))
        _check(tag, answer, command)
        return answer

    async def skim(self, command: bytes, pattern: bytes = b" FETCH (") -> Skimmed:
        """Size of the answer and occurrences of `pattern`, without keeping the answer."""
        tag = next(self._tags)
        self.wire.write(tag + b" " + command + b"\r\n")
        seen = await self.wire.skim(tagged_stop(tag), pattern)
        _check(tag, seen.tail, command)
        return seen

    async def append(self, mailbox: bytes, message: bytes) -> None:
        """APPEND; one write where the server has LITERAL+, else it waits for the go-ahead."""
        tag = next(self._tags)
        command = b"%b APPEND %b {%d" % (tag, mailbox, len(message))
        if self.literal_plus:
            self.wire.write(b"%b+}\r\n%b\r\n" % (command, message))
        else:
            self.wire.write(command + b"}\r\n")
            await self.wire.keep(_continuation_stop)
            self.wire.write(message + b"\r\n")
        answer = await self.wire.keep(tagged_stop(tag))
        _check(tag, answer, b"APPEND")

    async def append_batch(self, mailbox: bytes, messages: list[bytes]) -> None:
        """Several messages, pipelined where LITERAL+ allows it. To fill mailboxes, not to measure."""
        if not self.literal_plus:
            for message in messages:
                await self.append(mailbox, message)
            return
        tags = [next(self._tags) for _ in messages]
        for tag, message in zip(tags, messages, strict=True):
            self.wire.write(b"%b APPEND %b {%d+}\r\n%b\r\n" % (tag, mailbox, len(message), message))
        for tag in tags:
            _check(tag, await self.wire.keep(tagged_stop(tag)), b"APPEND")

    async def select(self, mailbox: bytes = b"INBOX") -> int:
        """SELECT; the number of messages."""
        answer = await self.ask(b"SELECT " + mailbox)
        found = _EXISTS.search(answer)
        if found is None:
            raise RefusedError(answer.decode("ascii", "replace"))
        return int(found.group(1))

    async def count(self, mailbox: bytes = b"INBOX") -> int:
        """How many messages STATUS sees."""
        answer = await self.ask(b"STATUS " + mailbox + b" (MESSAGES)")
        found = _STATUS_MESSAGES.search(answer)
        if found is None:
            raise RefusedError(answer.decode("ascii", "replace"))
        return int(found.group(1))

    async def idle(self) -> None:
        """Send IDLE and wait for the go-ahead; the connection then only listens."""
        tag = next(self._tags)
        self.wire.write(tag + b" IDLE\r\n")
        await self.wire.keep(_continuation_stop)

    async def logout(self) -> None:
        """LOGOUT, wait for the answer, close."""
        await self.ask(b"LOGOUT")
        self.wire.close()

    def close(self) -> None:
        self.wire.close()


def _tag_names() -> Iterator[bytes]:
    number = _COUNTER_BASE
    while True:
        number += 1
        yield b"zq%d" % number


def _check(tag: bytes, answer: bytes, command: bytes) -> None:
    last = answer[answer.rfind(tag + b" ") :]
    if not last.startswith(tag + b" OK"):
        raise RefusedError(f"{command[:60]!r} got {last[:200]!r}")
