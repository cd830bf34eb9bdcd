"""Arguments of SEARCH: RFC 9051 §6.4.4, RFC 3501 §6.4.4, RFC 4731, RFC 5032, RFC 5182, RFC 7162 §3.1.5, RFC 8514."""

import re
from collections.abc import Callable
from datetime import date
from typing import Final

from poterne.proto.imap import commands
from poterne.proto.imap.cursor import MAX_NUMBER64, CommandError, Cursor, decoded, syntax, too_many
from poterne.proto.imap.filters import Filter, FilterKind
from poterne.proto.imap.items import Window
from poterne.proto.imap.parse_filters import filter_mailboxes
from poterne.proto.imap.responses import bad, code_badcharset, no
from poterne.proto.imap.search import (
    Age,
    And,
    BodyHolds,
    DateIs,
    DateKey,
    DateOf,
    EmailIs,
    FlagIs,
    HeaderHolds,
    InSequence,
    InUids,
    KeywordIs,
    ModSeqAtLeast,
    Not,
    Or,
    Recent,
    SearchKey,
    SearchReturn,
    SizeIs,
    SortBy,
    SortKey,
    TextHolds,
    Threading,
    ThreadIs,
)
from poterne.proto.imap.sequence import MAX_NUMBER
from poterne.values.mailbox import Flag

CHARSETS: Final = {
    b"US-ASCII": "ascii",
    b"UTF-8": "utf-8",
    b"ISO-8859-1": "latin-1",
    b"ISO-8859-15": "iso8859-15",
    b"WINDOWS-1252": "cp1252",
}
"""What CHARSET may name: RFC 9051 §6.4.4 requires the first two; the others are what old clients of western Europe send."""

MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"JAN", b"FEB", b"MAR", b"APR", b"MAY", b"JUN", b"JUL", b"AUG", b"SEP", b"OCT", b"NOV", b"DEC"), 1
    )
}
_WORD: Final = re.compile(rb"[A-Za-z0-9]+").match
_DATE: Final = re.compile(rb'("?)([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\1').match
_FIELD: Final = re.compile(rb"[!-9;-~]+").fullmatch
_OBJECT_ID: Final = re.compile(rb"[A-Za-z0-9_-]{1,255}").fullmatch

_CONSTANT: Final[dict[bytes, SearchKey]] = {
    b"ALL": And(()),
    b"NEW": And((Recent(), FlagIs(Flag.SEEN, is_set=False))),
    b"OLD": Not(Recent()),
    b"SAVEDATESUPPORTED": And(()),  # RFC 8514 §4.3: by every mailbox of ours
    b"RECENT": Recent(),
    **{str(flag.name).encode(): FlagIs(flag, is_set=True) for flag in Flag},
    **{b"UN" + str(flag.name).encode(): FlagIs(flag, is_set=False) for flag in Flag},
}
_DATES: Final = {
    prefix + compare.name.encode(): (of, compare)
    for prefix, of in ((b"", DateOf.INTERNAL), (b"SENT", DateOf.SENT), (b"SAVED", DateOf.SAVED))
    for compare in DateIs
}
_HEADERS: Final = frozenset({b"BCC", b"CC", b"FROM", b"SUBJECT", b"TO"})


def search(cursor: Cursor, tag: bytes, *, uid: bool) -> commands.Search:
    cursor.space()
    returns, window = _returns(cursor)
    charset = "utf-8"
    if _word_ahead(cursor) == b"CHARSET":
        if cursor.forbids_charset:
            raise CommandError("charset", bad(b"With UTF8=ACCEPT there is no other character set"))
        cursor.at += 7
        cursor.space()
        charset = _charset(cursor.astring())
        cursor.space()
    key = _Keys(cursor, charset).all()
    cursor.end()
    return commands.Search(tag, uid, key, returns, window)


def multi_search(cursor: Cursor, tag: bytes) -> commands.MultiSearch:
    """ESEARCH of RFC 7377 §4. Without source options the selected mailbox is meant."""
    sources = _sources(cursor)
    found = search(cursor, tag, uid=True)
    returns = found.returns or frozenset({SearchReturn.ALL})
    if SearchReturn.SAVE in returns and any(source.kind is not FilterKind.SELECTED for source in sources):
        raise syntax(b"Only what is found in the selected mailbox can be saved")
    return commands.MultiSearch(tag, sources, found.key, returns, found.window)


def _sources(cursor: Cursor) -> tuple[Filter, ...]:
    if cursor.text[cursor.at : cursor.at + 5].upper() != b" IN (":
        return (Filter(FilterKind.SELECTED),)
    cursor.at += 5
    found = [filter_mailboxes(cursor)]
    while cursor.take(b" "):
        if cursor.next_is(b"("):
            raise syntax(b"Unknown scope option")
        found.append(filter_mailboxes(cursor))
    cursor.close()
    if any(source.kind is FilterKind.SELECTED_DELAYED for source in found):
        raise syntax(b"Unknown mailbox filter")
    if sum(len(source.names) + 1 for source in found) > cursor.limits.filter_names:
        raise too_many(b"Too many mailboxes are named")
    return tuple(dict.fromkeys(found))


def sort(cursor: Cursor, tag: bytes, *, uid: bool) -> commands.Sort:
    """`SORT (criteria) charset keys`, RFC 5256 §5."""
    cursor.space()
    order: dict[SortKey, SortBy] = {}
    for by in cursor.listed(lambda: _sort_by(cursor)):
        order.setdefault(by.key, by)
    return commands.Sort(tag, uid, tuple(order.values()), _criteria(cursor))


def thread(cursor: Cursor, tag: bytes, *, uid: bool) -> commands.Thread:
    cursor.space()
    try:
        algorithm = Threading(cursor.word())
    except ValueError:
        raise syntax(b"Unknown threading algorithm") from None
    return commands.Thread(tag, uid, algorithm, _criteria(cursor))


def _sort_by(cursor: Cursor) -> SortBy:
    word = cursor.word()
    reverse = word == b"REVERSE"
    if reverse:
        cursor.space()
        word = cursor.word()
    try:
        return SortBy(SortKey(word), reverse)
    except ValueError:
        raise syntax(b"Unknown sort criterion") from None


def _criteria(cursor: Cursor) -> SearchKey:
    """`search-criteria`: the charset must be there."""
    cursor.space()
    charset = _charset(cursor.astring())
    cursor.space()
    key = _Keys(cursor, charset).all()
    cursor.end()
    return key


def _word_ahead(cursor: Cursor) -> bytes:
    found = _WORD(cursor.text, cursor.at)
    return found[0].upper() if found else b""


def _charset(name: bytes) -> str:
    codec = CHARSETS.get(name.upper())
    if codec is None:
        raise CommandError("charset", no(b"Character set is not supported", code_badcharset(CHARSETS)))
    return codec


def _returns(cursor: Cursor) -> tuple[frozenset[SearchReturn] | None, Window | None]:
    if _word_ahead(cursor) != b"RETURN":
        return None, None
    cursor.at += 6
    cursor.space()

    window: Window | None = None

    def option() -> SearchReturn:
        nonlocal window
        try:
            found = SearchReturn(cursor.word())
        except ValueError:
            raise syntax(b"Unknown search return option") from None
        if found is SearchReturn.PARTIAL:
            if window is not None:
                raise syntax(b"PARTIAL twice")
            cursor.space()
            window = cursor.window()
        return found

    found = frozenset(cursor.listed(option, empty=True))
    cursor.space()
    if found >= {SearchReturn.ALL, SearchReturn.PARTIAL}:
        raise syntax(b"ALL and PARTIAL exclude each other")  # RFC 9394 §3.1
    return found or frozenset({SearchReturn.ALL}), window


class _Keys:
    """Reads the keys of one search. Recursion is bounded by `Limits.depth`, work by `Limits.search_keys`."""

    __slots__ = ("charset", "count", "cursor")

    def __init__(self, cursor: Cursor, charset: str) -> None:
        self.cursor = cursor
        self.charset = charset
        self.count = 0

    def all(self, depth: int = 0) -> SearchKey:
        """One or more keys with spaces between: all must match."""
        found = [self.one(depth)]
        while self.cursor.take(b" "):
            found.append(self.one(depth))
        return found[0] if len(found) == 1 else And(tuple(found))

    def one(self, depth: int) -> SearchKey:
        cursor = self.cursor
        self.count += 1
        if self.count > cursor.limits.search_keys or depth > cursor.limits.depth:
            raise too_many(b"Search is too complex")
        if cursor.take(b"("):
            key = self.all(depth + 1)
            cursor.close()
            return key
        word = _word_ahead(cursor)
        if word[:1].isdigit() or cursor.next_is(b"*") or cursor.next_is(b"$"):
            return InSequence(cursor.sequence_set())
        cursor.at += len(word)
        if (constant := _CONSTANT.get(word)) is not None:
            return constant
        if word not in _ARGUMENTED:
            raise syntax(b"Unknown search key" if word else b"Search key expected")
        cursor.space()
        if word == b"NOT":
            return Not(self.one(depth + 1))
        if word == b"OR":
            left = self.one(depth + 1)
            cursor.space()
            return Or(left, self.one(depth + 1))
        return self._with_argument(word)

    def _with_argument(self, word: bytes) -> SearchKey:
        if word in _HEADERS:
            return HeaderHolds(word.decode().lower(), self.text())
        if (of_and_compare := _DATES.get(word)) is not None:
            return DateKey(*of_and_compare, day(self.cursor))
        return _READERS[word](self)

    def text(self) -> str:
        return decoded(self.cursor.astring(), self.charset)

    def header(self) -> SearchKey:
        name = self.cursor.astring()
        if not _FIELD(name):
            raise syntax(b"Invalid header field name")
        self.cursor.space()
        return HeaderHolds(name.decode("ascii").lower(), self.text())

    def mod_seq(self) -> SearchKey:
        cursor = self.cursor
        if cursor.next_is(b'"'):
            if not cursor.string().startswith(b"/flags/"):
                raise syntax(b"Unknown metadata entry")
            cursor.space()
            if cursor.word() not in {b"PRIV", b"SHARED", b"ALL"}:
                raise syntax(b"Unknown metadata type")
            cursor.space()
        return ModSeqAtLeast(cursor.number(MAX_NUMBER64))

    def object_id(self) -> str:
        found = self.cursor.atom()
        if not _OBJECT_ID(found):
            raise syntax(b"Invalid object identifier")
        return found.decode("ascii")

    def keyword(self, *, is_set: bool) -> SearchKey:
        return KeywordIs(self.cursor.atom().decode("ascii"), is_set)


_READERS: Final[dict[bytes, Callable[[_Keys], SearchKey]]] = {
    b"BODY": lambda keys: BodyHolds(keys.text()),
    b"TEXT": lambda keys: TextHolds(keys.text()),
    b"HEADER": _Keys.header,
    b"KEYWORD": lambda keys: keys.keyword(is_set=True),
    b"UNKEYWORD": lambda keys: keys.keyword(is_set=False),
    b"LARGER": lambda keys: SizeIs(keys.cursor.number(MAX_NUMBER64), larger=True),
    b"SMALLER": lambda keys: SizeIs(keys.cursor.number(MAX_NUMBER64), larger=False),
    b"YOUNGER": lambda keys: Age(keys.cursor.number(MAX_NUMBER, 1), younger=True),
    b"OLDER": lambda keys: Age(keys.cursor.number(MAX_NUMBER, 1), younger=False),
    b"UID": lambda keys: InUids(keys.cursor.sequence_set()),
    b"MODSEQ": _Keys.mod_seq,
    b"EMAILID": lambda keys: EmailIs(keys.object_id()),
    b"THREADID": lambda keys: ThreadIs(keys.object_id()),
}
_ARGUMENTED: Final = frozenset({b"NOT", b"OR"}) | _HEADERS | _DATES.keys() | _READERS.keys()


def day(cursor: Cursor) -> date:
    """`1-Feb-1994`, with or without quotes."""
    found = _DATE(cursor.text, cursor.at)
    month = MONTHS.get(found[3].upper()) if found else None
    if found is None or month is None:
        raise syntax(b"Date expected")
    try:
        value = date(int(found[4]), month, int(found[2]))
    except ValueError:
        raise syntax(b"No such date") from None
    cursor.at = found.end()
    return value
