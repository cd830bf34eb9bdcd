"""Name servers on loopback: the lab's, from zones, and one that answers whatever a test says."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Sequence

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from poterne.config.dns import Dns
from poterne.lab.dns import NameServer, Zones
from poterne.net.dns.resolver import StubResolver
from tests.support.lines import Lines

Replies = Callable[[bytes, bool], Sequence[bytes]]
"""(query, by UDP?) -> what is sent back, in this order."""


def free_dns_port() -> int:
    """Free for UDP and for TCP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            with contextlib.suppress(OSError):
                tcp.bind(("127.0.0.1", udp.getsockname()[1]))
                port: int = udp.getsockname()[1]
                return port


@contextlib.asynccontextmanager
async def zones_served(zones: Zones) -> AsyncIterator[int]:
    port = free_dns_port()
    server = NameServer(zones, "127.0.0.1", port)
    await server.start()
    try:
        yield port
    finally:
        server.close()


def stub(*ports: int, log: Lines | None = None, **settings: object) -> StubResolver:
    dns_settings = Dns(servers=[f"127.0.0.1:{port}" for port in ports], **settings)  # type: ignore[arg-type]
    return StubResolver(dns_settings, log or Lines())


class RawServer(asyncio.DatagramProtocol):
    """Sends what `replies` says, and remembers what it was asked."""

    def __init__(self, replies: Replies) -> None:
        self.replies = replies
        self.udp: list[bytes] = []
        self.tcp: list[bytes] = []
        self.stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.from_stranger: Replies | None = None
        """What another socket of this machine sends to the asker, before the server answers."""

    @property
    def asked(self) -> int:
        return len(self.udp) + len(self.tcp)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.udp.append(data)
        if self.from_stranger is not None:
            for reply in self.from_stranger(data, True):
                self.stranger.sendto(reply, addr)
        for reply in self.replies(data, True):
            self.transport.sendto(reply, addr)  # type: ignore[attr-defined]

    async def serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            query = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
            self.tcp.append(query)
            for reply in self.replies(query, False):
                writer.write(len(reply).to_bytes(2) + reply)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def raw_server(replies: Replies, *, tcp: bool = True) -> AsyncIterator[tuple[RawServer, int]]:
    loop, port = asyncio.get_running_loop(), free_dns_port()
    server = RawServer(replies)
    transport, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", port))
    listener = await asyncio.start_server(server.serve_tcp, "127.0.0.1", port) if tcp else None
    try:
        yield server, port
    finally:
        transport.close()
        server.stranger.close()
        if listener is not None:
            listener.close()
        await asyncio.sleep(0)


def response(
    query: bytes,
    *records: str,
    authority: Sequence[str] = (),
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
    ad: bool = False,
) -> dns.message.Message:
    """A recursive server's answer. Records are `name ttl type data`."""
    reply = dns.message.make_response(dns.message.from_wire(query), recursion_available=True)
    reply.set_rcode(rcode)
    for section, lines in ((reply.answer, records), (reply.authority, authority)):
        for line in lines:
            name, ttl, rdtype, data = line.split(" ", 3)
            section.append(dns.rrset.from_text(name, int(ttl), "IN", rdtype, data))
    if ad:
        reply.flags |= dns.flags.AD
    return reply


def answering(*records: str, **how: object) -> Replies:
    """The same answer to every question."""
    return lambda query, _: [response(query, *records, **how).to_wire(max_size=65_535)]  # type: ignore[arg-type]


def silent(_query: bytes, _udp: bool) -> list[bytes]:
    return []
