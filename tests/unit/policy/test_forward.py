from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.policy.forward import (
    REPLIES,
    Authentication,
    Forward,
    ForwardEvidence,
    ForwardReason,
    Keep,
    Refuse,
    decide,
)

GOOD = ForwardEvidence(Authentication.PASS, looped=False, received=3, max_received=50)


def test_good_mail_is_forwarded() -> None:
    assert decide(GOOD) == Forward()
    assert decide(replace(GOOD, authentication=Authentication.NONE)) == Forward()
    assert decide(replace(GOOD, mailbox=True)) == Forward()
    assert decide(replace(GOOD, received=49)) == Forward()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (replace(GOOD, looped=True), ForwardReason.LOOP),
        (replace(GOOD, received=50), ForwardReason.HOPS),
        (replace(GOOD, authentication=Authentication.FAIL), ForwardReason.UNAUTHENTICATED),
        (replace(GOOD, spam=True), ForwardReason.SPAM),
        (replace(GOOD, spam=True, looped=True), ForwardReason.LOOP),
        (replace(GOOD, often=True), ForwardReason.OFTEN),
        (replace(GOOD, often=True, spam=True), ForwardReason.SPAM),
    ],
)
def test_the_rest_stays_or_is_refused(bad: ForwardEvidence, reason: ForwardReason) -> None:
    assert decide(bad) == Refuse(reason)
    assert decide(replace(bad, mailbox=True)) == Keep(reason)


@given(
    st.builds(
        ForwardEvidence,
        st.sampled_from(Authentication),
        looped=st.booleans(),
        received=st.integers(0, 60),
        max_received=st.just(50),
        spam=st.booleans(),
        often=st.booleans(),
        mailbox=st.booleans(),
    )
)
def test_what_has_a_mailbox_is_never_refused_and_what_failed_never_leaves(evidence: ForwardEvidence) -> None:
    found = decide(evidence)
    if evidence.mailbox:
        assert not isinstance(found, Refuse)
    else:
        assert not isinstance(found, Keep)
    if isinstance(found, Forward):
        assert not evidence.spam
        assert not evidence.looped
        assert evidence.authentication is not Authentication.FAIL
        assert evidence.received < evidence.max_received


def test_every_reason_has_an_answer() -> None:
    assert set(REPLIES) == set(ForwardReason)
    for reason in ForwardReason:
        assert Refuse(reason).reply.code // 10 == (45 if reason is ForwardReason.OFTEN else 55)
