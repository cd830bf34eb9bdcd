"""What one NOTIFY SET asks for, ready to be asked of each mailbox. Clients that ask for the same share it."""

from functools import lru_cache
from typing import Final, final

from poterne.proto.imap.filters import EventGroup, EventKind, Filter, FilterKind
from poterne.proto.imap.items import FetchItem
from poterne.session.imap.foreign import is_foreign
from poterne.session.imap.scope import Scope
from poterne.values.mailbox import SpecialUse

MESSAGES: Final = 1
"""MessageNew and MessageExpunge, which go together."""
FLAGS: Final = 2
NAMES: Final = 4
SUBSCRIPTIONS: Final = 8
METADATA: Final = 16
SERVER_METADATA: Final = 32

_BITS: Final = {
    EventKind.MESSAGE_NEW: MESSAGES,
    EventKind.MESSAGE_EXPUNGE: MESSAGES,
    EventKind.FLAG_CHANGE: FLAGS,
    EventKind.MAILBOX_NAME: NAMES,
    EventKind.SUBSCRIPTION_CHANGE: SUBSCRIPTIONS,
    EventKind.MAILBOX_METADATA_CHANGE: METADATA,
    EventKind.SERVER_METADATA_CHANGE: SERVER_METADATA,
}


@final
class Rules:
    """`selected` are the events of the selected mailbox, `items` what is told of its new messages, `delayed` SELECTED-DELAYED."""

    __slots__ = ("_nothing", "_scopes", "delayed", "every", "items", "selected", "wide")

    def __init__(self, groups: tuple[EventGroup, ...]) -> None:
        self.selected = 0
        self.items: tuple[FetchItem, ...] = ()
        self.delayed = False
        self.every = 0
        """All events that are asked for of any other mailbox."""
        self.wide = False
        """Mailboxes of others may be meant."""
        nothing: list[Filter] = []
        by_events: dict[int, list[Filter]] = {}
        for group in groups:
            events = _bits(group)
            if group.filter.is_selected:
                self.selected, self.items = events, group.items
                self.delayed = group.filter.kind is FilterKind.SELECTED_DELAYED
            elif events:
                by_events.setdefault(events, []).append(group.filter)
                self.every |= events
                self.wide |= group.filter.kind is FilterKind.SUBSCRIBED or any(map(is_foreign, group.filter.names))
            else:
                nothing.append(group.filter)
        self._scopes: Final = tuple((Scope(filters), events) for events, filters in by_events.items())
        self._nothing: Final = Scope(nothing) if nothing else None

    def of(self, name: str, use: SpecialUse | None = None, *, subscribed: bool) -> int:
        """The events to be told of a mailbox; a group with NONE takes it out of all others."""
        personal = not is_foreign(name)
        if self._nothing is not None and self._nothing.covers(name, use, personal=personal, subscribed=subscribed):
            return 0
        found = 0
        for scope, events in self._scopes:
            if events | found != found and scope.covers(name, use, personal=personal, subscribed=subscribed):
                found |= events
        return found


def _bits(group: EventGroup) -> int:
    found = 0
    for event in group.events:
        found |= _BITS[event]
    return found


SILENT: Final = Rules(())
"""NOTIFY NONE: nothing is told."""


@lru_cache(256)
def rules_of(groups: tuple[EventGroup, ...]) -> Rules:
    """The rules of these groups, made once."""
    return Rules(groups)
