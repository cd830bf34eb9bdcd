"""A proxy's side of the PROXY protocol, for tests."""

import ipaddress
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def header(source: str, *, port: int = 4711, extensions: bytes = b"", command: int = 0x21) -> bytes:
    """Version 2, TCP, from `source`."""
    address = ipaddress.ip_address(source)
    rest = address.packed * 2 + struct.pack(">HH", port, 25) + extensions
    return SIGNATURE + struct.pack(">BBH", command, 0x11 if address.version == 4 else 0x21, len(rest)) + rest


LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
