"""`net.deflate` against zlib as anybody else uses it."""

import random
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from poterne.net.deflate import PIECE_BYTES, WINDOW_BYTES, BrokenStreamError, Deflate, _nothing

_FLUSHES = (zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_PARTIAL_FLUSH, zlib.Z_NO_FLUSH)


def everything(deflate: Deflate, data: bytes) -> bytes:
    deflate.take(data)
    found = b""
    while deflate.waiting:
        piece = deflate.piece()
        assert len(piece) <= PIECE_BYTES
        found += piece
    return found


def text(seed: int, size: int) -> bytes:
    """Words that repeat, or noise."""
    chance = random.Random(seed)
    if seed % 3 == 0:
        return chance.randbytes(size)
    words = [chance.randbytes(3).hex().encode() for _ in range(50)]
    return b" ".join(chance.choices(words, k=size // 7 + 1))[:size]


said = st.tuples(st.integers(0, 20), st.integers(0, 9000), st.sampled_from(_FLUSHES))


@given(st.lists(said, max_size=12), st.integers(0, 9), st.sampled_from((9, 12, 15)), st.randoms(use_true_random=False))
@example([(0, 3, zlib.Z_SYNC_FLUSH)] * 9, 0, 15, random.Random(1))
@example([(1, 40, zlib.Z_SYNC_FLUSH)] * 9, 6, 15, random.Random(1))
def test_what_a_client_says_is_heard_however_it_is_cut(
    parts: list[tuple[int, int, int]], level: int, window: int, chance: random.Random
) -> None:
    packer = zlib.compressobj(level, zlib.DEFLATED, -window)
    raw = plain = b""
    for seed, size, flush in parts:
        data = text(seed, size)
        plain += data
        raw += packer.compress(data) + packer.flush(flush)
    raw += packer.flush(zlib.Z_SYNC_FLUSH)
    heard, at, deflate = b"", 0, Deflate()
    while at < len(raw):
        size = chance.choice((1, 2, 5, 50, 700, 20_000))
        heard += everything(deflate, raw[at : at + size])
        at += size
    assert heard == plain


@given(st.lists(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 9000)), max_size=4), max_size=8))
def test_a_client_reads_what_is_packed(bursts: list[list[tuple[int, int]]]) -> None:
    deflate, inflater = Deflate(), zlib.decompressobj(-15)
    for burst in bursts:
        chunks = [text(seed, size) for seed, size in burst]
        assert inflater.decompress(deflate.pack(chunks)) == b"".join(chunks)
        assert not inflater.unconsumed_tail


@pytest.mark.parametrize(
    "big",
    [b"QUJD" * 19 + b"\r\n", bytes(range(256)), b"plain words, again and again\r\n"],
    ids=["base64", "binary", "text"],
)
def test_large_pieces_between_small_ones(big: bytes) -> None:
    chance = random.Random(1)
    large = {78: big * 900, 256: chance.randbytes(150_000)}.get(len(big), big * 3000)
    deflate, inflater = Deflate(), zlib.decompressobj(-15)
    chunks = [b"* 1 FETCH (BODY[] {9}\r\n", large, b")\r\n", b"a OK done\r\n"]
    for _ in range(3):
        packed = deflate.pack(chunks)
        assert inflater.decompress(packed) == b"".join(chunks)
        assert len(packed) < len(large) + 200, "what cannot be made shorter grows by its frame only"


def test_a_large_piece_shares_no_dictionary_with_what_stands_beside_it() -> None:
    secret = text(1, 3000)
    alone = len(Deflate().pack([secret]))
    deflate = Deflate()
    deflate.pack([b"x" * 5000 + secret])
    assert len(deflate.pack([secret])) > alone - 64, "the padding differs by 31 at most"
    again = Deflate()
    again.pack([secret])
    assert len(again.pack([secret])) < alone / 4, "(a small one does, else it would be no use)"


def test_what_is_nothing_inflates_to_nothing() -> None:
    for size in range(10, 42):
        nothing = _nothing(size)
        assert len(nothing) == size
        inflater = zlib.decompressobj(-15)
        assert inflater.decompress(nothing + b"\x01\x00\x00\xff\xff") == b""
        assert inflater.eof


def test_the_length_of_an_answer_is_blurred() -> None:
    assert len({len(Deflate().pack([b"* 3 EXISTS\r\n"])) for _ in range(400)}) > 25


def test_an_idle_connection_keeps_no_inflater() -> None:
    packer, deflate = zlib.compressobj(6, zlib.DEFLATED, -15), Deflate()
    for _ in range(3):
        assert everything(deflate, packer.compress(b"a NOOP\r\n") + packer.flush(zlib.Z_SYNC_FLUSH)) == b"a NOOP\r\n"
        assert deflate._inflater is None
    everything(deflate, packer.compress(bytes(200_000)) + packer.flush(zlib.Z_SYNC_FLUSH))
    assert len(deflate._history) == WINDOW_BYTES
    half = packer.compress(text(0, 100_000))
    assert half
    everything(deflate, half)
    assert deflate._inflater is not None, "in the middle of a block it is needed"


def test_a_bomb_comes_out_in_pieces() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(packer.compress(bytes(1024 * 1024)) for _ in range(30)) + packer.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < 31_000
    deflate = Deflate()
    deflate.take(bomb)
    total = pieces = 0
    while deflate.waiting:
        total += len(deflate.piece())
        pieces += 1
    assert total == 30 * 1024 * 1024
    assert pieces >= total / PIECE_BYTES


@pytest.mark.parametrize("garbage", [b"a1 NOOP\r\n", b"\xff" * 20, b"\x00\x01\x00\x00\x00", b"\x06\x07\x08\x09" * 9])
def test_what_is_not_deflate_is_an_error(garbage: bytes) -> None:
    deflate = Deflate()
    with pytest.raises(BrokenStreamError):
        everything(deflate, garbage)
    assert not deflate.waiting


@given(st.binary(max_size=300))
def test_anything_is_text_or_an_error(garbage: bytes) -> None:
    deflate = Deflate()
    deflate.take(garbage)
    try:
        for _ in range(1000):
            if not deflate.waiting:
                break
            deflate.piece()
    except BrokenStreamError:
        pass
    assert not deflate.waiting


def test_what_stands_behind_the_end_of_the_stream_is_not_inflated() -> None:
    packer, deflate = zlib.compressobj(6, zlib.DEFLATED, -15), Deflate()
    ended = packer.compress(b"a UNAUTHENTICATE\r\n") + packer.flush(zlib.Z_FINISH)
    deflate.take(ended + b"b NOOP\r\n")
    assert deflate.piece() == b"a UNAUTHENTICATE\r\n"
    assert deflate.ended
    assert deflate.rest() == b"b NOOP\r\n"
    packer, deflate = zlib.compressobj(6, zlib.DEFLATED, -15), Deflate()
    flushed = packer.compress(b"a UNAUTHENTICATE\r\n") + packer.flush(zlib.Z_SYNC_FLUSH)
    deflate.take(flushed + b"b NOOP\r\n")
    assert deflate.piece() == b"a UNAUTHENTICATE\r\n"
    assert not deflate.ended
    assert deflate.rest() == b"b NOOP\r\n"
