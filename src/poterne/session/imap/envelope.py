"""The stored ENVELOPE text, read back for SEARCH: RFC 9051 §7.5.2, as our own renderer writes it."""

import re
from typing import Final

_TOKEN: Final = re.compile(rb' *+(?:"([^"\\]*+(?:\\.[^"\\]*+)*+)"|(NIL)|(\()|(\))|\{(\d+)\}\r\n)', re.DOTALL)
_QUOTED, _NIL, _OPENING, _CLOSING, _LITERAL = range(1, 6)
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)

FIELDS: Final = {
    "date": 0,
    "subject": 1,
    "from": 2,
    "sender": 3,
    "reply-to": 4,
    "to": 5,
    "cc": 6,
    "bcc": 7,
    "in-reply-to": 8,
    "message-id": 9,
}
"""Header names whose text an envelope holds, and where."""


class Node(list["Node | bytes | None"]):
    """A parenthesised list."""


def parse(envelope: bytes, members: int = len(FIELDS)) -> Node:
    """The first members of the envelope. What cannot be read is left out: the text is ours, but it comes from a disk."""
    root = Node()
    stack = [root]
    at = 1  # behind the first parenthesis
    while (token := _TOKEN.match(envelope, at)) is not None:
        at = token.end()
        kind = token.lastindex
        if kind == _QUOTED:
            quoted = token[_QUOTED]
            stack[-1].append(_ESCAPED.sub(rb"\1", quoted) if b"\\" in quoted else quoted)
        elif kind == _NIL:
            stack[-1].append(None)
        elif kind == _OPENING:
            inner = Node()
            stack[-1].append(inner)
            stack.append(inner)
            continue
        elif kind == _LITERAL:
            end = at + int(token[_LITERAL])
            stack[-1].append(envelope[at:end])
            at = end
        elif len(stack) == 1:
            break
        else:
            stack.pop()
        if len(stack) == 1 and len(root) >= members:
            break
    return root


def texts(envelope: bytes, field: str) -> list[bytes]:
    """The field's values, undecoded; an address as `name <mailbox@host>`. Empty if the message does not have the field."""
    place = FIELDS[field]
    members = parse(envelope, place + 1)
    return _values(members[place]) if place < len(members) else []


def every_text(envelope: bytes) -> list[bytes]:
    """The values of all fields that it has."""
    return [text for member in parse(envelope) for text in _values(member)]


def _values(value: "Node | bytes | None") -> list[bytes]:
    if value is None:
        return []
    if isinstance(value, bytes):
        return [value]
    return [_address(address) for address in value if isinstance(address, Node)]


def _address(address: Node) -> bytes:
    name, _, mailbox, host = (*(part if isinstance(part, bytes) else None for part in address), None, None, None, None)[
        :4
    ]
    if host is None:
        return (mailbox or b"") + b":" if mailbox else b""
    spec = (mailbox or b"") + b"@" + host
    return name + b" <" + spec + b">" if name else spec
