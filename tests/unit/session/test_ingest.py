"""Whole, in pieces or byte by byte: the same content, and the octets as they came."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from poterne.session.ingest import SMALL_BYTES, Ingest
from poterne.store.blobs.segments import SegmentBlobs
from poterne.values.mime import Part

CORPUS = sorted((Path(__file__).parents[2] / "corpus").glob("*.eml"))


def crlf(path: Path) -> bytes:
    return path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@pytest.fixture
def blobs(tmp_path: Path) -> Iterator[SegmentBlobs]:
    blobs = SegmentBlobs(str(tmp_path))
    yield blobs
    blobs.close()


async def taken(blobs: SegmentBlobs, data: bytes, size: int, first: bytes = b"") -> Ingest:
    ingest = Ingest(blobs, first=first, wanted=frozenset({b"received"}))
    for at in range(0, len(data), size):
        ingest.feed(data[at : at + size])
        if ingest.must_drain:
            await ingest.drain()
    return ingest


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
async def test_pieces_make_no_difference(blobs: SegmentBlobs, path: Path) -> None:
    data = crlf(path)
    results = [await (await taken(blobs, data, size)).finish() for size in (len(data), 7, 1)]
    for result in results:
        assert blobs.read(result.content.blob) == data
        assert result.scanned == results[0].scanned
        assert (result.content.envelope, result.content.structure, result.content.parsed) == (
            results[0].content.envelope,
            results[0].content.structure,
            results[0].content.parsed,
        )
        root = msgspec.msgpack.decode(result.content.parsed, type=Part)
        assert root == result.scanned.root
        assert data[: result.content.header_size].endswith(b"\r\n\r\n")


async def test_trace_fields_come_first_and_count(blobs: SegmentBlobs) -> None:
    first = b"Return-Path: <a@b>\r\nReceived: from x\r\n"
    data = b"Received: from y\r\nSubject: hello\r\n\r\nbody\r\n"
    done = await (await taken(blobs, data, 5, first)).finish()
    assert blobs.read(done.content.blob) == first + data
    assert done.content.blob.size == done.scanned.size == len(first + data)
    assert blobs.read(done.content.blob, done.content.header_size) == b"body\r\n"
    assert [value for _, value in done.scanned.fields] == [b"from x", b"from y"]


@pytest.mark.parametrize("size", [SMALL_BYTES - 1, SMALL_BYTES, SMALL_BYTES + 1, 3_000_000])
async def test_sizes_around_the_limits(blobs: SegmentBlobs, size: int) -> None:
    head = b"Subject: x\r\n\r\n"
    data = head + b"y" * (size - len(head))
    done = await (await taken(blobs, data, 10_000)).finish()
    assert done.scanned.size == size
    assert blobs.read(done.content.blob, size - 10) == b"y" * 10


async def test_abort_is_safe_at_any_time(blobs: SegmentBlobs) -> None:
    ingest = Ingest(blobs)
    ingest.abort()
    other = await taken(blobs, b"Subject: x\r\n\r\n", 3)
    await other.finish()
    other.abort()
    large = await taken(blobs, b"x" * 3_000_000, 100_000)
    large.abort()
    large.abort()


@pytest.mark.parametrize("size", [10, SMALL_BYTES - 60, SMALL_BYTES, 200_000, 3_000_000])
async def test_a_head_that_is_known_at_the_end_comes_first(blobs: SegmentBlobs, size: int) -> None:
    head = b"Return-Path: <a@b>\r\nAuthentication-Results: x; spf=pass\r\n"
    data = b"Received: from y\r\nSubject: hello\r\n\r\n" + b"body\r\n" * (size // 6)
    ingest = Ingest(blobs, room=400, wanted=frozenset({b"received", b"return-path"}))
    for at in range(0, len(data), 10_007):
        ingest.feed(data[at : at + 10_007])
        if ingest.must_drain:
            await ingest.drain()
    done = await ingest.finish(head)
    stored = blobs.read(done.content.blob)
    assert stored.startswith(head)
    assert stored.endswith(data)
    assert len(stored) == done.content.blob.size == done.scanned.size
    assert blobs.read(done.content.blob, done.content.header_size).startswith(b"body")
    rest = stored[len(head) : -len(data)]
    assert not rest or (rest.startswith(b"X-Poterne-Padding: ") and len(head) + len(rest) == 400)
