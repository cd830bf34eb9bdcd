"""What the author's domain reads in its report (RFC 9990)."""

import pytest

from poterne.mailauth.dmarc import outcome as dmarc
from poterne.policy.disposition import disposition
from poterne.policy.reasons import Found, Reason, Sign
from poterne.policy.verdict import Accept, Defer, Junk, Quarantine, Refuse, Verdict
from poterne.values.dmarc import Override
from tests.unit.policy.mail_evidence import AUTHOR, NO_RECORD, of_dmarc

R, Q, N = (of_dmarc(policy=policy) for policy in ("reject", "quarantine", "none"))
TR, TQ = of_dmarc(testing=True), of_dmarc(policy="quarantine", testing=True)
PASS = of_dmarc(dmarc.Reason.ALIGNED, aligned=AUTHOR)
LOCAL, TEST = Override("local_policy"), Override("policy_test_mode")
LIST, FORWARD, ARC = Override("mailing_list"), Override("trusted_forwarder"), Override("local_policy", "arc=pass")
BY_REJECT, BY_QUARANTINE = Reason.DMARC_REJECT, Reason.DMARC_QUARANTINE


def by(sign: Sign) -> Found:
    return Found(sign, "x.example")


@pytest.mark.parametrize(
    ("outcome", "verdict", "expected"),
    [
        (R, Refuse(BY_REJECT), ("reject", ())),
        (R, Quarantine(BY_REJECT, by(Sign.KNOWN_LIST)), ("quarantine", (LIST,))),
        (R, Quarantine(BY_REJECT, by(Sign.NAMED_LIST)), ("quarantine", (LIST,))),
        (R, Junk(BY_REJECT, by(Sign.FORWARDER)), ("quarantine", (FORWARD,))),
        (R, Accept(BY_REJECT, by(Sign.FORWARDER)), ("none", (FORWARD,))),
        (R, Accept(BY_REJECT, by(Sign.SEALER)), ("none", (ARC,))),
        (R, Quarantine(BY_REJECT), ("quarantine", (LOCAL,))),
        (Q, Refuse(BY_QUARANTINE), ("reject", (LOCAL,))),
        (Q, Junk(BY_QUARANTINE), ("quarantine", ())),
        (Q, Junk(BY_QUARANTINE, by(Sign.KNOWN_LIST)), ("quarantine", ())),
        (N, Accept(Reason.NO_POLICY), ("none", ())),
        (N, Refuse(Reason.OWN_DOMAIN), ("reject", (LOCAL,))),
        (N, Junk(Reason.DISPLAY_NAME), ("quarantine", (LOCAL,))),
        (TR, Quarantine(BY_QUARANTINE), ("quarantine", (TEST,))),
        (TR, Refuse(BY_QUARANTINE), ("reject", (TEST, LOCAL))),
        (TQ, Accept(Reason.NO_POLICY), ("none", (TEST,))),
        (PASS, Accept(Reason.PROVEN), ("pass", ())),
        (PASS, Quarantine(Reason.PROVEN_LOOKALIKE), ("pass", ())),
        (R, Defer(Reason.DNS), None),
        (NO_RECORD, Accept(Reason.NO_POLICY), None),
        (of_dmarc(dmarc.Reason.SPF_DNS), Accept(Reason.PROVEN), None),
    ],
)
def test_disposition(
    outcome: dmarc.Outcome, verdict: Verdict, expected: tuple[str, tuple[Override, ...]] | None
) -> None:
    assert disposition(outcome, verdict) == expected


@pytest.mark.parametrize("tag", ["sp", "np"])
def test_a_test_of_another_tag(tag: str) -> None:
    assert disposition(of_dmarc(tag=tag, testing=True), Refuse(BY_QUARANTINE)) == ("reject", (TEST, LOCAL))
    assert disposition(of_dmarc(tag=tag, policy="none", testing=True), Accept(Reason.NO_POLICY)) == ("none", ())
