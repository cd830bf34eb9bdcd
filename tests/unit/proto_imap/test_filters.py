"""Mailbox filters, NOTIFY and ESEARCH: what is written is what is read, whatever the words; nonsense is answered."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.proto.imap import commands, mailbox_name
from poterne.proto.imap.cursor import CommandError, Cursor, LiteralMissing
from poterne.proto.imap.filters import MESSAGE_EVENTS, EventGroup, EventKind, Filter, FilterKind
from poterne.proto.imap.items import FetchAtt, FetchItem
from poterne.proto.imap.limits import Limits
from poterne.proto.imap.parse_filters import notify
from poterne.proto.imap.parse_search import multi_search
from poterne.proto.imap.responses import Condition
from poterne.proto.imap.search import SearchReturn

NAMED = (FilterKind.SUBTREE, FilterKind.SUBTREE_ONE, FilterKind.MAILBOXES)
NAME = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs", "S")), min_size=1, max_size=12).map(
    lambda text: mailbox_name.parse(mailbox_name.encode_utf7(text), utf8=False).removesuffix("/")
)


def filters(kinds: list[FilterKind]) -> st.SearchStrategy[Filter]:
    return st.builds(
        lambda kind, names: Filter(kind, tuple(dict.fromkeys(names)) if kind in NAMED else ()),
        st.sampled_from(kinds),
        st.lists(NAME.filter(lambda name: bool(name) and not name.endswith("/")), min_size=1, max_size=4),
    )


OTHERS = [kind for kind in FilterKind if kind not in {FilterKind.SELECTED, FilterKind.SELECTED_DELAYED}]
EVENTS = st.builds(
    lambda messages, flags, more: frozenset(
        ({EventKind.MESSAGE_NEW, EventKind.MESSAGE_EXPUNGE} if messages or flags else set())
        | ({EventKind.FLAG_CHANGE} if flags else set())
        | more
    ),
    st.booleans(),
    st.booleans(),
    st.sets(st.sampled_from([kind for kind in EventKind if kind not in MESSAGE_EVENTS])),
)
ITEMS = st.lists(st.sampled_from([FetchAtt.UID, FetchAtt.FLAGS, FetchAtt.ENVELOPE, FetchAtt.MODSEQ]), unique=True)


def _selected(kind: FilterKind, events: frozenset[EventKind], items: list[FetchItem]) -> EventGroup:
    kept = events & MESSAGE_EVENTS
    return EventGroup(Filter(kind), kept, tuple(items) if kept else ())


SELECTED = st.builds(_selected, st.sampled_from([FilterKind.SELECTED, FilterKind.SELECTED_DELAYED]), EVENTS, ITEMS)
OTHER = st.builds(EventGroup, filters([kind for kind in OTHERS if kind is not FilterKind.SUBTREE_ONE]), EVENTS)
GROUPS = (
    st.tuples(st.lists(SELECTED, max_size=1), st.lists(OTHER, max_size=5))
    .map(lambda two: (*two[0], *two[1]))
    .filter(bool)
)


def written(word: bytes, way: int) -> bytes:
    return (word, word.lower(), word.title())[way % 3]


def filter_text(one: Filter, way: int) -> bytes:
    names = [mailbox_name.render(name, utf8=False) for name in one.names]
    if not names:
        return written(one.kind.value, way)
    listed = names[0] if len(names) == 1 and way % 2 else b"(%b)" % b" ".join(names)
    return written(one.kind.value, way) + b" " + listed


def group_text(group: EventGroup, way: int) -> bytes:
    events = []
    for event in sorted(group.events, key=lambda kind: kind.value, reverse=bool(way % 2)):
        text = written(event.value, way)
        if event is EventKind.MESSAGE_NEW and group.items:
            text += b" (%b)" % b" ".join(item.value for item in group.items if isinstance(item, FetchAtt))
        events.append(text)
    return b"(%b %b)" % (filter_text(group.filter, way), b"(%b)" % b" ".join(events) if events else b"NONE")


def read_notify(arguments: bytes) -> commands.Notify:
    return notify(Cursor(b" " + arguments, 0, Limits(), utf8=False), b"t")


@given(GROUPS, st.booleans(), st.integers(0, 5))
def test_what_is_written_is_read(groups: tuple[EventGroup, ...], status: bool, way: int) -> None:
    text = written(b"SET", way) + (b" STATUS" if status else b"")
    text += b"".join(b" " + group_text(group, way) for group in groups)
    assert read_notify(text) == commands.Notify(b"t", groups, status)


@given(st.lists(filters([FilterKind.SELECTED, *OTHERS]), min_size=1, max_size=5), st.integers(0, 5))
def test_sources_of_a_search(sources: list[Filter], way: int) -> None:
    text = b" in (%b) RETURN (COUNT) UNSEEN" % b" ".join(filter_text(one, way) for one in sources)
    found = multi_search(Cursor(text, 0, Limits(), utf8=False), b"t")
    assert found.sources == tuple(dict.fromkeys(sources))
    assert found.returns == {SearchReturn.COUNT}


WORDS = [
    *(kind.value for kind in FilterKind), *(kind.value for kind in EventKind),
    b"SET", b"NONE", b"STATUS", b"IN", b"RETURN", b"SAVE", b"ALL", b"(", b")", b" ", b" ", b"INBOX", b'"a b"', b"&AOk-", b"&-x",
    b"AnnotationChange", b"x", b"(UID)", b"BODY[]", b"{3+}", b"{1}\r\na", b"\xff", b"*", b"%",
]  # fmt: skip
SOUP = st.lists(st.sampled_from(WORDS), max_size=25).map(b"".join)


@given(SOUP)
def test_anything_else_is_answered(soup: bytes) -> None:
    for read in (notify, multi_search):
        with contextlib.suppress(CommandError, LiteralMissing):
            read(Cursor(b" " + soup, 0, Limits(), utf8=False), b"t")


@pytest.mark.parametrize(
    ("arguments", "condition", "code"),
    [
        (b"SET (personal (AnnotationChange))", Condition.NO, b"BADEVENT ("),
        (b"SET (selected (MessageNew MessageExpunge Later))", Condition.NO, b"BADEVENT ("),
        (b"SET (personal (MessageNew Later))", Condition.NO, b"BADEVENT ("),
        (b"SET (selected (MailboxName))", Condition.BAD, b""),
        (b"SET (personal (MessageExpunge))", Condition.BAD, b""),
        (b"SET (personal (MessageNew (UID) MessageExpunge))", Condition.BAD, b""),
        (b"SET (selected NONE) (selected NONE)", Condition.BAD, b""),
        (b"SET (personal ())", Condition.BAD, b""),
        (b"SET personal (MailboxName)", Condition.BAD, b""),
        (b"SET STATUS", Condition.BAD, b""),
        (b"NONE (selected NONE)", Condition.BAD, b""),
        (b"SET (selected (MessageNew (BODY[]) MessageExpunge))", Condition.NO, b"CANNOT"),
        (
            b"SET (mailboxes (%b) NONE)" % b" ".join(b"n%d" % i for i in range(1000)),
            Condition.NO,
            b"NOTIFICATIONOVERFLOW",
        ),
    ],
)
def test_what_is_wrong(arguments: bytes, condition: Condition, code: bytes) -> None:
    with pytest.raises(CommandError) as caught:
        read_notify(arguments)
    assert caught.value.reply.condition is condition
    assert (caught.value.reply.code or b"").startswith(code)
