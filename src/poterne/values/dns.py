r"""What DNS said, as values; and the Resolver that says it.

Names are A-labels in lower case without the last dot; the root is "". Octets of a name that no host name has stand as `\DDD`
(RFC 4343 §2.1), so that such a name is never taken for another one. IP addresses are text as `ipaddress` writes it.

An outcome is one of four, and never an exception: `Found`, `NoData` (the name exists, not with this type), `NxDomain`, and
`TempFail`, which says nothing about the name: whoever decides on it defers, or goes without, but takes it for none of the others.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, Protocol, TypeVar

from poterne.values.networks import address_number

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Mx:
    """A mail exchanger (RFC 5321 §5.1)."""

    preference: int
    exchange: str

    @property
    def null(self) -> bool:
        """The domain takes no mail (RFC 7505)."""
        return not self.exchange


@dataclass(frozen=True, slots=True)
class Tlsa:
    """RFC 6698 §2.1. Any number may stand in the fields; who reads them knows which are usable."""

    usage: int
    selector: int
    matching: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Srv:
    """RFC 2782. `target` empty: the service is not offered."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class Caa:
    """RFC 8659 §4.1. `tag` in lower case."""

    flags: int
    tag: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Kind(Generic[R_co]):
    """A record type; its type parameter is what its records are."""

    code: int
    word: str


A: Final[Kind[str]] = Kind(1, "A")
AAAA: Final[Kind[str]] = Kind(28, "AAAA")
CNAME: Final[Kind[str]] = Kind(5, "CNAME")
PTR: Final[Kind[str]] = Kind(12, "PTR")
MX: Final[Kind[Mx]] = Kind(15, "MX")
TXT: Final[Kind[bytes]] = Kind(16, "TXT")
"""A record is the octets of its strings, joined (RFC 7208 §3.3, RFC 6376 §3.6.2.2)."""
TLSA: Final[Kind[Tlsa]] = Kind(52, "TLSA")
SRV: Final[Kind[Srv]] = Kind(33, "SRV")
CAA: Final[Kind[Caa]] = Kind(257, "CAA")


@dataclass(frozen=True, slots=True)
class Found(Generic[R_co]):
    """One record at least, in the order of the answer.

    `secure`: a validating resolver vouches for all of it, aliases included. `name`: where the records are, at the end of the
    aliases (RFC 7671 §7 asks). `ttl_s`: how long it may be kept, counted from when it was fetched.
    """

    records: tuple[R_co, ...]
    name: str
    secure: bool
    ttl_s: int
    partial: bool = False
    """Of `addresses`: one of the two families could not be had now."""


@dataclass(frozen=True, slots=True)
class NoData:
    """The name exists, without such records. `secure`: proven so."""

    secure: bool
    ttl_s: int


@dataclass(frozen=True, slots=True)
class NxDomain:
    """There is no such name, nor can there be. `secure`: proven so."""

    secure: bool
    ttl_s: int


class Failure(Enum):
    """Why nothing is known; the value is the stable word."""

    TIMEOUT = "timeout"
    SERVFAIL = "servfail"
    BOGUS = "bogus"
    """The resolver says that DNSSEC validation failed (RFC 8914): somebody forges, or an owner made a mistake."""
    REFUSED = "refused"
    """Another RCODE than SERVFAIL; `detail` names it."""
    UNREACHABLE = "unreachable"
    """No name server could be reached, or none is known."""
    MALFORMED = "malformed"
    """The answer can't be read, or does not answer."""
    ALIASES = "aliases"
    """A loop of aliases, or too many."""
    OVERLOADED = "overloaded"
    """Too many queries of ours wait already."""


@dataclass(frozen=True, slots=True)
class TempFail:
    """Nothing is known now. `detail` is for the log."""

    reason: Failure
    detail: str = ""


Answer = Found[R] | NoData | NxDomain | TempFail


class Resolver(Protocol):
    """Asks DNS. Never raises for what others do; a name that can't be in DNS gives NxDomain.

    An answer takes as long as the resolver's total deadline at most; whoever has less time cancels, which harms nobody else.
    """

    async def query(self, name: str, kind: Kind[R], /) -> Answer[R]: ...
    async def mx(self, domain: str, /) -> Answer[Mx]:
        """As published: not sorted, and the null MX is a record."""
        ...

    async def addresses(self, name: str, /) -> Answer[str]:
        """IPv6 and IPv4 addresses of a host. `secure` covers every answer that was had, also that there are none of a family."""
        ...

    async def txt(self, name: str, /) -> Answer[bytes]: ...
    async def ptr(self, ip: str, /) -> Answer[str]:
        """Names that the owner of an address gives it. Text that is no address: NxDomain."""
        ...

    async def tlsa(self, name: str, /) -> Answer[Tlsa]:
        """`name` is complete, such as `_25._tcp.mail.example.org`."""
        ...


def reversed_labels(ip: str) -> str | None:
    """`1.2.0.192` of 192.0.2.1; the 32 nibbles of an IPv6 address (RFC 5782 §2.1, §2.4). None for what is no address.

    IPv4-mapped IPv6 addresses are IPv4 addresses.
    """
    found = address_number(ip)
    if found is None:
        return None
    version, number = found
    if version == 4:
        return f"{number & 255}.{number >> 8 & 255}.{number >> 16 & 255}.{number >> 24}"
    return ".".join(f"{number:032x}"[::-1])


def reverse_name(ip: str) -> str | None:
    """Where an address has its PTR records (RFC 1035 §3.5, RFC 3596 §2.5). None for what is no address."""
    labels = reversed_labels(ip)
    if labels is None:
        return None
    return f"{labels}.ip6.arpa" if len(labels) == _NIBBLES_LENGTH else f"{labels}.in-addr.arpa"


_NIBBLES_LENGTH: Final = 63
