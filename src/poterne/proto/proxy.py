"""The PROXY protocol, version 2: who is behind a proxy that forwards connections to us.

The header comes before anything else, so a reader that takes exactly what it needs leaves the rest to the protocol behind:
read PREFIX_BYTES, ask `rest_bytes` how much follows, read that, ask `origin`. Version 1 (a line of text) is not understood.

Whoever may send this header may say to be anybody. It must be read from listed proxies only, and from those always.
Source: "The PROXY protocol", HAProxy, §2.2 to §2.4.
"""

import ipaddress
import struct
from dataclasses import dataclass
from typing import Final

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
PREFIX_BYTES: Final = 16
MAX_REST_BYTES: Final = 1024
"""Addresses take 36 octets; the rest is for extensions, which are passed over."""
_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21
_V4: Final = struct.Struct(">4s4sHH")
_V6: Final = struct.Struct(">16s16sHH")


class ProxyError(Exception):
    """No header, or none to be believed: the connection must end. Its text is for the log.

    `code`: "no-header", "version", "command", "too-long", "family", "too-short", "extension", "source".
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Origin:
    """Who opened the connection to the proxy; an IPv4-mapped address is told as IPv4."""

    address: str
    port: int


def rest_bytes(prefix: bytes) -> int:
    """How many octets of the header follow its first PREFIX_BYTES. Raises ProxyError."""
    if len(prefix) != PREFIX_BYTES or not prefix.startswith(SIGNATURE):
        raise ProxyError("no-header")
    if prefix[12] >> 4 != 2:
        raise ProxyError("version")
    if prefix[12] not in {_LOCAL, _PROXY}:
        raise ProxyError("command")
    length = int.from_bytes(prefix[14:16], "big")
    if length > MAX_REST_BYTES:
        raise ProxyError("too-long")
    return length


def origin(prefix: bytes, rest: bytes) -> Origin | None:
    """Who is behind the proxy; None when it speaks for itself (LOCAL: a health check). Raises ProxyError.

    An origin that could not be a peer's address on a network (unspecified, multicast, loopback) is not believed.
    """
    if len(rest) != rest_bytes(prefix):
        raise ProxyError("too-short")
    if prefix[12] == _LOCAL:
        return None
    layout = {_TCP4: _V4, _TCP6: _V6}.get(prefix[13])
    if layout is None:
        raise ProxyError("family")
    if len(rest) < layout.size:
        raise ProxyError("too-short")
    _check_extensions(rest, layout.size)
    packed, _, port, _ = layout.unpack_from(rest)
    address = ipaddress.ip_address(packed)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_unspecified or address.is_multicast or address.is_loopback:
        raise ProxyError("source")
    return Origin(str(address), port)


def _check_extensions(rest: bytes, at: int) -> None:
    """Type, length, value until the end: a header whose pieces don't add up was made by something that is broken."""
    while at < len(rest):
        if at + 3 > len(rest):
            raise ProxyError("extension")
        at += 3 + int.from_bytes(rest[at + 1 : at + 3], "big")
    if at != len(rest):
        raise ProxyError("extension")
