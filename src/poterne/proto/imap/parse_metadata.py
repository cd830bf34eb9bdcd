"""Arguments of GETMETADATA, SETMETADATA (RFC 5464) and of LIST's RETURN (METADATA …) (RFC 9590)."""

import re
from typing import Final

from poterne.proto.imap import commands
from poterne.proto.imap.cursor import Cursor, syntax, too_many
from poterne.proto.imap.items import DEPTH_INFINITY, Metadata
from poterne.proto.imap.limits import Limits
from poterne.proto.imap.responses import Completed, code_metadata_maxsize, no

MAX_ENTRY_BYTES: Final = 256
"""Of an entry's name: those that there are have some 40."""
_ENTRY: Final = re.compile(rb"/(?:private|shared)(?:/[ -$&-)+-.0-~]+)*").fullmatch
"""In lower case. Printable ASCII but "*" and "%" (RFC 5464 §3.2; stricter: no control octets at all)."""
_VENDOR_LEVELS: Final = 4
"""/shared/vendor/<token>/<name>."""
_DEPTHS: Final = {b"0": 0, b"1": 1, b"INFINITY": DEPTH_INFINITY}


def too_big(limits: Limits) -> Completed:
    """To a literal that is larger than any value may be (RFC 5464 §4.3)."""
    return no(b"The value is too large", code_metadata_maxsize(limits.metadata_value_bytes))


def get_metadata(cursor: Cursor, tag: bytes) -> commands.GetMetadata:
    """The options stand before the mailbox in the grammar of RFC 5464 §5, behind it in all its examples, which clients follow."""
    cursor.space()
    options: tuple[int | None, int] | None = None
    if cursor.next_is(b"("):
        options = _options(cursor)
        cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    if options is None and _options_next(cursor):
        options = _options(cursor)
        cursor.space()
    entries = _entries(cursor)
    while cursor.take(b" "):  # as in the examples of §4.4: entries without parentheses
        if len(entries) >= cursor.limits.list_items:
            raise too_many(b"Too many entries")
        entries.append(_entry(cursor))
    cursor.end()
    return commands.GetMetadata(tag, mailbox, _wanted(options, entries))


def wanted(cursor: Cursor) -> Metadata:
    """The argument of LIST's METADATA: entries, perhaps with options before them."""
    options: tuple[int | None, int] | None = None
    if _options_next(cursor):
        options = _options(cursor)
        cursor.space()
    return _wanted(options, _entries(cursor))


def _wanted(options: tuple[int | None, int] | None, entries: list[str]) -> Metadata:
    max_size, depth = options or (None, 0)
    return Metadata(tuple(dict.fromkeys(entries)), max_size, depth)


def _options_next(cursor: Cursor) -> bool:
    """A list that begins with a word: entries begin with "/" or are strings."""
    return cursor.next_is(b"(") and cursor.text[cursor.at + 1 : cursor.at + 2].isalpha()


def _options(cursor: Cursor) -> tuple[int | None, int]:
    max_size: int | None = None
    depth: int | None = None

    def option() -> None:
        nonlocal max_size, depth
        word = cursor.word()
        cursor.space()
        if word == b"MAXSIZE" and max_size is None:
            max_size = cursor.number()
        elif word == b"DEPTH" and depth is None:
            depth = _DEPTHS.get(cursor.word())
            if depth is None:
                raise syntax(b"DEPTH is 0, 1 or infinity")
        else:
            raise syntax(b"Unknown GETMETADATA option")

    cursor.listed(option)
    return max_size, depth or 0


def _entries(cursor: Cursor) -> list[str]:
    return cursor.listed(lambda: _entry(cursor)) if cursor.next_is(b"(") else [_entry(cursor)]


def _entry(cursor: Cursor) -> str:
    name = cursor.astring().lower()
    if len(name) > MAX_ENTRY_BYTES:
        raise too_many(b"The name of the entry is too long")
    if _ENTRY(name) is None:
        raise syntax(b"Invalid entry name")
    return name.decode("ascii")


def set_metadata(cursor: Cursor, tag: bytes) -> commands.SetMetadata:
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()

    def pair() -> tuple[str, bytes | None]:
        entry = _entry(cursor)
        levels = entry.count("/")
        if levels < 2 or (entry.split("/")[2] == "vendor" and levels < _VENDOR_LEVELS):
            raise syntax(b"The name of the entry has too few parts")
        cursor.space()
        return entry, cursor.nstring8()

    values = cursor.listed(pair)
    cursor.end()
    return commands.SetMetadata(tag, mailbox, tuple(dict(values).items()))
