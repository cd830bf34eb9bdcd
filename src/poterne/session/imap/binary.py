"""BINARY: a part without its transfer encoding (RFC 3516), in pieces, so that an attachment is never whole in memory.

A literal's size is said before its octets, so what is large is decoded twice: once to count, once to send.
"""

import binascii
from collections.abc import Iterator
from typing import Final, Protocol

from poterne.message.encoded import base64_octets

_NOT_BASE64: Final = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
_MAX_LINE: Final = 65_536


class Decoder(Protocol):
    def feed(self, chunk: bytes) -> bytes: ...
    def finish(self) -> bytes: ...


class _Identity:
    def feed(self, chunk: bytes) -> bytes:
        return chunk

    def finish(self) -> bytes:
        return b""


class _Base64:
    """Whole quadruples go through; what stands behind padding is dropped (RFC 2045 §6.8)."""

    def __init__(self) -> None:
        self._rest = b""
        self._ended = False

    def feed(self, chunk: bytes) -> bytes:
        if self._ended:
            return b""
        text = self._rest + chunk.translate(None, _NOT_BASE64)
        padding = text.find(b"=")
        if padding >= 0:
            self._ended = True
            self._rest = b""
            return base64_octets(text[:padding])
        whole = len(text) & ~3
        self._rest = text[whole:]
        return binascii.a2b_base64(text[:whole])

    def finish(self) -> bytes:
        rest, self._rest = self._rest, b""
        return base64_octets(rest)


class _QuotedPrintable:
    """Line by line, since trailing white space and soft breaks are of the line."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        text = self._rest + chunk
        end = text.rfind(b"\n") + 1
        if not end and len(text) > _MAX_LINE:
            end = text.rfind(b"=", len(text) - 3)
            end = len(text) if end < 0 else end
        self._rest = text[end:]
        return binascii.a2b_qp(text[:end])

    def finish(self) -> bytes:
        rest, self._rest = self._rest, b""
        return binascii.a2b_qp(rest)


_DECODERS: Final[dict[bytes, type[_Identity] | type[_Base64] | type[_QuotedPrintable]]] = {
    b"7bit": _Identity,
    b"8bit": _Identity,
    b"binary": _Identity,
    b"base64": _Base64,
    b"quoted-printable": _QuotedPrintable,
}


def decoder(encoding: bytes) -> Decoder | None:
    """None for an encoding that we do not know: [UNKNOWN-CTE]."""
    made = _DECODERS.get(encoding)
    return None if made is None else made()


def window(chunks: Iterator[bytes], offset: int, count: int) -> Iterator[bytes]:
    """Octets [offset, offset + count) of the chunks."""
    at = 0
    end = offset + count
    for chunk in chunks:
        if at >= end:
            return
        piece = chunk[max(0, offset - at) : end - at]
        at += len(chunk)
        if piece:
            yield piece
