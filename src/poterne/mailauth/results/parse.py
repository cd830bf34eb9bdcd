"""Reads an Authentication-Results field, as RFC 8601 §2.2 has it. What it says is worth what its writer is worth: nothing here
proves anything.

Stricter than the grammar: no control characters, a bounded number of everything. Laxer in three things that large providers
write and that can't be taken for something else: a property without its type (`action=none`), a value that would have to be
quoted for a `/`, `:` or `=` in it, and a `;` at the end.
"""

import re
from dataclasses import dataclass
from typing import Final, final

VALUE_BYTES_MOST: Final = 16 * 1024
RESULTS_MOST: Final = 100
PROPERTIES_MOST: Final = 32
"""Of one result."""
COMMENTS_MOST: Final = 16
"""How deep comments may stand in each other."""
_CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_SPACE: Final = re.compile(r"[ \t]*+")
_COMMENT_TEXT: Final = re.compile(r"(?:[^()\\]|\\.)*+")
_KEYWORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*+")
_DIGITS: Final = re.compile(r"[0-9]{1,4}+")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*+)"')
_PAIR: Final = re.compile(r"\\(.)")
_BARE: Final = re.compile(r'[^ \t;()"<>,\\]++')


@dataclass(frozen=True, slots=True)
class Property:
    """`ptype.name=value`, such as `header.d=example.org`. Type and name are in lower case."""

    ptype: str
    """Empty where the writer left it out."""
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One result. Method and result are in lower case, as written else: both may be words that nobody registered."""

    method: str
    result: str
    version: int = 1
    reason: str = ""
    properties: tuple[Property, ...] = ()

    def value(self, ptype: str, name: str) -> str:
        """Of the first such property; "" when there is none."""
        for one in self.properties:
            if one.ptype == ptype and one.name == name:
                return one.value
        return ""


@dataclass(frozen=True, slots=True)
class AuthenticationResults:
    """One field. `results` is empty when it says `none`."""

    authserv_id: str
    """Who says so, as it is written; compare in lower case."""
    results: tuple[MethodResult, ...]
    version: int = 1


def parse(value: bytes) -> AuthenticationResults | None:
    """What the field's value says, folds and last CRLF included; None: it can't be read. Never raises, in linear time."""
    if len(value) > VALUE_BYTES_MOST:
        return None
    flat = value.removesuffix(b"\r\n")
    if b"\r\n" in flat:
        flat = flat.replace(b"\r\n ", b" ").replace(b"\r\n\t", b"\t")
    try:
        text = flat.decode()
    except UnicodeDecodeError:
        return None
    if _CONTROL.search(text):
        return None
    try:
        return _Reader(text).whole()
    except _ReadError:
        return None


class _ReadError(Exception):
    """Stops reading; never leaves this module."""


@final
class _Reader:
    __slots__ = ("_at", "_text")

    def __init__(self, text: str) -> None:
        self._text: Final = text
        self._at = 0

    def whole(self) -> AuthenticationResults:
        self._cfws()
        authserv_id = self._value()
        version = 1
        self._cfws()
        if digits := self._take(_DIGITS):
            version = int(digits)
            self._cfws()
        results: list[MethodResult] = []
        self._expect(";")
        self._cfws()
        if self._is_none():
            return AuthenticationResults(authserv_id, (), version)
        while True:
            if len(results) == RESULTS_MOST:
                raise _ReadError
            results.append(self._result())
            if self._ended():
                break
            self._expect(";")
            self._cfws()
            if self._ended():
                break
        return AuthenticationResults(authserv_id, tuple(results), version)

    def _is_none(self) -> bool:
        start = self._at
        if self._take(_KEYWORD).lower() == "none":
            self._cfws()
            if self._ended():
                return True
        self._at = start
        return False

    def _result(self) -> MethodResult:
        method = self._keyword()
        version = 1
        self._cfws()
        if self._accept("/"):
            self._cfws()
            version = int(self._take(_DIGITS) or self._fail())
            self._cfws()
        self._expect("=")
        self._cfws()
        result = self._keyword()
        reason = ""
        properties: list[Property] = []
        while self._cfws() and not self._ended() and self._text[self._at] != ";":
            one = self._property()
            if not one.ptype and one.name == "reason" and not reason:
                reason = one.value
            elif len(properties) == PROPERTIES_MOST:
                raise _ReadError
            else:
                properties.append(one)
        return MethodResult(method, result, version, reason, tuple(properties))

    def _property(self) -> Property:
        """White space around what it is made of is allowed; a value ends where white space begins."""
        ptype, name = "", self._keyword()
        self._cfws()
        if self._accept("."):
            self._cfws()
            ptype, name = name, self._keyword()
            self._cfws()
        self._expect("=")
        self._cfws()
        return Property(ptype, name, self._value())

    def _value(self) -> str:
        """A token, a quoted string, or an address whose local part may be one."""
        quoted = _QUOTED.match(self._text, self._at)
        if quoted is None:
            return self._take(_BARE) or self._fail()
        self._at = quoted.end()
        text = _PAIR.sub(r"\1", quoted[1])
        return text + self._take(_BARE) if self._text.startswith("@", self._at) else text

    def _keyword(self) -> str:
        return (self._take(_KEYWORD) or self._fail()).lower()

    def _take(self, what: re.Pattern[str]) -> str:
        found = what.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]

    def _accept(self, character: str) -> bool:
        there = self._text.startswith(character, self._at)
        self._at += there
        return there

    def _expect(self, character: str) -> None:
        if not self._accept(character):
            raise _ReadError

    @staticmethod
    def _fail() -> str:
        raise _ReadError

    def _ended(self) -> bool:
        return self._at == len(self._text)

    def _cfws(self) -> bool:
        """Pass white space and comments. False: there was none, and what stands here belongs to what is before it."""
        start = self._at
        while True:
            self._take(_SPACE)
            if not self._accept("("):
                return self._at > start
            depth = 1
            while depth:
                self._take(_COMMENT_TEXT)
                if self._accept("("):
                    depth += 1
                    if depth > COMMENTS_MOST:
                        raise _ReadError
                elif self._accept(")"):
                    depth -= 1
                else:
                    raise _ReadError
