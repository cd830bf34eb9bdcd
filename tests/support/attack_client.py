"""Attacks over real sockets: a raw client that sends any octets at any pace, and a watch that says what they did to the server.

The server is a process of its own with one worker, so that attacker and bystanders share one event loop. `Target.attacked` is
the frame of every attack: honest clients get through before and after, a bystander pings all the while, and then the worker
must be the same process, about as big as before, and must have logged no bug and told no peer of its insides.
"""

import base64
import contextlib
import itertools
import json
import os
import random
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.support import peer_server
from tests.support.peer_server import DOMAIN, HOST, PASSWORD, PeerServer

MIB: Final = 1024 * 1024
STALL_LIMIT_S: Final = 0.2
"""How much work of the loop a bystander may have to wait for."""
FROM_OUTSIDE: Final = b"From: sender@elsewhere.example\r\n"
"""Every message has an author."""
_INSIDES: Final = re.compile(
    rb'Traceback|Exception|apsw|sqlite|File "|[a-z]Error\b|4\.3\.0 Something failed|Internal error'
)
_TRACE_CHECK_BYTES: Final = 1_000_000
_serial: Final = itertools.count(1)


def fresh_address() -> str:
    """A loopback address that nobody came from yet: failures are counted by address."""
    return f"127.{random.randint(1, 254)}.{next(_serial) % 250 + 1}.{random.randint(1, 254)}"


class Wire:
    """One connection. `heard` is all that the server said; reading ends by time-out with TimeoutError, never silently."""

    def __init__(
        self, port: int, *, source: str = "", timeout_s: float = 10.0, sock: socket.socket | None = None
    ) -> None:
        self.sock: socket.socket = sock or socket.create_connection(
            (HOST, port), source_address=(source, 0) if source else None
        )
        self.sock.settimeout(timeout_s)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.heard = bytearray()
        self._at = 0

    @classmethod
    def on(cls, sock: socket.socket) -> "Wire":
        """On a socket that is connected."""
        return cls(0, sock=sock)

    def send(self, *pieces: bytes) -> "Wire":
        for piece in pieces:
            try:
                self.sock.sendall(piece)
            except ssl.SSLError as error:
                raise ConnectionResetError from error
        return self

    def trickle(self, data: bytes, rng: random.Random, most: int = 20) -> "Wire":
        """In pieces of random length."""
        at = 0
        while at < len(data):
            size = rng.randint(1, most)
            self.send(data[at : at + size])
            at += size
        return self

    def _more(self) -> bool:
        try:
            data = self.sock.recv(65536)
        except TimeoutError:
            raise TimeoutError(f"the server said only {bytes(self.heard[-500:])!r}") from None
        except (ConnectionError, ssl.SSLError):
            return False
        if len(self.heard) > 8 * _TRACE_CHECK_BYTES:
            del self.heard[: self._at]
            self._at = 0
        self.heard += data
        return bool(data)

    def line(self) -> bytes:
        """The next line, or what was left of it when the connection ended."""
        while (end := self.heard.find(b"\n", self._at)) < 0:
            if not self._more():
                end = len(self.heard) - 1
                break
        line = bytes(self.heard[self._at : end + 1])
        self._at = end + 1
        return line

    def listing(self) -> bytes:
        """A POP3 answer of many lines, behind its first one, still dot-stuffed and without its end."""
        start, seen = self._at, self._at
        while (end := self.heard.find(b"\r\n.\r\n", max(start - 2, seen - 5))) < 0:
            seen = len(self.heard)
            if not self._more():
                raise ConnectionResetError
        self._at = end + 5
        return bytes(self.heard[start : end + 2])

    def skip(self, count: int) -> None:
        """Read so many octets."""
        while len(self.heard) - self._at < count:
            if not self._more():
                raise ConnectionResetError
        self._at += count

    def rest(self) -> bytes:
        """Everything until the server closes."""
        while self._more():
            pass
        rest = bytes(self.heard[self._at :])
        self._at = len(self.heard)
        return rest

    def quiet(self, for_s: float) -> bool:
        """Does the server say nothing for so long (and stay)?"""
        self.sock.settimeout(for_s)
        try:
            return not self.sock.recv(1) and False
        except TimeoutError:
            return True
        except (ConnectionError, ssl.SSLError):
            return False
        finally:
            with contextlib.suppress(OSError):
                self.sock.settimeout(10)

    def tls(self, *, alpn: Sequence[str] = (), sni: str = "localhost") -> "Wire":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if alpn:
            context.set_alpn_protocols(list(alpn))
        bare = self.sock
        self.sock = context.wrap_socket(bare, server_hostname=sni, do_handshake_on_connect=False)
        bare.close()
        self.sock.do_handshake()
        return self

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.close()

    def reset(self) -> None:
        """Gone with an RST."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()

    # SMTP

    def reply(self) -> bytes:
        """A whole SMTP reply; b"" when the connection ended."""
        lines = [self.line()]
        while lines[-1][3:4] == b"-":
            lines.append(self.line())
        return b"".join(lines)

    def say(self, command: bytes) -> bytes:
        """One SMTP or POP3 command line and its reply."""
        try:
            self.send(command + b"\r\n")
        except ConnectionError:
            return b""
        return self.reply()

    # IMAP

    def imap(self, command: bytes, tag: bytes = b"") -> bytes:
        """A command and all up to its tagged response (or BYE and the end)."""
        tag = tag or b"t%d" % next(_serial)
        try:
            self.send(tag + b" " + command + b"\r\n")
        except ConnectionError:
            return b""
        return self.until_tag(tag)

    def until_tag(self, tag: bytes) -> bytes:
        lines: list[bytes] = []
        while True:
            line = self.line()
            lines.append(line)
            if not line or line.startswith(tag + b" "):
                return b"".join(lines)


def plain(user: str, password: str, authzid: str = "") -> bytes:
    return base64.b64encode(f"{authzid}\0{user}\0{password}".encode())


def children(pid: int) -> list[int]:
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return sorted(found)


def rss_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS")


def loop_cpu_s(pid: int) -> float:
    """CPU time of the process's main thread, where its event loop runs."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


@dataclass
class Watch:
    """What an attack did."""

    stall_s: float = 0.0
    """The most work of the loop that a bystander's NOOP had to wait for. Not wall time: other processes do not count."""
    pings: int = 0
    growth_bytes: int = 0
    loop_cpu_s: float = 0.0
    log: list[dict[str, Any]] = field(default_factory=list)

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line["event"] == name]


class Pinger(threading.Thread):
    """A bystander: NOOP after NOOP, with what the loop did meanwhile."""

    def __init__(self, port: int, pid: int) -> None:
        super().__init__(daemon=True)
        self._wire = Wire(port, timeout_s=30)
        self._pid = pid
        self._over = threading.Event()
        self.failed = ""
        self.stall_s = 0.0
        self.pings = 0
        assert self._wire.line().startswith(b"220 ")

    def run(self) -> None:
        try:
            while not self._over.is_set():
                before = loop_cpu_s(self._pid)
                self._wire.sock.sendall(b"NOOP\r\n")
                if not self._wire.sock.recv(100).startswith(b"250 "):
                    self.failed = "a bystander was turned out"
                    return
                self.stall_s = max(self.stall_s, loop_cpu_s(self._pid) - before)
                self.pings += 1
                self._over.wait(0.005)
        except OSError as error:
            self.failed = f"a bystander got no answer: {error}"

    def stop(self) -> None:
        self._over.set()
        self.join(31)
        self._wire.close()


class Target:
    """A running server and how it is attacked."""

    def __init__(self, server: PeerServer) -> None:
        self.server = server
        self.ports = server.ports
        self.domain = DOMAIN
        self.password = PASSWORD
        self._wires: list[Wire] = []
        self._control = server.store.add_account("control")
        deadline = time.monotonic() + 20
        while len(children(server.process)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        self.worker = self._find_worker()

    def _find_worker(self) -> int:
        """The child that burns CPU when connections come: the other one is the steward."""
        pids = children(self.server.process)
        before = {pid: loop_cpu_s(pid) for pid in pids}
        for _ in range(20):
            with contextlib.closing(Wire(self.ports["mx"])) as wire:
                wire.line()
        return max(pids, key=lambda pid: loop_cpu_s(pid) - before[pid])

    @property
    def store(self) -> peer_server.Store:
        return self.server.store

    def account(self, name: str = "") -> str:
        """A new account; its password is `password`."""
        return self.store.add_account(name or f"u{next(_serial)}x{os.getpid()}")

    def connect(self, listener: str, *, source: str = "", timeout_s: float = 10.0) -> Wire:
        """Bare TCP."""
        wire = Wire(self.ports[listener], source=source, timeout_s=timeout_s)
        self._wires.append(wire)
        return wire

    def open(self, listener: str, *, source: str = "", timeout_s: float = 10.0) -> Wire:
        """Greeted, TLS where it comes first."""
        wire = self.connect(listener, source=source, timeout_s=timeout_s)
        if listener in {"submissions", "imaps", "pop3s"}:
            wire.tls()
        assert wire.line()[:4] in {b"220 ", b"* OK", b"+OK "}, bytes(wire.heard)
        return wire

    def smtp(self, listener: str = "mx", *, tls: bool = False, user: str = "", source: str = "") -> Wire:
        """After EHLO; for `user` signed in."""
        wire = self.open(listener, source=source)
        assert wire.say(b"EHLO attacker.example").startswith(b"250")
        if (tls or user) and listener != "submissions":
            assert wire.say(b"STARTTLS").startswith(b"220")
            wire.tls()
            assert wire.say(b"EHLO attacker.example").startswith(b"250")
        if user:
            assert wire.say(b"AUTH PLAIN " + plain(user, self.password)).startswith(b"235")
        return wire

    def imap(self, user: str = "", *, source: str = "", mailbox: bytes = b"") -> Wire:
        """On 993; for `user` signed in."""
        wire = self.open("imaps", source=source)
        if user:
            assert b"OK" in wire.imap(b"AUTHENTICATE PLAIN " + plain(user, self.password)).splitlines()[-1]
        if mailbox:
            assert b"OK" in wire.imap(b"SELECT " + mailbox).splitlines()[-1]
        return wire

    def pop3(self, user: str = "", *, source: str = "") -> Wire:
        wire = self.open("pop3s", source=source)
        if user:
            assert wire.say(b"USER " + user.encode()).startswith(b"+OK")
            assert wire.say(b"PASS " + self.password.encode()).startswith(b"+OK")
        return wire

    def deliver(self, to: str, message: bytes, listener: str = "mx") -> bytes:
        """A message over SMTP as it should be; gives the last reply."""
        wire = self.smtp(listener)
        assert wire.say(b"MAIL FROM:<sender@elsewhere.example>").startswith(b"250")
        assert wire.say(b"RCPT TO:<%b>" % to.encode()).startswith(b"250")
        assert wire.say(b"DATA").startswith(b"354")
        wire.sock.sendall(re.sub(rb"(?m)^\.", b"..", message) + b"\r\n.\r\n")
        reply = wire.reply()
        wire.close()
        return reply

    def inbox(self, address: str) -> list[bytes]:
        """What is stored for it, without our trace fields."""
        return [stored.sent for stored in self.store.messages(address)]

    def close_wires(self) -> None:
        for wire in self._wires:
            wire.close()
        self._wires.clear()

    # The frame of an attack

    def control(self) -> None:
        """Honest clients: a message in by 25 and in by 587, and read by IMAP and POP3."""
        token = b"control-%d" % next(_serial)
        assert self.deliver(self._control, FROM_OUTSIDE + b"Subject: " + token + b"\r\n\r\nhello\r\n").startswith(
            b"250"
        )
        wire = self.smtp("submissions", user=self._control)
        for command, code in (
            (b"MAIL FROM:<%b>" % self._control.encode(), b"250"),
            (b"RCPT TO:<%b>" % self._control.encode(), b"250"),
            (b"DATA", b"354"),
            (b"From: %b\r\nSubject: %b\r\n\r\nhello\r\n." % (self._control.encode(), token), b"250"),
        ):
            assert wire.say(command).startswith(code)
        wire.close()
        wire = self.imap(self._control, mailbox=b"INBOX")
        found = wire.imap(b"SEARCH SUBJECT " + token).splitlines()[0]
        assert len(found.split()) == 4, found  # * SEARCH, and both of them
        wire.close()
        wire = self.pop3(self._control)
        assert wire.say(b"STAT").startswith(b"+OK")
        wire.close()

    def log_size(self) -> int:
        return self.server.log.stat().st_size

    def log_since(self, at: int) -> list[dict[str, Any]]:
        with self.server.log.open("rb") as file:
            file.seek(at)
            return [json.loads(line) for line in file.read().splitlines() if line.startswith(b"{")]

    @contextmanager
    def attacked(
        self, *, stall_s: float = STALL_LIMIT_S, growth_bytes: int = 24 * MIB, pinged: bool = True
    ) -> Iterator[Watch]:
        """Everything that must hold whatever the attack: see the module."""
        self.control()
        self.close_wires()
        watch = Watch()
        pids, log_at = children(self.server.process), self.log_size()
        before, cpu = rss_bytes(self.worker), loop_cpu_s(self.worker)
        pinger = Pinger(self.ports["mx"], self.worker) if pinged else None
        if pinger is not None:
            pinger.start()
        try:
            yield watch
        finally:
            if pinger is not None:
                pinger.stop()
            for wire in self._wires:
                wire.close()
        attackers, self._wires = self._wires, []
        watch.growth_bytes = rss_bytes(self.worker) - before
        watch.loop_cpu_s = loop_cpu_s(self.worker) - cpu
        self.control()
        watch.log = self.log_since(log_at)
        assert children(self.server.process) == pids, "a process died"
        bugs = [line for line in watch.log if line["event"] == "bug" or "exception" in line]
        assert not bugs, bugs[0]
        for wire in attackers:
            told = _INSIDES.search(bytes(wire.heard[:_TRACE_CHECK_BYTES]))
            assert told is None, bytes(wire.heard[max(0, told.start() - 200) : told.end() + 200])
        if pinger is not None:
            watch.stall_s, watch.pings = pinger.stall_s, pinger.pings
            assert not pinger.failed, pinger.failed
            assert pinger.pings, "no ping was answered"
        _record(watch)
        assert watch.stall_s < stall_s, f"a bystander waited for {watch.stall_s * 1000:.0f} ms of work"
        assert watch.growth_bytes < growth_bytes, f"the worker grew by {watch.growth_bytes / MIB:.1f} MiB"


def _record(watch: Watch) -> None:
    """Figures for people, where POTERNE_ATTACK_FIGURES names a file."""
    path = os.environ.get("POTERNE_ATTACK_FIGURES")
    if path:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0].rpartition("/")[2]
        with Path(path).open("a") as file:
            file.write(
                f"{watch.stall_s * 1000:7.1f} ms {watch.growth_bytes / MIB:7.2f} MiB"
                f" {watch.loop_cpu_s:6.2f} s cpu {watch.pings:5d} pings  {test}\n"
            )


@contextmanager
def target(folder: Path, chosen: Mapping[str, Mapping[str, int]] | None = None) -> Iterator[Target]:
    """A server with one worker that counts failures patiently, so that attacks do not slow one another."""
    settings: dict[str, Mapping[str, int]] = {
        "server": {"workers": 1, "drain_s": 1},
        # A bystander says NOOP without end, and what attackers wait for is tested where it is the subject.
        "smtp": {"max_message_bytes": 8 * MIB, "max_useless_commands": 1_000_000, "first_wait_ms": 0},
        "imap": {"max_append_bytes": 8 * MIB},
        "sign_in": {"free_failures": 100, "max_delay_s": 1, "hashing_threads": 1},
    }
    for table, values in (chosen or {}).items():
        settings[table] = {**settings.get(table, {}), **values}
    with peer_server.serve(folder, settings) as server:
        yield Target(server)
