"""Does a message hold a text? Headers and bodies, decoded only where the undecoded octets cannot settle it."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from poterne.message.decode import MAX_TEXT_BYTES, fold, part_text, searchable_header
from poterne.message.header import index
from poterne.message.params import find
from poterne.session.imap import envelope
from poterne.store.interface import Blobs
from poterne.values.mailbox import ContentRow
from poterne.values.mime import Part

MAX_HEADER_BYTES: Final = 256 * 1024
"""Of one header block that is searched."""
_IDENTITY: Final = frozenset({b"7bit", b"8bit", b"binary"})
_SUBJECT: Final = re.compile(rb'\((?:NIL|"[^"\\]*+") "([^"\\]*+)" ').match
"""An envelope's subject where nothing is escaped: nearly always."""
_ASCII_BASED: Final = re.compile(
    rb"(?i:(?:us-)?ascii|utf-?8|iso-?8859-?[0-9]+|latin-?[0-9]|windows-125[0-9]|cp125[0-9]|koi8-[ru]|gb2312|gbk|gb18030|euc-kr)?"
).fullmatch
"""Charsets in which ASCII octets are ASCII characters, whatever stands before them."""
_OCTETWISE: Final = re.compile(
    rb"(?i:(?:us-)?ascii|utf-?8|iso-?8859-?[0-9]+|latin-?[0-9]|windows-125[0-9]|cp125[0-9]|koi8-[ru])?"
).fullmatch
"""Those of them in which no ASCII octet is ever a part of another character."""
_PIECE_BYTES: Final = 1024 * 1024
_PIECE_CHARS: Final = 16 * 1024
"""Folding takes some milliseconds for so many of the dearest characters. A multiple of the slices of `fold`."""
_decode_part: Final = msgspec.msgpack.Decoder(Part).decode


class Needle:
    """A string to look for, folded; and what its octets look like in undecoded ASCII text."""

    __slots__ = ("ascii", "octets", "plain", "text")

    def __init__(self, text: str) -> None:
        self.text: Final = fold(text)
        self.octets: Final = self.text.encode("utf-8", "surrogatepass")
        self.ascii: Final = self.text.isascii()
        self.plain: Final = bool(text) and not any(octet in self.octets for octet in b'"\\<>@ ')
        """No octet that quoting hides, or that only a composed `name <mailbox@host>` has."""

    def may_be_in(self, octets: bytes) -> bool:
        """False only if the string cannot be in the decoded text of these octets."""
        if not octets.isascii() or b"=?" in octets:
            return True
        return self.octets in octets.lower()

    def is_in_header(self, value: bytes) -> bool:
        if value.isascii() and b"=?" not in value:
            return self.octets in value.lower()
        return self.text in searchable_header(value)


def in_envelope(row: ContentRow, name: str, needle: Needle) -> bool:
    """Does the envelope's field hold it? An empty string asks whether the message has the field."""
    stored = row.envelope
    if needle.plain and not needle.may_be_in(stored):
        return False
    if name == "subject" and (simple := _SUBJECT(stored)) is not None:
        return needle.is_in_header(simple[1])
    found = envelope.texts(stored, name)
    if not needle.text:
        return bool(found)
    return any(needle.is_in_header(value) for value in found)


def header_block(blobs: Blobs, row: ContentRow) -> bytes:
    return blobs.head(row.blob, min(row.header_size, MAX_HEADER_BYTES))


def in_header(blobs: Blobs, row: ContentRow, name: str, needle: Needle) -> bool:
    """Does one of the header fields of this name hold it?"""
    block = header_block(blobs, row)
    wanted = name.encode("ascii", "replace")
    if wanted not in block.lower():
        return False
    found = index(block).values(wanted)
    if not needle.text:
        return bool(found)
    return any(needle.is_in_header(value) for value in found)


def in_whole_header(block: bytes, needle: Needle) -> bool:
    """TEXT looks at every field, names included (RFC 9051 §6.4.4)."""
    if not needle.may_be_in(block) and b"\r\n " not in block and b"\r\n\t" not in block:
        return False
    found = index(block)
    return any(
        needle.text in searchable_header(block[field.name_start : field.value_start] + b" " + found.unfolded(field))
        for field in found.fields
    )


def in_message(blobs: Blobs, row: ContentRow, needle: Needle, *, header: bool) -> Iterator[bool]:
    """Is it in the body; with `header`, in the header or the body? Text parts are decoded, others passed over.

    True as soon as it is found; False after each piece of work, so that the caller can give way: messages may be large.
    """
    if header:
        yield in_whole_header(header_block(blobs, row), needle)
    root = _decode_part(row.parsed)
    for part, is_root in _parts(root):
        if part.type == b"text":
            yield from _in_text(blobs, row, part, needle)
        elif part.message is not None and not is_root:
            inner = part.message
            end = min(inner.body_start, inner.header_start + MAX_HEADER_BYTES)
            yield in_whole_header(blobs.read(row.blob, inner.header_start, end), needle)


def is_plain(part: Part) -> bool:
    """As long as its octets are ASCII, they are its text."""
    return part.encoding in _IDENTITY and _ASCII_BASED(find(part.params, b"charset") or b"") is not None


def octetwise(part: Part) -> bool:
    """ASCII octets in its body are always characters of its text."""
    return part.encoding in _IDENTITY and _OCTETWISE(find(part.params, b"charset") or b"") is not None


def _in_text(blobs: Blobs, row: ContentRow, part: Part, needle: Needle) -> Iterator[bool]:
    start, end = part.body_start, part.body_end
    if is_plain(part):
        # Nearly all mail: as long as the octets are ASCII there is nothing to decode.
        overlap = max(0, len(needle.octets) - 1)
        at = start
        while True:
            body = blobs.read(row.blob, at, min(at + _PIECE_BYTES, end))
            if not body.isascii():
                if needle.ascii and octetwise(part) and needle.octets in body.lower():
                    yield True  # it is there as it stands; that it is not would have to be read letter by letter
                    return
                break
            yield needle.octets in body.lower()
            at += _PIECE_BYTES - overlap
            if at + overlap >= end:
                return
    body = blobs.read(row.blob, start, min(end, start + 2 * MAX_TEXT_BYTES))
    text = part_text(body, part)
    overlap = len(needle.text) - 1
    tail = ""
    for at in range(0, len(text), _PIECE_CHARS):
        folded = tail + fold(text[at : at + _PIECE_CHARS])
        yield needle.text in folded
        tail = folded[-overlap:] if overlap > 0 else ""


def _parts(root: Part) -> Iterator[tuple[Part, bool]]:
    """Every part, embedded ones included, without recursion."""
    stack = [root]
    while stack:
        part = stack.pop()
        yield part, False
        stack.extend(reversed(part.children))
        if part.message is not None:
            stack.append(part.message)
