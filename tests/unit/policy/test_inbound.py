"""What becomes of mail from strangers: the rules one by one, then everything with everything."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.config.inbound import Inbound
from poterne.mailauth.arc import outcome as arc
from poterne.mailauth.dkim import outcome as dkim
from poterne.mailauth.dmarc import outcome as dmarc
from poterne.mailauth.spf import outcome as spf
from poterne.policy.evidence import Evidence, Rules
from poterne.policy.inbound import Combined, combine, decide, decide_each, learned
from poterne.policy.lookalike import Kind, Lookalike
from poterne.policy.reasons import Found, Reason, Sign
from poterne.policy.signs import sign, view
from poterne.policy.verdict import Accept, Defer, Junk, Quarantine, Refuse, Verdict
from poterne.values.history import ListSeen
from tests.unit.policy.mail_evidence import (
    ALIKE,
    AUTHOR,
    BY_LIST,
    DAY,
    FORGED,
    FORWARDED,
    HONEST,
    KNOWN_LIST,
    LIST,
    LIST_ID,
    NAMED,
    NO_RECORD,
    NOW,
    OURS,
    OWN,
    OWN_SIGNED,
    SEALED,
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

FAIL = spf.Result.FAIL
LATE = spf.Result.TEMPERROR
KEY_LATE = dkim.Reason.KEY_UNAVAILABLE


def test_proven_mail_is_accepted() -> None:
    assert decide(HONEST) == Accept(Reason.PROVEN)
    assert decide(WITHOUT_POLICY) == Accept(Reason.PROVEN)


def test_a_forged_author_of_a_domain_with_a_policy_is_refused() -> None:
    assert decide(FORGED) == Refuse(Reason.DMARC_REJECT)
    assert decide(made(dmarc=of_dmarc(policy="quarantine"))) == Refuse(Reason.DMARC_QUARANTINE)
    assert decide(made(dmarc=of_dmarc(dmarc.Reason.UNAUTHENTICATED), mail_from=of_spf(spf.Result.NONE))) == Refuse(
        Reason.DMARC_REJECT
    )


@pytest.mark.parametrize("tag", ["p", "sp", "np"])
def test_whichever_tag_applies(tag: str) -> None:
    assert decide(made(dmarc=of_dmarc(tag=tag))) == Refuse(Reason.DMARC_REJECT)
    assert decide(made(dmarc=of_dmarc(policy="none", tag=tag))) == Accept(Reason.NO_POLICY)


def test_a_policy_in_test_is_one_level_down() -> None:
    assert decide(made(dmarc=of_dmarc(testing=True))) == Refuse(Reason.DMARC_QUARANTINE)
    assert decide(made(dmarc=of_dmarc(policy="quarantine", testing=True))) == Accept(Reason.NO_POLICY)


@pytest.mark.parametrize(("setting", "kind"), [("refuse", Refuse), ("quarantine", Quarantine), ("junk", Junk)])
def test_what_is_done_is_a_setting(setting: str, kind: type) -> None:
    assert type(decide(made(rules=rules(reject=setting)))) is kind
    asks_quarantine = of_dmarc(policy="quarantine")
    assert type(decide(made(dmarc=asks_quarantine, rules=rules(quarantine=setting)))) is kind
    assert type(decide(made(dmarc=asks_quarantine, rules=rules(reject=setting)))) is Refuse  # the other one's


@pytest.mark.parametrize(
    ("evidence", "which"),
    [(KNOWN_LIST, Sign.KNOWN_LIST), (NAMED, Sign.NAMED_LIST), (FORWARDED, Sign.FORWARDER)],
)
def test_a_sign_of_a_list_or_forwarder_makes_it_milder(evidence: Evidence, which: Sign) -> None:
    verdict = decide(evidence)
    assert isinstance(verdict, Quarantine)
    assert verdict.found is not None
    assert verdict.found.sign is which
    assert verdict.word == f"dmarc-reject+{which.value}"
    verdict = decide(replace(evidence, dmarc=of_dmarc(policy="quarantine")))
    assert isinstance(verdict, Junk)
    assert verdict.found is not None


@pytest.mark.parametrize(
    ("setting", "evidence"),
    [("sealed", SEALED), ("forwarded", FORWARDED), ("listed", NAMED)],
    ids=["sealed", "forwarded", "listed"],
)
def test_what_a_sign_is_worth_is_a_setting(setting: str, evidence: Evidence) -> None:
    def given_(value: str, **more: str) -> Verdict:
        return decide(replace(evidence, rules=Rules(replace(evidence.rules.settings, **{setting: value}, **more))))  # type: ignore[arg-type]

    assert isinstance(given_("accept"), Accept)
    assert isinstance(given_("junk"), Junk)
    assert isinstance(given_("policy"), Quarantine)
    # It never makes it worse than it would be without.
    assert isinstance(given_("policy", reject="junk"), Junk)


def test_a_list_with_a_history_only_is_never_just_accepted() -> None:
    assert isinstance(
        decide(replace(KNOWN_LIST, rules=rules(listed="accept", forwarded="accept", sealed="accept"))), Quarantine
    )


def test_a_named_sealer_is_believed() -> None:
    assert decide(SEALED) == Accept(Reason.DMARC_REJECT, Found(Sign.SEALER, "sealer.example"))


# A domain of ours


def test_our_own_domain_needs_our_own_signature() -> None:
    assert decide(OWN) == Refuse(Reason.OWN_DOMAIN)
    assert decide(OWN_SIGNED) == Accept(Reason.PROVEN)
    by_server = made(
        OWN, dmarc=of_dmarc(dmarc.Reason.ALIGNED, author=OURS), mail_from=of_spf(domain=OURS), reverse_path_domain=OURS
    )
    by_server = replace(by_server, dmarc=replace(by_server.dmarc, aligned_spf=OURS))
    assert decide(by_server) == Refuse(Reason.OWN_DOMAIN)
    assert decide(replace(by_server, rules=rules(own_domain="aligned"))) == Accept(Reason.PROVEN)


@pytest.mark.parametrize("policy", ["none", "quarantine", "reject"])
def test_whatever_our_policy_asks_for(policy: str) -> None:
    assert decide(made(OWN, dmarc=of_dmarc(policy=policy, author=OURS))) == Refuse(Reason.OWN_DOMAIN)
    assert decide(made(OWN, dmarc=replace(NO_RECORD, author_domain=OURS))) == Refuse(Reason.OWN_DOMAIN)


def test_without_a_record_our_own_signature_still_proves_it() -> None:
    none = replace(NO_RECORD, author_domain=OURS)
    assert decide(made(OWN, dmarc=none, dkim=(signed(OURS),))) == Accept(Reason.PROVEN)
    assert decide(made(OWN, dmarc=none, dkim=(signed(f"news.{OURS}"),))) == Accept(Reason.PROVEN)
    assert decide(made(OWN, dmarc=none, dkim=(signed("example"),))) == Refuse(Reason.OWN_DOMAIN)
    assert decide(made(OWN, dmarc=none, dkim=(signed(OURS, testing=True),))) == Refuse(Reason.OWN_DOMAIN)
    assert decide(made(OWN, dmarc=none, dkim=(signed(OURS, dkim.Reason.UNSIGNED_BODY),))) == Refuse(Reason.OWN_DOMAIN)
    assert decide(made(OWN, dmarc=none, mail_from=of_spf(domain=OURS))) == Refuse(Reason.OWN_DOMAIN)


def test_a_signature_that_our_policy_does_not_take_proves_nothing() -> None:
    """adkim=s: DMARC fails although a subdomain signed."""
    assert decide(made(OWN, dkim=(signed(f"news.{OURS}"),))) == Refuse(Reason.OWN_DOMAIN)


def test_a_subdomain_without_mailboxes_here_may_be_proven_by_its_server() -> None:
    news = f"news.{OURS}"
    passed = replace(of_dmarc(dmarc.Reason.ALIGNED, author=news), aligned_spf=news)
    below = made(OWN, author_domain=news, dmarc=passed, mail_from=of_spf(domain=news), reverse_path_domain=news)
    assert decide(below) == Accept(Reason.PROVEN)
    assert decide(replace(below, dmarc=of_dmarc(author=news, policy="none"), mail_from=of_spf())) == Refuse(
        Reason.OWN_DOMAIN
    )


def test_signs_make_our_own_milder_and_only_a_sealer_stands_in_for_the_proof() -> None:
    for evidence in (KNOWN_LIST, NAMED, FORWARDED):
        own = replace(evidence, author_domain=OURS, own_domain=OURS, dmarc=of_dmarc(author=OURS, policy="none"))
        assert isinstance(decide(own), Quarantine)
        every = replace(evidence.rules.settings, listed="accept", forwarded="accept")
        assert isinstance(decide(replace(own, rules=Rules(every))), Quarantine if evidence is KNOWN_LIST else Junk)
    sealed = made(
        OWN, arc=chain(hop("sealer.example", ("dkim", "pass", OURS))), rules=rules(arc_sealers=["sealer.example"])
    )  # fmt: skip
    assert isinstance(decide(sealed), Accept)
    assert isinstance(decide(replace(sealed, rules=rules(arc_sealers=["sealer.example"], sealed="policy"))), Quarantine)


def test_our_own_reverse_path() -> None:
    """X34: bounces would go to somebody here who wrote nothing."""
    forged = made(
        WITHOUT_POLICY,
        mail_from=of_spf(FAIL, OURS),
        reverse_path_domain=OURS,
        own_reverse_path=OURS,
        dkim=(signed(AUTHOR),),
    )
    assert decide(forged) == Refuse(Reason.OWN_REVERSE_PATH)
    for result in (spf.Result.NONE, spf.Result.NEUTRAL, spf.Result.SOFTFAIL, spf.Result.PERMERROR):
        assert decide(replace(forged, mail_from=of_spf(result, OURS))) == Refuse(Reason.OWN_REVERSE_PATH)
    assert decide(replace(forged, mail_from=of_spf(LATE, OURS))) == Defer(Reason.DNS)
    assert decide(replace(forged, mail_from=of_spf(domain=OURS))) == Accept(Reason.PROVEN)
    assert decide(replace(forged, dkim=(signed(AUTHOR), signed(OURS)))) == Accept(Reason.PROVEN)
    assert isinstance(decide(replace(forged, forwarders=("mx.k.example",), helo=of_helo(spf.Result.PASS))), Quarantine)
    # Mail of our own people that comes back by way of a forwarder without SRS.
    assert decide(replace(OWN_SIGNED, mail_from=of_spf(FAIL, OURS), own_reverse_path=OURS)) == Accept(Reason.PROVEN)


# Look-alikes and names


def test_look_alikes() -> None:
    unproven = made(WITHOUT_POLICY, mail_from=of_spf(spf.Result.NONE), lookalike=ALIKE)
    assert decide(unproven) == Refuse(Reason.LOOKALIKE)
    assert decide(replace(HONEST, lookalike=ALIKE)) == Quarantine(Reason.PROVEN_LOOKALIKE)
    assert decide(replace(WITHOUT_POLICY, lookalike=ALIKE)) == Quarantine(Reason.PROVEN_LOOKALIKE)
    for kind in Kind:
        verdict = decide(replace(unproven, lookalike=Lookalike(OURS, kind)))
        assert isinstance(verdict, Refuse if kind.strong else Accept)


@pytest.mark.parametrize(
    ("setting", "kind"), [("refuse", Refuse), ("quarantine", Quarantine), ("junk", Junk), ("accept", Accept)]
)
def test_what_is_done_with_look_alikes_is_a_setting(setting: str, kind: type) -> None:
    unproven = made(WITHOUT_POLICY, mail_from=of_spf(spf.Result.NONE), lookalike=ALIKE)
    assert type(decide(replace(unproven, rules=rules(lookalikes=setting)))) is kind
    assert type(decide(replace(HONEST, lookalike=ALIKE, rules=rules(proven_lookalikes=setting)))) is kind
    # The policy of its domain holds as for anybody.
    assert isinstance(decide(made(lookalike=ALIKE, rules=rules(lookalikes=setting))), Refuse)


@pytest.mark.parametrize(("setting", "kind"), [("accept", Accept), ("junk", Junk), ("quarantine", Quarantine)])
def test_names_that_show_somebody_of_ours(setting: str, kind: type) -> None:
    shown = replace(HONEST, displayed="marie@ours.example", rules=rules(display_names=setting))
    assert type(decide(shown)) is kind
    assert isinstance(decide(replace(shown, dmarc=of_dmarc(), mail_from=of_spf(), dkim=())), Refuse)
    assert decide(replace(OWN_SIGNED, displayed="marie@ours.example", rules=rules(display_names=setting))) == Accept(
        Reason.PROVEN
    )


def test_named_lists_may_show_the_names_of_their_members() -> None:
    rewritten = replace(
        NAMED,
        author_domain=LIST,
        dmarc=of_dmarc(dmarc.Reason.ALIGNED, author=LIST, aligned=LIST),
        displayed="marie@ours.example",
    )
    assert decide(rewritten) == Accept(Reason.PROVEN)
    unnamed = replace(rewritten, rules=rules(), lists=KNOWN_LIST.lists)
    assert decide(unnamed) == Junk(Reason.DISPLAY_NAME)


# Without a policy


def test_spf_fail_without_a_policy() -> None:
    failed = made(WITHOUT_POLICY, mail_from=of_spf(FAIL, AUTHOR))
    assert decide(failed) == Junk(Reason.SPF_FAIL)
    assert decide(replace(failed, rules=rules(spf_fail="refuse"))) == Refuse(Reason.SPF_FAIL)
    assert decide(replace(failed, rules=rules(spf_fail="accept"))) == Accept(Reason.NO_POLICY)
    assert decide(replace(failed, dkim=(signed(AUTHOR),))) == Accept(Reason.PROVEN)  # plain forwarding
    assert isinstance(
        decide(replace(failed, peer_names=("a.forward.example",), forwarders=("forward.example",))), Accept
    )
    assert decide(replace(failed, mail_from=of_spf(spf.Result.SOFTFAIL, AUTHOR))) == Accept(Reason.NO_POLICY)
    # A DMARC record that asks for nothing is the domain's own word.
    assert decide(replace(failed, dmarc=of_dmarc(policy="none"))) == Accept(Reason.NO_POLICY)


def test_when_nothing_passes_without_a_policy() -> None:
    nothing = made(WITHOUT_POLICY, mail_from=of_spf(spf.Result.NONE, AUTHOR))
    assert decide(nothing) == Accept(Reason.NO_POLICY)
    strict = replace(nothing, rules=rules(unauthenticated="junk"))
    assert decide(strict) == Junk(Reason.UNAUTHENTICATED)
    assert decide(replace(strict, dkim=(signed(STRANGER),))) == Accept(Reason.NO_POLICY)
    assert decide(replace(strict, dmarc=of_dmarc(policy="none"))) == Junk(Reason.UNAUTHENTICATED)
    assert decide(
        replace(strict, mail_from=of_spf(LATE, AUTHOR), rules=rules(unauthenticated="junk", spf_fail="accept"))
    ) == Defer(Reason.DNS)


def test_an_author_in_a_domain_that_can_not_be() -> None:
    assert decide(made(dmarc=of_dmarc(dmarc.Reason.DOMAIN))) == Refuse(Reason.AUTHOR_DOMAIN)


@pytest.mark.parametrize(("action", "verdict"), [("refuse", Refuse), ("junk", Junk), ("accept", Accept)])
def test_an_author_whose_domain_does_not_exist(action: str, verdict: type[Verdict]) -> None:
    nobody = made(
        dmarc=of_dmarc(dmarc.Reason.NO_RECORD), author_exists=False, rules=Rules(Inbound(unknown_domain=action))
    )
    decided = decide(nobody)
    assert type(decided) is verdict
    assert decided.reason is (Reason.NO_POLICY if verdict is Accept else Reason.NO_SUCH_DOMAIN)
    assert decide(replace(nobody, author_exists=True)).reason is Reason.NO_POLICY


def test_a_record_that_can_not_be_used_is_none() -> None:
    assert decide(made(dmarc=replace(of_dmarc(dmarc.Reason.SYNTAX), requested=dmarc.Policy.NONE))) == Accept(
        Reason.NO_POLICY
    )


def test_trusted_peers_are_not_judged() -> None:
    assert decide(replace(OWN, peer_trusted=True)) == Accept(Reason.TRUSTED_PEER)


# DNS


@pytest.mark.parametrize(
    "reason", [dmarc.Reason.DNS, dmarc.Reason.EXISTENCE, dmarc.Reason.SPF_DNS, dmarc.Reason.DKIM_DNS]
)
def test_what_dns_can_not_say_defers(reason: dmarc.Reason) -> None:
    verdict = decide(made(dmarc=of_dmarc(reason)))
    assert verdict == Defer(Reason.DNS)
    assert isinstance(verdict, Defer)
    assert verdict.reply.code == 451


def test_a_temporary_error_that_makes_no_difference_does_not_defer() -> None:
    late = signed(STRANGER, KEY_LATE)
    assert decide(replace(FORGED, dkim=(late,))) == Refuse(Reason.DMARC_REJECT)
    assert decide(replace(FORGED, mail_from=of_spf(LATE), helo=of_helo(LATE))) == Refuse(Reason.DMARC_REJECT)
    assert decide(replace(HONEST, mail_from=of_spf(LATE), dkim=(signed(AUTHOR), late))) == Accept(Reason.PROVEN)
    assert decide(made(dmarc=of_dmarc(dmarc.Reason.SPF_DNS, "none"), mail_from=of_spf(LATE))) == Accept(
        Reason.NO_POLICY
    )
    # Aligned whatever the record says.
    assert decide(replace(HONEST, dmarc=replace(of_dmarc(dmarc.Reason.DNS), aligned_dkim=(AUTHOR,)))) == Accept(
        Reason.PROVEN
    )
    # An unnamed sealer's key.
    unknown = chain(hop("sealer.example"), result=arc.Result.FAIL, reason=arc.Reason.KEY_UNAVAILABLE)
    assert decide(made(arc=unknown)) == Refuse(Reason.DMARC_REJECT)


def test_a_temporary_error_that_hides_a_sign_defers() -> None:
    late = signed(LIST, KEY_LATE)
    assert decide(replace(KNOWN_LIST, dkim=(late,), mail_from=of_spf())) == Defer(Reason.DNS)
    assert decide(replace(NAMED, dkim=(late,), mail_from=of_spf())) == Defer(Reason.DNS)
    assert decide(replace(FORWARDED, mail_from=of_spf(LATE, "srs.forward.example"))) == Defer(Reason.DNS)
    assert decide(
        replace(SEALED, arc=replace(SEALED.arc, result=arc.Result.FAIL, reason=arc.Reason.KEY_UNAVAILABLE))
    ) == Defer(Reason.DNS)
    assert decide(made(OWN, dmarc=replace(NO_RECORD, author_domain=OURS), dkim=(signed(OURS, KEY_LATE),))) == Defer(
        Reason.DNS
    )


# Several recipients


def test_each_recipient_has_forwarders_of_its_own() -> None:
    evidence = replace(FORWARDED, forwarders=())
    verdicts = decide_each(evidence, [(), ("forward.example",), ()])
    assert [type(one) for one in verdicts] == [Refuse, Quarantine, Refuse]
    combined = combine(verdicts)
    assert combined.answer is None
    assert [type(one) for one in combined.each] == [Quarantine] * 3
    assert [one.word for one in combined.each] == ["dmarc-reject", "dmarc-reject+forwarder", "dmarc-reject"]
    assert combine(decide_each(evidence, [(), ()])) == Combined(Refuse(Reason.DMARC_REJECT))


def test_combined() -> None:
    accept, junk, refuse, defer = (
        Accept(Reason.PROVEN),
        Junk(Reason.SPF_FAIL),
        Refuse(Reason.DMARC_REJECT),
        Defer(Reason.DNS),
    )
    assert combine([accept, junk]) == Combined(None, (accept, junk))
    assert combine([refuse, junk]) == Combined(None, (Quarantine(Reason.DMARC_REJECT), junk))
    assert combine([accept, refuse, defer]) == Combined(defer)
    with pytest.raises(ValueError, match="no recipient"):
        combine([])


# What is learned of lists


def test_lists_are_learned_from_accepted_mail_that_they_answer_for() -> None:
    mail = replace(BY_LIST, dmarc=NO_RECORD)
    verdict = decide(mail)
    assert isinstance(verdict, Accept)
    assert learned(mail, verdict) == (ListSeen(LIST_ID, LIST, NOW, NOW, 1),)
    assert learned(replace(mail, list_id=""), verdict) == ()
    assert learned(replace(mail, list_id="users.other.example"), verdict) == ()
    assert learned(BY_LIST, decide(BY_LIST)) == ()
    assert learned(replace(mail, dkim=(signed(LIST, KEY_LATE),), mail_from=of_spf(LATE, LIST)), verdict) == ()
    assert learned(mail, Junk(Reason.DISPLAY_NAME)) == ()


# Everything with everything

DMARCS = [
    of_dmarc(dmarc.Reason.ALIGNED, aligned=AUTHOR),
    NO_RECORD,
    *(of_dmarc(policy=policy) for policy in ("none", "quarantine", "reject")),
    of_dmarc(testing=True),
    of_dmarc(dmarc.Reason.DNS),
    of_dmarc(dmarc.Reason.EXISTENCE),
    of_dmarc(dmarc.Reason.SPF_DNS),
    of_dmarc(dmarc.Reason.SPF_DNS, "none"),
    of_dmarc(dmarc.Reason.DKIM_DNS, "quarantine"),
    of_dmarc(dmarc.Reason.DOMAIN),
]
SPFS = [of_spf(result, domain) for result in spf.Result for domain in (AUTHOR, LIST, "srs.forward.example")]
DKIMS = [
    (),
    (signed(AUTHOR),),
    (signed(AUTHOR, KEY_LATE),),
    (signed(LIST),),
    (signed(LIST, KEY_LATE),),
    (signed(STRANGER), signed(AUTHOR, dkim.Reason.BODY_HASH)),
    (signed(AUTHOR, testing=True),),
]
ARCS = [
    arc.NONE,
    chain(hop("sealer.example", ("dmarc", "pass", AUTHOR))),
    chain(hop("sealer.example", ("dmarc", "pass", AUTHOR)), result=arc.Result.FAIL, reason=arc.Reason.KEY_UNAVAILABLE),
    chain(hop("evil.example", ("dmarc", "pass", AUTHOR))),
]
SIGNS = [
    {},
    {"forwarders": ("forward.example",)},
    {"list_id": LIST_ID},
    {"list_id": LIST_ID, "lists": KNOWN_LIST.lists},
]
FACES = [
    {},
    {"own_domain": AUTHOR},
    {"lookalike": ALIKE},
    {"displayed": "marie@ours.example"},
    {"own_reverse_path": AUTHOR},
]
SETTINGS = [
    Inbound(arc_sealers=["sealer.example"]),
    Inbound(arc_sealers=["sealer.example"], sealed="policy", forwarded="accept", lists=[LIST], listed="accept", own_domain="aligned"),
    Inbound(reject="junk", quarantine="junk", lookalikes="accept", proven_lookalikes="refuse", spf_fail="refuse", unauthenticated="junk"),
]  # fmt: skip
RULES = [Rules(settings) for settings in SETTINGS]


def product(which: Rules) -> Iterator[Evidence]:
    """Some 36,000 messages."""
    for outcome, mail_from, signatures, chained, signs, face in itertools.product(
        DMARCS, SPFS[:12], DKIMS, ARCS, SIGNS[:3], FACES[:3]
    ):
        yield Evidence(
            AUTHOR, outcome, mail_from, of_helo(), signatures, chained, NOW, rules=which, **signs, **face  # type: ignore[arg-type]
        )  # fmt: skip


evidences = st.builds(
    lambda outcome, mail_from, helo, signatures, chained, signs, face, which: Evidence(
        AUTHOR,
        outcome,
        mail_from,
        helo,
        signatures,
        chained,
        NOW,
        reverse_path_domain=mail_from.domain,
        rules=which,
        **signs,
        **face,
    ),
    st.sampled_from(DMARCS),
    st.sampled_from(SPFS),
    st.sampled_from([of_helo(), of_helo(LATE, "a.forward.example"), of_helo(spf.Result.PASS, "a.forward.example")]),
    st.sampled_from(DKIMS),
    st.sampled_from(ARCS),
    st.sampled_from(SIGNS),
    st.sampled_from(FACES),
    st.sampled_from(RULES),
)


def settled(evidence: Evidence, *, passed: bool) -> Evidence:
    """The same message when DNS can say everything, and it all passes or it all fails."""
    good, bad = (spf.Result.PASS, dkim.Reason.VERIFIED), (spf.Result.FAIL, dkim.Reason.NO_KEY)
    result, reason = good if passed else bad
    outcome = evidence.dmarc
    if outcome.result is dmarc.Result.TEMPERROR:
        known = outcome.requested.value if outcome.reason in {dmarc.Reason.SPF_DNS, dmarc.Reason.DKIM_DNS} else "reject"
        outcome = of_dmarc(dmarc.Reason.ALIGNED, aligned=AUTHOR) if passed else of_dmarc(policy=known)
    chained = evidence.arc
    if chained.temporary:
        chained = replace(
            chained,
            result=arc.Result.PASS if passed else arc.Result.FAIL,
            reason=arc.Reason.VERIFIED if passed else arc.Reason.SEAL,
        )
    return replace(
        evidence,
        dmarc=outcome,
        arc=chained,
        mail_from=replace(evidence.mail_from, result=result)
        if evidence.mail_from.result is LATE
        else evidence.mail_from,
        helo=replace(evidence.helo, result=result) if evidence.helo.result is LATE else evidence.helo,
        dkim=tuple(replace(one, reason=reason) if one.reason is KEY_LATE else one for one in evidence.dkim),
    )


def holds(evidence: Evidence) -> None:
    """What must be true of every verdict."""
    verdict = decide(evidence)
    settings = evidence.rules.settings
    fails = evidence.dmarc.result is dmarc.Result.FAIL and evidence.dmarc.requested is not dmarc.Policy.NONE
    if fails and isinstance(verdict, Accept):
        assert verdict.found is not None
        assert verdict.found.sign is not Sign.KNOWN_LIST
    if fails and sign(view(evidence, hopeful=False)) is None and settings.reject == "refuse":
        assert isinstance(verdict, Refuse) or (evidence.undecided and isinstance(verdict, Defer))
    if evidence.own_domain and evidence.dmarc.result is not dmarc.Result.PASS and isinstance(verdict, Accept):
        sealed = verdict.found is not None and verdict.found.sign is Sign.SEALER
        assert (
            sealed
            or any(one.authenticates and one.domain == AUTHOR for one in evidence.dkim)
            or evidence.mail_from.domain == AUTHOR
        )
    worst, best = decide(settled(evidence, passed=False)), decide(settled(evidence, passed=True))
    if evidence.undecided:
        assert isinstance(verdict, Defer) == (type(worst) is not type(best)), (worst, best)
    else:
        assert not isinstance(verdict, Defer)
    if isinstance(worst, Refuse):
        assert isinstance(verdict, Refuse | Defer)
    if isinstance(verdict, Refuse | Defer):
        wire = verdict.reply.wire
        assert len(wire) <= 500
        assert wire.count(b"\r\n") == 1
        assert wire.isascii()
    assert len(verdict.word) <= 60
    for language in ("en", "fr"):
        assert 0 < len(verdict.sentence(language)) <= 400
        assert all(len(line) <= 78 for line in verdict.field(language).split(b"\r\n"))


@pytest.mark.parametrize("which", RULES, ids=["default", "lenient", "odd"])
def test_every_combination(which: Rules) -> None:
    """The invariants that need no second decision, for all; the others in the next test, for many."""
    counts: dict[type, int] = {}
    for evidence in product(which):
        verdict = decide(evidence)
        counts[type(verdict)] = counts.get(type(verdict), 0) + 1
        enforced = evidence.dmarc.result is dmarc.Result.FAIL and evidence.dmarc.requested is not dmarc.Policy.NONE
        if isinstance(verdict, Accept):
            assert not enforced or verdict.found is not None
            unknown = (
                evidence.dmarc.result is dmarc.Result.TEMPERROR and evidence.dmarc.requested is not dmarc.Policy.NONE
            )
            assert not unknown or verdict.found is not None
        assert evidence.undecided or not isinstance(verdict, Defer)
    assert set(counts) == {Accept, Junk, Quarantine, Refuse, Defer}


@given(evidences)
def test_what_is_true_of_every_verdict(evidence: Evidence) -> None:
    holds(evidence)


@given(evidences, st.sets(st.sampled_from([(), ("forward.example",), ("other.example",)]), min_size=1))
def test_a_forwarder_of_one_recipient_never_makes_it_worse_for_anybody(
    evidence: Evidence, views: set[tuple[str, ...]]
) -> None:
    verdicts = decide_each(evidence, sorted(views))
    combined = combine(verdicts)
    if combined.answer is None:
        assert len(combined.each) == len(verdicts)
        for before, after in zip(verdicts, combined.each, strict=True):
            assert before == after or (isinstance(before, Refuse) and isinstance(after, Quarantine))
    else:
        assert all(type(one) is type(combined.answer) for one in verdicts) or isinstance(combined.answer, Defer)


def test_history_counts_by_messages_and_days() -> None:
    def with_history(messages: int, days: int) -> Verdict:
        return decide(replace(BY_LIST, lists=(ListSeen(LIST_ID, LIST, NOW - days * DAY, NOW, messages),)))

    assert isinstance(with_history(3, 7), Quarantine)
    assert isinstance(with_history(2, 7), Refuse)
    assert isinstance(with_history(3, 6), Refuse)
