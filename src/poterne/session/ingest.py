"""A message from the wire to stored content: its bytes pass once, into the blob and through the scanner.

Used by SMTP and APPEND alike. What the server puts before a message (Return-Path, Received, …) is simply fed first, so that
it is part of what is stored and every offset counts it. What it can put there only when it has seen all of the message (the
results of checks) gets room: a small message is written when its head is known; before a large one that many octets are left
free, and what the head does not need of them is padding.
"""

from typing import Final, final

from poterne.message.compose import padded
from poterne.message.limits import DEFAULT, Limits
from poterne.message.scan import Scanner
from poterne.queue.content import new_content
from poterne.store.interface import Blobs
from poterne.values.ids import BlobId
from poterne.values.mailbox import NewContent
from poterne.values.mime import Scanned

SMALL_BYTES: Final = 64 * 1024
"""Messages up to this size are kept until the end and scanned in one go, which copies them less often."""
DRAIN_BYTES: Final = 256 * 1024
"""How much may be fed between two calls of `drain`."""


@final
class Ingested:
    """A message that is complete: its octets, which are in the store, and what the scanner found."""

    __slots__ = ("_content", "blob", "scanned")

    def __init__(self, blob: BlobId, scanned: Scanned) -> None:
        self.blob: Final = blob
        self.scanned: Final = scanned
        self._content: NewContent | None = None

    @property
    def content(self) -> NewContent:
        """What a mailbox keeps of it: made when it is asked for, since what only goes out needs none."""
        if self._content is None:
            self._content = new_content(self.blob, self.scanned)
        return self._content


@final
class Ingest:
    """One message. `feed` its octets in any pieces, then `finish`; or `abort`.

    `first` is put before the message; `room`: octets before it that `finish` gives. `wanted`: lower-case names of header fields
    to find in `scanned.fields`. Size limits are the caller's: `size` says how much was fed, `first` included. Raises
    UnavailableError and nothing else.
    """

    __slots__ = ("_kept", "_room", "_scanner", "_undrained", "_writer", "size")

    def __init__(
        self,
        blobs: Blobs,
        *,
        first: bytes = b"",
        room: int = 0,
        wanted: frozenset[bytes] = frozenset(),
        limits: Limits = DEFAULT,
    ) -> None:
        self._writer: Final = blobs.writer()
        self._room: Final = room
        self._scanner: Final = Scanner(limits, wanted)
        self._kept: list[bytes] | None = []
        self._undrained = 0
        self.size = 0
        if first:
            self.feed(first)

    def feed(self, chunk: bytes) -> None:
        """The next octets. Then `drain`, if `must_drain`."""
        size = len(chunk)
        self.size += size
        self._undrained += size
        kept, room = self._kept, self._room
        if kept is None:
            self._writer.write(chunk)
            self._scanner.feed(chunk)
            return
        if not room:
            self._writer.write(chunk)
        kept.append(chunk)
        if self.size > SMALL_BYTES:
            self._kept = None
            if room:
                self._writer.write_head(room)
                self._scanner.feed(padded(b"", room))
            for piece in kept:
                if room:
                    self._writer.write(piece)
                self._scanner.feed(piece)

    @property
    def must_drain(self) -> bool:
        """Enough was fed to wait for the disk."""
        return self._undrained >= DRAIN_BYTES

    async def drain(self) -> None:
        """Wait until no more than the store's limit of it is in memory."""
        self._undrained = 0
        await self._writer.drain()

    async def finish(self, head: bytes = b"") -> Ingested:
        """The message is complete. Nothing is durable before an operation that names its content has returned.

        `head`: whole header fields for the room that was left, PADDING_LEAST octets less than it or exactly as many.
        """
        kept, self._kept = self._kept, None
        if kept is None:
            if self._room:
                self._writer.set_head(padded(head, self._room))
            scanned = self._scanner.finish()
        else:
            if self._room:
                kept.insert(0, head)
                for piece in kept:
                    self._writer.write(piece)
            scanned = self._scanner.scan_whole(kept[0] if len(kept) == 1 else b"".join(kept))
        return Ingested(await self._writer.finish(), scanned)

    def abort(self) -> None:
        """Forget it. Safe at any time."""
        self._kept = None
        self._writer.abort()
