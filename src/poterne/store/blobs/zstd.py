"""zstd, from the standard library where it has it (Python 3.14), else from its backport, which is the same code."""

import sys

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdDecompressor, ZstdError, compress
else:
    from backports.zstd import ZstdDecompressor, ZstdError, compress

from poterne.store.blobs.format import FormatError

__all__ = ["compress", "expand"]


def expand(data: bytes | memoryview, size: int) -> bytes:
    """The `size` bytes that were compressed; never makes more than one more. Raises FormatError if it is another number."""
    try:
        decompressor = ZstdDecompressor()
        found = decompressor.decompress(data, max_length=size + 1)  # one more, so that it gets to the frame's end
    except (ZstdError, EOFError) as error:
        raise FormatError("compressed bytes damaged") from error
    if len(found) != size or not decompressor.eof or decompressor.unused_data:
        raise FormatError("compressed bytes have another length")
    return found
