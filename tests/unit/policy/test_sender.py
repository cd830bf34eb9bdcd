from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.policy.sender import TEXTS, Allow, Refuse, SenderEvidence, SenderReason, decide
from poterne.values.ids import AccountId, SenderId
from poterne.values.sender import ANYONE, Sender, SenderScope, SenderState

SCOPE = SenderScope(
    from_addresses=("shop@example.org", "noreply@example.org"),
    recipients=("ann@example.com", "@example.net"),
    networks=("192.0.2.0/24", "2001:db8::/56"),
    uids=(33,),
    max_bytes=1000,
)
SENDER = Sender(SenderId(1), "webshop", AccountId(7), "ann@example.org", SenderState.ACTIVE, SCOPE, True, 0, 2000)
GOOD = SenderEvidence(
    SENDER,
    1000,
    peer="192.0.2.7",
    password=True,
    envelope_from="shop@example.org",
    identities=("shop@example.org", "noreply@example.org"),
    recipient="ann@example.com",
    size_bytes=1000,
)
LOCAL = replace(GOOD, peer="", uid=33, password=False)


def scoped(evidence: SenderEvidence, **changes: object) -> SenderEvidence:
    scope = replace(evidence.sender.scope, **changes)  # type: ignore[arg-type]
    return replace(evidence, sender=replace(evidence.sender, scope=scope))


def in_state(state: SenderState) -> SenderEvidence:
    return replace(GOOD, sender=replace(SENDER, state=state))


@pytest.mark.parametrize(
    "good",
    [
        GOOD,
        LOCAL,
        replace(GOOD, peer="::ffff:192.0.2.9"),
        replace(GOOD, peer="2001:db8::7"),
        replace(GOOD, recipient="anybody@example.net"),
        replace(GOOD, recipient=None, envelope_from=None, identities=(), size_bytes=0),
        replace(GOOD, now=1999),
        replace(GOOD, now=10**12, sender=replace(SENDER, expires_at=0)),
        scoped(replace(GOOD, recipient="x@else.example"), recipients=(ANYONE,)),
        scoped(replace(GOOD, peer="203.0.113.1"), networks=()),
        scoped(replace(GOOD, peer="203.0.113.1", hidden_origin=True), networks=()),
        scoped(replace(GOOD, peer="", uid=1000), networks=("127.0.0.0/8",)),
        scoped(replace(GOOD, peer="", uid=1000), networks=()),
        replace(LOCAL, password=True),
    ],
)
def test_what_was_approved_passes(good: SenderEvidence) -> None:
    assert decide(good) == Allow()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (in_state(SenderState.PENDING), SenderReason.PENDING),
        (in_state(SenderState.REVOKED), SenderReason.REVOKED),
        (replace(GOOD, now=2000), SenderReason.EXPIRED),
        (replace(GOOD, peer="203.0.113.1"), SenderReason.NETWORK),
        (replace(GOOD, peer="nonsense"), SenderReason.NETWORK),
        (replace(GOOD, hidden_origin=True), SenderReason.HIDDEN_ORIGIN),
        (scoped(GOOD, networks=("nonsense",)), SenderReason.NETWORK),
        (replace(GOOD, password=False), SenderReason.UID),
        (replace(LOCAL, uid=0), SenderReason.UID),
        (replace(LOCAL, uid=None), SenderReason.UID),
        (replace(LOCAL, peer="192.0.2.7"), SenderReason.UID),
        (replace(LOCAL, uid=1000, password=True), SenderReason.NETWORK),
        (replace(GOOD, envelope_from=""), SenderReason.NULL_SENDER),
        (replace(GOOD, envelope_from="boss@example.org"), SenderReason.ENVELOPE_FROM),
        (replace(GOOD, envelope_from="shop+x@example.org"), SenderReason.ENVELOPE_FROM),
        (replace(GOOD, identities=("shop@example.org", "boss@example.org")), SenderReason.HEADER_FROM),
        (replace(GOOD, recipient="ben@example.com"), SenderReason.RECIPIENT),
        (replace(GOOD, recipient="ann@sub.example.net"), SenderReason.RECIPIENT),
        (replace(GOOD, recipient="example.net"), SenderReason.RECIPIENT),
        (replace(GOOD, size_bytes=1001), SenderReason.SIZE),
    ],
)
def test_everything_else_is_refused_with_its_reason(bad: SenderEvidence, reason: SenderReason) -> None:
    assert decide(bad) == Refuse(reason, "webshop")


@given(
    st.sampled_from(SenderState),
    st.sampled_from(["", "192.0.2.7", "203.0.113.1"]),
    st.sampled_from([None, 0, 33]),
    st.booleans(),
    st.sampled_from([None, "", "shop@example.org", "eve@example.com"]),
    st.sampled_from([None, "ann@example.com", "eve@example.com"]),
)
def test_nothing_passes_without_approval_and_proof(
    state: SenderState, peer: str, uid: int | None, password: bool, envelope: str | None, recipient: str | None
) -> None:
    facts = SenderEvidence(
        replace(SENDER, state=state), 1, peer, uid, password, envelope_from=envelope, recipient=recipient
    )
    if decide(facts) == Allow():
        assert state is SenderState.ACTIVE
        assert password or (uid == 33 and not peer)
        assert envelope in {None, "shop@example.org"}
        assert recipient in {None, "ann@example.com"}


def test_every_reason_says_what_to_do() -> None:
    assert set(TEXTS) == set(SenderReason)
    for reason in SenderReason:
        reply = Refuse(reason, "webshop").reply
        assert "webshop" in reply.text
        assert "poterne " in reply.text
        assert reply.enhanced.startswith("5.")
        assert len(reply.wire) < 512
