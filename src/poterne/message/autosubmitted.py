"""Mail that no person wrote: recognising it, so that nothing answers it, and marking what scripts send.

Two programs that answer each other fill a disk in a night. Whoever writes automatic mail says so (RFC 3834 §5), and nothing
automatic answers automatic mail (RFC 3834 §2).
"""

import re
from typing import Final

from poterne.message.header import HeaderIndex, Malformation, select_not
from poterne.message.params import without_comments

_PRECEDENCES: Final = frozenset({b"bulk", b"junk", b"list", b"auto_reply"})
_LIST_FIELDS: Final = (b"list-id", b"list-post", b"list-unsubscribe", b"list-help")
"""RFC 2919, RFC 2369: any of them shows a list."""
_WORD: Final = re.compile(rb"[A-Za-z_-]*+")
_NAMES: Final = frozenset({b"auto-submitted"})
_FORCED: Final = b"Auto-Submitted: auto-generated\r\n"
_MAX_VALUE: Final = 512


def is_automatic(header: HeaderIndex, *, null_reverse_path: bool = False) -> bool:
    """Was this written by a program, or sent to many? Then nothing automatic may answer it. Always returns.

    Auto-Submitted other than "no" (what can't be read counts as other), Precedence bulk, junk, list or auto_reply, a field of
    a list, X-Auto-Response-Suppress other than "none", or the null reverse-path.
    """
    if null_reverse_path or any(header.find(name) for name in _LIST_FIELDS):
        return True
    if any(_first_word(value) != b"no" for value in header.values(b"auto-submitted")):
        return True
    if any(_first_word(value) in _PRECEDENCES for value in header.values(b"precedence")):
        return True
    return any(_first_word(value) not in {b"", b"none"} for value in header.values(b"x-auto-response-suppress"))


def _first_word(value: bytes) -> bytes:
    value = value[:_MAX_VALUE]
    if b"(" in value:
        value = without_comments(value)
    word = _WORD.match(value.strip(b" \t"))
    return word[0].lower() if word is not None else b""


def forced(header: HeaderIndex) -> bytes:
    """The header block with exactly one `Auto-Submitted`, of a value other than "no": what it has, or `auto-generated`.

    A script that says `auto-replied` or `auto-notified` knows better; the field stays as it is when it is the only one.
    """
    found = header.find(b"auto-submitted")
    if len(found) == 1 and _first_word(header.unfolded(found[0])).startswith(b"auto-"):
        return header.block
    block = select_not(header.block, _NAMES) if found else header.block
    if header.has(Malformation.NO_END):  # the header is all of the message
        return (block + b"\r\n" if block and not block.endswith(b"\r\n") else block) + _FORCED
    return block[:-2] + _FORCED + b"\r\n"
