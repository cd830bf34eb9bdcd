import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.mailauth.dmarc import record
from poterne.mailauth.dmarc.outcome import Policy
from poterne.mailauth.dmarc.record import Problem, Psd, Record

NONE, QUARANTINE, REJECT = Policy.NONE, Policy.QUARANTINE, Policy.REJECT


def read(text: str) -> Record:
    found = record.read(text.encode("latin-1"))
    assert found is not None
    return found


# -- version -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["v=DMARC1", "v=DMARC1;", "v=DMARC1; p=none", "v = DMARC1 ;p=none", "V=DMARC1;", "v\t=\tDMARC1\t;"]
)
def test_a_record_begins_with_its_version(text: str) -> None:
    assert record.is_record(text.encode())
    assert record.read(text.encode()) is not None


@pytest.mark.parametrize(
    "text",
    [
        "", "v=", "v=DMARC", "v=DMARC2; p=none", "v=dmarc1; p=none", "v=DMARC1.; p=none", "v=DMARC11", "v=DMARC1 p=reject",
        "v=DMARC1, p=reject", " v=DMARC1; p=none", "p=none; v=DMARC1", '"v=DMARC1; p=none"', "v=DMARC1\n; p=none", "v=spf1 -all",
        "vv=DMARC1; p=none", "v=DMARC1\x00;",
    ],
)  # fmt: skip
def test_what_does_not_is_none(text: str) -> None:
    assert record.read(text.encode()) is None


# -- policies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "p", "sp", "np"),
    [
        ("p=none", NONE, None, None),
        ("p=reject", REJECT, None, None),
        ("p=Reject;sp = QUARANTINE ; np\t=none", REJECT, QUARANTINE, NONE),
        ("adkim=s; sp=none; p=quarantine", QUARANTINE, NONE, None),
        ("xyz=1; p=reject; foo; =; ;;", REJECT, None, None),
        ("p=reject; p=reject", REJECT, None, None),
        ("pct=0; rf=afrf; ri=1; p=reject", REJECT, None, None),
        # RFC 9989 §4.7: without p=, and with somebody to tell
        ("rua=mailto:a@x.test", NONE, None, None),
        ("sp=reject; np=reject; rua=mailto:a@x.test", NONE, REJECT, REJECT),
        # §4.10.1: one of the three is none
        ("p=block; rua=mailto:a@x.test", NONE, None, None),
        ("p=; rua=mailto:a@x.test", NONE, None, None),
        ("p=reject; sp=strict; rua=mailto:a@x.test", NONE, None, None),
        ("p=reject; np=x; sp=reject; rua=mailto:a@x.test", NONE, None, None),
        ("p=none; p=reject; rua=mailto:a@x.test", NONE, None, None),
        ("p=reject; sp=none; sp=reject; rua=https://x.test/r", NONE, None, None),
        # and nobody
        ("", None, None, None),
        ("sp=reject", None, None, None),
        ("p=block", None, None, None),
        ("p=reject; sp=strict", None, None, None),
        ("p=reject; np=strict; rua=", None, None, None),
        ("p=block; rua=dmarc@x.test", None, None, None),
        ("p=block; rua=mailto:dmarc.x.test", None, None, None),
        ("p=none; p=reject", None, None, None),
    ],
)  # fmt: skip
def test_policies(text: str, p: Policy | None, sp: Policy | None, np: Policy | None) -> None:
    found = read(f"v=DMARC1; {text}")
    assert (found.p, found.sp, found.np) == (p, sp, np)
    assert (Problem.UNUSABLE in found.problems) is (p is None)


@pytest.mark.parametrize(
    ("text", "existing", "other"),
    [
        ("p=reject", (REJECT, "p"), (REJECT, "p")),
        ("p=reject; sp=none", (NONE, "sp"), (NONE, "sp")),
        ("p=none; np=reject", (NONE, "p"), (REJECT, "np")),
        ("p=none; sp=quarantine; np=reject", (QUARANTINE, "sp"), (REJECT, "np")),
        ("p=reject; np=none", (REJECT, "p"), (NONE, "np")),
    ],
)
def test_what_it_asks_for_subdomains(text: str, existing: tuple[Policy, str], other: tuple[Policy, str]) -> None:
    found = read(f"v=DMARC1; {text}")
    assert found.subdomains(existing=True) == existing
    assert found.subdomains(existing=False) == other


# -- the other tags ----------------------------------------------------------------------------------------------------


def test_defaults() -> None:
    found = read("v=DMARC1; p=none")
    assert (found.adkim, found.aspf, found.dkim_strict, found.spf_strict) == ("", "", False, False)
    assert (found.psd, found.testing, found.fo, found.rua, found.ruf, found.pct) == (Psd.UNKNOWN, False, "", (), (), "")
    assert found.problems == ()


def test_all_of_them() -> None:
    found = read(
        "v=DMARC1; p=reject; adkim=S; aspf=s; psd=N; t=Y; fo=1:d:s; ruf=mailto:f@x.test; rua=mailto:a@x.test; pct=20"
    )
    assert (found.dkim_strict, found.spf_strict, found.psd, found.testing, found.fo) == (
        True,
        True,
        Psd.NO,
        True,
        "1:d:s",
    )
    assert (found.rua, found.ruf, found.pct) == (("mailto:a@x.test",), ("mailto:f@x.test",), "20")
    published = found.published("x.test")
    assert (published.domain, published.p, published.sp, published.np) == ("x.test", "reject", "", "")
    assert (published.adkim, published.aspf, published.testing, published.fo) == ("s", "s", True, "1:d:s")
    assert (published.pct, published.discovery) == ("20", "treewalk")


@pytest.mark.parametrize(
    "tag", ["adkim=x", "aspf=", "aspf=strict", "t=1", "psd=yes", "fo=0:1", "fo=d:d", "fo=x", "adkim=s;adkim=r"]
)
def test_other_values_are_the_default(tag: str) -> None:
    found = read(f"v=DMARC1; p=reject; ruf=mailto:f@x.test; {tag}")
    assert (found.dkim_strict, found.spf_strict, found.psd, found.testing, found.fo) == (
        False,
        False,
        Psd.UNKNOWN,
        False,
        "",
    )
    assert found.p is REJECT
    assert Problem.VALUE_INVALID in found.problems


def test_fo_without_ruf_says_nothing() -> None:
    assert read("v=DMARC1; p=none; fo=1").fo == ""


@pytest.mark.parametrize(
    ("value", "uris", "problems"),
    [
        ("mailto:a@x.test", ("mailto:a@x.test",), ()),
        ("mailto:a@x.test,mailto:b@y.test", ("mailto:a@x.test", "mailto:b@y.test"), ()),
        ("mailto:a@x.test , MAILTO:b@y.test", ("mailto:a@x.test", "MAILTO:b@y.test"), ()),
        ("mailto:a@x.test!10m", ("mailto:a@x.test",), (Problem.URI_SIZE,)),
        ("mailto:a@x.test!,mailto:b@x.test", ("mailto:b@x.test",), (Problem.RUA_INVALID, Problem.URI_SIZE)),
        ("https://x.test/report,mailto:a@x.test", ("https://x.test/report", "mailto:a@x.test"), ()),
        ("a@x.test", (), (Problem.RUA_INVALID,)),
        ("mailto:a@[192.0.2.1],mailto:a@x.test", ("mailto:a@[192.0.2.1]", "mailto:a@x.test"), ()),
        ("mailto:a@x.test?subject=x", ("mailto:a@x.test?subject=x",), ()),
        ("mailto:a%2Cb@x.test,mailto:a b@x.test", (), (Problem.RUA_INVALID,)),
        (",,mailto:a@x.test,", ("mailto:a@x.test",), (Problem.RUA_INVALID,)),
        (",".join(f"mailto:{n}@x.test" for n in range(12)), tuple(f"mailto:{n}@x.test" for n in range(10)), (Problem.URIS_MANY,)),
    ],
)  # fmt: skip
def test_report_uris(value: str, uris: tuple[str, ...], problems: tuple[Problem, ...]) -> None:
    found = read(f"v=DMARC1; p=none; rua={value}")
    assert (found.rua, found.problems) == (uris, problems)


def test_the_mailbox_of_a_uri() -> None:
    assert str(record.mailbox("mailto:d%6Darc@X.test?subject=a")) == "dmarc@x.test"
    for uri in ("https://x.test/", "mailto:", "mailto:@x.test", "mailto:%ff@x.test", "a@x.test", "mailto:a@x@y.test"):
        assert record.mailbox(uri) is None


def test_the_text_is_printable_and_short() -> None:
    assert read("v=DMARC1; p=none; x=\r\n\x00é").text == "v=DMARC1; p=none; x=????"
    assert len(read("v=DMARC1; p=none;" + "x" * 2000).text) == record.TEXT_MOST


def test_what_is_too_long_can_not_be_used() -> None:
    long = "v=DMARC1; p=reject; rua=mailto:a@x.test; x=" + "y" * record.RECORD_BYTES_MOST
    assert (read(long).p, read(long).problems) == (None, (Problem.TOO_LONG, Problem.UNUSABLE))
    assert read("v=DMARC1; p=reject; x=" + "y" * 4000).p is REJECT


# -- what is wrong with it ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["v=DMARC1; p=reject; rua=mailto:a@x.test"], []),
        ([], ["no-record"]),
        (["v=DMARC1; p=none", "v=DMARC1; p=none"], ["several-records"]),
        (["v=DMARC1; p=none", "hello"], ["other-text"]),
        (["v=spf1 -all"], ["no-record", "other-text"]),
        ([" v=DMARC1; p=none"], ["no-record", "leading-space"]),
        (["v=dmarc1; p=none"], ["no-record", "version"]),
        (["V=DMARC1 p=none"], ["no-record", "version"]),
        (["v=DMARC1; p=block"], ["p-invalid", "unusable"]),
        (["v=DMARC1; p=reject; sp=x; np=y; rua=mailto:a@x.test"], ["sp-invalid", "np-invalid", "policy-none"]),
        (["v=DMARC1; rua=mailto:a@x.test"], ["policy-none", "p-missing"]),
        (["v=DMARC1; sp=reject; p=reject"], ["p-late"]),
        (["v=DMARC1; x=1; p=reject"], ["p-late", "tag-unknown"]),
        (["v=DMARC1; p=reject; p=reject"], ["p-late", "tag-twice"]),
        (["v=DMARC1; p=reject; sp; ; fo:1"], ["tag-syntax"]),
        (["v=DMARC1; p=reject; pct=100"], ["tag-removed"]),
        (["v=DMARC1; p=reject; pct=50"], ["tag-removed", "pct-below-100"]),
        (["v=DMARC1; p=reject; rf=afrf; ri=86400"], ["tag-removed"]),
        (["v=DMARC1; p=reject; ruf=x"], ["ruf-invalid"]),
    ],
)
def test_problems(texts: list[str], words: list[str]) -> None:
    assert [problem.value for problem in record.examine(text.encode() for text in texts)] == words


# -- hostile texts -----------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        "v=DMARC1", ";", "; ", "p=", "sp=", "np=", "none", "reject", "quarantine", "t=y", "psd=y", "psd=n", "adkim=s", "aspf=s", "rua=",
        "ruf=", "mailto:", "a@x.test", "mailto:a@x.test", ",", "!10m", "!", "fo=", "0", "1", ":", "d", "pct=", "99", "=", " ", "\t",
        "x=y", "\r\n", "\x00", "\xff", "%00", "%ff", "?",
    ]
)  # fmt: skip


@given(
    st.one_of(
        st.binary(max_size=300), st.lists(PIECES, max_size=30).map(lambda parts: "".join(parts).encode("latin-1"))
    )
)
def test_any_octets_are_read_or_are_none(text: bytes) -> None:
    for octets in (text, b"v=DMARC1;" + text, b"v=DMARC1; p=reject; " + text):
        found = record.read(octets)
        assert (found is None) is (not record.is_record(octets))
        problems = record.examine([octets, text])
        assert len(set(problems)) == len(problems)
        if found is None:
            continue
        assert set(found.text) <= set(string.printable) - set("\t\n\r\x0b\x0c")
        assert len(found.rua) <= record.URIS_MOST
        assert (found.p is None) is (Problem.UNUSABLE in found.problems)
        if found.p is None:
            assert found.sp is None
            assert found.np is None
        for uri in (*found.rua, *found.ruf):
            assert set(uri) <= set(string.printable) - set(string.whitespace) - set(",;!")
        if found.fo:
            assert found.ruf


@given(
    st.lists(st.sampled_from(["p=reject", "sp=none", "np=quarantine", "t=y", "psd=n", "adkim=s", "zz=1"]), unique=True)
)
def test_the_order_of_tags_does_not_matter(tags: list[str]) -> None:
    found = read("v=DMARC1; " + ";".join(tags))
    other = read("v=DMARC1; " + " ; ".join(sorted(tags)) + ";")
    assert (found.p, found.sp, found.np) == (other.p, other.sp, other.np)
    assert (found.testing, found.psd, found.adkim) == (other.testing, other.psd, other.adkim)
    assert found.testing is ("t=y" in tags)
