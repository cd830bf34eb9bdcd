"""DNS messages as octets: the queries that we send, and what an answer says to them (RFC 1035 §4, RFC 6891).

Ours, because a general library takes ten times as long, and each mail asks a dozen questions (ADR 9). It reads what a stub needs:
the records asked for, aliases, how long a denial holds, the extended error. Everything is bounded: records in a message, steps
in a name; a compression pointer leads backwards only. `MalformedError` is the only thing raised, whatever the octets.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from socket import AF_INET6, inet_ntop
from typing import Final, Generic, TypeVar, cast

from poterne.values.dns import AAAA, CAA, CNAME, MX, PTR, SRV, TLSA, TXT, A, Caa, Kind, Mx, Srv, Tlsa

R = TypeVar("R")

UDP_OCTETS: Final = 1232
"""What an answer over UDP may have, so that it is not fragmented (DNS flag day 2020)."""
MAX_RECORDS: Final = 500
MAX_POINTERS: Final = 32
MAX_ALIASES: Final = 10
HEADER_OCTETS: Final = 12
NO_ERROR: Final = 0
NXDOMAIN: Final = 3

_QR, _OPCODE, _AA, _TC, _RD, _AD, _CD = 0x8000, 0x7800, 0x0400, 0x0200, 0x0100, 0x0020, 0x0010
_NS, _SOA, _OPT, _IN = 2, 6, 41, 1
_EDE: Final = 15
_DNSSEC_OK: Final = 0x8000
_SOA_NUMBERS: Final = 20
_MAX_TTL: Final = 0x7FFFFFFF
_HEADER: Final = struct.Struct("!HHHHHH")
_RECORD: Final = struct.Struct("!HHIH")
_TYPE_AND_CLASS: Final = struct.Struct("!HH")
_PREFERENCE: Final = struct.Struct("!H")
_SRV_NUMBERS: Final = struct.Struct("!HHH")
_NAME: Final = re.compile(r"[!-\[\]-~]{1,253}")
_PLAIN_LABEL: Final = re.compile(rb"[A-Za-z0-9_-]+")
_LETTER: Final = re.compile(rb"[A-Za-z]")


class MalformedError(ValueError):
    """The octets are no answer that can be read; the text is for the log."""


def canonical(name: str) -> str | None:
    """The name as values.dns writes it: lower case, no last dot. None for what can't be in DNS, or only with escapes.

    Names of people are A-labels already; anything else than printable ASCII is no name here.
    """
    if name[-1:] == ".":
        name = name[:-1]
    if not name:
        return ""
    if not _NAME.fullmatch(name):
        return None
    for label in name.split("."):
        if not 0 < len(label) < 64:
            return None
    return name.lower()


def encoded(name: str) -> bytes:
    """A canonical name as octets."""
    if not name:
        return b"\0"
    return b"".join([bytes((len(label),)) + label.encode("ascii") for label in name.split(".")]) + b"\0"


def mixed_case(name: bytes, entropy: int) -> bytes:
    """An encoded name with the case of each letter as the bits of `entropy` say: who forges an answer must guess it."""
    out = bytearray(name)
    for found in _LETTER.finditer(name):
        if entropy & 1:  # the length of a label is below 64, and so never taken for a letter
            out[found.start()] ^= 0x20
        entropy >>= 1
    return bytes(out)


@dataclass(frozen=True, slots=True)
class Query:
    """One question. `question` is the encoded name, type and class as sent."""

    id: int
    question: bytes
    wire: bytes

    @classmethod
    def make(cls, id: int, name: bytes, code: int, *, dnssec: bool) -> "Query":  # noqa: A002  (what RFC 1035 calls it)
        """`dnssec`: ask for the AD bit, and for what it stands for (RFC 3225, RFC 6840 §5.7)."""
        question = name + _TYPE_AND_CLASS.pack(code, _IN)
        header = _HEADER.pack(id, _RD | (_AD if dnssec else 0), 1, 0, 0, 1)
        opt = b"\0" + _RECORD.pack(_OPT, UDP_OCTETS, _DNSSEC_OK if dnssec else 0, 0)
        return cls(id, question, header + question + opt)

    def answered_by(self, data: bytes) -> bool | None:
        """Is this an answer to us? None: to our question, but not written as we wrote it."""
        end = HEADER_OCTETS + len(self.question)
        if len(data) < end:
            return False
        number, flags, questions, _, _, _ = _HEADER.unpack_from(data)
        if number != self.id or flags & (_QR | _OPCODE) != _QR or questions != 1:
            return False
        question = data[HEADER_OCTETS:end]
        if question == self.question:
            return True
        return None if question.lower() == self.question.lower() else False


def truncated(data: bytes) -> bool:
    """Must it be asked again by TCP?"""
    return bool(data[2] & _TC >> 8)


@dataclass(frozen=True, slots=True)
class Reading(Generic[R]):
    """What an answer says. `name` is the end of the aliases in it; not `final`: ask for that name next."""

    rcode: int
    records: tuple[R, ...]
    name: str
    ttl_s: int
    """How long it holds: the least of all records used. Of a denial without a SOA: 0."""
    authentic: bool
    """The AD bit, to be believed or not."""
    final: bool = True
    extended_error: int | None = None
    """RFC 8914."""


def read(data: bytes, query: Query, name: str, kind: Kind[R]) -> Reading[R]:
    """What an answer to `query` says of `name`. Raises MalformedError."""
    try:
        return _Reader(data, query, name, kind).reading()
    except (IndexError, struct.error):
        raise MalformedError("it ends too early") from None


class _Reader(Generic[R]):
    __slots__ = ("_aliases", "_data", "_first", "_kind", "_name", "_records", "_ttl")

    def __init__(self, data: bytes, query: Query, name: str, kind: Kind[R]) -> None:
        self._data = data
        self._name = name
        self._kind = kind
        self._first = HEADER_OCTETS + len(query.question)
        self._records: dict[str, list[R]] = {}
        self._aliases: dict[str, str] = {}
        self._ttl: dict[str, int] = {}

    def reading(self) -> Reading[R]:
        _, flags, _, answers, authorities, extras = _HEADER.unpack_from(self._data)
        if answers + authorities + extras > MAX_RECORDS:
            raise MalformedError("it has too many records")
        at = self._first
        for _ in range(answers):
            at = self._answer(at)
        denied_s, referral = -1, False
        for _ in range(authorities):
            at, code, ttl, start = self._skip_to_data(at)
            if code == _SOA and at - start >= _SOA_NUMBERS + 2:
                denied_s = min(ttl, int.from_bytes(self._data[at - 4 : at], "big"))  # RFC 2308 §5
            referral |= code == _NS
        extended_rcode, extended_error = self._extras(at, extras) if extras else (0, None)
        rcode = flags & 15 | extended_rcode
        name, ttl = self._follow()
        records = tuple(self._records.get(name, ()))
        if records:
            if rcode != NO_ERROR:
                raise MalformedError("it has records and says that there are none")
            ttl = min(ttl, self._ttl[name])
        elif referral and denied_s < 0 and rcode == NO_ERROR and not flags & _AA:
            raise MalformedError("it sends us to other servers: this one does not resolve for us")
        final = bool(records) or name == self._name or rcode != NO_ERROR or denied_s >= 0
        if not records and final:
            ttl = min(ttl, max(denied_s, 0))
        return Reading(rcode, records, name, ttl, bool(flags & _AD), final, extended_error)

    def _follow(self) -> tuple[str, int]:
        name, ttl = self._name, _MAX_TTL
        for _ in range(MAX_ALIASES):
            target = self._aliases.get(name)
            if target is None:
                return name, ttl
            ttl = min(ttl, self._ttl[name])
            name = target
        raise MalformedError("its aliases do not end")

    def _answer(self, at: int) -> int:
        """Keep the record at `at` if it is one of those asked for, or an alias; the place behind it."""
        data = self._data
        if data[at] == 0xC0 and data[at + 1] == HEADER_OCTETS:  # the name asked for, nearly always
            owner, at = self._name, at + 2
        else:
            owner, at = read_name(data, at)
        fields: tuple[int, int, int, int] = _RECORD.unpack_from(data, at)
        code, rdclass, ttl, size = fields
        start = at + _RECORD.size
        end = start + size
        if end > len(data):
            raise MalformedError("a record ends behind the message")
        if rdclass != _IN or (code not in {self._kind.code, CNAME.code}):
            return end
        value = _DATA[code](data, start, end)
        ttl = ttl if ttl <= _MAX_TTL else 0  # RFC 2181 §8
        if code == self._kind.code:
            self._records.setdefault(owner, []).append(cast("R", value))  # a Kind's code tells what it reads
        elif self._aliases.setdefault(owner, cast("str", value)) != value:
            raise MalformedError("a name has two aliases")
        known = self._ttl.get(owner)
        self._ttl[owner] = ttl if known is None else min(ttl, known)
        return end

    def _skip_to_data(self, at: int) -> tuple[int, int, int, int]:
        """(end, type, TTL, begin of the data) of the record at `at`."""
        at = _behind_name(self._data, at)
        fields: tuple[int, int, int, int] = _RECORD.unpack_from(self._data, at)
        code, _, ttl, size = fields
        start = at + _RECORD.size
        if start + size > len(self._data):
            raise MalformedError("a record ends behind the message")
        return start + size, code, ttl if ttl <= _MAX_TTL or code == _OPT else 0, start

    def _extras(self, at: int, count: int) -> tuple[int, int | None]:
        """The upper bits of the RCODE, and the extended error."""
        for _ in range(count):
            at, code, ttl, start = self._skip_to_data(at)
            if code == _OPT:
                return ttl >> 24 << 4, self._extended_error(start, at)
        return 0, None

    def _extended_error(self, at: int, end: int) -> int | None:
        while at + 4 <= end:
            option, size = _TYPE_AND_CLASS.unpack_from(self._data, at)
            if option == _EDE and 2 <= size <= end - at - 4:
                return int.from_bytes(self._data[at + 4 : at + 6], "big")
            at += 4 + size
        return None


def _behind_name(data: bytes, at: int) -> int:
    for _ in range(128):
        size = data[at]
        if size >= 0xC0:
            return at + 2
        if size == 0:
            return at + 1
        at += 1 + size
    raise MalformedError("a name does not end")


def read_name(data: bytes, at: int) -> tuple[str, int]:
    """The name at `at`, lower case, and the place behind it. Raises MalformedError, IndexError."""
    labels: list[str] = []
    behind, octets, pointers, floor = -1, 1, 0, at
    while (size := data[at]) != 0:
        if size >= 0xC0:
            target = (size & 0x3F) << 8 | data[at + 1]
            pointers += 1
            if target >= floor or pointers > MAX_POINTERS:
                raise MalformedError("a name goes round in circles")
            behind = at + 2 if behind < 0 else behind
            at = floor = target
            continue
        octets += 1 + size
        if size >= 64 or octets > 255:
            raise MalformedError("a name is too long")
        label = data[at + 1 : at + 1 + size]
        if len(label) != size:
            raise MalformedError("a name ends behind the message")
        labels.append(label.decode().lower() if _PLAIN_LABEL.fullmatch(label) else _escaped(label))
        at += 1 + size
    return ".".join(labels), at + 1 if behind < 0 else behind


def _escaped(label: bytes) -> str:
    """What can be asked for again stays as it is; dots inside, backslashes and what does not print become numbers."""
    return "".join(chr(o) if 0x21 <= o <= 0x7E and o not in b".\\" else f"\\{o:03d}" for o in label).lower()


def _read_a(data: bytes, start: int, end: int) -> str:
    if end - start != 4:
        raise MalformedError("an A record has not four octets")
    return f"{data[start]}.{data[start + 1]}.{data[start + 2]}.{data[start + 3]}"


def _read_aaaa(data: bytes, start: int, end: int) -> str:
    if end - start != 16:
        raise MalformedError("an AAAA record has not sixteen octets")
    return inet_ntop(AF_INET6, data[start:end])


def _read_name(data: bytes, start: int, end: int) -> str:
    name, behind = read_name(data, start)
    if behind != end:
        raise MalformedError("a name does not fill its record")
    return name


def _read_mx(data: bytes, start: int, end: int) -> Mx:
    return Mx(_PREFERENCE.unpack_from(data, start)[0], _read_name(data, start + 2, end))


def _read_txt(data: bytes, start: int, end: int) -> bytes:
    parts: list[bytes] = []
    while start < end:
        following = start + 1 + data[start]
        if following > end:
            raise MalformedError("a string ends behind its record")
        parts.append(data[start + 1 : following])
        start = following
    return b"".join(parts)


def _read_tlsa(data: bytes, start: int, end: int) -> Tlsa:
    if end - start < 3:
        raise MalformedError("a TLSA record is too short")
    return Tlsa(data[start], data[start + 1], data[start + 2], data[start + 3 : end])


def _read_srv(data: bytes, start: int, end: int) -> Srv:
    priority, weight, port = _SRV_NUMBERS.unpack_from(data, start)
    return Srv(priority, weight, port, _read_name(data, start + _SRV_NUMBERS.size, end))


def _read_caa(data: bytes, start: int, end: int) -> Caa:
    if end - start < 2 or not 0 < data[start + 1] <= end - start - 2:
        raise MalformedError("a CAA record is too short")
    value = start + 2 + data[start + 1]
    return Caa(data[start], data[start + 2 : value].decode("latin-1").lower(), data[value:end])


_DATA: Final[dict[int, Callable[[bytes, int, int], object]]] = {
    A.code: _read_a,
    AAAA.code: _read_aaaa,
    CNAME.code: _read_name,
    PTR.code: _read_name,
    MX.code: _read_mx,
    TXT.code: _read_txt,
    TLSA.code: _read_tlsa,
    SRV.code: _read_srv,
    CAA.code: _read_caa,
}
