"""The lab's MTA-STS policy hosts: one HTTPS server that has the policy of each domain, and nothing else (RFC 8461 §3.3)."""

import asyncio
import contextlib
import re
import ssl
from collections.abc import Mapping
from typing import Final, final

PATH: Final = "/.well-known/mta-sts.txt"
PREFIX: Final = "mta-sts."
REQUEST_S: Final = 10.0
_HEAD_MOST: Final = 8_192
_HOST: Final = re.compile(r"(?im)^host:[ \t]*([a-z0-9.-]{1,255})(?::[0-9]+)?[ \t]*\r$")


def enforce(exchanger: str) -> str:
    """The policy of a domain that has this server, and wants it verified."""
    return f"version: STSv1\r\nmode: enforce\r\nmx: {exchanger}\r\nmax_age: 86400\r\n"


@final
class PolicyHosts:
    """`policies` by domain."""

    def __init__(self, policies: Mapping[str, str], context: ssl.SSLContext) -> None:
        self._policies: Final = policies
        self._context: Final = context
        self._server: asyncio.Server | None = None

    async def start(self, address: str, port: int) -> None:
        """Raises OSError when it can't listen there."""
        self._server = await asyncio.start_server(
            self._serve, address, port, ssl=self._context, limit=_HEAD_MOST, ssl_handshake_timeout=REQUEST_S
        )

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    def answer(self, head: str) -> bytes:
        """The reply to a request."""
        host = _HOST.search(head)
        policy = None
        if head.startswith(f"GET {PATH} ") and host is not None and host[1].lower().startswith(PREFIX):
            policy = self._policies.get(host[1].lower().removeprefix(PREFIX))
        body = (policy or "There is nothing here.\r\n").encode()
        status = "200 OK" if policy is not None else "404 Not Found"
        return (
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode() + body

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(
                asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError, asyncio.CancelledError
            ):
                async with asyncio.timeout(REQUEST_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self.answer(head.decode("latin-1")))
                    await writer.drain()
        finally:
            writer.close()
