"""A web server on loopback that says whatever a test wants, over TLS."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable

Answers = Callable[[str], bytes]
"""By the request's path, what is written back as it is."""


def page(body: bytes, *, status: str = "200 OK", kind: str = "text/plain", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


class Web:
    def __init__(self) -> None:
        self.answer: Answers = lambda _: page(b"")
        self.requests: list[str] = []
        self.hangs = False
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(head)
            if self.hangs:
                await reader.read()
            writer.write(self.answer(head.split(" ")[1]))
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def web(context: ssl.SSLContext, address: str = "127.0.0.1") -> AsyncIterator[Web]:
    made = Web()
    server = await asyncio.start_server(made.serve, address, 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await asyncio.sleep(0)
