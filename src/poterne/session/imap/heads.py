"""FETCH of headers, or of some of their fields, for a page of messages: what mail programs ask first, of thousands at once."""

from collections.abc import Callable, Sequence
from typing import Final

from poterne.message.header import select
from poterne.proto.imap.items import Binary, BinarySize, BodySection, SectionText
from poterne.store.interface import Blobs
from poterne.values.mailbox import ContentRow

SHORT_BYTES: Final = 16 * 1024
"""A page with a longer header goes the general way."""

Page = Callable[[bytes, Sequence[int], Sequence[bytes], Sequence[ContentRow]], list[bytes] | None]
"""Of the name (FETCH or UIDFETCH), the numbers, what else stands in the parentheses, and the rows."""


def page_of(blobs: Blobs, items: Sequence[BodySection | Binary | BinarySize]) -> Page | None:
    """What makes the lines of a page, in pieces, if a header of the message itself is all that is asked for; else None.

    It gives None itself for a page with something unusual: a header that is long, empty or has NUL. Raises UnavailableError.
    """
    item = items[0] if len(items) == 1 else None
    if not isinstance(item, BodySection) or item.path or item.partial is not None:
        return None
    if item.text is SectionText.HEADER:
        return lambda name, numbers, inner, rows: _lines(name, item.label, numbers, inner, _headers(blobs, rows))
    if item.text is SectionText.FIELDS:
        names = frozenset(item.fields)

        def fields(
            name: bytes, numbers: Sequence[int], inner: Sequence[bytes], rows: Sequence[ContentRow]
        ) -> list[bytes] | None:
            headers = _headers(blobs, rows)
            return headers and _lines(name, item.label, numbers, inner, [select(header, names) for header in headers])

        return fields
    return None


def fields(blobs: Blobs, names: frozenset[bytes], rows: Sequence[ContentRow]) -> list[bytes] | None:
    """These fields of each header, as literals without their first brace; None as `page_of`. Raises UnavailableError."""
    headers = _headers(blobs, rows)
    if not headers:
        return None
    found = [select(header, names) for header in headers]
    if not all(found) or any(0 in octets for octets in found):
        return None
    return [b"%d}\r\n%b" % (len(octets), octets) for octets in found]


def _headers(blobs: Blobs, rows: Sequence[ContentRow]) -> list[bytes] | None:
    if max([row.header_size for row in rows], default=0) > SHORT_BYTES:
        return None
    head = blobs.head
    return [head(row.blob, row.header_size) for row in rows]


def _lines(
    name: bytes, label: bytes, numbers: Sequence[int], inner: Sequence[bytes], found: Sequence[bytes] | None
) -> list[bytes] | None:
    if not found or not all(found):
        return None
    space = b" " if inner[0] else b""
    between = space + label + b" {"
    pieces: list[bytes] = []
    for number, attributes, octets in zip(numbers, inner, found, strict=True):
        if 0 in octets:
            return None
        pieces += (b"* %d %b (%b%b%d}\r\n" % (number, name, attributes, between, len(octets)), octets, b")\r\n")
    return pieces
