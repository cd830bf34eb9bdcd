import itertools

import pytest

from poterne.mailauth.mtasts.policy import Mode, Policy
from poterne.policy.tls import (
    NO_DANE,
    Dane,
    DaneStatus,
    Destination,
    Skip,
    SkipReason,
    Terms,
    Use,
    decide,
    literal,
)
from poterne.values.dns import Tlsa
from poterne.values.tls import PolicyKind, TlsDemand, TlsResult

MX = "mx.d.test"
RECORD = Tlsa(3, 1, 1, b"x" * 32)
USABLE = Dane(DaneStatus.USABLE, (RECORD,), MX, ("3 1 1 78",))
UNUSABLE = Dane(DaneStatus.UNUSABLE, (), MX, ("0 0 1 78",))
FAILED = Dane(DaneStatus.FAILED, base=MX)
PLAIN, SECURE = Destination("d.test", "d.test"), Destination("d.test", "e.test", secure=True)


def sts(mode: Mode, *mx: str) -> Policy:
    return Policy(mode, 1000, mx or (MX,))


ENFORCE, TESTING, NONE = sts(Mode.ENFORCE), sts(Mode.TESTING), sts(Mode.NONE)
OTHER = sts(Mode.ENFORCE, "other.test")
OPTIONAL, REQUIRETLS = Terms(optional=True), Terms(requiretls=True)
VERIFIED, NO_CLEARTEXT = Terms(verified_only=True), Terms(cleartext_refused=True)
FREE = Terms()


def shown(to: Destination, dane: Dane, policy: Policy | None, terms: Terms) -> str:
    found = decide(to, MX, dane, policy, terms)
    if isinstance(found, Skip):
        return f"skip {found.reason.value}"
    fallback = f" else {found.fallback.value}" if found.fallback else ""
    return f"{found.demand.value} {' '.join(found.names)}".strip() + fallback


@pytest.mark.parametrize(
    ("to", "dane", "policy", "terms", "wanted"),
    [
        (PLAIN, NO_DANE, None, FREE, "opportunistic"),
        (PLAIN, NO_DANE, None, NO_CLEARTEXT, "required"),
        (PLAIN, NO_DANE, NONE, FREE, "opportunistic"),
        (PLAIN, NO_DANE, ENFORCE, FREE, "verified mx.d.test"),
        (PLAIN, NO_DANE, ENFORCE, OPTIONAL, "verified mx.d.test else opportunistic"),
        (PLAIN, NO_DANE, OTHER, FREE, "skip mx-not-in-policy"),
        (PLAIN, NO_DANE, OTHER, OPTIONAL, "opportunistic"),
        (PLAIN, NO_DANE, TESTING, FREE, "verified mx.d.test else opportunistic"),
        (PLAIN, NO_DANE, TESTING, NO_CLEARTEXT, "verified mx.d.test else required"),
        (PLAIN, NO_DANE, sts(Mode.TESTING, "o.test"), FREE, "opportunistic"),
        # DANE comes first (RFC 8461 §2), and is never downgraded.
        (SECURE, USABLE, None, FREE, "dane mx.d.test d.test e.test"),
        (SECURE, USABLE, OTHER, FREE, "dane mx.d.test d.test e.test"),
        (SECURE, USABLE, None, OPTIONAL, "dane mx.d.test d.test e.test else opportunistic"),
        (SECURE, FAILED, None, FREE, "skip dane-lookup"),
        (SECURE, FAILED, ENFORCE, FREE, "skip dane-lookup"),
        (SECURE, FAILED, None, VERIFIED, "skip dane-lookup"),
        (SECURE, FAILED, None, OPTIONAL, "opportunistic"),
        (SECURE, UNUSABLE, None, FREE, "required"),
        (SECURE, UNUSABLE, None, OPTIONAL, "opportunistic"),
        (SECURE, UNUSABLE, ENFORCE, FREE, "verified mx.d.test"),
        (SECURE, UNUSABLE, TESTING, FREE, "verified mx.d.test else required"),
        # REQUIRETLS: a verified server whose name is proven (RFC 8689 §4.2.1).
        (PLAIN, NO_DANE, None, REQUIRETLS, "skip requiretls-unproven"),
        (PLAIN, NO_DANE, TESTING, REQUIRETLS, "verified mx.d.test"),
        (PLAIN, NO_DANE, OTHER, REQUIRETLS, "skip mx-not-in-policy"),
        (PLAIN, NO_DANE, sts(Mode.TESTING, "o.test"), REQUIRETLS, "skip requiretls-unproven"),
        (SECURE, NO_DANE, None, REQUIRETLS, "verified mx.d.test"),
        (SECURE, USABLE, None, REQUIRETLS, "dane mx.d.test d.test e.test"),
        (SECURE, FAILED, None, REQUIRETLS, "skip dane-lookup"),
        (SECURE, FAILED, None, Terms(requiretls=True, optional=True), "skip dane-lookup"),
        # Our own demand: the domain's name counts where the server's is not proven, and no wish of the message relaxes it.
        (PLAIN, NO_DANE, None, VERIFIED, "verified d.test"),
        (PLAIN, NO_DANE, TESTING, VERIFIED, "verified mx.d.test"),
        (SECURE, NO_DANE, None, VERIFIED, "verified mx.d.test"),
        (SECURE, USABLE, None, Terms(verified_only=True, optional=True), "dane mx.d.test d.test e.test"),
        (PLAIN, NO_DANE, None, Terms(verified_only=True, optional=True), "verified d.test"),
        (PLAIN, NO_DANE, None, Terms(cleartext_refused=True, optional=True), "required"),
    ],
)
def test_terms(to: Destination, dane: Dane, policy: Policy | None, terms: Terms, wanted: str) -> None:
    assert shown(to, dane, policy, terms) == wanted


def test_what_is_reported() -> None:
    found = decide(SECURE, MX, USABLE, ENFORCE, FREE)
    assert found.applied is not None
    assert (found.applied.kind, found.applied.domain, found.applied.strings) == (PolicyKind.TLSA, MX, ("3 1 1 78",))
    found = decide(PLAIN, MX, NO_DANE, OTHER, FREE)
    assert found.applied is not None
    assert (found.applied.kind, found.applied.domain) == (PolicyKind.STS, "d.test")
    assert [failure.result for failure in found.failures] == [TlsResult.VALIDATION_FAILURE]
    found = decide(PLAIN, MX, NO_DANE, NONE, FREE)
    assert found.applied is not None
    assert found.applied.kind is PolicyKind.NONE
    results = [decide(SECURE, MX, dane, None, FREE).failures[0].result for dane in (UNUSABLE, FAILED)]
    assert results == [TlsResult.TLSA_INVALID, TlsResult.DNSSEC_INVALID]


def test_only_an_unproven_name_is_final() -> None:
    assert [Skip(reason).permanent for reason in SkipReason] == [False, False, True]


def test_address_literals() -> None:
    assert literal(FREE).demand is TlsDemand.OPPORTUNISTIC
    assert literal(NO_CLEARTEXT).demand is TlsDemand.REQUIRED
    assert literal(REQUIRETLS).demand is TlsDemand.VERIFIED
    assert literal(VERIFIED).demand is TlsDemand.VERIFIED


STRENGTH = [TlsDemand.OPPORTUNISTIC, TlsDemand.REQUIRED, TlsDemand.VERIFIED, TlsDemand.DANE]


def test_every_combination() -> None:
    """Laws that hold for all of them."""
    danes, policies = (NO_DANE, USABLE, UNUSABLE, FAILED), (None, NONE, TESTING, ENFORCE, OTHER)
    flags = itertools.product((False, True), repeat=4)
    for terms, dane, policy, to in itertools.product(
        (Terms(*each) for each in flags), danes, policies, (PLAIN, SECURE)
    ):
        found = decide(to, MX, dane, policy, terms)
        relaxed = terms.optional and not terms.requiretls
        if isinstance(found, Use):
            weakest = found.fallback or found.demand
            assert not (terms.cleartext_refused and weakest is TlsDemand.OPPORTUNISTIC)
            if terms.verified_only or terms.requiretls:
                assert STRENGTH.index(weakest) >= 2
            assert (found.demand is TlsDemand.DANE) == (dane is USABLE)
            assert bool(found.records) == (dane is USABLE)
            if dane is UNUSABLE and not relaxed:
                assert weakest is not TlsDemand.OPPORTUNISTIC
            if policy is ENFORCE and not relaxed and dane is not USABLE:
                assert weakest is TlsDemand.VERIFIED
            assert found.demand is not TlsDemand.VERIFIED or found.names
        else:
            assert not relaxed
        if dane is FAILED and not relaxed:
            assert isinstance(found, Skip)
