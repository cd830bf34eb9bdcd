"""What threading needs to know of a stored message; the same for ever, so it is looked up once for all sessions."""

from typing import Final, final

import msgspec

from poterne.values.ids import ContentId

MAX_FACTS: Final = 30_000
"""Some 300 octets each. More are forgotten oldest first; whoever threads a larger mailbox reads its headers each time."""


class Fact(msgspec.Struct, frozen=True, gc=False):
    sent_at: int | None
    subject: str
    """The base subject, to be compared."""
    is_reply: bool
    message_id: int | None
    references: tuple[int, ...]


@final
class Facts:
    """By content. A content's number is never used again, so that nothing here becomes wrong."""

    __slots__ = ("_known", "get")

    def __init__(self) -> None:
        self._known: Final[dict[ContentId, Fact]] = {}
        self.get: Final = self._known.get

    def note(self, content_id: ContentId, fact: Fact) -> None:
        known = self._known
        if len(known) >= MAX_FACTS and content_id not in known:
            del known[next(iter(known))]
        known[content_id] = fact
