"""Arguments of the commands on messages: FETCH, STORE, COPY, MOVE, EXPUNGE."""

import re
from functools import lru_cache
from typing import Final

from poterne.proto.imap import commands
from poterne.proto.imap.cursor import MAX_NUMBER64, CommandError, Cursor, syntax, too_many
from poterne.proto.imap.items import (
    Binary,
    BinarySize,
    BodySection,
    FetchAtt,
    FetchItem,
    FlagSet,
    Partial,
    SectionText,
    Window,
)
from poterne.proto.imap.limits import Limits
from poterne.proto.imap.responses import Code, bad, no
from poterne.proto.imap.sequence import SequenceSet
from poterne.proto.imap.strings import astring
from poterne.values.mailbox import Flag, FlagChange

MAX_KEYWORD_BYTES: Final = 100
"""A keyword's name; it is kept for ever and told at each SELECT."""
_KEPT_BYTES: Final = 256
"""What a client says of messages is read once if it is no longer than that: it says the same few things again and again."""

_ITEM: Final = re.compile(rb"[A-Za-z0-9.]+").match
_PATH: Final = re.compile(rb"[1-9][0-9]{0,8}(?:\.[1-9][0-9]{0,8})*+").match
_TEXT: Final = re.compile(rb"[A-Za-z.]+").match
_PARTIAL: Final = re.compile(rb"<([0-9]{1,19})\.([0-9]{1,19})>").match
_FIELD: Final = re.compile(rb"[!-9;-~]+").fullmatch
_FLAG: Final = re.compile(rb"\\?[!#$&'+-\[^-z|}~]+").match
_STORE: Final = re.compile(rb"([+-]?)FLAGS(\.SILENT)?", re.IGNORECASE).match

_SIMPLE: Final[dict[bytes, FetchItem]] = {
    **{item.value: item for item in FetchAtt},
    b"RFC822": BodySection((), SectionText.ALL, (), None, peek=False, label=b"RFC822"),
    b"RFC822.HEADER": BodySection((), SectionText.HEADER, (), None, peek=True, label=b"RFC822.HEADER"),
    b"RFC822.TEXT": BodySection((), SectionText.TEXT, (), None, peek=False, label=b"RFC822.TEXT"),
}
_FAST: Final = (FetchAtt.FLAGS, FetchAtt.INTERNALDATE, FetchAtt.SIZE)
_MACROS: Final[dict[bytes, tuple[FetchItem, ...]]] = {
    b"FAST": _FAST,
    b"ALL": (*_FAST, FetchAtt.ENVELOPE),
    b"FULL": (*_FAST, FetchAtt.ENVELOPE, FetchAtt.BODY),
}
_SECTION_TEXTS: Final = {text.value: text for text in SectionText if text is not SectionText.ALL}
_SYSTEM_FLAGS: Final = {b"\\%b" % str(flag.name).encode(): int(flag) for flag in Flag} | {b"\\RECENT": 0}


def fetch(cursor: Cursor, tag: bytes, *, uid: bool, shows_uid: bool = True) -> commands.Fetch:
    """RFC 9051 §6.4.5, with the modifiers of RFC 7162 §3.1.4 and §3.2.6. `shows_uid`: UID FETCH has UID among its items."""
    cursor.space()
    messages = cursor.sequence_set()
    cursor.space()
    utf8, rest = cursor.utf8, cursor.rest()
    read = _known_wish if len(rest) <= _KEPT_BYTES else _wish
    return commands.Fetch(tag, uid, messages, *read(rest, cursor.limits, utf8, uid, shows_uid))


def _wish(
    text: bytes, limits: Limits, utf8: bool, uid: bool, shows_uid: bool
) -> tuple[tuple[FetchItem, ...], int | None, bool, Window | None]:
    """Items and modifiers of a FETCH."""
    cursor = Cursor(text, 0, limits, utf8=utf8)
    items = _fetch_items(cursor)
    changed_since: int | None = None
    vanished = False
    window: Window | None = None
    if cursor.take(b" "):
        changed_since, vanished, window = _fetch_modifiers(cursor)
        if window is not None and not uid:
            raise syntax(b"PARTIAL needs UID FETCH")
        if vanished and not (uid and changed_since):
            raise syntax(b"VANISHED needs UID FETCH with CHANGEDSINCE")
    cursor.end()
    if uid and shows_uid:
        items.insert(0, FetchAtt.UID)
    if changed_since is not None:
        items.append(FetchAtt.MODSEQ)  # RFC 7162 §3.1.4.1
    return tuple(dict.fromkeys(items)), changed_since, vanished, window


_known_wish: Final = lru_cache(maxsize=256)(_wish)


def _fetch_items(cursor: Cursor) -> list[FetchItem]:
    if cursor.next_is(b"("):
        return cursor.listed(lambda: fetch_item(cursor))
    found = _ITEM(cursor.text, cursor.at)
    if found is not None and (macro := _MACROS.get(found[0].upper())) is not None:
        cursor.at = found.end()
        return list(macro)
    return [fetch_item(cursor)]


def _fetch_modifiers(cursor: Cursor) -> tuple[int | None, bool, Window | None]:
    changed_since: int | None = None
    vanished = False
    window: Window | None = None

    def modifier() -> None:
        nonlocal changed_since, vanished, window
        word = cursor.word()
        if word == b"VANISHED":
            vanished = True
        elif word == b"CHANGEDSINCE" and changed_since is None:
            cursor.space()
            changed_since = cursor.number(MAX_NUMBER64, 1)
        elif word == b"PARTIAL" and window is None:
            cursor.space()
            window = cursor.window()
        else:
            raise syntax(b"Unknown FETCH modifier")

    cursor.listed(modifier)
    return changed_since, vanished, window


def fetch_item(cursor: Cursor) -> FetchItem:
    found = _ITEM(cursor.text, cursor.at)
    if found is None:
        raise syntax(b"FETCH item expected")
    cursor.at = found.end()
    name = found[0].upper()
    if not cursor.take(b"["):
        item = _SIMPLE.get(name)
        if item is None:
            raise syntax(b"Unknown FETCH item")
        if item is FetchAtt.PREVIEW and cursor.text[cursor.at : cursor.at + 7].upper() == b" (LAZY)":
            cursor.at += 7  # RFC 8970 §4.1: no preview takes us long
        return item
    path = _section_path(cursor)
    if name in {b"BODY", b"BODY.PEEK"}:
        return _body(cursor, path, peek=name == b"BODY.PEEK")
    if not cursor.take(b"]"):
        raise syntax(b"Invalid section")
    label = b"%b[%b]" % (b"BINARY.SIZE" if name == b"BINARY.SIZE" else b"BINARY", _dotted(path))
    if name == b"BINARY.SIZE":
        return BinarySize(path, label)
    if name in {b"BINARY", b"BINARY.PEEK"}:
        partial = _partial(cursor)
        return Binary(path, partial, name == b"BINARY.PEEK", _with_origin(label, partial))
    raise syntax(b"Unknown FETCH item")


def _section_path(cursor: Cursor) -> tuple[int, ...]:
    found = _PATH(cursor.text, cursor.at)
    if found is None:
        return ()
    cursor.at = found.end()
    numbers = found[0].split(b".")
    if len(numbers) > cursor.limits.part_depth:
        raise too_many(b"Section is too deep")
    return tuple(map(int, numbers))


def _body(cursor: Cursor, path: tuple[int, ...], *, peek: bool) -> BodySection:
    text = SectionText.ALL
    fields: list[bytes] = []
    if not cursor.next_is(b"]"):
        if path and not cursor.take(b"."):
            raise syntax(b"Invalid section")
        found = _TEXT(cursor.text, cursor.at)
        known = _SECTION_TEXTS.get(found[0].upper()) if found else None
        if found is None or known is None or (known is SectionText.MIME and not path):
            raise syntax(b"Invalid section")
        cursor.at = found.end()
        text = known
        if text in {SectionText.FIELDS, SectionText.FIELDS_NOT}:
            cursor.space()
            fields = cursor.listed(lambda: _field_name(cursor))
    if not cursor.take(b"]"):
        raise syntax(b"Invalid section")
    partial = _partial(cursor)
    return BodySection(
        path,
        text,
        tuple(field.lower() for field in fields),
        partial,
        peek,
        _with_origin(_body_label(path, text, fields), partial),
    )


def _field_name(cursor: Cursor) -> bytes:
    name = cursor.astring()
    if not _FIELD(name):
        raise syntax(b"Invalid header field name")
    return name


def _partial(cursor: Cursor) -> Partial | None:
    if not cursor.next_is(b"<"):
        return None
    found = _PARTIAL(cursor.text, cursor.at)
    if found is None or not 1 <= int(found[2]) <= MAX_NUMBER64 or int(found[1]) > MAX_NUMBER64:
        raise syntax(b"Invalid partial range")
    cursor.at = found.end()
    return Partial(int(found[1]), int(found[2]))


def _dotted(path: tuple[int, ...]) -> bytes:
    return b".".join([b"%d" % number for number in path])


def _body_label(path: tuple[int, ...], text: SectionText, fields: list[bytes]) -> bytes:
    dot = b"." if path and text.value else b""
    names = b" (%b)" % b" ".join(map(astring, fields)) if fields else b""
    return b"BODY[%b%b%b%b]" % (_dotted(path), dot, text.value, names)


def _with_origin(label: bytes, partial: Partial | None) -> bytes:
    return label if partial is None else b"%b<%d>" % (label, partial.offset)


def store(cursor: Cursor, tag: bytes, *, uid: bool) -> commands.Store:
    """RFC 9051 §6.4.6, with UNCHANGEDSINCE of RFC 7162 §3.1.3."""
    cursor.space()
    messages = cursor.sequence_set()
    cursor.space()
    unchanged_since: int | None = None
    if cursor.take(b"("):
        if cursor.word() != b"UNCHANGEDSINCE":
            raise syntax(b"Unknown STORE modifier")
        cursor.space()
        unchanged_since = cursor.number(MAX_NUMBER64)
        cursor.close()
        cursor.space()
    rest = cursor.rest()
    read = _known_change if len(rest) <= _KEPT_BYTES else _flag_change
    return commands.Store(tag, uid, messages, *read(rest, cursor.limits), unchanged_since)


def _flag_change(text: bytes, limits: Limits) -> tuple[FlagChange, FlagSet, bool]:
    r"""`+FLAGS.SILENT (\Seen)`: how, which flags, and whether silently."""
    cursor = Cursor(text, 0, limits, utf8=False)
    found = _STORE(text, 0)
    if found is None:
        raise syntax(b"FLAGS, +FLAGS or -FLAGS expected")
    cursor.at = found.end()
    cursor.space()
    flags = flag_set(cursor) if cursor.next_is(b"(") else _bare_flags(cursor)
    cursor.end()
    return FlagChange(found[1].decode() or "="), flags, found[2] is not None


_known_change: Final = lru_cache(maxsize=256)(_flag_change)


def flag_set(cursor: Cursor) -> FlagSet:
    r"""A flag-list: `(\Seen $Junk)`, possibly empty."""
    return _collected(cursor.listed(lambda: _flag(cursor), empty=True))


def _bare_flags(cursor: Cursor) -> FlagSet:
    found = [_flag(cursor)]
    while cursor.take(b" "):
        if len(found) >= cursor.limits.list_items:
            raise too_many(b"Too many flags")
        found.append(_flag(cursor))
    return _collected(found)


def _flag(cursor: Cursor) -> int | str:
    r"""A bit or a keyword. \Recent is no bit: clients copy it along, though it cannot be set (RFC 3501 §2.3.2)."""
    found = _FLAG(cursor.text, cursor.at)
    if found is None:
        raise syntax(b"Flag expected")
    cursor.at = found.end()
    name = found[0]
    if name[:1] != b"\\":
        if len(name) > MAX_KEYWORD_BYTES:
            raise CommandError("keyword", no(b"Keyword is too long", Code(b"LIMIT")))
        return name.decode("ascii")
    bit = _SYSTEM_FLAGS.get(name.upper())
    if bit is None:
        raise CommandError("flag", bad(b"Unknown system flag"))
    return bit


def _collected(found: list[int | str]) -> FlagSet:
    system = 0
    keywords: dict[str, str] = {}
    for flag in found:
        if isinstance(flag, int):
            system |= flag
        else:
            keywords.setdefault(flag.lower(), flag)
    return FlagSet(system, tuple(keywords.values()))


def copy(cursor: Cursor, tag: bytes, *, uid: bool) -> commands.Copy:
    return commands.Copy(tag, uid, *_messages_to_mailbox(cursor))


def move(cursor: Cursor, tag: bytes, *, uid: bool) -> commands.Move:
    return commands.Move(tag, uid, *_messages_to_mailbox(cursor))


def _messages_to_mailbox(cursor: Cursor) -> tuple[SequenceSet, str]:
    cursor.space()
    messages = cursor.sequence_set()
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.end()
    return messages, mailbox


def expunge(cursor: Cursor, tag: bytes, *, uid: bool) -> commands.Expunge:
    """EXPUNGE has no argument, UID EXPUNGE (RFC 4315 §2.1) a set."""
    uids = None
    if uid:
        cursor.space()
        uids = cursor.sequence_set()
    cursor.end()
    return commands.Expunge(tag, uids)
