"""A message on its way to a client: dot-stuffed for RETR, cut as well for TOP."""

from poterne.proto.dots import DotStuffer


class Body:
    """`lines` None: all of it; else the header, the blank line and so many lines of the body (RFC 1939 §7 TOP)."""

    __slots__ = ("_context", "_in_header", "_left", "_stuffer", "complete")

    def __init__(self, lines: int | None) -> None:
        self.complete = False
        """Nothing more is wanted."""
        self._left = lines
        self._in_header = lines is not None
        self._context = b"\r\n"  # what came just before: a message may begin with its blank line
        self._stuffer = DotStuffer(check=False)

    def feed(self, data: bytes) -> bytes:
        return b"" if self.complete else self._stuffer.feed(self._cut(data) if self._left is not None else data)

    def finish(self) -> bytes:
        return self._stuffer.finish()

    def _cut(self, data: bytes) -> bytes:
        start = 0
        if self._in_header:
            joined = self._context + data
            end = joined.find(b"\r\n\r\n")
            if end < 0:
                self._context = joined[-3:]
                return data
            self._in_header = False
            start = end + 4 - len(self._context)
        left = self._left or 0
        body = data[start:]
        lines = body.count(b"\n")
        if left and lines < left:
            self._left = left - lines
            return data
        self.complete = True
        rest = body.split(b"\n", left)[-1] if left else body
        return data[: len(data) - len(rest)]
