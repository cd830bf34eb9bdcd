"""Bounds of what is read and kept of one message. Reaching one is never an error: `Scanned.truncated` tells."""

from dataclasses import dataclass

from poterne.message.address import MAX_ADDRESSES
from poterne.message.params import MAX_PARAMS


@dataclass(frozen=True, slots=True)
class Limits:
    depth: int = 64
    """Multiparts and embedded messages inside each other; deeper ones are leaves. A forward takes two levels."""
    parts: int = 1000
    """Parts and embedded messages together; the rest of the message is one opaque part."""
    header_bytes: int = 256 * 1024
    """Read of one header block; fields beyond are not seen."""
    all_headers_bytes: int = 1024 * 1024
    """Read of all header blocks together; the rest of the message is one opaque part."""
    params: int = MAX_PARAMS
    """Parameters of one Content-Type or Content-Disposition, before RFC 2231 joins them."""
    boundary_bytes: int = 250
    """RFC 2046 §5.1.1 allows 70; senders exist that use more. A multipart with a longer one is not divided."""
    addresses: int = MAX_ADDRESSES
    """Of one envelope field."""
    references: int = 200
    """Message ids of one message, for threading."""


DEFAULT: Limits = Limits()
