"""A small reader of IMAP responses, for tests: written from the grammar of RFC 9051 §9, sharing nothing with the server.

Strings are bytes, NIL is None, numbers are int, lists are lists, other atoms are `Atom`. Strict: a single wrong octet raises.
"""

from typing import Any

Value = Any


class Atom(bytes):
    """An atom, or something like one: `\\Seen`, `BODY[HEADER.FIELDS ("From")]<0>`."""

    __slots__ = ()


class ReadError(Exception):
    pass


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def peek(self) -> bytes:
        return self.data[self.at : self.at + 1]

    def expect(self, token: bytes) -> None:
        if not self.data.startswith(token, self.at):
            raise ReadError(f"{token!r} expected at {self.at}: {self.data[max(0, self.at - 30) : self.at + 30]!r}")
        self.at += len(token)

    def value(self) -> Value:
        first = self.peek()
        if first == b"(":
            return self.parenthesised()
        if first == b'"':
            return self.quoted()
        if first == b"{" or self.data.startswith(b"~{", self.at):  # "~" alone begins an atom
            return self.literal()
        return self.atom()

    def parenthesised(self) -> list[Value]:
        """`(a b c)`; also the bodies of a multipart and addresses, which have no spaces between."""
        self.expect(b"(")
        found: list[Value] = []
        while self.peek() != b")":
            if found and not (self.peek() == b"(" and self.data[self.at - 1 : self.at] == b")"):
                self.expect(b" ")
            found.append(self.value())
        self.expect(b")")
        return found

    def quoted(self) -> bytes:
        self.expect(b'"')
        found = bytearray()
        while True:
            octet = self.peek()
            self.at += 1
            if octet == b'"':
                return bytes(found)
            if octet == b"\\":
                octet = self.peek()
                self.at += 1
                if octet not in {b"\\", b'"'}:
                    raise ReadError("escape of something that needs none")
            if octet in {b"", b"\r", b"\n", b"\0"} or octet > b"\x7f":
                raise ReadError(f"{octet!r} in a quoted string")
            found += octet

    def literal(self) -> bytes:
        binary = self.peek() == b"~"
        if binary:
            self.expect(b"~")
        self.expect(b"{")
        end = self.data.index(b"}", self.at)
        digits = self.data[self.at : end]
        if not digits.isdigit():
            raise ReadError("literal size")
        self.at = end
        self.expect(b"}\r\n")
        found = self.data[self.at : self.at + int(digits)]
        if len(found) != int(digits) or (not binary and b"\0" in found):
            raise ReadError("short literal, or NUL in one")
        self.at += len(found)
        return found

    def atom(self) -> Value:
        start = self.at
        depth = 0
        while self.at < len(self.data):
            octet = self.data[self.at]
            if octet == 0x5B:
                depth += 1
            elif octet == 0x5D and depth:
                depth -= 1
            elif not depth and octet in b' ()"{\r\n':
                break
            self.at += 1
        found = self.data[start : self.at]
        if not found or not found.isascii() or b"\r" in found or b"\n" in found:
            raise ReadError(f"atom expected at {start}: {self.data[start : start + 30]!r}")
        if found == b"NIL":
            return None
        return int(found) if found.isdigit() else Atom(found)

    def line(self) -> list[Value]:
        """The values of one response line."""
        found = [self.value()]
        while self.peek() == b" ":
            self.expect(b" ")
            found.append(self.value())
        self.expect(b"\r\n")
        return found


def read_value(data: bytes) -> Value:
    reader = Reader(data)
    value = reader.value()
    if reader.at != len(data):
        raise ReadError(f"{data[reader.at :][:30]!r} left over")
    return value


def read_lines(data: bytes) -> list[list[Value]]:
    reader = Reader(data)
    found = []
    while reader.at < len(data):
        found.append(reader.line())
    return found


def read_fetches(data: bytes) -> list[tuple[int, dict[bytes, Value]]]:
    """`* n FETCH (…)` lines as (n, items)."""
    found = []
    for line in read_lines(data):
        star, number, word, items = line
        if star != b"*" or word != b"FETCH" or len(items) % 2:
            raise ReadError(f"not a FETCH response: {line!r}")
        found.append((number, {bytes(items[i]): items[i + 1] for i in range(0, len(items), 2)}))
    return found
