"""Tag lists, strictly as RFC 6376 §3.2 has them, and what stands in their values."""

import binascii
import re
from typing import Final

TAGS_MOST: Final = 64
_NAME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9_]*+")
_USUAL: Final = frozenset(
    (b"v", b"a", b"b", b"bh", b"c", b"d", b"h", b"i", b"k", b"l", b"n", b"p", b"q", b"s", b"t", b"x", b"z")
)
"""Names that need no look."""
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_WSP: Final = b" \t"
_DIGITS: Final = re.compile(rb"[0-9]++")
_QP: Final = re.compile(rb"=([0-9A-F]{2})")


def unfolded(text: bytes) -> bytes | None:
    """The text without its folds; None: it holds a control character, or a line end that is no fold."""
    if b"\r\n" in text:
        text = text.replace(b"\r\n ", b" ").replace(b"\r\n\t", b"\t")
    return None if _CONTROL.search(text) else text


def read(text: bytes) -> dict[bytes, bytes] | None:
    """The tags and their values, without white space around them, in order. None: it is no tag list.

    Not one where a tag stands twice (RFC 6376 §3.2), nor one of more than TAGS_MOST tags. Tags nobody knows are in it.
    """
    flat = unfolded(text)
    if flat is None:
        return None
    specs = flat.split(b";", TAGS_MOST + 1)
    if not specs[-1].strip(_WSP):
        specs.pop()
    if not specs or len(specs) > TAGS_MOST:
        return None
    tags: dict[bytes, bytes] = {}
    for spec in specs:
        name, equals, value = spec.partition(b"=")
        name = name.strip(_WSP)
        if not equals or name in tags or (name not in _USUAL and _NAME.fullmatch(name) is None):
            return None
        tags[name] = value.strip(_WSP)
    return tags


def words(value: bytes) -> list[bytes]:
    """The parts of a list with colons, without white space around them; an empty one where nothing stands."""
    return [word.strip(_WSP) for word in value.split(b":")]


def base64(value: bytes) -> bytes | None:
    """What the base64 text says, white space left out. None: it is none, strictly (RFC 4648 §3.3, §3.5)."""
    try:
        return binascii.a2b_base64(value.translate(None, _WSP), strict_mode=True)
    except binascii.Error:
        return None


def number(value: bytes, most_digits: int) -> int | None:
    """An unsigned decimal number; None: it is none, or has too many digits."""
    return int(value) if len(value) <= most_digits and _DIGITS.fullmatch(value) else None


def quoted_printable(value: bytes) -> bytes | None:
    """The octets that a dkim-quoted-printable value says (RFC 6376 §2.11), white space left out. None: a stray `=`."""
    value = value.translate(None, _WSP)
    if b"=" not in value:
        return value
    if value.count(b"=") != len(_QP.findall(value)):
        return None
    return _QP.sub(lambda found: bytes((int(found[1], 16),)), value)
