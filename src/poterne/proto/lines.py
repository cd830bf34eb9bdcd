"""Strict CRLF lines out of whatever pieces the network delivers.

Theory of operation. The buffer is one `bytes` object and an offset. A command nearly always arrives whole, in one read: then
the line is a single slice of what the driver gave us, and the bytes of a message pass to its reader without being copied here.
Only an unfinished line is joined with what follows, and its length is limited, so that joining byte by byte stays cheap.

Only CRLF ends a line (RFC 5321 §2.3.8). Whoever takes bare LF or CR for a line end sees other commands than we do, which is what
request smuggling lives on; so each ends the connection. A NUL inside a well-ended line, and a line that is too long, are only
reported: where the next line begins is beyond doubt.
"""

from enum import Enum

from poterne.proto.core import PeerError


class LineFault(Enum):
    """A line that was consumed but is not given."""

    TOO_LONG = "line-too-long"
    NUL = "nul"


class LineBuffer:
    """Unread input of one connection.

    `skip_limit`: of an over-long line at most this many octets are skipped before the peer is given up. Memory held between calls
    is at most the line limit given to `take`, plus what was fed and not yet taken.
    """

    __slots__ = ("_at", "_data", "_searched", "_skip_limit", "_skipped")

    def __init__(self, skip_limit: int) -> None:
        self._data = b""
        self._at = 0
        self._searched = 0
        self._skip_limit = skip_limit
        self._skipped = -1  # octets of an over-long line already dropped; -1: no such line

    def __len__(self) -> int:
        """Octets that were fed and not taken."""
        return len(self._data) - self._at

    def feed(self, data: bytes) -> None:
        if self._at == len(self._data):
            self._data = data
            self._at = self._searched = 0
        else:
            self._data = self._data[self._at :] + data
            self._searched -= self._at
            self._at = 0

    def take(self, limit: int, prefix: bytes = b"", prefix_limit: int = 0) -> bytes | LineFault | None:
        """The next line without its CRLF, or what is wrong with it; None: not complete yet.

        `limit` counts the CRLF; a line that begins with `prefix` (upper case here, any case there) may have `prefix_limit`.
        TOO_LONG is told as soon as it is certain, once; the rest of that line is skipped unseen.
        PeerError "bare-lf", "bare-cr", or "line-too-long" when skipping goes beyond the skip limit.
        """
        if self._skipped >= 0 and not self._skip():
            return None
        data, at = self._data, self._at
        newline = data.find(b"\n", self._searched, at + limit)
        if newline < 0:
            if len(data) - at >= limit:
                if limit < prefix_limit and data[at : at + len(prefix)].upper() == prefix:
                    return self.take(prefix_limit)
                self._skipped = 0
                return LineFault.TOO_LONG
            self._searched = len(data)
            return None
        if newline == at or data[newline - 1] != 13:
            raise PeerError("bare-lf")
        line = data[at : newline - 1]
        if newline + 1 == len(data):
            self.clear()  # an idle connection keeps no old input, which may hold a password
        else:
            self._at = self._searched = newline + 1
        if b"\r" in line:
            raise PeerError("bare-cr")
        return LineFault.NUL if b"\0" in line else line

    def take_all(self) -> bytes:
        """Everything unread. Not for use while an over-long line is skipped."""
        data = self._data[self._at :] if self._at else self._data
        self.clear()
        return data

    def take_some(self, most: int) -> bytes:
        """At most so many unread octets."""
        if len(self._data) - self._at <= most:
            return self.take_all()
        data = self._data[self._at : self._at + most]
        self._at += most
        self._searched = self._at
        return data

    def clear(self) -> None:
        """Forget what is unread."""
        self._data = b""
        self._at = self._searched = 0

    def _skip(self) -> bool:
        end = self._data.find(b"\r\n", self._at)
        if end >= 0:
            gone = end + 2 - self._at
        else:
            gone = len(self._data) - self._at
            if self._data.endswith(b"\r"):
                gone -= 1
        self._skipped += gone
        if self._skipped > self._skip_limit:
            self.clear()
            raise PeerError("line-too-long")
        self._at += gone
        self._searched = self._at
        if end >= 0:
            self._skipped = -1
        return end >= 0
