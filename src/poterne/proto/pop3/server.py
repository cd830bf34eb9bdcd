"""The POP3 server core: bytes in, events out; replies in, bytes out.

Built as `proto.smtp.server`: `_read` reads next, an event owes its answer before the next one is read, and what is allowed when
is a table in `state.py`.
"""

import re
from collections.abc import Callable
from typing import ClassVar, Final

from poterne.proto.core import PeerError, Signal
from poterne.proto.lines import LineBuffer, LineFault
from poterne.proto.pop3 import commands, replies
from poterne.proto.pop3.body import Body
from poterne.proto.pop3.commands import Bad, Event
from poterne.proto.pop3.replies import BodyChunk, BodyEnd, BodyStart, Capabilities, Challenge, Err, Listing, Ok, Sent
from poterne.proto.pop3.settings import Limits, Offer
from poterne.proto.pop3.state import ALLOWED, State
from poterne.proto.pop3.texts import DEFAULT
from poterne.proto.sasl import base64
from poterne.proto.sasl.text import identity, password

_NUMBER: Final = re.compile(rb"0*([1-9][0-9]{0,9})")
_COUNT: Final = re.compile(rb"[0-9]{1,10}")
_RANGE: Final = re.compile(rb"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,6}|\*")  # RFC 4647 §2.1
_MECHANISM: Final = re.compile(r"[A-Z0-9_-]{1,20}")  # RFC 4422 §3.1
_FOREIGN: Final = frozenset(
    {b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT", b"DELETE", b"PATCH", b"TRACE", b"PRI"}
)

_FATAL: Final = {
    "bare-lf": Err("Lines end in CRLF here, not in LF"),
    "bare-cr": Err("A line holds a CR, lines end in CRLF"),
    "line-too-long": Err("The line does not end"),
    "starttls-injection": Err("Nothing may follow STLS before the handshake"),
    "not-pop3": Err("This is not what you are looking for"),
}
_TOO_LONG: Final = Bad("line-too-long", Err("The line is too long"))
_NUL: Final = Bad("nul", Err("The line holds a NUL"))
_UNKNOWN: Final = Bad("unknown-command", Err("This command is not known"))
_SYNTAX: Final = Err("The argument is not what this command takes")
_SIGN_IN: Final = Err("Sign in first")
_SIGNED_IN: Final = Err("You are signed in")
_NEEDS_TLS: Final = Err("Say STLS first")
_NOT_OFFERED: Final = Err("This command is not offered")
_USER_FIRST: Final = Bad("out-of-order", Err("Say USER first"), "PASS")
_TLS_AGAIN: Final = Bad("out-of-order", Err("TLS is running"), "STLS")
_BASE64: Final = Bad("auth-base64", Err("This is not base64"), "AUTH")
_BAD_MECHANISM: Final = Bad("auth-mechanism", Err("This mechanism is not offered"), "AUTH")
_DEFAULT_LIMITS: Final = Limits()


class Server:
    """One POP3 connection, server side. `tls`: the link is encrypted from the start.

    Memory: one command line (`Limits`), and what was sent until `output` takes it.
    """

    __slots__ = (
        "_body",
        "_eof",
        "_language",
        "_limits",
        "_lines",
        "_offer",
        "_out",
        "_owed",
        "_pending",
        "_read",
        "_state",
        "_user",
        "tls",
        "utf8",
    )

    def __init__(self, offer: Offer, limits: Limits = _DEFAULT_LIMITS, *, tls: bool = False) -> None:
        self.tls = tls
        self.utf8 = False
        """The client takes headers that are not ASCII (RFC 6856 §2.1)."""
        self._language = DEFAULT
        self._offer = offer
        self._limits = limits
        self._lines = LineBuffer(limits.skipped_line)
        self._out: list[bytes] = []
        self._pending = 0
        self._eof = False
        self._state = State.CONNECT
        self._read: Callable[[Server], Event | Signal] = Server._connect  # unbound: no reference cycle
        self._owed: Event | None = None
        self._user: str | None = None
        self._body: Body | None = None

    @property
    def authenticated(self) -> bool:
        return self._state is State.TRANSACTION

    @property
    def buffered(self) -> int:
        """Octets received and not looked at yet: above 0 at `Connect` the client did not wait for us."""
        return len(self._lines)

    @property
    def body_complete(self) -> bool:
        """The answer to RETR or TOP needs no further chunk: send `BodyEnd`."""
        return self._body is not None and self._body.complete

    def speak(self, language: str) -> None:
        """From the next reply on, in one of `texts.LANGUAGES`."""
        self._language = language

    def receive(self, data: bytes) -> None:
        if data:
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
        self._user = None
        self._language = DEFAULT  # nothing from before counts (RFC 2595 §4)
        self._state = State.AUTHORIZATION
        self._read = Server._command

    # -- replies ---------------------------------------------------------------------------------------------------

    def send(self, reply: Sent, /) -> None:
        """Answer the last event. `Err` with `close` may come at any time."""
        if self._state is State.CLOSED:
            raise RuntimeError("the connection is closed")
        owed = self._owed
        if isinstance(reply, Err) and reply.close and (owed is None or self._body is not None):
            self._close()
            return
        if owed is None:
            raise RuntimeError("no event to answer")
        if isinstance(reply, BodyStart | BodyChunk | BodyEnd):
            self._send_body(owed, reply)
            return
        self._check(owed, reply)
        if isinstance(reply, Challenge):
            self._write(b"+ " + base64.encode(reply.data) + b"\r\n")
            self._state = State.AUTH
            self._read = Server._auth_line
        elif isinstance(reply, Listing):
            self._write(b"\r\n".join((replies.line(reply, self._language)[:-2], *reply.lines, b".\r\n")))
        elif isinstance(reply, Capabilities):
            self._write(replies.line(reply, self._language) + self._capabilities(reply))
        else:
            self._write(replies.line(reply, self._language))
            self._settle(owed, positive=isinstance(reply, Ok))
        self._owed = None
        if isinstance(reply, Err) and reply.close:
            self._close()

    def _check(self, owed: Event, reply: Ok | Err | Challenge | Listing | Capabilities) -> None:
        fits = True
        if self._body is not None:
            fits = False
        elif isinstance(reply, Challenge):
            fits = isinstance(owed, commands.AuthStart | commands.AuthResponse)
        elif isinstance(reply, Listing):
            fits = _is_listing(owed)
        elif isinstance(reply, Capabilities):
            fits = isinstance(owed, commands.Capa)
        elif isinstance(reply, Ok):
            wrong = isinstance(owed, Bad | commands.AuthCancel | commands.Retr | commands.Top)
            fits = not wrong and not _is_listing(owed)
        if not fits:
            raise RuntimeError(f"{type(reply).__name__} does not answer {type(owed).__name__}")

    def _settle(self, owed: Event, *, positive: bool) -> None:
        match owed:
            case commands.Connect():
                self._state = State.AUTHORIZATION
                self._read = Server._command
                if not positive:
                    self._close()
            case commands.User(name):
                self._user = name if positive else None
            case commands.Pass() | commands.AuthStart() | commands.AuthResponse() if positive:
                self._state = State.TRANSACTION
            case commands.Stls() if positive:
                self._state = State.TLS
                self._read = Server._handshake
            case commands.Capa() if positive:
                self._write(self._capabilities(None))
            case commands.Utf8() if positive:
                self.utf8 = True
            case commands.Quit():
                self._close()
            case _:
                pass

    def _send_body(self, owed: Event, reply: BodyStart | BodyChunk | BodyEnd) -> None:
        if isinstance(reply, BodyStart):
            if not isinstance(owed, commands.Retr | commands.Top) or self._body is not None:
                raise RuntimeError("BodyStart does not fit here")
            self._body = Body(owed.lines if isinstance(owed, commands.Top) else None)
            self._write(replies.line(reply, self._language))
        elif self._body is None:
            raise RuntimeError("BodyStart must come first")
        elif isinstance(reply, BodyChunk):
            self._write(self._body.feed(reply.data))
        else:
            self._write(self._body.finish())
            self._body = None
            self._owed = None

    def _capabilities(self, more: Capabilities | None) -> bytes:
        lines = [b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING", b"LANG"]
        if self.tls:  # nothing may precede STLS (RFC 6856 §2.1), and names are asked for inside TLS only
            lines.append(b"UTF8 USER" if self._offer.user else b"UTF8")
        if more is not None:
            lines += replies.capabilities(more, signed_in=self._state is State.TRANSACTION)
        if self._offer.stls and not self.tls:
            lines.append(b"STLS")
        if self.tls and self._offer.user:
            lines.append(b"USER")
        if self.tls and self._offer.auth:
            lines.append(b"SASL " + " ".join(self._offer.auth).encode())
        return b"\r\n".join((*lines, b".\r\n"))

    # -- reading ---------------------------------------------------------------------------------------------------

    def _connect(self) -> Event:
        return self._ask(commands.Connect())

    def _command(self) -> Event | Signal:
        try:
            line = self._lines.take(self._limits.command_line, b"AUTH ", self._limits.auth_line)
        except PeerError as error:
            raise self._fatal(error.code) from None
        if line is None:
            return self._wait()
        if isinstance(line, LineFault):
            return self._ask(_TOO_LONG if line is LineFault.TOO_LONG else _NUL)
        verb, space, argument = line.partition(b" ")
        verb = verb.upper()
        reader = self._COMMANDS.get(verb)
        if reader is None:
            if verb in _FOREIGN:
                raise self._fatal("not-pop3")
            return self._ask(_UNKNOWN)
        if self._state not in ALLOWED[verb]:
            return self._ask(
                Bad("out-of-order", _SIGNED_IN if self._state is State.TRANSACTION else _SIGN_IN, verb.decode())
            )
        return self._ask(reader(self, argument if space else b"") or Bad("command-syntax", _SYNTAX, verb.decode()))

    # Each reader gives the event, a Bad of its own, or None: the argument is wrong.

    def _sign_in_fault(self, verb: str, *, offered: bool) -> Bad | None:
        if not offered:
            return Bad("not-offered", _NOT_OFFERED, verb)
        return None if self.tls else Bad("auth-without-tls", _NEEDS_TLS, verb)

    def _read_user(self, argument: bytes) -> Event | None:
        name = identity(argument)
        return self._sign_in_fault("USER", offered=self._offer.user) or (None if name is None else commands.User(name))

    def _read_pass(self, argument: bytes) -> Event | None:
        bad = self._sign_in_fault("PASS", offered=self._offer.user)
        if bad is not None:
            return bad
        user, self._user = self._user, None
        if user is None:
            return _USER_FIRST
        secret = password(argument)  # spaces belong to it, RFC 1939 §7
        return None if secret is None else commands.Pass(user, secret)

    def _read_auth(self, argument: bytes) -> Event | None:
        bad = self._sign_in_fault("AUTH", offered=bool(self._offer.auth))
        words = argument.split(b" ")
        if bad is not None or len(words) > 2 or not all(words):
            return bad
        mechanism = words[0].decode("latin-1").upper()
        if not _MECHANISM.fullmatch(mechanism) or mechanism not in self._offer.auth:
            return _BAD_MECHANISM
        if len(words) == 1:
            return commands.AuthStart(mechanism)
        initial = base64.decode_initial(words[1])
        return _BASE64 if initial is None else commands.AuthStart(mechanism, initial)

    def _read_stls(self, argument: bytes) -> Event | None:
        if self.tls:
            return _TLS_AGAIN
        if not self._offer.stls:
            return Bad("not-offered", _NOT_OFFERED, "STLS")
        if argument.strip(b" "):
            return None
        if len(self._lines):
            raise self._fatal("starttls-injection")
        return commands.Stls()

    def _read_list(self, argument: bytes) -> Event | None:
        if not argument.strip(b" "):
            return commands.List()
        number = _number(argument)
        return None if number is None else commands.List(number)

    def _read_uidl(self, argument: bytes) -> Event | None:
        if not argument.strip(b" "):
            return commands.Uidl()
        number = _number(argument)
        return None if number is None else commands.Uidl(number)

    def _read_retr(self, argument: bytes) -> Event | None:
        number = _number(argument)
        return None if number is None else commands.Retr(number)

    def _read_dele(self, argument: bytes) -> Event | None:
        number = _number(argument)
        return None if number is None else commands.Dele(number)

    def _read_top(self, argument: bytes) -> Event | None:
        first, _, second = argument.strip(b" ").partition(b" ")
        number, lines = _number(first), second.strip(b" ")
        return commands.Top(number, int(lines)) if number is not None and _COUNT.fullmatch(lines) else None

    def _read_plain(self, argument: bytes, event: Event) -> Event | None:
        return None if argument.strip(b" ") else event

    def _read_quit(self, argument: bytes) -> Event | None:
        return self._read_plain(argument, commands.Quit(update=self._state is State.TRANSACTION))

    def _read_capa(self, argument: bytes) -> Event | None:
        return self._read_plain(argument, commands.Capa())

    def _read_utf8(self, argument: bytes) -> Event | None:
        if not self.tls:
            return Bad("auth-without-tls", _NEEDS_TLS, "UTF8")
        return self._read_plain(argument, commands.Utf8())

    def _read_lang(self, argument: bytes) -> Event | None:
        wanted = argument.strip(b" ")
        if not wanted:
            return commands.Lang()
        return commands.Lang(wanted.decode()) if _RANGE.fullmatch(wanted) else None

    def _read_stat(self, argument: bytes) -> Event | None:
        return self._read_plain(argument, commands.Stat())

    def _read_rset(self, argument: bytes) -> Event | None:
        return self._read_plain(argument, commands.Rset())

    def _read_noop(self, argument: bytes) -> Event | None:
        return self._read_plain(argument, commands.Noop())

    def _auth_line(self) -> Event | Signal:
        try:
            line = self._lines.take(self._limits.auth_line)
        except PeerError as error:
            raise self._fatal(error.code) from None
        if line is None:
            return self._wait()
        self._state = State.AUTHORIZATION
        self._read = Server._command
        if isinstance(line, LineFault):
            return self._ask(_TOO_LONG if line is LineFault.TOO_LONG else _BASE64)
        if line == b"*":
            return self._ask(commands.AuthCancel())
        data = base64.decode(line)
        return self._ask(_BASE64 if data is None else commands.AuthResponse(data))

    def _handshake(self) -> Signal:
        if len(self._lines):
            raise self._fatal("starttls-injection")
        return self._wait() if self._eof else Signal.START_TLS

    # -- small change ----------------------------------------------------------------------------------------------

    def _ask(self, event: Event) -> Event:
        self._owed = event
        return event

    def _wait(self) -> Signal:
        if not self._eof:
            return Signal.NEED_DATA
        self._close()
        return Signal.CLOSED

    def _write(self, wire: bytes) -> None:
        if wire:
            self._out.append(wire)
            self._pending += len(wire)

    def _close(self) -> None:
        self._state = State.CLOSED
        self._owed = None
        self._body = None
        self._lines.clear()

    def _fatal(self, code: str) -> PeerError:
        self._write(replies.line(_FATAL[code], self._language))
        self._close()
        return PeerError(code)

    _COMMANDS: ClassVar[dict[bytes, Callable[["Server", bytes], Event | None]]] = {
        b"USER": _read_user,
        b"PASS": _read_pass,
        b"AUTH": _read_auth,
        b"STLS": _read_stls,
        b"CAPA": _read_capa,
        b"UTF8": _read_utf8,
        b"LANG": _read_lang,
        b"STAT": _read_stat,
        b"LIST": _read_list,
        b"UIDL": _read_uidl,
        b"RETR": _read_retr,
        b"TOP": _read_top,
        b"DELE": _read_dele,
        b"RSET": _read_rset,
        b"NOOP": _read_noop,
        b"QUIT": _read_quit,
    }


def _is_listing(owed: Event) -> bool:
    """It is answered by several lines, unless by an error."""
    match owed:
        case commands.List(number=None) | commands.Uidl(number=None) | commands.Lang(language=None):
            return True
        case _:
            return False


def _number(argument: bytes) -> int | None:
    match = _NUMBER.fullmatch(argument.strip(b" "))
    return None if match is None else int(match[1])
