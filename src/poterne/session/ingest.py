"""Bytes of a message to what the store keeps of it, in one pass while they come.

Each chunk goes to the blob writer and the scanner at once; at the end the texts that IMAP will send (ENVELOPE, BODYSTRUCTURE)
are rendered, so that nobody parses the message again.
"""

from typing import Final, NamedTuple, final

import msgspec

from poterne.message.scan import Scanner
from poterne.proto.imap.render import body_structure, envelope
from poterne.store.interface import Blobs
from poterne.values.mailbox import NewContent
from poterne.values.mime import Scanned

DRAIN_EVERY: Final = 1024 * 1024
"""Octets after which the writer is waited for, so that a large message is on disk and not in memory."""

_encode = msgspec.msgpack.Encoder().encode


class Ingested(NamedTuple):
    """A message that was received whole."""

    content: NewContent
    scanned: Scanned


@final
class Ingest:
    """One message. `first` are the trace fields that we put before it; they are part of the stored message.

    `wanted`: lower-case names of root header fields that the caller wants to see in `Scanned.fields`.
    """

    __slots__ = ("_scanner", "_undrained", "_writer")

    def __init__(self, blobs: Blobs, first: bytes = b"", wanted: frozenset[bytes] = frozenset()) -> None:
        self._writer = blobs.writer()
        self._scanner = Scanner(wanted_fields=wanted)
        self._undrained = 0
        if first:
            self.feed(first)

    def feed(self, chunk: bytes) -> None:
        self._writer.write(chunk)
        self._scanner.feed(chunk)
        self._undrained += len(chunk)

    @property
    def must_drain(self) -> bool:
        """Call `drain` before the next chunk."""
        return self._undrained >= DRAIN_EVERY

    async def drain(self) -> None:
        """Wait until memory is bounded again. Raises StoreError."""
        self._undrained = 0
        await self._writer.drain()

    async def finish(self) -> Ingested:
        """The message's identity and structure. Raises StoreError."""
        scanned = self._scanner.finish()
        blob = await self._writer.finish()
        content = NewContent(
            blob=blob,
            envelope=envelope(scanned.envelope),
            structure=body_structure(scanned.root),
            parsed=_encode(scanned.root),
            header_size=scanned.root.body_start,
            sent_at=scanned.sent_at,
            references=scanned.references,
        )
        return Ingested(content, scanned)

    def abort(self) -> None:
        """Forget it; safe at any time."""
        self._writer.abort()
