"""The stored ENVELOPE text, read back for SEARCH: RFC 9051 §7.5.2, as our own renderer writes it."""

import re
from typing import Final

_TOKEN: Final = re.compile(rb' *(?:(\()|(\))|(NIL)|"((?:[^"\\]|\\.)*)"|\{(\d+)\}\r\n)', re.DOTALL)
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)

Value = "bytes | None | list[Value]"

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


def parse(envelope: bytes) -> Node:
    """The members of the envelope. What cannot be read is left out: the text is ours, but it comes from a disk."""
    root = Node()
    stack = [root]
    at = 0
    while (token := _TOKEN.match(envelope, at)) is not None:
        at = token.end()
        opening, closing, nil, quoted, size = token.groups()
        if opening:
            inner = Node()
            stack[-1].append(inner)
            stack.append(inner)
        elif closing:
            if len(stack) == 1:
                break
            stack.pop()
        elif nil:
            stack[-1].append(None)
        elif size is not None:
            end = at + int(size)
            stack[-1].append(envelope[at:end])
            at = end
        else:
            stack[-1].append(_ESCAPED.sub(rb"\1", quoted) if b"\\" in quoted else quoted)
    top = root[0] if root else None
    return top if isinstance(top, Node) else Node()


def texts(envelope: bytes, field: str) -> list[bytes]:
    """The field's values, undecoded; an address as `name <mailbox@host>`. Empty if the message does not have the field."""
    members = parse(envelope)
    place = FIELDS[field]
    value = members[place] if place < len(members) else None
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
