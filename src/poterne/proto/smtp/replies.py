"""SMTP replies, and what else a session may send. Rendered once, when made, so that constants cost nothing.

A reply's text is ours but may quote the peer: whatever is not printable is shown as "?", so no quoted text can end a line.
"""

import re
from dataclasses import dataclass, field
from typing import Final, TypeAlias

# RFC 5321 §4.5.3.1.5: 512 octets with code and CRLF. Text is cut into lines shorter than that.
_TEXT_OCTETS: Final = 480
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CUT: Final = re.compile(rf"[\s\S]{{1,{_TEXT_OCTETS // 4}}}")


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply. `enhanced` is "" or a code of RFC 3463 such as "5.1.1"; `more` are further lines.

    `close` ends the connection after it; 221 and 421 always do. ValueError for a code or enhanced code that is none, or an
    enhanced code whose class differs from the reply's (RFC 2034 §4).
    """

    code: int
    enhanced: str
    text: str
    more: tuple[str, ...] = ()
    close: bool = False
    wire: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 200 <= self.code <= 599:
            raise ValueError(f"no reply code: {self.code}")
        if self.enhanced and (not _ENHANCED.fullmatch(self.enhanced) or self.enhanced[0] != str(self.code)[0]):
            raise ValueError(f"enhanced code {self.enhanced!r} does not fit {self.code}")
        object.__setattr__(self, "wire", _render(self.code, self.enhanced, (self.text, *self.more)))

    @property
    def positive(self) -> bool:
        """2xx."""
        return self.code < 300

    @property
    def lines(self) -> tuple[str, ...]:
        return (self.text, *self.more)


_ENHANCED: Final = re.compile(r"[245]\.(?:0|[1-9][0-9]{0,2})\.(?:0|[1-9][0-9]{0,2})")


def _render(code: int, enhanced: str, texts: tuple[str, ...]) -> bytes:
    lines: list[str] = []
    for text in texts:
        clean = _UNPRINTABLE.sub("?", text)
        lines += (
            [clean]
            if len(clean) <= _TEXT_OCTETS // 4 or (clean.isascii() and len(clean) <= _TEXT_OCTETS)
            else _CUT.findall(clean)
        )
    prefix = f"{enhanced} " if enhanced else ""
    head = "".join(f"{code}-{prefix}{line}\r\n" for line in lines[:-1])
    return f"{head}{code} {prefix}{lines[-1]}\r\n".encode(errors="replace")


@dataclass(frozen=True, slots=True)
class Challenge:
    """334 with these octets in base64: the next step of an AUTH exchange."""

    data: bytes


Sent: TypeAlias = Reply | Challenge
"""What `Server.send` takes."""

OK: Final = Reply(250, "2.0.0", "OK")
SENDER_OK: Final = Reply(250, "2.1.0", "Sender OK")
RECIPIENT_OK: Final = Reply(250, "2.1.5", "Recipient OK")
START_DATA: Final = Reply(354, "", "Send the message, end with <CRLF>.<CRLF>")
CHUNK_OK: Final = Reply(250, "2.0.0", "Chunk received")
START_TLS: Final = Reply(220, "2.0.0", "Ready to start TLS")
NO_TLS: Final = Reply(454, "4.7.0", "TLS is not available for now")
BYE: Final = Reply(221, "2.0.0", "Goodbye")
CANNOT_VRFY: Final = Reply(252, "2.1.5", "Cannot verify, send mail to find out")
HELP: Final = Reply(214, "2.0.0", "See RFC 5321")
AUTHENTICATED: Final = Reply(235, "2.7.0", "Authenticated")
AUTH_FAILED: Final = Reply(535, "5.7.8", "User name or password is wrong")
AUTH_UNAVAILABLE: Final = Reply(454, "4.7.0", "Cannot check passwords for now, try again later")
AUTH_CANCELLED: Final = Reply(501, "5.7.0", "Authentication cancelled")
AUTH_REQUIRED: Final = Reply(530, "5.7.0", "Authentication required")
TLS_REQUIRED: Final = Reply(530, "5.7.0", "Must issue a STARTTLS command first")
SHUTTING_DOWN: Final = Reply(421, "4.3.2", "Shutting down, try again later")
TOO_SLOW: Final = Reply(421, "4.4.2", "Timed out")
TOO_MANY_ERRORS: Final = Reply(421, "4.7.0", "Too many errors")
LOCAL_ERROR: Final = Reply(451, "4.3.0", "Something failed here, try again later")
