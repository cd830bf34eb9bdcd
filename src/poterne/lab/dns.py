"""The lab's name server: authoritative for the lab's zones, over UDP and TCP, and for nothing else."""

import asyncio
from collections.abc import Mapping
from typing import Final, final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zone

UDP_OCTETS: Final = 1232
"""Answers longer than that go by TCP (the DNS flag day's number)."""
TCP_IDLE_S: Final = 10.0


@final
class Zones:
    """Answers queries from zone texts."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._zones: Final = {
            dns.name.from_text(origin): dns.zone.from_text(text, origin=origin, relativize=False)
            for origin, text in texts.items()
        }

    def answer(self, wire: bytes) -> dns.message.Message | None:
        """The reply to a query; None for what is not one."""
        try:
            query = dns.message.from_wire(wire)
            if query.flags & dns.flags.QR:
                return None
            reply = dns.message.make_response(query)
        except (dns.exception.DNSException, ValueError):
            return None
        if query.opcode() != dns.opcode.QUERY or len(query.question) != 1 or _is_meta(query.question[0].rdtype):
            reply.set_rcode(dns.rcode.NOTIMP)
            return reply
        self._fill(reply, query.question[0])
        return reply

    def _fill(self, reply: dns.message.Message, question: dns.rrset.RRset) -> None:
        zone = self._zone_of(question.name)
        if zone is None or question.rdclass != dns.rdataclass.IN:
            reply.set_rcode(dns.rcode.REFUSED)
            return
        reply.flags |= dns.flags.AA
        node = zone.get_node(question.name)
        found = zone.get_rrset(question.name, question.rdtype) if node is not None else None
        alias = zone.get_rrset(question.name, dns.rdatatype.CNAME) if node is not None else None
        if found is not None:
            reply.answer.append(found)
        elif alias is not None:
            reply.answer.append(alias)
        else:
            if node is None and not any(name.is_subdomain(question.name) for name in zone.nodes):
                reply.set_rcode(dns.rcode.NXDOMAIN)
            soa = zone.get_rrset(zone.origin or dns.name.root, dns.rdatatype.SOA)
            if soa is not None:
                reply.authority.append(soa)

    def wire(self, query: bytes, *, udp: bool) -> bytes | None:
        """The reply as octets. Over UDP no longer than the asker takes, and never over UDP_OCTETS: then it is truncated."""
        reply = self.answer(query)
        if reply is None:
            return None
        try:
            return reply.to_wire(max_size=min(UDP_OCTETS, reply.request_payload or 512) if udp else 65_535)
        except dns.exception.TooBig:
            reply.answer, reply.authority = [], []
            reply.flags |= dns.flags.TC
            return reply.to_wire()

    def _zone_of(self, name: dns.name.Name) -> dns.zone.Zone | None:
        best = max((o for o in self._zones if name.is_subdomain(o)), key=lambda o: len(o.labels), default=None)
        return None if best is None else self._zones[best]


def _is_meta(rdtype: dns.rdatatype.RdataType) -> bool:
    """Zone transfers, ANY and their like are no types of data."""
    return dns.rdatatype.is_metatype(rdtype) or rdtype == dns.rdatatype.OPT


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, zones: Zones) -> None:
        self._zones = zones
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.DatagramTransport) or hasattr(transport, "sendto"):
            self._transport = transport  # type: ignore[assignment]  # uvloop's is no subclass

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        wire = self._zones.wire(data, udp=True)
        if wire is not None and self._transport is not None:
            self._transport.sendto(wire, addr)


@final
class NameServer:
    """The zones on one loopback address and port."""

    def __init__(self, zones: Zones, address: str, port: int) -> None:
        self._zones: Final = zones
        self._address: Final = address
        self._port: Final = port
        self._server: asyncio.Server | None = None
        self._udp: asyncio.BaseTransport | None = None

    async def start(self) -> None:
        """Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(
            lambda: _Udp(self._zones), local_addr=(self._address, self._port)
        )
        self._server = await asyncio.start_server(self._serve_tcp, self._address, self._port)

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                async with asyncio.timeout(TCP_IDLE_S):
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    wire = self._zones.wire(await reader.readexactly(size), udp=False)
                if wire is None:
                    break
                writer.write(len(wire).to_bytes(2, "big") + wire)
                await writer.drain()
        except (asyncio.IncompleteReadError, TimeoutError, OSError, asyncio.CancelledError):
            pass  # also when the lab closes: the task ends here, and the standard library would complain of a cancelled one
        finally:
            writer.close()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._udp is not None:
            self._udp.close()
