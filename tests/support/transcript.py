r"""Golden dialogues as files, run against a sans-IO core: in turns, all at once, byte by byte, and split at every CR.

A transcript has one thing per line; empty lines and lines that start with "#" are for the reader.

    C: text      the client sends text CRLF          C> text     the same without CRLF
    S: text      the server sends text CRLF          S> text     the same without CRLF
    T:           TLS starts (the core must ask for it here)
    X: code      the connection ends: "closed", or the code of the PeerError
    @ name       an option of the run, for whoever makes the core (`Transcript.options`)

Escapes: \r \n \t \0 \\ \xHH, and \{octet*count} for many of one octet. Trailing spaces count.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest

from poterne.proto.core import Core, PeerError, Signal

_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|\{(\\x[0-9a-fA-F]{2}|.)\*(\d+)\}|([rnt0\\]))")
_SINGLE = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}


def unescape(text: str) -> bytes:
    def one(found: re.Match[str]) -> str:
        if found[1]:
            return chr(int(found[1], 16))
        if found[2]:
            return (unescape(found[2]).decode("latin-1")) * int(found[3])
        return _SINGLE[found[4]]

    return _ESCAPE.sub(one, text).encode("latin-1")


@dataclass
class Section:
    """What is said between two TLS starts: turns of (from the client, what the server then says)."""

    turns: list[tuple[bytes, bytes]] = field(default_factory=list)

    @property
    def sent(self) -> bytes:
        return b"".join(turn[0] for turn in self.turns)

    @property
    def expected(self) -> bytes:
        return b"".join(turn[1] for turn in self.turns)


@dataclass
class Transcript:
    name: str
    sections: list[Section]
    end: str | None
    options: frozenset[str]


def read(path: Path) -> Transcript:
    sections = [Section()]
    end: str | None = None
    options: set[str] = set()
    server_spoke = True
    for number, line in enumerate(path.read_text("utf-8").split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        mark, text = line[:2], line[3:]
        turns = sections[-1].turns
        if mark in {"C:", "C>"}:
            if server_spoke:
                turns.append((b"", b""))
            turns[-1] = (turns[-1][0] + unescape(text) + (b"\r\n" if mark == "C:" else b""), b"")
            server_spoke = False
        elif mark in {"S:", "S>"}:
            if not turns:
                turns.append((b"", b""))
            turns[-1] = (turns[-1][0], turns[-1][1] + unescape(text) + (b"\r\n" if mark == "S:" else b""))
            server_spoke = True
        elif mark == "T:":
            sections.append(Section())
            server_spoke = True
        elif mark == "X:":
            end = text
        elif mark == "@ ":
            options.add(line[2:].strip())
        else:
            raise ValueError(f"{path.name}:{number}: not a transcript line: {line!r}")
    return Transcript(path.stem, sections, end, frozenset(options))


class Answerer(Protocol):
    """A session small enough for a test: it answers an event at once, by `core.send`."""

    def __call__(self, event: Any, /) -> None: ...


class Runner:
    """Drives a core with an answerer, as `net.drive` does, but in memory."""

    def __init__(self, core: Core[Any, Any], answer: Answerer, greet: Callable[[], None] | None = None) -> None:
        self.core = core
        self.answer = answer
        self.end: str | None = None
        self.wants_tls = False
        self.events: list[Any] = []
        self.said = bytearray()
        if greet:
            greet()
            self.said += b"".join(core.output())

    def feed(self, data: bytes) -> bytes:
        """Give these bytes to the core and let it run; what it said."""
        before = len(self.said)
        self.core.receive(data)
        while self.end is None:
            try:
                event = self.core.next_event()
            except PeerError as error:
                self.end = error.code
                break
            if isinstance(event, Signal):
                if event is Signal.CLOSED:
                    self.end = "closed"
                self.wants_tls = event is Signal.START_TLS
                break
            self.events.append(event)
            self.answer(event)
        self._collect()
        return bytes(self.said[before:])

    def _collect(self) -> None:
        size = self.core.pending
        pieces = b"".join(self.core.output())
        assert len(pieces) == size, "pending does not tell the truth"
        self.said += pieces

    def start_tls(self) -> None:
        assert self.wants_tls, "the core did not ask for TLS"
        self.wants_tls = False
        try:
            self.core.tls_started()
        except PeerError as error:
            self.end = error.code
            self._collect()


def split(data: bytes, how: str) -> Iterator[bytes]:
    if how == "whole":
        if data:
            yield data
    elif how == "bytes":
        for index in range(len(data)):
            yield data[index : index + 1]
    elif how == "crs":
        start = 0
        while start < len(data):
            cr = data.find(b"\r", start)
            stop = len(data) if cr < 0 else cr + 1
            yield data[start:stop]
            start = stop
    else:
        raise ValueError(how)


WAYS = ("turns", "whole", "bytes", "crs")


def check(transcript: Transcript, make: Callable[[Transcript], Runner], way: str) -> None:
    """Run the transcript in one of WAYS; an AssertionError shows what differs."""
    runner = make(transcript)
    for index, section in enumerate(transcript.sections):
        if index:
            runner.start_tls()
        if way == "turns":
            for sent, expected in section.turns:
                already = b"" if sent else bytes(runner.said)
                said = already + (runner.feed(sent) if sent else b"")
                assert said.decode("latin-1") == expected.decode("latin-1"), f"after {sent!r}"
            continue
        start = len(runner.said) if index else 0
        for piece in split(section.sent, way):
            runner.feed(piece)
        assert bytes(runner.said[start:]).decode("latin-1") == section.expected.decode("latin-1")
    assert runner.end == transcript.end


def cases(folder: Path, pattern: str) -> list[Any]:
    """Every transcript of a folder in every way, for `pytest.mark.parametrize`."""
    found = [read(path) for path in sorted(folder.glob(pattern))]
    assert found, f"no {pattern} in {folder}"
    return [pytest.param(one, way, id=f"{one.name}-{way}") for one in found for way in WAYS]
