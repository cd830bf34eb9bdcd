"""What the peers' tests share: which tools there are, messages, a client that says exactly what it is told."""

import shutil
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import pytest

from tests.support.peer_server import HOST

ACCENTS: Final = "Été à Besançon"
AMPERSAND: Final = "R&D ~ tilde"
WIRE_NAMES: Final = {ACCENTS: "&AMk-t&AOk- &AOA- Besan&AOc-on", AMPERSAND: "R&-D ~ tilde"}
"""As IMAP4rev1 writes them (RFC 3501 §5.1.3); mbsync and offlineimap name their folders so, too."""


class NewAccount(Protocol):
    """Makes an account named after the test (and `name`, where a test needs several); gives its address."""

    def __call__(self, name: str = "") -> str: ...


def needs(*tools: str) -> list[pytest.MarkDecorator]:
    """Marks for a module: it is one of the peers' tests, and is skipped only where a tool is absent."""
    absent = [tool for tool in tools if shutil.which(tool) is None]
    reason = f"{', '.join(absent)} is not installed (see .ci/peers)"
    return [pytest.mark.peers, pytest.mark.skipif(bool(absent), reason=reason)]


def letter(subject: str, body: bytes = b"Hello.\r\n", *fields: bytes, to: str = "x@peers.test") -> bytes:
    """A small message with CRLF line ends and an identity of its own."""
    head = [
        b"Date: Mon, 02 Nov 2026 10:00:00 +0100",
        b"From: Ada <ada@elsewhere.test>",
        b"To: " + to.encode(),
        b"Subject: " + subject.encode(),
        b"Message-ID: <%d.%s@elsewhere.test>" % (time.monotonic_ns(), subject.encode().hex().encode()[:40]),
        *fields,
    ]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def written_by(author: str, message: bytes) -> bytes:
    """The letter with another author: who submits must be it."""
    return message.replace(b"<ada@elsewhere.test>", b"<%b>" % author.encode(), 1)


def awkward_letters() -> dict[str, bytes]:
    """Messages that clients and transports like to damage."""
    return {
        "plain": letter("plain"),
        "dots": letter("dots", b".\r\n..\r\n.leading dot\r\nend\r\n"),
        "eight-bit": letter(
            "eight-bit",
            "déjà vu, œuvre, 日本語\r\n".encode() * 20,
            b"MIME-Version: 1.0",
            b"Content-Type: text/plain; charset=utf-8",
            b"Content-Transfer-Encoding: 8bit",
        ),
        "folded": letter(
            "folded", b"x\r\n", b"X-Long: " + b"\r\n\tcontinued ".join(b"%d" % n * 30 for n in range(30)), b"X-Empty:"
        ),
        "from-line": letter(
            "from-line", b"From here on\r\n>From there\r\n\r\n\r\nFrom x Mon Jan 1 00:00:00 2026\r\n\r\n"
        ),
        "long-lines": letter("long-lines", (b"y" * 990 + b"\r\n") * 50),
        "attachment": letter(
            "attachment",
            b"--b\r\nContent-Type: text/plain\r\n\r\nsee below\r\n--b\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=x.bin\r\n\r\n"
            + b"AAECAwQFBgcICQoLDA0ODw==\r\n" * 3000
            + b"--b--\r\n",
            b"MIME-Version: 1.0",
            b'Content-Type: multipart/mixed; boundary="b"',
        ),
        "empty-body": letter("empty-body", b""),
    }


class Raw:
    """A connection that sends and reads lines; TLS at once or when told to."""

    def __init__(self, port: int, ca: Path | None = None, *, local: str = HOST, timeout_s: float = 20) -> None:
        self._ca = ca
        self._socket: socket.socket = socket.create_connection(
            (HOST, port), timeout=timeout_s, source_address=(local, 0)
        )
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._left = b""
        if ca is not None:
            self.secure(ca)

    def secure(self, ca: Path) -> None:
        self._socket = ssl.create_default_context(cafile=ca).wrap_socket(self._socket, server_hostname=HOST)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def line(self) -> bytes:
        while b"\r\n" not in self._left:
            more = self._socket.recv(65536)
            if not more:
                raise EOFError(self._left)
            self._left += more
        line, _, self._left = self._left.partition(b"\r\n")
        return line

    def rest(self) -> bytes:
        """Everything until the server closes; TimeoutError if it does not."""
        try:
            while more := self._socket.recv(65536):
                self._left += more
        except ConnectionError:
            pass
        return self._left

    def until(self, start: bytes) -> list[bytes]:
        """Lines up to and with the first that starts so."""
        lines = [self.line()]
        while not lines[-1].startswith(start):
            lines.append(self.line())
        return lines

    def smtp(self, command: bytes | None = None) -> list[bytes]:
        """The whole reply to a command (or to what was sent before)."""
        if command is not None:
            self.send(command + b"\r\n")
        lines = [self.line()]
        while lines[-1][3:4] == b"-":
            lines.append(self.line())
        return lines

    def close(self) -> None:
        self._socket.close()


def wait_until(true: Callable[[], bool], what: str, limit_s: float = 15) -> None:
    """Return when it is so; fails after `limit_s` with `what` was waited for."""
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, f"waited {limit_s} s for: {what}"
        time.sleep(0.02)
