"""Where the octets of a BODY[…] or BINARY[…] item are, and how they are read: ranges of the blob, never the whole message."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from poterne.message.header import select, select_not
from poterne.message.section import SectionKind, find_part, resolve
from poterne.proto.imap.items import Binary, BinarySize, BodySection, Partial, SectionText
from poterne.session.imap import binary
from poterne.store.interface import Blobs
from poterne.values.ids import BlobId
from poterne.values.mailbox import ContentRow
from poterne.values.mime import Part

READ_AT_ONCE: Final = 262_144
"""Longer sections go out in pieces of this size."""
MAX_HEADER_BYTES: Final = 1024 * 1024
"""Of a header whose fields are selected."""

decode_part: Final = msgspec.msgpack.Decoder(Part).decode

_KINDS: Final = {
    SectionText.ALL: SectionKind.BODY,
    SectionText.HEADER: SectionKind.HEADER,
    SectionText.FIELDS: SectionKind.HEADER,
    SectionText.FIELDS_NOT: SectionKind.HEADER,
    SectionText.TEXT: SectionKind.TEXT,
    SectionText.MIME: SectionKind.MIME,
}


class UnknownEncodingError(Exception):
    """A transfer encoding that BINARY cannot remove (RFC 3516 §4.3)."""


@dataclass(frozen=True, slots=True)
class Range:
    """Octets [start, end) of the blob, still to be read."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """`size` octets of a part without its transfer encoding, from `offset`, still to be decoded."""

    part: Part
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Encoded:
    """A long part of which nobody knows yet how many octets it has without its transfer encoding: ask `measure`."""

    part: Part
    item: Binary | BinarySize


Source = bytes | int | Range | Decoded | Encoded | None
"""Octets at hand, a number (BINARY.SIZE), octets to come, or None: there is no such part."""


def needs_parts(items: Sequence[BodySection | Binary | BinarySize]) -> bool:
    """Must the message's structure be known for these? Not for what lies at its header's end."""
    return any(item.path or not isinstance(item, BodySection) for item in items)


Reader = Callable[[ContentRow, Part | None], Source]


def reader(blobs: Blobs, item: BodySection | Binary | BinarySize) -> Reader:
    """A function that says what the item gives for a message. It raises UnavailableError, UnknownEncodingError."""
    if not isinstance(item, BodySection):
        return lambda row, root: _binary(blobs, row, root, item)
    if item.path or item.partial is not None:
        return lambda row, root: _section(blobs, row, root, item)
    read, head = blobs.read, blobs.head
    match item.text:  # the usual ones, without a detour
        case SectionText.ALL:
            return lambda row, _: read(row.blob) if row.blob.size <= READ_AT_ONCE else Range(0, row.blob.size)
        case SectionText.HEADER:
            return lambda row, _: (
                head(row.blob, row.header_size) if row.header_size <= READ_AT_ONCE else Range(0, row.header_size)
            )
        case SectionText.FIELDS:
            names = frozenset(item.fields)
            return lambda row, _: select(head(row.blob, min(row.header_size, MAX_HEADER_BYTES)), names)
        case _:
            return lambda row, root: _section(blobs, row, root, item)


def _section(blobs: Blobs, row: ContentRow, root: Part | None, item: BodySection) -> Source:
    where = _of_root(row, item.text) if root is None or not item.path else resolve(root, item.path, _KINDS[item.text])
    if where is None:
        return None
    start, end = where
    if item.text in {SectionText.FIELDS, SectionText.FIELDS_NOT}:
        block = blobs.read(row.blob, start, min(end, start + MAX_HEADER_BYTES))
        names = frozenset(item.fields)
        chosen = select(block, names) if item.text is SectionText.FIELDS else select_not(block, names)
        return chosen if item.partial is None else _cut(chosen, item.partial)
    if item.partial is not None:
        start = min(start + item.partial.offset, end)
        end = min(start + item.partial.count, end)
    return blobs.read(row.blob, start, end) if end - start <= READ_AT_ONCE else Range(start, end)


def _cut(octets: bytes, partial: Partial) -> bytes:
    return octets[partial.offset : partial.offset + partial.count]


def _of_root(row: ContentRow, text: SectionText) -> tuple[int, int] | None:
    match text:
        case SectionText.ALL:
            return 0, row.blob.size
        case SectionText.TEXT:
            return row.header_size, row.blob.size
        case SectionText.MIME:
            return None
        case _:
            return 0, row.header_size


def _binary(blobs: Blobs, row: ContentRow, root: Part | None, item: Binary | BinarySize) -> Source:
    if not item.path:  # the message itself has no transfer encoding to remove
        size = row.blob.size
        if isinstance(item, BinarySize):
            return size
        start, end = 0, size
        if item.partial is not None:
            start = min(item.partial.offset, size)
            end = min(start + item.partial.count, size)
        return blobs.read(row.blob, start, end) if end - start <= READ_AT_ONCE else Range(start, end)
    part = None if root is None else find_part(root, item.path)
    if part is None:
        return None
    if part.type == b"multipart" or binary.decoder(part.encoding) is None:
        raise UnknownEncodingError
    if part.size > READ_AT_ONCE:
        return Encoded(part, item)
    octets = b"".join(decoded(blobs, row.blob, part))
    if isinstance(item, BinarySize):
        return len(octets)
    return octets if item.partial is None else _cut(octets, item.partial)


async def measure(blobs: Blobs, blob: BlobId, encoded: Encoded) -> int | Decoded:
    """Decode a long part once, to know its size. Others get a turn after each piece."""
    whole = 0
    for piece in decoded(blobs, blob, encoded.part):
        whole += len(piece)
        await asyncio.sleep(0)
    item = encoded.item
    if isinstance(item, BinarySize):
        return whole
    offset, count = (0, whole) if item.partial is None else (item.partial.offset, item.partial.count)
    return Decoded(encoded.part, offset, max(0, min(count, whole - offset)))


def decoded(blobs: Blobs, blob: BlobId, part: Part) -> Iterator[bytes]:
    """The part's octets without transfer encoding, in pieces."""
    decoder = binary.decoder(part.encoding)
    if decoder is None:
        return
    for start in range(part.body_start, part.body_end, READ_AT_ONCE):
        yield decoder.feed(blobs.read(blob, start, min(start + READ_AT_ONCE, part.body_end)))
    yield decoder.finish()
