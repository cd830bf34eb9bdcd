"""The generator's POP3 client."""

import ssl

from bench.sut import DOMAIN, PASSWORD
from bench.wire import RefusedError, Skimmed, Wire, connect, line_stop


def body_stop(buffer: bytearray, start: int) -> int:
    """The end of a multi-line answer whose first line has been read and which is not empty."""
    at = buffer.find(b"\r\n.\r\n", start)
    return -1 if at < 0 else at + 5


class Pop3Client:
    """One POP3 connection logged in."""

    __slots__ = ("_wire",)

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    @classmethod
    async def open(cls, port: int, context: ssl.SSLContext | None, user: str) -> "Pop3Client":
        client = cls(await connect(port, context))
        with client._wire.closed_on_error():
            _check(await client._wire.keep(line_stop))
            await client.ask(f"USER {user}@{DOMAIN}".encode("ascii"))
            await client.ask(f"PASS {PASSWORD}".encode("ascii"))
        return client

    async def ask(self, command: bytes) -> bytes:
        """The one-line answer. Raises `RefusedError` unless it is +OK."""
        self._wire.write(command + b"\r\n")
        answer = await self._wire.keep(line_stop)
        _check(answer)
        return answer

    async def count(self) -> int:
        """How many messages STAT sees."""
        return int((await self.ask(b"STAT")).split()[1])

    async def retrieve(self, number: int) -> Skimmed:
        """RETR, the message thrown away."""
        self._wire.write(b"RETR %d\r\n" % number)
        _check(await self._wire.keep(line_stop))
        return await self._wire.skim(body_stop, b"\r\n")

    async def quit(self) -> None:
        await self.ask(b"QUIT")
        self._wire.close()

    def close(self) -> None:
        self._wire.close()


def _check(answer: bytes) -> None:
    if not answer.startswith(b"+OK"):
        raise RefusedError(answer.decode("ascii", "replace"))
