"""PREVIEW (RFC 8970): the beginning of a message's text, for the list of messages.

Made when it is asked for, and kept for a while: from the first text of the message, of which a few KiB are read and decoded,
some 30 µs. So LAZY is never answered NIL. What is encrypted, and what has no text, has an empty preview.
"""

import html
import re
from collections.abc import Iterator
from typing import Final

from poterne.message.decode import part_text
from poterne.store.interface import Blobs
from poterne.values.ids import BlobId
from poterne.values.mime import Part

MAX_CHARS: Final = 200
"""RFC 8970 §3.3 advises as many."""
_PLAIN_BYTES: Final = 4 * 1024
_HTML_BYTES: Final = 48 * 1024
"""Style sheets stand before the text."""
_MAX_PARTS: Final = 100
"""Looked at to find the text."""
_TAG: Final = re.compile(r"<[^<>]*+>")
_HIDDEN: Final = re.compile(r"<(style\b|script\b|head\b|title\b|!--)", re.IGNORECASE)
_ENDS: Final = {name: re.compile(re.escape(end), re.IGNORECASE) for name, end in (
    ("style", "</style"), ("script", "</script"), ("head", "</head"), ("title", "</title"), ("!--", "--"),
)}  # fmt: skip
_QUOTED: Final = re.compile(r"^>.*$", re.MULTILINE)
_SPACE: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")
"""White space, controls, and what senders fill previews with that nobody sees."""


def preview(blobs: Blobs, blob: BlobId, root: Part) -> bytes:
    """At most MAX_CHARS characters in UTF-8, on one line. Raises UnavailableError."""
    part = _text_part(root)
    if part is None:
        return b""
    is_html = part.subtype == b"html"
    most = _HTML_BYTES if is_html else _PLAIN_BYTES
    text = part_text(blobs.read(blob, part.body_start, min(part.body_end, part.body_start + most)), part)
    text = html.unescape(_TAG.sub(" ", _shown(text))) if is_html else _unquoted(text)
    return _SPACE.sub(" ", text).strip()[:MAX_CHARS].rstrip().encode("utf-8", "replace")


def _text_part(root: Part) -> Part | None:
    """The first text that is no attachment; of alternatives the plain one."""
    found: Part | None = None
    for part in _parts(root):
        if part.type == b"multipart" and part.subtype == b"encrypted":
            return None
        if part.type != b"text" or (part.disposition is not None and part.disposition.kind.lower() == b"attachment"):
            continue
        if part.subtype == b"plain" and part.size:
            return part
        if found is None and part.subtype == b"html":
            found = part
    return found


def _parts(root: Part) -> Iterator[Part]:
    """Parts in order, but for those of enclosed messages."""
    waiting = [root]
    for _ in range(_MAX_PARTS):
        if not waiting:
            return
        part = waiting.pop()
        yield part
        waiting.extend(reversed(part.children))


def _shown(text: str) -> str:
    """HTML without what is never shown. An element that does not end hides all that follows."""
    pieces: list[str] = []
    at = 0
    while (hidden := _HIDDEN.search(text, at)) is not None:
        pieces.append(text[at : hidden.start()])
        end = _ENDS[hidden[1].lower()].search(text, hidden.end())
        if end is None:
            return " ".join(pieces)
        at = text.find(">", end.start()) + 1
        if not at:
            return " ".join(pieces)
    pieces.append(text[at:])
    return " ".join(pieces)


def _unquoted(text: str) -> str:
    """Without quoted lines, unless nothing else is there."""
    own = _QUOTED.sub("", text)
    return own if own.strip() else text
