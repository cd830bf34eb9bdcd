import pytest

from poterne.policy.access import Access, Reason
from poterne.values.networks import NetworkSet


@pytest.mark.parametrize(
    ("allow", "deny", "address", "hidden", "reason"),
    [
        ([], [], "192.0.2.1", False, None),
        ([], [], "192.0.2.1", True, None),
        ([], [], "", False, None),
        (["192.0.2.0/24"], [], "192.0.2.1", False, None),
        (["192.0.2.0/24"], [], "::ffff:192.0.2.1", False, None),
        (["192.0.2.0/24"], [], "192.0.2.1", True, Reason.HIDDEN),
        (["192.0.2.0/24"], [], "192.0.3.1", False, Reason.NOT_LISTED),
        (["192.0.2.0/24"], [], "2001:db8::1", False, Reason.NOT_LISTED),
        (["192.0.2.0/24"], [], "", False, Reason.NOT_LISTED),
        ([], ["192.0.2.0/24"], "192.0.2.1", False, Reason.DENIED),
        ([], ["192.0.2.0/24"], "::ffff:192.0.2.1", False, Reason.DENIED),
        ([], ["192.0.2.0/24"], "198.51.100.1", True, None),
        (["192.0.2.0/24"], ["192.0.2.7"], "192.0.2.7", False, Reason.DENIED),
        (["192.0.2.0/24"], ["192.0.2.7"], "192.0.2.8", False, None),
        (["192.0.2.7"], ["0.0.0.0/0"], "192.0.2.7", False, Reason.DENIED),
    ],
)
def test_who_may_open_a_session(
    allow: list[str], deny: list[str], address: str, hidden: bool, reason: Reason | None
) -> None:
    access = Access(NetworkSet(allow), NetworkSet(deny))
    verdict = access.decide(address, hidden=hidden)
    assert verdict.reason is reason
    assert verdict.allowed is (reason is None)
    assert access.open is (not allow and not deny)
