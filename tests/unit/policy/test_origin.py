"""Hidden origins are found, whoever tries to look like one or not to; one correspondent is none."""

from hypothesis import given
from hypothesis import strategies as st

from poterne.policy.origin import MANY_NAMES, MAX_ADDRESSES, MIN_CONNECTIONS, MIN_NAMES, PERIOD_S, HiddenOrigin, Origins

GATEWAY = "172.17.0.1"


def hear(
    origins: Origins, address: str, names: int, connections: int = MIN_CONNECTIONS, now_s: float = 0.0
) -> list[HiddenOrigin]:
    told = [origins.saw(address, f"host{number % names}.example", now_s + number) for number in range(connections)]
    return [event for event in told if event is not None]


def test_all_strangers_under_one_private_address_are_told_once() -> None:
    origins = Origins()
    assert hear(origins, GATEWAY, MIN_NAMES, MIN_CONNECTIONS - 1) == []
    assert not origins.hidden(GATEWAY)
    assert hear(origins, GATEWAY, MIN_NAMES, 10, 100) == [HiddenOrigin(GATEWAY, MIN_CONNECTIONS, MIN_NAMES)]
    assert origins.hidden(GATEWAY)
    assert not origins.hidden("172.17.0.2")
    assert not origins.hidden("")
    later = hear(origins, GATEWAY, MIN_NAMES, 5, PERIOD_S + 200)
    assert [event.address for event in later] == [GATEWAY], "told again in the next period, though few came by then"


def test_loopback_is_where_a_local_proxy_comes_from() -> None:
    assert hear(Origins(), "127.0.0.1", MIN_NAMES)
    assert hear(Origins(), "::1", MIN_NAMES)


def test_one_correspondent_with_one_name_is_itself() -> None:
    origins = Origins()
    assert hear(origins, "10.0.0.5", 1, 10_000) == []
    assert hear(origins, "10.0.0.5", 2, 10_000) == []
    assert not origins.hidden("10.0.0.5")


def test_addresses_that_get_through_refute_it() -> None:
    origins = Origins()
    assert origins.saw("192.0.2.1", "a.example", 0) is None
    assert hear(origins, GATEWAY, MIN_NAMES, 500) == []
    origins = Origins()
    assert hear(origins, GATEWAY, MIN_NAMES)
    assert origins.saw("2001:db8::1", "a.example", 50) is None
    assert not origins.hidden(GATEWAY)


def test_a_part_that_is_hidden_is_found_beside_what_gets_through() -> None:
    origins = Origins()
    for second in range(500):
        assert origins.saw(f"192.0.2.{second % 200}", f"public{second}.example", second) is None
    told = hear(origins, GATEWAY, MANY_NAMES, now_s=600)
    assert [event.address for event in told] == [GATEWAY]
    assert origins.saw("192.0.2.1", "a.example", 700) is None
    assert origins.hidden(GATEWAY)


def test_many_private_hosts_are_a_network_and_not_a_gateway() -> None:
    origins = Origins()
    for number in range(1000):
        assert origins.saw(f"10.0.{number % 4}.{number % 50}", f"h{number % 4}-{number % 50}.example", number) is None


@given(
    st.lists(
        st.tuples(st.sampled_from(["192.0.2.1", "198.51.100.2", "2001:db8::5"]), st.text(max_size=300)), max_size=200
    )
)
def test_nobody_outside_can_raise_it(stream: list[tuple[str, str]]) -> None:
    origins = Origins()
    for at, (address, name) in enumerate(stream):
        assert origins.saw(address, name, at) is None
        assert not origins.hidden(address)


def test_state_stays_small() -> None:
    origins = Origins()
    for number in range(4_000):
        origins.saw(
            f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", "n" * 10_000 + str(number), number / 100
        )
        for again in range(2):
            origins.saw("10.9.9.9", f"{number}-{again}", number / 100)
    assert len(origins._counts) <= MAX_ADDRESSES
    assert len(origins._names) <= MAX_ADDRESSES
    assert all(len(names) <= MANY_NAMES for names in origins._names.values())
    assert all(len(name) <= 255 for names in origins._names.values() for name in names)
    assert len(origins._shared) <= MAX_ADDRESSES
    assert len(origins._told_at) <= MAX_ADDRESSES
