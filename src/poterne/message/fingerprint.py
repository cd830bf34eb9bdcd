"""What a message says, as one number: a script that says the same again and again has the same number again and again.

Counted: the subject, decoded and with its white space folded, and the octets of the body. Left out is what programs make anew for
each message though they say the same: every other field of the header (Date, Message-ID, Received …), and in the body of a
multipart the lines that begin with `--` (delimiters) and what stands behind `boundary=`, each up to MAX_LINE octets. A time of
day or a counter in the text makes it another message: no number can know that they don't matter.

One pass, any chunks, the same result. It costs about what BLAKE2b costs, for the marks are looked for at memory speed.
"""

import hashlib
from typing import Final, final

from poterne.message.encoded import decode_words
from poterne.message.header import HeaderIndex

MAX_LINE: Final = 200
"""A longer line is no delimiter (RFC 2046 §5.1.1: 70 octets and a few)."""
MAX_MARKS: Final = 2000
"""Left out of one message; what follows is counted as it stands, so that time stays linear in the octets."""
_DELIMITER: Final = b"\r\n--"
_PARAMETER: Final = b"boundary="
_CRLF: Final = b"\r\n"
_BACK: Final = len(_PARAMETER) - 1
"""Octets that may be the beginning of a mark."""


@final
class Fingerprint:
    """One message: made from its header, fed with its body, then `value`."""

    __slots__ = ("_hash", "_marks", "_multipart", "_rest")

    def __init__(self, header: HeaderIndex) -> None:
        subject = " ".join(decode_words(header.value(b"subject") or b"").split())
        self._hash = hashlib.blake2b(subject.encode("utf-8", "replace") + b"\n", digest_size=8)
        self._multipart = b"multipart/" in (header.value(b"content-type") or b"").lower()
        self._rest: bytes = _CRLF if self._multipart else b""  # the body begins a line
        self._marks = 0

    def feed(self, chunk: bytes) -> None:
        """The next octets of the body."""
        if not self._multipart:
            self._hash.update(chunk)
        elif chunk:
            self._take(self._rest + chunk, last=False)

    def value(self) -> int:
        """1 … 2**63-1, so that a database's signed column takes it, and 0 can mean none. Ends the message."""
        self._take(self._rest, last=True)
        return int.from_bytes(self._hash.digest(), "big") >> 1 or 1

    def _take(self, data: bytes, *, last: bool) -> None:
        view = memoryview(data)
        size = len(data)
        done = at = 0  # counted or left out up to `done`; marks are looked for from `at`
        delimiter = data.find(_DELIMITER)
        parameter = data.find(_PARAMETER)
        while (delimiter >= 0 or parameter >= 0) and self._marks < MAX_MARKS:
            mark = delimiter if parameter < 0 or 0 <= delimiter < parameter else parameter
            at = mark + (len(_DELIMITER) if mark == delimiter else len(_PARAMETER))
            end = data.find(_CRLF, at, at + MAX_LINE + 2)
            if end < 0 and size - at < MAX_LINE + 2:
                if not last:  # the line may end in time
                    self._hash.update(view[done:mark])
                    self._rest = data[mark:]
                    return
                end = size if size - at <= MAX_LINE else -1
            self._marks += 1
            if end >= 0:
                self._hash.update(view[done:mark])
                done = at = end
            if 0 <= delimiter < at:
                delimiter = data.find(_DELIMITER, at)
            if 0 <= parameter < at:
                parameter = data.find(_PARAMETER, at)
        keep = size if last else max(done, at, size - _BACK)
        self._hash.update(view[done:keep])
        self._rest = data[keep:]
