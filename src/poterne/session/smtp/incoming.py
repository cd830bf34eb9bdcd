"""A message as it comes: its header is judged first, then its octets go through to the store and the checks in one pass.

What decides about it at its end is in `verdict`: who it is from is known only when its last octet has passed.
"""

from typing import Final, final

from poterne.message.compose import Hop, received, return_path
from poterne.proto.smtp import replies
from poterne.session.ingest import Ingest, Ingested
from poterne.session.smtp import verdict
from poterne.session.smtp.checks import Checks
from poterne.session.smtp.envelope import Envelope
from poterne.session.smtp.header import UNJUDGED, Held, Judged, judge
from poterne.session.smtp.principal import Principal
from poterne.session.smtp.refused import Refused
from poterne.session.smtp.services import Services
from poterne.session.smtp.verdict import UNCHECKED, Concluded
from poterne.store.errors import StoreError

ROOM_BYTES: Final = 3_072
"""For what the checks say, on top of a large message."""


@final
class Incoming:
    """A message that is being received. `feed` it, then `finish`; or `abort`. `checks`: who it is from is to be verified."""

    __slots__ = (
        "_checks", "_held", "_ingest", "_principal", "_received", "_return_path", "_services", "concluded", "envelope", "judged",
        "refused",
    )  # fmt: skip

    def __init__(
        self, services: Services, envelope: Envelope, principal: Principal | None, hop: Hop, checks: Checks | None
    ) -> None:
        self.envelope: Final = envelope
        self.refused: Refused | None = None
        self.judged = UNJUDGED
        self.concluded: Concluded = UNCHECKED
        self._services: Final = services
        self._principal: Final = principal
        self._checks: Final = checks
        self._return_path: Final = return_path(envelope.reverse_path)
        self._received: Final = received(hop)
        self._held: Held | None = Held(services.settings.max_header_bytes)
        """None once the header was judged."""
        room = 0 if checks is None else len(self._return_path) + ROOM_BYTES
        self._ingest: Final = Ingest(services.store.blobs, room=room)

    async def feed(self, chunk: bytes) -> None:
        """The next octets. Never raises: `finish` tells of failure."""
        held, ingest = self._held, self._ingest
        if held is not None:
            begun = held.feed(chunk)
            if begun is not None:
                await self._begin(begun)
        elif self.refused is None:
            ingest.feed(chunk)
            if self._checks is not None:
                self._checks.feed(chunk)
            elif self.judged.says is not None:
                self.judged.says.feed(chunk)
        if ingest.must_drain:
            await ingest.drain()

    async def _begin(self, begun: bytes | Refused) -> None:
        """The header is known: our trace fields come before it, so that they are part of the stored message."""
        self._held = None
        if not isinstance(begun, bytes):
            self._refuse(begun)
            return
        judged = await self._judge(begun)
        if not isinstance(judged, Judged):
            self._refuse(judged)
            return
        self.judged = judged
        if self._services.behind_edge and judged.header is not None:
            self.concluded = verdict.from_edge(self.envelope, judged.header)
        first = self._received
        if self._checks is None:
            first = self._return_path + self.concluded.fields + self._received
        self._ingest.feed(first + judged.data)
        if self._checks is not None and judged.header is not None and judged.author is not None:
            self._checks.begin(judged.header, judged.author)
            self._checks.feed(begun[judged.header.end :])

    async def _judge(self, begun: bytes) -> Judged | Refused:
        services, envelope = self._services, self.envelope
        try:
            judged = await judge(services, self._principal, envelope, begun)
            if self._checks is None and isinstance(judged, Judged):
                return verdict.unchecked(services, envelope, judged, signed_in=self._principal is not None) or judged
        except StoreError as error:
            services.log.error("header.unavailable", trace=envelope.trace, error=str(error))
            return Refused("unavailable", replies.LOCAL_ERROR)
        return judged

    def _refuse(self, refused: Refused) -> None:
        self.refused = refused
        self._ingest.abort()
        if self._checks is not None:
            self._checks.drop()

    async def finish(self) -> Ingested | Refused:
        """The message is complete. Raises StoreError."""
        if self._held is not None:  # a header without an end is all of the message
            await self._begin(self._held.finish())
        if self.refused is None and self._checks is not None:
            concluded = await verdict.conclude(self._services, self.envelope, self.judged, self._checks)
            if isinstance(concluded, Refused):
                self._refuse(concluded)
            else:
                self.concluded = concluded
        head = b"" if self._checks is None else self._return_path + self.concluded.fields
        return self.refused or await self._ingest.finish(head)

    def abort(self) -> None:
        """Forget it. Safe at any time."""
        self._held = None
        self._ingest.abort()
        if self._checks is not None:
            self._checks.drop()
