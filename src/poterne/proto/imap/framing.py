"""Where a command ends: lines that end in CRLF, joined by literals. Works on offsets; nothing is copied or kept twice.

A bare LF, a bare CR is an error of the whole connection: one side or the other would see the borders of commands elsewhere.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

_ANNOUNCED: Final = re.compile(rb"\{([0-9]{1,20})(\+?)\}\Z")
_TAIL: Final = 64
"""At least the length of an announcement: what is kept of a dropped line to see whether it ends with one."""


class LineError(Exception):
    """The connection cannot go on. `code` is for the log, `text` for the client."""

    def __init__(self, code: str, text: bytes) -> None:
        super().__init__(code)
        self.code = code
        self.text = text


class Framed(Enum):
    """What `Frame.line` found."""

    END = auto()
    """The command ends here."""
    LITERAL = auto()
    """The line ends with an announced literal."""
    TOO_LONG = auto()


class Frame:
    """The command being collected at the start of a buffer.

    `start` is where the current line begins, `end` where it ends without CRLF and `next` behind that. The sizes announced
    are numbers only; memory is the buffer's, and that holds what came.
    """

    __slots__ = (
        "_searched",
        "arguments_at",
        "end",
        "literal_bytes",
        "literal_size",
        "literals",
        "next",
        "non_synchronizing",
        "start",
    )

    def __init__(self) -> None:
        self.start = 0
        self.end = 0
        self.next = 0
        self.arguments_at = 0
        self.literal_size = 0
        self.non_synchronizing = False
        self.literals = 0
        """How many were accepted, …"""
        self.literal_bytes = 0
        """… and their octets."""
        self._searched = 0

    def line(self, buffer: bytearray, limit: int) -> Framed | None:
        """Find the end of the current line. None: more is to come.

        `limit` is for all lines of the command together, without their last CRLF and the literals between them.
        """
        furthest = limit + 2 + self.literal_bytes
        newline = buffer.find(b"\n", max(self._searched, self.start), furthest)
        if newline < 0:
            self._searched = len(buffer)
            if len(buffer) < furthest:
                return None
            self.end = self.next = furthest
            return Framed.TOO_LONG
        _check_ending(buffer, self.start, newline)
        self.end = newline - 1
        self.next = newline + 1
        if self.end == self.start or buffer[self.end - 1] != 0x7D:
            return Framed.END
        announced = _ANNOUNCED.search(buffer, max(self.start, self.end - _TAIL), self.end)
        if announced is None:
            return Framed.END
        self.literal_size = int(announced[1])
        self.non_synchronizing = bool(announced[2])
        return Framed.LITERAL

    def accept_literal(self) -> None:
        """Go on behind the literal just found."""
        self.literals += 1
        self.literal_bytes += self.literal_size
        self.start = self.next + self.literal_size


@dataclass(slots=True)
class Discard:
    """What is left of a refused command, to be read and dropped: `octets`, then up to the end of the line.

    If that line announces a literal that comes unasked, so on with it. LineError when it is more than `limit` octets.
    """

    octets: int
    limit: int

    def drop(self, buffer: bytearray) -> bool:
        """Drop from the start of `buffer`. True when all is dropped; False: more is to come."""
        while True:
            taken = min(self.octets, len(buffer))
            self._spend(taken)
            del buffer[:taken]
            self.octets -= taken
            if self.octets:
                return False
            # Bounded, so that a line in one piece meets the same errors in the same order as one in many.
            newline = buffer.find(b"\n", 0, self.limit + 1 + _TAIL)
            if newline < 0:
                self._spend_line(buffer)
                return False
            _check_ending(buffer, 0, newline)
            announced = _ANNOUNCED.search(buffer, max(0, newline - 1 - _TAIL), newline - 1)
            # Taken out before the buffer changes: a match of a bytearray looks at what is there now.
            self.octets = int(announced[1]) if announced is not None and announced[2] else -1
            self._spend(newline + 1)
            del buffer[: newline + 1]
            if self.octets < 0:
                return True

    def _spend(self, count: int) -> None:
        self.limit -= count
        if self.limit < 0:
            raise LineError("discarded-too-much", b"Too much was sent of a refused command")

    def _spend_line(self, buffer: bytearray) -> None:
        """Drop what is there of an unfinished line, but for its tail."""
        surplus = len(buffer) - _TAIL
        if surplus > 0:
            _check_bare_cr(buffer, 0, min(surplus, self.limit))
            self._spend(surplus)
            del buffer[:surplus]


def _check_ending(buffer: bytearray, start: int, newline: int) -> None:
    if newline <= start or buffer[newline - 1] != 0x0D:
        raise LineError("bare-lf", b"Lines must end in CR LF")
    _check_bare_cr(buffer, start, newline - 1)


def _check_bare_cr(buffer: bytearray, start: int, stop: int) -> None:
    if buffer.find(b"\r", start, stop) >= 0:
        raise LineError("bare-cr", b"Lines must end in CR LF")
