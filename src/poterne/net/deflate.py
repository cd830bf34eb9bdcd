"""COMPRESS=DEFLATE (RFC 4978): raw deflate between a protocol and TLS, in both directions, with next to no memory.

Theory of operation. A stream of deflate is a row of blocks, and where a flush has ended on an octet nobody can tell whether
the next block comes from the same compressor. So none is kept:

- Out: each write is compressed by a compressor of its own, that begins with the last `TAIL_BYTES` of what was said as its
  dictionary (the peer has them in its window) and ends with a sync flush. Making one takes microseconds, keeping one 260 KiB.
- In: at the end of a sync flush the inflater goes too; what it needs again is the last 32 KiB of what it gave, most often
  some commands. Whether it stands at such a place is tried out on a copy: only there a last empty block ends the stream.

An idle connection holds these two pieces of text. While bytes come in there is one inflater, 40 KiB.

A bomb (a few KiB that become GiB) comes out in pieces of PIECE_BYTES, each when the protocol asks for more, and with a turn
for others between two: its own limits hold as for any peer that sends much.

Compression makes the length of what is encrypted tell something of its content (CRIME): who watches the line and also writes
to the reader can guess at what stands beside it. Two things make that hard. A large piece (a message) shares no dictionary
with anything else; and each write is followed by 10 to 41 octets that mean nothing, as chance wants it.
"""

import asyncio
import os
import re
import zlib
from collections.abc import Sequence
from typing import Final, Protocol, final

from poterne.proto.core import PeerError

WINDOW_BYTES: Final = 32 * 1024
"""How far back a client may point (RFC 1951 §2)."""
TAIL_BYTES: Final = 4 * 1024
PIECE_BYTES: Final = 16 * 1024
"""The most that is inflated at a time."""
SLICE_BYTES: Final = 4 * 1024
"""The most that is given to the inflater at a time: what it does not take is copied."""
ALONE_BYTES: Final = 5 * 1024
"""From this size on a piece is compressed by itself (RFC 4978 §4 names the same)."""
_SAMPLE_BYTES: Final = 1024
_DULL: Final = 0.95
"""Octets that become no shorter than this are sent as they are."""
_LEVEL: Final = 1
"""Measured on answers of FETCH: 17 % of their size; level 6 gives 13 % and takes twice the time."""
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/\r\n]+=?=?[\r\n]*").fullmatch
_FLUSHED: Final = b"\x00\x00\xff\xff"
"""How a sync flush ends."""
_LAST_BLOCK: Final = b"\x01\x00\x00\xff\xff"
_STORED_MOST: Final = 65_535
_EMPTY: Final = (b"\x00\x00\x00\xff\xff", b"\x02\x00\x00\x00\xff\xff", b"\x02\x08\x00\x00\x00\xff\xff")
"""Empty blocks: a stored one; with one, with two of the fixed code before it. They begin and end on an octet."""


def _nothing(size: int) -> bytes:
    """`size` octets (10 or more) that inflate to nothing."""
    count, more = divmod(size, 5)
    return b"".join(_EMPTY[min(2, max(0, more - 2 * i))] for i in range(count))


_NOTHINGS: Final = [_nothing(size) for size in range(10, 42)]


class BrokenStreamError(Exception):
    """What the peer sent is not deflate."""


class _Inflater(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...
    def copy(self) -> "_Inflater": ...


@final
class Deflate:
    """Both directions of one connection, server or client side.

    Bytes of the peer go in with `take` and come out with `piece`, as long as there is something `waiting`.
    """

    __slots__ = ("_at", "_full", "_history", "_inflater", "_raw", "_tail", "ended", "inflating")

    def __init__(self) -> None:
        self._raw = b""
        self._at = 0
        """Up to here `_raw` was given to the inflater."""
        self._inflater: _Inflater | None = None
        self._history = b""
        """The end of what came in."""
        self._tail = b""
        """The end of what was sent."""
        self._full = False
        """The inflater may have more without being given anything."""
        self.ended = False
        """The peer has ended its stream."""
        self.inflating = False
        """Somebody waits for what the peer says: `inflated` runs, maybe for long."""

    # In

    @property
    def waiting(self) -> bool:
        """`piece` may have something."""
        return self._full or self._at < len(self._raw)

    def take(self, data: bytes) -> None:
        """What came from the peer. Only kept, and what is kept is the caller's to bound."""
        self._raw = self._raw[self._at :] + data if self._at < len(self._raw) else data
        self._at = 0

    def piece(self) -> bytes:
        """The next of what the peer said, PIECE_BYTES at most; maybe nothing. BrokenStreamError; then the stream is over.

        It ends where the peer flushed, so that nothing is inflated that is not (`rest`).
        """
        inflater = self._inflater
        if inflater is None:
            inflater = self._inflater = zlib.decompressobj(-zlib.MAX_WBITS, zdict=self._history)
        given = b""
        if self._at < len(self._raw):
            end = self._at + SLICE_BYTES
            flushed = self._raw.find(_FLUSHED, self._at, end)
            given = self._raw[self._at : end if flushed < 0 else flushed + len(_FLUSHED)]
        try:
            found = inflater.decompress(given, PIECE_BYTES)
        except zlib.error:
            self._over(b"")
            raise BrokenStreamError from None
        self._at += len(given) - len(inflater.unconsumed_tail)
        self._full = len(found) == PIECE_BYTES
        if found:
            self._history = (self._history + found)[-WINDOW_BYTES:]
        if inflater.eof:
            self._over(inflater.unused_data + self._raw[self._at :])
        elif self._at == len(self._raw):
            if not self._full and given.endswith(_FLUSHED) and _at_boundary(inflater):
                self._inflater = None
            self._raw, self._at = b"", 0
        return found

    def _over(self, rest: bytes) -> None:
        self.ended = True
        self._raw, self._at, self._full = rest, len(rest), False
        self._inflater = None
        self._history = b""

    def rest(self) -> bytes:
        """What came and was not inflated: behind the end of the stream, or behind the flush where we are."""
        return self._raw if self.ended else self._raw[self._at :]

    # Out

    def pack(self, chunks: Sequence[bytes]) -> bytes:
        """These chunks compressed and flushed, so that the peer can read all of them. Nothing for nothing."""
        packed: list[bytes] = []
        small: list[bytes] = []
        for chunk in chunks:
            if len(chunk) < ALONE_BYTES:
                small.append(chunk)
                continue
            if small:
                packed.append(self._line(b"".join(small)))
                small.clear()
            packed.append(_alone(chunk))
            self._tail = b""
        if small:
            packed.append(self._line(b"".join(small)))
        packed.append(_NOTHINGS[os.urandom(1)[0] % len(_NOTHINGS)])
        return b"".join(packed)

    def _line(self, data: bytes) -> bytes:
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=self._tail)
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        return compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)


async def inflated(deflate: Deflate) -> bytes | None:
    """The next piece of what came already; None when more is needed; b"" when the peer ended its stream.

    PeerError when it cannot be inflated.
    """
    deflate.inflating = True
    try:
        while deflate.waiting:
            data = deflate.piece()
            if deflate.waiting:
                await asyncio.sleep(0)  # nothing else makes a bomb wait
            if data:
                return data
    except BrokenStreamError:
        raise PeerError("compression-broken") from None
    finally:
        deflate.inflating = False
    return b"" if deflate.ended else None


def _at_boundary(inflater: _Inflater) -> bool:
    """It has given all that it was given, and awaits a block that begins on an octet."""
    copy = inflater.copy()
    try:
        return not copy.decompress(_LAST_BLOCK) and copy.eof and not copy.unused_data
    except zlib.error:
        return False


def _alone(data: bytes) -> bytes:
    """A large piece, with as much effort as it is worth."""
    middle = len(data) // 2
    sample = data[middle : middle + _SAMPLE_BYTES]
    if _BASE64(sample):
        # Most often of something compressed: repetitions there are none to find, and its code is worth a quarter.
        return _deflated(data, zlib.Z_HUFFMAN_ONLY)
    if not sample.isascii() and len(_deflated(sample, zlib.Z_HUFFMAN_ONLY)) > _DULL * len(sample):
        return b"".join(_stored(data[at : at + _STORED_MOST]) for at in range(0, len(data), _STORED_MOST))
    return _deflated(data, zlib.Z_DEFAULT_STRATEGY)


def _deflated(data: bytes, strategy: int) -> bytes:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, strategy)
    return compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)


def _stored(data: bytes) -> bytes:
    """A block as it is (RFC 1951 §3.2.4)."""
    size = len(data)
    return b"\x00" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + data
