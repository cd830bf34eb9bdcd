"""A client that compresses (RFC 4978), written with zlib as its manual has it: one compressor, one inflater, kept."""

import socket
import zlib

from tests.support.imap_world import Wire


class DeflatedSocket:
    """What a `Wire` needs of a socket. Each `sendall` is flushed."""

    def __init__(self, inner: socket.socket, *, flush: int = zlib.Z_SYNC_FLUSH, level: int = 6) -> None:
        self.inner = inner
        self.flush = flush
        self.packer = zlib.compressobj(level, zlib.DEFLATED, -15)
        self.inflater = zlib.decompressobj(-15)
        self.received = self.inflated = 0

    def sendall(self, data: bytes) -> None:
        self.inner.sendall(self.packer.compress(data) + self.packer.flush(self.flush))

    def recv(self, size: int) -> bytes:
        while data := self.inner.recv(size):
            self.received += len(data)
            found = self.inflater.decompress(data)
            assert not self.inflater.eof
            self.inflated += len(found)
            if found:
                return found
        return b""

    def close(self) -> None:
        self.inner.close()


def deflate(wire: Wire, *, flush: int = zlib.Z_SYNC_FLUSH, level: int = 6) -> DeflatedSocket:
    """COMPRESS DEFLATE, and on from there."""
    wire.ok("COMPRESS DEFLATE")
    return deflated(wire, flush=flush, level=level)


def deflated(wire: Wire, *, flush: int = zlib.Z_SYNC_FLUSH, level: int = 6) -> DeflatedSocket:
    """On from here, the server having said that it compresses."""
    assert not wire._buffer
    inside = DeflatedSocket(wire.socket, flush=flush, level=level)
    wire.socket = inside  # type: ignore[assignment]  # it has what is needed of one
    return inside
