"""The client's side of a connection, without I/O: commands may be pipelined, answers of any server are understood.

`send` commands at any time; they go out in order, and one with a "+" to wait for holds up those behind it. `next_event` gives
what the server says: a `Completed` for each command in any order, `Untagged` data meanwhile, and messages in pieces (see
`client_reader`). What the data mean is read by `client_data`.
"""

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Final, final

from poterne.proto.core import PeerError, Signal
from poterne.proto.imap.client_commands import Command
from poterne.proto.imap.client_reader import BodyData, BodyStart, Line, ResponseReader, Value
from poterne.values.secret import Secret

_STATUS: Final = re.compile(rb"(OK|NO|BAD|BYE|PREAUTH)(?: +\[([^\]]*)\])? *(.*)\Z", re.IGNORECASE | re.DOTALL)
_UNTAGGED: Final = re.compile(rb"\* +(?:([0-9]{1,10}) +)?([A-Za-z0-9.\-]+) *")
_TAGGED: Final = re.compile(rb"([0-9A-Za-z]+) +")
_TEXT_MOST: Final = 300
_CAPABILITIES_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class Status:
    """OK, NO, BAD, BYE or PREAUTH. `code`: what stood in brackets; `text`: the server's words, printable, cut."""

    word: str
    code: str
    text: str

    @property
    def ok(self) -> bool:
        return self.word == "OK"


@dataclass(frozen=True, slots=True)
class Greeting:
    status: Status


@dataclass(frozen=True, slots=True)
class Completed:
    """A command's end."""

    command: Command
    status: Status


@dataclass(frozen=True, slots=True)
class Untagged:
    """Data: `* 12 EXISTS` is EXISTS with number 12; values are what follows. A status has no values."""

    kind: str
    number: int | None
    values: list[Value] = field(default_factory=list)
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """The server closed the connection; its BYE, if it said one."""

    status: Status | None


ClientEvent = Greeting | Completed | Untagged | BodyStart | BodyData | Lost


@final
class ClientCore:
    """One connection to a server. An own tag for each command; what comes before the greeting is the greeting."""

    __slots__ = (
        "_blocked", "_bye", "_capabilities", "_ended", "_eof", "_greeted", "_number", "_open", "_output", "_reader",
        "_starting", "_waiting",
    )  # fmt: skip

    def __init__(self) -> None:
        self._reader = ResponseReader()
        self._output: list[bytes] = []
        self._open: dict[bytes, Command] = {}
        self._waiting: deque[Command] = deque()
        self._blocked: deque[Secret] | None = None
        """Answers to "+" of the last command that went out; None: nothing holds up the next one."""
        self._number = 0
        self._capabilities: frozenset[str] = frozenset()
        self._greeted = self._eof = self._ended = self._starting = False
        self._bye: Status | None = None

    @property
    def capabilities(self) -> frozenset[str]:
        """In capitals, as last heard; empty when they have to be asked for (after STARTTLS, mostly after sign-in)."""
        return self._capabilities

    @property
    def outstanding(self) -> int:
        """Commands that are not completed."""
        return len(self._open) + len(self._waiting)

    # The server's side

    def receive(self, data: bytes) -> None:
        if data:
            self._reader.feed(data)
        else:
            self._eof = True

    def next_event(self) -> ClientEvent | Signal:
        """Raises PeerError; then the connection is of no more use."""
        while not self._ended:
            if self._starting:
                return Signal.START_TLS
            found = self._reader.next()
            if found is None:
                if not self._eof:
                    return Signal.NEED_DATA
                self._ended = True
                return Lost(self._bye)
            if not isinstance(found, Line):
                return found
            event = self._event(found)
            if event is not None:
                return event
        return Signal.CLOSED

    def _event(self, line: Line) -> ClientEvent | None:
        text = line.text
        if not self._greeted:
            return self._greet(text)
        if text[:1] == b"+":
            self._go_on()
            return None
        if text[:1] == b"*":
            return self._untagged(line)
        tagged = _TAGGED.match(text)
        command = None if tagged is None else self._open.pop(tagged[1], None)
        if tagged is None or command is None:
            if not text.strip():
                return None
            raise PeerError("unknown-response")
        status = _status(text[tagged.end() :])
        if status is None:
            raise PeerError("unknown-status")
        self._learn(status)
        self._completed(command, status)
        return Completed(command, status)

    def _greet(self, text: bytes) -> Greeting:
        status = _status(text[2:]) if text[:2] == b"* " else None
        if status is None:
            raise PeerError("no-greeting")
        self._greeted = True
        self._learn(status)
        return Greeting(status)

    def _untagged(self, line: Line) -> Untagged:
        found = _UNTAGGED.match(line.text)
        if found is None:
            raise PeerError("unknown-response")
        kind = found[2].decode("ascii").upper()
        if kind in {"OK", "NO", "BAD", "BYE", "PREAUTH"}:
            status = _status(line.text[found.start(2) :])
            if status is not None:
                self._learn(status)
                if kind == "BYE":
                    self._bye = status
            return Untagged(kind, None, [], status)
        values = line.values(found.end())
        if kind == "CAPABILITY":
            self._know(" ".join(value for value in values if isinstance(value, str)))
        return Untagged(kind, int(found[1]) if found[1] else None, values)

    def _learn(self, status: Status) -> None:
        if status.code[:11].upper() == "CAPABILITY ":
            self._know(status.code[11:])

    def _know(self, words: str) -> None:
        self._capabilities = frozenset(words.upper().split()[:_CAPABILITIES_MOST])

    def _completed(self, command: Command, status: Status) -> None:
        if self._blocked is not None and not self._open:
            self._blocked = None
        if command.name == "STARTTLS" and status.ok:
            self._starting = True
        elif command.name in {"LOGIN", "AUTHENTICATE"} and status.ok and status.code[:11].upper() != "CAPABILITY ":
            self._capabilities = frozenset()
        self._send_waiting()

    # Our side

    def send(self, command: Command) -> None:
        self._waiting.append(command)
        self._send_waiting()

    def _send_waiting(self) -> None:
        while self._waiting and self._blocked is None and not self._starting:
            command = self._waiting[0]
            if command.then and self._open:
                return  # a "+" must be meant for it
            self._waiting.popleft()
            self._number += 1
            tag = b"p%d" % self._number
            self._open[tag] = command
            self._output.append(tag + b" " + command.first.reveal() + b"\r\n")
            if command.then:
                self._blocked = deque(command.then)

    def _go_on(self) -> None:
        if not self._blocked:
            raise PeerError("unexpected-continuation")
        self._output.append(self._blocked.popleft().reveal() + b"\r\n")

    def output(self) -> list[bytes]:
        output, self._output = self._output, []
        return output

    @property
    def pending(self) -> int:
        return sum(map(len, self._output))

    def tls_started(self) -> None:
        """The link is encrypted now. Raises PeerError when the server said more before it was (RFC 9051 §6.2.1)."""
        self._starting = False
        self._capabilities = frozenset()
        if self._reader.buffered:
            self._ended = True
            raise PeerError("starttls-injection")
        self._send_waiting()


def _status(text: bytes) -> Status | None:
    found = _STATUS.match(text)
    if found is None:
        return None
    words = found[3][:_TEXT_MOST].decode("utf-8", "replace")
    shown = "".join(char if char.isprintable() else "?" for char in words)
    return Status(found[1].decode("ascii").upper(), (found[2] or b"").decode("latin-1"), shown)
