"""[inbound]: what is wrong in it is told with its remedy."""

from dataclasses import replace

import pytest

from poterne.config.inbound import MAX_PROTECTED_NAMES, Inbound, of_inbound


def test_the_defaults_are_right() -> None:
    assert list(of_inbound(Inbound())) == []


def test_what_is_right() -> None:
    inbound = Inbound(
        known_neighbours=["voisine.fr", "École.fr", "annex.ours.fr"],
        arc_sealers=["google.com"],
        forwarders=["forward.example.net", "192.0.2.7", "192.0.2.0/28", "2001:db8::/56"],
        lists=["users.lists.example.org"],
        protected_names=["Marie Dupont", "Éric Le Goff"],
    )
    assert list(of_inbound(inbound)) == []


@pytest.mark.parametrize(
    ("field", "entry", "what"),
    [
        ("known_neighbours", "fr", "all of a top-level domain"),
        ("known_neighbours", "not a domain", "is not a domain name"),
        ("arc_sealers", "*.example.org", "is not a domain name"),
        ("arc_sealers", "", "is not a domain name"),
        ("arc_sealers", "192.0.2.1", "is not a domain name"),
        ("forwarders", "192.0.2.1/24", "has bits set"),
        ("forwarders", "192.0.2", "is not a network"),
        ("forwarders", "0.0.0.0/0", "a good part of the Internet"),
        ("forwarders", "2000::/3", "a good part of the Internet"),
        ("forwarders", "2001:db8::/200", "is not a network"),
        ("forwarders", "com", "all of a top-level domain"),
        ("lists", "users@lists.example.org", "is not a domain name"),
        ("protected_names", "Marie", "is not a full name"),
        ("protected_names", "marie@ours.fr x", "is not a full name"),
        ("protected_names", "", "is not a full name"),
    ],
)
def test_what_is_wrong(field: str, entry: str, what: str) -> None:
    found = list(of_inbound(replace(Inbound(), **{field: [entry]})))  # type: ignore[arg-type]
    assert len(found) == 1
    key, said, remedy = found[0]
    assert key == ("inbound", field)
    assert what in said
    assert remedy


@pytest.mark.parametrize("field", ["known_neighbours", "arc_sealers", "forwarders", "lists"])
def test_too_many(field: str) -> None:
    many = [f"d{number}.example" for number in range(10_001)]
    assert any("entries" in said for _, said, _ in of_inbound(replace(Inbound(), **{field: many})))  # type: ignore[arg-type]


def test_too_many_names() -> None:
    assert list(of_inbound(Inbound(protected_names=["A B"] * MAX_PROTECTED_NAMES))) == []
    assert len(list(of_inbound(Inbound(protected_names=["A B"] * (MAX_PROTECTED_NAMES + 1))))) == 1
