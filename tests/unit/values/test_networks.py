"""Sets of networks agree with the standard library's idea of membership, and answer in microseconds."""

import ipaddress
import random
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from poterne.values.networks import (
    NetworkError,
    NetworkSet,
    Space,
    address_number,
    is_public,
    parse_address,
    parse_network,
    space_of,
)

LOOKUP_S = 5e-6
GENEROUS = 4
"""The machine is shared: how much longer a look-up may take before it counts as slow."""

v4 = st.builds(
    lambda number, bits: ipaddress.IPv4Network(((number >> (32 - bits)) << (32 - bits), bits)),
    st.one_of(st.integers(0, 2**32 - 1), st.integers(0x0A000000, 0x0A0000FF)),
    st.integers(1, 32),
)
v6 = st.builds(
    lambda number, bits: ipaddress.IPv6Network(((number >> (128 - bits)) << (128 - bits), bits)),
    st.one_of(st.integers(0, 2**128 - 1), st.integers(0x20010DB8 << 96, (0x20010DB8 << 96) + 0xFF)),
    st.integers(60, 128),
).filter(lambda network: not network.overlaps(ipaddress.IPv6Network("::ffff:0:0/96")))
networks = st.lists(st.one_of(v4, v6), max_size=30)


@given(networks, st.data())
@example([ipaddress.IPv4Network("10.0.0.0/25"), ipaddress.IPv4Network("10.0.0.128/25")], None)
def test_membership_is_that_of_ipaddress(
    entries: list[ipaddress.IPv4Network | ipaddress.IPv6Network], data: st.DataObject | None
) -> None:
    found = NetworkSet(map(str, entries))
    assert found.entries == len(entries)
    edges = {
        kind(number)
        for network in entries
        for kind, size in [(type(network.network_address), 2**network.max_prefixlen)]
        for end in (int(network.network_address), int(network.broadcast_address))
        for number in (end - 1, end, end + 1)
        if 0 <= number < size
    }
    if data is not None:
        edges.add(data.draw(st.ip_addresses()))
    for address in edges:
        plain = address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address
        expected = any(plain.version == network.version and plain in network for network in entries)
        assert (str(address) in found) is expected, address
        if isinstance(address, ipaddress.IPv4Address):
            assert (f"::ffff:{address}" in found) is expected, "mapped"
    assert bool(found) is bool(entries)


@given(networks)
def test_merging_changes_nothing_but_the_number(entries: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> None:
    merged = list(NetworkSet(map(str, entries)).merged())
    expected = [
        *ipaddress.collapse_addresses(n for n in entries if isinstance(n, ipaddress.IPv4Network)),
        *ipaddress.collapse_addresses(n for n in entries if isinstance(n, ipaddress.IPv6Network)),
    ]
    assert merged == expected


@given(st.text(max_size=30))
def test_any_text_is_a_network_or_named_in_the_error(text: str) -> None:
    try:
        parse_network(text)
    except NetworkError as error:
        told = error
    else:
        return
    assert told.entry == text
    assert f'"{text}"' in str(told)
    assert told.remedy


NEARLY = st.lists(st.sampled_from([*"0123456789abcdefF:.%", "::", "ffff", "255", "00"]), max_size=20).map("".join)


@given(st.one_of(NEARLY, st.ip_addresses().map(str), st.ip_addresses(v=6).map(lambda address: address.exploded)))
@example("::ffff:c000:0201")
@example("0:0:0:0:0:ffff:c000:0201")
@example("1::2:3:4:5:6:7:8")
def test_numbers_are_those_of_ipaddress(text: str) -> None:
    slow = parse_address(text)
    assert address_number(text) == (None if slow is None else (slow.version, int(slow)))


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ("", "is not a network"),
        ("192.0.2.0/", "has no prefix length"),
        ("192.0.2.0/255.255.255.0", "has no prefix length"),
        ("10.0.0.0/0.255.255.255", "has no prefix length"),
        ("192.0.2.0/33", "is not a network"),
        ("192.0.2.0/٣", "has no prefix length"),
        ("192.0.2.1/24", "has bits set behind its prefix"),
        ("2001:db8::1/56", "has bits set behind its prefix"),
        ("010.0.0.1", "is not a network"),
        ("10.0.0", "is not a network"),
        ("10.0.0.1-10.0.0.9", "is not a network"),
        ("mail.example.org", "is a name, not a network"),
        ("localhost", "is a name, not a network"),
        ("fe80::1%eth0", "names an interface"),
        (" 192.0.2.1", "is not a network"),
    ],
)
def test_what_can_be_misread_is_refused_and_named(entry: str, what: str) -> None:
    with pytest.raises(NetworkError) as caught:
        NetworkSet(["192.0.2.0/24", entry])
    assert caught.value.entry == entry
    assert caught.value.what == what


def test_mapped_networks_are_ipv4_networks() -> None:
    found = NetworkSet(["::ffff:192.0.2.0/120", "::ffff:198.51.100.7"])
    assert "192.0.2.255" in found
    assert "::ffff:192.0.2.0" in found
    assert "198.51.100.7" in found
    assert "198.51.100.8" not in found
    assert "192.0.2.1" in NetworkSet(["::/0"]), "the whole of IPv6 has a place for all of IPv4"
    assert "2001:db8::1%eth0" in NetworkSet(["2001:db8::/32"])
    assert "here" not in NetworkSet(["0.0.0.0/0", "::/0"])


@pytest.mark.parametrize(
    ("network", "space"),
    [
        ("0.0.0.0/0", Space.EVERYTHING), ("::/0", Space.EVERYTHING), ("::ffff:0:0/96", Space.EVERYTHING),
        ("127.0.0.1", Space.LOOPBACK), ("126.0.0.0/7", Space.LOOPBACK), ("::1", Space.LOOPBACK),
        ("169.254.169.254", Space.LINK_LOCAL), ("fe80::/64", Space.LINK_LOCAL), ("100.64.1.0/24", Space.SHARED),
        ("64:ff9b::c000:0200/120", Space.TRANSLATED), ("2002::/16", Space.TRANSLATED), ("2001:0:1::/64", Space.TRANSLATED),
        ("224.0.0.1", Space.SPECIAL), ("255.255.255.255", Space.SPECIAL), ("0.0.0.0", Space.SPECIAL), ("ff02::1", Space.SPECIAL),
        ("10.1.2.0/24", Space.PRIVATE), ("172.31.0.0/24", Space.PRIVATE), ("192.168.0.0/15", Space.PRIVATE), ("fd00::/64", Space.PRIVATE),
        ("172.32.0.0/24", Space.PUBLIC), ("192.0.2.0/24", Space.PUBLIC), ("2001:db8::/56", Space.PUBLIC), ("11.0.0.0/8", Space.PUBLIC),
    ],
)  # fmt: skip
def test_spaces(network: str, space: Space) -> None:
    assert space_of(parse_network(network)) is space


def test_public_addresses() -> None:
    assert is_public("192.0.2.1")
    assert is_public("::ffff:192.0.2.1")
    assert not is_public("::ffff:10.0.0.1")
    assert not is_public("fe80::1%eth0")
    assert not is_public("")


@pytest.mark.parametrize("version", [4, 6])
def test_a_hundred_thousand_networks_cost_microseconds(version: int) -> None:
    rng = random.Random(version)
    bits = 32 if version == 4 else 128
    kind = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address

    def entry() -> str:
        length = rng.randint(bits - 8, bits)
        return f"{kind(rng.getrandbits(bits) >> (bits - length) << (bits - length))}/{length}"

    found = NetworkSet(entry() for _ in range(100_000))
    assert sum(1 for _ in zip(range(1_001), found.merged(), strict=False)) > 1_000, "they are not one network"
    addresses = [str(kind(rng.getrandbits(bits))) for _ in range(5_000)]
    best = min(_lookups(found, addresses) for _ in range(5))
    assert best < LOOKUP_S * GENEROUS, f"{best * 1e6:.1f} µs"


def _lookups(found: NetworkSet, addresses: list[str]) -> float:
    begun = time.perf_counter()
    for address in addresses:
        found.__contains__(address)
    return (time.perf_counter() - begun) / len(addresses)
