"""The SMTP and LMTP server core: bytes in, events out; replies in, bytes out.

Theory of operation. `_read` is the method that reads next: a command, DATA's octets, a chunk's octets, or a line of an AUTH
exchange. It returns an event and notes what answer it expects (`_owed`); `send` takes the answer and moves the state by the
tables of `state.py`. Nothing is read while an answer is owed, so replies cannot come out of order, and a pipelined command
sees the state that the answers before it made.

Octets that belong to a refused message are still read as such: whatever a client sent for a body must never be taken for
commands. A BDAT whose length cannot be told ends the connection for that reason.
"""

from collections.abc import Callable
from typing import ClassVar, Final

from poterne.proto.core import PeerError, Signal
from poterne.proto.lines import LineBuffer, LineFault
from poterne.proto.sasl import base64
from poterne.proto.smtp import command, events, refusals
from poterne.proto.smtp.capabilities import capabilities
from poterne.proto.smtp.data import ChunkReader, Content, DataReader
from poterne.proto.smtp.events import Bad, Event
from poterne.proto.smtp.replies import Challenge, Reply, Sent
from poterne.proto.smtp.settings import Limits, Offer
from poterne.proto.smtp.state import AFTER, ALLOWED, NO_RECIPIENTS, State, out_of_order

_KEYS: Final[dict[type, str]] = {
    events.Connect: "connect",
    events.Hello: "hello",
    events.MailFrom: "mail",
    events.RcptTo: "rcpt",
    events.DataStart: "data",
    events.ChunkEnd: "chunk",
    events.DataEnd: "end",
    events.StartTls: "starttls",
    events.AuthStart: "auth",
    events.AuthResponse: "auth",
    events.AuthCancel: "auth",
}
_REFUSED: Final = (Bad, events.AuthCancel)
_ENDS: Final = (events.DataEnd, events.ChunkEnd)
_DEFAULT_LIMITS: Final = Limits()
_TLS_HANDSHAKE: Final = 22
"""The first octet of a TLS ClientHello (RFC 8446 §5.1); no command begins with it."""


class Server:
    """One SMTP (or LMTP) connection, server side. `tls`: the link is encrypted from the start.

    Memory: one command line (`Limits`), one fed chunk, nothing of a message.
    """

    __slots__ = (
        "_chunks",
        "_content",
        "_data",
        "_eof",
        "_esmtp",
        "_last",
        "_left",
        "_limits",
        "_lines",
        "_offer",
        "_out",
        "_owed",
        "_owed_replies",
        "_pending",
        "_read",
        "_refused",
        "_smtputf8",
        "_state",
        "_swallowed",
        "_untouched",
        "authenticated",
        "recipients",
        "tls",
    )

    def __init__(self, offer: Offer, limits: Limits = _DEFAULT_LIMITS, *, tls: bool = False) -> None:
        self.tls = tls
        self.authenticated = False
        self.recipients = 0
        """Accepted in the open transaction."""
        self._offer = offer
        self._limits = limits
        self._lines = LineBuffer(limits.skipped_line)
        self._out: list[bytes] = []
        self._pending = 0
        self._eof = False
        self._state = State.CONNECT
        self._read: Callable[[Server], Event | Signal] = Server._connect  # unbound: no reference cycle
        self._owed: Event | None = None
        self._owed_replies = 0
        self._esmtp = False
        self._smtputf8 = False
        self._refused = False  # a recipient of this transaction was refused
        self._content: Content | None = None
        self._data: DataReader | None = None
        self._chunks: ChunkReader | None = None
        self._left = 0  # octets of the BDAT chunk still to come
        self._last = False
        self._swallowed: Bad | Reply | None = None  # what is to be said after a chunk that nobody wants
        self._untouched = not tls  # no octet came, and the first one may be TLS where none is spoken yet

    @property
    def buffered(self) -> int:
        """Octets received and not looked at yet: above 0 at `Connect` or `DataStart` the client did not wait for us."""
        return len(self._lines)

    @property
    def answers_due(self) -> int:
        """Replies that the last event still waits for: at LMTP's `DataEnd` as many as recipients were accepted."""
        return self._owed_replies if self._owed is not None else 0

    @property
    def state(self) -> State:
        return self._state

    @property
    def lmtp(self) -> bool:
        return self._offer.lmtp

    def receive(self, data: bytes) -> None:
        if data:
            if self._untouched:
                self._untouched = False
                if data[0] == _TLS_HANDSHAKE:
                    self._read = Server._tls_in_clear
            self._lines.feed(data)
        else:
            self._eof = True

    def next_event(self) -> Event | Signal:
        if self._owed is not None:
            raise RuntimeError(f"{type(self._owed).__name__} is not answered")
        if self._state is State.CLOSED:
            return Signal.CLOSED
        return self._read(self)

    def output(self) -> list[bytes]:
        out = self._out
        self._out = []
        self._pending = 0
        return out

    @property
    def pending(self) -> int:
        return self._pending

    def tls_started(self) -> None:
        if self._state is not State.TLS:
            raise RuntimeError("no TLS handshake was due")
        if len(self._lines):
            raise self._fatal("starttls-injection")
        self.tls = True
        self._esmtp = False
        self._end_transaction()
        self._state = State.START
        self._read = Server._command

    # -- replies ---------------------------------------------------------------------------------------------------

    def send(self, reply: Sent, /) -> None:
        """Answer the last event. `Reply` 421 may come at any time and ends the connection."""
        if self._state is State.CLOSED:
            raise RuntimeError("the connection is closed")
        if isinstance(reply, Reply) and reply.code == 421:
            self._write(reply.wire)
            self._close()
            return
        owed = self._owed
        if owed is None:
            raise RuntimeError("no event to answer")
        key = _KEYS.get(type(owed), "nothing")
        if isinstance(reply, Challenge):
            self._challenge(owed, reply)
            return
        self._check(owed, key, reply)
        if isinstance(owed, events.DataStart):
            self._answer_data(reply, chunking=owed.chunking)
        elif key == "hello" and reply.positive:
            self._greet(reply)
        else:
            self._write(reply.wire)
        self._owed_replies -= 1
        if self._owed_replies > 0:
            return
        self._owed = None
        self._settle(owed, key, positive=reply.code < 400)
        if reply.close or isinstance(owed, events.Quit):
            self._close()

    @staticmethod
    def _check(owed: Event, key: str, reply: Reply) -> None:
        if (300 <= reply.code < 400) != (key == "data" and reply.code == 354):
            raise RuntimeError(f"{reply.code} does not answer {type(owed).__name__}")
        if key == "data" and reply.positive:
            raise RuntimeError("DataStart is answered by 354 or a refusal")
        if reply.code < 400 and (isinstance(owed, _REFUSED) or (isinstance(owed, _ENDS) and owed.refusal is not None)):
            raise RuntimeError(f"{type(owed).__name__} must be refused")

    def _challenge(self, owed: Event, reply: Challenge) -> None:
        if not isinstance(owed, events.AuthStart | events.AuthResponse):
            raise RuntimeError("a challenge answers AUTH only")  # noqa: TRY004  # the contract's error
        self._write(b"334 " + base64.encode(reply.data) + b"\r\n")
        self._owed = None
        self._state = State.AUTH
        self._read = Server._auth_line

    def _greet(self, reply: Reply) -> None:
        if self._esmtp:
            lines = Reply(250, "", reply.text, reply.more).wire if reply.enhanced else reply.wire  # RFC 2034 §4
            head = lines.replace(b"\n250 ", b"\n250-")
            self._write(b"250-" + head[4:] + capabilities(self._offer, tls=self.tls, authenticated=self.authenticated))
        else:
            self._write(reply.wire)

    def _answer_data(self, reply: Reply, *, chunking: bool) -> None:
        if not chunking or reply.close:
            self._write(reply.wire)
        if reply.code == 354:
            self._content = Content(self._offer.size_bytes, self._limits.text_line)
            if chunking:
                self._chunks = ChunkReader(self._content)
                self._read = Server._chunk
            else:
                self._data = DataReader(self._content)
                self._read = Server._text
        elif chunking:
            self._swallowed = reply
            self._read = Server._swallow

    def _settle(self, owed: Event, key: str, *, positive: bool) -> None:
        """Move the state by the table, and keep the little that goes with it."""
        if key == "nothing":
            return
        if isinstance(owed, events.MailFrom) and positive:
            self._smtputf8 = owed.smtputf8
        elif key == "rcpt":
            if positive:
                self.recipients += 1
            else:
                self._refused = True
        elif key == "connect":
            self._read = Server._command
        elif key == "starttls" and positive:
            self._read = Server._handshake
        elif key == "auth" and positive:
            self.authenticated = True
        state = AFTER[key][0 if positive else 1]
        if state is not None:
            self._state = state
            if state is State.READY or state is State.START:
                self._end_transaction()

    def _end_transaction(self) -> None:
        self.recipients = 0
        self._smtputf8 = False
        self._refused = False
        self._content = None
        self._data = None
        self._chunks = None

    # -- reading ---------------------------------------------------------------------------------------------------

    def _connect(self) -> Event:
        return self._ask(events.Connect())

    def _tls_in_clear(self) -> Event:
        """A client that speaks TLS from the start where STARTTLS comes first: it would not understand an answer."""
        self._close()
        raise PeerError("tls-on-clear-port")

    def _command(self) -> Event | Signal:
        try:
            line = self._lines.take(self._limits.command_line, b"AUTH ", self._limits.auth_line)
        except PeerError as error:
            raise self._fatal(error.code) from None
        if line is None:
            return self._wait()
        if isinstance(line, LineFault):
            return self._ask(refusals.LINE_FAULTS[line])
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        reader = self._COMMANDS.get(verb)
        if reader is None:
            return self._unknown(verb)
        name = verb.decode()
        if verb != b"BDAT" and self._state not in ALLOWED[name]:
            if verb == b"DATA" and self._state is State.MAIL and self._refused:
                return self._ask(Bad("no-recipients", NO_RECIPIENTS, name))
            return self._ask(Bad("out-of-order", out_of_order(name, self._state), name))
        return reader(self, argument)

    def _unknown(self, verb: bytes) -> Event:
        if verb in command.FOREIGN:
            raise self._fatal("not-smtp")
        if verb in command.NOT_IMPLEMENTED:
            return self._ask(refusals.NOT_IMPLEMENTED)
        return self._ask(refusals.UNKNOWN if verb else refusals.EMPTY)

    def _hello(self, argument: bytes, kind: events.HelloKind) -> Event:
        if self._offer.lmtp != (kind is events.HelloKind.LHLO):
            return self._ask(Bad("wrong-hello", refusals.WRONG_HELLO[self._offer.lmtp], kind.value))
        event = command.hello(kind, argument)
        if isinstance(event, events.Hello):
            self._esmtp = kind is not events.HelloKind.HELO
        return self._ask(event)

    def _ehlo(self, argument: bytes) -> Event:
        return self._hello(argument, events.HelloKind.EHLO)

    def _helo(self, argument: bytes) -> Event:
        return self._hello(argument, events.HelloKind.HELO)

    def _lhlo(self, argument: bytes) -> Event:
        return self._hello(argument, events.HelloKind.LHLO)

    def _mail(self, argument: bytes) -> Event:
        return self._ask(command.mail(argument, self._offer, tls=self.tls, esmtp=self._esmtp))

    def _rcpt(self, argument: bytes) -> Event:
        if self.recipients >= self._offer.recipients:
            return self._ask(Bad("too-many-recipients", refusals.TOO_MANY, "RCPT"))
        event = command.rcpt(argument, self._offer, smtputf8=self._smtputf8, esmtp=self._esmtp)
        if isinstance(event, Bad):
            self._refused = True
        return self._ask(event)

    def _start_data(self, argument: bytes) -> Event:
        return self._ask(self._no_argument(argument, "DATA") or events.DataStart())

    def _bdat(self, argument: bytes) -> Event | Signal:
        parsed = command.bdat(argument)
        if parsed is None:
            raise self._fatal("bdat-syntax")
        self._left, self._last = parsed
        if self._left > 16 * self._offer.size_bytes:
            raise self._fatal("bdat-too-big")
        if not self._offer.chunking:
            self._swallowed = Bad("not-offered", refusals.NOT_OFFERED, "BDAT")
        elif self._state not in ALLOWED["BDAT"]:
            refusal = (
                NO_RECIPIENTS if self._state is State.MAIL and self._refused else out_of_order("BDAT", self._state)
            )
            self._swallowed = Bad("out-of-order", refusal, "BDAT")
        elif self._chunks is None:
            return self._ask(events.DataStart(chunking=True))
        else:
            self._read = Server._chunk
            return self._chunk()
        self._read = Server._swallow
        return self._swallow()

    def _rset(self, argument: bytes) -> Event:
        bad = self._no_argument(argument, "RSET")
        if bad is None:
            self._end_transaction()
            if self._state is not State.START:
                self._state = State.READY
        return self._ask(bad or events.Rset())

    def _noop(self, _argument: bytes) -> Event:
        return self._ask(events.Noop())

    def _vrfy(self, argument: bytes) -> Event:
        return self._ask(events.Vrfy(argument.decode(errors="replace")))

    def _help(self, argument: bytes) -> Event:
        return self._ask(events.Help(argument.decode(errors="replace")))

    def _quit(self, argument: bytes) -> Event:
        return self._ask(self._no_argument(argument, "QUIT") or events.Quit())

    def _starttls(self, argument: bytes) -> Event:
        if self.tls:
            return self._ask(refusals.TLS_AGAIN)
        if not self._offer.starttls:
            return self._ask(Bad("not-offered", refusals.NOT_OFFERED, "STARTTLS"))
        if self.authenticated:
            return self._ask(refusals.TLS_TOO_LATE)
        bad = self._no_argument(argument, "STARTTLS")
        if bad is None and len(self._lines):
            raise self._fatal("starttls-injection")
        return self._ask(bad or events.StartTls())

    def _auth(self, argument: bytes) -> Event:
        if self.authenticated:
            return self._ask(refusals.AUTH_AGAIN)
        if not self._offer.auth:
            return self._ask(Bad("not-offered", refusals.NOT_OFFERED, "AUTH"))
        if not self.tls:
            return self._ask(refusals.AUTH_NEEDS_TLS)
        return self._ask(command.auth(argument, self._offer))

    def _auth_line(self) -> Event | Signal:
        try:
            line = self._lines.take(self._limits.auth_line)
        except PeerError as error:
            raise self._fatal(error.code) from None
        if line is None:
            return self._wait()
        self._state = State.READY
        self._read = Server._command
        if isinstance(line, LineFault):
            return self._ask(refusals.AUTH_TOO_LONG if line is LineFault.TOO_LONG else refusals.AUTH_BASE64)
        if line == b"*":
            return self._ask(events.AuthCancel())
        data = base64.decode(line)
        return self._ask(refusals.AUTH_BASE64 if data is None else events.AuthResponse(data))

    def _handshake(self) -> Signal:
        if len(self._lines):
            raise self._fatal("starttls-injection")
        return self._wait() if self._eof else Signal.START_TLS

    def _text(self) -> Event | Signal:
        reader = self._data
        if reader is None:
            raise RuntimeError("no message is being read")
        if not reader.complete:
            if not len(self._lines):
                return self._wait()
            data = reader.feed(self._lines.take_all())
            if reader.rest:
                self._lines.feed(reader.rest)
            if data:
                return events.DataChunk(data)
            if not reader.complete:
                return self._wait()
        return self._end_message(reader.content, chunking=False)

    def _chunk(self) -> Event | Signal:
        reader = self._chunks
        if reader is None:
            raise RuntimeError("no message is being read")
        if self._left:
            taken = self._lines.take_some(self._left)
            if not taken:
                return self._wait()
            self._left -= len(taken)
            data = reader.feed(taken)
            if data:
                return events.DataChunk(data)
            if self._left:
                return self._wait()
        if self._last:
            data = reader.finish()
            if data:
                return events.DataChunk(data)
            return self._end_message(reader.content, chunking=True)
        self._read = Server._command
        fault = reader.content.fault
        return self._ask(events.ChunkEnd(reader.size, None if fault is None else refusals.DATA_REFUSALS[fault]))

    def _end_message(self, content: Content, *, chunking: bool) -> Event:
        self._read = Server._command
        fault = content.fault
        refusal = None if fault is None else refusals.DATA_REFUSALS[fault]
        end = events.DataEnd(content.size, fault, refusal, content.long_line, content.eight_bit, chunking)
        return self._ask(end, self.recipients if self._offer.lmtp else 1)

    def _swallow(self) -> Event | Signal:
        if self._left:
            self._left -= len(self._lines.take_some(self._left))
            if self._left:
                return self._wait()
        self._read = Server._command
        said, self._swallowed = self._swallowed, None
        if isinstance(said, Bad):
            return self._ask(said)
        if said is not None:
            self._write(said.wire)
        return self._command()

    # -- small change ----------------------------------------------------------------------------------------------

    @staticmethod
    def _no_argument(argument: bytes, verb: str) -> Bad | None:
        return Bad("command-syntax", refusals.NO_ARGUMENT, verb) if argument.strip(b" ") else None

    def _ask(self, event: Event, answers: int = 1) -> Event:
        self._owed = event
        self._owed_replies = answers
        return event

    def _wait(self) -> Signal:
        if not self._eof:
            return Signal.NEED_DATA
        self._close()
        return Signal.CLOSED

    def _write(self, wire: bytes) -> None:
        self._out.append(wire)
        self._pending += len(wire)

    def _close(self) -> None:
        self._state = State.CLOSED
        self._owed = None
        self._lines.clear()
        self._end_transaction()

    def _fatal(self, code: str) -> PeerError:
        self._write(refusals.FATAL[code].wire)
        self._close()
        return PeerError(code)

    _COMMANDS: ClassVar[dict[bytes, Callable[["Server", bytes], Event | Signal]]] = {
        b"EHLO": _ehlo,
        b"HELO": _helo,
        b"LHLO": _lhlo,
        b"MAIL": _mail,
        b"RCPT": _rcpt,
        b"DATA": _start_data,
        b"BDAT": _bdat,
        b"RSET": _rset,
        b"NOOP": _noop,
        b"VRFY": _vrfy,
        b"HELP": _help,
        b"QUIT": _quit,
        b"STARTTLS": _starttls,
        b"AUTH": _auth,
    }
