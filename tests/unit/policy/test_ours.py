"""Whose domain it is, and names that show somebody of ours (X31, X32)."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.message.decode import header_text
from poterne.policy import confusables
from poterne.policy.confusables import shape
from poterne.policy.domains import covering, is_within, related
from poterne.policy.lookalike import Kind, Lookalike
from poterne.policy.ours import Ours
from tests.unit.policy.mail_evidence import rules

OURS = Ours(
    ["ours.fr", "xn--coles-9ra.fr", "mail.deep.nous.org"],
    rules(
        known_neighbours=["hours.fr", "annex.ours.fr", "0urs.fr", "Voisine.example"],
        protected_names=["Marie Dupont", "Éric Le Goff"],
    ),
)


@pytest.mark.parametrize(
    ("domain", "own"),
    [
        ("ours.fr", "ours.fr"),
        ("news.ours.fr", "ours.fr"),
        ("a.b.c.ours.fr", "ours.fr"),
        ("annex.ours.fr", ""),
        ("mx.annex.ours.fr", ""),
        ("notannex.ours.fr", "ours.fr"),
        ("mail.deep.nous.org", "mail.deep.nous.org"),
        ("deep.nous.org", ""),
        ("notours.fr", ""),
        ("ours.fr.evil.com", ""),
        ("fr", ""),
        ("", ""),
    ],
)
def test_own(domain: str, own: str) -> None:
    assert OURS.own(domain) == own


def test_a_served_domain_is_ours_whatever_the_neighbours() -> None:
    assert Ours(["ours.fr"], rules(known_neighbours=["ours.fr", "fr"])).own("ours.fr") == "ours.fr"
    assert Ours(["ours.fr"], rules(known_neighbours=["ours.fr"])).own("news.ours.fr") == "ours.fr"


def test_lookalike() -> None:
    assert OURS.lookalike("0urs.com") == Lookalike("ours.fr", Kind.SHAPE)
    for domain in ("ours.fr", "news.ours.fr", "annex.ours.fr", "0urs.fr", "mx.0urs.fr", "deep.nous.org", "gmail.com"):
        assert OURS.lookalike(domain) is None


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("marie@ours.fr", "marie@ours.fr"),
        ("Marie <marie@ours.fr>", "marie@ours.fr"),
        ("'marie@news.ours.fr' via Group", "marie@news.ours.fr"),
        ("Marie (marie@OURS.FR)", "marie@OURS.FR"),
        ("marie＠ours.fr", "marie@ours.fr"),
        ("ma\u200brie@ours\u200b.fr", "marie@ours.fr"),
        ("\u202emarie@ours.fr", "marie@ours.fr"),
        ("\u202erf.sruo@eiram", "marie@ours.fr"),
        ("Marie \u202e>rf.sruo@eiram<\u202c", "marie@ours.fr"),
        ("\u202eeiram\u202c@\u202esruo\u202c.fr", "marie@ours.fr"),
        ("\u2067\u202erf.sruo\u200b@eiram\u202c\u2069", "marie@ours.fr"),
        ("\u202etnopuD eiraM", "Marie Dupont"),
        ("rf.sruo@eiram", ""),
        (" ".join(f"x{number}@k.example" for number in range(200)) + " marie@ours.fr", "marie@ours.fr"),
        ("x " * 2000 + "marie@ours.fr", "marie@ours.fr"),
        ("\u202ce\u202drf.sruo@eiram", ""),
        ("ｍａｒｉｅ@ｏｕｒｓ.ｆｒ", "marie@ours.fr"),
        ("x@k.example marie@ours.fr", "marie@ours.fr"),
        ("secrétariat@écoles.fr", "secrétariat@écoles.fr"),
        ("marie@ours.fr.", "marie@ours.fr."),
        ("Marie Dupont", "Marie Dupont"),
        ("DUPONT Marie", "Marie Dupont"),
        ("Dupont, Marie (direction)", "Marie Dupont"),
        ("Mаrie Dupοnt", "Marie Dupont"),  # Cyrillic and Greek letters
        ("Eric Le Goff", "Éric Le Goff"),
        ("ÉRIC LE GOFF - PDG", "Éric Le Goff"),
        ("Marie\u00a0Dupont", "Marie Dupont"),
        ("Marie", ""),
        ("Marie Durand", ""),
        ("Marie Dupont de la Tour et du Moulin", ""),
        ("Jean-Marie Dupont Durand Martin", ""),
        ("marie@hours.fr", ""),
        ("marie@annex.ours.fr", ""),
        ("marie@notours.fr", ""),
        ("@ours.fr", ""),
        ("ours.fr", ""),
        ("marie@ours", ""),
        ("marie@@ours.fr", "marie@@ours.fr"),
        ("", ""),
        ("@" * 1000, ""),
        ("b\u043ess@ours.fr", "b\u043ess@ours.fr"),
        ("boss@\u043eurs.fr", "boss@\u043eurs.fr"),
        ("boss@news.\u043eur\u0455.fr", "boss@news.\u043eur\u0455.fr"),
        ("boss@\u03bfu\u0433\u0455.fr", "boss@\u03bfu\u0433\u0455.fr"),
        ("marie@ecoles.fr", "marie@ecoles.fr"),
        ("boss_at_ours.fr", "boss@ours.fr"),
        ("boss (at) ours.fr", "boss@ours.fr"),
        ("boss [AT] ours (dot) fr", "boss@ours.fr"),
        ("boss(arobase)ours(point)fr", "boss@ours.fr"),
        ("The boss <at> ours.fr", "boss@ours.fr"),
        ("boss @ ours.fr", "boss@ours.fr"),
        ("boss@ ours . fr", "boss@ours.fr"),
        ("b o s s @ o u r s . f r", "boss@ours.fr"),
        ("\u2067fr\u200f.\u200fours\u200f@\u200fboss\u2069", "boss@ours.fr"),
        ("\u200ffr\u200f.ours\u200f@\u200fboss", "boss@ours.fr"),
        ("Meet us at ours.fr", ""),
        ("Jobs at ours.fr", ""),
        ("Marie at Ours", ""),
        ("boss@0urs.fr", ""),
        ("cat-at-home.example", ""),
        ("Data_at_rest.org", ""),
        ("Look @ this. ours.fr", ""),
        ("M. A. B. Martin", ""),
    ],
)
def test_impersonated(name: str, shown: str) -> None:
    assert OURS.impersonated(name) == shown


def test_without_protected_names() -> None:
    ours = Ours(["ours.fr"], rules())
    assert ours.impersonated("Marie Dupont") == ""
    assert ours.impersonated("marie@ours.fr") == "marie@ours.fr"


@pytest.mark.parametrize(
    "name",
    [
        "a@" * 50_000,
        "a@b.cd " * 10_000,
        "\u202ea@b.cd " * 10_000,
        "x" * 63 + "@" + "y" * 5_000,
        "ours.fr@" * 10_000,
        "\u202e" * 100_000,
        "ﷺ" * 100_000,
        "a" * 1_000_000,
        "(at)" * 10_000,
        "_at" * 10_000,
        "a _ a " * 10_000,
        "a . " * 10_000,
        "\u200fa." * 10_000,
        "a@\u043eurs.fr.x " * 10_000,
        "a@" + "\u043e." * 10_000,
        "(" * 10_000,
        " " * 10_000,
    ],
)
def test_hostile_names_take_little_time(name: str) -> None:
    start = time.process_time()
    OURS.impersonated(name)
    assert time.process_time() - start < 0.05


@given(st.text(max_size=200))
def test_never_raises(text: str) -> None:
    OURS.impersonated(text)
    OURS.own(text)
    OURS.lookalike(text)


@given(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=20), st.data())
def test_a_look_alike_in_the_place_of_a_letter_keeps_the_shape(word: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(word) - 1))
    other = data.draw(st.sampled_from([word[at], *confusables._LOOKS_LIKE.get(word[at], "")]))
    assert shape(word[:at] + other + word[at + 1 :]) == shape(word)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("paypal", "paypa1"),
        ("rnairie", "mairie"),
        ("vvatt", "watt"),
        ("école", "ecole"),
        ("Ⅿ".lower(), "m"),
        ("0rdi", "ordl"),
        ("cœur", "coeur"),
    ],
)
def test_same_shape(one: str, other: str) -> None:
    assert shape(one) == shape(other)


def test_domains() -> None:
    names = {"example.org", "b.example.org"}
    assert covering("a.b.example.org", names) == "b.example.org"
    assert covering("example.org", names) == "example.org"
    assert covering("notexample.org", names) == ""
    assert covering("org", names) == ""
    assert is_within("a.example.org", "example.org")
    assert not is_within("aexample.org", "example.org")
    assert related("a.example.org", "example.org")
    assert related("example.org", "a.example.org")
    assert not related("a.example.org", "b.example.org")
    assert not related("example.org", "org")
    assert not related("", "example.org")


NOBODY_PROTECTED = Ours(["ours.fr"], rules())


@given(
    st.lists(
        st.sampled_from(
            [
                "a",
                "@",
                "ours.fr",
                "=?utf-8?q?",
                "?=",
                "=40",
                "(at)",
                "_at_",
                "[ AT ]",
                '"',
                "(",
                ")",
                "\u00e9",
                " ",
                "x",
            ]
        ),
        max_size=12,
    ),
)
def test_a_field_that_shows_nothing_at_a_glance_shows_nothing(parts: list[str]) -> None:
    """Whatever name is read from it."""
    name = "".join(parts)
    field = f"{name} <x@evil.example>".encode()
    if NOBODY_PROTECTED.nothing_displayed(field, 1):
        assert NOBODY_PROTECTED.impersonated(name) == ""
        assert NOBODY_PROTECTED.impersonated(header_text(name.encode())) == ""
    assert not OURS.nothing_displayed(field, 1)  # names are protected: each has to be read
