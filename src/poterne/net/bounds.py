"""How much a link holds, and how long it waits."""

from typing import Final

READ_HIGH: Final = 128 * 1024
"""Received and not yet taken bytes at which reading stops; at most one more chunk of the transport comes on top."""
CHUNK_COST_BYTES: Final = 64
"""What a chunk costs beside its bytes; counted, so that a peer that sends single bytes meets the same limit."""
WRITE_HIGH: Final = 64 * 1024
"""Written and not yet sent bytes at which `write` waits; it goes on at a quarter of that."""
WRITE_TIMEOUT_S: Final = 180.0
"""A peer must take WRITE_HIGH * 3/4 bytes in this time, else it is gone. RFC 5321 §4.5.3.2 asks for 3 minutes a block."""
CLOSE_TIMEOUT_S: Final = 5.0
"""How long a closing link waits for unsent bytes and the peer's close_notify before it is aborted."""
LINGER_BYTES: Final = 1024 * 1024
"""How much a closing link reads and drops, so that our last reply is not lost to a reset."""
