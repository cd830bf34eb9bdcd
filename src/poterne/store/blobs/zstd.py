"""zstd, from the standard library where it has it (Python 3.14), else from its backport, which is the same code."""

import sys

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdDecompressor, ZstdError, compress
else:
    from backports.zstd import ZstdDecompressor, ZstdError, compress

from poterne.store.blobs.format import FormatError

__all__ = ["compress", "expand"]


def expand(data: bytes | memoryview, size: int) -> bytes:
    """The `size` bytes that were compressed. Never makes more. Raises FormatError if they are not that many."""
    try:
        decompressor = ZstdDecompressor()
        found = decompressor.decompress(data, max_length=size)
        whole = decompressor.eof or (len(found) == size and not decompressor.decompress(b"", max_length=1))
    except (ZstdError, EOFError) as error:
        raise FormatError("compressed bytes damaged") from error
    if len(found) != size or not whole:
        raise FormatError("compressed bytes have another length")
    return found
