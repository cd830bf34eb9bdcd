"""The server side of one IMAP connection, without I/O: bytes in, commands out; replies in, bytes out.

Theory of operation. `_phase` says who is to act. In a phase of `_SESSION_ACTS` a command was given to the session and no
event comes before it has answered, so that commands are worked on one at a time however many were sent ahead. In the other
phases octets from the client are awaited, and `_STEPS` has the method that reads them; it gives an event or None (more is
needed).

A command is collected in `_buffer` as it came, literals included: `framing.Frame` finds its end without copying. At each
announced literal the core decides: it is within the limits and asked for with "+", or the command becomes a Bad event and
what the client sends of it anyway (a non-synchronizing literal, RFC 7888) is dropped up to a limit, beyond which the
connection closes. Name and state of a command are checked as soon as its first line is there, before any literal is asked
for. The literal of an APPEND is never collected but handed on as it comes.

The core itself says only "+" lines, and BYE where it raises PeerError; every other answer is the session's, also to Bad.
"""

import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum, auto
from typing import Final, NoReturn

from poterne.proto.core import PeerError, Signal
from poterne.proto.imap import commands
from poterne.proto.imap.cursor import CommandError, Cursor, LiteralMissing
from poterne.proto.imap.framing import Discard, Frame, Framed, LineError
from poterne.proto.imap.limits import Limits
from poterne.proto.imap.parse_mailbox import Announced, append
from poterne.proto.imap.parse_sign_in import sasl_data
from poterne.proto.imap.responses import (
    PARSE,
    TOOBIG,
    Bye,
    Challenge,
    Code,
    Completed,
    Condition,
    Continue,
    Greeting,
    Reply,
    bad,
    bye,
    condition_line,
    no,
)
from poterne.proto.imap.table import COMMANDS, Entry, State

_HEAD: Final = re.compile(rb"([!#$&',-\[\]^-z|}~]{1,200}) ((?:UID )?[A-Za-z0-9.\-]+)(?=[ \r])", re.IGNORECASE).match
_TAG: Final = re.compile(rb"([!#$&',-\[\]^-z|}~]{1,200})[ \r]").match
_DEFAULT_LIMITS: Final = Limits()


class _Phase(Enum):
    COMMAND = auto()
    """A command is awaited."""
    BUSY = auto()
    """The session works on it."""
    SASL = auto()
    """The client's answer to a challenge is awaited."""
    IDLE_ASKED = auto()
    IDLING = auto()
    APPEND_ASKED = auto()
    """The session is to say whether it wants the message."""
    MESSAGE = auto()
    """Octets of the message are awaited."""
    MESSAGE_END = auto()
    """What follows the message: the end of the line, or another message."""
    NEXT_MESSAGE = auto()
    TLS = auto()
    CLOSED = auto()


# Tuples, not sets: an Enum's hash is computed in Python each time, its identity is not.
_SESSION_ACTS: Final = (_Phase.BUSY, _Phase.IDLE_ASKED, _Phase.APPEND_ASKED)
_CLIENT_ACTS: Final = (_Phase.COMMAND, _Phase.SASL, _Phase.IDLING)
# Nor is a member looked up in its Enum for nothing, 0.1 µs each time: these are asked for at each command.
_COMMAND: Final = _Phase.COMMAND
_MESSAGE: Final = _Phase.MESSAGE
_BUSY: Final = _Phase.BUSY
_TLS: Final = _Phase.TLS
_CLOSED: Final = _Phase.CLOSED
_NOT_AUTHENTICATED: Final = State.NOT_AUTHENTICATED
_AUTHENTICATED: Final = State.AUTHENTICATED
_SELECTED: Final = State.SELECTED
_NEED_DATA: Final = Signal.NEED_DATA
_END: Final = Framed.END
_TOO_LONG: Final = Framed.TOO_LONG
_OK: Final = Condition.OK
_APPENDING: Final = (_Phase.APPEND_ASKED, _Phase.MESSAGE, _Phase.MESSAGE_END, _Phase.NEXT_MESSAGE)


class ServerCore:
    """`proto.core.Core` of an IMAP server. `tls` says whether the link is encrypted from the start (port 993)."""

    __slots__ = (
        "_announced",
        "_buffer",
        "_capabilities",
        "_command",
        "_discard",
        "_entry",
        "_eof",
        "_frame",
        "_injected",
        "_message_index",
        "_message_left",
        "_out",
        "_pending",
        "_phase",
        "_tag",
        "commands",
        "limits",
        "state",
        "tls",
    )

    def __init__(self, limits: Limits = _DEFAULT_LIMITS, *, tls: bool = False) -> None:
        self.limits: Final = limits
        self.tls = tls
        self.state = _NOT_AUTHENTICATED
        self.commands: Mapping[bytes, Entry] = COMMANDS
        """What is known: the session may take some away once it knows who this is."""
        self._buffer = bytearray()
        self._eof = False
        self._phase = _COMMAND
        self._out: list[bytes] = []
        self._pending = 0
        self._tag: bytes | None = None
        self._command: commands.Event | None = None
        self._entry: Entry | None = None
        self._capabilities: frozenset[str] = frozenset()
        self._frame = Frame()
        self._discard: Discard | None = None
        self._announced: Announced | None = None
        self._message_left = 0
        self._message_index = 0
        self._injected = False

    # What the session and the driver call

    @property
    def pending(self) -> int:
        return self._pending

    @property
    def sent_ahead(self) -> bool:
        """More came behind the command that is being worked on."""
        return bool(self._buffer)

    @property
    def rev2(self) -> bool:
        """The client enabled IMAP4rev2."""
        return "IMAP4REV2" in self._capabilities

    @property
    def utf8(self) -> bool:
        """Mailbox names are UTF-8 on this connection, not modified UTF-7."""
        return "IMAP4REV2" in self._capabilities or "UTF8=ACCEPT" in self._capabilities

    @property
    def is_listening(self) -> bool:
        """No command is being worked on, nor has one begun to come in that was accepted so far; or the client is in IDLE."""
        phase = self._phase
        return phase is _Phase.IDLING or (phase is _COMMAND and self._entry is None and self._discard is None)

    def authenticated(self) -> None:
        """The client has signed in. To be called before the Completed of LOGIN or AUTHENTICATE."""
        if self.state is not _NOT_AUTHENTICATED:
            raise RuntimeError("already authenticated")
        self.state = _AUTHENTICATED

    def unauthenticated(self) -> None:
        """As after the greeting, but for TLS (RFC 8437 §3). To be called before the Completed of UNAUTHENTICATE."""
        self.state = _NOT_AUTHENTICATED
        self.commands = COMMANDS
        self._capabilities = frozenset()

    def selected(self, is_selected: bool) -> None:
        """A mailbox is selected from now on, or none is. To be called before the Completed."""
        if self.state not in (_AUTHENTICATED, _SELECTED):
            raise RuntimeError("not authenticated")
        self.state = _SELECTED if is_selected else _AUTHENTICATED

    def enabled(self, names: Iterable[str]) -> None:
        """These capabilities (in capitals) are enabled; the core heeds IMAP4REV2 and UTF8=ACCEPT."""
        self._capabilities |= frozenset(names)

    def receive(self, data: bytes) -> None:
        if not data:
            self._eof = True
        elif self._phase is not _CLOSED:
            self._buffer += data

    def output(self) -> list[bytes]:
        out, self._out = self._out, []
        self._pending = 0
        return out

    def tls_started(self) -> None:
        if self._phase is not _TLS:
            raise RuntimeError("TLS was not asked for")
        if self._buffer:
            self._inject()
        self.tls = True
        self.state = _NOT_AUTHENTICATED
        self._capabilities = frozenset()
        self._phase = _COMMAND

    def next_event(self) -> commands.Event | Signal:
        phase = self._phase
        if phase is _CLOSED:
            return Signal.CLOSED
        if phase is _TLS:
            if self._buffer or self._injected:
                self._inject()
            return Signal.START_TLS
        if phase in _SESSION_ACTS:
            if len(self._buffer) > self.limits.pipelined_bytes:
                self._fail("pipeline-overflow", b"Too many commands sent ahead")
            return _NEED_DATA
        if not self._buffer and not self._eof:
            return _NEED_DATA
        try:
            if self._discard is not None and self._dropping(self._discard):
                event = None
            elif phase is _COMMAND:
                event = self._read_command()
            elif phase is _MESSAGE:
                event = self._read_message()
            else:
                event = self._STEPS[phase](self)
        except LineError as error:
            self._fail(error.code, error.text)
        except CommandError as error:
            event = self._bad(error)
        if event is not None:
            return event
        if self._eof:
            self._close()
            return Signal.CLOSED
        return _NEED_DATA

    def send(self, reply: Reply) -> None:
        if isinstance(reply, bytes):
            if self._phase is not _CLOSED:
                self._put(reply)
            return
        if isinstance(reply, Bye) and self._phase is _CLOSED:
            return  # a farewell to someone who has left is no error: shutting down meets such connections
        self._check_open()
        if isinstance(reply, Completed):
            self._complete(reply)
            return
        match reply:
            case Continue():
                self._continue()
            case Challenge():
                if self._phase is not _BUSY or not isinstance(self._command, commands.Authenticate):
                    raise RuntimeError("a challenge outside AUTHENTICATE")
                self._put(b"+ " + binascii.b2a_base64(reply.data, newline=False) + b"\r\n")
                self._phase = _Phase.SASL
            case Bye():
                self._put(bye(reply.text, reply.code))
                if not isinstance(self._command, commands.Logout):
                    self._close()
            case Greeting():
                code = Code(b"CAPABILITY " + b" ".join(reply.capabilities)) if reply.capabilities else None
                self._put(condition_line(b"*", b"OK", reply.text, code))

    # Output

    def _put(self, data: bytes) -> None:
        self._out.append(data)
        self._pending += len(data)

    def _check_open(self) -> None:
        if self._phase is _CLOSED or self._phase is _TLS:
            raise RuntimeError("nothing can be said now")

    def _complete(self, reply: Completed) -> None:
        phase = self._phase
        if phase in _CLIENT_ACTS:
            raise RuntimeError("no command to complete")
        command = self._command
        is_ok = reply.condition is _OK
        if isinstance(command, commands.StartTls) and is_ok and self._buffer:
            # Plaintext behind STARTTLS: no go-ahead is given, the next event is the PeerError.
            self._injected = True
            self._phase = _TLS
            return
        label = b"*" if self._tag is None else self._tag
        self._put(condition_line(label, reply.condition, reply.text, reply.code))
        if phase in _APPENDING:
            self._drop_message(phase)
        self._command = None
        self._entry = None
        self._announced = None
        self._tag = None
        self._phase = _COMMAND
        if isinstance(command, commands.StartTls) and is_ok:
            self._phase = _TLS
        elif isinstance(command, commands.Logout):
            self._close()

    def _continue(self) -> None:
        if self._phase is _Phase.IDLE_ASKED:
            self._put(b"+ idling\r\n")
            self._phase = _Phase.IDLING
        elif self._phase is _Phase.APPEND_ASKED and self._announced is not None:
            if self._announced.synchronizing:
                self._put(b"+ Ready for the message\r\n")
            self._message_left = self._announced.size
            self._phase = _Phase.MESSAGE
        else:
            raise RuntimeError("nothing to continue")

    # The end of a connection

    def _close(self) -> None:
        self._phase = _CLOSED
        self.state = State.LOGOUT
        self._buffer.clear()

    def _fail(self, code: str, text: bytes, response_code: Code | None = None) -> NoReturn:
        self._put(bye(text, response_code))
        self._close()
        raise PeerError(code)

    def _inject(self) -> NoReturn:
        self._fail("starttls-injection", b"Plaintext was sent after STARTTLS")

    # What is read and dropped

    def _dropping(self, discard: Discard) -> bool:
        """Drop what belongs to a refused command. True while more of it is to come."""
        if not discard.drop(self._buffer):
            return True
        self._discard = None
        return False

    def _discard_limit(self) -> int:
        limits = self.limits
        return limits.guest_discard_bytes if self.state is _NOT_AUTHENTICATED else limits.discard_bytes

    def _drop_literal(self, size: int, limit: int) -> None:
        """Drop `size` octets that come unasked, then the rest of their line. Too many: better to part."""
        if size > limit:
            self._fail("literal-too-big", b"Literal is too large", TOOBIG)
        self._discard = Discard(octets=size, limit=limit + self._discard_limit())

    def _drop_message(self, phase: _Phase) -> None:
        """The session has refused a message: what of it is still to come?"""
        announced = self._announced
        if phase is _Phase.APPEND_ASKED:
            if announced is not None and not announced.synchronizing:
                self._drop_literal(announced.size, self.limits.append_bytes)
        elif phase is _Phase.MESSAGE:
            self._drop_literal(self._message_left, self.limits.append_bytes)
        else:
            self._discard = Discard(octets=0, limit=self._discard_limit())

    # Commands

    def _bad(self, error: CommandError, *, in_append: bool = False) -> commands.Bad:
        """The command under way ends here. Whoever reads on does so behind what was consumed of it."""
        event = commands.Bad(self._tag, error.code, error.reply, in_append)
        self._command = event
        self._phase = _BUSY
        return event

    def _line_limit(self) -> int:
        limits = self.limits
        return limits.guest_line_bytes if self.state is _NOT_AUTHENTICATED else limits.line_bytes

    def _literal_limit(self) -> int:
        limits = self.limits
        return limits.guest_literal_bytes if self.state is _NOT_AUTHENTICATED else limits.literal_bytes

    def _read_command(self) -> commands.Event | None:
        while True:
            found = self._frame.line(self._buffer, self._line_limit())
            if found is None:
                return None
            try:
                if self._entry is None:
                    self._entry = self._head()
                event = self._line_ended(found, self._entry)
            except CommandError as error:
                return self._refuse(found, error)
            if event is not None:
                return event

    def _line_ended(self, found: Framed, entry: Entry) -> commands.Event | None:
        if found is _TOO_LONG:
            raise CommandError("line-too-long", bad(b"Command line is too long", TOOBIG))
        return self._whole(entry) if found is _END else self._at_literal(entry)

    def _head(self) -> Entry:
        """Tag and name, from the first line. `_tag` is set as soon as there is one."""
        found = _HEAD(self._buffer, 0, self._frame.next)
        if found is None:
            tag = _TAG(self._buffer, 0, self._frame.next)
            if tag is None:
                raise CommandError("tag", bad(b"Invalid tag"))
            self._tag = bytes(tag[1])
            raise CommandError("syntax", bad(b"Command expected"))
        self._tag = bytes(found[1])
        name = bytes(found[2]).upper()
        entry = self.commands.get(name)
        if entry is None:
            raise CommandError("unknown", bad(b"Unknown command"))
        if self.state not in entry.states:
            raise CommandError("state", bad(_WRONG_STATE[self.state]))
        if name == b"STARTTLS" and self.tls:
            raise CommandError("state", bad(b"TLS is active already"))
        self._frame.arguments_at = found.end()
        return entry

    def _whole(self, entry: Entry) -> commands.Event:
        """The command ended: parse it."""
        frame = self._frame
        accepts_utf8 = "UTF8=ACCEPT" in self._capabilities
        cursor = Cursor(
            bytes(self._buffer[: frame.end]),
            frame.arguments_at,
            self.limits,
            utf8=accepts_utf8 or "IMAP4REV2" in self._capabilities,
            forbids_charset=accepts_utf8,
        )
        event = entry.parse(cursor, self._tag or b"")
        self._consume()
        self._command = event
        self._phase = _Phase.IDLE_ASKED if isinstance(event, commands.Idle) else _BUSY
        return event

    def _consume(self) -> None:
        """Forget the command's octets."""
        del self._buffer[: self._frame.next]
        self._frame = Frame()

    def _at_literal(self, entry: Entry) -> commands.Event | None:
        """A line ended with a literal: of a message, or an argument to be collected."""
        frame, limits = self._frame, self.limits
        if entry.announced is not None:
            cursor = Cursor(bytes(self._buffer[: frame.next]), frame.arguments_at, limits, utf8=self.utf8)
            try:
                return self._announce(entry.announced(cursor), index=0)
            except LiteralMissing:
                pass
        if frame.literals >= limits.literals or frame.literal_bytes + frame.literal_size > self._literal_limit():
            answer = bad(b"Literal is too large", TOOBIG) if entry.too_big is None else entry.too_big(limits)
            raise CommandError("literal-too-big", answer)
        if not frame.non_synchronizing:
            self._put(b"+ Ready for more\r\n")
        frame.accept_literal()
        return None

    def _refuse(self, found: Framed, error: CommandError, *, in_append: bool = False) -> commands.Bad:
        """Give up the command being collected; drop what of it is still to come."""
        frame = self._frame
        size, follows = frame.literal_size, found is Framed.LITERAL and frame.non_synchronizing
        if found is _TOO_LONG:
            self._discard = Discard(octets=0, limit=self._discard_limit() + self._line_limit())
            del self._buffer[: frame.start]
            self._frame = Frame()
        else:
            self._consume()
        if follows:
            takes_message = self._entry is not None and self._entry.announced is not None
            self._drop_literal(size, self.limits.append_bytes if takes_message else self._discard_limit())
        return self._bad(error, in_append=in_append)

    # APPEND

    def _announce(self, announced: Announced, index: int) -> commands.Event:
        if announced.size > self.limits.append_bytes:
            raise CommandError("message-too-big", no(b"Message is too large", TOOBIG))
        if index >= self.limits.append_messages:
            raise CommandError("too-many", no(b"Too many messages at once", Code(b"LIMIT")))
        self._consume()
        self._announced = announced
        self._message_index = index
        self._phase = _Phase.APPEND_ASKED
        event = commands.AppendStart(
            self._tag or b"",
            announced.mailbox,
            announced.flags,
            announced.internal_date,
            announced.size,
            announced.binary,
            index,
            announced.replaces,
        )
        self._command = event
        return event

    def _read_message(self) -> commands.Event | None:
        if not self._message_left:
            self._phase = _Phase.MESSAGE_END
            return self._read_message_end()
        if not self._buffer:
            return None
        buffer = self._buffer
        if len(buffer) <= self._message_left:
            data = bytes(buffer)
            buffer.clear()
        else:
            with memoryview(buffer) as view:
                data = bytes(view[: self._message_left])
            del buffer[: len(data)]
        self._message_left -= len(data)
        return commands.AppendData(data)

    def _read_message_end(self) -> commands.Event | None:
        announced, buffer = self._announced, self._buffer
        closing = b")" if announced is not None and announced.wrapped else b""
        if buffer.startswith(closing + b" ") and (announced is None or announced.replaces is None):
            del buffer[: len(closing)]
            self._phase = _Phase.NEXT_MESSAGE
            return commands.AppendEnd(last=False)
        expected = closing + b"\r\n"
        if buffer.startswith(expected):
            del buffer[: len(expected)]
            self._phase = _BUSY
            return commands.AppendEnd(last=True)
        if expected.startswith(buffer):
            return None
        self._discard = Discard(octets=0, limit=self._discard_limit())
        return self._bad(CommandError("syntax", bad(b"End of command expected after the message")), in_append=True)

    def _read_next_message(self) -> commands.Event | None:
        """MULTIAPPEND: the line up to the next message."""
        found = self._frame.line(self._buffer, self._line_limit())
        if found is None:
            return None
        try:
            return self._announce(self._next_announced(found), self._message_index + 1)
        except CommandError as error:
            return self._refuse(found, error, in_append=True)

    def _next_announced(self, found: Framed) -> Announced:
        if found is _TOO_LONG:
            raise CommandError("line-too-long", bad(b"Command line is too long", TOOBIG))
        text = bytes(self._buffer[: self._frame.next])
        mailbox = self._announced.mailbox if self._announced is not None else ""
        return append(Cursor(text, 0, self.limits, utf8=self.utf8), mailbox)

    # One line within a command

    def _read_plain_line(self, limit: int) -> bytes | None:
        """The next line, whatever it ends with."""
        found = self._frame.line(self._buffer, limit)
        if found is None:
            return None
        if found is _TOO_LONG:
            self._discard = Discard(octets=0, limit=self._discard_limit() + limit)
            self._frame = Frame()
            raise CommandError("line-too-long", bad(b"Line is too long", TOOBIG))
        line = bytes(self._buffer[: self._frame.end])
        self._consume()
        return line

    def _read_sasl(self) -> commands.Event | None:
        line = self._read_plain_line(self.limits.sasl_line_bytes)
        if line is None:
            return None
        if line == b"*":
            self._phase = _BUSY
            return commands.SaslCancelled()
        event = commands.SaslResponse(sasl_data(line))
        self._phase = _BUSY
        return event

    def _read_done(self) -> commands.Event | None:
        line = self._read_plain_line(self._line_limit())
        if line is None:
            return None
        if line.upper() != b"DONE":
            raise CommandError("idle", bad(b"DONE expected", PARSE))
        self._phase = _BUSY
        return commands.Done()

    _STEPS: Final[dict[_Phase, Callable[["ServerCore"], commands.Event | None]]] = {
        _Phase.SASL: _read_sasl,
        _Phase.IDLING: _read_done,
        _Phase.MESSAGE_END: _read_message_end,
        _Phase.NEXT_MESSAGE: _read_next_message,
    }


_WRONG_STATE: Final = {
    _NOT_AUTHENTICATED: b"Sign in first",
    _AUTHENTICATED: b"Not allowed without a selected mailbox, or once signed in",
    _SELECTED: b"Not allowed once signed in",
    State.LOGOUT: b"Logged out",
}
