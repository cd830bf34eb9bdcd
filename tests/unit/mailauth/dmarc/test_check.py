"""What a message's proofs come to: the examples of the RFCs, what DNS failures change, and any zone at all."""

import time
from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.mailauth.dkim import outcome as dkim
from poterne.mailauth.dmarc import check
from poterne.mailauth.dmarc.outcome import Outcome, Policy, Reason, Result
from poterne.mailauth.spf import outcome as spf
from poterne.mailauth.spf.check import Question
from poterne.values.dns import Answer, Kind, Resolver
from poterne.values.dns import R as Records
from tests.unit.mailauth.dmarc.zone import Zone, helo, mail_from, organisation, signed

REJECT = "v=DMARC1; p=reject; rua=mailto:dmarc@example.com"
EXAMPLE = Zone({"_dmarc.example.com": REJECT})
STRICT = Zone({"_dmarc.example.com": REJECT + "; adkim=s; aspf=s"})
TEMP = spf.Result.TEMPERROR
NO_KEY = dkim.Reason.KEY_UNAVAILABLE


def verdict(outcome: Outcome) -> tuple[Result, Reason]:
    return outcome.result, outcome.reason


# -- the examples of RFC 7489 and RFC 9989, appendix B -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("author", "proof", "relaxed", "strict"),
    [
        ("example.com", mail_from("example.com"), True, True),
        ("example.com", mail_from("child.example.com"), True, False),
        ("child.example.com", mail_from("example.net"), False, False),
        ("example.com", signed("example.com"), True, True),
        ("child.example.com", signed("example.com"), True, False),
        ("child.example.com", signed("sample.net"), False, False),
        # RFC 9989 §4.4
        ("news.example.com", signed("foo.example.com"), True, False),
        ("news.example.com", signed("news.example.com"), True, True),
        ("news.example.com", signed("foo.example.net"), False, False),
    ],
)
def test_alignment(author: str, proof: spf.Outcome | dkim.Outcome, *, relaxed: bool, strict: bool) -> None:
    for zone, aligned in ((EXAMPLE, relaxed), (STRICT, strict)):
        outcome = zone.judge(author, proof)
        assert verdict(outcome) == ((Result.PASS, Reason.ALIGNED) if aligned else (Result.FAIL, Reason.UNALIGNED))
        assert (outcome.aligned_spf or "".join(outcome.aligned_dkim)) == (proof.domain if aligned else "")


def test_the_receiver_example() -> None:
    zone = Zone({"_dmarc.example.com": "v=DMARC1; p=reject; aspf=r; rua=mailto:dmarc-feedback@example.com"})
    outcome = zone.judge("example.com", mail_from("mail.example.com"), signed("example.com"))
    assert outcome.result is Result.PASS
    assert (outcome.aligned_spf, outcome.aligned_dkim) == ("mail.example.com", ("example.com",))
    assert outcome.rua == ("mailto:dmarc-feedback@example.com",)
    assert outcome.policy is not None
    assert (outcome.policy.domain, outcome.policy.p, outcome.policy.aspf, outcome.policy.adkim) == (
        "example.com",
        "reject",
        "r",
        "",
    )
    assert outcome.record.startswith("v=DMARC1; p=reject; aspf=r;")


def test_the_tree_walk_examples() -> None:
    zone = Zone({"_dmarc.example.com": REJECT, "_dmarc.signing.example.com": "v=DMARC1; p=none"})
    deep = "a.b.c.d.e.f.g.h.i.j.k.example.com"
    for author in ("example.com", deep):
        outcome = zone.judge(author, mail_from("example.com"), signed("signing.example.com"))
        assert (outcome.aligned_spf, outcome.aligned_dkim) == ("example.com", ("signing.example.com",))
        assert (outcome.organisational_domain, outcome.requested) == ("example.com", Policy.REJECT)
    assert len(zone.asked) == 8 + 1
    zone = Zone({"_dmarc.bank.example": "v=DMARC1; p=none; psd=y", "_dmarc.giant.bank.example": "v=DMARC1; p=reject"})
    outcome = zone.judge("giant.bank.example", mail_from("mail.giant.bank.example"), signed("mail.mega.bank.example"))
    assert (outcome.result, outcome.aligned_spf, outcome.aligned_dkim) == (Result.PASS, "mail.giant.bank.example", ())
    assert (outcome.organisational_domain, outcome.policy and outcome.policy.domain) == ("giant.bank.example",) * 2
    outcome = zone.judge("giant.bank.example", signed("mail.mega.bank.example"))
    assert (outcome.result, outcome.requested) == (Result.FAIL, Policy.REJECT)


def test_the_subdomain_under_test() -> None:
    text = "v=DMARC1; p=quarantine; rua=mailto:dmarc-feedback@example.com,mailto:tld-test@thirdparty.example.net; t=y"
    zone = Zone({"_dmarc.test.example.com": text, "_dmarc.example.com": REJECT})
    outcome = zone.judge("test.example.com")
    assert verdict(outcome) == (Result.FAIL, Reason.UNAUTHENTICATED)
    assert (outcome.requested, outcome.applied_tag) == (Policy.NONE, "p")
    assert outcome.policy is not None
    assert (outcome.policy.p, outcome.policy.testing) == ("quarantine", True)
    assert len(outcome.rua) == 2


def test_a_wrong_organisation_would_let_a_neighbour_in() -> None:
    # RFC 9989 §11.8: the organisation is mail.example.com, and says so
    zone = Zone({"_dmarc.mail.example.com": REJECT + "; psd=n", "_dmarc.example.com": REJECT})
    assert zone.judge("a.mail.example.com", signed("mail.example.com")).result is Result.PASS
    assert zone.judge("evil.example.com", signed("mail.example.com")).result is Result.FAIL
    assert zone.judge("a.mail.example.com", signed("evil.example.com")).result is Result.FAIL


# -- what counts as proved ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "proof",
    [
        helo("example.com"),
        *(mail_from("example.com", result) for result in spf.Result if result not in {spf.Result.PASS, TEMP}),
        *(signed("example.com", reason) for reason in dkim.Reason if reason not in {dkim.Reason.VERIFIED, NO_KEY}),
        signed("example.com", testing=True),
    ],
)
def test_what_proves_nothing(proof: spf.Outcome | dkim.Outcome) -> None:
    outcome = EXAMPLE.judge("example.com", proof)
    assert verdict(outcome) == (Result.FAIL, Reason.UNAUTHENTICATED)
    assert (outcome.requested, outcome.applied_tag, outcome.aligned_dkim, outcome.aligned_spf) == (
        Policy.REJECT,
        "p",
        (),
        "",
    )


def test_each_mechanism_has_its_own_mode() -> None:
    zone = Zone({"_dmarc.example.com": REJECT + "; adkim=s"})
    assert zone.judge("example.com", mail_from("a.example.com"), signed("b.example.com")).aligned_spf == "a.example.com"
    assert zone.judge("example.com", signed("b.example.com")).result is Result.FAIL
    zone = Zone({"_dmarc.example.com": REJECT + "; aspf=s"})
    assert zone.judge("example.com", mail_from("a.example.com"), signed("b.example.com")).aligned_dkim == (
        "b.example.com",
    )
    assert zone.judge("example.com", mail_from("a.example.com")).result is Result.FAIL


def test_a_name_that_ends_alike_is_not_within() -> None:
    for domain in ("badexample.com", "example.com.evil.net", "com", "xample.com"):
        assert EXAMPLE.judge("example.com", signed(domain)).result is Result.FAIL
        assert len(EXAMPLE.asked) == 2


def test_signatures_of_a_domain_are_listed_once() -> None:
    outcome = EXAMPLE.judge(
        "example.com", signed("example.com"), signed("a.example.com"), signed("example.com"), signed("x.net")
    )
    assert outcome.aligned_dkim == ("example.com", "a.example.com")


@pytest.mark.parametrize("author", ["EXAMPLE.COM", "example.com."])
def test_the_author_is_compared_without_case(author: str) -> None:
    outcome = EXAMPLE.judge(author, signed("example.com"))
    assert (outcome.result, outcome.author_domain) == (Result.PASS, "example.com")


def test_an_author_without_domain() -> None:
    for author in ("", "[192.0.2.1]", "192.0.2.1", "exa mple.com"):
        assert verdict(EXAMPLE.judge(author, signed("example.com"))) == (Result.PERMERROR, Reason.DOMAIN)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ("v=spf1 -all", (Result.NONE, Reason.NO_RECORD)),
        (["v=DMARC1; p=none", "v=DMARC1; p=none"], (Result.NONE, Reason.SEVERAL_RECORDS)),
        ("v=DMARC1; p=banana", (Result.PERMERROR, Reason.SYNTAX)),
        (None, (Result.TEMPERROR, Reason.DNS)),
    ],
)
def test_without_a_record_that_can_be_used(texts: str | list[str] | None, expected: tuple[Result, Reason]) -> None:
    outcome = Zone({"_dmarc.example.com": texts}).judge("example.com", signed("example.com"), mail_from("example.com"))
    assert verdict(outcome) == expected
    assert (outcome.requested, outcome.policy, outcome.rua) == (Policy.NONE, None, ())
    assert outcome.record == ("v=DMARC1; p=banana" if expected[1] is Reason.SYNTAX else "")
    # the same domain is aligned whatever the record says, which helps who has to decide without it
    assert (outcome.aligned_dkim, outcome.aligned_spf) == (
        (("example.com",), "example.com") if texts is None else ((), "")
    )


# -- what DNS could not say --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proofs", "expected"),
    [
        ([mail_from("example.com", TEMP)], (Result.TEMPERROR, Reason.SPF_DNS)),
        ([mail_from("a.example.com", TEMP)], (Result.TEMPERROR, Reason.SPF_DNS)),
        ([mail_from("example.net", TEMP)], (Result.FAIL, Reason.UNAUTHENTICATED)),
        ([signed("example.com", NO_KEY)], (Result.TEMPERROR, Reason.DKIM_DNS)),
        ([signed("a.example.com", NO_KEY), signed("example.net")], (Result.TEMPERROR, Reason.DKIM_DNS)),
        ([signed("example.net", NO_KEY), signed("example.net")], (Result.FAIL, Reason.UNALIGNED)),
        ([mail_from("example.com", TEMP), signed("a.example.com")], (Result.PASS, Reason.ALIGNED)),
        ([mail_from("example.com"), signed("example.com", NO_KEY)], (Result.PASS, Reason.ALIGNED)),
    ],
)
def test_proofs_that_are_open(proofs: Sequence[spf.Outcome | dkim.Outcome], expected: tuple[Result, Reason]) -> None:
    outcome = EXAMPLE.judge("example.com", *proofs)
    assert verdict(outcome) == expected
    assert outcome.requested is Policy.REJECT


def test_open_proofs_that_strict_alignment_excludes() -> None:
    assert (
        STRICT.judge("example.com", mail_from("a.example.com", TEMP), signed("a.example.com", NO_KEY)).result
        is Result.FAIL
    )


@pytest.mark.parametrize(
    ("proofs", "expected"),
    [
        ([], (Result.FAIL, Reason.UNAUTHENTICATED)),
        ([signed("example.com")], (Result.PASS, Reason.ALIGNED)),
        ([signed("example.net")], (Result.FAIL, Reason.UNALIGNED)),
        ([signed("a.example.com")], (Result.TEMPERROR, Reason.DNS)),
        ([signed("else.com")], (Result.TEMPERROR, Reason.DNS)),
        ([signed("a.example.com"), mail_from("example.com")], (Result.PASS, Reason.ALIGNED)),
    ],
)
def test_an_organisation_that_is_not_known(
    proofs: Sequence[spf.Outcome | dkim.Outcome], expected: tuple[Result, Reason]
) -> None:
    zone = Zone({"_dmarc.example.com": REJECT, "_dmarc.com": None})
    assert verdict(zone.judge("example.com", *proofs)) == expected


def test_a_proved_domain_whose_walk_fails() -> None:
    zone = Zone({"_dmarc.example.com": REJECT, "_dmarc.a.example.com": None})
    assert verdict(zone.judge("example.com", signed("a.example.com"))) == (Result.TEMPERROR, Reason.DNS)
    assert verdict(zone.judge("example.com", signed("a.example.com"), signed("b.example.com"))) == (
        Result.PASS,
        Reason.ALIGNED,
    )


def test_an_existence_that_is_not_known() -> None:
    zone = Zone({"_dmarc.example.com": "v=DMARC1; p=none; np=reject", "x.example.com": None})
    assert verdict(zone.judge("x.example.com")) == (Result.TEMPERROR, Reason.EXISTENCE)
    assert zone.judge("x.example.com", signed("example.com")).result is Result.PASS


# -- what it costs -----------------------------------------------------------------------------------------------------


def test_the_usual_message_needs_the_authors_walk_only() -> None:
    for proofs in (
        (),
        (mail_from("example.com"), signed("example.com")),
        (mail_from("bounce.sendgrid.net"), signed("sendgrid.net"), signed("example.com")),
        (signed("other.com"), mail_from("other.com")),
    ):
        EXAMPLE.judge("example.com", *proofs)
        assert (EXAMPLE.asked, EXAMPLE.steps) == (["_dmarc.example.com", "_dmarc.com"], 1)
    STRICT.judge("example.com", mail_from("a.example.com"), signed("b.example.com"))
    assert len(STRICT.asked) == 2
    EXAMPLE.judge("a.example.com", mail_from("example.com"), signed("a.example.com"))
    assert len(EXAMPLE.asked) == 3


def test_walks_share_their_answers() -> None:
    EXAMPLE.judge("example.com", mail_from("x.a.example.com"), signed("y.a.example.com"), signed("a.example.com"))
    assert EXAMPLE.asked[2:] == ["_dmarc.x.a.example.com", "_dmarc.a.example.com", "_dmarc.y.a.example.com"]
    assert EXAMPLE.steps == 2


def test_the_number_of_questions_is_bounded() -> None:
    proofs = [signed(f"a.b.c.d.e.f.s{number}.example.com") for number in range(40)]
    outcome = EXAMPLE.judge("a.b.c.d.e.f.g.h.i.example.com", *proofs)
    assert outcome.result is Result.PASS
    assert len(EXAMPLE.asked) <= 8 + 8 * check.IDENTITIES_MOST
    # those that are not looked at are not known, and so never make a fail
    zone = Zone(
        {"_dmarc.example.com": REJECT} | {f"_dmarc.s{number}.example.com": "v=DMARC1; psd=n" for number in range(10)}
    )
    outcome = zone.judge("example.com", *(signed(f"s{number}.example.com") for number in range(12)))
    assert verdict(outcome) == (Result.TEMPERROR, Reason.DNS)


class Remembering:
    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self.kept: dict[str, Answer[object]] = {}

    async def query(self, name: str, kind: Kind[Records], /) -> Answer[Records]:
        answer = self.kept.get(name)
        if answer is None:
            answer = self.kept[name] = self._zone.answer(Question(name, kind))
        return cast("Answer[Records]", answer)


async def test_with_a_resolver_it_is_the_same_and_fast() -> None:
    resolver = Remembering(EXAMPLE)
    proofs = [mail_from("bounce.example.com")], [signed("example.com"), signed("relay.example.net")]
    outcome = await check.evaluated("example.com", *proofs, cast("Resolver", resolver))
    assert outcome == EXAMPLE.judge("example.com", *proofs[0], *proofs[1])
    assert sorted(resolver.kept) == ["_dmarc.bounce.example.com", "_dmarc.com", "_dmarc.example.com"]
    best = 1.0
    for _ in range(50):
        begun = time.perf_counter()
        await check.evaluated("example.com", *proofs, cast("Resolver", resolver))
        best = min(best, time.perf_counter() - begun)
    assert best < 0.000_2


# -- any zone ----------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(
    [
        "test",
        "corp.test",
        "a.corp.test",
        "b.corp.test",
        "x.a.corp.test",
        "y.x.a.corp.test",
        "1.2.3.4.5.6.a.corp.test",
        "evil.test",
        "net",
    ]
)
TEXTS = st.one_of(
    st.none(),
    st.sampled_from(["v=DMARC1", "v=DMARC1; p=bad", "v=spf1", "v=DMARC1; p=none; rua=x"]),
    st.lists(
        st.sampled_from(
            ["p=reject", "p=none", "sp=quarantine", "np=reject", "psd=y", "psd=n", "t=y", "adkim=s", "aspf=s"]
        ),
        max_size=4,
    ).map(lambda tags: "; ".join(["v=DMARC1", "rua=mailto:a@corp.test", *tags])),
    st.just(["v=DMARC1; p=reject", "v=DMARC1; p=none"]),
    st.text(st.characters(max_codepoint=255), max_size=20),
)
ZONES = st.builds(
    lambda records, exists: Zone({f"_dmarc.{name}": text for name, text in records.items()}, exists),
    st.dictionaries(NAMES, TEXTS, max_size=6),
    st.sets(NAMES, max_size=3),
)
PROOFS = st.lists(
    st.one_of(
        st.builds(mail_from, NAMES, st.sampled_from(list(spf.Result))),
        st.builds(helo, NAMES),
        st.builds(signed, NAMES, st.sampled_from([dkim.Reason.VERIFIED, NO_KEY, dkim.Reason.BODY_HASH]), testing=st.booleans()),
    ),
    max_size=6,
)  # fmt: skip


def proves(one: spf.Outcome | dkim.Outcome) -> bool:
    return one.authenticates and (isinstance(one, dkim.Outcome) or one.identity is spf.Identity.MAIL_FROM)


@settings(max_examples=500, deadline=None)
@given(ZONES, NAMES, PROOFS)
def test_a_pass_has_an_aligned_proof(zone: Zone, author: str, proofs: list[spf.Outcome | dkim.Outcome]) -> None:
    outcome = zone.judge(author, *proofs)
    assert outcome.result is outcome.reason.result
    assert len(zone.asked) <= 9 + 8 * len(proofs)
    assert zone.steps <= 3
    if outcome.result is Result.PASS:
        assert outcome.policy is not None
        assert outcome.aligned_spf or outcome.aligned_dkim
    elif outcome.reason is not Reason.DNS:
        assert (outcome.aligned_spf, outcome.aligned_dkim) == ("", ())
    psd = {name.removeprefix("_dmarc."): text for name, text in zone.psd().items()}
    home = organisation(author, psd)
    for kind, domains in ((spf.Outcome, (outcome.aligned_spf,)), (dkim.Outcome, outcome.aligned_dkim)):
        for domain in filter(None, domains):
            assert any(isinstance(one, kind) and one.domain == domain and proves(one) for one in proofs)
            assert domain == author or organisation(domain, psd) == home


@settings(max_examples=500, deadline=None)
@given(ZONES, NAMES, PROOFS, st.integers(0, 5))
def test_less_proof_never_makes_a_pass(
    zone: Zone, author: str, proofs: list[spf.Outcome | dkim.Outcome], place: int
) -> None:
    proofs = [one for one in proofs if proves(one)]
    whole = zone.judge(author, *proofs)
    rest = zone.judge(author, *(one for at, one in enumerate(proofs) if at != place))
    if rest.result is Result.PASS:
        assert whole.result is Result.PASS
    if whole.result is Result.FAIL:
        assert rest.result is Result.FAIL
        assert rest.requested is whole.requested


@settings(max_examples=300, deadline=None)
@given(ZONES, NAMES, PROOFS, NAMES)
def test_a_failure_of_dns_never_makes_another_decision(
    zone: Zone, author: str, proofs: list[spf.Outcome | dkim.Outcome], down: str
) -> None:
    """What DNS can't say now leaves the outcome as it was, or makes it a temperror."""
    before = zone.judge(author, *proofs)
    after = zone.without(f"_dmarc.{down}").judge(author, *proofs)
    if after.result is not Result.TEMPERROR:
        assert (after.result, after.requested) == (before.result, before.requested)


@given(st.text(max_size=40), PROOFS)
def test_any_author_text_has_an_outcome(author: str, proofs: list[spf.Outcome | dkim.Outcome]) -> None:
    outcome = EXAMPLE.judge(author, *proofs)
    assert outcome.result in {Result.PERMERROR, Result.NONE, Result.FAIL}
    assert outcome.author_domain.isascii()
