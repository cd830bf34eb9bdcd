"""What SORT and THREAD compare, from the stored envelope (RFC 5256 §3, RFC 5957 §3) and the header's References.

Nearly all envelopes have nothing escaped: then one regular expression finds the field, and nothing is parsed. Strings are
compared as the collation i;unicode-casemap does (RFC 5256 §6, RFC 5051): in capitals, decomposed, by code point.
"""

import re
from functools import lru_cache
from typing import Final

from poterne.message.decode import fold, header_text
from poterne.message.entity import message_ids
from poterne.message.header import unfold
from poterne.session.imap import envelope
from poterne.session.imap.base_subject import Subject, base_subject

MAX_REFERENCES: Final = 100
"""Of one message: the first and the newest."""

_TEXT: Final = rb'(?:NIL|"[^"\\]*+")'
_LIST: Final = rb"(?:NIL|\((?:\(%b %b %b %b\))++\))" % (_TEXT, _TEXT, _TEXT, _TEXT)
_ADDRESS: Final = rb'(?:NIL|\(\((?:NIL|"([^"\\]*+)") %b (?:NIL|"([^"\\]*+)") (?:NIL|"([^"\\]*+)")\))' % _TEXT
_HEAD: Final = rb"\(%b %b " % (_TEXT, _TEXT)
_SUBJECT: Final = re.compile(rb'\(%b (?:NIL|"([^"\\]*+)") ' % _TEXT).match
_FIRST: Final = {
    "from": re.compile(_HEAD + _ADDRESS).match,
    "to": re.compile(_HEAD + (_LIST + b" ") * 3 + _ADDRESS).match,
    "cc": re.compile(_HEAD + (_LIST + b" ") * 4 + _ADDRESS).match,
}
_FIELD: Final = re.compile(rb"references[ \t]*+:((?:[^\r\n]++|\r\n[ \t])*+)", re.IGNORECASE).match
_CACHED: Final = 16_384
_SHORT: Final = 200
"""Subjects up to this length are remembered: those of a thread are alike."""

Address = tuple[bytes | None, bytes | None, bytes | None]
"""Display name, mailbox, host."""


def collated(value: str) -> str:
    return value.upper() if value.isascii() else fold(value).upper()


def _text(value: bytes) -> str:
    """An undecoded header value, to be compared."""
    if value.isascii() and b"=?" not in value:
        return value.decode("ascii").upper()
    return collated(header_text(value))


def subject(stored: bytes) -> Subject:
    """The base subject, to be compared."""
    found = _SUBJECT(stored)
    value = next(iter(envelope.texts(stored, "subject")), b"") if found is None else found[1] or b""
    return _known_base(value) if len(value) <= _SHORT else _base(value)


def _base(value: bytes) -> Subject:
    base = base_subject(value.decode("ascii") if value.isascii() and b"=?" not in value else header_text(value))
    return Subject(collated(base.base), base.is_reply)


_known_base: Final = lru_cache(maxsize=_CACHED)(_base)


def _first_address(stored: bytes, field: str) -> Address:
    found = _FIRST[field](stored)
    if found is not None:
        return found[1], found[2], found[3]
    place = envelope.FIELDS[field]
    members = envelope.parse(stored, place + 1)
    addresses = members[place] if place < len(members) else None
    first = addresses[0] if isinstance(addresses, envelope.Node) and addresses else None
    if not isinstance(first, envelope.Node):
        return None, None, None
    parts = [part if isinstance(part, bytes) else None for part in first]
    name, _, mailbox, host = (*parts, None, None, None, None)[:4]
    return name, mailbox, host


def mailbox(stored: bytes, field: str) -> str:
    """SORT FROM, TO, CC: addr-mailbox of the first address."""
    return collated((_first_address(stored, field)[1] or b"").decode("utf-8", "replace"))


def display(stored: bytes, field: str) -> str:
    """SORT DISPLAYFROM, DISPLAYTO."""
    name, local, host = _first_address(stored, field)
    if name and (shown := _text(name)):
        return shown
    if local is not None and host is not None:
        local = local + b"@" + host
    return collated((local or b"").decode("utf-8", "replace"))


def identity(block: bytes, stored: bytes) -> tuple[int | None, tuple[int, ...]]:
    """What a message is called and what it refers to: References, else the first of In-Reply-To (RFC 5256 §3).

    `block` is its header. None: no Message-ID.
    """
    in_reply_to, own = _last_members(stored)
    own_ids = message_ids(own)
    ids = _references(block) or message_ids(in_reply_to)[:1]
    if len(ids) > MAX_REFERENCES:
        ids = ids[:1] + ids[1 - MAX_REFERENCES :]
    return _hash(own_ids[0]) if own_ids else None, tuple([_hash(one) for one in ids])


def _last_members(stored: bytes) -> tuple[bytes, bytes]:
    """In-Reply-To and Message-ID. Where they have neither space nor anything escaped, which is the rule, nothing is parsed."""
    rest, _, own = stored[:-1].rpartition(b" ")
    _, _, before = rest.rpartition(b" ")
    if b"\\" not in own and b"\\" not in before and _is_simple(own) and _is_simple(before):
        return before.strip(b'"'), own.strip(b'"')
    return tuple([next(iter(envelope.texts(stored, name)), b"") for name in ("in-reply-to", "message-id")])  # type: ignore[return-value]


def _is_simple(member: bytes) -> bool:
    return member == b"NIL" or (member[:2] == b'"<' and member[-2:] == b'>"')


def _references(block: bytes) -> list[bytes]:
    lower = block.lower()
    at = 0 if lower.startswith(b"references") else lower.find(b"\r\nreferences") + 2
    while at != 1:
        found = _FIELD(block, at)
        if found is not None:
            return message_ids(unfold(found[1]))
        at = lower.find(b"\r\nreferences", at) + 2
    return []


def _hash(identifier: bytes) -> int:
    """Quotes around the left side say nothing (RFC 5256 §3)."""
    if identifier[:1] == b'"':
        left, quote, right = identifier[1:].rpartition(b'"')
        if quote:
            identifier = re.sub(rb"\\(.)", rb"\1", left, flags=re.DOTALL) + right
    return hash(identifier)
