"""Where a key stands in a TOML text. The parser of the standard library does not tell, and an administrator wants the line."""

import re

_HEADER = re.compile(r"\s*\[{1,2}\s*([^\[\]]+?)\s*\]{1,2}\s*(#.*)?$")
_ASSIGN = re.compile(
    r"\s*((?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'))*)\s*="
)
_PIECE = re.compile(r"[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'")


def _pieces(dotted: str) -> tuple[str, ...]:
    return tuple(piece.strip("\"'") for piece in _PIECE.findall(dotted))


class Lines:
    """Line numbers of keys and tables, found by reading headers and assignments; good for messages, not for parsing."""

    def __init__(self, text: str) -> None:
        self._lines: dict[tuple[str, ...], int] = {}
        table: tuple[str, ...] = ()
        for number, line in enumerate(text.splitlines(), 1):
            if header := _HEADER.match(line):
                table = _pieces(header[1])
                for depth in range(1, len(table) + 1):
                    self._lines.setdefault(table[:depth], number)
            elif assign := _ASSIGN.match(line):
                self._lines.setdefault((*table, *_pieces(assign[1])), number)

    def of(self, key: tuple[str, ...]) -> int:
        """The line of a key, else of the table it would be in, else 0."""
        for depth in range(len(key), 0, -1):
            if line := self._lines.get(key[:depth]):
                return line
        return 0
