"""Where a key stands in a TOML text. The parser of the standard library does not tell, and an administrator wants the line."""

import re
from typing import Final

_KEY: Final = r"(?:[A-Za-z0-9_-]+|\"(?:[^\"\\]|\\.)*\"|'[^']*')"
_DOTTED: Final = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER: Final = re.compile(rf"\s*\[{{1,2}}\s*({_DOTTED})\s*\]{{1,2}}\s*(#.*)?$")
_ASSIGN: Final = re.compile(rf"\s*({_DOTTED})\s*=(.*)$")
_PIECE: Final = re.compile(_KEY)
# What a value is made of, as far as its end matters: strings hide brackets and comments.
_TOKEN: Final = re.compile(
    r'"""|\'\'\'|"(?:[^"\\]|\\.)*"|\'[^\']*\'|#.*|[\[\]{}]',
)


def _pieces(dotted: str) -> tuple[str, ...]:
    return tuple(piece.strip("\"'") for piece in _PIECE.findall(dotted))


class Lines:
    """Line numbers of keys and tables, found by reading headers and assignments; good for messages, not for parsing.

    Values over several lines (arrays, long strings) are passed over. Never raises, whatever the text.
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[tuple[str, ...], int] = {}
        table: tuple[str, ...] = ()
        inside = _Value()
        for number, line in enumerate(text.split("\n"), 1):
            if inside.open:
                inside.read(line)
            elif header := _HEADER.match(line):
                table = _pieces(header[1])
                for depth in range(1, len(table) + 1):
                    self._lines.setdefault(table[:depth], number)
            elif assign := _ASSIGN.match(line):
                self._lines.setdefault((*table, *_pieces(assign[1])), number)
                inside.read(assign[2])

    def of(self, key: tuple[str, ...]) -> int:
        """The line of a key, else of the table it would be in, else 0."""
        for depth in range(len(key), 0, -1):
            if line := self._lines.get(key[:depth]):
                return line
        return 0


class _Value:
    """Is a value still going on at the end of this line?"""

    def __init__(self) -> None:
        self._depth = 0
        self._quotes = ""

    @property
    def open(self) -> bool:
        return self._depth > 0 or bool(self._quotes)

    def read(self, text: str) -> None:
        at = 0
        while at < len(text):
            if self._quotes:
                end = text.find(self._quotes, at)
                if end < 0:
                    return
                at, self._quotes = end + 3, ""
                continue
            token = _TOKEN.search(text, at)
            if token is None:
                return
            at = token.end()
            found = token[0]
            if found in {'"""', "'''"}:
                self._quotes = found
            elif found in "[{":
                self._depth += 1
            elif found in "]}":
                self._depth = max(0, self._depth - 1)
