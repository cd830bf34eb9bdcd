"""The octets of a document out of gzip or zip, in pieces, never more than the limits, whatever the archive says of itself.

Theory of operation. What a part is, its first octets say: its content type is wrong in half of the field. Both formats hold
deflate streams, which end by themselves; so the sizes that stand in an archive are not read at all. A zip archive is read from
its front, member by member, without its directory. The first member that looks like a document is the document.
"""

import zlib
from collections.abc import Iterator
from typing import Final

from poterne.mailauth.reports_in.outcome import Fault, Limits, ReportError

PIECE: Final = 65_536
RATIO_MOST: Final = 250
"""Octets for one packed octet. Reports have 10 to 30, one record a thousand times over has 150, a bomb 1032."""
RATIO_FROM: Final = 1024 * 1024
"""The ratio of what is smaller does not matter."""
MEMBERS_MOST: Final = 16
GZIP: Final = b"\x1f\x8b"
ZIP: Final = b"PK\x03\x04"
_ZIP_HEADER: Final = 30
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _SIZE_LATER = 0x0001, 0x0008
_ARCHIVES: Final = (
    GZIP,
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"BZh",
    b"7z\xbc\xaf",
    b"\xfd7zXZ",
    b"Rar!",
    b"\x28\xb5\x2f\xfd",
)


def looks_packed(octets: bytes) -> bool:
    return octets.startswith((GZIP, ZIP))


def document(octets: bytes, limits: Limits) -> Iterator[bytes]:
    """The document in pieces of at most PIECE octets. Raises ReportError."""
    if octets.startswith(GZIP):
        pieces = _gunzipped(octets, limits)
    elif octets.startswith(ZIP):
        pieces = _unzipped(octets, limits)
    else:
        pieces = _plain(octets, limits)
    first = next(pieces, b"")
    if first.startswith(_ARCHIVES):
        raise ReportError(Fault.NESTED)
    yield first
    yield from pieces


def _plain(octets: bytes, limits: Limits) -> Iterator[bytes]:
    if len(octets) > limits.expanded_bytes:
        raise ReportError(Fault.TOO_LARGE)
    for at in range(0, len(octets), PIECE):
        yield octets[at : at + PIECE]


class _Inflation:
    """One deflate stream. `rest`: where what follows it begins, once it is over."""

    def __init__(self, octets: bytes, at: int, window: int, limits: Limits) -> None:
        self._view: Final = memoryview(octets)
        self._at = at
        self._stream: Final = zlib.decompressobj(window)
        self._limits: Final = limits
        self.rest = len(octets)

    def pieces(self, before: int = 0) -> Iterator[bytes]:
        """`before`: octets that were had of the same document."""
        start, had, waiting = self._at, before, b""
        while not self._stream.eof:
            if not waiting:
                waiting = bytes(self._view[self._at : self._at + PIECE])
                self._at += len(waiting)
                if not waiting:
                    return  # cut off: what there is may be enough
            try:
                piece = self._stream.decompress(waiting, PIECE)
            except zlib.error:
                raise ReportError(Fault.ARCHIVE) from None
            waiting = self._stream.unconsumed_tail
            had += len(piece)
            if had > self._limits.expanded_bytes:
                raise ReportError(Fault.BOMB)
            if had > RATIO_FROM and had > RATIO_MOST * (self._at - len(waiting) - start):
                raise ReportError(Fault.BOMB)
            if piece:
                yield piece
        self.rest = self._at - len(self._stream.unused_data)


def _gunzipped(octets: bytes, limits: Limits) -> Iterator[bytes]:
    """All members, one behind the other (RFC 1952 §2.2); what follows them is not looked at."""
    at = had = 0
    for _ in range(MEMBERS_MOST):
        inflation = _Inflation(octets, at, zlib.MAX_WBITS | 16, limits)
        for piece in inflation.pieces(had):
            had += len(piece)
            yield piece
        at = inflation.rest
        if not octets.startswith(GZIP, at):
            return
    raise ReportError(Fault.ARCHIVE)


def _unzipped(octets: bytes, limits: Limits) -> Iterator[bytes]:
    """The first member that is not empty, nor something that systems add."""
    at = 0
    for _ in range(MEMBERS_MOST):
        if not octets.startswith(ZIP, at) or len(octets) < at + _ZIP_HEADER:
            break
        flags = int.from_bytes(octets[at + 6 : at + 8], "little")
        method = int.from_bytes(octets[at + 8 : at + 10], "little")
        packed = int.from_bytes(octets[at + 18 : at + 22], "little")
        names = int.from_bytes(octets[at + 26 : at + 28], "little"), int.from_bytes(octets[at + 28 : at + 30], "little")
        name = octets[at + _ZIP_HEADER : at + _ZIP_HEADER + names[0]]
        body = at + _ZIP_HEADER + sum(names)
        if flags & _ENCRYPTED or method not in {_STORED, _DEFLATED} or (method == _STORED and flags & _SIZE_LATER):
            raise ReportError(Fault.ARCHIVE)
        wanted = not name.endswith(b"/") and not name.startswith((b"__MACOSX", b"."))
        if method == _STORED:
            if wanted and packed:
                yield from _plain(octets[body : body + packed], limits)
                return
            at = body + packed
            continue
        inflation = _Inflation(octets, body, -zlib.MAX_WBITS, limits)
        found = False
        for piece in inflation.pieces():
            found = True
            if wanted:
                yield piece
        if found and wanted:
            return
        at = inflation.rest
        if flags & _SIZE_LATER:
            at = octets.find(ZIP, at, at + 32)
            if at < 0:
                break
    raise ReportError(Fault.ARCHIVE)
