"""Address lists for display: From, To, Cc … as RFC 9051 §7.5.2 address structures.

Theory of operation. Most addresses are `local@domain` or `Name <local@domain>` without comments, quotes inside names or routes:
one compiled expression takes them, one match each. An address it cannot take is read by the tokens of RFC 5322 §3.4 with the
obsolete forms of §4.4 (routes, empty list elements, white space around dots). Both work from left to right and never return to
what they consumed, so time is linear in the value whatever it holds; and the number of tokens is bounded.

Tolerant: every value gives something, an address without a domain has an empty host. **No identity decision may use this**: who
the author is must be decided by a strict reading that refuses what is ambiguous.
"""

import re
from typing import Final, NamedTuple

from poterne.values.mime import MailAddress

MAX_ADDRESSES: Final = 4096
"""Addresses (with group marks) kept of one field."""
MAX_TOKENS: Final = 16384
"""Tokens read of one field, besides simple addresses."""
_MAX_COMMENT_EDGES: Final = 64
"""Parentheses of one comment."""
_MAX_ROUTE: Final = 1024
"""A longer source route is none."""


class AddressList(NamedTuple):
    addresses: tuple[MailAddress, ...]
    complete: bool
    """False when the limit was reached and addresses are missing."""


_ATEXT: Final = rb"!#-'*+/-9=?A-Z^_`a-z{|}~\x80-\xff-"  # "-" last; "/" to "9" takes the digits
_SIMPLE: Final = re.compile(
    rb"\s*+(?:"
    rb'(?:"([^"\\\r\n]++)"\s*+|(['
    + _ATEXT
    + rb"]["
    + _ATEXT
    + rb". \t]*+))?<(["
    + _ATEXT
    + rb".]++)@(["
    + _ATEXT
    + rb".]++)>"
    rb"|([" + _ATEXT + rb".]++)@([" + _ATEXT + rb".]++)"
    rb")\s*+(?:,|\Z)"
)
"""Groups: quoted name, bare name, local, domain; or local, domain."""


def parse_addresses(value: bytes, max_addresses: int = MAX_ADDRESSES) -> AddressList:
    """The addresses of an unfolded address-list value, at most `max_addresses`. Always returns, in linear time."""
    found: list[MailAddress] = []
    at = _take_simple(value, 0, found, max_addresses)
    if at >= len(value):
        return AddressList(tuple(found), complete=True)
    if len(found) >= max_addresses:
        return AddressList(tuple(found), complete=False)
    return _Reader(value, at, found, max_addresses).read()


def _take_simple(value: bytes, at: int, found: list[MailAddress], max_addresses: int) -> int:
    """Appends the simple addresses that stand at `at`; where the first one begins that is not simple, or does not fit."""
    match = _SIMPLE.match
    while len(found) < max_addresses and (simple := match(value, at)) is not None:
        quoted, bare, local, domain, only_local, only_domain = simple.groups()
        if only_local is not None:
            found.append(MailAddress(None, None, only_local, only_domain))
        else:
            name = quoted if quoted is not None else b" ".join(bare.split()) if bare else None
            found.append(MailAddress(name, None, local, domain))
        at = simple.end()
    return at


_TOKEN: Final = re.compile(
    rb"([^\x00-\x20()<>@,;:\\\"\[\].]++)"  # 1 a run of atom characters, UTF-8 included
    rb"|(\s++)"  # 2
    rb"|([<>@,;:.])"  # 3
    rb'|"([^"\\]*+(?:\\.[^"\\]*+)*)"?'  # 4 quoted string, perhaps open
    rb"|(\[[^\]\\]*+(?:\\.[^\]\\]*+)*\]?)"  # 5 domain literal, perhaps open
    rb"|(\()"  # 6
    rb"|([\x00-\xff])",  # 7 anything else stands for itself
    re.DOTALL,
)
_COMMENT_EDGE: Final = re.compile(rb"\\.|[()]", re.DOTALL)
_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)


class _Reader:
    """The token reader behind `parse_addresses`; one value each."""

    __slots__ = (
        "_adl",
        "_angle",
        "_comment",
        "_domain",
        "_found",
        "_fresh",
        "_glue",
        "_group",
        "_max",
        "_pos",
        "_value",
        "_words",
    )

    def __init__(self, value: bytes, at: int, found: list[MailAddress], max_addresses: int) -> None:
        self._value = value
        self._pos = at
        self._found = found
        self._max = max_addresses
        self._group = False
        self._fresh = False
        self._reset()

    def _reset(self) -> None:
        self._words: list[list[bytes]] = []  # runs of adjoining words and dots; white space separates runs
        self._glue = False  # the next word adjoins the last run
        self._domain: list[bytes] | None = None  # after "@"
        self._adl: bytes | None = None
        self._angle: bytes | None = None  # inside or after <…>: the display name read before it
        self._comment: bytes | None = None

    def read(self) -> AddressList:
        value, match = self._value, _TOKEN.match
        for _ in range(MAX_TOKENS):
            if self._fresh:  # behind a comma
                self._fresh = False
                self._pos = _take_simple(value, self._pos, self._found, self._max)
            token = match(value, self._pos)
            if token is None:
                break
            if len(self._found) >= self._max:
                return AddressList(tuple(self._found), complete=False)
            self._pos = token.end()
            kind = token.lastindex
            if kind in {1, 5, 7}:
                self._word(token[0])
            elif kind == 2:
                self._glue = False
            elif kind == 3:
                self._special(token[0])
            elif kind == 4:
                text = token[4]
                self._word(_QUOTED_PAIR.sub(rb"\1", text) if b"\\" in text else text)
            else:
                self._skip_comment()
        self._finish()
        if self._group:
            self._found.append(MailAddress(None, None, None, None))
        return AddressList(tuple(self._found), complete=self._pos >= len(value))

    def _word(self, word: bytes) -> None:
        if self._domain is not None:
            self._domain.append(word)
        elif self._glue and self._words:
            self._words[-1].append(word)
        else:
            self._words.append([word])
        self._glue = True

    def _special(self, char: bytes) -> None:
        if char == b".":
            # RFC 5322 §4.4: white space may stand around the dots of a local part or domain.
            self._glue = True
            self._word(b".")
        elif char == b"@":
            self._at()
        elif char == b",":
            self._finish()
            self._fresh = True
        elif char == b"<":
            if self._angle is None:
                self._angle = self._phrase()
                self._words, self._domain, self._glue = [], None, False
        elif char == b">":
            self._glue = False
        elif char == b":":
            self._begin_group()
        else:  # ;
            self._finish()
            if self._group:
                self._group = False
                self._found.append(MailAddress(None, None, None, None))

    def _at(self) -> None:
        if self._domain is not None:
            self._domain.append(b"@")  # two at-signs: not an address, shown as it stands
        elif self._angle is not None and not self._words:
            self._route()
        else:
            self._domain = []

    def _route(self) -> None:
        """obs-route, RFC 5322 §4.4: `<@a,@b:local@domain>`. Without its colon before `>` it is no route."""
        value, start = self._value, self._pos - 1
        colon = value.find(b":", start, start + _MAX_ROUTE)
        if colon < 0 or value.find(b">", start, colon) >= 0:
            self._domain = []
            return
        self._adl = b"".join(value[start:colon].split())
        self._pos = colon + 1

    def _begin_group(self) -> None:
        if self._group or self._angle is not None or self._domain is not None:
            self._word(b":")
            return
        self._found.append(MailAddress(None, None, self._phrase(), None))
        self._group = True
        self._reset()

    def _phrase(self) -> bytes:
        return b" ".join([b"".join(run) for run in self._words])

    def _skip_comment(self) -> None:
        """Past a comment, which nests; an open or absurd one ends with the value. The last top-level text may serve as a name."""
        value, depth, at = self._value, 1, self._pos
        start = at
        edges = 0
        while depth:
            edge = _COMMENT_EDGE.search(value, at)
            edges += 1
            if edge is None or edges > _MAX_COMMENT_EDGES:
                self._pos = len(value)
                return
            at = edge.end()
            octet = value[edge.start()]
            if octet == 0x28:
                depth += 1
            elif octet == 0x29:
                depth -= 1
        self._comment = _QUOTED_PAIR.sub(rb"\1", value[start : at - 1]).strip()
        self._pos = at
        self._glue = False

    def _finish(self) -> None:
        """The address read so far, if any, joins the list."""
        words, domain, angle = self._words, self._domain, self._angle
        if words or domain is not None or angle is not None:
            name = angle
            while len(words) > 1 and words[-2][-1] == b".":
                words[-2:] = [words[-2] + words[-1]]  # "john. doe@example.com": obs-local-part
            if angle is None and domain is not None and len(words) > 1:
                # "John Doe john@example.com" without brackets: the last run is the local part.
                name = b" ".join([b"".join(run) for run in words[:-1]])
                words = words[-1:]
            local = b" ".join([b"".join(run) for run in words])
            host = b"".join(domain) if domain is not None else b""
            self._found.append(MailAddress(name or self._comment or None, self._adl, local, host))
        self._reset()
