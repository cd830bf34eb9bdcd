"""A message on its way in by APPEND."""

from dataclasses import dataclass, field

from poterne.proto.imap.items import FlagSet
from poterne.proto.imap.responses import Completed
from poterne.session.imap.foreign import Place
from poterne.session.ingest import Ingest
from poterne.store.interface import Delivery
from poterne.values.ids import Uid


@dataclass(slots=True)
class Appending:
    """An APPEND command under way; with MULTIAPPEND several messages, delivered together at its end."""

    place: Place
    ingest: Ingest
    flags: FlagSet
    internal_at: int
    internal_offset: int
    replaces: Uid | None = None
    """REPLACE: the message of the selected mailbox that goes as this one comes."""
    deliveries: list[Delivery] = field(default_factory=list)
    head: bytearray | None = None
    """The header so far, while it is to be looked at (`append.is_utf8_header`); None: no more."""
    failed: Completed | None = None
    """Why it will be refused; what still comes is dropped."""

    def abort(self) -> None:
        """Nothing of it is kept."""
        self.ingest.abort()
        self.deliveries.clear()
