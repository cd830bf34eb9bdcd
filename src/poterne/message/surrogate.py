"""A header with only ASCII in it, for programs that know no other: what is not ASCII becomes encoded words (RFC 2047).

Texts and names stay readable. An address that is not ASCII can't be answered by such a program, so it is shown as the name of an
empty group (RFC 6858 §2.1, RFC 6854). Elsewhere (parameters, identifiers, trace fields) other octets become "?". What was ASCII
before is left as it is, octet for octet. Always returns, for headers of any content.
"""

import base64
import re
from typing import Final

from poterne.message.address import parse_addresses
from poterne.message.encoded import decode_words
from poterne.message.header import unfold
from poterne.values.mime import MailAddress

_FIELD: Final = re.compile(rb"[^\n]*+\n(?:[ \t][^\n]*+\n)*+|[^\n]++\Z")
_MARKED: Final = bytes(octet if octet < 128 else ord("?") for octet in range(256))
READ_OCTETS: Final = 65_536
"""A longer header is nobody's honest one: in it all other octets become "?"."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_WORD_OCTETS: Final = 33
"""44 of base64, 56 with the frame: fits behind most names of fields."""
_ADDRESSES: Final = frozenset(
    {
        b"from",
        b"sender",
        b"reply-to",
        b"to",
        b"cc",
        b"bcc",
        b"resent-from",
        b"resent-sender",
        b"resent-reply-to",
        b"resent-to",
        b"resent-cc",
        b"resent-bcc",
        b"disposition-notification-to",
    }
)
_TEXTS: Final = frozenset(
    {b"subject", b"comments", b"keywords", b"organization", b"thread-topic", b"content-description"}
)


def surrogate(header: bytes) -> bytes:
    """`header`: fields and the blank line behind them, as stored."""
    if header.isascii():
        return header
    if len(header) > READ_OCTETS:
        return header.translate(_MARKED)
    return b"".join(field if field.isascii() else _field(field) for field in _FIELD.findall(header))


def _field(field: bytes) -> bytes:
    name, colon, value = field.partition(b":")
    folded = name.strip(b" \t").lower()
    if colon and name.isascii():
        if folded in _TEXTS or folded.startswith(b"x-"):
            return name + b": " + _words(decode_words(unfold(value).strip())) + b"\r\n"
        if folded in _ADDRESSES and (listed := _addresses(unfold(value))):
            return name + b": " + listed + b"\r\n"
    return field.translate(_MARKED)


def _addresses(value: bytes) -> bytes:
    """Empty when it can't be read."""
    found = parse_addresses(value)
    return b",\r\n ".join(_address(one) for one in found.addresses if one.host is not None)


def _address(one: MailAddress) -> bytes:
    name = decode_words(one.name) if one.name else ""
    mailbox, host = one.mailbox or b"", one.host or b""
    address = mailbox + b"@" + host if host else mailbox
    if not address.isascii():
        text = address.decode("utf-8", "replace")
        return _words(f"{name} {text}".strip()) + b" :;"
    return (_words(name) + b"\r\n <" if name else b"<") + address + b">"


def _words(text: str) -> bytes:
    """Encoded words, folded; a character is never cut (RFC 2047 §5)."""
    words: list[bytes] = []
    piece = b""
    for character in _CONTROL.sub(" ", text):
        octets = character.encode("utf-8", "replace")
        if len(piece) + len(octets) > _WORD_OCTETS:
            words.append(piece)
            piece = b""
        piece += octets
    words.append(piece)
    return b"\r\n ".join(b"=?utf-8?b?" + base64.b64encode(word) + b"?=" for word in words)
