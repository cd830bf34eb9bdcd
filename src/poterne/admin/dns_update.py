"""Writes the records of a domain to a name server that takes dynamic updates (RFC 2136), signed with TSIG (RFC 8945).

Theory of operation. What is there is read from that server itself, compared with what is wanted, and becomes a `Plan`, which
people see before anything is sent. Only what is ours is touched: missing records are added; a text of which one alone may be
there (SPF, DMARC, MTA-STS, TLSRPT, the key of a selector) is replaced. Nothing else is ever taken out: other records of the same
name stay, and the plan says so. The update demands that what it replaces is still there as it was read, so that nobody's change
in between is lost.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update

from poterne.admin.people import AdminError
from poterne.policy.published.dmarc_kept import at_least
from poterne.values.secret import Secret
from poterne.values.zone import ZoneRecord

QUERY_S: Final = 10.0
_KEY_FILE_MOST: Final = 16 * 1024
_KEY: Final = re.compile(
    r'key\s+"?([A-Za-z0-9._-]{1,253})"?\s*\{\s*algorithm\s+"?([A-Za-z0-9.-]+)"?\s*;\s*secret\s+"([A-Za-z0-9+/=]{16,})"\s*;\s*\}\s*;?'
)
_ALGORITHMS: Final = {
    "hmac-sha256": dns.tsig.HMAC_SHA256,
    "hmac-sha384": dns.tsig.HMAC_SHA384,
    "hmac-sha512": dns.tsig.HMAC_SHA512,
}
_ALONE: Final = {
    "spf": b"v=spf1",
    "helo": b"v=spf1",
    "dmarc": b"v=dmarc1",
    "mta-sts": b"v=stsv1",
    "tlsrpt": b"v=tlsrptv1",
    "dkim": b"",
}
"""Purposes of texts of which one alone may be at a name, and how they begin."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where updates go, and what they are signed with."""

    address: str
    port: int
    key_name: str
    algorithm: str
    secret: Secret

    @property
    def key(self) -> dns.tsig.Key:
        return dns.tsig.Key(
            dns.name.from_text(self.key_name), self.secret.reveal().decode("ascii"), _ALGORITHMS[self.algorithm]
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What an update would do."""

    zone: str
    add: tuple[ZoneRecord, ...] = ()
    remove: tuple[ZoneRecord, ...] = ()
    """What is replaced; `data` is as the server wrote it."""
    seen: tuple[ZoneRecord, ...] = ()
    """All records beside those that are replaced, and those themselves: as it must still be (RFC 2136 §2.4.2)."""
    kept: tuple[str, ...] = ()
    """Records beside ours that are not ours: they stay."""
    blocked: tuple[ZoneRecord, ...] = ()
    """Can't be added beside what is there: an alias and other records exclude each other."""
    elsewhere: tuple[ZoneRecord, ...] = ()
    """In zones that this server does not have."""

    @property
    def empty(self) -> bool:
        return not self.add and not self.remove


def key_of(path: Path) -> tuple[str, str, Secret]:
    """Name, algorithm and secret of a file as tsig-keygen writes it. Raises AdminError."""
    try:
        if path.stat().st_mode & 0o007:
            raise AdminError(f"{path} can be read by every user of this machine: chmod 600 {path}")
        with path.open(encoding="ascii") as file:
            text = file.read(_KEY_FILE_MOST)
    except OSError as error:
        raise AdminError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        text = ""
    found = _KEY.search(text)
    if found is None:
        raise AdminError(f"{path} holds no TSIG key: make one with tsig-keygen -a hmac-sha256 NAME")
    algorithm = found[2].lower().removesuffix(".")
    if algorithm not in _ALGORITHMS:
        raise AdminError(f"{path}: {algorithm} is too weak; use {', '.join(_ALGORITHMS)}")
    return found[1], algorithm, Secret(found[3].encode("ascii"))


async def plan(server: Server, domain: str, wanted: Sequence[ZoneRecord]) -> Plan:
    """What would have to change there. Raises AdminError when the server can't be asked."""
    zone = await _zone_of(server, domain)
    ours = [record for record in wanted if record.below(zone)]
    add: list[ZoneRecord] = []
    remove: list[ZoneRecord] = []
    seen: list[ZoneRecord] = []
    kept: list[str] = []
    blocked: list[ZoneRecord] = []
    for name, kind in dict.fromkeys((record.name, record.type) for record in ours):
        group = [record for record in ours if (record.name, record.type) == (name, kind)]
        live, other_type = await _live(server, name, kind)
        if kind == "TXT":
            texts = [b"".join(_rdata("TXT", data).strings) for data in live]  # type: ignore[attr-defined]  # of a TXT record
            group = [at_least(record, texts) for record in group]
        if other_type:
            blocked += group
            kept += [f"{name}. {other_type}"]
            continue
        found = {_canonical(kind, data): data for data in live}
        new = [record for record in group if _canonical(kind, record.data) not in found]
        if kind == "CNAME" and new and live:
            blocked += new
            kept += [f"{name}. CNAME {data}" for data in live]
            continue
        mine = {_canonical(kind, record.data) for record in group}
        add += new
        replaced = len(remove)
        for data in (text for key, text in found.items() if key not in mine):
            record = next((one for one in group if _replaces(one, data)), None)
            if record is not None:
                remove.append(ZoneRecord(name, kind, data, record.purpose, ttl_s=record.ttl_s))
            else:
                kept.append(f"{name}. {kind} {data}")
        if len(remove) > replaced:
            seen += [ZoneRecord(name, kind, data, "seen") for data in live]
    elsewhere = tuple(record for record in wanted if not record.below(zone))
    return Plan(zone, tuple(add), tuple(remove), tuple(seen), tuple(dict.fromkeys(kept)), tuple(blocked), elsewhere)


def _replaces(wanted: ZoneRecord, data: str) -> bool:
    """Is this text one that the wanted one takes the place of?"""
    begin = _ALONE.get(wanted.purpose)
    if wanted.type != "TXT" or begin is None:
        return False
    text = b"".join(_rdata("TXT", data).strings).lower()  # type: ignore[attr-defined]  # of a TXT record
    return text.startswith(begin) and text[len(begin) : len(begin) + 1] in {b"", b" ", b";"} if begin else True


async def apply(server: Server, planned: Plan) -> None:
    """Send it: all of it is done, or nothing. Raises AdminError."""
    update = dns.update.UpdateMessage(planned.zone, keyring=server.key)
    for record in planned.seen:
        update.present(_name(record.name), _rdata(record.type, record.data))
    for record in planned.remove:
        update.delete(_name(record.name), _rdata(record.type, record.data))
    for record in planned.add:
        update.add(_name(record.name), record.ttl_s, _rdata(record.type, record.data))
    reply = await _sent(server, update)
    if reply.rcode() != dns.rcode.NOERROR:
        word = dns.rcode.to_text(reply.rcode())
        hint = {"NXRRSET": "it has changed meanwhile: look again", "REFUSED": "the key may not write there"}.get(
            word, ""
        )
        raise AdminError(f"{server.address} refuses the update: {word}" + (f" ({hint})" if hint else ""))


async def _sent(server: Server, message: dns.message.Message) -> dns.message.Message:
    where = f"the name server {server.address} port {server.port}"
    try:
        return await dns.asyncquery.tcp(message, server.address, timeout=QUERY_S, port=server.port)
    except dns.tsig.PeerError as error:
        raise AdminError(f"{where} does not accept the key {server.key_name}: {type(error).__name__}") from None
    except dns.exception.Timeout:
        raise AdminError(f"{where} does not answer: check [publish] update_server") from None
    except (EOFError, dns.exception.DNSException) as error:
        raise AdminError(f"{where} answers what can't be read: {type(error).__name__}") from None
    except OSError as error:
        raise AdminError(f"{where} can't be asked: {error}; check [publish] update_server") from None


async def _zone_of(server: Server, domain: str) -> str:
    """The zone on that server that holds the domain: whose SOA it gives for the name (RFC 2308 §3)."""
    query = dns.message.make_query(_name(domain), dns.rdatatype.SOA)
    query.use_tsig(server.key)
    reply = await _sent(server, query)
    for rrset in (*reply.answer, *reply.authority):
        if rrset.rdtype == dns.rdatatype.SOA and _name(domain).is_subdomain(rrset.name):
            return rrset.name.to_text(omit_final_dot=True).lower()
    raise AdminError(f"{server.address} has no zone for {domain} ({dns.rcode.to_text(reply.rcode())})")


async def _live(server: Server, name: str, kind: str) -> tuple[list[str], str]:
    """The data of the records of a type at a name; and an alias, or, where an alias is wanted, what excludes it."""
    query = dns.message.make_query(_name(name), kind)
    query.use_tsig(server.key)
    reply = await _sent(server, query)
    if reply.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        raise AdminError(f"{server.address} does not say what is at {name}: {dns.rcode.to_text(reply.rcode())}")
    here = [rrset for rrset in reply.answer if rrset.name == _name(name)]
    live = [rdata.to_text() for rrset in here if rrset.rdtype == dns.rdatatype.from_text(kind) for rdata in rrset]
    if kind != "CNAME":
        alias = [rrset for rrset in here if rrset.rdtype == dns.rdatatype.CNAME]
        return live, f"CNAME {alias[0][0].to_text()}" if alias else ""
    for other in ("A", "AAAA", "TXT", "MX"):
        beside = dns.message.make_query(_name(name), other)
        beside.use_tsig(server.key)
        found = [one for one in (await _sent(server, beside)).answer if one.name == _name(name)]
        if found and found[0].rdtype != dns.rdatatype.CNAME:
            return live, f"{other} {found[0][0].to_text()}"
    return live, ""


def _canonical(kind: str, data: str) -> bytes:
    """The same for the same record, however it is written."""
    return _rdata(kind, data).to_digestable(dns.name.root)


def _rdata(kind: str, data: str) -> dns.rdata.Rdata:
    return dns.rdata.from_text(
        dns.rdataclass.IN, dns.rdatatype.from_text(kind), data, origin=dns.name.root, relativize=False
    )


def _name(name: str) -> dns.name.Name:
    return dns.name.from_text(name)


def lines(planned: Plan) -> Iterator[tuple[str, str]]:
    """(sign, what) for people: `-` goes, `+` comes, `=` stays, `!` can't be written, `?` belongs elsewhere."""
    yield from (("-", f"{one.name}. {one.type} {one.data}") for one in planned.remove)
    yield from (("+", one.line) for one in planned.add)
    yield from (("=", one) for one in planned.kept)
    yield from (("!", one.line) for one in planned.blocked)
    yield from (("?", one.line) for one in planned.elsewhere)
