"""The conversation with the server: one message over its Unix socket, answered before this program ends.

A message goes to all its recipients or to none: whoever calls us may try again, and nobody gets it twice.
"""

import errno
import os
import select
import socket
import sys
from typing import Final, NamedTuple

from poterne.sendmail.exits import EX_DATAERR, EX_NOPERM, EX_TEMPFAIL, Failure, status_of
from poterne.sendmail.letter import Letter

REPLY_S: Final = 300.0
ACCEPT_S: Final = 600.0
"""How long the answer to the whole message may take (RFC 5321 §4.5.3.2.6)."""
GOODBYE_S: Final = 3.0
GROUP: Final = 100
"""So many RCPT commands are sent before their answers are read."""
MAX_REPLY_BYTES: Final = 65536


class Reply(NamedTuple):
    code: int
    enhanced: str
    """RFC 2034; "" when there is none."""
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"{self.code} {' '.join(self.lines)}"


class _Wire:
    def __init__(self, path: str) -> None:
        self._socket = _connected(path)
        self._left = b""

    def send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise Failure(EX_TEMPFAIL, "the mail server does not read what is sent to it") from None
        except OSError:
            pass  # it closed; what it said before is read next

    def reply(self, timeout_s: float = REPLY_S) -> Reply:
        """The next reply, all its lines. Raises Failure."""
        self._socket.settimeout(timeout_s)
        lines: list[str] = []
        while True:
            line = self._line()
            if not (line[:3].isdigit() and line[3:4] in {"", " ", "-"}):
                raise Failure(EX_TEMPFAIL, f"the mail server's answer is no SMTP: {line[:100]}")
            lines.append(line[4:])
            if line[3:4] != "-":
                word = lines[-1].partition(" ")[0]
                return Reply(int(line[:3]), word if word.replace(".", "").isdigit() else "", tuple(lines))

    def _line(self) -> str:
        while b"\n" not in self._left:
            try:
                more = self._socket.recv(65536)
            except TimeoutError:
                raise Failure(EX_TEMPFAIL, "the mail server does not answer") from None
            except OSError:
                more = b""
            if not more:
                raise Failure(EX_TEMPFAIL, "the mail server closed the connection")
            self._left += more
            if len(self._left) > MAX_REPLY_BYTES:
                raise Failure(EX_TEMPFAIL, "the mail server's answer does not end")
        line, _, self._left = self._left.partition(b"\n")
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def ask(self, command: str) -> Reply:
        self.send(command.encode("utf-8", "surrogateescape") + b"\r\n")
        return self.reply()

    def close(self) -> None:
        """Say goodbye and wait for the answer (RFC 5321 §4.1.1.10), though not for long."""
        try:
            self.send(b"QUIT\r\n")
            self.reply(GOODBYE_S)
        except Failure:
            pass
        finally:
            self._socket.close()


def submit(path: str, letter: Letter) -> None:
    """Hand it over; returns when the server has it. Raises Failure with its text."""
    wire = _Wire(path)
    try:
        _require(wire.reply(), 220, "the mail server")
        hello = wire.ask("EHLO localhost")
        _require(hello, 250, "the mail server")
        offered = frozenset(line.split(" ", 1)[0].upper() for line in hello.lines[1:])
        _require(wire.ask(_mail(letter, offered)), 250, letter.sender or "<>")
        _name_recipients(wire, letter, offered)
        _require(wire.ask("DATA"), 354, "the mail server")
        wire.send(_stuffed(letter.data) + b".\r\n")
        _require(wire.reply(ACCEPT_S), 250, "the message was refused")
    finally:
        wire.close()


def _mail(letter: Letter, offered: frozenset[str]) -> str:
    words = [f"MAIL FROM:<{letter.sender}>"]
    if "SIZE" in offered:
        words.append(f"SIZE={len(letter.data)}")
    if not letter.data.isascii() and "8BITMIME" in offered:
        words.append("BODY=8BITMIME")
    if letter.smtputf8:
        if "SMTPUTF8" in offered:
            words.append("SMTPUTF8")
        elif not all(address.isascii() for address in (letter.sender, *letter.recipients)):
            raise Failure(EX_DATAERR, "the mail server takes no addresses beyond ASCII (SMTPUTF8)")
    if "DSN" in offered:
        words += [f"RET={letter.ret}"] if letter.ret else []
        words += [f"ENVID={_xtext(letter.envid)}"] if letter.envid else []
    return " ".join(words)


def _name_recipients(wire: _Wire, letter: Letter, offered: frozenset[str]) -> None:
    notify = f" NOTIFY={letter.notify}" if letter.notify and "DSN" in offered else ""
    for at in range(0, len(letter.recipients), GROUP):
        group = letter.recipients[at : at + GROUP]
        commands = "".join(f"RCPT TO:<{address}>{notify}\r\n" for address in group)
        wire.send(commands.encode("utf-8", "surrogateescape"))
        answers = [wire.reply() for _ in group]
        for address, answer in zip(group, answers, strict=True):
            _require(answer, 250, address, recipient=True)


def _require(reply: Reply, code: int, who: str, *, recipient: bool = False) -> None:
    if reply.code == code or (recipient and reply.code == 251):
        return
    if reply.code < 400:
        raise Failure(EX_TEMPFAIL, f"{who}: unexpected answer: {reply.text}")
    raise Failure(status_of(reply.code, reply.enhanced, recipient=recipient), f"{who}: {reply.text}")


def _stuffed(data: bytes) -> bytes:
    """RFC 5321 §4.5.2."""
    doubled = data.replace(b"\r\n.", b"\r\n..")
    return b"." + doubled if data[:1] == b"." else doubled


def _xtext(text: str) -> str:
    """RFC 3461 §4."""
    octets = text.encode("utf-8", "replace")
    return "".join(chr(o) if 33 <= o <= 126 and o not in b"+=" else f"+{o:02X}" for o in octets)


def _connected(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(REPLY_S)
    try:
        sock.connect(path)
    except OSError as error:
        sock.close()
        if error.errno in {errno.EACCES, errno.EPERM}:
            raise Failure(EX_NOPERM, f"this user may not connect to {path}") from None
        why = error.strerror or "no answer"
        remedy = "is the server running, and is [sendmail] socket set there?"
        raise Failure(EX_TEMPFAIL, f"no mail server at {path} ({why}): {remedy}") from None
    return sock


def pass_through(path: str) -> int:
    """-bs: the caller speaks SMTP; its octets go to the server and the server's come back. The status, when both are done."""
    sock = _connected(path)
    sock.settimeout(None)
    source, target = sys.stdin.fileno(), sys.stdout.fileno()
    with sock:
        watched = [source, sock.fileno()]
        while sock.fileno() in watched:
            ready, _, _ = select.select(watched, [], [])
            if source in ready:
                data = os.read(source, 65536)
                try:
                    sock.sendall(data) if data else sock.shutdown(socket.SHUT_WR)
                except OSError:
                    data = b""
                if not data:
                    watched.remove(source)
            if sock.fileno() in ready:
                try:
                    data = sock.recv(65536)
                except OSError:
                    data = b""
                if not data:
                    break
                while data:
                    data = data[os.write(target, data) :]
    return 0
