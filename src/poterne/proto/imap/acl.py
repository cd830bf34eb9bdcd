"""ACL (RFC 4314): the arguments of its commands, and its responses. Rights are letters on the wire, a set inside."""

import unicodedata
from collections.abc import Iterable
from typing import Final

from poterne.proto.imap import commands, mailbox_name
from poterne.proto.imap.cursor import CommandError, Cursor, syntax
from poterne.proto.imap.responses import Untagged, bad
from poterne.proto.imap.strings import astring, string
from poterne.values.sharing import parse_rights

_SIGNS: Final = {"+": commands.AclChange.ADD, "-": commands.AclChange.REMOVE}
_NO_RIGHT: Final = bad(b"There is a letter that is no right")


def set_acl(cursor: Cursor, tag: bytes) -> commands.SetAcl:
    """RFC 4314 §3.1. A letter that is no right, capitals too, is an error of the command."""
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    identifier = _identifier(cursor)
    cursor.space()
    text = cursor.text_string()
    cursor.end()
    how = _SIGNS.get(text[:1], commands.AclChange.REPLACE)
    rights = parse_rights(text if how is commands.AclChange.REPLACE else text[1:])
    if rights is None:
        raise CommandError("rights", _NO_RIGHT)
    return commands.SetAcl(tag, mailbox, identifier, how, rights)


def delete_acl(cursor: Cursor, tag: bytes) -> commands.DeleteAcl:
    return commands.DeleteAcl(tag, *_two(cursor))


def list_rights(cursor: Cursor, tag: bytes) -> commands.ListRights:
    return commands.ListRights(tag, *_two(cursor))


def _two(cursor: Cursor) -> tuple[str, str]:
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    identifier = _identifier(cursor)
    cursor.end()
    return mailbox, identifier


def _identifier(cursor: Cursor) -> str:
    """Prepared as for comparison (RFC 4314 §3): what is empty then, or has control characters, is an error."""
    text = unicodedata.normalize("NFKC", cursor.text_string())
    if not text or any(unicodedata.category(char) in {"Cc", "Cs", "Cn", "Co", "Zl", "Zp"} for char in text):
        raise syntax(b"This cannot be an identifier")
    return text


def acl(name: str, lines: Iterable[tuple[str, str]], *, utf8: bool) -> Untagged:
    """`* ACL mailbox identifier rights …`, RFC 4314 §3.6."""
    pairs = [word for line in lines for word in (_text(line[0]), astring(line[1].encode()))]
    return Untagged(b" ".join((b"* ACL", mailbox_name.render(name, utf8=utf8), *pairs)) + b"\r\n")


def my_rights(name: str, rights: str, *, utf8: bool) -> Untagged:
    """RFC 4314 §3.8."""
    return Untagged(b"* MYRIGHTS %b %b\r\n" % (mailbox_name.render(name, utf8=utf8), astring(rights.encode())))


def rights_listed(name: str, identifier: str, required: str, optional: Iterable[str], *, utf8: bool) -> Untagged:
    """RFC 4314 §3.7: what the identifier always has, and what it can be given, each set that goes together as one word."""
    words = [astring(word.encode()) for word in (required, *optional)]
    return Untagged(
        b" ".join((b"* LISTRIGHTS", mailbox_name.render(name, utf8=utf8), _text(identifier), *words)) + b"\r\n"
    )


def _text(identifier: str) -> bytes:
    coded = identifier.encode()
    return astring(coded) if identifier.isascii() else string(coded)
