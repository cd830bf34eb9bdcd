"""What speaks for an honest sender, and what does not although it looks like it."""

from dataclasses import replace

import pytest

from poterne.mailauth.arc import outcome as arc
from poterne.mailauth.dkim import outcome as dkim
from poterne.mailauth.dmarc import outcome as dmarc
from poterne.mailauth.results.parse import MethodResult, Property
from poterne.mailauth.spf import outcome as spf
from poterne.policy import listed
from poterne.policy.evidence import Evidence
from poterne.policy.reasons import Found, Sign
from poterne.policy.signs import sign, view
from poterne.values.history import ListSeen
from tests.unit.policy.mail_evidence import (
    AUTHOR,
    BY_LIST,
    DAY,
    FORGED,
    HONEST,
    KNOWN_LIST,
    LIST,
    LIST_ID,
    NO_RECORD,
    NOW,
    STRANGER,
    WITHOUT_POLICY,
    chain,
    hop,
    made,
    of_dmarc,
    of_helo,
    of_spf,
    rules,
    signed,
)


def found(evidence: Evidence, *, hopeful: bool = False) -> Found | None:
    return sign(view(evidence, hopeful=hopeful))


def test_nothing_speaks_for_a_forger() -> None:
    assert found(FORGED) is None
    assert found(made(list_id="x.k.example", forwarders=("forward.example",), peer_names=("mx.k.example",))) is None


# Sealers. X29: unknown sealers never count.

PASSED = ("dmarc", "pass", AUTHOR)


@pytest.mark.parametrize(
    ("hops", "by"),
    [
        ([hop("a.example", PASSED)], "a.example"),
        ([hop("a.example", PASSED), hop("b.example")], "a.example"),
        ([hop("mx.a.example", PASSED)], "mx.a.example"),
        ([hop("a.example", ("dkim", "pass", AUTHOR))], "a.example"),
        ([hop("a.example", ("spf", "fail", AUTHOR), ("dmarc", "none", AUTHOR), ("dkim", "pass", AUTHOR))], "a.example"),
        ([hop("k.example", PASSED), hop("a.example", PASSED)], "a.example"),
        ([hop("k.example", PASSED)], ""),
        # In between, somebody could have changed everything.
        ([hop("a.example", PASSED), hop("k.example")], ""),
        ([hop("a.example", PASSED), hop("k.example"), hop("b.example")], ""),
        ([hop("k.example", PASSED), hop("a.example")], ""),
        ([hop("a.example")], ""),
        ([hop("a.example", ("dmarc", "fail", AUTHOR))], ""),
        ([hop("a.example", ("spf", "pass", AUTHOR))], ""),
        ([hop("a.example", ("arc", "pass", AUTHOR))], ""),
        # Somebody else was proven; a list wrote another author into it.
        ([hop("a.example", ("dmarc", "pass", STRANGER))], ""),
        ([hop("a.example", ("dmarc", "pass", ""))], ""),
        ([hop("a.example", ("dkim", "pass", STRANGER))], ""),
        ([hop("a.example", ("dkim", "pass", "example"))], ""),
        ([hop("nota.example", PASSED)], ""),
        ([], ""),
    ],
)
def test_sealers(hops: list[arc.Hop], by: str) -> None:
    evidence = made(arc=chain(*hops), rules=rules(arc_sealers=["A.example", "b.example"]))
    assert found(evidence) == (Found(Sign.SEALER, by) if by else None)
    assert found(replace(evidence, arc=replace(evidence.arc, result=arc.Result.FAIL, reason=arc.Reason.SEAL))) is None
    assert found(replace(evidence, rules=rules())) is None


def test_sealers_that_name_the_identity_of_a_signature_only() -> None:
    """As Google does."""
    for identity, counts in (
        (f"@{AUTHOR}", True),
        (f"ann@{AUTHOR}", True),
        (AUTHOR, True),
        ("@k.example", False),
        ("@example", False),
    ):
        said = MethodResult("dkim", "pass", properties=(Property("header", "i", identity),))
        sealed = arc.Hop(1, "a.example", "s1", "a.example", "", (said,))
        assert (found(made(arc=chain(sealed), rules=rules(arc_sealers=["a.example"]))) is not None) is counts


def test_a_seal_whose_key_is_unknown_now_is_hoped_for() -> None:
    late = chain(hop("a.example", PASSED), result=arc.Result.FAIL, reason=arc.Reason.KEY_UNAVAILABLE)
    evidence = made(arc=late, rules=rules(arc_sealers=["a.example"]))
    assert found(evidence) is None
    assert found(evidence, hopeful=True) == Found(Sign.SEALER, "a.example")


# Forwarders


@pytest.mark.parametrize("where", ["account", "settings"])
@pytest.mark.parametrize(
    ("facts", "known"),
    [
        ({"mail_from": of_spf(domain="forward.example")}, True),
        ({"mail_from": of_spf(domain="srs.forward.example")}, True),
        ({"helo": of_helo(spf.Result.PASS, "mx1.forward.example")}, True),
        ({"peer_names": ("x.example", "mx1.forward.example")}, True),
        # It only says so.
        ({"mail_from": of_spf(spf.Result.FAIL, "forward.example")}, False),
        ({"mail_from": of_spf(spf.Result.NONE, "forward.example")}, False),
        ({"helo": of_helo(spf.Result.NONE, "mx1.forward.example")}, False),
        ({"mail_from": of_spf(domain="notforward.example")}, False),
        ({"mail_from": of_spf(domain="forward.example.k.example")}, False),
        ({"mail_from": of_spf(domain="example")}, False),
        (
            {"dkim": (signed("forward.example"),)},
            False,
        ),  # whoever has an account there can have it signed, and send it on
    ],
)
def test_forwarders(where: str, facts: dict[str, object], *, known: bool) -> None:
    mine: dict[str, object] = {"forwarders": ("forward.example",)}
    if where == "settings":
        mine = {"rules": rules(forwarders=["Forward.example", "192.0.2.0/28"])}
    assert found(made(FORGED, **mine, **facts)) == (Found(Sign.FORWARDER, "forward.example") if known else None)


def test_forwarders_by_address() -> None:
    named = rules(forwarders=["192.0.2.64/28", "2001:db8::/56", "not a name", "-"])
    assert found(made(peer_ip="192.0.2.66", rules=named)) == Found(Sign.FORWARDER, "192.0.2.66")
    assert found(made(peer_ip="2001:db8::1", rules=named)) == Found(Sign.FORWARDER, "2001:db8::1")
    assert found(made(peer_ip="192.0.2.1", rules=named)) is None
    assert found(made(peer_ip="", rules=named)) is None


# Lists


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Users of it <users.lists.example>", "users.lists.example"),
        ("<Users.Lists.Example>", "users.lists.example"),
        ('"<fake.k.example>" <users.lists.example>', "users.lists.example"),
        ("users.lists.example", "users.lists.example"),
        (" <users.lists.example> (comment)", "users.lists.example"),
        ("<users@lists.example>", ""),
        ("<a b.example>", ""),
        ("<localhost>", ""),
        ("<>", ""),
        ("", ""),
        ("<users.lists.example", ""),
        ("<éxample.org>", ""),
        ("<" + "a" * 64 + ".example>", ""),
        ("<" + "a." * 200 + "example>", ""),
        ("x" * 100_000 + "<users.lists.example>", "users.lists.example"),
        ("<" * 100_000, ""),
    ],
)
def test_list_id(value: str, expected: str) -> None:
    assert listed.list_id(value) == expected


def test_who_answers_for_a_list() -> None:
    assert listed.answering(LIST_ID, ["example", LIST, LIST, LIST_ID, "other.example"]) == (LIST_ID, LIST)
    assert listed.answering("", [LIST]) == ()
    assert listed.answering("users.notlists.example", [LIST]) == ()
    many = listed.answering(
        "a.b.c.d.e.f.g.example",
        ["b.c.d.e.f.g.example", "c.d.e.f.g.example", "d.e.f.g.example", "f.g.example", "g.example"],
    )
    assert len(many) == listed.CANDIDATES_MOST
    assert many[0] == "b.c.d.e.f.g.example"


def test_candidates_for_the_history_are_those_that_may_answer() -> None:
    evidence = made(
        BY_LIST,
        dkim=(signed(LIST, dkim.Reason.KEY_UNAVAILABLE), signed(LIST_ID, dkim.Reason.BODY_HASH)),
        mail_from=of_spf(domain=STRANGER),
    )
    assert evidence.candidates == (LIST,)
    assert replace(evidence, dkim=(), mail_from=of_spf(spf.Result.TEMPERROR, LIST)).candidates == (LIST,)
    assert replace(evidence, dkim=(), mail_from=of_spf(spf.Result.FAIL, LIST)).candidates == ()


def test_lists_with_a_history() -> None:
    assert found(KNOWN_LIST) == Found(Sign.KNOWN_LIST, LIST_ID)
    assert found(BY_LIST) is None
    known = KNOWN_LIST.lists[0]
    # The list does not answer for this message; another domain's history; another list's.
    assert found(replace(KNOWN_LIST, dkim=(), mail_from=of_spf())) is None
    assert found(replace(KNOWN_LIST, lists=(replace(known, domain=STRANGER),))) is None
    assert found(replace(KNOWN_LIST, lists=(replace(known, list_id="other.lists.example"),))) is None
    assert found(replace(KNOWN_LIST, dkim=(signed(LIST, testing=True),), mail_from=of_spf())) is None
    assert found(replace(KNOWN_LIST, rules=rules(list_messages=11))) is None
    assert found(replace(KNOWN_LIST, rules=rules(list_age_days=31))) is None
    assert found(replace(KNOWN_LIST, lists=(ListSeen(LIST_ID, LIST, NOW + DAY, NOW, 10),))) is None


def test_named_lists() -> None:
    for entry in (LIST, LIST_ID, "Lists.Example"):
        assert found(replace(BY_LIST, rules=rules(lists=[entry]))) == Found(Sign.NAMED_LIST, LIST_ID)
    named = replace(BY_LIST, rules=rules(lists=[LIST]))
    assert found(replace(named, dkim=(), mail_from=of_spf())) is None
    assert found(replace(named, list_id="")) is None
    # Its signer is named, whatever its identifier is.
    assert found(replace(named, list_id="users.company.example")) == Found(Sign.NAMED_LIST, "users.company.example")
    assert found(replace(BY_LIST, rules=rules(lists=["other.example"]))) is None


# Proof


@pytest.mark.parametrize(
    ("evidence", "proven"),
    [
        (HONEST, True),
        (WITHOUT_POLICY, True),
        (FORGED, False),
        (replace(WITHOUT_POLICY, mail_from=of_spf(), dkim=(signed(f"news.{AUTHOR}"),)), True),
        (replace(WITHOUT_POLICY, mail_from=of_spf(), dkim=(signed("example"),)), False),
        (replace(WITHOUT_POLICY, mail_from=of_spf(spf.Result.TEMPERROR, AUTHOR)), False),
        (replace(WITHOUT_POLICY, mail_from=of_spf(), helo=of_helo(spf.Result.PASS, AUTHOR)), False),
        # The policy says otherwise, or may.
        (made(dkim=(signed(f"news.{AUTHOR}"),)), False),
        (made(dmarc=of_dmarc(dmarc.Reason.DNS), dkim=(signed(f"news.{AUTHOR}"),)), False),
        (made(dmarc=of_dmarc(dmarc.Reason.DNS, aligned=AUTHOR), dkim=(signed(AUTHOR),)), True),
    ],
)
def test_author_proven(evidence: Evidence, *, proven: bool) -> None:
    assert view(evidence, hopeful=False).author_proven is proven


def test_hope_takes_temporary_errors_for_passes() -> None:
    late = made(
        dmarc=NO_RECORD,
        mail_from=of_spf(spf.Result.TEMPERROR, AUTHOR),
        helo=of_helo(spf.Result.TEMPERROR),
        dkim=(signed(AUTHOR, dkim.Reason.KEY_UNAVAILABLE), signed(STRANGER, dkim.Reason.NO_KEY)),
    )
    seen = view(late, hopeful=True)
    assert (seen.spf, seen.helo, seen.dkim, seen.author_proven, seen.passes) == (
        AUTHOR,
        "mx.k.example",
        (AUTHOR,),
        True,
        True,
    )
    seen = view(late, hopeful=False)
    assert (seen.spf, seen.helo, seen.dkim, seen.author_proven, seen.passes) == ("", "", (), False, False)
