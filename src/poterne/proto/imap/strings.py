"""Strings as IMAP writes them: quoted where that is allowed, else a literal. What comes out can always be parsed again."""

import re
from typing import Final

plain: Final = re.compile(rb"[ !#-\[\]-~]{0,1000}").fullmatch
"""Printable ASCII without `"` and `\\`: may stand between quotes as it is. Longer ones are literals, for old clients' sake."""
_QUOTABLE: Final = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]{0,1000}").fullmatch
"""TEXT-CHAR of RFC 9051 §9 that is ASCII."""
_SPECIAL: Final = re.compile(rb'["\\]')
is_atom: Final = re.compile(rb"[!#$&'+-\[^-z|}~]{1,1000}").fullmatch


def string(value: bytes) -> bytes:
    r"""`value` as `string` of RFC 9051 §9. With CR, LF or 8-bit octets it is a literal (RFC 3501 has no UTF-8 in quotes).

    NUL, which only literal8 may hold and no client expects here, becomes "?" (RFC 9051 §9, note 3).
    """
    if plain(value):
        return b'"%b"' % value
    if _QUOTABLE(value):
        return b'"%b"' % _SPECIAL.sub(rb"\\\g<0>", value)
    if 0 in value:
        value = value.replace(b"\0", b"?")
    return b"{%d}\r\n%b" % (len(value), value)


def nstring(value: bytes | None) -> bytes:
    """`value` as `string`, None as NIL."""
    return b"NIL" if value is None else string(value)


def nstring8(value: bytes | None) -> bytes:
    """`value` as `nstring`, or as literal8 where it holds NUL (RFC 5464 §5)."""
    if value is not None and 0 in value:
        return b"~{%d}\r\n%b" % (len(value), value)
    return nstring(value)


def astring(value: bytes) -> bytes:
    """`value` as an atom where it can be one, else as `string`. "NIL" is quoted, so that nobody takes it for nothing."""
    if is_atom(value) and value.upper() != b"NIL":
        return value
    return string(value)
