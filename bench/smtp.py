"""The generator's SMTP client: one transaction is two writes and two waits, as a careful sending server with PIPELINING does."""

import base64
import re
import ssl
from collections.abc import Sequence

from bench.sut import DOMAIN, PASSWORD
from bench.wire import RefusedError, Stop, Wire, connect, line_stop

_LAST_LINE = re.compile(rb"^\d{3} [^\r\n]*\r\n", re.MULTILINE)
_SENDER = "sender@example.net"
_NAME = "client.example.net"


def replies_stop(count: int) -> Stop:
    """The end of the `count`-th reply; the lines `250-…` of one reply do not count."""

    def stop(buffer: bytearray, _start: int) -> int:
        for found, match in enumerate(_LAST_LINE.finditer(buffer), 1):
            if found == count:
                return match.end()
        return -1

    return stop


_ONE_REPLY = replies_stop(1)


def codes(answer: bytes) -> list[int]:
    """The codes of the replies in `answer`."""
    return [int(match.group()[:3]) for match in _LAST_LINE.finditer(answer)]


def envelope(recipients: Sequence[str], sender: str = _SENDER) -> bytes:
    """MAIL, RCPT… and DATA in one piece."""
    to = "".join(f"RCPT TO:<{name}@{DOMAIN}>\r\n" for name in recipients)
    return f"MAIL FROM:<{sender}>\r\n{to}DATA\r\n".encode("ascii")


class SmtpClient:
    """One SMTP connection after EHLO."""

    __slots__ = ("_wire",)

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    @classmethod
    async def open(
        cls, port: int, *, starttls: ssl.SSLContext | None = None, source: str = "", name: str = _NAME
    ) -> "SmtpClient":
        """Connect (from a loopback address), greet, and continue inside TLS if a context is given."""
        hello = f"EHLO {name}\r\n".encode("ascii")
        wire = await connect(port, source=source)
        client = cls(wire)
        with wire.closed_on_error():
            _expect(220, await wire.keep(_ONE_REPLY))
            await client._ask(hello, 250)
            if starttls is not None:
                await client._ask(b"STARTTLS\r\n", 220)
                await wire.start_tls(starttls)
                await client._ask(hello, 250)
        return client

    @classmethod
    async def submit(cls, port: int, context: ssl.SSLContext, user: str) -> "SmtpClient":
        """Connect inside TLS, greet, sign in."""
        wire = await connect(port, context)
        client = cls(wire)
        with wire.closed_on_error():
            _expect(220, await wire.keep(_ONE_REPLY))
            await client._ask(b"EHLO client.example.net\r\n", 250)
            token = base64.b64encode(f"\0{user}@{DOMAIN}\0{PASSWORD}".encode())
            await client._ask(b"AUTH PLAIN " + token + b"\r\n", 235)
        return client

    async def _ask(self, command: bytes, code: int) -> None:
        self._wire.write(command)
        _expect(code, await self._wire.keep(_ONE_REPLY))

    async def send(self, opening: bytes, recipients: int, message: bytes) -> None:
        """One transaction; returns when it is acknowledged. `message` is dot-stuffed and ends with the dot line."""
        self._wire.write(opening)
        answer = await self._wire.keep(replies_stop(recipients + 2))
        if codes(answer)[-1] != 354 or answer.count(b"250 ") < recipients + 1:
            raise RefusedError(answer.decode("ascii", "replace"))
        self._wire.write(message)
        _expect(250, await self._wire.keep(_ONE_REPLY))

    async def quit(self) -> None:
        """QUIT, wait for the answer, close."""
        self._wire.write(b"QUIT\r\n")
        await self._wire.keep(line_stop)
        self._wire.close()

    def close(self) -> None:
        self._wire.close()


def data(message: bytes) -> bytes:
    """A message as DATA carries it."""
    if message.startswith(b".") or b"\r\n." in message:
        message = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:]
    return message + b".\r\n"


def _expect(code: int, answer: bytes) -> None:
    if codes(answer) != [code]:
        raise RefusedError(answer.decode("ascii", "replace"))
