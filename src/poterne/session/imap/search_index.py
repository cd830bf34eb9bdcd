"""The words of a message for the index of texts, and what the index spares a SEARCH.

What is gathered here has to be what `texts` looks at, or more: a word that is missing hides a message. `tests/unit` holds the two
against each other.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from poterne.message.decode import fold, part_text, searchable_header
from poterne.message.header import index
from poterne.session.imap import bits, envelope, texts
from poterne.session.imap.bits import Bits
from poterne.session.pending import View
from poterne.store.interface import Blobs, Store
from poterne.values.mailbox import ContentRow, Mailbox
from poterne.values.mime import Part
from poterne.values.search import Words

MOST_BYTES: Final = 2 * 1024 * 1024
"""Text of one message that is read for the index; one with more is looked into by each search."""
FEW: Final = 8
"""So many messages are as well read."""
_LONG_FIELD: Final = 32 * 1024
"""Of longer fields, which parts are decoded depends on where the reading begins."""
_PIECE_CHARS: Final = 16 * 1024
_decode_part: Final = msgspec.msgpack.Decoder(Part).decode


def narrowed(
    store: Store, mailbox: Mailbox, view: View, text: str, within: Bits, *, header: bool = False, body: bool = False
) -> Bits:
    """The positions whose messages may hold the folded text; the others need not be read."""
    if within.bit_count() <= FEW:
        return within
    found = store.may_hold(mailbox, text.encode("utf-8", "surrogatepass"), header=header, body=body)
    return within if found is None else within & bits.of_spans(view.spans_of(found), len(view))


def read_words(blobs: Blobs, row: ContentRow, words: Words) -> Iterator[None]:
    """All words of the message, in small steps. Raises UnavailableError for one that is damaged."""
    for value in envelope.every_text(row.envelope):
        words.header.update(_value(value))
    block = texts.header_block(blobs, row)
    words.incomplete |= not _gather_header(block, words.header)
    yield
    left = MOST_BYTES
    stack = [_decode_part(row.parsed)]
    while stack and not words.incomplete:
        part = stack.pop()
        if part.type == b"text":
            left -= part.size
            if left < 0:
                words.incomplete = True
                return
            yield from _gather_text(blobs, row, part, words.body)
        elif part.message is not None:
            inner = part.message
            end = min(inner.body_start, inner.header_start + texts.MAX_HEADER_BYTES)
            words.incomplete |= not _gather_header(blobs.read(row.blob, inner.header_start, end), words.body)
            yield
        stack.extend(part.children)
        if part.message is not None:
            stack.append(part.message)


def _gather_header(block: bytes, into: set[bytes]) -> bool:
    """False: it has fields too long to say."""
    found = index(block)
    for field in found.fields:
        value = found.unfolded(field)
        if len(value) > _LONG_FIELD:
            return False
        name = block[field.name_start : field.value_start]
        if name.isascii() and value.isascii() and b"=?" not in value and b"=?" not in name:
            into.update((name + b" " + value).lower().split())
        else:
            # Alone, as HEADER reads it, and with its name, as TEXT does: what is next to it may change how it is decoded.
            into.update(_value(value))
            into.update(_octets(searchable_header(name + b" " + value)))
    return True


def _value(value: bytes) -> list[bytes]:
    plain = value.isascii() and b"=?" not in value
    return value.lower().split() if plain else _octets(searchable_header(value))


def _octets(folded: str) -> list[bytes]:
    return folded.encode("utf-8", "surrogatepass").split()


def _gather_text(blobs: Blobs, row: ContentRow, part: Part, into: set[bytes]) -> Iterator[None]:
    body = blobs.read(row.blob, part.body_start, part.body_end)
    if texts.is_plain(part) and body.isascii():
        into.update(body.lower().split())
        yield
        return
    text = part_text(body, part)
    yield
    # Text is cut at white space that every way of folding leaves alone, so that no word is cut.
    tail = b""
    for at in range(0, len(text), _PIECE_CHARS):
        folded = tail + fold(text[at : at + _PIECE_CHARS]).encode("utf-8", "surrogatepass")
        found = folded.split()
        tail = found.pop() if found and not folded[-1:].isspace() else b""
        into.update(found)
        yield
    if tail:
        into.add(tail)
