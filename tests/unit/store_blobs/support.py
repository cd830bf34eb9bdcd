"""What the tests of the segments share."""

import asyncio
import random
from pathlib import Path

from poterne.store.blobs.files import REAL, Files
from poterne.store.blobs.segments import BlobLimits, SegmentBlobs
from poterne.store.blobs.verify import verify
from poterne.values.ids import BlobId

SMALL = BlobLimits(segment_bytes=60_000, spill_bytes=120_000, held_bytes=65_536, open_segments=3, retry_s=0)


def blobs_at(path: Path, files: Files = REAL, limits: BlobLimits = SMALL) -> SegmentBlobs:
    return SegmentBlobs(str(path), files=files, limits=limits, clock=lambda: 1_700_000_000)


def mail(size: int, seed: int = 0) -> bytes:
    """Bytes that do not compress and differ with the seed."""
    return random.Random(f"{size} {seed}").randbytes(size)


async def put(blobs: SegmentBlobs, data: bytes, piece: int = 7_000, head: int = 0) -> BlobId:
    """`head`: so many octets are known at the end only."""
    writer = blobs.writer()
    if head:
        writer.write_head(head)
    for at in range(head, len(data), piece):
        writer.write(data[at : at + piece])
        await writer.drain()
    assert writer.size == len(data)
    if head:
        writer.set_head(data[:head])
    return await writer.finish()


def put_now(blobs: SegmentBlobs, data: bytes, head: int = 0) -> BlobId:
    return asyncio.run(put(blobs, data, 50_000, head))


def segment_sizes(path: Path) -> list[int]:
    return [found.stat().st_size for found in path.glob("*.seg")]


def damage(blobs: SegmentBlobs) -> list[str]:
    return [f"{found.blob}: {found.damage}" for found in verify(blobs.folder) if found.damage]
