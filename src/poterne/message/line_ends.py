"""Line ends of messages in files: LF there, CRLF as they travel, and back where that loses nothing.

The rule: a text whose first line ends in CRLF is taken as it is. In any other, each LF that no CR precedes becomes CRLF.
"""

import re
from typing import final

_UNCLEAN = re.compile(rb"(?<!\r)\n|\r(?!\n)").search


@final
class ToCrlf:
    """A text in pieces. `as_is`: nothing is changed; None: the first line decides."""

    __slots__ = ("_after_cr", "_as_is")

    def __init__(self, *, as_is: bool | None = None) -> None:
        self._as_is = as_is
        self._after_cr = False

    def feed(self, data: bytes) -> bytes:
        if self._as_is is None:
            end = data.find(b"\n")
            self._as_is = end > 0 and data[end - 1] == 13
        if self._as_is or not data:
            return data
        first = b""
        if self._after_cr and data[:1] == b"\n":
            first, data = b"\n", data[1:]
            if not data:
                self._after_cr = False
                return first
        self._after_cr = data[-1:] == b"\r"
        if b"\r\n" in data:
            data = data.replace(b"\r\n", b"\n")
        return first + data.replace(b"\n", b"\r\n")


def is_clean(data: bytes) -> bool:
    """Every CR and LF stands in a CRLF: as LF it comes back the same."""
    return _UNCLEAN(data) is None
