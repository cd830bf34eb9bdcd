"""Base64 of authentication lines, strict (RFC 4648 §4; RFC 4954 §4, RFC 5034 §4, RFC 9051 §6.2.2)."""

import binascii

from poterne.values.secret import Secret


def decode(line: bytes) -> Secret | None:
    """The octets, or None for anything but canonical base64: junk, missing or early padding, stray bits. b"" gives b""."""
    try:
        octets = binascii.a2b_base64(line, strict_mode=True)
    except binascii.Error:
        return None
    # strict_mode lets non-zero bits after the end pass: two texts for the same octets.
    return Secret(octets) if binascii.b2a_base64(octets, newline=False) == line else None


def decode_initial(argument: bytes) -> Secret | None:
    """As `decode`, for the initial response on the command line, where "=" stands for an empty one and b"" is an error."""
    if argument == b"=":
        return Secret(b"")
    return decode(argument) if argument else None


def encode(octets: bytes) -> bytes:
    """One line without CRLF."""
    return binascii.b2a_base64(octets, newline=False)
