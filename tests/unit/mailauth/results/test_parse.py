"""Authentication-Results of others: the examples of RFC 8601, what large providers write, and everything else."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from poterne.mailauth.results.parse import (
    PROPERTIES_MOST,
    RESULTS_MOST,
    VALUE_BYTES_MOST,
    AuthenticationResults,
    MethodResult,
    Property,
    parse,
)


def results(text: bytes) -> list[tuple[str, str, dict[str, str]]]:
    read = parse(text)
    assert read is not None
    return [
        (one.method, one.result, {f"{has.ptype}.{has.name}".lstrip("."): has.value for has in one.properties})
        for one in read.results
    ]


def test_rfc_8601_b_2_nothing_done() -> None:
    assert parse(b" example.org 1; none\r\n") == AuthenticationResults("example.org", (), 1)


def test_rfc_8601_b_3_one_service() -> None:
    assert results(b" example.com;\r\n spf=pass smtp.mailfrom=example.net\r\n") == [
        ("spf", "pass", {"smtp.mailfrom": "example.net"})
    ]


def test_rfc_8601_b_4_comments() -> None:
    text = b" example.com;\r\n auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n spf=pass smtp.mailfrom=example.net\r\n"
    assert results(text) == [
        ("auth", "pass", {"smtp.auth": "sender@example.net"}),
        ("spf", "pass", {"smtp.mailfrom": "example.net"}),
    ]


def test_rfc_8601_b_6_reasons() -> None:
    text = (
        b' example.com;\r\n dkim=pass reason="good signature"\r\n header.i=@mail-router.example.net;\r\n'
        b' dkim=fail reason="bad signature"\r\n header.i=@newyork.example.com\r\n'
    )
    read = parse(text)
    assert read is not None
    assert [one.reason for one in read.results] == ["good signature", "bad signature"]
    assert read.results[1].value("header", "i") == "@newyork.example.com"
    assert not read.results[1].value("header", "d")


def test_rfc_8601_b_7_comments_everywhere() -> None:
    text = (
        b" foo.example.net (foobar) 1 (baz);\r\n dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n"
        b" policy (A dot can go here) . (like that) expired\r\n (this surprised me) = (as I wasn't expecting it) 1362471462\r\n"
    )
    assert parse(text) == AuthenticationResults(
        "foo.example.net", (MethodResult("dkim", "fail", 1, "", (Property("policy", "expired", "1362471462"),)),), 1
    )


def test_what_microsoft_writes() -> None:
    text = (
        b" mx.microsoft.com 1; spf=pass\r\n smtp.mailfrom=example.org; dmarc=pass action=none header.from=example.org;\r\n"
        b" dkim=pass header.d=example.org; arc=none"
    )
    assert results(text) == [
        ("spf", "pass", {"smtp.mailfrom": "example.org"}),
        ("dmarc", "pass", {"action": "none", "header.from": "example.org"}),
        ("dkim", "pass", {"header.d": "example.org"}),
        ("arc", "none", {}),
    ]


def test_what_google_writes() -> None:
    text = (
        b" mx.google.com;\r\n       dkim=pass header.i=@example.org header.s=s1 header.b=N/2+Aj6z;\r\n"
        b"       spf=pass (google.com: domain of a@example.org designates 192.0.2.1 as permitted sender) "
        b"smtp.mailfrom=a@example.org;\r\n       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.org"
    )
    assert results(text) == [
        ("dkim", "pass", {"header.i": "@example.org", "header.s": "s1", "header.b": "N/2+Aj6z"}),
        ("spf", "pass", {"smtp.mailfrom": "a@example.org"}),
        ("dmarc", "pass", {"header.from": "example.org"}),
    ]


def test_what_is_quoted_or_commented_is_not_said() -> None:
    text = rb' x; spf=fail (; dmarc=pass) reason="; dmarc=pass" smtp.mailfrom="a\"; dmarc=pass"@b.example'
    assert results(text) == [("spf", "fail", {"smtp.mailfrom": 'a"; dmarc=pass@b.example'})]


def test_case_of_words_does_not_matter() -> None:
    assert results(b"x; SPF=Pass SMTP.MailFrom=A.Example") == [("spf", "pass", {"smtp.mailfrom": "A.Example"})]


def test_a_semicolon_at_the_end() -> None:
    assert results(b"x; spf=pass;") == [("spf", "pass", {})]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b";",
        b"x",
        b"x;",
        b"x; ;",
        b"x; spf",
        b"x; spf=",
        b"x; =pass",
        b"x; spf=pass smtp.mailfrom",
        b"x; spf=pass smtp.=a",
        b"x; spf=pass .mailfrom=a",
        b"x; spf=pass smtp.mailfrom=",
        b"x; spf=pass smtp.mailfrom=a b.c",
        b"x; spf=pass;; dkim=pass",
        b"x; spf=pass, dkim=pass",
        b"x; spf=pass (never closed",
        b"x; spf=pass (never closed \\)",
        b"x; spf=pass )",
        b'x; spf=pass reason="never closed',
        b"x; none; spf=pass",
        b"x; spf/=pass",
        b"x; spf/99999=pass",
        b"x; spf=pass\nX-Evil: 1",
        b"x; spf=pass\r\nX-Evil: 1",
        b"x; spf=pass\0",
        b"x; spf=pass smtp.mailfrom=\xff",
        "x; spf=pass (a\u2028b)".encode(),
        b"x; " + b"(" * 20 + b")" * 20 + b" spf=pass",
        b"x; " + b"; ".join([b"spf=pass"] * (RESULTS_MOST + 1)),
        b"x; spf=pass" + b" a.b=c" * (PROPERTIES_MOST + 1),
        b"x; spf=pass (" + b"x" * VALUE_BYTES_MOST + b")",
    ],
)
def test_what_can_not_be_read(text: bytes) -> None:
    assert parse(text) is None


def test_limits_are_not_below_what_they_say() -> None:
    read = parse(b"x; " + b"; ".join([b"spf=pass" + b" a.b=c" * PROPERTIES_MOST] * 10))
    assert read is not None
    assert len(read.results) == 10
    read = parse(b"x; " + b"; ".join([b"spf=pass"] * RESULTS_MOST))
    assert read is not None
    assert len(read.results) == RESULTS_MOST


@pytest.mark.parametrize(
    "text",
    [
        b"x; spf=pass" + b" (" * 8000,
        b"x; " + b"(\\" * 8000,
        b"x; spf=pass reason=" + b'"\\' * 8000,
        b" " * 16000,
        b"x; " + b"a" * 16000,
        b"x; spf=pass " + b"() " * 5000 + b"=",
        b"x; a=b" + b"\r\n " * 5000,
    ],
)
def test_hostile_ones_take_no_time(text: bytes) -> None:
    start = time.perf_counter()
    parse(text)
    assert time.perf_counter() - start < 0.2


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.text('a1.=;()"\\@/ \t,-é', max_size=40).map(str.encode)))
@example(b'x; spf=pass a="b"@')
def test_never_raises(text: bytes) -> None:
    for whole in (text, b"x; spf=pass " + text, b"x; spf=pass;" + text):
        read = parse(whole)
        assert read is None or all(one.method and one.result for one in read.results)
