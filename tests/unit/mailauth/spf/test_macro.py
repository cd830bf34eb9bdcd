import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.mailauth.spf import macro

VALUES = {
    "s": "strong-bad@email.example.com", "l": "strong-bad", "o": "email.example.com", "d": "email.example.com", "i": "192.0.2.3",
    "p": "mx.example.org", "v": "in-addr", "h": "mail.example.com", "c": "192.0.2.3", "r": "mx.example.net", "t": "1780000000",
}  # fmt: skip


def expand(text: str) -> str:
    found = macro.read_explanation(text)
    assert found is not None
    return found.value(VALUES, 400)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("%{s}", "strong-bad@email.example.com"), ("%{o}", "email.example.com"), ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"), ("%{d3}", "email.example.com"), ("%{d2}", "example.com"), ("%{d1}", "com"),
        ("%{dr}", "com.example.email"), ("%{d2r}", "example.email"), ("%{l}", "strong-bad"), ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"), ("%{lr-}", "bad.strong"), ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ("%{D2}%%%_%-", "example.com% %20"), ("%{S}", "strong-bad%40email.example.com"), ("%{L1R-}", "strong"),
        ("%{d127}", "email.example.com"), ("a b  c", "a b  c"), ("", ""),
    ],
)  # fmt: skip
def test_examples_of_rfc_7208_7_4(text: str, expanded: str) -> None:
    assert expand(text) == expanded


def test_only_what_rfc_3986_calls_unreserved_is_left_by_an_escape() -> None:
    every = "".join(map(chr, range(0x21, 0x7F)))
    found = macro.read("%{S}")
    assert found is not None
    escaped = found.value({"s": every + " é\ud800\n"}, 1000)
    assert {c for c in escaped if not (c.isascii() and c.isalnum())} == set("-._~%")
    assert escaped.endswith("~%20%C3%A9%3F%0A")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Example.COM.", "example.com"), ("com", "com"), ("", None), (".", None), ("a..b", None), (".a", None), ("a.b..", None),
        ("a" * 63 + ".b", "a" * 63 + ".b"), ("a" * 64 + ".b", None), ("a b.c", None), ("a\\.c", None), ("é.c", None),
        (".".join(["a" * 49] * 5) + ".bcd", ".".join(["a" * 49] * 5) + ".bcd"),  # 253
        (".".join(["a" * 49] * 5) + ".bcde", ".".join(["a" * 49] * 4) + ".bcde"),
        ("a" * 300 + ".b.c", "b.c"), ("b." * 127, "b." * 126 + "b"), ("b." * 128, "b." * 126 + "b"), ("a" * 300, None),
        ("x.." + "b." * 126 + "b", "b." * 126 + "b"),
    ],
)  # fmt: skip
def test_names_are_cut_from_the_left(text: str, name: str | None) -> None:
    assert macro.name(text) == name


def test_expansions_do_not_grow_beyond_their_bounds() -> None:
    spec = macro.read_domain("%{l}." * 1500 + "example.com")
    assert spec is not None
    assert spec.target({"l": "a" * 64}) is None
    assert spec.target({"l": "a" * 63}) == ".".join(["a" * 63] * 3) + ".example.com"
    text = macro.read_explanation("%{h}" * 500)
    assert text is not None
    assert len(text.value({"h": "a" * 255}, 400)) == 400


@given(st.text(max_size=300))
def test_what_is_a_name_is_one(text: str) -> None:
    found = macro.name(text)
    if found is not None:
        assert len(found) <= 253
        assert all(0 < len(label) < 64 for label in found.split("."))
        assert found == found.lower()
        assert macro.name(found) == found


@given(
    st.text("%{}slodiprctvh019R.-+ a", max_size=40),
    st.dictionaries(st.sampled_from(sorted(VALUES)), st.text(max_size=40)),
)
def test_any_value_can_be_expanded(text: str, values: dict[str, str]) -> None:
    values = VALUES | values
    for found in (macro.read(text), macro.read_explanation(text)):
        if found is not None:
            assert macro.one_line(found.value(values, 50)).isascii()
            assert len(found.value(values, 50)) <= 50
    spec = macro.read_domain(text)
    if spec is not None:
        target = spec.target(values)
        assert target is None or macro.name(target) == target
        assert spec.letters or spec.fixed == target


def test_a_macro_that_only_explanations_have_is_no_domain() -> None:
    assert macro.read("%{c}%{r}%{t}") is not None
    for letter in "crtCRT":
        assert macro.read_domain(f"%{{{letter}}}.test") is None
    assert macro.read("a b") is None
    assert macro.read_explanation("a\tb") is None
    assert macro.read("%{ſ}") is None  # a long s is no s
