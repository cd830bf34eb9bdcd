"""`value; name=value; …` of Content-Type and Content-Disposition: RFC 2045 §5.1, RFC 2183 §2, RFC 2231.

Tolerant, because clients want to see what is there: comments are dropped, a quote that nobody closed ends with the field,
an unquoted value may hold spaces and ends at `;`. Time is linear in the value, and the number of parameters is bounded.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

MAX_PARAMS: Final = 128
"""Enough for RFC 2231 file names of several KiB; a hostile field has 10,000."""

MAX_COMMENT_EDGES: Final = 256
"""Parentheses read of one value; real fields have two."""

_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)
_PARAM: Final = re.compile(
    rb""";\s*+([^\s=;"]++)\s*+=\s*+(?:"([^"\\]*+(?:\\.[^"\\]*+)*)"?[^;]*+|([^;]*+))""",
    re.DOTALL,
)
"""Name, quoted value, bare value. What follows a closing quote up to `;` is junk and is dropped."""
_SECTION: Final = re.compile(rb"([^*]+)\*(?:(0|[1-9][0-9]{0,3})(\*)?)?")
_ATTRIBUTE_CHARS: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`{|}~")


class Parametered(NamedTuple):
    """A field's value (lower case) and its parameters: names lower case, RFC 2231 pieces joined, in order."""

    value: bytes
    params: tuple[tuple[bytes, bytes], ...]
    complete: bool
    """False when there were more parameters than the limit."""


def parse(field: bytes, max_params: int = MAX_PARAMS) -> Parametered:
    """The value and parameters of an unfolded field. Always returns; RFC 2045 §5.1."""
    if b"(" in field:
        field = without_comments(field)
    value, semicolon, _ = field.partition(b";")
    lowered = value.strip().lower()
    if not semicolon:
        return Parametered(lowered, (), complete=True)
    params: list[tuple[bytes, bytes]] = []
    continued = complete = False
    for name, quoted, bare in _PARAM.findall(field, len(value)):
        if len(params) >= max_params:
            break
        if quoted and b"\\" in quoted:
            quoted = _QUOTED_PAIR.sub(rb"\1", quoted)
        params.append((name.lower(), quoted or bare.strip()))
        continued = continued or b"*" in name
    else:
        complete = True
    return Parametered(lowered, tuple(_joined(params) if continued else params), complete)


_COMMENT_TOKEN: Final = re.compile(rb"\\.|[()]", re.DOTALL)
_TEXT_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*"?|\(|\\.', re.DOTALL)


def without_comments(value: bytes) -> bytes:
    """The value with each RFC 5322 §3.2.2 comment replaced by a space; an open comment ends with the value.

    Quotes count outside comments only, so two token sets are needed. Behind `MAX_COMMENT_EDGES` comments stay.
    """
    kept: list[bytes] = []
    depth = 0
    start = at = 0
    for _ in range(MAX_COMMENT_EDGES):
        match = (_COMMENT_TOKEN if depth else _TEXT_TOKEN).search(value, at)
        if match is None:
            break
        token = value[match.start()]
        at = match.end()
        if token == 0x28:
            if not depth:
                kept.append(value[start : match.start()])
            depth += 1
        elif token == 0x29:
            depth -= 1
            start = at
    if not depth:
        kept.append(value[start:])
    return b" ".join(kept)


def _joined(params: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """RFC 2231 §3: `name*0`, `name*1*` … become one `name` (or `name*` when a piece is extended) where the first stood.

    Pieces count up from 0; what comes after a gap is dropped, of two pieces with one number the first stays.
    """
    pieces: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    order: list[tuple[bytes, bytes | None]] = []
    for name, value in params:
        match = _SECTION.fullmatch(name)
        if match is None or match[2] is None:
            order.append((name, value))
            continue
        base = match[1]
        if base not in pieces:
            pieces[base] = {}
            order.append((base, None))
        pieces[base].setdefault(int(match[2]), (value, match[3] is not None))
    return [(name, value) if value is not None else _join_one(name, pieces[name]) for name, value in order]


def _join_one(name: bytes, pieces: dict[int, tuple[bytes, bool]]) -> tuple[bytes, bytes]:
    run: list[tuple[bytes, bool]] = []
    while len(run) in pieces:
        run.append(pieces[len(run)])
    if not any(extended for _, extended in run):
        return name, b"".join(value for value, _ in run)
    # An extended piece makes the whole value extended; plain pieces are encoded, so that one decoding serves all.
    joined = b"".join(value if extended else _percent_encoded(value) for value, extended in run)
    return name + b"*", joined if run[0][1] else b"''" + joined


def _percent_encoded(value: bytes) -> bytes:
    return b"".join(b"%c" % octet if octet in _ATTRIBUTE_CHARS else b"%%%02X" % octet for octet in value)


def find(params: tuple[tuple[bytes, bytes], ...], name: bytes) -> bytes | None:
    """The first parameter of that lower-case name as bytes; the extended form `name*` counts, percent-decoded."""
    extended: bytes | None = None
    for key, value in params:
        if key == name:
            return value
        if extended is None and key == name + b"*":
            extended = value
    return None if extended is None else extended_octets(extended)[1]


def extended_octets(value: bytes) -> tuple[bytes, bytes]:
    """Charset name (lower case, may be empty) and octets of an RFC 2231 §4 value `charset'language'percent-encoded`."""
    charset, quote, rest = value.partition(b"'")
    _, second, text = rest.partition(b"'")
    if not quote or not second:
        return b"", unquote_to_bytes(value)
    return charset.strip().lower(), unquote_to_bytes(text)
