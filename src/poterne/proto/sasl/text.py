"""Identities and passwords as they come from a client: UTF-8, bounded, nothing that could end a line or a string."""

import re
from typing import Final

from poterne.values.secret import Secret

MAX_OCTETS: Final = 255
"""RFC 4616 §2, for each part."""

# A control character in a name or password is no typing error: it aims at a log, a header or a database behind us.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def identity(octets: bytes) -> str | None:
    """The name, or None when empty, too long, not UTF-8 or with control characters."""
    text = _text(octets)
    return None if text is None or _CONTROL.search(text) else text


def password(octets: bytes) -> Secret | None:
    """The password, or None by the same rules; the octets are kept as they came."""
    text = _text(octets)
    return None if text is None or _CONTROL.search(text) else Secret(octets)


def _text(octets: bytes) -> str | None:
    if not 0 < len(octets) <= MAX_OCTETS:
        return None
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return None
