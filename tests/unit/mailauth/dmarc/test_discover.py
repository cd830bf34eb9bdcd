"""Author, organisation and suffix, each with or without record, times p, sp, np, t and existence."""

import itertools

import pytest

from poterne.mailauth.dmarc.discover import Discovery, discover
from poterne.mailauth.dmarc.outcome import Policy, Reason
from tests.unit.mailauth.dmarc.zone import Zone

NONE, QUARANTINE, REJECT = Policy.NONE, Policy.QUARANTINE, Policy.REJECT
POLICIES = [None, NONE, QUARANTINE, REJECT]


def found(zone: Zone, author: str) -> Discovery:
    return zone.run(discover(author))


def tags(p: Policy, sp: Policy | None, np: Policy | None, *, testing: bool) -> str:
    text = f"v=DMARC1; p={p.value}"
    for name, policy in (("sp", sp), ("np", np)):
        text += f"; {name}={policy.value}" if policy else ""
    return text + ("; t=y" if testing else "")


TABLE = list(itertools.product([NONE, QUARANTINE, REJECT], POLICIES, POLICIES, [False, True], [False, True]))


@pytest.mark.parametrize("place", ["author", "organisation", "suffix"])
def test_which_policy_applies(place: str) -> None:
    author = "mail.corp.example"
    name = {"author": author, "organisation": "corp.example", "suffix": "example"}[place]
    for p, sp, np, testing, existing in TABLE:
        text = tags(p, sp, np, testing=testing) + ("; psd=y" if place == "suffix" else "")
        got = found(Zone({f"_dmarc.{name}": text}, [author] if existing else []), author)
        if place == "author":
            policy, tag = p, "p"
        elif np is not None and not existing:
            policy, tag = np, "np"
        else:
            policy, tag = (sp, "sp") if sp is not None else (p, "p")
        asked = {NONE: NONE, QUARANTINE: NONE, REJECT: QUARANTINE}[policy] if testing else policy
        assert (got.reason, got.policy_domain, got.tag, got.policy, got.requested) == (None, name, tag, policy, asked)
        assert (
            got.organisational_domain
            == {"author": author, "organisation": "corp.example", "suffix": "corp.example"}[place]
        )


def test_the_table_is_whole() -> None:
    assert len(TABLE) == 3 * 4 * 4 * 2 * 2


@pytest.mark.parametrize(
    ("author", "records", "where", "organisation"),
    [
        # the author's own comes first, and never with sp
        ("a.corp.test", {"a.corp.test": "sp=reject", "corp.test": "", "test": "psd=y"}, "a.corp.test", "corp.test"),
        ("a.corp.test", {"a.corp.test": "psd=n", "corp.test": ""}, "a.corp.test", "a.corp.test"),
        # then the organisation's, not the nearest
        ("x.a.corp.test", {"a.corp.test": "", "corp.test": ""}, "corp.test", "corp.test"),
        ("x.a.corp.test", {"a.corp.test": "psd=n", "corp.test": ""}, "a.corp.test", "a.corp.test"),
        # then the suffix's, not that between (RFC 9989 §4.10.1)
        ("x.a.corp.test", {"a.corp.test": "", "test": "psd=y"}, "test", "corp.test"),
        ("corp.test", {"test": "psd=y"}, "test", "corp.test"),
        ("corp.test", {"corp.test": "", "test": "psd=y"}, "corp.test", "corp.test"),
        # a suffix as author, and one that does not say so
        ("test", {"test": "psd=y"}, "test", "test"),
        ("corp.test", {"test": ""}, "test", "test"),
        # too deep to be found
        ("m.a.b.c.d.e.f.g.corp.test", {"b.c.d.e.f.g.corp.test": "psd=n", "corp.test": ""}, "corp.test", "corp.test"),
        ("m.a.b.c.d.e.f.corp.test", {"d.e.f.corp.test": "psd=y"}, "d.e.f.corp.test", "c.d.e.f.corp.test"),
    ],
)
def test_where_the_record_is(author: str, records: dict[str, str], where: str, organisation: str) -> None:
    got = found(Zone({f"_dmarc.{name}": f"v=DMARC1; p=reject; {text}" for name, text in records.items()}), author)
    assert (got.policy_domain, got.organisational_domain) == (where, organisation)
    assert got.tag == "p" if where == author else got.record is not None


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ({}, Reason.NO_RECORD),
        ({"mail.corp.test": ["v=spf1 -all"]}, Reason.NO_RECORD),
        ({"mail.corp.test": ["v=dmarc1; p=reject"]}, Reason.NO_RECORD),
        ({"mail.corp.test": ["v=DMARC1; p=reject", "v=DMARC1; p=reject"]}, Reason.SEVERAL_RECORDS),
        ({"mail.corp.test": ["v=DMARC1; p=stop"]}, Reason.SYNTAX),
        ({"corp.test": ["v=DMARC1"]}, Reason.SYNTAX),
        ({"mail.corp.test": None}, Reason.DNS),
        ({"corp.test": None}, Reason.DNS),
        ({"test": None}, Reason.DNS),
        ({"corp.test": ["v=DMARC1; p=reject"], "test": None}, Reason.DNS),
        ({"mail.corp.test": None, "corp.test": ["v=DMARC1; p=reject"]}, Reason.DNS),
    ],
)
def test_why_none_applies(records: dict[str, list[str] | None], reason: Reason) -> None:
    got = found(Zone({f"_dmarc.{name}": texts for name, texts in records.items()}), "mail.corp.test")
    assert got.reason is reason
    assert (got.policy, got.requested, got.tag) == (NONE, NONE, "")


def test_several_records_are_none_and_the_walk_goes_on() -> None:
    zone = Zone({"_dmarc.mail.corp.test": ["v=DMARC1; p=none"] * 2, "_dmarc.corp.test": "v=DMARC1; p=reject"})
    got = found(zone, "mail.corp.test")
    assert (got.reason, got.policy_domain, got.policy) == (None, "corp.test", REJECT)


def test_a_failure_above_an_own_record_hides_the_organisation_only() -> None:
    got = found(Zone({"_dmarc.corp.test": "v=DMARC1; p=reject", "_dmarc.test": None}), "corp.test")
    assert (got.reason, got.policy, got.organisational_domain) == (None, REJECT, "")
    got = found(Zone({"_dmarc.corp.test": "v=DMARC1; p=reject; psd=n", "_dmarc.test": None}), "corp.test")
    assert got.organisational_domain == "corp.test"


def test_no_domain_is_asked_nothing() -> None:
    zone = Zone({})
    assert found(zone, "[192.0.2.1]").reason is Reason.DOMAIN
    assert zone.asked == []


# -- existence ---------------------------------------------------------------------------------------------------------


def test_existence_is_asked_only_when_it_matters() -> None:
    own, np = "v=DMARC1; p=none; np=reject", "v=DMARC1; p=none; sp=none; np=reject"
    for records, exists, asked in (
        ({"_dmarc.mail.corp.test": own}, [], 3),  # its own record
        ({"_dmarc.corp.test": "v=DMARC1; p=none; sp=reject"}, [], 3),  # no np
        ({"_dmarc.corp.test": np, "_dmarc.mail.corp.test": "v=spf1"}, [], 3),  # a name below it exists
        ({"_dmarc.corp.test": np}, ["_dmarc.mail.corp.test"], 3),
        ({"_dmarc.corp.test": np}, ["mail.corp.test"], 4),
        ({"_dmarc.corp.test": np}, [], 4),
    ):
        zone = Zone(records, exists)
        got = found(zone, "mail.corp.test")
        assert len(zone.asked) == asked
        assert zone.steps == asked - 2
        assert (got.tag == "np") is (asked == 4 and not exists)


def test_unknown_existence_is_not_taken_for_either() -> None:
    # `_dmarc.` below it does not exist, but the name itself can't be had
    zone = Zone({"_dmarc.corp.test": "v=DMARC1; p=none; np=reject", "mail.corp.test": None})
    got = found(zone, "mail.corp.test")
    assert (got.existence_unknown, got.tag, got.policy) == (True, "p", NONE)
    zone = Zone({"_dmarc.corp.test": "v=DMARC1; p=reject; np=reject", "mail.corp.test": None})
    assert found(zone, "mail.corp.test").existence_unknown is False


def test_at_most_nine_questions() -> None:
    zone = Zone({"_dmarc.corp.test": "v=DMARC1; p=none; np=reject"})
    got = found(zone, ".".join("abcdefghijklmnopqrstuvwxyz") + ".corp.test")
    assert got.tag == "np"
    assert len(zone.asked) == 9
