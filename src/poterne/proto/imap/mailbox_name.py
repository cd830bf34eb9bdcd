"""Mailbox names: on the wire modified UTF-7 (RFC 3501 §5.1.3), or UTF-8 once enabled (RFC 9051 §5.1); here NFC text."""

import binascii
import encodings.utf_16_be
import re
import unicodedata
from typing import Final

from poterne.proto.imap.strings import astring

_ = encodings.utf_16_be
"""Here from the start: a server that has given up its rights may not be able to read Python's files any more."""
MAX_NAME_BYTES: Final = 1000
"""Longer names are refused: nobody types them, each level costs a row, and clients truncate paths at about this length."""

_SHIFTED: Final = re.compile(rb"&([^-]*)-")
_PLAIN: Final = re.compile(rb"[ -%'-~]*").fullmatch
_NEEDS_SHIFT: Final = re.compile(r"[^ -~]+")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]").search


class NameSyntaxError(ValueError):
    """The bytes are no mailbox name."""


def parse(wire: bytes, *, utf8: bool) -> str:
    """The name as NFC text, INBOX in capitals. Raises NameSyntaxError for bad UTF-7, bad UTF-8 and controls (RFC 5198)."""
    if len(wire) > MAX_NAME_BYTES:
        raise NameSyntaxError("too long")
    if not utf8:
        name = decode_utf7(wire)
    else:
        try:
            name = wire.decode("utf-8")
        except UnicodeDecodeError:
            raise NameSyntaxError("not UTF-8") from None
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)
    if _CONTROL(name):
        raise NameSyntaxError("control character")
    if name[:5].upper() == "INBOX" and (len(name) == 5 or name[5] == "/"):
        return "INBOX" + name[5:]
    return name


def render(name: str, *, utf8: bool) -> bytes:
    """The name as an astring for a response. In UTF-8 mode a name outside ASCII is a quoted string (RFC 9051 §4.3)."""
    if not utf8 or name.isascii():
        return astring(name.encode("ascii") if utf8 else encode_utf7(name))
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return b'"%b"' % escaped.encode("utf-8", "replace")


def encode_utf7(name: str) -> bytes:
    """Modified UTF-7: printable ASCII as it is, "&" as "&-", the rest as shifted base64 of UTF-16."""
    name = name.replace("&", "&-")
    if name.isascii() and name.isprintable():
        return name.encode("ascii")
    return _NEEDS_SHIFT.sub(_shift, name).encode("ascii")


def _shift(found: re.Match[str]) -> str:
    wide = found[0].encode("utf-16-be", "replace")
    coded = binascii.b2a_base64(wide, newline=False).rstrip(b"=").replace(b"/", b",")
    return f"&{coded.decode('ascii')}-"


def decode_utf7(wire: bytes) -> str:
    """The reverse, strictly: each name has one encoding only, so that none passes a check under another spelling.

    Refused (RFC 3501 §5.1.3): 8-bit and control octets, base64 of printable ASCII, superfluous bits or padding, two shifts
    in a row, half surrogates.
    """
    if _PLAIN(wire):
        return wire.decode("ascii")
    pieces: list[str] = []
    at = 0
    for shifted in _SHIFTED.finditer(wire):
        pieces.extend((_direct(wire[at : shifted.start()]), _unshift(shifted[1])))
        at = shifted.end()
    pieces.append(_direct(wire[at:]))
    name = "".join(pieces)
    if encode_utf7(name) != wire:
        raise NameSyntaxError("not the canonical modified UTF-7")
    return name


def _direct(text: bytes) -> str:
    if not _PLAIN(text):
        raise NameSyntaxError("not modified UTF-7")
    return text.decode("ascii")


def _unshift(coded: bytes) -> str:
    if not coded:
        return "&"
    padded = coded.replace(b",", b"/") + b"=" * (-len(coded) % 4)
    try:
        return binascii.a2b_base64(padded, strict_mode=True).decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        raise NameSyntaxError("bad base64 in modified UTF-7") from None
