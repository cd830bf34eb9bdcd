import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.policy.relay import Allow, Refuse, RelayEvidence, RelayPolicy, RelayReason
from poterne.values.relay import RelayRule, RelayRuleError

RULE = RelayRule("erp", ("192.0.2.7", "2001:db8::/64"), frozenset({"Example.org", "bücher.example"}), 100)
NARROW = RelayRule("scanner", ("10.0.0.9",), frozenset({"example.org"}), 5, frozenset({"partner.example"}))
POLICY = RelayPolicy([RULE, NARROW])


def test_listed_hosts_with_listed_senders_may_relay() -> None:
    for peer in ("192.0.2.7", "::ffff:192.0.2.7", "2001:db8::9"):
        for domain in ("example.org", "xn--bcher-kva.example"):
            assert POLICY.decide(RelayEvidence(peer, domain, "anywhere.example"), {}) == Allow(RULE)
    assert POLICY.decide(RelayEvidence("10.0.0.9", "example.org", "partner.example"), {"scanner": 4}) == Allow(NARROW)


@pytest.mark.parametrize(
    ("evidence", "sent", "refusal"),
    [
        (RelayEvidence("192.0.2.8", "example.org", "a.example"), {}, Refuse(RelayReason.NOT_LISTED)),
        (RelayEvidence("", "example.org", "a.example"), {}, Refuse(RelayReason.NOT_LISTED)),
        (RelayEvidence("192.0.2.7", "example.org", "a.example", hidden_origin=True), {}, Refuse(RelayReason.HIDDEN_ORIGIN, RULE)),
        (RelayEvidence("192.0.2.7", None, "a.example"), {}, Refuse(RelayReason.NULL_SENDER, RULE)),
        (RelayEvidence("192.0.2.7", "sub.example.org", "a.example"), {}, Refuse(RelayReason.SENDER_DOMAIN, RULE)),
        (RelayEvidence("192.0.2.7", "notexample.org", "a.example"), {}, Refuse(RelayReason.SENDER_DOMAIN, RULE)),
        (RelayEvidence("10.0.0.9", "example.org", "other.example"), {}, Refuse(RelayReason.RECIPIENT_DOMAIN, NARROW)),
        (RelayEvidence("10.0.0.9", "example.org", "partner.example"), {"scanner": 5}, Refuse(RelayReason.RATE, NARROW)),
        (RelayEvidence("192.0.2.7", "example.org", "a.example"), {"erp": 100}, Refuse(RelayReason.RATE, RULE)),
    ],
)  # fmt: skip
def test_everything_else_is_refused_with_its_reason(
    evidence: RelayEvidence, sent: dict[str, int], refusal: Refuse
) -> None:
    assert POLICY.decide(evidence, sent) == refusal


@given(st.ip_addresses().map(str), st.one_of(st.none(), st.text()), st.text(), st.booleans())
def test_without_rules_nobody_relays(peer: str, sender: str | None, recipient: str, hidden: bool) -> None:
    assert RelayPolicy().decide(RelayEvidence(peer, sender, recipient, hidden), {}) == Refuse(RelayReason.NOT_LISTED)


NETWORK = st.builds(lambda address, bits: f"{address}/{bits}", st.ip_addresses(), st.integers(0, 128))
SPECIAL = st.sampled_from(
    ["0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/8", "127.0.0.1", "192.0.2.0/24", "2001:db8::/56"]
)


@given(
    st.lists(st.one_of(NETWORK, SPECIAL, st.ip_addresses().map(str)), max_size=8),
    st.lists(st.sampled_from(["*", "", "org", "example.org", "*.example.org", "a@example.org"]), max_size=3),
    st.integers(-1, 200_000),
)
def test_a_rule_that_exists_is_narrow(hosts: list[str], domains: list[str], per_hour: int) -> None:
    try:
        rule = RelayRule("x", tuple(hosts), frozenset(domains), per_hour)
    except RelayRuleError as error:
        faults = error.faults
    else:
        assert sum(1 << (32 - n.prefixlen) for n in rule.networks.merged() if n.version == 4) <= 256
        assert sum(1 << max(0, 64 - n.prefixlen) for n in rule.networks.merged() if n.version == 6) <= 512
        assert rule.sender_domains == {"example.org"}
        assert 0 < rule.per_hour <= 100_000
        return
    assert faults
    assert all(fault.what and fault.remedy and fault.key for fault in faults)
