"""Recipients that probe for relaying (every form of the usual lists), each with the code it is refused by."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.proto.smtp.path import FORWARD_REPLIES, REVERSE_REPLIES, forward_path, reverse_path
from poterne.values.address import Address, AddressError, AddressLiteral, domain_name

E, T, D, IP = "ext.example", "mx.dom.example", "dom.example", "[192.0.2.1]"

TORTURE = [
    (f"u%{E}@{IP}", "percent-hack"),
    (f"u%{E}@{T}", "percent-hack"),
    (f"u%{E}@{D}", "percent-hack"),
    (f"u%{E}", "no-domain"),
    (f'"u@{E}"', "no-domain"),
    (f'"u%{E}"', "no-domain"),
    (f"u@{E}@{IP}", "two-at-signs"),
    (f"u@{E}@{T}", "two-at-signs"),
    (f"u@{E}@{D}", "two-at-signs"),
    (f'"u@{E}"@{IP}', "quoted-at-sign"),
    (f'"u@{E}"@{T}', "quoted-at-sign"),
    (f'"u@{E}"@{D}', "quoted-at-sign"),
    (f"@{IP}:u@{E}", "source-route"),
    (f"@{T}:u@{E}", "source-route"),
    (f"@{D}:u@{E}", "source-route"),
    (f"{E}!u", "no-domain"),
    (f"{E}!u@{IP}", "bang-path"),
    (f"{E}!u@{T}", "bang-path"),
    (f"{E}!u@{D}", "bang-path"),
    (f"u%{E}%b.example@{D}", "percent-hack"),
    (f"u%{E}@{D}@{T}", "two-at-signs"),
    (f"@{D},@{T}:u@{E}", "source-route"),
    (f"@{T},@{E}:u@{E}", "source-route"),
    (f"@{D}:u%{E}@{T}", "source-route"),
    (f"{D}!{E}!u", "no-domain"),
    (f"{T}!{E}!u@{D}", "bang-path"),
    (f"{E}!u%{D}@{T}", "percent-hack"),
    (f"u%{E}!{D}", "no-domain"),
    (f'"{E}!u"@{D}', "bang-path"),
    (f'"@{D}:u@{E}"', "no-domain"),
    (f'"@{D}:u@{E}"@{D}', "quoted-at-sign"),
    (f"u\\@{E}@{D}", "local-part-syntax"),
    (f'"u\\@{E}"@{D}', "quoted-at-sign"),
    (f"u@{E} @{D}", "two-at-signs"),
    (f"u@{E},v@{D}", "two-at-signs"),
    (f"v@{D},u@{E}", "two-at-signs"),
    (f"u@{E};v@{D}", "two-at-signs"),
    (f"u@{E}(c)@{D}", "two-at-signs"),
    (f"u@{E}(@{D})", "two-at-signs"),
    (f"(@{D})u@{E}", "local-part-syntax"),
    (f"(any@{D}", "local-part-syntax"),
    (f"any@{D}(a.{E}", "domain-syntax"),
    (f"any@{D}'@any.{E}", "two-at-signs"),
    (f"@{D},@any.com:'any@{E}", "source-route"),
    (f":u@{E}", "local-part-syntax"),
    (f"@:u@{E}", "source-route"),
    (f'"u@{E}> "@{D}', "quoted-at-sign"),
    (f'"u@{E}', "quote-syntax"),
    (f'"u"x@{E}', "quote-syntax"),
    (f'"u\t"@{E}', "control-character"),
    ("u@[IPv6:..]", "literal-syntax"),
    ("u@[192.0.2.01]", "literal-syntax"),
    ("u@[192.0.2.1", "literal-syntax"),
    ("u@[2001:db8::1]", "literal-syntax"),
    ("u@[IPv6:fe80::1%eth0]", "literal-syntax"),
    ("u@[x:y]", "literal-syntax"),
    ("u%x@[127.0.0.1]", "percent-hack"),
    ("u%x@localhost", "percent-hack"),
    ("u@2130706433", "numeric-domain"),
    ("u@0x7f000001", "numeric-domain"),
    ("u@127.1", "numeric-domain"),
    ("u@a.0x", "numeric-domain"),
    ("u@#2130706433", "domain-syntax"),
    (f"u@{E}.", "trailing-dot"),
    (f"u@{E}..", "domain-syntax"),
    (f"u@.{E}", "domain-syntax"),
    ("u@a..b", "domain-syntax"),
    ("u@-a.b", "domain-syntax"),
    ("u@a-.b", "domain-syntax"),
    ("u@a_b.c", "domain-syntax"),
    (f"u@{E}%{D}", "domain-syntax"),
    (f"u@{E}!{D}", "domain-syntax"),
    (f"u%40{E}@{D}", "percent-hack"),
    (f"u%2540{E}@{D}", "percent-hack"),
    (f"=?utf-8?q?u=40{E}=3e=00?=@{D}", "encoded-word"),
    (f"=?utf-7?q?u&AEA-{E}&ACA-?=@{D}", "encoded-word"),
    (f"u\uff20{E}", "no-domain"),
    (f"u\uff20{E}@{D}", "confusable-local-part"),
    (f"u\ufe6b{E}@{D}", "confusable-local-part"),
    (f"u\uff05{E}@{D}", "confusable-local-part"),
    (f"a\u200b@{D}", "local-part-character"),
    (f"a\u202e@{D}", "local-part-character"),
    (f"a\u00a0@{D}", "local-part-character"),
    (f"a\x85@{D}", "control-character"),
    (f"a\u2028@{D}", "control-character"),
    ("u@ext\uff0eexample", "domain-mapping"),
    ("u@ext\u3002example", "domain-mapping"),
    ("u@\uff45xt.example", "domain-mapping"),
    ("u@ex\u00adt.example", "domain-mapping"),
    ("u@ex\u200dt.example", "domain-idna"),
    ("u@\u0301a.example", "domain-idna"),
    ("u@☃.example", "domain-idna"),
    (f"</S=u/OU={E}@{D}", "local-part-syntax"),
    (f"|cmd @{D}", "local-part-syntax"),
    (f":include:/etc/passwd@{D}", "local-part-syntax"),
    (f"v@{D}\rRCPT", "control-character"),
    (f"v@{D}\x0b", "control-character"),
    (f"u@{D}\0", "control-character"),
    (" u@a.example", "local-part-syntax"),
    ("u@a.example ", "domain-syntax"),
    ("u.@a.example", "local-part-syntax"),
    (".u@a.example", "local-part-syntax"),
    ("u..v@a.example", "local-part-syntax"),
    ('""@a.example', "empty-local-part"),
    ("@", "empty-local-part"),
    ("@a.example", "empty-local-part"),
    ("u@", "domain-syntax"),
    ("u", "no-domain"),
    ("", "null-path"),
    ("a" * 65 + f"@{D}", "local-part-too-long"),
    ("é" * 33 + f"@{D}", "local-part-too-long"),
    ('"' + "a" * 65 + f'"@{D}', "local-part-too-long"),
    ("a@" + "b" * 64 + ".example", "label-too-long"),
    ("a" * 60 + "@" + ".".join(["b" * 60] * 3) + ".example.com", "path-too-long"),
    ("a@" + ".".join(["b" * 60] * 5), "path-too-long"),
    ("a" * 256 + f"@{E}", "path-too-long"),
]


@pytest.mark.parametrize(("path", "code"), TORTURE, ids=[ascii(p)[:50] for p, _ in TORTURE])
def test_refused(path: str, code: str) -> None:
    with pytest.raises(AddressError) as raised:
        forward_path(path.encode(), smtputf8=True)
    assert raised.value.code == code
    assert FORWARD_REPLIES[code].code == 553


@pytest.mark.parametrize(
    ("path", "local_part", "domain", "wire"),
    [
        ("u@Ext.EXAMPLE", "u", "ext.example", "u@ext.example"),
        ("U.x+y=z@a.example", "U.x+y=z", "a.example", "U.x+y=z@a.example"),
        ('"u"@a.example', "u", "a.example", "u@a.example"),
        ('"u v"@a.example', "u v", "a.example", '"u v"@a.example'),
        ('"a\\"b\\\\c>"@a.example', 'a"b\\c>', "a.example", '"a\\"b\\\\c>"@a.example'),
        ('"."@a.example', ".", "a.example", '"."@a.example'),
        ("u@[192.0.2.1]", "u", "[192.0.2.1]", "u@[192.0.2.1]"),
        ("u@[ipv6:2001:DB8:0::1]", "u", "[IPv6:2001:db8::1]", "u@[IPv6:2001:db8::1]"),
        ("v@localhost", "v", "localhost", "v@localhost"),
        ("u@a--b.3com.example", "u", "a--b.3com.example", "u@a--b.3com.example"),
        ("u@fade.cafe", "u", "fade.cafe", "u@fade.cafe"),
        ("é@BÜCHER.example", "é", "xn--bcher-kva.example", "é@xn--bcher-kva.example"),
        ("u@faß.example", "u", "xn--fa-hia.example", "u@xn--fa-hia.example"),
        ("u@xn--FA-HIA.example", "u", "xn--fa-hia.example", "u@xn--fa-hia.example"),
        # U+0140 is a letter (Catalan l·l); only who cuts it to eight bits sees "@".
        (f"u\u0140{E}@{D}", f"u\u0140{E}", D, f"u\u0140{E}@{D}"),
        (f"SRS0=AAAA=TT={E}=u@{D}", f"SRS0=AAAA=TT={E}=u", D, f"SRS0=AAAA=TT={E}=u@{D}"),
        ("a" * 64 + "@a.example", "a" * 64, "a.example", "a" * 64 + "@a.example"),
    ],
)
def test_accepted(path: str, local_part: str, domain: str, wire: str) -> None:
    parsed = forward_path(path.encode(), smtputf8=True)
    assert parsed.address == Address(local_part, domain)
    assert str(parsed.address) == wire
    assert parsed.raw == path
    assert Address.parse(wire) == parsed.address


def test_special_paths() -> None:
    assert reverse_path(b"", smtputf8=False).is_null
    assert forward_path(b"PostMaster", smtputf8=False).is_postmaster
    with pytest.raises(AddressError, match="no-domain"):
        reverse_path(b"postmaster", smtputf8=False)
    for path in (b"a%b@c.example", b"a!b@c.example", b'"a@b"@c.example'):  # senders may; routing is a recipient's
        assert reverse_path(path, smtputf8=False).address is not None


@pytest.mark.parametrize("path", [b"\xc3\xa9@a.example", b"a@b\xc3\xbccher.example"])
def test_utf8_must_be_announced(path: bytes) -> None:
    for parse, replies in ((forward_path, FORWARD_REPLIES), (reverse_path, REVERSE_REPLIES)):
        with pytest.raises(AddressError) as raised:
            parse(path, smtputf8=False)
        assert replies[raised.value.code].enhanced == "5.6.7"


def test_address_length() -> None:
    for text, code in (
        ("a" * 60 + "@" + "b.example." * 20 + "fr", "address-too-long"),
        ("a@" + "b.example." * 26 + "fr", "domain-too-long"),
    ):
        with pytest.raises(AddressError, match=code):
            Address.parse(text)


def test_key_and_literal() -> None:
    assert Address.parse("E\u0301va@A.example").key == Address.parse("éVA@a.EXAMPLE").key == "éva@a.example"
    literal = Address.parse("u@[192.0.2.1]").literal
    assert literal == AddressLiteral.parse("[192.0.2.1]")
    assert Address.parse("u@a.example").literal is None
    assert Address.parse("u@bücher.example").is_ascii
    assert not Address.parse("é@a.example").is_ascii


def test_domain_name() -> None:
    assert domain_name("Bücher.Example") == "xn--bcher-kva.example"
    for bad in ("a.example.", "1.2.3.4", "a b", "", "a\n"):
        with pytest.raises(AddressError):
            domain_name(bad)


@settings(deadline=None)
@given(
    st.text(st.sampled_from('ab.@%!"\\<>()[]:, =?\0\r\né\uff20\uff0e\u00ad1x-_'), max_size=40) | st.text(max_size=40)
)
def test_never_raises_anything_else(text: str) -> None:
    try:
        octets = text.encode()
    except UnicodeEncodeError:
        return
    for parse, replies in ((forward_path, FORWARD_REPLIES), (reverse_path, REVERSE_REPLIES)):
        try:
            path = parse(octets, smtputf8=True)
        except AddressError as error:
            assert error.code in replies  # noqa: PT017
            continue
        if path.address is not None:
            assert Address.parse(str(path.address)) == path.address
            assert path.address.domain.isascii()
            assert not set(str(path.address)) & set("\r\n\0")
