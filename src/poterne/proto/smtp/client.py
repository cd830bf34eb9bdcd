"""The SMTP and LMTP client core: commands in, bytes out; bytes in, answers out.

Theory of operation. A command waits in `_queue` until it may be written, then in `_sent` until its reply came; a reply answers
the oldest of `_sent`. With PIPELINING (RFC 2920) MAIL, RCPT and RSET are written without waiting, and whatever follows them;
every other command is the last of its group. Before the greeting, and before TLS after STARTTLS, nothing is written.

A command that this server cannot obey (an extension is missing, the address cannot be written) is not written: its answer is
made here (`ServerReply.local`) and given in its turn. Every command gets exactly one `Answer` (LMTP: `ContentEnd` one per
recipient), or is named in `Lost`; after a PeerError, `unanswered` still names those that wait.
"""

from collections import deque
from typing import Final

from poterne.proto.core import PeerError, Signal
from poterne.proto.dots import DotStuffer
from poterne.proto.lines import LineBuffer, LineFault
from poterne.proto.smtp import client_lines
from poterne.proto.smtp.client_commands import (
    Answer,
    Auth,
    ClientEvent,
    Command,
    Content,
    ContentEnd,
    ContentError,
    Data,
    Greet,
    Greeting,
    Lost,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    ServerReply,
    StartTls,
)
from poterne.proto.smtp.client_lines import local
from poterne.proto.smtp.client_reply import ClientLimits, ReplyReader

_FLOWING: Final = (Mail, Rcpt, Rset, ContentEnd)  # RFC 2920 §3.1: may be followed without waiting
_NO_EHLO: Final = frozenset({500, 501, 502, 504, 550})
_DEFAULT_LIMITS: Final = ClientLimits()
_NO_RECIPIENT: Final = local(554, "5.5.1", "No recipient was accepted")
_NO_SENDER: Final = local(503, "5.5.1", "The sender was not accepted")
_NO_STARTTLS: Final = local(502, "5.5.1", "The server does not offer STARTTLS")
_GIVE_UP: Final = b"*\r\n"


class Client:
    """One SMTP (or LMTP) connection, client side. `tls`: the link is encrypted from the start.

    Memory: the commands given and not answered, one reply within `ClientLimits`, content until `output` takes it.
    """

    def __init__(self, limits: ClientLimits = _DEFAULT_LIMITS, *, tls: bool = False, lmtp: bool = False) -> None:
        self.tls = tls
        self.lmtp = lmtp
        self.extensions: dict[str, tuple[str, ...]] = {}
        """Of the last EHLO; empty after HELO and after TLS started."""
        self.greeted = False
        self._limits = limits
        self._lines = LineBuffer(0)
        self._replies = ReplyReader(limits)
        self._out: list[bytes] = []
        self._pending = 0
        self._eof = False
        self._closed = False
        self._ending: ServerReply | None = None  # a 421: whatever is still open is lost
        self._queue: deque[Command] = deque()
        self._sent: deque[tuple[Command, ServerReply | None]] = deque()
        self._responses: list[bytes] = []  # what AUTH still has to say
        self._handshake = False
        self._stuffer: DotStuffer | None = None  # while the server waits for content
        self._helo = False  # the Greet that is being answered was said as HELO
        self._disposing = False  # DATA was accepted for nobody, and an empty message is on its way
        self._smtputf8 = False
        self._mail_refused = False
        self._accepted: list[Rcpt] = []
        self._told: deque[Rcpt] = deque()  # LMTP: recipients whose reply to the message is still to come

    @property
    def unanswered(self) -> tuple[Command, ...]:
        """Commands without an answer, oldest first."""
        return (*(command for command, _ in self._sent), *self._queue)

    @property
    def size_limit(self) -> int:
        """The largest message the server accepts; 0: it did not say."""
        words = self.extensions.get("SIZE", ())
        return int(words[0][:20]) if words and words[0].isascii() and words[0].isdigit() else 0

    @property
    def awaits_content(self) -> bool:
        """DATA was answered by 354: send `Content` and `ContentEnd`."""
        return self._stuffer is not None

    def receive(self, data: bytes) -> None:
        if data:
            self._lines.feed(data)
        else:
            self._eof = True

    def send(self, command: Command, /) -> None:
        """RuntimeError: content nobody waits for, or a closed connection. ContentError: see there."""
        if self._closed:
            raise RuntimeError("the connection is closed")
        if isinstance(command, Content | ContentEnd):
            self._content(command)
            return
        if self._stuffer is not None:
            raise RuntimeError("the server waits for content")
        if isinstance(command, Greet):
            client_lines.hello("EHLO", command.name)  # ValueError now, not later
        self._queue.append(command)
        self._pump()

    def output(self) -> list[bytes]:
        out = self._out
        self._out = []
        self._pending = 0
        return out

    @property
    def pending(self) -> int:
        return self._pending

    def tls_started(self) -> None:
        if not self._handshake:
            raise RuntimeError("no TLS handshake was due")
        self._refuse_injection()
        self._handshake = False
        self.tls = True
        self.extensions = {}
        self._pump()

    def next_event(self) -> ClientEvent | Signal:
        while not self._closed:
            if self._ending is not None:
                return self._end(self._ending)
            if self._handshake:
                self._refuse_injection()
                return self._lose(None) if self._eof else Signal.START_TLS
            if self._sent and (made := self._sent[0][1]) is not None:
                command, _ = self._sent.popleft()
                self._pump()
                return Answer(command, made)
            reply = self._read()
            if reply is None:
                return self._lose(None) if self._eof else Signal.NEED_DATA
            event = self._take(reply)
            if event is not None:
                return event
        return Signal.CLOSED

    # -- reading ---------------------------------------------------------------------------------------------------

    def _read(self) -> ServerReply | None:
        try:
            while (line := self._lines.take(self._limits.reply_line)) is not None:
                if isinstance(line, LineFault):
                    raise self._broken("reply-nul" if line is LineFault.NUL else "reply-too-long")
                reply = self._replies.feed(line)
                if reply is not None:
                    return reply
        except PeerError as error:
            raise self._broken(error.code) from None
        return None

    def _take(self, reply: ServerReply) -> ClientEvent | None:
        """What a reply means for the oldest command; None when the core has dealt with it."""
        if reply.code == 421:
            self._ending = reply
        if not self.greeted:
            self.greeted = True
            self._pump()
            return Greeting(reply)
        if not self._sent:
            # Some servers refuse a message while it is still being sent, and hang up.
            if self._ending is None and (self._stuffer is None or reply.code < 400):
                raise self._broken("unexpected-reply")
            return self._lose(reply)
        command = self._sent[0][0]
        if reply.code < 400:
            return self._went_on(command, reply)
        if isinstance(command, Greet) and not self.lmtp and not self._helo and reply.code in _NO_EHLO:
            self._helo = True
            self._write(client_lines.hello("HELO", command.name))
            return None
        if isinstance(command, Auth):
            self._responses = []
        if isinstance(command, Mail) and len(self._sent) == 1:
            self._mail_refused = True
        return self._answer(_NO_RECIPIENT if self._disposing else reply)

    def _went_on(self, command: Command, reply: ServerReply) -> ClientEvent | None:
        """2xx or 3xx. One of the wrong class means that we and the server count differently: nothing can be trusted then."""
        if isinstance(command, Auth) and reply.code == 334:
            self._write(self._responses.pop(0) if self._responses else _GIVE_UP)
            return None
        if isinstance(command, Data) and not self._disposing:
            return self._data(reply)
        if not reply.positive or (isinstance(command, StartTls) and reply.code != 220):
            raise self._broken("unexpected-reply")
        if isinstance(command, Greet):
            self.extensions = {} if self._helo else client_lines.extensions_of(reply)
        elif isinstance(command, StartTls):
            self._refuse_injection()
            self._handshake = True
        elif isinstance(command, Rcpt):
            self._accepted.append(command)
        elif isinstance(command, Rset):
            self._accepted = []
        return self._answer(_NO_RECIPIENT if self._disposing else reply)

    def _data(self, reply: ServerReply) -> ClientEvent | None:
        if reply.code != 354:
            raise self._broken("unexpected-reply")
        if not self._accepted:
            # RFC 2920 §3.1: the server may say 354 although it took no recipient; it gets an empty message.
            self._disposing = True
            self._write(b".\r\n")
            return None
        self._stuffer = DotStuffer(check=True)
        return self._answer(reply)

    def _answer(self, reply: ServerReply) -> Answer:
        command = self._sent[0][0]
        self._disposing = False
        recipient = self._told.popleft() if isinstance(command, ContentEnd) and self._told else None
        if not (isinstance(command, ContentEnd) and self._told):
            self._sent.popleft()
        if isinstance(command, Quit):
            self._closed = True
        self._pump()
        return Answer(command, reply, recipient)

    # -- writing ---------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Write what may be written now."""
        while self._queue and self.greeted and not self._handshake and self._stuffer is None and self._ending is None:
            if self._sent and not ("PIPELINING" in self.extensions and isinstance(self._sent[-1][0], _FLOWING)):
                return
            command = self._queue.popleft()
            line = self._line(command)
            if isinstance(line, ServerReply):
                self._sent.append((command, line))
            else:
                self._sent.append((command, None))
                self._write(line)

    def _line(self, command: Command) -> bytes | ServerReply:
        match command:
            case Greet(name):
                self._helo = False
                return client_lines.hello("LHLO" if self.lmtp else "EHLO", name)
            case StartTls():
                return _NO_STARTTLS if self.tls or "STARTTLS" not in self.extensions else b"STARTTLS\r\n"
            case Auth():
                lines = client_lines.auth(command, self.extensions, tls=self.tls)
                if isinstance(lines, ServerReply):
                    return lines
                self._responses = lines[1]
                return lines[0]
            case Mail():
                line = client_lines.mail(command, self.extensions)
                self._mail_refused = isinstance(line, ServerReply)
                self._smtputf8 = command.smtputf8 or not command.reverse_path.isascii()
                self._accepted = []
                return line
            case Rcpt():
                return (
                    _NO_SENDER
                    if self._mail_refused
                    else client_lines.rcpt(command, self.extensions, smtputf8=self._smtputf8)
                )
            case Data():
                return _NO_RECIPIENT if self._mail_refused or not (self._sent or self._accepted) else b"DATA\r\n"
            case Rset():
                self._mail_refused = False
                return b"RSET\r\n"
            case Noop():
                return b"NOOP\r\n"
            case _:
                return b"QUIT\r\n"

    def _content(self, command: Content | ContentEnd) -> None:
        stuffer = self._stuffer
        if stuffer is None:
            raise RuntimeError("the server does not wait for content")
        text = stuffer.feed(command.data) if isinstance(command, Content) else stuffer.finish()
        if stuffer.fault is not None:
            # The message cannot be taken back, only left unfinished: without the dot the server will not accept it.
            self._closed = True
            raise ContentError(stuffer.fault)
        if text:
            self._write(text)
        if isinstance(command, ContentEnd):
            self._stuffer = None
            self._told = deque(self._accepted if self.lmtp else ())
            self._accepted = []
            self._sent.append((command, None))
            self._pump()

    def _write(self, wire: bytes) -> None:
        self._out.append(wire)
        self._pending += len(wire)

    # -- the end ---------------------------------------------------------------------------------------------------

    def _refuse_injection(self) -> None:
        if len(self._lines):
            raise self._broken("starttls-injection")

    def _broken(self, code: str) -> PeerError:
        self._closed = True
        return PeerError(code)

    def _end(self, reply: ServerReply) -> Lost | Signal:
        if self._sent or self._queue:
            return self._lose(reply)
        self._closed = True
        return Signal.CLOSED

    def _lose(self, reply: ServerReply | None) -> Lost:
        self._closed = True
        lost = Lost(self.unanswered, reply)
        self._sent.clear()
        self._queue.clear()
        return lost
