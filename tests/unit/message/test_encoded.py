import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.message.encoded import (
    _CODECS,
    base64_octets,
    decode_charset,
    decode_extended,
    decode_parameter,
    decode_words,
    known_charset,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("=?utf-8?q?R=C3=A9union_de?= =?utf-8?Q?_projet?=", "Réunion de projet"),
        ("=?ISO-8859-1?B?6Q==?= x", "é x"),
        ("a =?utf-8?q?b?= c =?utf-8?q?d?=", "a b c d"),
        ("=?utf-8?q?=C3?= \t =?UTF-8?b?qQ==?=", "é"),  # one character cut in two
        ("=?utf-8*fr?q?=C3=A9?=", "é"),  # RFC 2231 §5 language
        ("=?utf-8?q?a?=b", "ab"),
        ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        ("=?utf-8?q?open", "=?utf-8?q?open"),
        ("=?utf-8?b?6Q=?=", "é"),  # broken padding, and not the charset that it says
        ("=?none-such?q?=E9?=", "é"),
        ("=?base64?q?a?=", "a"),
        ("=?utf-8?q?a b?=", "a b"),
        ("=?utf-8?q??=", ""),
        ("déjà UTF-8", "déjà UTF-8"),
    ],
)
def test_words(value: str, text: str) -> None:
    assert decode_words(value.encode()) == text


def test_words_examples_of_rfc_2047_section_8() -> None:
    for value, text in {
        b"(=?ISO-8859-1?Q?a?=)": "(a)",
        b"(=?ISO-8859-1?Q?a?= b)": "(a b)",
        b"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)": "(ab)",
        b"(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)": "(ab)",
        b"(=?ISO-8859-1?Q?a_b?=)": "(a b)",
        b"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)": "(a b)",
        b"=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=": "Keld Jørn Simonsen",
    }.items():
        assert decode_words(value) == text


def test_output_is_capped() -> None:
    assert len(decode_words(b"x" * 10**6)) == 64 * 1024
    assert decode_words(b"abcdef", max_bytes=3) == "abc"


@pytest.mark.parametrize(
    ("octets", "charset", "text"),
    [
        (b"\xe9", None, "é"),
        ("é".encode(), None, "é"),
        ("é".encode(), b"us-ascii", "é"),
        (b"\xe9t\xe9", b"us-ascii", "été"),
        (b"\x93a\x94", b"iso-8859-1", "“a”"),
        (b"\xa4", b"iso-8859-15", "€"),
        (b"\xa4", b" ISO-8859-15 ", "€"),
        (b'\x1b$B$"\x1b(B', b"iso-2022-jp", "あ"),
        (b"+AOk-", b"utf-7", "é"),
        ("é".encode("utf-16"), b"utf-16", "é"),
        (b"\xe9t\xe9", b"utf-8", "été"),  # it is not what it says
        (b"x" * 200 + b"\xff", b"utf-8", "x" * 200 + "\ufffd"),  # it is, but for one octet
        (b"a\x81", b"none", "a\ufffd"),
        (b"\\u0041", b"unicode_escape", "\\u0041"),
        (b"abc", b"\xff\x00", "abc"),
    ],
)  # fmt: skip
def test_charsets(octets: bytes, charset: bytes | None, text: str) -> None:
    assert decode_charset(octets, charset) == text


def test_cut_in_a_character() -> None:
    assert decode_charset("aé".encode()[:2], b"utf-8", cut=True) == "a"
    assert decode_charset("aé".encode()[:2], b"utf-8") == "aÃ"


def test_every_charset_of_the_table_has_a_codec() -> None:
    for name, codec in _CODECS.items():
        assert known_charset(name.upper())
        assert "a".encode(codec)
    for name in (b"idna", b"punycode", b"base64", b"rot13", b"unicode_escape", b"undefined", b"mbcs", b""):
        assert not known_charset(name)


@given(st.binary(max_size=60), st.sampled_from([None, b"x", *_CODECS]), st.booleans())
def test_any_octets_in_any_charset(octets: bytes, charset: bytes | None, cut: bool) -> None:
    assert isinstance(decode_charset(octets, charset, cut=cut), str)


@given(st.binary(max_size=80) | st.text(alphabet="=?utf-8qb_ \tC3A9", max_size=80).map(str.encode))
def test_any_words(value: bytes) -> None:
    assert isinstance(decode_words(value), str)


@given(st.binary(max_size=100))
def test_base64(octets: bytes) -> None:
    import base64

    text = base64.b64encode(octets)
    assert base64_octets(text) == octets
    assert base64_octets(text.rstrip(b"=")) == octets
    assert base64_octets(b"\r\n*".join([text[:5], text[5:]])) == octets
    assert isinstance(base64_octets(octets), bytes)


def test_extended_parameters() -> None:
    assert decode_extended(b"utf-8'fr'%C3%A9t%C3%A9") == "été"
    assert decode_extended(b"iso-8859-15''%A4") == "€"
    assert decode_extended(b"''a%20b") == "a b"
    assert decode_extended(b"no quotes %41%4") == "no quotes A%4"
    params = ((b"name", b"=?utf-8?q?=C3=A9?="), (b"filename", b"a"), (b"filename*", b"utf-8''%C3%A9"))
    assert decode_parameter(params, b"name") == "é"
    assert decode_parameter(params, b"filename") == "é"
    assert decode_parameter(params, b"x") is None
