"""Gates: floods of one address, one network, one minute, and of memory; neighbours and people who sign in still get in."""

import random
from pathlib import Path

import pytest

from poterne.net import budget as budgets
from poterne.net.budget import ALWAYS, CONNECTION_BYTES, Budget, resident_bytes
from poterne.net.limits import MAX_RATED, Gate, Limits, Rates, networks_of

MIB = 1024 * 1024


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def fill(gate: Gate, addresses: list[str]) -> list[str]:
    return [limit for address in addresses if (limit := gate.enter(address))]


@pytest.mark.parametrize(
    ("network", "inside", "limit"),
    [
        ("192.0.2.{}", 30, "network-24"),
        ("2001:db8:0:{:x}::1", 20, "network-48"),
    ],
)
def test_a_network_gets_a_few_times_the_share_of_an_address(network: str, inside: int, limit: str) -> None:
    gate = Gate(Limits(total=1000, per_address=10))
    refused = fill(gate, [network.format(number) for number in range(256)])
    assert gate.inside == inside
    assert limit in refused
    assert gate.enter("198.51.100.1") == ""
    assert gate.enter("2001:db8:1::1") == ""
    assert gate.enter(network.format(255)) in {limit, "network-26"}


def test_a_quarter_of_a_24_is_counted_too() -> None:
    gate = Gate(Limits(total=1000, per_address=10))
    assert set(fill(gate, [f"192.0.2.{number}" for number in range(64)])) == {"network-26"}
    assert gate.inside == 20
    assert gate.enter("192.0.2.64") == "", "the next quarter is another customer"


def test_tables_are_empty_when_everybody_has_left() -> None:
    rng = random.Random(7)
    gate, budget = None, Budget(10**12)
    gate = Gate(Limits(total=500, per_address=3), budget=budget)
    inside: list[str] = []
    for _ in range(5000):
        if inside and rng.random() < 0.45:
            gate.leave(inside.pop(rng.randrange(len(inside))))
        else:
            address = rng.choice(
                [
                    f"192.0.{rng.randrange(3)}.{rng.randrange(256)}",
                    f"::ffff:192.0.2.{rng.randrange(9)}",
                    f"2001:db8:{rng.randrange(9)}::",
                    "odd",
                ]
            )
            if not gate.enter(address):
                inside.append(address)
        assert gate.inside == len(inside) == budget._strangers
    for address in inside:
        gate.leave(address)
    assert gate._inside == {}
    assert gate.inside == budget._strangers == 0


def test_rates_hold_and_are_forgotten() -> None:
    clock = Clock()
    gate = Gate(Limits(per_minute=10), clock=clock)

    def knock(address: str) -> str:
        limit = gate.enter(address)
        if not limit:
            gate.leave(address)
        return limit

    assert [knock("192.0.2.1") for _ in range(12)] == [""] * 10 + ["rate"] * 2
    assert [knock("192.0.2.2") for _ in range(10)] == [""] * 10
    assert knock("192.0.2.3") == "rate-26", "the /26 has twice as much"
    assert [knock("192.0.2.200") for _ in range(10)] == [""] * 10
    assert knock("192.0.2.201") == "rate-24"
    assert knock("192.0.3.1") == ""
    clock.now += 59
    assert knock("192.0.2.1") == "rate"
    clock.now += 2
    assert knock("192.0.2.1") == "rate", "the minute before still counts for what it overlaps"
    clock.now += 20
    assert knock("192.0.2.1") == "", "a third of it is gone"
    clock.now += 200
    assert [knock("192.0.2.1") for _ in range(10)] == [""] * 10
    assert [knock(f"2001:db8:0:{number:x}::1") for number in range(21)] == [""] * 20 + ["rate-48"]


def test_rates_stay_bounded_whoever_comes() -> None:
    rates = Rates(5)
    for number in range(MAX_RATED + 1000):
        assert rates.over(networks_of(f"2001:{number >> 16:x}:{number & 0xFFFF:x}::1"), 0.0) < 1
    assert len(rates._now) == MAX_RATED
    assert rates.over(networks_of("2001:0:1::1"), 1.0) == -1
    assert [rates.over(networks_of("2001:0:1::1"), 1.0) for _ in range(5)][-1] == 0, "those it knows it still counts"
    rates.over(networks_of("192.0.2.1"), 61.0)
    rates.over(networks_of("192.0.2.1"), 122.0)
    assert len(rates._now) + len(rates._before) <= 6


def test_loopback_is_exempt_only_when_told_and_only_while_it_is_nobody_elses() -> None:
    plain, exempt = Gate(Limits(100, 2, 2)), Gate(Limits(20, 2, 2, exempt_loopback=True))
    assert [plain.enter("127.0.0.1") for _ in range(3)] == ["", "", "address"]
    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "127.9.9.9"):
        assert [exempt.enter(address) for _ in range(4)] == [""] * 4, address
    assert exempt.enter("127.0.0.1", hidden=True) == "address"
    assert [exempt.enter("192.0.2.1") for _ in range(3)] == ["", "", "address"]
    assert [exempt.enter("127.0.0.1") for _ in range(3)] == ["", "", "total"]


def test_strangers_are_sent_away_while_people_who_sign_in_are_served() -> None:
    clock, taken = Clock(), [100 * MIB]
    budget = Budget(200 * MIB, resident=lambda: taken[0], clock=clock)
    mx = Gate(Limits(10_000, 10_000), budget=budget)
    imap = Gate(Limits(10_000, 10_000), budget=budget, strangers=False)
    refused = fill(mx, ["192.0.2.1"] * 1000)
    assert set(refused) == {"memory"}
    # 32 come in unseen, and of the three quarters 50 MiB were left.
    assert mx.inside == ALWAYS + 50 * MIB // CONNECTION_BYTES
    fill(imap, ["198.51.100.1"] * 1000)
    assert imap.inside >= 200, "the reserve is theirs"
    taken[0], clock.now = 200 * MIB, clock.now + 2
    assert imap.enter("198.51.100.1") == "memory"
    taken[0], clock.now = 120 * MIB, clock.now + 2
    assert mx.enter("192.0.2.1") == ""


def test_memory_that_never_goes_back_does_not_shut_the_door_for_good() -> None:
    budget = Budget(200 * MIB, resident=lambda: 500 * MIB)
    mx = Gate(Limits(), budget=budget)
    imap = Gate(Limits(), budget=budget, strangers=False)
    assert len(fill(imap, [f"10.0.{number}.1" for number in range(100)])) == 100 - ALWAYS
    assert len(fill(mx, [f"10.0.{number}.1" for number in range(100)])) == 100 - ALWAYS
    mx.leave("10.0.0.1")
    assert mx.enter("192.0.2.1") == ""


def test_the_system_is_asked_once_a_second_at_most() -> None:
    clock, asked = Clock(), [0]

    def resident() -> int:
        asked[0] += 1
        return MIB

    budget = Budget(10**12, resident=resident, clock=clock)
    gate = Gate(Limits(10_000, 10_000), budget=budget)
    fill(gate, ["192.0.2.1"] * 500)
    clock.now += 1
    fill(gate, ["192.0.2.1"] * 500)
    assert asked == [2]


def test_the_resident_set_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 5 * MIB < resident_bytes() < 10**11
    monkeypatch.setattr(budgets, "_STATM", Path("/nowhere/statm"))
    assert resident_bytes() == 0
