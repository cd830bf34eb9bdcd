"""Macro strings (RFC 7208 §7): read once with the record, expanded for each claim.

What comes out of an expansion was written by the sender. As a name it is cut from the left to what fits, and is no name unless
each label is; as an explanation it is cut from the right, and holds printable ASCII only. Neither grows beyond its bound while
it is made.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

NAME_MOST: Final = 253
LABEL_MOST: Final = 63
_PARTS_MOST: Final = 1000
"""What longer numbers mean: all parts, for no value has as many."""
_DIGITS_MOST: Final = 3
_TOKEN: Final = re.compile(r"%([%_-])|%\{([slodipcrtvh])([0-9]*)(r?)([.\-+,/_=]*)\}|([^%]+)", re.IGNORECASE | re.ASCII)
_LITERAL: Final = re.compile(r"[!-~]*")
_PRINTABLE: Final = re.compile(r"[ -~]*")
_UNPRINTABLE: Final = re.compile(r"[^ -~]")
_TOP: Final = re.compile(r"(?!-)[A-Za-z0-9-]+(?<!-)")
_NAME: Final = re.compile(r"[!-\[\]-~]+")
"""What DNS names are here: no backslash, which would begin an escape (`values.dns`)."""
_EXPLANATION_ONLY: Final = frozenset("crt")
_FIXED: Final = {"%": "%", "_": " ", "-": "%20"}


@dataclass(frozen=True, slots=True)
class Macro:
    """`%{…}`. `parts` 0: all of them; no `delimiters`: dots."""

    letter: str
    parts: int
    reverse: bool
    delimiters: str
    escape: bool
    """It is written as a capital: the result is URL-escaped."""

    def expand(self, value: str) -> str:
        if self.parts or self.reverse or self.delimiters:
            first = self.delimiters[:1] or "."
            for other in self.delimiters[1:]:
                value = value.replace(other, first)
            parts = value.split(first)
            if self.reverse:
                parts.reverse()
            value = ".".join(parts[-self.parts :])
        return quote(value, safe="", errors="replace") if self.escape else value


@dataclass(frozen=True, slots=True)
class MacroString:
    """Read, and correct."""

    pieces: tuple[str | Macro, ...]
    letters: frozenset[str]

    def value(self, values: Mapping[str, str], most: int) -> str:
        """Expanded, at most `most` characters from the left."""
        out: list[str] = []
        room = most
        for piece in self.pieces:
            text = piece if isinstance(piece, str) else piece.expand(values[piece.letter])
            out.append(text[:room])
            room -= len(text)
            if room <= 0:
                break
        return "".join(out)


@dataclass(frozen=True, slots=True)
class DomainSpec:
    """`domain-spec` of RFC 7208 §12. `fixed`: its name, when it has no macros; None then means that it can't be one."""

    text: MacroString
    fixed: str | None

    @property
    def letters(self) -> frozenset[str]:
        return self.text.letters

    def target(self, values: Mapping[str, str]) -> str | None:
        """The name that it means (RFC 7208 §7.3), canonical as in `values.dns`. None: it is none, and is not to be asked for."""
        out: list[str] = []
        length = 0
        for piece in reversed(self.text.pieces):  # what is too long loses its left side, which needs not be made
            text = piece if isinstance(piece, str) else piece.expand(values[piece.letter])
            out.append(text)
            length += len(text)
            if length > 2 * NAME_MOST:
                break
        out.reverse()
        return name("".join(out))


def name(text: str) -> str | None:
    """A DNS name in lower case without last dot, cut from the left where it is too long. None for what can't be one."""
    if text[-1:] == ".":
        text = text[:-1]
    if len(text) > NAME_MOST:
        dot = text.find(".", len(text) - NAME_MOST - 1)
        if dot < 0:
            return None
        text = text[dot + 1 :]
    if _NAME.fullmatch(text) is None:
        return None
    if text[0] == "." or text[-1] == "." or ".." in text:
        return None
    if len(text) > LABEL_MOST and max(map(len, text.split("."))) > LABEL_MOST:
        return None
    return text.lower()


def read(text: str) -> MacroString | None:
    """`macro-string`. None: a syntax error."""
    found = _read(text) if _LITERAL.fullmatch(text) else None
    return found and found[0]


def read_explanation(text: str) -> MacroString | None:
    """`explain-string`: the same, and spaces."""
    found = _read(text) if _PRINTABLE.fullmatch(text) else None
    return found and found[0]


def read_domain(text: str) -> DomainSpec | None:
    """`domain-spec`: a macro string that ends in `.` and a top label, or in a macro. None: a syntax error."""
    found = _read(text) if text and _LITERAL.fullmatch(text) else None
    if found is None:
        return None
    string, last = found
    if string.letters & _EXPLANATION_ONLY:
        return None
    if last is not None:
        _, dot, top = last.removesuffix(".").rpartition(".")
        if not dot or _TOP.fullmatch(top) is None or top.isdigit():
            return None
    if len(string.pieces) == 1 and isinstance(string.pieces[0], str):
        return DomainSpec(string, name(string.pieces[0]))
    return DomainSpec(string, None)


def one_line(text: str) -> str:
    """The text with a `?` for each character that is not printable ASCII."""
    return _UNPRINTABLE.sub("?", text)


def _read(text: str) -> tuple[MacroString, str | None] | None:
    """And the literal that it ends in; None: it ends in a macro."""
    pieces: list[str | Macro] = []
    letters: set[str] = set()
    literal: str | None = ""
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            return None
        at = token.end()
        fixed, letter, digits, reverse, delimiters, literal = token.groups()
        if letter is None:
            piece = literal or _FIXED[fixed]
            if pieces and isinstance(pieces[-1], str):
                pieces[-1] += piece
            else:
                pieces.append(piece)
            continue
        number = digits.lstrip("0")
        if digits and not number:
            return None  # RFC 7208 §7.3: the value must be nonzero
        parts = 0 if not number else int(number) if len(number) <= _DIGITS_MOST else _PARTS_MOST
        letters.add(letter.lower())
        pieces.append(Macro(letter.lower(), parts, bool(reverse), delimiters, letter.isupper()))
    return MacroString(tuple(pieces), frozenset(letters)), literal
