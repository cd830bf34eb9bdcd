"""Mailbox filters, and the arguments of NOTIFY (RFC 5465 §8)."""

import re
from typing import Final

from poterne.proto.imap import commands
from poterne.proto.imap.cursor import CommandError, Cursor, syntax
from poterne.proto.imap.filters import MESSAGE_EVENTS, EventGroup, EventKind, Filter, FilterKind
from poterne.proto.imap.items import Binary, BodySection, FetchItem
from poterne.proto.imap.parse_message import fetch_item
from poterne.proto.imap.responses import CANNOT, NOTIFICATIONOVERFLOW, bad, code_badevent, no

_NAMED: Final = (FilterKind.SUBTREE, FilterKind.SUBTREE_ONE, FilterKind.MAILBOXES)
_EVENTS: Final = {kind.value.upper(): kind for kind in EventKind}
_FILTER: Final = re.compile(rb"[A-Za-z-]+").match
_ITEMS_ON_NEW: Final = rb" ("


def filter_mailboxes(cursor: Cursor) -> Filter:
    """`filter-mailboxes`, every kind; which of them a command allows is its own affair."""
    found = _FILTER(cursor.text, cursor.at)
    try:
        kind = FilterKind(found[0].upper() if found else b"")
    except ValueError:
        raise syntax(b"Unknown mailbox filter" if found else b"Mailbox filter expected") from None
    cursor.at += len(kind.value)
    if kind not in _NAMED:
        return Filter(kind)
    cursor.space()
    names = cursor.listed(cursor.mailbox) if cursor.next_is(b"(") else [cursor.mailbox()]
    return Filter(kind, tuple(dict.fromkeys(name.removesuffix("/") for name in names)))


def notify(cursor: Cursor, tag: bytes) -> commands.Notify:
    """`NOTIFY SET [STATUS] groups` or `NOTIFY NONE`."""
    cursor.space()
    word = cursor.word()
    if word == b"NONE":
        cursor.end()
        return commands.Notify(tag, None)
    if word != b"SET":
        raise syntax(b"SET or NONE expected")
    cursor.space()
    status = not cursor.next_is(b"(")
    if status:
        if cursor.word() != b"STATUS":
            raise syntax(b"STATUS or an event group expected")
        cursor.space()
    reader = _Groups(cursor)
    groups = reader.all()
    cursor.end()
    reader.judge(groups)
    return commands.Notify(tag, tuple(groups), status)


class _Groups:
    """Reads event groups. What is well-formed and cannot be had is found at the end, so that nonsense is BAD before it is NO."""

    __slots__ = ("cursor", "names", "sets_seen", "unsupported")

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.names = 0
        self.unsupported = False
        self.sets_seen = False

    def all(self) -> list[EventGroup]:
        found = [self.group()]
        while self.cursor.take(b" "):
            found.append(self.group())
        return found

    def group(self) -> EventGroup:
        cursor = self.cursor
        cursor.open()
        mailboxes = filter_mailboxes(cursor)
        if mailboxes.kind is FilterKind.SUBTREE_ONE:
            raise syntax(b"Unknown mailbox filter")
        self.names += len(mailboxes.names) + 1
        cursor.space()
        events: set[EventKind] = set()
        items: list[FetchItem] = []
        if cursor.next_is(b"("):
            cursor.listed(lambda: self.event(mailboxes, events, items))
        elif cursor.word() != b"NONE":
            raise syntax(b"A list of events, or NONE, expected")
        cursor.close()
        return EventGroup(mailboxes, frozenset(events), tuple(dict.fromkeys(items)))

    def event(self, mailboxes: Filter, events: set[EventKind], items: list[FetchItem]) -> None:
        cursor = self.cursor
        kind = _EVENTS.get(cursor.word())
        if kind is None:
            self.unsupported = True  # also events to come: `event-ext`
            return
        events.add(kind)
        if kind is EventKind.MESSAGE_NEW and cursor.next_is(_ITEMS_ON_NEW):
            if not mailboxes.is_selected:
                raise syntax(b"FETCH attributes are for the selected mailbox")
            cursor.space()
            items += cursor.listed(lambda: fetch_item(cursor))

    def judge(self, groups: list[EventGroup]) -> None:
        """The rules of RFC 5465 §3.1, §5 and §6.1."""
        cursor = self.cursor
        if sum(group.filter.is_selected for group in groups) > 1:
            raise syntax(b"SELECTED and SELECTED-DELAYED exclude each other")
        for group in groups:
            events = group.events
            if group.filter.is_selected and events - MESSAGE_EVENTS:
                raise CommandError("events", bad(b"Of the selected mailbox there are only events of messages"))
            if not self.unsupported and events & MESSAGE_EVENTS and not _is_whole(events):
                raise CommandError("events", bad(b"MessageNew and MessageExpunge go together, FlagChange with both"))
        if self.unsupported:
            raise CommandError("events", no(b"Some events are not supported", code_badevent(_names())))
        if any(_sets_seen(item) for group in groups for item in group.items):
            raise CommandError("events", no(rb"Use BODY.PEEK: what is told sets no \Seen", CANNOT))
        if self.names > cursor.limits.filter_names:
            raise CommandError("too-many", no(b"Too many mailboxes are named", NOTIFICATIONOVERFLOW))


def _is_whole(events: frozenset[EventKind]) -> bool:
    return events >= {EventKind.MESSAGE_NEW, EventKind.MESSAGE_EXPUNGE}


def _names() -> list[bytes]:
    return [kind.value for kind in EventKind]


def _sets_seen(item: FetchItem) -> bool:
    return isinstance(item, BodySection | Binary) and not item.peek
