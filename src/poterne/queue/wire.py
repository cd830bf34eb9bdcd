"""A queued message as it may leave: what it holds, and what a server must be able to take for it.

A message that cannot go as it is (a line over 998 octets, or octets above 127 for a server without 8BITMIME) is re-encoded
when that harms nothing (`message.downgrade`), else refused with the reason. Small messages are read once and kept for the
attempt; large ones are read twice, in pieces.

What an address of ours forwards leaves with that address in Delivered-To, so that it is known when it comes round again. The
field is written here and not into the stored message: other recipients have the same octets, and need not know who else got it.
The signature is made here too, of what the server will get.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Final, final

from poterne.mailauth.dkim.keys import UnusableKeyError
from poterne.message.downgrade import DowngradeError, ascii_headers, downgrade
from poterne.message.forwarded import delivered_to
from poterne.queue.outcome import Permanent, Transient
from poterne.queue.signing import Signing
from poterne.queue.verdicts import local_permanent, local_transient
from poterne.store.interface import Blobs
from poterne.values.origin import OriginKind
from poterne.values.queue import QueuedMessage

SMALL_BYTES: Final = 256 * 1024
"""Read in one go and kept."""
CONVERTED_MOST: Final = 8 * 1024 * 1024
"""Re-encoding needs the message in memory several times over; larger ones are refused."""
_THREAD_BYTES: Final = 128 * 1024
"""Re-encoding more than that would hold up everybody else."""
_LINE: Final = 1000
"""RFC 5321 §4.5.3.1.6, with CRLF."""


class _LineMeter:
    """Whether any line is too long, over pieces of any size."""

    __slots__ = ("_open", "too_long")

    def __init__(self) -> None:
        self.too_long = False
        self._open = 0  # octets of the unfinished line

    def feed(self, text: bytes) -> None:
        """Looks only about once for each 1,000 octets: from the last line end that a good line can have, to the next."""
        start, end = -self._open, len(text)
        while end - start >= _LINE - 1:
            newline = text.rfind(b"\n", max(start, 0), start + _LINE)
            if newline < 0:
                # 998 octets and a CR, of which the LF is still to come, are not too long yet.
                self.too_long |= end - start >= _LINE or text[-1:] != b"\r"
                break
            start = newline + 1
        self._open = end - (newline + 1) if (newline := text.rfind(b"\n")) >= 0 else self._open + end


def passed(message: QueuedMessage) -> bytes:
    """The Delivered-To field that it gets on its way out; b"" unless an address of ours forwards it."""
    origin = message.origin
    return delivered_to(origin.name) if origin.kind is OriginKind.FORWARD and "@" in origin.name else b""


@final
class Letter:
    """One message for one attempt. `inspect` first."""

    __slots__ = (
        "_blobs",
        "_first",
        "_form",
        "_message",
        "_signature",
        "_signing",
        "_whole",
        "eight_bit",
        "long_line",
        "size",
    )

    def __init__(self, message: QueuedMessage, blobs: Blobs, signing: Signing | None = None) -> None:
        self._message = message
        self._blobs = blobs
        self._signing = signing
        self._whole: bytes | None = None
        self._first = passed(message)
        self._form = ""
        """The conversions that it went through."""
        self._signature = b""
        self.size = len(self._first) + message.blob.size - message.start
        self.eight_bit = False
        self.long_line = False

    async def inspect(self) -> None:
        """Read it and note what it holds. Raises StoreError."""
        meter = _LineMeter()
        if self.size <= SMALL_BYTES:
            whole = self._whole = self._first + self._blobs.read(self._message.blob, self._message.start)
            self.eight_bit = not whole.isascii()
            meter.feed(whole)
        else:
            async for piece in self._pieces():
                self.eight_bit = self.eight_bit or not piece.isascii()
                meter.feed(piece)
        self.long_line = meter.too_long

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        if self._first:
            yield self._first
        async for piece in self._blobs.stream(self._message.blob, self._message.start):
            yield piece

    async def content(self) -> AsyncIterator[bytes]:
        """What is to be sent, in pieces. Raises StoreError."""
        if self._whole is not None:
            yield self._signature + self._whole
            return
        if self._signature:
            yield self._signature
        async for piece in self._pieces():
            yield piece

    async def fit(self, extensions: Mapping[str, tuple[str, ...]]) -> Permanent | Transient | None:
        """Make it what a server with these extensions can take, signed; or say why that cannot be. Raises StoreError."""
        return await self._convert(extensions) or await self._sign()

    async def _sign(self) -> Transient | None:
        """Put the signature of its author's domain before it, if one is due."""
        if self._signing is None:
            return None
        try:
            signature = await self._signing.fields(self._message, self._form, self._whole, self._pieces)
        except UnusableKeyError:
            return local_transient("4.3.5", "The message can't be signed: a key of this server can't be used")
        self.size += len(signature) - len(self._signature)
        self._signature = signature
        return None

    async def _convert(self, extensions: Mapping[str, tuple[str, ...]]) -> Permanent | None:
        if self._message.smtputf8 and "SMTPUTF8" not in extensions:
            refused = await self._without_utf8()
            if refused is not None:
                return refused
        seven_bit = self.eight_bit and "8BITMIME" not in extensions
        if not self.long_line and not seven_bit:
            return None
        what = "lines longer than 998 octets" if self.long_line else "8-bit text, which the server does not take"
        if self.size > CONVERTED_MOST:
            return _unfit(what, "it is too large to be re-encoded")
        try:
            self._whole = await self._downgraded(seven_bit=seven_bit)
        except DowngradeError as error:
            return _unfit(what, error.public)
        self._form += "7" if seven_bit else "l"
        self._signature = b""
        self.size = len(self._whole)
        self.eight_bit = not self._whole.isascii()
        self.long_line = False
        return None

    async def _gathered(self) -> bytes:
        return self._whole if self._whole is not None else b"".join([piece async for piece in self._pieces()])

    async def _downgraded(self, *, seven_bit: bool) -> bytes:
        data = await self._gathered()
        if len(data) <= _THREAD_BYTES:
            return downgrade(data, seven_bit=seven_bit)
        return await asyncio.to_thread(downgrade, data, seven_bit=seven_bit)

    async def _without_utf8(self) -> Permanent | None:
        """SMTPUTF8 was said when the message came; whether it needs it is seen from the message (RFC 6531 §3.5)."""
        needs = not self._message.reverse_path.isascii()
        if not needs and self.eight_bit:
            needs = self.size > CONVERTED_MOST or not ascii_headers(await self._gathered())
        if not needs:
            return None
        return local_permanent(553, "5.6.7", "The message has an international address, which the server does not take")


def _unfit(what: str, why: str) -> Permanent:
    return local_permanent(554, "5.6.3", f"The message has {what}, and {why}")
