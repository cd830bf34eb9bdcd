"""The tags of a DKIM-Signature field (RFC 6376 §3.5, §6.1.1)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.mailauth.dkim import tags
from poterne.mailauth.dkim.canonical import Canonical
from poterne.mailauth.dkim.outcome import Reason
from poterne.mailauth.dkim.parse import Signature, Unreadable, parse, unsigned
from poterne.mailauth.dkim.record import KeyType

BH = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
GOOD = {
    "v": "1", "a": "rsa-sha256", "b": "dGVzdA==", "bh": BH, "d": "example.org", "h": "from:to", "s": "sel",
}  # fmt: skip


def text(**changes: str | None) -> bytes:
    said = GOOD | changes
    return "; ".join(f"{name}={value}" for name, value in said.items() if value is not None).encode()


def read(value: bytes) -> Signature:
    said = parse(value)
    assert isinstance(said, Signature), said
    return said


def refused(value: bytes) -> Reason:
    said = parse(value)
    assert isinstance(said, Unreadable), said
    return said.reason


def test_all_of_it() -> None:
    said = read(
        text(
            c="relaxed/simple",
            i="ann=2Bwork@mail.Example.ORG",
            l="12",
            t="1700000000",
            x="1700000001",
            q="dns/txt",
            z="From:x|y",
        )
    )
    assert (said.type, said.header_form, said.body_form) == (KeyType.RSA, Canonical.RELAXED, Canonical.SIMPLE)
    assert (said.length, said.signed_s, said.expires_s) == (12, 1700000000, 1700000001)
    assert (said.signature, len(said.body_hash), said.fields) == (b"test", 32, (b"from", b"to"))
    assert (said.identity, said.identity_domain) == ("ann+work@mail.example.org", "mail.example.org")
    assert said.key_name == "sel._domainkey.example.org"


def test_defaults() -> None:
    said = read(text())
    assert (said.header_form, said.body_form) == (Canonical.SIMPLE, Canonical.SIMPLE)
    assert (said.identity, said.length, said.signed_s, said.expires_s) == ("@example.org", None, None, None)


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"d": "EXAMPLE.Org", "s": "SEL"}, "key_name", "sel._domainkey.example.org"),
        ({"s": "a.b-c.k1_x"}, "selector", "a.b-c.k1_x"),
        ({"d": "exämple.org"}, "domain", "xn--exmple-cua.org"),
        ({"i": "@sub.example.org"}, "identity", "@sub.example.org"),
        ({"i": "ann=2Bx@example.org"}, "identity", "ann+x@example.org"),
        ({"i": "ann =2B\r\n x@example.org"}, "identity", "ann+x@example.org"),
        ({"i": '"a=20b"@example.org'}, "identity", '"a b"@example.org'),
        ({"i": "é@example.org"}, "identity", "é@example.org"),
        ({"h": "From : TO\r\n\t:\r\n subject"}, "fields", (b"from", b"to", b"subject")),
        ({"h": "from:from:dkim-signature"}, "fields", (b"from", b"from", b"dkim-signature")),
        ({"b": "dG\r\n Vz\tdA = ="}, "signature", b"test"),
        ({"c": "relaxed"}, "body_form", Canonical.SIMPLE),
        ({"q": "dns/other:dns/txt"}, "domain", "example.org"),
        ({"t": "999999999999"}, "signed_s", 999_999_999_999),
        ({"l": "9" * 76}, "length", int("9" * 76)),
        ({"l": "0"}, "length", 0),
        ({"unknown_tag": "what; was=this"}, "domain", "example.org"),
        ({"z": None, "a": "ed25519-sha256"}, "type", KeyType.ED25519),
    ],
)
def test_what_is_read(changes: dict[str, str | None], field: str, value: object) -> None:
    assert getattr(read(text(**changes)), field) == value


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"v": None}, Reason.MISSING_TAG),
        ({"a": None}, Reason.MISSING_TAG),
        ({"b": None}, Reason.MISSING_TAG),
        ({"bh": None}, Reason.MISSING_TAG),
        ({"d": None}, Reason.MISSING_TAG),
        ({"h": None}, Reason.MISSING_TAG),
        ({"s": None}, Reason.MISSING_TAG),
        ({"v": "2"}, Reason.VERSION),
        ({"v": "1.0"}, Reason.SYNTAX),
        ({"v": "01"}, Reason.VERSION),
        ({"v": ""}, Reason.SYNTAX),
        ({"a": "rsa-sha1"}, Reason.SHA1),
        ({"a": "rsa-sha512"}, Reason.ALGORITHM),
        ({"a": "RSA-SHA256"}, Reason.ALGORITHM),
        ({"a": "ed25519-sha1"}, Reason.ALGORITHM),
        ({"a": ""}, Reason.ALGORITHM),
        ({"c": "nofws"}, Reason.CANONICALIZATION),
        ({"c": "relaxed/nofws"}, Reason.CANONICALIZATION),
        ({"c": "relaxed/relaxed/relaxed"}, Reason.CANONICALIZATION),
        ({"c": "relaxed/"}, Reason.CANONICALIZATION),
        ({"c": ""}, Reason.CANONICALIZATION),
        ({"q": "dns/other"}, Reason.QUERY),
        ({"q": ""}, Reason.QUERY),
        ({"b": ""}, Reason.SYNTAX),
        ({"b": "dGVzdA="}, Reason.SYNTAX),
        ({"b": "dGVz*dA=="}, Reason.SYNTAX),
        ({"bh": "dGVzdA=="}, Reason.SYNTAX),
        ({"bh": ""}, Reason.SYNTAX),
        ({"d": ""}, Reason.DOMAIN),
        ({"d": "org"}, Reason.DOMAIN),
        ({"d": "example.org."}, Reason.DOMAIN),
        ({"d": "example..org"}, Reason.DOMAIN),
        ({"d": "-example.org"}, Reason.DOMAIN),
        ({"d": "exam ple.org"}, Reason.DOMAIN),
        ({"d": "exam\r\n ple.org"}, Reason.DOMAIN),
        ({"d": "legit.example'a.example.org"}, Reason.DOMAIN),  # X04
        ({"d": "legit.example(.example.org"}, Reason.DOMAIN),
        ({"d": "[192.0.2.1]"}, Reason.DOMAIN),
        ({"d": "192.0.2.1"}, Reason.DOMAIN),
        ({"d": "a" * 64 + ".org"}, Reason.DOMAIN),
        ({"d": ".".join(["a" * 60] * 5)}, Reason.DOMAIN),
        ({"d": "ex\u200bample.org"}, Reason.DOMAIN),
        ({"s": ""}, Reason.SELECTOR),
        ({"s": "sel."}, Reason.SELECTOR),
        ({"s": ".sel"}, Reason.SELECTOR),
        ({"s": "-sel"}, Reason.SELECTOR),
        ({"s": "se l"}, Reason.SELECTOR),
        ({"s": "sel/../x"}, Reason.SELECTOR),
        ({"s": "selector._domainkey.evil.example.\\000.any"}, Reason.SELECTOR),
        ({"s": "a" * 64}, Reason.SELECTOR),
        ({"s": ".".join(["a" * 60] * 4)}, Reason.SELECTOR),
        ({"i": ""}, Reason.IDENTITY),
        ({"i": "example.org"}, Reason.IDENTITY),
        ({"i": "a b(c)@example.org"}, Reason.IDENTITY),
        ({"i": "a=0D=0AX: y@example.org"}, Reason.IDENTITY),
        ({"i": "a=zz@example.org"}, Reason.IDENTITY),
        ({"i": "a=ff@example.org"}, Reason.IDENTITY),
        ({"i": "a\u202eb@example.org"}, Reason.IDENTITY),
        ({"i": "@exam_ple.example.org"}, Reason.IDENTITY),
        ({"i": "@example.com"}, Reason.IDENTITY_DOMAIN),
        ({"i": "@org"}, Reason.IDENTITY_DOMAIN),
        ({"i": "@notexample.org"}, Reason.IDENTITY_DOMAIN),
        ({"i": "@example.org@evil.example"}, Reason.IDENTITY),
        ({"h": ""}, Reason.SYNTAX),
        ({"h": "from:"}, Reason.SYNTAX),
        ({"h": ":from"}, Reason.SYNTAX),
        ({"h": "from::to"}, Reason.SYNTAX),
        ({"h": "from to"}, Reason.SYNTAX),
        ({"h": "to:subject"}, Reason.FROM_UNSIGNED),
        ({"h": ":".join(["from"] * 257)}, Reason.TOO_LONG),
        ({"l": ""}, Reason.SYNTAX),
        ({"l": "-1"}, Reason.SYNTAX),
        ({"l": "1 2"}, Reason.SYNTAX),
        ({"l": "9" * 77}, Reason.SYNTAX),
        ({"t": "now"}, Reason.SYNTAX),
        ({"t": "1" * 13}, Reason.SYNTAX),
        ({"x": "²"}, Reason.SYNTAX),
        ({"t": "5", "x": "5"}, Reason.SYNTAX),
        ({"t": "6", "x": "5"}, Reason.SYNTAX),
    ],
)
def test_what_is_not(changes: dict[str, str | None], reason: Reason) -> None:
    assert refused(text(**changes)) is reason


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b";",
        b"v",
        b"v=1;;" + text(v=None),
        text() + b"; v=1",
        text() + b"; B =",
        text() + b"; x1 = 1; x1 = 1",
        text() + b"; 1x=1",
        text() + b"; x-y=1",
        text() + b"; \xc3\xa9=1",
        text() + b"; x=\x00",  # X03
        text(s="sel\0.x"),
        text() + b"; z=a\x7fb",
        text() + b"; z=a\r\nb",
        text() + b"; z=a\nb",
        text() + b"; z=a\rb",
        b";".join(b"x%d=" % number for number in range(65)),
    ],
)
def test_what_is_no_tag_list(value: bytes) -> None:
    if value.endswith(b"; B ="):
        read(value)  # tags are case-sensitive: B is another one than b
        return
    assert refused(value) is Reason.SYNTAX


def test_white_space_is_allowed_where_the_grammar_has_it() -> None:
    said = read(b"\r\n\tv\r\n = 1 ;\ta= rsa-sha256\r\n ;" + text(v=None, a=None) + b" ;\r\n ")
    assert said.domain == "example.org"


def test_length_is_bounded() -> None:
    assert refused(text(z="x" * 17000)) is Reason.TOO_LONG
    assert read(text(z="x" * 15000)).domain == "example.org"


def test_names_that_were_read_are_told() -> None:
    said = parse(text(a="rsa-sha1"))
    assert said == Unreadable(Reason.SHA1, "example.org", "sel")


@pytest.mark.parametrize(
    ("value", "cut"),
    [
        (b" v=1; b=abc", b" v=1; b="),
        (b" v=1; b= a\r\n b c \r\n ; bh=x", b" v=1; b=; bh=x"),
        (b" b =a==; bh=b=x", b" b =; bh=b=x"),
        (b"b=x", b"b="),
        (b" bh=b=1;\r\n b\r\n =\r\n 2\r\n ;z=1", b" bh=b=1;\r\n b\r\n =;z=1"),
        (b" ab=1; b=2; c=b=3", b" ab=1; b=; c=b=3"),
    ],
)
def test_only_the_value_of_b_is_cut_out(value: bytes, cut: bytes) -> None:
    assert unsigned(value) == cut


HOST_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
PARTS = [
    *(f"{name}={value}".encode() for name, value in GOOD.items()),
    b";", b"; ", b"\r\n ", b" ", b"=", b"d=", b"i=@", b"s=a", b"\x00", b"\xff", b"c=relaxed", b"l=1", b"t=1", b"x=2", b".", b"q=",
]  # fmt: skip


def hold(value: bytes) -> None:
    said = parse(value)
    if said.domain and said.selector:
        name = f"{said.selector}._domainkey.{said.domain}"
        assert len(name) <= 253
        assert HOST_NAME.fullmatch(name)
    if isinstance(said, Signature):
        assert b"from" in said.fields
        assert said.identity_domain == said.domain or said.identity_domain.endswith("." + said.domain)
        assert said.identity.isprintable()
        assert len(said.body_hash) == 32
        # What is hashed is the same tag list with an empty b=.
        again = tags.read(unsigned(value.removesuffix(b"\r\n")))
        before = tags.read(value.removesuffix(b"\r\n"))
        assert before is not None
        assert again == before | {b"b": b""}


@given(st.binary(max_size=300))
def test_octets_never_raise(value: bytes) -> None:
    hold(value)


@given(st.lists(st.sampled_from(PARTS), max_size=30))
def test_parts_never_raise(parts: list[bytes]) -> None:
    hold(b"".join(parts))


@given(
    st.permutations([f"{name}={value}".encode() for name, value in GOOD.items()]),
    st.sampled_from([b";", b" ;\t", b";\r\n "]),
)
def test_order_and_folds_do_not_matter(parts: list[bytes], separator: bytes) -> None:
    said = read(separator.join(parts))
    assert said == read(text())
    hold(separator.join(parts))


@given(st.sampled_from(sorted(GOOD)), st.text(max_size=20))
def test_any_value_of_any_tag(name: str, value: str) -> None:
    hold(text(**{name: value}))


@given(st.binary(max_size=60))
def test_quoted_printable_never_raises(value: bytes) -> None:
    tags.quoted_printable(value)
    tags.base64(value)
    tags.number(value, 12)


_B_TAG = re.compile(rb"((?:^|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")


@given(
    st.lists(st.sampled_from([b"b", b"bh", b"=", b";", b" ", b"\r\n\t", b"x", b"v=1", b"B"]), max_size=14).map(b"".join)
)
def test_unsigned_cuts_out_the_first_b_and_nothing_else(value: bytes) -> None:
    assert unsigned(value) == _B_TAG.sub(rb"\1", value, count=1)
