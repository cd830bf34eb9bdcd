"""A message as it comes: its header is judged first, then its octets go through to the store in one pass."""

from typing import Final, final

from poterne.message.compose import Hop, received, return_path
from poterne.proto.smtp import replies
from poterne.session.ingest import Ingest, Ingested
from poterne.session.smtp.envelope import Envelope
from poterne.session.smtp.header import UNJUDGED, Held, Judged, judge
from poterne.session.smtp.principal import Principal
from poterne.session.smtp.refused import Refused
from poterne.session.smtp.services import Services
from poterne.store.errors import StoreError


@final
class Incoming:
    """A message that is being received. `feed` it, then `finish`; or `abort`."""

    __slots__ = ("_first", "_held", "_ingest", "_principal", "_services", "envelope", "judged", "refused")

    def __init__(self, services: Services, envelope: Envelope, principal: Principal | None, first: bytes) -> None:
        self.envelope: Final = envelope
        self.refused: Refused | None = None
        self.judged = UNJUDGED
        self._services: Final = services
        self._principal: Final = principal
        self._first: Final = first
        self._held: Held | None = Held(services.settings.max_header_bytes)
        """None once the header was judged."""
        self._ingest: Final = Ingest(services.store.blobs)

    async def feed(self, chunk: bytes) -> None:
        """The next octets. Never raises: `finish` tells of failure."""
        held, ingest = self._held, self._ingest
        if held is not None:
            begun = held.feed(chunk)
            if begun is not None:
                await self._begin(begun)
        elif self.refused is None:
            ingest.feed(chunk)
            if self.judged.says is not None:
                self.judged.says.feed(chunk)
        if ingest.must_drain:
            await ingest.drain()

    async def _begin(self, begun: bytes | Refused) -> None:
        """The header is known: our trace fields come before it, so that they are part of the stored message."""
        self._held = None
        judged = await self._judge(begun) if isinstance(begun, bytes) else begun
        if isinstance(judged, Judged):
            self.judged = judged
            self._ingest.feed(self._first + judged.data)
        else:
            self.refused = judged
            self._ingest.abort()

    async def _judge(self, begun: bytes) -> Judged | Refused:
        services, envelope = self._services, self.envelope
        try:
            return await judge(services, self._principal, envelope, begun)
        except StoreError as error:
            services.log.error("header.unavailable", trace=envelope.trace, error=str(error))
            return Refused("unavailable", replies.LOCAL_ERROR)

    async def finish(self) -> Ingested | Refused:
        """The message is complete. Raises StoreError."""
        if self._held is not None:  # a header without an end is all of the message
            await self._begin(self._held.finish())
        return self.refused or await self._ingest.finish()

    def abort(self) -> None:
        """Forget it. Safe at any time."""
        self._held = None
        self._ingest.abort()


def begin(services: Services, envelope: Envelope, principal: Principal | None, hop: Hop) -> Incoming:
    """Start to receive; `principal` has signed in."""
    return Incoming(services, envelope, principal, return_path(envelope.reverse_path) + received(hop))
