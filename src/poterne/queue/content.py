"""What the store keeps of a message beside its bytes, made from what the scanner found."""

from collections.abc import AsyncIterator
from typing import Final

import msgspec

from poterne.message.compose import return_path
from poterne.message.scan import Scanner
from poterne.proto.imap import render
from poterne.store.interface import Blobs
from poterne.values.ids import BlobId
from poterne.values.mailbox import NewContent
from poterne.values.mime import Scanned
from poterne.values.queue import QueuedMessage

_encode: Final = msgspec.msgpack.Encoder().encode


def new_content(blob: BlobId, scanned: Scanned) -> NewContent:
    """A scanned message's content, ready to be delivered."""
    root = scanned.root
    return NewContent(
        blob=blob,
        envelope=render.envelope(scanned.envelope),
        structure=render.body_structure(root),
        parsed=_encode(root),
        header_size=root.body_start,
        sent_at=scanned.sent_at,
        references=scanned.references,
    )


async def scanned_blob(blobs: Blobs, blob: BlobId) -> NewContent:
    """The content of a message that is stored already, read once. Raises StoreError."""
    scanner = Scanner()
    async for chunk in blobs.stream(blob):
        scanner.feed(chunk)
    return new_content(blob, scanner.finish())


async def for_mailbox(blobs: Blobs, message: QueuedMessage) -> NewContent:
    """A message of the queue as final delivery has it: it begins with the Return-Path. Raises StoreError.

    The stored message mostly does already.
    """
    first = return_path(message.reverse_path)
    if message.start == len(first) and blobs.read(message.blob, 0, message.start) == first:
        return await scanned_blob(blobs, message.blob)
    content, _ = await copied(blobs, message.blob, message.start, first)
    return content


async def written(blobs: Blobs, octets: bytes) -> NewContent:
    """A message that we wrote ourselves, stored. Raises StoreError."""
    writer = blobs.writer()
    scanner = Scanner()
    writer.write(octets)
    scanner.feed(octets)
    await writer.drain()
    return new_content(await writer.finish(), scanner.finish())


async def letter_of_ours(blobs: Blobs, octets: bytes) -> tuple[BlobId, int]:
    """A message that we wrote, stored for the queue behind its null Return-Path; and where it begins. Raises StoreError."""
    first = return_path("")
    writer = blobs.writer()
    writer.write(first + octets)
    await writer.drain()
    return await writer.finish(), len(first)


async def copied(blobs: Blobs, blob: BlobId, start: int, first: bytes) -> tuple[NewContent, Scanned]:
    """The message from `start` on, stored anew behind `first`: what final delivery writes on top. Raises StoreError."""
    scanner = Scanner()
    writer = blobs.writer()
    try:
        async for chunk in _pieces(blobs, blob, start, first):
            writer.write(chunk)
            scanner.feed(chunk)
            await writer.drain()
        stored = await writer.finish()
    except BaseException:
        writer.abort()
        raise
    scanned = scanner.finish()
    return new_content(stored, scanned), scanned


async def _pieces(blobs: Blobs, blob: BlobId, start: int, first: bytes) -> AsyncIterator[bytes]:
    yield first
    async for chunk in blobs.stream(blob, start):
        yield chunk
