"""Reads the tokens of one whole command. Offsets into one bytes object; nothing is sliced before it is known to be right.

The command is as it came: a literal is `{5}` CRLF and its octets. CR and LF stand nowhere else (the core saw to it), so
that a token can never run across a literal's border.
"""

import re
from collections.abc import Callable
from typing import Final, TypeVar

from poterne.proto.imap import mailbox_name
from poterne.proto.imap.items import Window
from poterne.proto.imap.limits import Limits
from poterne.proto.imap.responses import Code, Completed, bad, no
from poterne.proto.imap.sequence import MAX_NUMBER, SAVED, STAR, SequenceSet

T = TypeVar("T")

MAX_NUMBER64: Final = 2**63 - 1

_ATOM: Final = re.compile(rb"[!#$&'+-\[^-z|}~]+").match
_ASTRING: Final = re.compile(rb"[!#$&'+-\[\]^-z|}~]+").match
_LIST_CHARS: Final = re.compile(rb"[!#-'*-\[\]^-z|}~]+").match
_QUOTED: Final = re.compile(rb'"((?:[^"\\\r\n\0]++|\\["\\])*+)"').match
_ESCAPE: Final = re.compile(rb"\\(.)", re.DOTALL)
_LITERAL: Final = re.compile(rb"(~?)\{([0-9]{1,20})\+?\}\r\n").match
_DIGITS: Final = re.compile(rb"[0-9]{1,19}(?![0-9])").match
_WINDOW: Final = re.compile(rb"(-?)([1-9][0-9]{0,9}):(-?)([1-9][0-9]{0,9})(?![0-9])").match
_SEQUENCE: Final = re.compile(rb"[0-9*:,]+").match
_NUMBER: Final = rb"(?:\*|[1-9][0-9]{0,9})"
_PARTS: Final = re.compile(rb"%b(?::%b)?+(?:,%b(?::%b)?+)*+" % (_NUMBER, _NUMBER, _NUMBER, _NUMBER)).fullmatch


class CommandError(Exception):
    """The command is wrong; `reply` is the answer. Caught by the core, which makes it a Bad event."""

    def __init__(self, code: str, reply: Completed) -> None:
        super().__init__(code)
        self.code = code
        self.reply = reply


class LiteralMissing(Exception):  # noqa: N818 - not an error: more octets are to come
    """A literal was announced at the end of what there is."""


def syntax(text: bytes) -> CommandError:
    return CommandError("syntax", bad(text))


def too_many(text: bytes) -> CommandError:
    return CommandError("too-many", no(text, Code(b"LIMIT")))


class Cursor:
    """A place in a command. Reading methods take the token at this place and move behind it, or raise CommandError."""

    __slots__ = ("at", "forbids_charset", "limits", "text", "utf8")

    def __init__(self, text: bytes, at: int, limits: Limits, *, utf8: bool, forbids_charset: bool = False) -> None:
        self.text = text
        self.at = at
        self.limits = limits
        self.utf8 = utf8
        self.forbids_charset = forbids_charset
        """SEARCH CHARSET is an error: the client enabled UTF8=ACCEPT (RFC 9755 §3)."""

    def end(self) -> None:
        """Nothing may be left."""
        if self.at != len(self.text):
            raise syntax(b"Unexpected text after the arguments")

    def rest(self) -> bytes:
        """All that is left."""
        rest = self.text[self.at :]
        self.at = len(self.text)
        return rest

    @property
    def at_end(self) -> bool:
        return self.at == len(self.text)

    def next_is(self, token: bytes) -> bool:
        return self.text.startswith(token, self.at)

    def take(self, token: bytes) -> bool:
        """Take exactly this token if it is next."""
        if self.text.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def space(self) -> None:
        if not self.take(b" "):
            raise syntax(b"Missing argument" if self.at_end else b"Space expected")

    def open(self) -> None:
        if not self.take(b"("):
            raise syntax(b"Opening parenthesis expected")

    def close(self) -> None:
        if not self.take(b")"):
            raise syntax(b"Closing parenthesis expected")

    def atom(self) -> bytes:
        found = _ATOM(self.text, self.at)
        if found is None:
            raise syntax(b"Atom expected")
        self.at = found.end()
        return found[0]

    def word(self) -> bytes:
        """An atom in capitals: a keyword of the protocol."""
        return self.atom().upper()

    def astring(self) -> bytes:
        found = _ASTRING(self.text, self.at)
        if found is None:
            return self.string()
        self.at = found.end()
        return found[0]

    def string(self) -> bytes:
        """Quoted or literal. 8-bit octets in quotes are UTF-8 once that is enabled (RFC 9755 §3), else the caller's to judge."""
        found = _QUOTED(self.text, self.at)
        if found is None:
            return self.literal()
        self.at = found.end()
        value = found[1]
        if self.utf8 and not value.isascii():
            decoded(value, "utf-8")
        return _ESCAPE.sub(rb"\1", value) if b"\\" in value else value

    def literal(self, *, binary: bool = False) -> bytes:
        """With `binary` a literal8 may hold NUL (RFC 3516)."""
        found = _LITERAL(self.text, self.at)
        if found is None:
            raise syntax(b"String expected")
        start = found.end()
        stop = start + int(found[2])
        if stop > len(self.text):
            raise LiteralMissing
        value = self.text[start:stop]
        if 0 in value and not (binary and found[1]):
            raise CommandError("nul", bad(b"NUL is not allowed here"))  # RFC 9051 §4.3
        self.at = stop
        return value

    def nstring(self) -> bytes | None:
        if self.text[self.at : self.at + 3].upper() == b"NIL":
            self.at += 3
            return None
        return self.string()

    def nstring8(self) -> bytes | None:
        """An nstring, or a literal8."""
        return self.literal(binary=True) if self.next_is(b"~") else self.nstring()

    def text_string(self) -> str:
        """An astring that is UTF-8."""
        return decoded(self.astring(), "utf-8")

    def mailbox(self) -> str:
        return self._name(self.astring())

    def pattern(self) -> str:
        """A list-mailbox: a name in which "%" and "*" may stand without quotes."""
        found = _LIST_CHARS(self.text, self.at)
        if found is None:
            return self._name(self.string())
        self.at = found.end()
        return self._name(found[0])

    def _name(self, wire: bytes) -> str:
        try:
            return mailbox_name.parse(wire, utf8=self.utf8)
        except mailbox_name.NameSyntaxError:
            text = b"Mailbox name is not valid UTF-8" if self.utf8 else b"Mailbox name is not valid modified UTF-7"
            raise CommandError("mailbox-name", no(text, Code(b"CANNOT"))) from None

    def number(self, highest: int = MAX_NUMBER, lowest: int = 0) -> int:
        found = _DIGITS(self.text, self.at)
        if found is None:
            raise syntax(b"Number expected")
        value = int(found[0])
        if not lowest <= value <= highest:
            raise syntax(b"Number out of range")
        self.at = found.end()
        return value

    def window(self) -> Window:
        """`1:100` or `-1:-100`."""
        found = _WINDOW(self.text, self.at)
        if found is None or found[1] != found[3] or max(int(found[2]), int(found[4])) > MAX_NUMBER:
            raise syntax(b"Invalid PARTIAL range")
        self.at = found.end()
        return Window(int(found[1] + found[2]), int(found[3] + found[4]))

    def sequence_set(self) -> SequenceSet:
        if self.take(b"$"):
            return SAVED
        found = _SEQUENCE(self.text, self.at)
        if found is None:
            raise syntax(b"Sequence set expected")
        self.at = found.end()
        return self._sequence_set(found[0])

    def _sequence_set(self, wire: bytes) -> SequenceSet:
        if wire.isdigit() and len(wire) < 10 and wire[0] != 0x30:  # mostly it is one number
            number = int(wire)
            return SequenceSet(((number, number),))
        if wire.count(b",") >= self.limits.sequence_parts:
            raise too_many(b"Too many parts in the sequence set")
        if _PARTS(wire) is None:
            raise syntax(b"Invalid sequence set")
        parts = []
        for part in wire.replace(b"*", b"0").split(b","):
            first, _, last = part.partition(b":")
            low = int(first)
            high = int(last) if last else low
            if low > MAX_NUMBER or high > MAX_NUMBER:
                raise syntax(b"Number out of range")
            parts.append((low, high))
        return SequenceSet(tuple(parts))

    def listed(self, item: Callable[[], T], *, empty: bool = False) -> list[T]:
        """`(item item …)`; `empty` says whether `()` is allowed."""
        self.open()
        if empty and self.take(b")"):
            return []
        found = [item()]
        while self.take(b" "):
            if len(found) >= self.limits.list_items:
                raise too_many(b"Too many items in the list")
            found.append(item())
        self.close()
        return found


def decoded(value: bytes, charset: str) -> str:
    """`value` as text, or a CommandError that says it is not in that charset."""
    try:
        return value.decode(charset)
    except UnicodeDecodeError:
        raise CommandError("charset", bad(b"String is not in the character set of the command")) from None


__all__ = ["MAX_NUMBER64", "STAR", "CommandError", "Cursor", "LiteralMissing", "decoded", "syntax", "too_many"]
