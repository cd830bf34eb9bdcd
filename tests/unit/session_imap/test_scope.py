"""Which mailboxes filters cover, against the words of RFC 5465 §6 and RFC 7377 §2.2; and NOTIFY's groups together."""

from hypothesis import given
from hypothesis import strategies as st

from poterne.proto.imap.filters import EventGroup, EventKind, Filter, FilterKind
from poterne.session.imap.rules import FLAGS, MESSAGES, NAMES, Rules
from poterne.session.imap.scope import Scope
from poterne.values.mailbox import SpecialUse

LEVEL = st.sampled_from(["a", "b", "INBOX", "a0", "a."])
NAME = st.lists(LEVEL, min_size=1, max_size=4).map("/".join)
FILTER = st.builds(Filter, st.sampled_from(list(FilterKind)), st.lists(NAME, min_size=1, max_size=3).map(tuple)).filter(
    lambda one: not one.is_selected
)
NEW = frozenset({EventKind.MESSAGE_NEW, EventKind.MESSAGE_EXPUNGE})


def covers(one: Filter, name: str, use: SpecialUse | None, *, personal: bool, subscribed: bool) -> bool:
    """The same as the RFCs say it."""
    match one.kind:
        case FilterKind.PERSONAL:
            return personal
        case FilterKind.INBOXES:
            return personal and (name == "INBOX" or use is SpecialUse.JUNK)
        case FilterKind.SUBSCRIBED:
            return subscribed
        case FilterKind.MAILBOXES:
            return name in one.names
        case FilterKind.SUBTREE:
            return any(name == top or name.startswith(top + "/") for top in one.names)
        case _:
            return any(name == top or name.rpartition("/")[0] == top for top in one.names)


@given(st.lists(FILTER, max_size=4), NAME, st.sampled_from([None, *SpecialUse]), st.booleans(), st.booleans())
def test_as_the_rfcs_say(
    filters: list[Filter], name: str, use: SpecialUse | None, personal: bool, subscribed: bool
) -> None:
    expected = any(covers(one, name, use, personal=personal, subscribed=subscribed) for one in filters)
    scope = Scope(filters)
    assert scope.covers(name, use, personal=personal, subscribed=subscribed) == expected
    assert scope.is_empty == (not filters)
    if scope.exact is not None:
        assert expected == (name in scope.exact)


def group(kind: FilterKind, events: frozenset[EventKind], *names: str) -> EventGroup:
    return EventGroup(Filter(kind, names), events)


def test_groups_add_up_and_none_takes_away() -> None:
    rules = Rules(
        (
            group(FilterKind.PERSONAL, frozenset({EventKind.MAILBOX_NAME})),
            group(FilterKind.SUBTREE, NEW, "a"),
            group(FilterKind.MAILBOXES, NEW | {EventKind.FLAG_CHANGE}, "a/b"),
            group(FilterKind.MAILBOXES, frozenset(), "a/c"),
        )
    )
    assert rules.of("x", subscribed=False) == NAMES
    assert rules.of("a/x", subscribed=False) == NAMES | MESSAGES
    assert rules.of("a/b", subscribed=False) == NAMES | MESSAGES | FLAGS
    assert rules.of("a/c", subscribed=False) == 0
    assert rules.of("Other Users/a/x", subscribed=False) == 0
    assert rules.selected == 0
    assert rules.every == NAMES | MESSAGES | FLAGS


def test_the_selected_mailbox_has_rules_of_its_own() -> None:
    rules = Rules((group(FilterKind.SELECTED_DELAYED, NEW),))
    assert rules.delayed
    assert rules.selected == MESSAGES
    assert rules.every == 0
    assert rules.of("INBOX", subscribed=True) == 0
