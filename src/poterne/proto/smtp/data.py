r"""The bytes of a message: where it ends, dot-unstuffing, and whether its line ends can be trusted.

Theory of operation. Input comes in chunks of any size and is treated as whole chunks, never line by line. What could be the
beginning of `CRLF.CRLF` at the end of a chunk (at most four octets) is carried over and put before the next one, so each chunk
is examined as if the message were in one piece; the CRLF after DATA's own line is put before the first. Then

- the first `CRLF.CRLF` ends the message, and nothing else does (RFC 5321 §4.1.1.4);
- `CRLF.` elsewhere loses its dot, by one `replace` (§4.5.2);
- a CR or LF that is not part of a CRLF is found by counting (`dots.stray`).

A message with a bare CR, bare LF or NUL is consumed up to its real end and refused there. Somebody else might take `LF.LF` or
`CR.CR` for the end of a message, and what follows for commands: smuggling, CVE-2023-51764 and its kin. Refused whole, nothing
can be smuggled through us in either direction.
"""

from poterne.proto.dots import stray
from poterne.proto.smtp.events import DataFault


class Content:
    """What DATA and BDAT have in common: counts, facts, faults. `withhold` is set once the message cannot be accepted."""

    __slots__ = (
        "_bare_cr",
        "_bare_lf",
        "_line_limit",
        "_line_octets",
        "_nul",
        "eight_bit",
        "long_line",
        "max_size",
        "size",
        "withhold",
    )

    def __init__(self, max_size: int, line_limit: int) -> None:
        self.max_size = max_size
        self.size = 0
        self.eight_bit = False
        self.long_line = False
        self.withhold = False
        self._line_limit = line_limit
        self._line_octets = 0  # of the unfinished line that the last chunk ended with
        self._bare_lf = False
        self._bare_cr = False
        self._nul = False

    @property
    def fault(self) -> DataFault | None:
        """The first that applies, in the order of DataFault: whatever the chunks were, the same answer."""
        if not self.withhold:
            return None
        if self._bare_lf:
            return DataFault.BARE_LF
        if self._bare_cr:
            return DataFault.BARE_CR
        return DataFault.NUL if self._nul else DataFault.TOO_BIG

    def examine(self, text: bytes, start: int = 0) -> None:
        """Take account of `text[start:]`. A CRLF is never split between two calls; `text[:start]` is only ever a CRLF."""
        bare_lf, bare_cr = stray(text)
        if bare_lf or bare_cr:
            self.withhold = True
            self._bare_lf |= bare_lf
            self._bare_cr |= bare_cr
        if b"\0" in text:
            self._nul = self.withhold = True
        if not (self.eight_bit or text.isascii()):
            self.eight_bit = True
        self.size += len(text) - start
        if self.size > self.max_size:
            self.withhold = True
        if not self.long_line:
            self._measure_lines(text, start)

    def _measure_lines(self, text: bytes, start: int) -> None:
        """Hop from one line end to the last one within reach: a few steps per thousand octets."""
        limit, end = self._line_limit, len(text)
        at = start
        reach = at + limit - self._line_octets
        while reach < end:
            at = text.rfind(b"\n", at, reach) + 1
            if at == 0:
                self.long_line = True
                return
            reach = at + limit
            self._line_octets = 0
        last = text.rfind(b"\n", at, end) + 1
        self._line_octets = end - last if last else self._line_octets + end - at


class DataReader:
    """The message after DATA. Feed it until `complete`; what it returns is the message, unstuffed."""

    __slots__ = ("_carry", "_first", "complete", "content", "rest")

    def __init__(self, content: Content) -> None:
        self.content = content
        self.complete = False
        self.rest = b""
        """What came after the end of the message."""
        self._carry = b"\r\n"
        self._first = 2  # octets of the carry that are not the message's

    def feed(self, data: bytes) -> bytes:
        block = self._carry + data if self._carry else data
        stop = block.find(b"\r\n.") if b"." in block else -1  # most chunks of base64 hold no dot at all
        end = -1 if stop < 0 else block.find(b"\r\n.\r\n", stop)
        if end >= 0:
            self.complete = True
            self.rest = block[end + 5 :]
            text = block[: end + 2]
        else:
            keep = _undecided(block)
            text = block[:-keep] if keep else block
            self._carry = block[-keep:] if keep else b""
            if not text:
                return b""
        if 0 <= stop < len(text) - 2:
            text = text.replace(b"\r\n.", b"\r\n")
        start, self._first = self._first, 0
        self.content.examine(text, start)
        if self.content.withhold:
            return b""
        return text[start:] if start else text


class ChunkReader:
    """The message in BDAT chunks (RFC 3030): counted, not stuffed. One reader for all chunks of a message."""

    __slots__ = ("_carry", "content")

    def __init__(self, content: Content) -> None:
        self.content = content
        self._carry = b""

    def feed(self, data: bytes) -> bytes:
        text = self._carry + data
        self._carry = b""
        if text.endswith(b"\r"):
            text, self._carry = text[:-1], b"\r"
        return self._take(text)

    def finish(self) -> bytes:
        """After the last chunk: what was held back."""
        text, self._carry = self._carry, b""
        return self._take(text)

    @property
    def size(self) -> int:
        return self.content.size + len(self._carry)

    def _take(self, text: bytes) -> bytes:
        if text:
            self.content.examine(text)
        return b"" if self.content.withhold else text


def _undecided(block: bytes) -> int:
    """How many octets at the end may be the beginning of the end."""
    last = block[-1:]
    if last == b"\r":
        return 4 if block.endswith(b"\r\n.\r") else 1
    if last == b"\n":
        return 2 if block.endswith(b"\r\n") else 0
    if last == b".":
        return 3 if block.endswith(b"\r\n.") else 0
    return 0
