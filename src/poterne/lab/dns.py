"""The lab's name server: authoritative for the lab's zones, over UDP and TCP, and for nothing else.

It follows aliases and wildcards inside its zones. Names can be made to fail (`Trouble`), and zones can count as proven by DNSSEC:
then the AD bit is set for whoever asks for it, as a validating resolver does.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
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
MAX_ALIASES: Final = 16


@dataclass(frozen=True, slots=True)
class Trouble:
    """How a name fails. `rcode`: instead of an answer. `silent`: no answer. `truncated`: over UDP, so that TCP is asked."""

    rcode: dns.rcode.Rcode | None = None
    silent: bool = False
    truncated: bool = False
    delay_s: float = 0.0


_NO_TROUBLE: Final = Trouble()


@final
class Zones:
    """Answers queries from zone texts. `secure`: the origins that count as proven."""

    def __init__(self, texts: Mapping[str, str], *, secure: Collection[str] = ()) -> None:
        self._zones: Final[dict[dns.name.Name, dns.zone.Zone]] = {}
        self._secure: Final = {dns.name.from_text(origin) for origin in secure}
        self._troubles: Final[dict[tuple[dns.name.Name, dns.rdatatype.RdataType | None], Trouble]] = {}
        for origin, text in texts.items():
            self.put(origin, text)

    def put(self, origin: str, text: str, *, secure: bool = False) -> None:
        """Add a zone, or replace it. `secure`: from now on it counts as proven."""
        name = dns.name.from_text(origin)
        self._zones[name] = dns.zone.from_text(text, origin=origin, relativize=False)
        if secure:
            self._secure.add(name)

    def trouble(self, name: str, trouble: Trouble | None, rdtype: str | None = None) -> None:
        """From now on this name fails so, for one type or for all; None: no longer."""
        key = (dns.name.from_text(name), None if rdtype is None else dns.rdatatype.from_text(rdtype))
        if trouble is None:
            self._troubles.pop(key, None)
        else:
            self._troubles[key] = trouble

    def trouble_of(self, query: bytes) -> Trouble:
        """How the name in a query fails."""
        if not self._troubles:
            return _NO_TROUBLE
        try:
            question = dns.message.from_wire(query).question[0]
        except (dns.exception.DNSException, ValueError, IndexError):
            return _NO_TROUBLE
        found = self._troubles.get((question.name, question.rdtype))
        return found or self._troubles.get((question.name, None)) or _NO_TROUBLE

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
        asks_for_proof = bool(query.flags & dns.flags.AD or query.ednsflags & dns.flags.DO)
        if self._fill(reply, query.question[0]) and asks_for_proof:
            reply.flags |= dns.flags.AD
        return reply

    def _fill(self, reply: dns.message.Message, question: dns.rrset.RRset) -> bool:
        """Is what was found proven?"""
        if question.rdclass != dns.rdataclass.IN or self._zone_of(question.name) is None:
            reply.set_rcode(dns.rcode.REFUSED)
            return False
        reply.flags |= dns.flags.AA
        name, secure = question.name, True
        for _ in range(MAX_ALIASES):
            zone = self._zone_of(name)
            if zone is None:
                break
            secure = secure and zone.origin in self._secure
            found, alias = _find(zone, name, question.rdtype), _find(zone, name, dns.rdatatype.CNAME)
            if found is None and alias is None:
                self._deny(reply, zone, name)
            if found is not None or alias is None:
                reply.answer += [found] if found is not None else []
                break
            reply.answer.append(alias)
            name = alias[0].target
        return secure

    @staticmethod
    def _deny(reply: dns.message.Message, zone: dns.zone.Zone, name: dns.name.Name) -> None:
        if _node_name(zone, name) is None and not any(known.is_subdomain(name) for known in zone.nodes):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        soa = zone.get_rrset(zone.origin or dns.name.root, dns.rdatatype.SOA)
        if soa is not None:
            reply.authority.append(soa)

    def wire(self, query: bytes, *, udp: bool) -> bytes | None:
        """The reply as octets. Over UDP no longer than the asker takes, and never over UDP_OCTETS: then it is truncated."""
        reply = self.answer(query)
        if reply is None:
            return None
        trouble = self.trouble_of(query)
        if trouble.rcode is not None:
            reply.answer, reply.authority = [], []
            reply.set_rcode(trouble.rcode)
        try:
            if trouble.truncated and udp:
                raise dns.exception.TooBig  # noqa: TRY301  (as if it were)
            return reply.to_wire(max_size=min(UDP_OCTETS, reply.request_payload or 512) if udp else 65_535)
        except dns.exception.TooBig:
            reply.answer, reply.authority = [], []
            reply.flags |= dns.flags.TC
            return reply.to_wire()

    def _zone_of(self, name: dns.name.Name) -> dns.zone.Zone | None:
        best = max((o for o in self._zones if name.is_subdomain(o)), key=lambda o: len(o.labels), default=None)
        return None if best is None else self._zones[best]


def _node_name(zone: dns.zone.Zone, name: dns.name.Name) -> dns.name.Name | None:
    """The name itself, or the wildcard that stands for it (RFC 4592)."""
    if zone.get_node(name) is not None:
        return name
    above = name
    while zone.origin is not None and above != zone.origin:
        above = above.parent()
        star = dns.name.Name((b"*", *above.labels))
        if zone.get_node(star) is not None:
            return star
        if zone.get_node(above) is not None:  # the closest encloser: wildcards above it do not reach here
            return None
    return None


def _find(zone: dns.zone.Zone, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> dns.rrset.RRset | None:
    node = _node_name(zone, name)
    found = None if node is None else zone.get_rrset(node, rdtype)
    if found is not None and node != name:
        return dns.rrset.from_rdata_list(name, found.ttl, list(found))
    return found


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
        trouble = self._zones.trouble_of(data)
        if trouble.silent:
            return
        if trouble.delay_s:
            asyncio.get_running_loop().call_later(trouble.delay_s, self._send, data, addr)
        else:
            self._send(data, addr)

    def _send(self, data: bytes, addr: tuple[str, int]) -> None:
        wire = self._zones.wire(data, udp=True)
        if wire is not None and self._transport is not None and not self._transport.is_closing():
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
                    query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                trouble = self._zones.trouble_of(query)
                wire = None if trouble.silent else self._zones.wire(query, udp=False)
                if wire is None:
                    break
                await asyncio.sleep(trouble.delay_s)
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
