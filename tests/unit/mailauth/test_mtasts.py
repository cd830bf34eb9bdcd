import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.mailauth.mtasts import cache
from poterne.mailauth.mtasts.policy import Mode, Policy, PolicyError, parse
from poterne.mailauth.mtasts.record import policy_id
from poterne.values.tls import KeptPolicy

GOOD = b"version: STSv1\r\nmode: enforce\r\nmx: Mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n"


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        ([b"v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        ([b"v=STSv1;id=1"], "1"),
        ([b"v=STSv1 ;\t id=1 ; "], "1"),
        ([b"v=STSv1; other=xy; id=1; id=2"], "1"),
        ([b"v=STSv1; id=1", b"google-site-verification=x"], "1"),
        ([b"v=STSv1; id=1", b"v=STSv1; id=2"], None),
        ([b"v=STSv1; id=1", b"v=STSv1"], "1"),
        ([b"v=STSv1"], None),
        ([b"v=STSv1;"], None),
        ([b"V=STSv1; id=1"], None),
        ([b"v=STSv2; id=1"], None),
        ([b" v=STSv1; id=1"], None),
        ([b"id=1; v=STSv1"], None),
        ([b"v=STSv1; id="], None),
        ([b"v=STSv1; id=a-b"], None),
        ([b"v=STSv1; id=" + b"1" * 33], None),
        ([b"v=STSv1; id=1;; x=y"], None),
        ([b"v=STSv1; id=\xff"], None),
        ([], None),
    ],
)
def test_record(records: list[bytes], wanted: str | None) -> None:
    assert policy_id(records) == wanted


def test_policy() -> None:
    found = parse(GOOD)
    assert found == Policy(Mode.ENFORCE, 604_800, ("mail.example.com", "*.example.net"))
    assert parse(GOOD.replace(b"\r\n", b"\n")) == found
    assert parse(GOOD.removesuffix(b"\r\n") + b"  ") == found
    assert parse(b"x_y: \xc3\xa9 t\n" + GOOD + b"mode: none\nversion: 2\nmax_age: x\n") == found
    assert parse(b"version: STSv1\nmode: none\nmax_age: 0\n").mx == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "version"),
        (GOOD.replace(b"version: STSv1", b"version: STSv2"), "version"),
        (GOOD.replace(b"enforce", b"Enforce"), "mode"),
        (GOOD.replace(b"mode: enforce\r\n", b""), "mode"),
        (GOOD.replace(b"604800", b"31557601"), "max-age"),
        (GOOD.replace(b"604800", b"-1"), "max-age"),
        (GOOD.replace(b"604800", "٣".encode()), "max-age"),
        (GOOD.replace(b"max_age: 604800\r\n", b""), "max-age"),
        (b"version: STSv1\nmode: testing\nmax_age: 1\n", "no-mx"),
        (GOOD.replace(b"*.example.net", b"*"), "mx"),
        (GOOD.replace(b"*.example.net", b"a.*.example.net"), "mx"),
        (GOOD.replace(b"*.example.net", b"*a.example.net"), "mx"),
        (GOOD.replace(b"*.example.net", b".example.net"), "mx"),
        (GOOD.replace(b"*.example.net", b"a..net"), "mx"),
        (GOOD.replace(b"*.example.net", "é.net".encode()), "mx"),
        (GOOD.replace(b"*.example.net", b"a.net, b.net"), "mx"),
        (GOOD + b"\r\n", "syntax"),
        (GOOD + b"nothing\r\n", "syntax"),
        (GOOD.replace(b"\r\n", b"\r"), "syntax"),
        (GOOD + b"x: a\x00b\r\n", "syntax"),
        (GOOD + b"x: \xff\r\n", "not-utf-8"),
        (GOOD + b"x: " + b"y" * 65_536, "too-large"),
        (GOOD + b"mx: a.example\n" * 1000, "mx"),
        (b"<html><body>version: STSv1</body></html>", "syntax"),
    ],
)
def test_no_policy(text: bytes, why: str) -> None:
    with pytest.raises(PolicyError, match=why):
        parse(text)


@given(st.binary(max_size=300) | st.lists(st.sampled_from(GOOD.splitlines(keepends=True))).map(b"".join))
def test_never_another_error(text: bytes) -> None:
    try:
        found = parse(text)
    except PolicyError:
        return
    assert found.mode is Mode.NONE or found.mx


@given(st.lists(st.binary(max_size=60).map(lambda tail: b"v=STSv1;" + tail), max_size=2))
def test_record_never_raises(records: list[bytes]) -> None:
    found = policy_id(records)
    assert found is None or (len(records) == 1 and f"id={found}".encode() in records[0])


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("mail.example.com", True),
        ("MAIL.example.com.", True),
        ("a.mail.example.com", False),
        ("a.example.net", True),
        ("example.net", False),
        ("a.b.example.net", False),
        ("example.net.evil.test", False),
        ("mail.example.com.evil.test", False),
        ("", False),
    ],
)
def test_names(name: str, allowed: bool) -> None:
    assert parse(GOOD).allows(name) is allowed


def test_cache() -> None:
    kept = KeptPolicy("d", "1", GOOD, fetched_at=1000, expires_at=2000, checked_at=1000)
    assert cache.valid(kept, 1999)
    assert not cache.valid(kept, 2000)
    assert not cache.valid(None, 0)
    assert not cache.wanted(None, None, 0)
    assert cache.wanted(None, "1", 0)
    assert not cache.wanted(kept, "1", 1500)
    assert cache.wanted(kept, "2", 1500)
    assert cache.wanted(kept, "1", 2000)
    assert not cache.wanted(kept, None, 2000)
    assert not cache.stale(kept, 1000 + 86_399)
    assert cache.stale(kept, 1000 + 86_400)


def test_reported_as() -> None:
    applied = parse(GOOD).applied("example.com")
    assert applied.strings == (
        "version: STSv1",
        "mode: enforce",
        "mx: mail.example.com",
        "mx: *.example.net",
        "max_age: 604800",
    )
    assert applied.mx == ("mail.example.com", "*.example.net")
