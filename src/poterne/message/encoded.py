"""Octets to text: charsets, RFC 2047 encoded words, RFC 2231 extended parameters. Never raises; unknown names are no error.

A charset is tried in this order: what is declared, UTF-8, windows-1252 with replacement characters. Nothing is guessed from
statistics: the detectors take French for Polish or Hebrew. Only charsets of the table below reach a codec; Python knows more of
them, some that are no charsets and some that take quadratic time.
"""

import binascii
import codecs
import re
from typing import Final

from poterne.message.params import extended_octets

MAX_HEADER_BYTES: Final = 64 * 1024
"""Decoded of one header value."""

_CODECS: Final[dict[bytes, str]] = {
    **dict.fromkeys((b"utf-8", b"utf8", b"unicode-1-1-utf-8", b"cp65001"), "utf-8"),
    **dict.fromkeys((b"us-ascii", b"ascii", b"ansi_x3.4-1968", b"iso646-us"), "ascii"),
    # ISO 8859-1 is read as its superset: senders mean windows-1252 (WHATWG Encoding §4.2).
    **dict.fromkeys(
        (b"iso-8859-1", b"iso8859-1", b"iso_8859-1", b"latin1", b"latin-1", b"l1", b"windows-1252", b"cp1252"), "cp1252"
    ),
    **{b"iso-8859-%d" % n: f"iso8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)},
    **{b"iso8859-%d" % n: f"iso8859-{n}" for n in (2, 5, 7, 9, 15)},
    **{b"windows-%d" % n: f"cp{n}" for n in (874, 1250, 1251, 1253, 1254, 1255, 1256, 1257, 1258)},
    **{
        b"cp%d" % n: f"cp{n}"
        for n in (437, 850, 852, 855, 858, 862, 866, 874, 932, 949, 950, 1250, 1251, 1253, 1254, 1255, 1256)
    },
    **{b"ibm%d" % n: f"cp{n}" for n in (437, 850, 852, 855, 858, 862, 866)},
    b"latin2": "iso8859-2",
    b"latin9": "iso8859-15",
    b"iso-8859-8-i": "iso8859-8",
    b"iso-8859-8-e": "iso8859-8",
    b"iso-8859-6-i": "iso8859-6",
    b"koi8-r": "koi8-r",
    b"koi8-u": "koi8-u",
    b"macintosh": "mac-roman",
    b"x-mac-roman": "mac-roman",
    b"tis-620": "iso8859-11",
    b"utf-7": "utf-7",
    b"unicode-1-1-utf-7": "utf-7",
    b"utf-16": "utf-16",
    b"utf-16le": "utf-16-le",
    b"utf-16be": "utf-16-be",
    b"utf-32": "utf-32",
    b"utf-32le": "utf-32-le",
    b"utf-32be": "utf-32-be",
    b"gb2312": "gb18030",
    b"gbk": "gb18030",
    b"gb18030": "gb18030",
    b"cp936": "gb18030",
    b"x-gbk": "gb18030",
    b"hz-gb-2312": "hz",
    b"big5": "big5hkscs",
    b"big5-hkscs": "big5hkscs",
    b"euc-jp": "euc-jp",
    b"iso-2022-jp": "iso2022-jp-ext",
    b"iso-2022-jp-1": "iso2022-jp-1",
    b"iso-2022-jp-2": "iso2022-jp-2",
    b"shift_jis": "cp932",
    b"shift-jis": "cp932",
    b"sjis": "cp932",
    b"x-sjis": "cp932",
    b"windows-31j": "cp932",
    b"euc-kr": "cp949",
    b"ks_c_5601-1987": "cp949",
    b"iso-2022-kr": "iso2022-kr",
}
_ASCII_SUPERSETS: Final = frozenset({None, "ascii", "utf-8", "cp1252"})
_FEW: Final = 50
"""One broken character in so many octets keeps the declared charset."""


def known_charset(charset: bytes) -> bool:
    """Whether text in that charset can be decoded as declared (SEARCH CHARSET answers BADCHARSET otherwise)."""
    return _codec(charset) is not None


def _codec(charset: bytes | None) -> str | None:
    return _CODECS.get(charset.strip(b" \t\"'").lower()) if charset else None


def decode_charset(octets: bytes, charset: bytes | None = None, *, cut: bool = False) -> str:
    """The text of the octets: declared charset, else UTF-8, else windows-1252 with replacement characters.

    `cut`: the octets end anywhere, so an unfinished last character is no error. Always returns.
    """
    declared = _codec(charset)
    if octets.isascii() and declared in _ASCII_SUPERSETS:
        return octets.decode("ascii")
    if declared is not None and (text := _strict(octets, declared, cut=cut)) is not None:
        return text
    if (text := _strict(octets, "utf-8", cut=cut)) is not None:
        return text
    if declared not in {None, "ascii"}:
        text = octets.decode(declared or "utf-8", "replace")
        if text.count("\ufffd") * _FEW <= len(octets):
            return text
    return octets.decode("cp1252", "replace")


def _strict(octets: bytes, codec: str, *, cut: bool) -> str | None:
    try:
        if cut:
            return codecs.getincrementaldecoder(codec)("strict").decode(octets, final=False)
        return octets.decode(codec)
    except (UnicodeError, LookupError):
        return None


_WORD: Final = re.compile(rb"=\?([^?*\s]{1,64})(?:\*[^?\s]{0,64})?\?([bBqQ])\?([^?]*+)\?=")


def decode_words(value: bytes, max_bytes: int = MAX_HEADER_BYTES) -> str:
    """An unfolded header value as text, its encoded words decoded (RFC 2047 §6), at most `max_bytes` of it read.

    White space between two words goes; words of one charset are joined before they are decoded, for a character may be cut in
    two. A word that is broken stays as it is. Text around the words is UTF-8, else windows-1252.
    """
    value = value[:max_bytes]
    if b"=?" not in value:
        return decode_charset(value)
    texts: list[str] = []
    charset: bytes | None = None  # of the words gathered
    gathered: list[bytes] = []
    at = 0
    for match in _WORD.finditer(value):
        gap = value[at : match.start()]
        octets = _word_octets(match[2], match[3])
        joins = bool(gathered) and (not gap or gap.isspace())
        if gathered and not (joins and match[1].lower() == charset):
            texts.append(decode_charset(b"".join(gathered), charset))
            gathered.clear()
        if not joins:
            texts.append(decode_charset(gap))
        charset = match[1].lower()
        gathered.append(octets)
        at = match.end()
    if gathered:
        texts.append(decode_charset(b"".join(gathered), charset))
    texts.append(decode_charset(value[at:]))
    return "".join(texts)


def _word_octets(encoding: bytes, text: bytes) -> bytes:
    if encoding in {b"q", b"Q"}:
        return binascii.a2b_qp(text, header=True)
    return base64_octets(text)


_NOT_BASE64: Final = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))


def base64_octets(text: bytes) -> bytes:
    """What base64 text holds; foreign octets are skipped, padding may lack, the text ends at its padding (RFC 2045 §6.8)."""
    try:
        return binascii.a2b_base64(text)
    except binascii.Error:
        clean = text.translate(None, _NOT_BASE64)
        rest = len(clean) % 4
        if rest == 1:
            clean = clean[:-1]
        return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))


def decode_extended(value: bytes) -> str:
    """The text of an RFC 2231 §4 value `charset'language'percent-encoded`, as `name*` parameters have it."""
    charset, octets = extended_octets(value)
    return decode_charset(octets, charset or None)


def decode_parameter(params: tuple[tuple[bytes, bytes], ...], name: bytes) -> str | None:
    """A parameter as text: `name*` when there is one (RFC 6266 §4.3 gives it precedence), else `name`.

    Encoded words in a parameter are wrong (RFC 2047 §5) and frequent: they are decoded.
    """
    plain: str | None = None
    for key, value in params:
        if key == name + b"*":
            return decode_extended(value)
        if plain is None and key == name:
            plain = decode_words(value)
    return plain
