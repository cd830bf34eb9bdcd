"""Text with a dot at its end: the sending side of SMTP DATA (RFC 5321 §4.5.2) and of POP3's long answers (RFC 1939 §3)."""


def stray(text: bytes) -> tuple[bool, bool]:
    r"""Whether `text` holds a bare LF, and whether it holds a bare CR.

    `splitlines` counts CRLF, CR and LF as one line end each, so its count differs from that of "\r" (of "\n") exactly when
    there is a bare LF (CR). Several times faster than a search with a regular expression.
    """
    lines = len(text.splitlines())
    if lines and text[-1] not in b"\r\n":
        lines -= 1
    return lines != text.count(b"\r"), lines != text.count(b"\n")


class DotStuffer:
    """Doubles the dot at the start of a line, whatever the chunks are. A last CR waits for what follows it.

    With `check` the text is searched for what must not be sent, see `fault`.
    """

    __slots__ = ("_carry", "_check", "_line_start", "bare_cr", "bare_lf", "nul")

    def __init__(self, *, check: bool) -> None:
        self._check = check
        self.bare_lf = False
        self.bare_cr = False
        self.nul = False
        self._carry = b""
        self._line_start = True

    @property
    def fault(self) -> str | None:
        """The first of "bare-lf", "bare-cr" and "nul" that the text so far holds."""
        return "bare-lf" if self.bare_lf else "bare-cr" if self.bare_cr else "nul" if self.nul else None

    def feed(self, data: bytes) -> bytes:
        """The stuffed text; also with a fault, which is the caller's to decide about."""
        text = self._carry + data if self._carry else data
        self._carry = b""
        if text[-1:] == b"\r":
            text, self._carry = text[:-1], b"\r"
        return self._stuff(text) if text else b""

    def finish(self) -> bytes:
        """The rest: an unfinished last line is ended, then comes the lone dot."""
        rest = b""
        if self._carry:
            self._carry = b""
            rest = self._stuff(b"\r")
        return rest + (b".\r\n" if self._line_start else b"\r\n.\r\n")

    def _stuff(self, text: bytes) -> bytes:
        if self._check:
            bare_lf, bare_cr = stray(text)
            self.bare_lf |= bare_lf
            self.bare_cr |= bare_cr
            self.nul |= b"\0" in text
        first = self._line_start and text[:1] == b"."
        self._line_start = text[-2:] == b"\r\n"
        if b"." in text:
            text = text.replace(b"\r\n.", b"\r\n..")
        return b"." + text if first else text
