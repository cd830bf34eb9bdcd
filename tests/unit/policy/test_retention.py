"""Which rule decides about a folder, and since when a message's age counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.policy.retention import DAY_S, Rules
from poterne.values.ids import AccountId, MailboxId, ModSeq, Uid, UidValidity
from poterne.values.mailbox import Mailbox, SpecialUse
from poterne.values.retention import NEVER, AgeFrom, Hold, Rule, What

NOW = 1_790_000_000
ANN, BEN = AccountId(1), AccountId(2)
HERE = "example.org"
NAMES: tuple[tuple[str, SpecialUse | None], ...] = (
    ("INBOX", None),
    ("Corbeille", SpecialUse.TRASH),
    ("Corbeille/Vieux", None),
    ("Junk", SpecialUse.JUNK),
    ("Work", None),
    ("Work/Old", None),
    ("Workshop", None),
)


def box(number: int, name: str, use: SpecialUse | None, account: AccountId = ANN, messages: int = 3) -> Mailbox:
    return Mailbox(
        account, MailboxId(number), name, UidValidity(1), Uid(9), ModSeq(9), messages, 0, 0, 99, Uid(1), True, use
    )


BOXES = [box(number, name, use) for number, (name, use) in enumerate(NAMES, 1)]


def decided(*rules: Rule, account: AccountId = ANN) -> dict[str, int]:
    """Days by folder, of its rule; what was fetched as "fetched"."""
    found = Rules(rules, ()).due(account, HERE, BOXES, NOW)
    return {"fetched" if due.rule.what is What.FETCHED else due.mailbox: due.rule.days for due in found}


def test_without_rules_nothing_goes() -> None:
    assert decided() == {}


def test_trash_and_what_is_below_it() -> None:
    assert decided(Rule(What.TRASH, 30), Rule(What.JUNK, 7)) == {"Corbeille": 30, "Corbeille/Vieux": 30, "Junk": 7}


def test_the_most_particular_decides() -> None:
    everything = Rule(What.EVERYTHING, 365)
    assert decided(everything) == dict.fromkeys((name for name, _ in NAMES), 365)
    found = decided(everything, Rule(What.TRASH, 30), Rule(What.FOLDER, 90, "Work"), Rule(What.FOLDER, 5, "Work/Old"))
    assert found["Corbeille"] == found["Corbeille/Vieux"] == 30
    assert (found["Work"], found["Work/Old"], found["Workshop"], found["INBOX"]) == (90, 5, 365, 365)
    assert decided(everything, Rule(What.TRASH, 30), Rule(What.FOLDER, 3, "Corbeille/Vieux"))["Corbeille/Vieux"] == 3


def test_the_account_before_its_domain_before_the_server() -> None:
    server, domain = Rule(What.TRASH, 30), Rule(What.TRASH, 20, domain=HERE)
    mine = Rule(What.TRASH, 10, account_id=ANN)
    assert decided(server, domain, mine)["Corbeille"] == 10
    assert decided(server, domain, mine, account=BEN)["Corbeille"] == 20
    assert decided(server, mine, Rule(What.TRASH, 2, domain="other.example"), account=BEN)["Corbeille"] == 30
    # What it is for counts more than whose it is.
    assert decided(server, Rule(What.EVERYTHING, 99, account_id=ANN))["Corbeille"] == 30


def test_never_protects_what_it_names() -> None:
    found = decided(
        Rule(What.EVERYTHING, 365), Rule(What.FOLDER, NEVER, "Work"), Rule(What.TRASH, NEVER, account_id=ANN)
    )
    assert found == {"INBOX": 365, "Junk": 365, "Workshop": 365}


def test_fetched_is_beside_the_rule_of_inbox() -> None:
    assert decided(Rule(What.FETCHED, 14)) == {"fetched": 14}
    assert decided(Rule(What.FETCHED, 14), Rule(What.FOLDER, 30, "INBOX")) == {"fetched": 14, "INBOX": 30}
    assert decided(Rule(What.FETCHED, 14), Rule(What.FETCHED, NEVER, account_id=ANN)) == {}


def test_since_when_the_age_counts() -> None:
    rules = (Rule(What.TRASH, 2), Rule(What.EVERYTHING, 5), Rule(What.FETCHED, 1))
    found = Rules(rules, ()).due(ANN, HERE, BOXES, NOW)
    asked = {(due.mailbox, due.aged.age_from): due.aged for due in found}
    assert asked["Corbeille", AgeFrom.SAVED].before == NOW - 2 * DAY_S
    assert asked["INBOX", AgeFrom.RECEIVED].before == NOW - 5 * DAY_S
    assert asked["INBOX", AgeFrom.FETCHED].before == NOW - DAY_S
    assert asked["INBOX", AgeFrom.FETCHED].mailbox_id == 1
    assert len(asked) == len(NAMES) + 1


def test_empty_folders_are_not_asked() -> None:
    assert Rules([Rule(What.EVERYTHING, 1)], ()).due(ANN, HERE, [box(1, "INBOX", None, messages=0)], NOW) == []


def test_holds() -> None:
    rules = Rules((), [Hold("case 7", NOW, account_id=ANN), Hold("audit", NOW, domain="held.example")])
    assert rules.held(ANN, HERE) == Hold("case 7", NOW, account_id=ANN)
    assert rules.held(BEN, HERE) is None
    assert rules.held(BEN, "held.example") == Hold("audit", NOW, domain="held.example")


@pytest.mark.parametrize(
    ("rules", "days"),
    [
        ((), None),
        ((Rule(What.FETCHED, 14),), 14),
        ((Rule(What.FETCHED, 14), Rule(What.EVERYTHING, 7)), 7),
        ((Rule(What.FETCHED, NEVER, account_id=ANN), Rule(What.FETCHED, 14)), None),
        ((Rule(What.FOLDER, 30, "INBOX"), Rule(What.EVERYTHING, 7)), 30),
        ((Rule(What.TRASH, 1),), None),
    ],
)
def test_what_pop3_clients_are_told(rules: tuple[Rule, ...], days: int | None) -> None:
    assert Rules(rules, ()).fetched_days(ANN, HERE) == days
    assert Rules(rules, [Hold("case", NOW, domain=HERE)]).fetched_days(ANN, HERE) is None


_rules = st.builds(
    Rule,
    st.sampled_from(What),
    st.integers(0, 400),
    st.sampled_from(("", "INBOX", "Work", "Work/Old", "Corbeille", "/", "//")),
    st.sampled_from(("", HERE, "other.example")),
    st.sampled_from((None, ANN, BEN)),
)


@given(st.lists(_rules, max_size=12))
def test_one_rule_for_each_folder_and_none_that_says_never(rules: list[Rule]) -> None:
    found = Rules(rules, ()).due(ANN, HERE, BOXES, NOW)
    assert all(due.rule.days != NEVER and due.rule in rules for due in found)
    assert all(due.rule.account_id in {None, ANN} and due.rule.domain in {"", HERE} for due in found)
    places = [due.mailbox for due in found if due.rule.what is not What.FETCHED]
    assert len(places) == len(set(places))
