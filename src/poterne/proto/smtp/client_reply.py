"""The replies of a server, bounded in every direction."""

import re
from dataclasses import dataclass
from typing import Final

from poterne.proto.core import PeerError
from poterne.proto.smtp.client_commands import ServerReply

_LINE: Final = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED: Final = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: +|$)")
# What steers a terminal, hides, or turns writing around: people read these texts in lists and notices.
_UNPRINTABLE: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffd\U000e0000-\U000e0fff]"
)


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """What a server may make us hold."""

    reply_line: int = 4096
    """Octets with CRLF. RFC 5321 §4.5.3.1.5 says 512; long texts with links are common."""
    reply_lines: int = 200
    """Of one reply."""
    reply_octets: int = 65536
    """Of one reply."""


class ReplyReader:
    """Lines in, whole replies out."""

    __slots__ = ("_code", "_enhanced", "_limits", "_lines", "_octets")

    def __init__(self, limits: ClientLimits) -> None:
        self._limits = limits
        self._start()

    def _start(self) -> None:
        self._code = 0
        self._enhanced = ""
        self._lines: list[str] = []
        self._octets = 0

    def feed(self, line: bytes) -> ServerReply | None:
        """None while more lines must follow. PeerError "reply-syntax" or "reply-too-long"."""
        match = _LINE.fullmatch(line)
        if match is None or (self._code and int(match[1]) != self._code):
            raise PeerError("reply-syntax")
        self._octets += len(line)
        if len(self._lines) >= self._limits.reply_lines or self._octets > self._limits.reply_octets:
            raise PeerError("reply-too-long")
        self._code = int(match[1])
        text = (match[3] or b"").decode(errors="replace")
        # Looked for where it can be: the lines of an EHLO answer begin with letters.
        enhanced = _ENHANCED.match(text) if text[1:2] == "." else None
        if enhanced is not None and enhanced[1][0] == str(self._code)[0]:
            self._enhanced = self._enhanced or enhanced[1]
            text = text[enhanced.end() :]
        self._lines.append(text if text.isascii() and text.isprintable() else _UNPRINTABLE.sub("?", text))
        if match[2] == b"-":
            return None
        reply = ServerReply(self._code, self._enhanced, tuple(self._lines))
        self._start()
        return reply
