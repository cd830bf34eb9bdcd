"""Items of a FETCH that have octets of the message: sections of its body, decoded or not, and their sizes.

Theory of operation. They go message by message. What is short is read before the message's line begins, so that it begins only
if it can end; what is long is read when it is its turn and handed on in pieces. After each the link decides how fast we go.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final, NoReturn

from poterne.net.deflate import ALONE_BYTES
from poterne.net.drive import FLUSH_AT
from poterne.proto.imap import fetch as fetch_lines
from poterne.proto.imap.items import Binary, BinarySize, BodySection
from poterne.proto.imap.responses import Untagged
from poterne.session.imap import access, binary, heads, sections
from poterne.session.imap.client import Client
from poterne.session.imap.turns import Turn
from poterne.store.errors import StoreError
from poterne.values.mailbox import ContentRow
from poterne.values.mime import Part

SHORT_BYTES: Final = 16 * 1024
"""Sections up to this size are gathered into one piece; longer ones are handed on as they are, without a copy."""
FEW: Final = 8
"""Items that are read for a message without counting what they give."""
HELD_BYTES: Final = 1024 * 1024
"""With more items: what is read before a message's line begins. What goes beyond is read when it is its turn."""

OctetItem = BodySection | Binary | BinarySize
Late = partial[sections.Source]
"""A section that is read when it is its turn."""


class OctetItems:
    """These of one FETCH, and what was met."""

    __slots__ = (
        "_client",
        "_has_binary",
        "_heads",
        "_items",
        "_readers",
        "_wants_parsed",
        "damaged",
        "unknown_encoding",
    )

    def __init__(self, client: Client, items: Sequence[OctetItem], *, wants_parsed: bool) -> None:
        blobs = client.store.blobs
        self._client = client
        self._items = items
        self._wants_parsed = wants_parsed
        self._has_binary = any(not isinstance(item, BodySection) for item in items)
        self._readers = [(item.label, sections.reader(blobs, item)) for item in items]
        self._heads = heads.page_of(blobs, items) if items else None
        self.damaged = False
        """A message could not be read, and was left out."""
        self.unknown_encoding = False

    async def send(
        self, numbers: Sequence[int], inner: Sequence[bytes], contents: Sequence[ContentRow], *, alike: bool
    ) -> None:
        """A page of messages. `inner`: what else is told of each; `alike`: the same items of all."""
        client = self._client
        pieces: list[bytes] = (self._page_of_heads(numbers, inner, contents) if alike else None) or []
        if pieces:
            client.send_all(pieces)
            return
        size = 0
        name = client.fetch_name
        short = ALONE_BYTES if client.compresses else SHORT_BYTES  # a message shares no dictionary with others
        for number, attributes, content in zip(numbers, inner, contents, strict=True):
            if (client.foreign is not None or client.presence.revoked) and not await access.may_go_on(client):
                return
            sources = await self._read(content)
            if sources is None:
                continue
            pieces.append(fetch_lines.line_open(number, attributes, name))
            first = not attributes
            for label, source in sources:
                if type(source) is bytes and len(source) <= short:
                    pieces.append(fetch_lines.section_open(label, len(source), first=first, binary=0 in source))
                    pieces.append(source)
                    size += len(source)
                else:
                    client.send_all(pieces)
                    pieces, size = [], 0
                    await self._send_source(label, source, content, first=first)
                first = False
            pieces.append(fetch_lines.LINE_CLOSE)
            if size >= FLUSH_AT:
                client.send_all(pieces)
                pieces, size = [], 0
                await client.flush_if_big()
        client.send_all(pieces)

    def _page_of_heads(
        self, numbers: Sequence[int], inner: Sequence[bytes], contents: Sequence[ContentRow]
    ) -> list[bytes] | None:
        """All of it, if it is headers and nothing is wrong with any; then the usual way says what."""
        if self._heads is None:
            return None
        try:
            return self._heads(self._client.fetch_name, numbers, inner, contents)
        except StoreError:
            return None

    async def _read(self, content: ContentRow) -> Sequence[tuple[bytes, sections.Source | Late]] | None:
        """What each item gives. Everything short is read before a line begins, so that it begins only if it can end."""
        try:
            root = sections.decode_part(content.parsed) if self._wants_parsed else None
            if len(self._readers) > FEW:
                return await self._read_many(content, root)
            sources = [(label, read(content, root)) for label, read in self._readers]
            if self._has_binary:
                blobs = self._client.store.blobs
                for i, (label, source) in enumerate(sources):
                    if isinstance(source, sections.Encoded):
                        sources[i] = (label, await sections.measure(blobs, content.blob, source))
            return sources  # noqa: TRY300  # all of it may raise
        except StoreError as error:
            self.damaged = True
            client = self._client
            client.service.log.error("imap.unreadable", trace=client.link.trace, uid=content.uid, error=str(error))
        except sections.UnknownEncodingError:
            self.unknown_encoding = True
        return None

    async def _read_many(self, content: ContentRow, root: Part | None) -> list[tuple[bytes, sections.Source | Late]]:
        """A client may ask for hundreds of long sections of one message: neither memory nor the others' time is spent on it."""
        found: list[tuple[bytes, sections.Source | Late]] = []
        held = 0
        turn = Turn()
        for item, (label, read) in zip(self._items, self._readers, strict=True):
            source: sections.Source | Late
            if held < HELD_BYTES or not isinstance(item, BodySection):  # an unknown encoding must be known before
                source = read(content, root)
                if isinstance(source, sections.Encoded):
                    source = await sections.measure(self._client.store.blobs, content.blob, source)
            else:
                source = partial(read, content, root)
            if isinstance(source, bytes):
                held += len(source)
                if held > HELD_BYTES:
                    source = partial(read, content, root)
            found.append((label, source))
            if turn.over:
                await turn.give_way()
        return found

    async def _send_source(
        self, label: bytes, source: sections.Source | Late, content: ContentRow, *, first: bool
    ) -> None:
        client = self._client
        if isinstance(source, partial):
            try:
                source = source()
            except StoreError as error:
                self._broken(content, error)
        match source:
            case bytes():
                client.send(fetch_lines.section_open(label, len(source), first=first, binary=0 in source))
                if source:
                    client.send(Untagged(source))
                await client.flush_if_big()
            case int():
                client.send(Untagged(b"%b%b %d" % (b"" if first else b" ", label, source)))
            case None:
                client.send(Untagged(b"%b%b NIL" % (b"" if first else b" ", label)))
            case sections.Encoded():
                raise RuntimeError("not measured")
            case sections.Range(start, end):
                client.send(fetch_lines.section_open(label, end - start, first=first))
                try:
                    async for chunk in client.store.blobs.stream(content.blob, start, end):
                        client.send(Untagged(chunk))
                        await client.flush_if_big()
                except StoreError as error:
                    self._broken(content, error)
            case sections.Decoded(part, offset, size):
                client.send(fetch_lines.section_open(label, size, first=first, binary=True))
                decoded = sections.decoded(client.store.blobs, content.blob, part)
                try:
                    for chunk in binary.window(decoded, offset, size):
                        client.send(Untagged(chunk))
                        await client.flush_if_big()
                except StoreError as error:
                    self._broken(content, error)

    def _broken(self, content: ContentRow, error: StoreError) -> NoReturn:
        """In the middle of a literal nothing can be said any more but the end."""
        client = self._client
        client.service.log.error("imap.unreadable", trace=client.link.trace, uid=content.uid, error=str(error))
        raise client.cut() from error
