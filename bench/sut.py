"""What the runner needs of a server: start, where it listens, which processes it is, stop."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

HOST = "127.0.0.1"
DOMAIN = "bench.test"
PASSWORD = "correct-horse-battery-staple-7"
_START_LIMIT_S = 30.0
_STOP_LIMIT_S = 15.0


class UnavailableError(Exception):
    """This server cannot run here; the text says what is missing and how to get it."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Loopback ports: SMTP without TLS but with STARTTLS offered, IMAP and POP3 inside TLS unless `tls` says no."""

    smtp: int
    imaps: int
    pop3s: int
    tls: bool = True
    guarded: int = 0
    """SMTP with the limits that the server has by default, where `smtp` has none; 0: the same port."""
    submissions: int = 0
    """Submission inside TLS with AUTH."""
    sink: int = 0
    """Where mail for other domains goes; nobody listens there until a scenario does."""
    hung: int = 0
    """Where mail for domains whose servers never say a word goes: likewise. 0: there are no such domains."""


@dataclass(frozen=True, slots=True)
class Resolver:
    """A name server on loopback that resolves the names of a run."""

    address: str
    port: int


class SystemUnderTest(Protocol):
    """One server, made new in an empty folder each time it is started."""

    @property
    def name(self) -> str: ...

    @property
    def root(self) -> int:
        """Pid of the process under which the whole server lives; the process itself is not counted."""
        ...

    def start(
        self, folder: Path, accounts: Sequence[str], resolver: Resolver | None, *, indexed: bool = False
    ) -> Endpoints:
        """Listen on loopback with these accounts (at `DOMAIN`, with `PASSWORD`). Raises `UnavailableError`.

        With a resolver it is found out who inbound mail is from: SPF, DKIM and DMARC; without one no name is looked up.
        `indexed`: with an index of texts, if the server has one of its own.
        """
        ...

    def stop(self) -> None:
        """End every process. May be called at any time, also twice."""
        ...


Factory = Callable[[], SystemUnderTest]


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class Tree:
    """The processes of one server below one launcher (`reaper.py`)."""

    __slots__ = ("_log", "_process")

    def __init__(self, commands: Sequence[Sequence[str]], folder: Path, *, grace_s: float = 3.0) -> None:
        """`grace_s`: how long they have to end when they are asked, and once more when each of them is asked."""
        self._log = folder / "console.log"
        environment = dict(os.environ, PYTHONPATH=str(Path(__file__).resolve().parent.parent))
        arguments = [
            str(self._log),
            str(os.getpid()),
            str(grace_s),
            json.dumps([list(command) for command in commands]),
        ]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.reaper", *arguments], stdin=subprocess.DEVNULL, cwd=folder, env=environment
        )

    @property
    def root(self) -> int:
        return self._process.pid

    def wait_for(self, smtp: int, others: Sequence[int]) -> None:
        """Return when SMTP greets and the other ports accept. Raises `UnavailableError` if the server ends or is slow."""
        deadline = time.monotonic() + _START_LIMIT_S
        for port in (smtp, *others):
            while not _answers(port, b"220" if port == smtp else b""):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise UnavailableError(f"does not listen on port {port}; it said:\n{self._console()}")
                time.sleep(0.02)

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _console(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-2000:] if self._log.exists() else ""


def _answers(port: int, greeting: bytes) -> bool:
    """Whether a connection is accepted and, if a greeting is expected, greeted."""
    with socket.socket() as probe:
        probe.settimeout(2.0)
        try:
            probe.connect((HOST, port))
            return not greeting or probe.recv(200).startswith(greeting)
        except OSError:
            return False
