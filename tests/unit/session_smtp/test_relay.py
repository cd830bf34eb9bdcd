"""What relay decisions are told in, and how uses are counted."""

import pytest
import structlog
from structlog.testing import capture_logs

from poterne.policy.origin import MANY_NAMES, MIN_CONNECTIONS, PERIOD_S, Origins
from poterne.policy.relay import RelayReason
from poterne.session.smtp.relay import HOUR_S, REPLIES, Relays
from poterne.values.address import Address
from poterne.values.ids import TraceId
from poterne.values.relay import RelayRule

RULE = RelayRule("erp", ("10.0.0.5",), frozenset({"example.org"}), 2)
OURS, THEIRS = Address("a", "example.org"), Address("b", "partner.example")


class World:
    def __init__(self) -> None:
        self.now = 1e9
        self.relays = Relays([RULE], Origins(), lambda: self.now, structlog.get_logger())

    def ask(self, peer: str = "10.0.0.5", sender: Address | None = OURS) -> str:
        found = self.relays.judge(peer, sender, THEIRS)
        if isinstance(found, RelayRule):
            return f"by {found.name}"
        assert not found.reply.positive
        return found.reason


def test_every_reason_has_words() -> None:
    assert set(REPLIES) == set(RelayReason)
    assert len({reply.text for reply in REPLIES.values()}) == len(REPLIES)


def test_uses_are_counted_by_the_hour() -> None:
    world = World()
    assert [world.ask() for _ in range(4)] == ["by erp"] * 2 + ["relay-rate"] * 2
    world.now += HOUR_S - 1
    assert world.ask() == "relay-rate"
    world.now += 1
    assert world.ask() == "by erp"
    assert world.ask(sender=None) == "relay-null-sender"
    assert world.ask("10.0.0.6") == "relay"
    world.now -= 10 * HOUR_S
    assert [world.ask() for _ in range(3)][-1] == "relay-rate", "a clock that was set back begins a new hour"


@pytest.mark.parametrize("names", [1, MANY_NAMES])
def test_a_host_under_whose_address_strangers_arrive_relays_nothing(names: int) -> None:
    world = World()
    with capture_logs() as logs:
        world.relays.greeted("192.0.2.1", "public.example", TraceId("t0"))
        for number in range(2 * MIN_CONNECTIONS):
            world.relays.greeted("10.0.0.5", f"h{number % names}.example", TraceId("t"))
        world.now += PERIOD_S
        for number in range(2 * MIN_CONNECTIONS):
            world.relays.greeted("10.0.0.5", f"h{number % names}.example", TraceId("t"))
    told = [entry for entry in logs if entry["event"] == "security.origin-hidden"]
    if names == 1:
        assert not told
        assert world.ask() == "by erp"
    else:
        assert [entry["log_level"] for entry in told] == ["error", "error"], "once in each period"
        assert world.ask() == "relay-hidden-origin"
