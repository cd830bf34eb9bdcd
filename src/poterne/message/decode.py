"""A part's text as SEARCH compares it: transfer encoding and charset undone, then folded. Never raises; output is bounded."""

import binascii
import unicodedata
from typing import Final

from poterne.message.encoded import base64_octets, decode_charset, decode_words
from poterne.message.params import find
from poterne.values.mime import Part

MAX_TEXT_BYTES: Final = 16 * 1024 * 1024
"""Octets of one part that are decoded to be searched."""
_NORMALIZE_SLICE: Final = 512


def transfer_decoded(body: bytes, encoding: bytes, max_bytes: int = MAX_TEXT_BYTES) -> bytes:
    """The octets that a body carries, at most `max_bytes`. Tolerant; an unknown encoding is given as it is (RFC 2045 §6)."""
    if encoding == b"base64":
        # 4 for 3, CRLF every 60 or more: twice as much always holds enough of a regular body.
        return base64_octets(body[: 2 * max_bytes + 4])[:max_bytes]
    if encoding == b"quoted-printable":
        return binascii.a2b_qp(body[: 3 * max_bytes])[:max_bytes]
    return body[:max_bytes]


def part_text(body: bytes, part: Part, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """The text of a text part from the octets of its body. HTML stays as it is: markup is searched too.

    `body` is `[part.body_start, part.body_end)`, or a beginning of it.
    """
    octets = transfer_decoded(body, part.encoding, max_bytes)
    cut = len(body) < part.size or len(octets) == max_bytes
    return decode_charset(octets, find(part.params, b"charset"), cut=cut)


def header_text(value: bytes) -> str:
    """An unfolded header value for people: encoded words decoded."""
    return decode_words(value)


def searchable_header(value: bytes) -> str:
    """An unfolded header value as SEARCH compares it: decoded and folded."""
    return fold(decode_words(value))


def fold(text: str) -> str:
    """The form in which a SEARCH key and a text are compared: one contains the other if and only if they match.

    RFC 9051 §6.4.4 leaves the comparison to the server; this one is the compatibility caseless matching of Unicode (D146:
    NFKD and case folding), which matches all that i;unicode-casemap (RFC 5051) matches, and also `ß` with `ss`. Accents stay
    (as combining marks). Decomposition takes quadratic time on a run of combining marks, hence the slices.
    """
    if text.isascii():
        return text.lower()
    if len(text) <= _NORMALIZE_SLICE:
        return _fold_slice(text)
    return "".join([_fold_slice(text[at : at + _NORMALIZE_SLICE]) for at in range(0, len(text), _NORMALIZE_SLICE)])


def _fold_slice(text: str) -> str:
    normalize = unicodedata.normalize
    folded = normalize("NFKD", text).casefold()
    return normalize("NFKD", folded)
