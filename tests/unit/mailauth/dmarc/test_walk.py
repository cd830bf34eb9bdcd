import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.mailauth.dmarc import walk
from poterne.mailauth.dmarc.discover import organisational_domain
from poterne.mailauth.dmarc.walk import Missing
from tests.unit.mailauth.dmarc.zone import Zone, organisation, walked


def test_the_names_of_a_long_domain() -> None:
    # RFC 9989 §4.10
    assert walk.names("a.b.c.d.e.f.g.h.i.j.mail.example.com") == (
        "a.b.c.d.e.f.g.h.i.j.mail.example.com",
        "g.h.i.j.mail.example.com",
        "h.i.j.mail.example.com",
        "i.j.mail.example.com",
        "j.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    )


def test_the_names_below_a_zone_cut_that_is_too_deep() -> None:
    # RFC 9989 §5.1.8
    names = walk.names("mail.a.b.c.d.e.f.g.example.com")
    assert names[:2] == ("mail.a.b.c.d.e.f.g.example.com", "c.d.e.f.g.example.com")
    assert len(names) == 8


@pytest.mark.parametrize("count", range(1, 45))
def test_names_are_those_of_the_steps(count: int) -> None:
    domain = ".".join(f"l{number}" for number in range(count))
    assert list(walk.names(domain)) == list(walked(domain))
    assert len(walk.names(domain)) <= walk.QUERIES_MOST


@pytest.mark.parametrize(
    ("domain", "records", "expected"),
    [
        # RFC 9989 §4.10.2
        ("a.mail.example.com", {"mail.example.com": "", "example.com": ""}, "example.com"),
        ("a.mail.example.com", {"mail.example.com": "psd=n", "example.com": ""}, "mail.example.com"),
        ("a.mail.example.com", {"com": "psd=y"}, "example.com"),
        ("mail.example.com", {"example.com": "psd=y"}, "mail.example.com"),
        # §B.4
        ("signing.example.com", {"signing.example.com": "", "example.com": ""}, "example.com"),
        ("a.b.c.d.e.f.g.h.i.j.k.example.com", {"signing.example.com": "", "example.com": ""}, "example.com"),
        ("giant.bank.example", {"giant.bank.example": "", "bank.example": "psd=y"}, "giant.bank.example"),
        ("mail.giant.bank.example", {"giant.bank.example": "", "bank.example": "psd=y"}, "giant.bank.example"),
        ("mail.mega.bank.example", {"giant.bank.example": "", "bank.example": "psd=y"}, "mega.bank.example"),
        # none at all; the suffix itself; a suffix that forgot psd=y; a department of its own below one
        ("a.b.example.com", {}, "a.b.example.com"),
        ("bank.example", {"bank.example": "psd=y", "example": ""}, "bank.example"),
        ("a.b.test", {"b.test": "", "test": ""}, "test"),
        ("x.dept.corp.test", {"dept.corp.test": "psd=n", "corp.test": "", "test": "psd=y"}, "dept.corp.test"),
        ("a.b.corp.test", {"b.corp.test": "psd=u", "corp.test": "", "test": "psd=y"}, "corp.test"),
        # below the part that is left out
        ("a.b.c.d.e.f.g.h.i.j", {"d.e.f.g.h.i.j": "psd=y"}, "c.d.e.f.g.h.i.j"),
        ("a.b.c.d.e.f.g.h.i.j", {"b.c.d.e.f.g.h.i.j": ""}, "a.b.c.d.e.f.g.h.i.j"),
    ],
)
def test_organisational_domains(domain: str, records: dict[str, str], expected: str) -> None:
    zone = Zone({f"_dmarc.{name}": f"v=DMARC1; p=none; {psd}" for name, psd in records.items()})
    assert zone.run(organisational_domain(domain)) == expected
    assert zone.steps == 1
    assert len(zone.asked) <= 8


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["v=DMARC1; psd=n", "v=DMARC1; psd=n"], "example.com"),
        (["v=DMARC1; psd=n", "v=spf1 -all"], "mail.example.com"),
        (["v=dmarc1; psd=n"], "example.com"),
        (["v=DMARC1; p=nonsense; psd=n"], "mail.example.com"),
        (None, None),
    ],
)
def test_what_stands_at_a_name(texts: list[str] | None, expected: str | None) -> None:
    zone = Zone({"_dmarc.mail.example.com": texts, "_dmarc.example.com": "v=DMARC1; p=none"})
    assert zone.run(organisational_domain("a.mail.example.com")) == expected


def test_what_stands_above_the_end_of_a_walk_does_not_matter() -> None:
    zone = Zone({"_dmarc.example.com": "v=DMARC1; p=none; psd=n", "_dmarc.com": None})
    assert zone.run(organisational_domain("mail.example.com")) == "example.com"
    zone = Zone({"_dmarc.example.com": "v=DMARC1; p=none", "_dmarc.com": None})
    assert zone.run(organisational_domain("mail.example.com")) is None


@pytest.mark.parametrize("text", ["EXAMPLE.com.", "example.com", "ExAmPlE.COM"])
def test_domains_are_compared_without_case_and_last_dot(text: str) -> None:
    assert walk.read_domain(text) == "example.com"


def test_domains_are_a_labels() -> None:
    assert walk.read_domain("Bücher.example") == "xn--bcher-kva.example"
    assert walk.read_domain("_x.example") == "_x.example"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "a.b..",
        "[192.0.2.1]",
        "192.0.2.1",
        "a b",
        "a@b",
        "a\u200b.test",
        "a。test",
        "x" * 64,
        "a." * 130 + "x",
    ],
)
def test_what_is_no_domain(text: str) -> None:
    assert walk.read_domain(text) is None
    assert Zone({}).run(organisational_domain(text)) is None


LABELS = st.lists(st.sampled_from("abc"), min_size=1, max_size=11).map(".".join)


@given(LABELS, st.dictionaries(LABELS, st.sampled_from("ynu"), max_size=8), st.sets(st.integers(1, 11), max_size=6))
def test_the_walk_is_that_of_the_steps(domain: str, psd: dict[str, str], own: set[int]) -> None:
    """Also with records on the way, which random names seldom are."""
    labels = domain.split(".")
    for place, count in enumerate(sorted(own)):
        if count <= len(labels):
            psd[".".join(labels[-count:])] = "uuny"[(place + len(domain)) % 4]
    zone = Zone({f"_dmarc.{name}": f"v=DMARC1; psd={value}" for name, value in psd.items()})
    assert zone.run(organisational_domain(domain)) == organisation(domain, psd)


def test_missing_names_are_asked_once() -> None:
    tree = {"test": Missing.NONE, "a.test": Missing.NONE}
    assert walk.missing(("b.a.test", "c.b.a.test"), tree) == ("b.a.test", "c.b.a.test")
